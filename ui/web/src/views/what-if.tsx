// What if one operation were faster, or made its calls side by side: every trace replayed, and what each kind of request would gain.

import { useState } from "react";
import type { WhatIfAnswer, WhatIfEntry } from "../api/capacity";
import type { HotSpotsAnswer } from "../api/types";
import { useText } from "../i18n";
import { positive } from "../lib/capacity";
import { count, duration, percent } from "../lib/format";
import { hotSpotKey, whatIfLink } from "../parts/hot-spot-table";
import { Nothing } from "../parts/nothing";
import { OperationName, peerOf } from "../parts/operation-name";
import { OperationPicker } from "../parts/operation-picker";
import { Panel } from "../parts/panel";
import { ServiceName } from "../parts/service-name";
import { ShareBar, Table } from "../parts/table";
import { SLOW_MS, useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";

const FACTORS = [1.5, 2, 5, 10];
const MOST_SPOTS = 5;

export default function WhatIf() {
  const { t, lang } = useText();
  const { scope, change } = useScope();
  const { start, end, run } = windowParams(scope);
  const { service, operation, kind } = scope;
  const chosen = service !== "" && operation !== "";
  const parallel = scope.tab === "parallel";
  const faster = positive(scope.query) ?? (parallel ? 1 : 2);
  const asked = { start, end, run, service, operation, kind, faster, parallel: parallel ? "true" : "" };
  const answer = useAnswer<WhatIfAnswer>("what-if", asked, { off: !chosen, live: SLOW_MS });
  const data = answer.data;
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t("page.whatif")}</h1>
        <OperationPicker />
      </div>
      <Panel title={t("whatif.question")} note={t("whatif.note")}>
        {chosen ? (
          <div className="fields">
            <span>{t("whatif.if", { name: `${service} · ${operation}` })}</span>
            {FACTORS.map((f) => (
              <button
                type="button"
                key={f}
                aria-pressed={f === faster}
                className={f === faster ? "small primary" : "small"}
                onClick={() => change({ query: String(f) }, { replace: true })}
              >
                × {f}
              </button>
            ))}
            <Factor key={faster} faster={faster} />
            <label>
              <input
                type="checkbox"
                checked={parallel}
                onChange={(e) =>
                  change(
                    { tab: e.target.checked ? "parallel" : "", query: e.target.checked ? "1" : "2" },
                    { replace: true },
                  )
                }
              />{" "}
              {t("whatif.parallel")}
            </label>
          </div>
        ) : (
          <p className="empty">{t("whatif.choose")}</p>
        )}
      </Panel>
      {!chosen && <HotSpots />}
      {chosen && (
        <Panel title={t("whatif.answer")} answer={answer} minHeight={200} flush>
          {data && <Entries entries={data.entries} />}
        </Panel>
      )}
      {data?.assumptions && data.assumptions.length > 0 && (
        <Panel title={t("whatif.assumptions")}>
          <ul className="plain-list">
            {data.assumptions.map((a) => (
              <li key={a.en}>{a[lang]}</li>
            ))}
          </ul>
        </Panel>
      )}
    </div>
  );
}

/** What the question may be about: the first hot spots of the window, as links that fill it in. */
function HotSpots() {
  const { t, word } = useText();
  const { scope, link } = useScope();
  // Not those of the chosen service's requests alone: the filter would choose requests here.
  const asked = { ...windowParams(scope), service: "", operation: "", kind: "" };
  const answer = useAnswer<HotSpotsAnswer>("hotspots", asked, { live: SLOW_MS });
  const data = answer.data;
  return (
    <Panel title={t("whatif.spots")} note={t("whatif.spots.note")} answer={answer} minHeight={200} flush>
      {data && (
        <Table
          caption={t("whatif.spots")}
          // What no request waits for would gain no request anything.
          rows={data.hotspots.filter((h) => !h.off_path).slice(0, MOST_SPOTS)}
          rowKey={hotSpotKey}
          empty={<Nothing text={t("overview.hotspots.empty")} />}
          columns={[
            {
              id: "operation",
              title: t("col.operation"),
              className: "wide",
              cell: (h) => (
                <OperationName
                  service={h.service}
                  operation={h.operation}
                  below={peerOf(h)}
                  href={whatIfLink({ scope, link }, data, h)}
                />
              ),
            },
            {
              id: "category",
              title: t("col.category"),
              cell: (h) => <span className="tag">{word("category", h.category)}</span>,
            },
            {
              id: "share",
              title: t("col.share"),
              doc: t("col.share.doc"),
              cell: (h) => <ShareBar share={h.share_of_latency} label={percent(h.share_of_latency)} />,
            },
          ]}
        />
      )}
    </Panel>
  );
}

function Factor({ faster }: { faster: number }) {
  const { t } = useText();
  const { change } = useScope();
  const [text, setText] = useState(String(faster));
  const apply = () => {
    const given = positive(text);
    if (given !== null && given !== faster) change({ query: String(given) }, { replace: true });
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        apply();
      }}
    >
      <label>
        {t("whatif.factor")}{" "}
        <input value={text} inputMode="decimal" size={5} onChange={(e) => setText(e.target.value)} onBlur={apply} />
      </label>
    </form>
  );
}

function Entries({ entries }: { entries: readonly WhatIfEntry[] }) {
  const { t } = useText();
  const pair = (before: number | null, after: number | null) => (
    <span className="two-lines">
      <span className={before !== null && after !== null && after < before * 0.98 ? "fell" : undefined}>
        {duration(after)}
      </span>
      <span className="dim">{t("whatif.now", { value: duration(before) })}</span>
    </span>
  );
  return (
    <Table
      caption={t("whatif.answer")}
      rows={entries}
      rowKey={(e) => `${e.service}|${e.operation}`}
      empty={<Nothing text={t("whatif.none")} />}
      columns={[
        {
          id: "entry",
          title: t("traces.entry"),
          className: "wide",
          cell: (e) => (
            <>
              <ServiceName name={e.service} /> <span className="op">{e.operation}</span>
            </>
          ),
        },
        {
          id: "saved",
          title: t("whatif.saved"),
          cell: (e) => <ShareBar share={e.saved_share ?? 0} label={percent(e.saved_share)} />,
        },
        { id: "mean", title: t("metrics.mean"), numeric: true, cell: (e) => pair(e.mean_ns, e.new_mean_ns) },
        { id: "p50", title: "p50", numeric: true, cell: (e) => pair(e.p50_ns, e.new_p50_ns) },
        { id: "p90", title: "p90", numeric: true, cell: (e) => pair(e.p90_ns, e.new_p90_ns) },
        { id: "p99", title: "p99", numeric: true, cell: (e) => pair(e.p99_ns, e.new_p99_ns) },
        {
          id: "touched",
          title: t("whatif.touched"),
          numeric: true,
          cell: (e) => percent(e.requests > 0 ? e.touched / e.requests : 0),
        },
        { id: "requests", title: t("col.requests"), numeric: true, cell: (e) => count(e.requests) },
      ]}
    />
  );
}
