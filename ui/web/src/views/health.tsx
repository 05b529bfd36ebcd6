// Ingest health: the ledger that must add up, what was not kept and why, and how near the limits are.

import type { LedgerTotals, StatusAnswer } from "../api/types";
import { useText } from "../i18n";
import { bytes, count, dateTime, duration, number, percent } from "../lib/format";
import { useStatus } from "../parts/banners";
import { Panel } from "../parts/panel";
import { Table } from "../parts/table";

export default function Health() {
  const { t } = useText();
  const answer = useStatus();
  const s = answer.data;
  return (
    <div className="page">
      <h1>{t("page.health")}</h1>
      {!s ? (
        <Panel title={t("health.ledger")} answer={answer} minHeight={200}>
          {null}
        </Panel>
      ) : (
        <>
          {answer.error && <p className="hint">{t("health.stale")}</p>}
          <Figures status={s} />
          <Panel
            title={t("health.ledger")}
            note={t("health.ledger.note", { time: dateTime(Date.parse(s.started_at)) })}
            flush
          >
            <Ledger ledger={s.ledger} />
            <p className="equation mono">{t("health.equation")}</p>
          </Panel>
          <Reasons status={s} />
          <div className="two-columns">
            <Storage status={s} />
            <Process status={s} />
          </div>
        </>
      )}
    </div>
  );
}

function Figures({ status: s }: { status: StatusAnswer }) {
  const { t } = useText();
  const figures: [string, string, string][] = [
    [
      t("health.rate.spans"),
      `${number(s.rates.spans_per_s)}/s`,
      t("health.rate.exports", { n: number(s.rates.exports_per_s) }),
    ],
    [t("health.rate.metrics"), `${number(s.rates.metrics_per_s)}/s`, ""],
    [t("health.rate.logs"), `${number(s.rates.logs_per_s)}/s`, ""],
    [t("health.latency"), duration(s.export_latency_ns.p99), `p50 ${duration(s.export_latency_ns.p50)}`],
    [
      t("health.inflight"),
      percent(s.in_flight_bytes.limit > 0 ? s.in_flight_bytes.now / s.in_flight_bytes.limit : 0),
      `${bytes(s.in_flight_bytes.now)} / ${bytes(s.in_flight_bytes.limit)}`,
    ],
    [t("health.disk"), bytes(s.disk.free_bytes), `/ ${bytes(s.disk.total_bytes)}`],
  ];
  return (
    <ul className="figures">
      {figures.map(([name, figure, beside]) => (
        <li key={name}>
          <p>{name}</p>
          <p className="figure">{figure}</p>
          <p className="dim">{beside || "\u00a0"}</p>
        </li>
      ))}
    </ul>
  );
}

function Ledger({ ledger }: { ledger: StatusAnswer["ledger"] }) {
  const { t } = useText();
  const rows = (Object.entries(ledger) as [string, LedgerTotals][]).map(([signal, totals]) => ({ signal, ...totals }));
  type LedgerRow = (typeof rows)[number];
  const figure = (id: keyof LedgerTotals, bad = false) => ({
    id,
    title: t(`ledger.${id}`),
    doc: t(`ledger.${id}.doc`),
    numeric: true,
    cell: (r: LedgerRow) => <span className={bad && r[id] > 0 ? "bad-text" : undefined}>{count(r[id])}</span>,
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
          cell: (r) => <b>{t(`signal.${r.signal as "spans" | "metrics" | "logs"}`)}</b>,
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

function Reasons({ status: s }: { status: StatusAnswer }) {
  const { t } = useText();
  return (
    <Panel title={t("health.reasons")} note={t("health.reasons.note")} flush>
      {s.damage.length > 0 && (
        <div className="pad">
          {s.damage.map((d) => (
            <p className="bad-text" key={d}>
              {d}
            </p>
          ))}
        </div>
      )}
      <Table
        caption={t("health.reasons")}
        rows={s.reasons.filter((r) => r.count > 0)}
        rowKey={(r) => `${r.signal}${r.outcome}${r.reason}`}
        empty={t("health.reasons.none")}
        columns={[
          { id: "signal", title: t("health.signal"), cell: (r) => r.signal ?? "–" },
          { id: "outcome", title: t("health.outcome"), cell: (r) => <span className="tag bad">{r.outcome}</span> },
          { id: "reason", title: t("health.reason"), cell: (r) => r.reason, className: "wide" },
          {
            id: "count",
            title: t("col.count"),
            numeric: true,
            cell: (r) => (r.unit === "exports" ? t("health.exports", { n: count(r.count) }) : count(r.count)),
          },
        ]}
      />
    </Panel>
  );
}

function Storage({ status: s }: { status: StatusAnswer }) {
  const { t } = useText();
  return (
    <Panel title={t("health.storage")} flush>
      <Table
        caption={t("health.storage")}
        rows={s.tables}
        rowKey={(r) => `${r.tenant}/${r.name}`}
        columns={[
          { id: "name", title: t("health.table"), cell: (r) => <span className="mono">{r.name}</span> },
          { id: "tenant", title: t("health.tenant"), cell: (r) => r.tenant },
          { id: "rows", title: t("health.rows"), numeric: true, cell: (r) => count(r.rows) },
          { id: "files", title: t("health.files"), numeric: true, cell: (r) => count(r.files) },
          { id: "bytes", title: t("health.size"), numeric: true, cell: (r) => bytes(r.bytes) },
          {
            id: "per",
            title: t("health.perrow"),
            numeric: true,
            cell: (r) => (r.rows > 0 ? `${number(r.bytes / r.rows)} B` : "–"),
          },
          { id: "version", title: t("health.version"), numeric: true, cell: (r) => r.version },
        ]}
      />
    </Panel>
  );
}

function Process({ status: s }: { status: StatusAnswer }) {
  const { t } = useText();
  const facts: [string, string][] = [
    [t("health.wal"), t("health.wal.value", { bytes: bytes(s.wal.bytes), n: s.wal.segments })],
    [t("health.wal.oldest"), s.wal.oldest_s === null ? "–" : duration(s.wal.oldest_s * 1e9)],
    [
      s.wal.fsync_p99_ns == null ? t("health.wal.fsyncmax") : t("health.wal.fsync"),
      duration(s.wal.fsync_p99_ns ?? s.wal.fsync_max_ns),
    ],
    [t("health.memory"), t("health.memory.value", { n: count(s.memory.rows), bytes: bytes(s.memory.bytes) })],
    [t("health.rss"), bytes(s.process.rss_bytes)],
    [t("health.cpu"), duration(s.process.cpu_seconds * 1e9)],
    [t("health.fds"), `${count(s.process.open_fds)} · ${count(s.process.threads)}`],
    [
      t("health.retention"),
      [
        s.retention.age_s ? duration(s.retention.age_s * 1e9) : "",
        s.retention.max_bytes ? bytes(s.retention.max_bytes) : "",
      ]
        .filter(Boolean)
        .join(" · ") || "–",
    ],
    ["OTLP/gRPC", s.endpoints.otlp_grpc ?? t("firstrun.off")],
    ["OTLP/HTTP", s.endpoints.otlp_http ?? t("firstrun.off")],
    ["PostgreSQL", s.endpoints.pg ?? t("firstrun.off")],
    [t("health.uptime"), `${duration(s.uptime_s * 1e9)} · ${s.version}`],
  ];
  return (
    <Panel title={t("health.process")}>
      <dl className="facts wide-facts">
        {facts.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
