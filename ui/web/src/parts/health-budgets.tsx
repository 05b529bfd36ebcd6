// How near each limit of the server is, with its course while this page was open.

import type { StatusAnswer } from "../api/types";
import { Sparkline } from "../charts/sparkline";
import { useText } from "../i18n";
import { type Budget, budgetsOf, stateOf } from "../lib/budgets";
import { bytes, count, duration, percent } from "../lib/format";
import { readings } from "../state/status-history";
import { Panel } from "./panel";
import { ShareBar, Table } from "./table";

export function Budgets({ status }: { status: StatusAnswer }) {
  const { t } = useText();
  const history = readings.use().slice(-60);
  const course = (id: Budget["id"]) => history.map((r) => budgetsOf(r.status).find((b) => b.id === id)?.now ?? 0);
  return (
    <Panel title={t("health.budgets")} note={t("health.budgets.note")} flush>
      <Table
        caption={t("health.budgets")}
        rows={budgetsOf(status)}
        rowKey={(b) => b.id}
        columns={[
          {
            id: "name",
            title: t("health.what"),
            cell: (b) => t(`budget.${b.id}`),
          },
          { id: "now", title: t("health.now"), numeric: true, cell: (b) => figure(b, b.now) },
          {
            id: "limit",
            title: t("health.limit"),
            numeric: true,
            cell: (b) => (b.limit === null ? "–" : figure(b, b.limit)),
          },
          {
            id: "used",
            title: t("health.used"),
            cell: (b) => (b.limit ? <ShareBar share={b.now / b.limit} label={percent(b.now / b.limit)} /> : null),
          },
          { id: "trend", title: t("col.trend"), cell: (b) => <Sparkline values={course(b.id)} /> },
          {
            id: "state",
            title: t("health.state"),
            cell: (b) => {
              const state = stateOf(b);
              if (state === "near") return <span className="warn-text">▲ {t("budget.near")}</span>;
              return state === "reached" ? <b className="bad-text">■ {t("budget.reached")}</b> : null;
            },
          },
        ]}
      />
    </Panel>
  );
}

function figure(b: Budget, v: number): string {
  if (b.unit === "bytes") return bytes(v);
  return b.unit === "seconds" ? duration(v * 1e9) : count(v);
}
