// Entry operations by what counting from the intended start adds to their latency.

import type { OmissionEntry } from "../api/hidden";
import { useText } from "../i18n";
import { count, duration, percent } from "../lib/format";
import { useOpenRow, useOrder } from "../state/use-table";
import { ExampleTrace } from "./example-trace";
import { Nothing } from "./nothing";
import { OperationName } from "./operation-name";
import { RowDetail } from "./row-detail";
import { type Column, Table } from "./table";

export function OmissionTable({ rows }: { rows: readonly OmissionEntry[] }) {
  const { t, word } = useText();
  const order = useOrder();
  const open = useOpenRow();
  const columns: Column<OmissionEntry>[] = [
    {
      id: "operation",
      title: t("omission.entry"),
      className: "wide",
      value: (r) => `${r.service} ${r.operation}`,
      cell: (r) => (
        <OperationName
          service={r.service}
          operation={r.operation}
          below={r.carried_by && t(`omission.by.${r.carried_by}`)}
        />
      ),
    },
    {
      id: "requests",
      title: t("col.requests"),
      numeric: true,
      value: (r) => r.requests,
      cell: (r) => (
        <span className="two-lines">
          <span>{count(r.requests)}</span>
          <span className="dim">{t("omission.with", { n: count(r.with_intended_start) })}</span>
        </span>
      ),
    },
    {
      id: "p50",
      title: "p50",
      numeric: true,
      value: (r) => r.p50_intended_ns ?? r.p50_ns,
      cell: (r) => <FromBoth intended={r.p50_intended_ns} start={r.p50_ns} />,
    },
    {
      id: "p99",
      title: "p99",
      doc: t("omission.p99.doc"),
      numeric: true,
      value: (r) => r.p99_intended_ns ?? r.p99_ns,
      cell: (r) => <FromBoth intended={r.p99_intended_ns} start={r.p99_ns} />,
    },
    {
      id: "hidden",
      title: t("omission.hidden"),
      doc: t("omission.hidden.doc"),
      numeric: true,
      value: hidden,
      cell: (r) => duration(hidden(r)),
    },
    {
      id: "worst",
      title: t("omission.worst"),
      numeric: true,
      value: (r) => r.worst_delay_ns,
      cell: (r) => duration(r.worst_delay_ns),
    },
    {
      id: "late",
      title: t("omission.late"),
      doc: t("omission.late.doc"),
      numeric: true,
      value: (r) => r.late_share,
      cell: (r) => percent(r.late_share),
    },
    {
      id: "loop",
      title: t("omission.loop"),
      doc: t("omission.loop.doc"),
      value: (r) => loop(r),
      cell: (r) => <span className={r.closed_loop_suspected ? "tag bad" : "dim"}>{word("omissionloop", loop(r))}</span>,
    },
    {
      id: "trace",
      title: t("hidden.longest"),
      cell: (r) =>
        r.exemplar ? <ExampleTrace id={r.exemplar} at={{ service: r.service, operation: r.operation }} /> : "–",
    },
  ];
  return (
    <Table
      caption={t("hidden.omission")}
      columns={columns}
      rows={rows}
      rowKey={(r) => `${r.service}|${r.operation}`}
      {...order}
      {...open}
      detail={(r) => <RowDetail explanation={r.explanation} at={{ service: r.service, operation: r.operation }} />}
      empty={<Nothing text={t("omission.none")} />}
    />
  );
}

/** What counting from the intended start adds to the p99. */
function hidden(r: OmissionEntry): number | null {
  return r.p99_intended_ns === null || r.p99_ns === null ? null : r.p99_intended_ns - r.p99_ns;
}

function loop(r: OmissionEntry): "suspected" | "open" | "unknown" {
  if (r.closed_loop_suspected === null) return "unknown";
  return r.closed_loop_suspected ? "suspected" : "open";
}

/** Latency from the intended start over that from the start; only the latter where the former is not known. */
function FromBoth({ intended, start }: { intended: number | null; start: number | null }) {
  const { t } = useText();
  if (intended === null) return duration(start);
  return (
    <span className="two-lines">
      <span>{duration(intended)}</span>
      <span className="dim">{t("omission.fromstart", { value: duration(start) })}</span>
    </span>
  );
}
