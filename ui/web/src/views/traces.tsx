// Traces that match the scope: newest, slowest, or the most typical ones.

import { useState } from "react";
import { Link } from "wouter";
import type { SearchAnswer, TraceHead } from "../api/types";
import { useText } from "../i18n";
import { count, duration, momentText, parseDuration } from "../lib/format";
import { microsOfT0 } from "../lib/time";
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
            <Bounds key={JSON.stringify(bounds)} />
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

function Bounds() {
  const { t } = useText();
  const { scope, change } = useScope();
  const s = scope.selection ?? { startUs: null, endUs: null, minNs: null, maxNs: null, errors: false };
  const [low, setLow] = useState(s.minNs ? duration(s.minNs) : "");
  const [high, setHigh] = useState(s.maxNs ? duration(s.maxNs) : "");
  const apply = (errors: boolean) => {
    const minNs = parseDuration(low);
    const maxNs = parseDuration(high);
    const some = minNs !== null || maxNs !== null || errors;
    change({ selection: some ? { startUs: null, endUs: null, minNs, maxNs, errors } : null }, { replace: true });
  };
  return (
    <form
      className="fields inline"
      onSubmit={(e) => {
        e.preventDefault();
        apply(s.errors);
      }}
    >
      <label>
        {t("heat.min")}
        <input
          value={low}
          size={7}
          placeholder="0 ms"
          onChange={(e) => setLow(e.target.value)}
          onBlur={() => apply(s.errors)}
        />
      </label>
      <label>
        {t("heat.max")}
        <input
          value={high}
          size={7}
          placeholder="∞"
          onChange={(e) => setHigh(e.target.value)}
          onBlur={() => apply(s.errors)}
        />
      </label>
      <label className="check">
        <input type="checkbox" checked={s.errors} onChange={(e) => apply(e.target.checked)} />
        {t("heat.onlyerrors")}
      </label>
    </form>
  );
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
      empty={t("traces.empty")}
    />
  );
}
