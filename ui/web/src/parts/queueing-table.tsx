// Pairs of services by how much longer callers wait than they are served, at low and at high load. A row opens to the gap
// against the load.

import type { QueueingRow } from "../api/hidden";
import { GapChart } from "../charts/gap-chart";
import { useText } from "../i18n";
import { count, duration, number } from "../lib/format";
import { useOpenRow, useOrder } from "../state/use-table";
import { ExampleTrace } from "./example-trace";
import { Nothing } from "./nothing";
import { RowDetail } from "./row-detail";
import { ServiceName } from "./service-name";
import { type Column, Table } from "./table";

export function QueueingTable({ rows }: { rows: readonly QueueingRow[] }) {
  const { t, word, lang } = useText();
  const order = useOrder();
  const open = useOpenRow();
  const columns: Column<QueueingRow>[] = [
    {
      id: "edge",
      title: t("queueing.edge"),
      className: "wide",
      value: (r) => `${r.caller_service} ${r.service}`,
      cell: (r) => (
        <span>
          <ServiceName name={r.caller_service} /> → <ServiceName name={r.service} />
        </span>
      ),
    },
    {
      id: "verdict",
      title: t("queueing.verdict"),
      value: (r) => r.verdict,
      cell: (r) => <span className="tag">{word("queueing", r.verdict)}</span>,
    },
    {
      id: "busy",
      title: t("queueing.busy"),
      doc: t("queueing.mean.doc"),
      numeric: true,
      value: (r) => r.busy_mean_ns,
      cell: (r) => <At ns={r.busy_mean_ns} rate={r.busy_rate} />,
    },
    {
      id: "quiet",
      title: t("queueing.quiet"),
      doc: t("queueing.mean.doc"),
      numeric: true,
      value: (r) => r.quiet_mean_ns,
      cell: (r) => <At ns={r.quiet_mean_ns} rate={r.quiet_rate} />,
    },
    {
      id: "p50",
      title: "p50",
      numeric: true,
      value: (r) => r.busy_p50_ns,
      cell: (r) => <Beside now={r.busy_p50_ns} quiet={r.quiet_p50_ns} />,
    },
    {
      id: "p99",
      title: "p99",
      numeric: true,
      value: (r) => r.busy_p99_ns,
      cell: (r) => <Beside now={r.busy_p99_ns} quiet={r.quiet_p99_ns} />,
    },
    {
      id: "from",
      title: t("queueing.from"),
      doc: t("queueing.from.doc"),
      numeric: true,
      value: (r) => r.grows_from_rate,
      cell: (r) => (r.grows_from_rate === null ? "–" : `${number(r.grows_from_rate)}/s`),
    },
    { id: "calls", title: t("hidden.calls"), numeric: true, value: (r) => r.calls, cell: (r) => count(r.calls) },
    {
      id: "trace",
      title: t("hidden.longest"),
      cell: (r) => <ExampleTrace id={r.exemplar} at={{ service: r.service, operation: r.exemplar_operation }} />,
    },
  ];
  return (
    <Table
      caption={t("hidden.queueing")}
      columns={columns}
      rows={rows}
      rowKey={(r) => [r.caller_service, r.service].join("|")}
      {...order}
      {...open}
      detail={(r) => (
        <RowDetail explanation={r.explanation} at={{ service: r.service, kind: "SERVER" }}>
          {r.loads.length > 1 && <GapChart row={r} summary={r.explanation[lang]} />}
        </RowDetail>
      )}
      empty={<Nothing text={t("queueing.none")} />}
    />
  );
}

/** A time with the load at which it was seen. */
function At({ ns, rate }: { ns: number | null; rate: number | null }) {
  const { t } = useText();
  return (
    <span className="two-lines">
      <span>{duration(ns)}</span>
      {rate !== null && <span className="dim">{t("queueing.at", { value: `${number(rate)}/s` })}</span>}
    </span>
  );
}

function Beside({ now, quiet }: { now: number | null; quiet: number | null }) {
  const { t } = useText();
  return (
    <span className="two-lines">
      <span>{duration(now)}</span>
      {quiet !== null && <span className="dim">{t("queueing.wasquiet", { value: duration(quiet) })}</span>}
    </span>
  );
}
