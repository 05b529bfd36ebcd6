// Every service with its rate, errors and durations.

import { Link } from "wouter";
import type { ServiceRow, ServicesAnswer } from "../api/types";
import { Sparkline } from "../charts/sparkline";
import { useText } from "../i18n";
import { count, duration, number, percent } from "../lib/format";
import { wholeTrend } from "../lib/series";
import { Panel } from "../parts/panel";
import { ServiceName } from "../parts/service-name";
import { type Column, ShareBar, Table } from "../parts/table";
import { useAnswer } from "../state/answers";
import { windowParams } from "../state/params";
import { useScope } from "../state/use-scope";
import { useOrder } from "../state/use-table";

export default function Services() {
  const { t } = useText();
  const { scope, link } = useScope();
  const order = useOrder({ column: "share", descending: true });
  const answer = useAnswer<ServicesAnswer>("services", windowParams(scope), { live: true });
  const trendOf = (trend: ServiceRow["trend"]) => (answer.data ? wholeTrend(trend, answer.data.meta) : null);
  const columns: Column<ServiceRow>[] = [
    {
      id: "service",
      title: t("col.service"),
      className: "wide",
      value: (s) => s.service,
      cell: (s) => (
        <Link href={link("/operations", { service: s.service })}>
          <ServiceName name={s.service} />
        </Link>
      ),
    },
    { id: "rate", title: t("col.rate"), numeric: true, value: (s) => s.rate, cell: (s) => `${number(s.rate)}/s` },
    { id: "trend", title: t("col.trend"), cell: (s) => <Sparkline values={trendOf(s.trend)} /> },
    {
      id: "errors",
      title: t("col.errors"),
      numeric: true,
      value: (s) => s.error_rate,
      cell: (s) => <span className={s.error_rate > 0.01 ? "bad-text" : undefined}>{percent(s.error_rate)}</span>,
    },
    { id: "p50", title: "p50", numeric: true, value: (s) => s.p50_ns, cell: (s) => duration(s.p50_ns) },
    { id: "p90", title: "p90", numeric: true, value: (s) => s.p90_ns, cell: (s) => duration(s.p90_ns) },
    { id: "p99", title: "p99", numeric: true, value: (s) => s.p99_ns, cell: (s) => duration(s.p99_ns) },
    {
      id: "share",
      title: t("col.criticalshare"),
      doc: t("col.criticalshare.doc"),
      value: (s) => s.critical_share,
      cell: (s) => <ShareBar share={s.critical_share} label={percent(s.critical_share)} />,
    },
    {
      id: "operations",
      title: t("col.operations"),
      numeric: true,
      value: (s) => s.operations,
      cell: (s) => count(s.operations),
    },
    {
      id: "instances",
      title: t("col.instances"),
      numeric: true,
      value: (s) => s.instances,
      cell: (s) => count(s.instances),
    },
  ];
  return (
    <div className="page">
      <h1>{t("page.services")}</h1>
      <Panel title={t("page.services")} note={t("services.note")} answer={answer} minHeight={240} flush timed>
        {answer.data && (
          <Table
            caption={t("page.services")}
            columns={columns}
            rows={answer.data.services}
            rowKey={(s) => s.service}
            {...order}
          />
        )}
      </Panel>
    </div>
  );
}
