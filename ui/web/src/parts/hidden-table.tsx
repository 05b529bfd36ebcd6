// Patterns of lost time, the most costly first.

import type { HiddenRow } from "../api/hidden";
import { useText } from "../i18n";
import { count, duration, number, percent } from "../lib/format";
import { useOrder } from "../state/use-table";
import { Before } from "./before";
import { ExampleTrace } from "./example-trace";
import { Nothing } from "./nothing";
import { OperationName } from "./operation-name";
import { type Column, ShareBar, Table } from "./table";

export function HiddenTable({ rows }: { rows: readonly HiddenRow[] }) {
  const { t, word } = useText();
  const order = useOrder({ column: "time", descending: true });
  const columns: Column<HiddenRow>[] = [
    {
      id: "pattern",
      title: t("hidden.pattern"),
      value: (r) => r.pattern,
      cell: (r) => (
        <span className="tag" title={t(`hidden.${r.pattern}.doc`)}>
          {word("hidden", r.pattern)}
        </span>
      ),
    },
    {
      id: "operation",
      title: t("col.operation"),
      className: "wide",
      value: (r) => `${r.service} ${r.operation}`,
      cell: (r) => (
        <span className="two-lines">
          <OperationName
            service={r.service}
            operation={r.operation}
            below={r.caller_service ? t("hidden.caller", { name: `${r.caller_service} · ${r.caller_operation}` }) : ""}
          />
          {r.statement && <code className="statement">{r.statement}</code>}
        </span>
      ),
    },
    {
      id: "time",
      title: t("hidden.time"),
      doc: t("hidden.time.doc"),
      numeric: true,
      value: (r) => r.time_ns_per_request,
      cell: (r) => (
        <Before
          now={duration(r.time_ns_per_request)}
          before={r.baseline_time_ns_per_request === null ? null : duration(r.baseline_time_ns_per_request)}
        />
      ),
    },
    {
      id: "share",
      title: t("col.share"),
      value: (r) => r.share_of_latency,
      cell: (r) => <ShareBar share={r.share_of_latency} label={percent(r.share_of_latency)} />,
    },
    { id: "p50", title: "p50", numeric: true, value: (r) => r.p50_ns, cell: (r) => duration(r.p50_ns) },
    { id: "p99", title: "p99", numeric: true, value: (r) => r.p99_ns, cell: (r) => duration(r.p99_ns) },
    {
      id: "calls",
      title: t("hidden.calls"),
      doc: t("hidden.calls.doc"),
      numeric: true,
      value: (r) => r.calls,
      cell: (r) => (r.calls > 1 ? number(r.calls) : "–"),
    },
    { id: "count", title: t("hidden.count"), numeric: true, value: (r) => r.count, cell: (r) => count(r.count) },
    {
      id: "trace",
      title: t("hidden.longest"),
      cell: (r) => <ExampleTrace id={r.exemplar} at={{ service: r.service, operation: r.operation }} />,
    },
  ];
  return (
    <Table
      caption={t("hidden.patterns")}
      columns={columns}
      rows={rows}
      rowKey={(r) =>
        [
          r.pattern,
          r.service,
          r.operation,
          r.span_kind,
          r.peer,
          r.caller_service,
          r.caller_operation,
          r.statement,
        ].join("|")
      }
      {...order}
      empty={<Nothing text={t("hidden.none")} />}
    />
  );
}
