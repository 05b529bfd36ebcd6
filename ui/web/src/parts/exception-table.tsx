// Exceptions by type and place, what rose most first.

import type { ExceptionRow } from "../api/hidden";
import { useText } from "../i18n";
import { clockOrDate, count, number } from "../lib/format";
import { useOrder } from "../state/use-table";
import { Before } from "./before";
import { ExampleTrace } from "./example-trace";
import { Nothing } from "./nothing";
import { OperationName } from "./operation-name";
import { type Column, Table } from "./table";

export function ExceptionTable({ rows }: { rows: readonly ExceptionRow[] }) {
  const { t } = useText();
  const order = useOrder({ column: "rate", descending: true });
  const columns: Column<ExceptionRow>[] = [
    {
      id: "type",
      title: t("hidden.exception"),
      className: "wide",
      value: (r) => r.type,
      cell: (r) => (
        <span className="two-lines">
          <b>{r.type}</b>
          {r.place && <code className="statement">{r.place}</code>}
          {r.message && <span className="dim">{r.message}</span>}
        </span>
      ),
    },
    {
      id: "operation",
      title: t("col.operation"),
      value: (r) => `${r.service} ${r.operation}`,
      cell: (r) => <OperationName service={r.service} operation={r.operation} below="" />,
    },
    { id: "count", title: t("hidden.count"), numeric: true, value: (r) => r.count, cell: (r) => count(r.count) },
    {
      id: "rate",
      title: t("col.rate"),
      numeric: true,
      value: (r) => r.rate - (r.baseline_rate ?? 0),
      cell: (r) => (
        <Before
          now={`${number(r.rate)}/s`}
          before={r.baseline_rate === null ? null : `${number(r.baseline_rate)}/s`}
          tone={r.baseline_rate !== null && r.rate > 2 * r.baseline_rate ? "rose" : undefined}
        />
      ),
    },
    {
      id: "first",
      title: t("hidden.first"),
      value: (r) => r.first_seen,
      cell: (r) => clockOrDate(Date.parse(r.first_seen)),
    },
    {
      id: "last",
      title: t("hidden.last"),
      value: (r) => r.last_seen,
      cell: (r) => clockOrDate(Date.parse(r.last_seen)),
    },
    {
      id: "trace",
      title: t("hidden.example"),
      cell: (r) => <ExampleTrace id={r.exemplar} at={{ service: r.service, operation: r.operation }} />,
    },
  ];
  return (
    <Table
      caption={t("hidden.exceptions")}
      columns={columns}
      rows={rows}
      rowKey={(r) => [r.service, r.operation, r.type, r.place].join("|")}
      {...order}
      empty={<Nothing text={t("hidden.exceptions.none")} />}
    />
  );
}
