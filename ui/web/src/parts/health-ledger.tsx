// The ledger: what came in equals what became of it, since the server started or since the store was made.

import type { LedgerTotals, StatusAnswer } from "../api/types";
import { useText } from "../i18n";
import { count, dateTime } from "../lib/format";
import { useScope } from "../state/use-scope";
import { Panel } from "./panel";
import { Segmented } from "./segmented";
import { Table } from "./table";

export function Ledger({ status }: { status: StatusAnswer }) {
  const { t } = useText();
  const { scope, change } = useScope();
  const whole = status.ledger_since_creation;
  const isWhole = whole !== undefined && scope.tab === "store";
  return (
    <Panel
      title={t("health.ledger")}
      note={
        isWhole ? t("health.ledger.store") : t("health.ledger.note", { time: dateTime(Date.parse(status.started_at)) })
      }
      actions={
        whole && (
          <Segmented
            name={t("health.ledger")}
            value={isWhole ? "store" : "start"}
            options={[
              { value: "start", label: t("health.since.start") },
              { value: "store", label: t("health.since.store") },
            ]}
            onChange={(tab) => change({ tab: tab === "store" ? "store" : "" }, { replace: true })}
          />
        )
      }
      flush
    >
      <Accounts ledger={isWhole ? whole : status.ledger} />
      <p className="equation mono">{t("health.equation")}</p>
    </Panel>
  );
}

const SIGNALS = ["spans", "metrics", "logs"] as const;

function Accounts({ ledger }: { ledger: StatusAnswer["ledger"] }) {
  const { t } = useText();
  const rows = SIGNALS.filter((signal) => ledger[signal]).map((signal) => ({ signal, ...ledger[signal] }));
  type Account = (typeof rows)[number];
  const figure = (id: keyof LedgerTotals, bad = false) => ({
    id,
    title: t(`ledger.${id}`),
    doc: t(`ledger.${id}.doc`),
    numeric: true,
    cell: (r: Account) => <span className={bad && r[id] > 0 ? "bad-text" : undefined}>{count(r[id])}</span>,
  });
  return (
    <Table
      caption={t("health.ledger")}
      rows={rows}
      rowKey={(r) => r.signal}
      columns={[
        {
          id: "signal",
          title: t("health.signal"),
          cell: (r) => <b>{t(`signal.${r.signal}`)}</b>,
        },
        figure("received"),
        figure("stored"),
        figure("rejected", true),
        figure("refused", true),
        figure("duplicates"),
        figure("in_flight"),
        { id: "balance", title: t("health.balance"), cell: (r) => <Balance totals={r} /> },
      ]}
    />
  );
}

function Balance({ totals: l }: { totals: LedgerTotals }) {
  const { t } = useText();
  const off = l.received - (l.stored + l.rejected + l.refused + l.duplicates + l.in_flight);
  return off === 0 ? (
    <span className="good-text">✓ {t("health.adds")}</span>
  ) : (
    <b className="bad-text">{t("health.off", { n: count(off) })}</b>
  );
}
