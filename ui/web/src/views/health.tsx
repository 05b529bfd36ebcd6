// Ingest health: the ledger that must add up, what was not kept and why, and how near the limits are.

import type { StatusAnswer } from "../api/types";
import { Sparkline } from "../charts/sparkline";
import { type Translate, useText } from "../i18n";
import { bytes, clockOrDate, count, duration, number } from "../lib/format";
import { useStatus } from "../parts/banners";
import { Budgets } from "../parts/health-budgets";
import { Ledger } from "../parts/health-ledger";
import { Panel } from "../parts/panel";
import { Table } from "../parts/table";
import { type Reading, readings } from "../state/status-history";

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
          {s.retention?.waits && <p className="hint">{t("health.retention.waits")}</p>}
          <Figures status={s} />
          <Ledger status={s} />
          <Reasons status={s} />
          <Budgets status={s} />
          <div className="two-columns">
            <Storage status={s} />
            <Process status={s} />
          </div>
        </>
      )}
    </div>
  );
}

interface Figure {
  name: string;
  text: string;
  beside?: string;
  /** Its course over the answers that this page has seen. */
  course?: (s: StatusAnswer) => number | null | undefined;
}

function Figures({ status: s }: { status: StatusAnswer }) {
  const { t } = useText();
  const history = readings.use().slice(-60);
  const cores = cpuShare(history);
  const figures: Figure[] = [
    {
      name: t("health.rate.spans"),
      text: `${number(s.rates.spans_per_s)}/s`,
      beside: t("health.rate.exports", { n: number(s.rates.exports_per_s) }),
      course: (x) => x.rates.spans_per_s,
    },
    {
      name: t("health.rate.metrics"),
      text: `${number(s.rates.metrics_per_s)}/s`,
      course: (x) => x.rates.metrics_per_s,
    },
    { name: t("health.rate.logs"), text: `${number(s.rates.logs_per_s)}/s`, course: (x) => x.rates.logs_per_s },
    {
      name: t("health.latency"),
      text: duration(s.export_latency_ns.p99),
      beside: `p50 ${duration(s.export_latency_ns.p50)}`,
      course: (x) => x.export_latency_ns.p99,
    },
    {
      name: t("health.backlog"),
      text: bytes(s.wal.bytes),
      beside: s.wal.oldest_s === null ? "" : t("health.backlog.age", { time: duration(s.wal.oldest_s * 1e9) }),
      course: (x) => x.wal.bytes,
    },
    {
      name: t("health.rss"),
      text: bytes(s.process.rss_bytes),
      beside: cores === null ? "" : t("health.cpu.now", { n: number(cores) }),
      course: (x) => x.process.rss_bytes,
    },
  ];
  return (
    <ul className="figures">
      {figures.map(({ name, text, beside, course }) => (
        <li key={name}>
          <p>{name}</p>
          <p className="figure">{text}</p>
          <p className="dim">{beside || "\u00a0"}</p>
          <div className="figure-course">
            {course && <Sparkline values={history.map((r) => course(r.status) ?? 0)} width={132} height={22} />}
          </div>
        </li>
      ))}
    </ul>
  );
}

/** Cores in use since the answer before the last one. */
function cpuShare(history: readonly Reading[]): number | null {
  const [from, to] = history.slice(-2);
  if (!from || !to) return null;
  const seconds = to.status.uptime_s - from.status.uptime_s;
  return seconds > 0 ? (to.status.process.cpu_seconds - from.status.process.cpu_seconds) / seconds : null;
}

function Reasons({ status: s }: { status: StatusAnswer }) {
  const { t, word } = useText();
  const hasTimes = s.reasons.some((r) => r.last_at);
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
          { id: "signal", title: t("health.signal"), cell: (r) => (r.signal ? word("signal", r.signal) : "–") },
          {
            id: "outcome",
            title: t("health.outcome"),
            cell: (r) => <span className="tag bad">{word("ledger", r.outcome)}</span>,
          },
          { id: "reason", title: t("health.reason"), cell: (r) => word("reason", r.reason), className: "wide" },
          ...(hasTimes
            ? [
                {
                  id: "last",
                  title: t("health.last"),
                  cell: (r: StatusAnswer["reasons"][number]) => (r.last_at ? clockOrDate(Date.parse(r.last_at)) : "–"),
                },
              ]
            : []),
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

/** How far the work behind an acknowledgement is behind, where the server tells it. */
function lags(s: StatusAnswer, t: Translate): [string, string][] {
  const found: [string, string][] = [];
  if (s.memory.backlog_rows != null) found.push([t("health.backlog.rows"), count(s.memory.backlog_rows)]);
  if (s.flush?.lag_s != null) found.push([t("health.flush"), duration(s.flush.lag_s * 1e9)]);
  if (s.compaction?.lag_s != null) found.push([t("health.compaction"), duration(s.compaction.lag_s * 1e9)]);
  if (s.compaction?.pending_files != null)
    found.push([t("health.compaction.files"), count(s.compaction.pending_files)]);
  return found;
}

function Process({ status: s }: { status: StatusAnswer }) {
  const { t } = useText();
  const facts: [string, string][] = [
    [t("health.wal"), t("health.wal.value", { bytes: bytes(s.wal.bytes), n: s.wal.segments })],
    [t("health.wal.oldest"), s.wal.oldest_s === null ? "–" : duration(s.wal.oldest_s * 1e9)],
    ...lags(s, t),
    [
      s.wal.fsync_p99_ns == null ? t("health.wal.fsyncmax") : t("health.wal.fsync"),
      duration(s.wal.fsync_p99_ns ?? s.wal.fsync_max_ns),
    ],
    [t("health.memory"), t("health.memory.value", { n: count(s.memory.rows), bytes: bytes(s.memory.bytes) })],
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
