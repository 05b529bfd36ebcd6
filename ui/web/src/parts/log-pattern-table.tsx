// Log lines by pattern: what is new or gone first.

import type { LogPatternRow } from "../api/hidden";
import { useText } from "../i18n";
import { clockOrDate, count, number } from "../lib/format";
import { useOrder } from "../state/use-table";
import { Before } from "./before";
import { ExampleTrace } from "./example-trace";
import { Nothing } from "./nothing";
import { ServiceName } from "./service-name";
import { type Column, Table } from "./table";

export function LogPatternTable({ rows }: { rows: readonly LogPatternRow[] }) {
  const { t } = useText();
  // Without one of ours they stay as they come: new and gone ones first, errors before others.
  const order = useOrder();
  const columns: Column<LogPatternRow>[] = [
    {
      id: "pattern",
      title: t("hidden.pattern"),
      className: "wide",
      value: (r) => r.pattern,
      cell: (r) => (
        <span className="two-lines">
          <code className="statement">{r.pattern}</code>
          {r.example && <span className="dim">{r.example.split("\n")[0]}</span>}
        </span>
      ),
    },
    {
      id: "change",
      title: t("hidden.change"),
      value: (r) => r.change ?? "",
      cell: (r) =>
        r.change && <span className={r.severity === "info" ? undefined : "rose"}>{t(`hidden.log.${r.change}`)}</span>,
    },
    {
      id: "severity",
      title: t("hidden.severity"),
      value: (r) => ["info", "warn", "error"].indexOf(r.severity),
      cell: (r) => t(`hidden.log.${r.severity}`),
    },
    {
      id: "service",
      title: t("col.service"),
      value: (r) => r.service,
      cell: (r) => <ServiceName name={r.service} />,
    },
    { id: "count", title: t("hidden.count"), numeric: true, value: (r) => r.count, cell: (r) => count(r.count) },
    {
      id: "rate",
      title: t("col.rate"),
      numeric: true,
      value: (r) => r.rate - (r.baseline_rate ?? 0),
      cell: (r) => (
        <Before now={`${number(r.rate)}/s`} before={r.baseline_rate === null ? null : `${number(r.baseline_rate)}/s`} />
      ),
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
      cell: (r) => r.exemplar && <ExampleTrace id={r.exemplar} at={{ service: r.service, operation: "" }} />,
    },
  ];
  return (
    <Table
      caption={t("hidden.logs")}
      columns={columns}
      rows={rows}
      rowKey={(r) => [r.service, r.severity, r.pattern].join("|")}
      {...order}
      empty={<Nothing of="logs" text={t("hidden.logs.none")} />}
    />
  );
}
