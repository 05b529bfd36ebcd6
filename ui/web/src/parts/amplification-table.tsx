// Paths from an entry through services, by how many more calls one request causes at their end than at normal times. A row
// opens to its tiers.

import type { AmplificationRow, AmplificationTier } from "../api/hidden";
import { useText } from "../i18n";
import { count } from "../lib/format";
import { useOpenRow, useOrder } from "../state/use-table";
import { Before } from "./before";
import { ExampleTrace } from "./example-trace";
import { Nothing } from "./nothing";
import { OperationName } from "./operation-name";
import { RowDetail } from "./row-detail";
import { type Column, Table } from "./table";

export function AmplificationTable({ rows }: { rows: readonly AmplificationRow[] }) {
  const { t, word } = useText();
  const order = useOrder();
  const open = useOpenRow();
  const columns: Column<AmplificationRow>[] = [
    {
      id: "path",
      title: t("amplification.path"),
      className: "wide",
      value: (r) => r.path,
      cell: (r) => <OperationName service={r.entry_service} operation={r.entry_operation} below={way(r)} />,
    },
    {
      id: "verdict",
      title: t("amplification.verdict"),
      value: (r) => r.verdict,
      cell: (r) => <span className="tag">{word("amplification", r.verdict)}</span>,
    },
    {
      id: "calls",
      title: t("amplification.calls"),
      doc: t("amplification.calls.doc"),
      numeric: true,
      value: (r) => r.calls_per_request,
      cell: (r) => <Before now={times(r.calls_per_request)} before={before(r.baseline_calls_per_request)} />,
    },
    {
      id: "retries",
      title: t("amplification.retries"),
      doc: t("amplification.retries.doc"),
      numeric: true,
      value: (r) => r.retry_factor,
      cell: (r) => <Before now={times(r.retry_factor)} before={before(r.baseline_retry_factor)} />,
    },
    {
      id: "callee",
      title: t("amplification.callee"),
      doc: t("amplification.callee.doc"),
      numeric: true,
      value: (r) => r.callee_calls_per_request,
      cell: (r) => (
        <Before now={times(r.callee_calls_per_request)} before={before(r.baseline_callee_calls_per_request)} />
      ),
    },
    {
      id: "by",
      title: t("amplification.by"),
      value: (r) => r.multiplied_by,
      cell: (r) => (r.multiplied_by ? `${r.multiplied_by} → ${r.multiplied_calls_of}` : "–"),
    },
    {
      id: "most",
      title: t("amplification.most"),
      numeric: true,
      value: (r) => r.most,
      cell: (r) => count(r.most),
    },
    {
      id: "trace",
      title: t("hidden.example"),
      cell: (r) => <ExampleTrace id={r.exemplar} at={{ service: r.entry_service, operation: r.entry_operation }} />,
    },
  ];
  return (
    <Table
      caption={t("hidden.amplification")}
      columns={columns}
      rows={rows}
      rowKey={(r) => [r.entry_service, r.entry_operation, r.path, r.callee_type].join("|")}
      {...order}
      {...open}
      detail={(r) => (
        <RowDetail explanation={r.explanation} at={{ service: r.entry_service, operation: r.entry_operation }}>
          <Tiers tiers={r.tiers} />
        </RowDetail>
      )}
      empty={<Nothing text={t("amplification.none")} />}
    />
  );
}

function way(r: AmplificationRow): string {
  return r.tiers.map((tier) => `→ ${tier.to} ${times(tier.factor)}`).join(" ");
}

function Tiers({ tiers }: { tiers: readonly AmplificationTier[] }) {
  const { t } = useText();
  const columns: Column<AmplificationTier>[] = [
    { id: "tier", title: t("amplification.tier"), cell: (i) => `${i.from} → ${i.to}` },
    {
      id: "factor",
      title: t("amplification.factor"),
      doc: t("amplification.factor.doc"),
      numeric: true,
      cell: (i) => <Before now={times(i.factor)} before={before(i.baseline_factor)} />,
    },
    {
      id: "retries",
      title: t("amplification.retries"),
      doc: t("amplification.retries.doc"),
      numeric: true,
      cell: (i) => <Before now={times(i.retry_factor)} before={before(i.baseline_retry_factor)} />,
    },
  ];
  return (
    <Table caption={t("amplification.tiers")} columns={columns} rows={tiers} rowKey={(i) => `${i.from}|${i.to}`} />
  );
}

function times(factor: number | null): string {
  return factor === null ? "–" : `× ${factor >= 100 ? count(Math.round(factor)) : factor.toFixed(2)}`;
}

function before(factor: number | null): string | null {
  return factor === null ? null : times(factor);
}
