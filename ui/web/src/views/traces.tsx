// Traces that match the scope: newest, slowest, or the most typical ones.

import { useState } from "react";
import { Link } from "wouter";
import type { SearchAnswer, TraceHead } from "../api/types";
import { useText } from "../i18n";
import { count, duration, isDuration, momentText, parseDuration } from "../lib/format";
import type { Selection } from "../lib/heat";
import { microsOfT0 } from "../lib/time";
import { DurationField } from "../parts/duration-field";
import { Nothing } from "../parts/nothing";
import { OperationPicker } from "../parts/operation-picker";
import { Panel } from "../parts/panel";
import { Segmented } from "../parts/segmented";
import { ServiceName } from "../parts/service-name";
import { type Column, ShareBar, Table } from "../parts/table";
import { useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";
import { useOrder } from "../state/use-table";

const ORDERS = ["newest", "slowest", "typical"] as const;
type SearchOrder = (typeof ORDERS)[number];

export default function Traces() {
  const { t } = useText();
  const { scope, change } = useScope();
  const order: SearchOrder = ORDERS.find((o) => o === scope.tab) ?? "newest";
  const bounds = scope.selection;
  const answer = useAnswer<SearchAnswer>(
    "search",
    { ...windowParams(scope), order, min_ns: bounds?.minNs, max_ns: bounds?.maxNs, errors: bounds?.errors, limit: 200 },
    { live: true },
  );
  return (
    <div className="page">
      <div className="page-head">
        <h1>{t("page.traces")}</h1>
        <OperationPicker />
      </div>
      <Panel
        title={t("traces.found")}
        note={answer.data && t("traces.note", { n: count(answer.data.traces.length) })}
        answer={answer}
        minHeight={240}
        flush
        actions={
          <>
            <Bounds />
            <Segmented
              name={t("traces.order")}
              value={order}
              options={ORDERS.map((o) => ({ value: o, label: t(`traces.${o}`) }))}
              onChange={(o) => change({ tab: o === "newest" ? "" : o }, { replace: true })}
            />
          </>
        }
      >
        {answer.data && <Found answer={answer.data} />}
      </Panel>
    </div>
  );
}

const NO_BOUNDS: Selection = { startUs: null, endUs: null, minNs: null, maxNs: null, errors: false };

/** Applied by Enter, by the button, and when a field is left; another address fills the fields anew. */
function Bounds() {
  const { t } = useText();
  const { scope, change } = useScope();
  const bounds = scope.selection ?? NO_BOUNDS;
  const shown = { low: boundText(bounds.minNs), high: boundText(bounds.maxNs) };
  const [typed, setTyped] = useState({ ...shown, of: shown });
  if (typed.of.low !== shown.low || typed.of.high !== shown.high) setTyped({ ...shown, of: shown });
  const { low, high } = typed;
  const apply = (errors: boolean) => {
    if (!isDuration(low) || !isDuration(high)) return;
    const minNs = low === shown.low ? bounds.minNs : parseDuration(low);
    const maxNs = high === shown.high ? bounds.maxNs : parseDuration(high);
    const some = minNs !== null || maxNs !== null || errors;
    change({ selection: some ? { ...NO_BOUNDS, minNs, maxNs, errors } : null }, { replace: true });
  };
  return (
    <form
      className="fields inline"
      onSubmit={(e) => {
        e.preventDefault();
        apply(bounds.errors);
      }}
    >
      <DurationField
        label={t("heat.min")}
        text={low}
        placeholder="0 ms"
        change={(text) => setTyped({ ...typed, low: text })}
        leave={() => apply(bounds.errors)}
      />
      <DurationField
        label={t("heat.max")}
        text={high}
        placeholder="∞"
        change={(text) => setTyped({ ...typed, high: text })}
        leave={() => apply(bounds.errors)}
      />
      <label className="check">
        <input type="checkbox" checked={bounds.errors} onChange={(e) => apply(e.target.checked)} />
        {t("heat.onlyerrors")}
      </label>
      <button type="submit">{t("action.apply")}</button>
    </form>
  );
}

function boundText(ns: number | null): string {
  return ns ? duration(ns) : "";
}

function Found({ answer }: { answer: SearchAnswer }) {
  const { t } = useText();
  const { link } = useScope();
  const order = useOrder();
  const t0 = microsOfT0(answer.t0);
  const longest = Math.max(1, ...answer.traces.map((x) => x.duration_ns));
  const columns: Column<TraceHead>[] = [
    {
      id: "start",
      title: t("col.start"),
      value: (x) => x.start_us,
      cell: (x) => <Link href={link(`/trace/${x.trace_id}`)}>{momentText((t0 + x.start_us) / 1e3)}</Link>,
    },
    {
      id: "entry",
      title: t("traces.entry"),
      className: "wide",
      value: (x) => `${x.service} ${x.operation}`,
      cell: (x) => (
        <>
          <ServiceName name={x.service} /> <span className="op">{x.operation}</span>
          {x.has_root === false && (
            <span className="tag" title={t("traces.noroot.why")}>
              {t("traces.noroot")}
            </span>
          )}
        </>
      ),
    },
    {
      id: "duration",
      title: t("col.duration"),
      value: (x) => x.duration_ns,
      cell: (x) => <ShareBar share={x.duration_ns / longest} label={duration(x.duration_ns)} />,
    },
    { id: "spans", title: t("col.spans"), numeric: true, value: (x) => x.spans, cell: (x) => count(x.spans) },
    {
      id: "services",
      title: t("col.services"),
      numeric: true,
      value: (x) => x.services,
      cell: (x) => count(x.services),
    },
    {
      id: "errors",
      title: t("col.errorcount"),
      numeric: true,
      value: (x) => x.errors,
      cell: (x) => <span className={x.errors > 0 ? "bad-text" : "dim"}>{count(x.errors)}</span>,
    },
    { id: "id", title: t("traces.id"), cell: (x) => <span className="mono dim">{x.trace_id.slice(0, 16)}</span> },
  ];
  return (
    <Table
      caption={t("page.traces")}
      columns={columns}
      rows={answer.traces}
      rowKey={(x) => x.trace_id}
      {...order}
      empty={<Nothing text={t("traces.empty")} />}
    />
  );
}
