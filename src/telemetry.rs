//! What hotspan tells about itself: logs, `/metrics`, and the status that the health page shows.

mod measures;
mod own;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use collector::Stats;
use model::ledger::{Account, Totals};
use model::time::{SECOND, to_rfc3339};
use model::{Clock, Ledger, Nanos, Signal};
use serde_json::{Value, json};
use storage::Store;

pub use own::{Own, step};

use crate::config::Config;
use crate::server::Addresses;
use measures::Measure;

/// Logs to standard error, filtered by `--log`.
pub fn start_logging(filter: &str) -> Result<()> {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_new(filter)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}

/// Rates are taken between two readings at least this far apart.
const RATE_WINDOW: Nanos = SECOND;

/// Cumulative counts at one moment, to make rates of.
#[derive(Clone, Copy, Default)]
struct Reading {
    at: Nanos,
    stored: [u64; 3],
    exports: u64,
}

/// Whom to ask.
pub struct Parts {
    pub store: Store,
    pub engine: Arc<query::Engine>,
    pub ledger: Arc<Ledger>,
    pub stats: Arc<Stats>,
    pub clock: Arc<dyn Clock>,
}

/// One place that can describe the whole server.
pub struct Health {
    config: Config,
    addresses: Addresses,
    parts: Parts,
    started: Nanos,
    /// The reading that rates count from, and the one before it.
    readings: Mutex<(Reading, Reading)>,
}

impl Health {
    pub fn new(config: &Config, addresses: &Addresses, parts: Parts) -> Self {
        let started = parts.clock.now();
        let first = Reading { at: started, ..Reading::default() };
        let (config, addresses) = (config.clone(), addresses.clone());
        Health { config, addresses, parts, started, readings: Mutex::new((first, first)) }
    }

    fn read(&self) -> Reading {
        let stored = Signal::ALL.map(|s| self.parts.ledger.of(s).totals().stored);
        Reading { at: self.parts.clock.now(), stored, exports: self.parts.stats.exports_taken() }
    }

    fn reasons(&self) -> Vec<Value> {
        let (rejected, failed) = self.parts.stats.reasons();
        let rows = |(signal, reason, count)| json!({"signal": signal, "outcome": "rejected", "reason": reason, "count": count, "unit": "rows"});
        let exports = |(outcome, reason, count)| json!({"signal": null, "outcome": outcome, "reason": reason, "count": count, "unit": "exports"});
        rejected.into_iter().map(rows).chain(failed.into_iter().map(exports)).collect()
    }

    /// The figures that are the same in `/metrics` and over OTLP.
    fn measures(&self) -> Vec<Measure> {
        let mut all = Vec::from(measures::ledger(&self.parts.ledger));
        let refusing = self.parts.store.refusing().is_some();
        let (stats, now) = (self.parts.store.stats(), self.parts.clock.now());
        all.extend(measures::store(&stats, &self.config.storage, now, refusing));
        all.extend(measures::queries(&self.parts.engine.load()));
        all.extend(measures::process(&process()));
        all
    }

    /// Rows of each signal and exports, per second, over the last second or more.
    fn rates(&self) -> ([f64; 3], f64) {
        let now = self.read();
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        if now.at - readings.1.at >= RATE_WINDOW {
            *readings = (readings.1, now);
        }
        let (from, _) = *readings;
        let seconds = ((now.at - from.at) as f64 / SECOND as f64).max(1e-3);
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
        let stored = [0, 1, 2].map(|i| rate(now.stored[i], from.stored[i]));
        (stored, rate(now.exports, from.exports))
    }
}

impl ui::Health for Health {
    fn status(&self) -> Value {
        let store = self.parts.store.stats();
        let ([spans, metrics, logs], exports) = self.rates();
        let now = self.parts.clock.now();
        let accounts = |totals: fn(&Account) -> Totals| -> serde_json::Map<String, Value> {
            Signal::ALL.map(|s| (s.table().to_owned(), json!(totals(self.parts.ledger.of(s))))).into_iter().collect()
        };
        let seconds = |nanos: Nanos| nanos.max(0) as f64 / SECOND as f64;
        let waiting = store.oldest_received.map_or(0, |t| now - t);
        let unmerged = store.unmerged.since.map_or(0, |t| now - t);
        let queries = self.parts.engine.load();
        let ended: serde_json::Map<String, Value> =
            query::OUTCOMES.iter().zip(queries.ended).map(|(name, n)| ((*name).to_owned(), json!(n))).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": to_rfc3339(self.started),
            "uptime_s": (now - self.started) as f64 / SECOND as f64,
            "ledger": accounts(Account::totals),
            "ledger_since_creation": accounts(Account::since_creation),
            "refusing": self.parts.store.refusing(),
            "rates": {"spans_per_s": spans, "metrics_per_s": metrics, "logs_per_s": logs, "exports_per_s": exports},
            "export_latency_ns": {
                "p50": self.parts.stats.latency_ns(0.5),
                "p90": self.parts.stats.latency_ns(0.9),
                "p99": self.parts.stats.latency_ns(0.99),
            },
            "wal": {
                "segments": store.wal.segments,
                "bytes": store.wal.bytes,
                "oldest_s": seconds(waiting),
                "limit": self.config.storage.wal_bytes,
                "queued_bytes": store.wal.queued_bytes,
                "fsyncs": store.wal.syncs,
                "fsync_max_ns": store.wal.sync_max.as_nanos() as u64,
            },
            "flush": {"lag_s": seconds(waiting.saturating_sub(store.hold))},
            "compaction": {"lag_s": seconds(unmerged), "pending_files": store.unmerged.files},
            "queries": {
                "running": queries.running,
                "queued": queries.queued,
                "limit": queries.most_running,
                "queue_limit": queries.most_queued,
                "ended": ended,
            },
            "memory": {
                "rows": store.memory_rows,
                "bytes": store.memory_bytes,
                "limit": self.config.storage.memory_bytes,
                "pinned_bytes": store.pinned_bytes,
                "backlog_rows": store.backlog_rows,
                "budget": self.config.memory,
            },
            "tables": store.tables,
            "in_flight_bytes": {
                "now": self.parts.stats.in_flight_bytes(),
                "limit": self.config.collector.max_in_flight_bytes,
            },
            "reasons": self.reasons(),
            "process": process(),
            "disk": {"free_bytes": store.free_bytes, "total_bytes": store.total_bytes},
            "retention": {
                "age_s": self.config.storage.retention_seconds,
                "max_bytes": self.config.storage.retention_bytes,
                "waits": store.retention_waits,
            },
            "damage": store.damage,
            "endpoints": self.addresses,
            "insecure": self.config.insecure && self.config.access.is_open(),
        })
    }

    fn metrics(&self) -> String {
        let mut out = String::new();
        self.parts.stats.write_prometheus(&mut out);
        for measure in self.measures() {
            measure.write(&mut out);
        }
        out
    }
}

/// Memory, CPU time, open files and threads of this process, from /proc; zero where that is not to be had.
pub fn process() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |key: &str| -> u64 {
        let line = status.lines().find(|l| l.starts_with(key));
        line.and_then(|l| l.split_whitespace().nth(1)).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields are counted after the command's closing parenthesis: utime and stime are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<u64>().ok()).sum();
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    json!({
        "rss_bytes": number("VmRSS:") * 1024,
        "peak_rss_bytes": number("VmHWM:") * 1024,
        "cpu_seconds": ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        "open_fds": files,
        "threads": number("Threads:"),
    })
}
