// Operations, of one service or of all: what it offers (SERVER, CONSUMER) and what it depends on (CLIENT, PRODUCER).

import type { Meta, OperationRow, OperationsAnswer } from "../api/types";
import { Sparkline } from "../charts/sparkline";
import { useText } from "../i18n";
import { count, duration, number, percent } from "../lib/format";
import { wholeTrend } from "../lib/series";
import { OperationName, peerOf } from "../parts/operation-name";
import { Panel } from "../parts/panel";
import { Segmented } from "../parts/segmented";
import { type Column, ShareBar, Table } from "../parts/table";
import { useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";
import { useOrder } from "../state/use-table";

const SIDES = ["all", "offered", "depended", "internal"] as const;
type Side = (typeof SIDES)[number];

export default function Operations() {
  const { t } = useText();
  const { scope, change } = useScope();
  const order = useOrder({ column: "share", descending: true });
  const answer = useAnswer<OperationsAnswer>("operations", windowParams(scope), { live: true });
  const columns = useColumns(answer.data?.meta);
  const side: Side = SIDES.find((s) => s === scope.tab) ?? "all";
  const rows = (answer.data?.operations ?? []).filter((o) => side === "all" || sideOf(o) === side);
  return (
    <div className="page">
      <h1>{scope.service ? t("operations.of", { service: scope.service }) : t("page.operations")}</h1>
      <Panel
        title={t("page.operations")}
        note={t("services.note")}
        answer={answer}
        minHeight={240}
        flush
        timed
        actions={
          <Segmented
            name={t("operations.side")}
            value={side}
            options={SIDES.map((s) => ({ value: s, label: t(`operations.${s}`) }))}
            onChange={(s) => change({ tab: s === "all" ? "" : s }, { replace: true })}
          />
        }
      >
        <Table
          caption={t("page.operations")}
          columns={columns}
          rows={rows}
          rowKey={(o) => [o.service, o.operation, o.kind, o.peer].join("|")}
          {...order}
        />
      </Panel>
    </div>
  );
}

function sideOf(o: OperationRow): Side {
  if (o.kind === "SERVER" || o.kind === "CONSUMER") return "offered";
  return o.kind === "CLIENT" || o.kind === "PRODUCER" ? "depended" : "internal";
}

function useColumns(meta: Meta | undefined): Column<OperationRow>[] {
  const { t } = useText();
  const { link } = useScope();
  const perCall = (o: OperationRow, ns: number | null) => (ns === null || o.count === 0 ? null : ns / o.count);
  return [
    {
      id: "operation",
      title: t("col.operation"),
      className: "wide",
      value: (o) => `${o.service} ${o.operation}`,
      cell: (o) => (
        <OperationName
          service={o.service}
          operation={o.operation}
          below={peerOf(o)}
          href={link("/heat", { service: o.service, operation: o.operation, kind: o.kind })}
        />
      ),
    },
    { id: "kind", title: t("col.kind"), value: (o) => o.kind, cell: (o) => <span className="tag">{o.kind}</span> },
    { id: "rate", title: t("col.rate"), numeric: true, value: (o) => o.rate, cell: (o) => `${number(o.rate)}/s` },
    { id: "trend", title: t("col.trend"), cell: (o) => <Sparkline values={meta ? wholeTrend(o.trend, meta) : null} /> },
    {
      id: "errors",
      title: t("col.errors"),
      numeric: true,
      value: (o) => o.error_rate,
      cell: (o) => <span className={o.error_rate > 0.01 ? "bad-text" : undefined}>{percent(o.error_rate)}</span>,
    },
    { id: "p50", title: "p50", numeric: true, value: (o) => o.p50_ns, cell: (o) => duration(o.p50_ns) },
    { id: "p90", title: "p90", numeric: true, value: (o) => o.p90_ns, cell: (o) => duration(o.p90_ns) },
    { id: "p99", title: "p99", numeric: true, value: (o) => o.p99_ns, cell: (o) => duration(o.p99_ns) },
    {
      id: "self",
      title: t("col.selfcall"),
      doc: t("col.self.doc"),
      numeric: true,
      value: (o) => perCall(o, o.self_ns),
      cell: (o) => duration(perCall(o, o.self_ns)),
    },
    {
      id: "share",
      title: t("col.criticalshare"),
      doc: t("col.criticalshare.doc"),
      value: (o) => o.critical_share,
      cell: (o) => <ShareBar share={o.critical_share} label={percent(o.critical_share)} />,
    },
    { id: "count", title: t("col.count"), numeric: true, value: (o) => o.count, cell: (o) => count(o.count) },
  ];
}
