// Database statements without their values, by the time that requests wait for them.

import type { StatementRow } from "../api/hidden";
import { useText } from "../i18n";
import { count, duration, number, percent } from "../lib/format";
import { useOrder } from "../state/use-table";
import { ExampleTrace } from "./example-trace";
import { Nothing } from "./nothing";
import { ServiceName } from "./service-name";
import { type Column, ShareBar, Table } from "./table";

export function StatementTable({ rows }: { rows: readonly StatementRow[] }) {
  const { t } = useText();
  const order = useOrder({ column: "share", descending: true });
  const columns: Column<StatementRow>[] = [
    {
      id: "statement",
      title: t("hidden.statement"),
      className: "wide",
      value: (r) => r.statement ?? r.operation,
      cell: (r) => (
        <span className="two-lines">
          <code className="statement">{r.statement ?? r.operation}</code>
          <span className="dim">
            <ServiceName name={r.service} /> → {r.peer ?? r.system}
          </span>
        </span>
      ),
    },
    {
      id: "share",
      title: t("col.criticalshare"),
      doc: t("hidden.statements.note"),
      value: (r) => r.critical_share,
      cell: (r) => <ShareBar share={r.critical_share} label={percent(r.critical_share)} />,
    },
    {
      id: "total",
      title: t("hidden.total"),
      numeric: true,
      value: (r) => r.total_ns,
      cell: (r) => duration(r.total_ns),
    },
    { id: "rate", title: t("col.rate"), numeric: true, value: (r) => r.rate, cell: (r) => `${number(r.rate)}/s` },
    { id: "mean", title: t("metrics.mean"), numeric: true, value: (r) => r.mean_ns, cell: (r) => duration(r.mean_ns) },
    { id: "p99", title: "p99", numeric: true, value: (r) => r.p99_ns, cell: (r) => duration(r.p99_ns) },
    { id: "errors", title: t("col.errorcount"), numeric: true, value: (r) => r.errors, cell: (r) => count(r.errors) },
    {
      id: "trace",
      title: t("hidden.longest"),
      cell: (r) => <ExampleTrace id={r.slowest} at={{ service: r.service, operation: r.operation }} />,
    },
  ];
  return (
    <Table
      caption={t("hidden.statements")}
      columns={columns}
      rows={rows}
      rowKey={(r) => [r.service, r.operation, r.span_kind, r.peer, r.system, r.statement].join("|")}
      {...order}
      empty={<Nothing text={t("hidden.statements.none")} />}
    />
  );
}
