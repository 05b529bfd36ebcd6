// Services whose instances started within the window, and functions that began cold, by the time lost. A row opens to its
// instances.

import type { ColdStartRow, StartedInstance } from "../api/hidden";
import { useText } from "../i18n";
import { clockOrDate, count, duration, number } from "../lib/format";
import { useOpenRow, useOrder } from "../state/use-table";
import { OperationName } from "./operation-name";
import { RowDetail } from "./row-detail";
import { ServiceName } from "./service-name";
import { type Column, Table } from "./table";

export function ColdStartTable({ rows }: { rows: readonly ColdStartRow[] }) {
  const { t, word } = useText();
  const order = useOrder({ column: "lost", descending: true });
  const open = useOpenRow();
  const columns: Column<ColdStartRow>[] = [
    {
      id: "kind",
      title: t("starts.kind"),
      value: (r) => r.kind,
      cell: (r) => <span className="tag">{word("starts", r.kind)}</span>,
    },
    {
      id: "service",
      title: t("col.service"),
      className: "wide",
      value: (r) => `${r.service} ${r.operation ?? ""}`,
      cell: (r) =>
        r.operation ? <OperationName service={r.service} operation={r.operation} /> : <ServiceName name={r.service} />,
    },
    {
      id: "lost",
      title: t("starts.lost"),
      doc: t("starts.lost.doc"),
      numeric: true,
      value: (r) => r.lost_ns,
      cell: (r) => duration(r.lost_ns),
    },
    {
      id: "started",
      title: t("starts.started"),
      numeric: true,
      value: (r) => r.started,
      cell: (r) => (
        <span className="two-lines">
          <span>{count(r.started)}</span>
          {r.slow !== null && <span className="dim">{t("starts.slowones", { n: count(r.slow) })}</span>}
          {r.too_few_calls + r.unsteady > 0 && (
            <span className="dim">{t("starts.unknown", { n: count(r.too_few_calls + r.unsteady) })}</span>
          )}
        </span>
      ),
    },
    {
      id: "for",
      title: t("starts.slowfor"),
      doc: t("starts.slowfor.doc"),
      numeric: true,
      value: (r) => r.slow_for_ns,
      cell: (r) => (
        <span className="two-lines">
          <span>{duration(r.slow_for_ns)}</span>
          {r.longest_slow_for_ns !== null && r.longest_slow_for_ns !== r.slow_for_ns && (
            <span className="dim">{t("starts.longest", { value: duration(r.longest_slow_for_ns) })}</span>
          )}
        </span>
      ),
    },
    {
      id: "calls",
      title: t("starts.calls"),
      numeric: true,
      value: (r) => r.calls,
      cell: (r) => count(r.calls),
    },
    {
      id: "mean",
      title: t("starts.mean"),
      doc: t("starts.mean.doc"),
      numeric: true,
      value: (r) => r.mean_ns,
      cell: (r) => (
        <span className="two-lines">
          <span>{duration(r.mean_ns)}</span>
          <span className="dim">{t("starts.later", { value: duration(r.later_mean_ns) })}</span>
        </span>
      ),
    },
    {
      id: "ratio",
      title: t("skew.ratio"),
      numeric: true,
      value: (r) => r.ratio,
      cell: (r) => (r.ratio === null ? "–" : `× ${number(r.ratio)}`),
    },
  ];
  return (
    <Table
      caption={t("hidden.starts")}
      columns={columns}
      rows={rows}
      rowKey={keyOf}
      {...order}
      {...open}
      detail={(r) => (
        <RowDetail
          explanation={r.explanation}
          at={{
            service: r.service,
            operation: r.operation ?? "",
            instance: r.instances.length === 1 ? r.instances[0].instance : "",
          }}
        >
          {r.instances.length > 0 && <Instances instances={r.instances} />}
        </RowDetail>
      )}
    />
  );
}

function keyOf(r: ColdStartRow): string {
  return [r.kind, r.service, r.operation].join("|");
}

/** The instances of one service, those that lost the most first. */
function Instances({ instances }: { instances: readonly StartedInstance[] }) {
  const { t, word } = useText();
  const columns: Column<StartedInstance>[] = [
    { id: "instance", title: t("col.instance"), cell: (i) => i.instance },
    { id: "first", title: t("hidden.first"), cell: (i) => clockOrDate(Date.parse(i.first_seen)) },
    { id: "outcome", title: t("starts.outcome"), cell: (i) => word("startoutcome", i.outcome) },
    { id: "for", title: t("starts.slowfor"), numeric: true, cell: (i) => duration(i.slow_for_ns) },
    { id: "calls", title: t("starts.calls"), numeric: true, cell: (i) => (i.calls === null ? "–" : count(i.calls)) },
    { id: "mean", title: t("starts.mean"), numeric: true, cell: (i) => duration(i.mean_ns) },
    { id: "later", title: t("starts.latermean"), numeric: true, cell: (i) => duration(i.later_mean_ns) },
    { id: "lost", title: t("starts.lost"), numeric: true, cell: (i) => duration(i.lost_ns) },
  ];
  return <Table caption={t("col.instances")} columns={columns} rows={instances} rowKey={(i) => i.instance} />;
}
