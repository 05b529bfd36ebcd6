// Instances that differ from their siblings: the slower ones by the time lost, then those that fail more, then those that
// carry more of the load.

import type { SkewRow } from "../api/hidden";
import { useText } from "../i18n";
import { count, duration, number, percent } from "../lib/format";
import { useOpenRow, useOrder } from "../state/use-table";
import { ExampleTrace } from "./example-trace";
import { OperationName, peerOf } from "./operation-name";
import { RowDetail } from "./row-detail";
import { type Column, Table } from "./table";

export function InstanceSkewTable({ rows }: { rows: readonly SkewRow[] }) {
  const { t, word } = useText();
  const order = useOrder();
  const open = useOpenRow();
  const columns: Column<SkewRow>[] = [
    {
      id: "kind",
      title: t("skew.kind"),
      value: (r) => r.kind,
      cell: (r) => (
        <span className="tag" title={t(`skew.${r.kind}.doc`)}>
          {word("skew", r.kind)}
        </span>
      ),
    },
    {
      id: "instance",
      title: t("col.instance"),
      value: (r) => r.instance,
      cell: (r) => (
        <span className="two-lines">
          <b>{r.instance}</b>
          <span className="dim">{t("skew.of", { n: count(r.instances) })}</span>
        </span>
      ),
    },
    {
      id: "operation",
      title: t("col.operation"),
      className: "wide",
      value: (r) => `${r.service} ${r.operation}`,
      cell: (r) => <OperationName service={r.service} operation={r.operation} below={peerOf(r)} />,
    },
    {
      id: "lost",
      title: t("skew.lost"),
      doc: t("skew.lost.doc"),
      numeric: true,
      value: (r) => r.lost_ns_per_minute,
      cell: (r) => duration(r.lost_ns_per_minute),
    },
    {
      id: "ratio",
      title: t("skew.ratio"),
      doc: t("skew.ratio.doc"),
      numeric: true,
      value: (r) => r.ratio,
      cell: (r) => (r.ratio === null ? "–" : `× ${number(r.ratio)}`),
    },
    {
      id: "mean",
      title: t("metrics.mean"),
      doc: t("skew.mean.doc"),
      numeric: true,
      value: (r) => r.mean_ns,
      cell: (r) => (
        <Beside own={duration(r.mean_ns)} siblings={duration(r.siblings_mean_ns)} rose={r.kind === "slow"} />
      ),
    },
    {
      id: "p50",
      title: "p50",
      numeric: true,
      value: (r) => r.p50_ns,
      cell: (r) => <Beside own={duration(r.p50_ns)} siblings={duration(r.siblings_p50_ns)} />,
    },
    {
      id: "p99",
      title: "p99",
      numeric: true,
      value: (r) => r.p99_ns,
      cell: (r) => <Beside own={duration(r.p99_ns)} siblings={duration(r.siblings_p99_ns)} />,
    },
    {
      id: "errors",
      title: t("skew.errorrate"),
      numeric: true,
      value: (r) => r.error_rate,
      cell: (r) => (
        <Beside own={percent(r.error_rate)} siblings={percent(r.siblings_error_rate)} rose={r.kind === "errors"} />
      ),
    },
    {
      id: "load",
      title: t("skew.share"),
      numeric: true,
      value: (r) => r.share_of_calls,
      cell: (r) => (
        <Beside
          own={percent(r.share_of_calls)}
          siblings={percent(r.siblings_share_of_calls)}
          rose={r.kind === "load"}
        />
      ),
    },
    {
      id: "calls",
      title: t("map.count"),
      numeric: true,
      value: (r) => r.calls,
      cell: (r) => count(r.calls),
    },
    {
      id: "trace",
      title: t("hidden.longest"),
      cell: (r) => <ExampleTrace id={r.exemplar} at={{ service: r.service, operation: r.operation }} />,
    },
  ];
  return (
    <Table
      caption={t("hidden.instances")}
      columns={columns}
      rows={rows}
      rowKey={(r) => [r.kind, r.service, r.operation, r.span_kind, r.peer, r.instance].join("|")}
      {...order}
      {...open}
      detail={(r) => (
        <RowDetail
          explanation={r.explanation}
          at={{ service: r.service, operation: r.operation, kind: r.span_kind, instance: r.instance }}
        />
      )}
    />
  );
}

/** A figure over that of the siblings. */
function Beside({ own, siblings, rose }: { own: string; siblings: string; rose?: boolean }) {
  const { t } = useText();
  return (
    <span className="two-lines">
      <span className={rose ? "rose" : undefined}>{own}</span>
      <span className="dim">{t("skew.siblings", { value: siblings })}</span>
    </span>
  );
}
