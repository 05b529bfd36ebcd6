//! What hotspan tells about itself: logs, `/metrics`, and the status that the health page shows.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use collector::Stats;
use model::time::SECOND;
use model::{Clock, Ledger, Nanos, Signal};
use serde_json::{Value, json};
use storage::Store;

use crate::config::Config;
use crate::server::Addresses;

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

/// One place that can describe the whole server.
pub struct Health {
    config: Config,
    addresses: Addresses,
    store: Store,
    ledger: Arc<Ledger>,
    stats: Arc<Stats>,
    clock: Arc<dyn Clock>,
    started: Nanos,
    /// The reading that rates count from, and the one before it.
    readings: Mutex<(Reading, Reading)>,
}

impl Health {
    pub fn new(
        config: &Config,
        addresses: &Addresses,
        store: Store,
        ledger: Arc<Ledger>,
        stats: Arc<Stats>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let started = clock.now();
        let first = Reading { at: started, ..Reading::default() };
        let (config, addresses) = (config.clone(), addresses.clone());
        Health { config, addresses, store, ledger, stats, clock, started, readings: Mutex::new((first, first)) }
    }

    fn read(&self) -> Reading {
        let stored = Signal::ALL.map(|s| self.ledger.of(s).totals().stored);
        Reading { at: self.clock.now(), stored, exports: self.stats.exports_taken() }
    }

    fn reasons(&self) -> Vec<Value> {
        let (rejected, failed) = self.stats.reasons();
        let rows = |(signal, reason, count)| json!({"signal": signal, "outcome": "rejected", "reason": reason, "count": count, "unit": "rows"});
        let exports = |(reason, count)| json!({"signal": null, "outcome": "refused", "reason": reason, "count": count, "unit": "exports"});
        rejected.into_iter().map(rows).chain(failed.into_iter().map(exports)).collect()
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
        let store = self.store.stats();
        let ([spans, metrics, logs], exports) = self.rates();
        let now = self.clock.now();
        let mut ledger = serde_json::Map::new();
        for signal in Signal::ALL {
            ledger.insert(signal.table().to_owned(), json!(self.ledger.of(signal).totals()));
        }
        let oldest_s = store.oldest_received.map_or(0.0, |t| (now - t).max(0) as f64 / SECOND as f64);
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": rfc3339(self.started),
            "uptime_s": (now - self.started) as f64 / SECOND as f64,
            "ledger": ledger,
            "rates": {"spans_per_s": spans, "metrics_per_s": metrics, "logs_per_s": logs, "exports_per_s": exports},
            "export_latency_ns": {
                "p50": self.stats.latency_ns(0.5),
                "p90": self.stats.latency_ns(0.9),
                "p99": self.stats.latency_ns(0.99),
            },
            "wal": {
                "segments": store.wal.segments,
                "bytes": store.wal.bytes,
                "oldest_s": oldest_s,
                "queued_bytes": store.wal.queued_bytes,
                "fsyncs": store.wal.syncs,
                "fsync_max_ns": store.wal.sync_max.as_nanos() as u64,
            },
            "memory": {
                "rows": store.memory_rows,
                "bytes": store.memory_bytes,
                "limit": self.config.storage.memory_bytes,
                "backlog_rows": store.backlog_rows,
                "budget": self.config.memory,
            },
            "tables": store.tables,
            "in_flight_bytes": {
                "now": self.stats.in_flight_bytes(),
                "limit": self.config.collector.max_in_flight_bytes,
            },
            "reasons": self.reasons(),
            "process": process(),
            "disk": {"free_bytes": store.free_bytes, "total_bytes": store.total_bytes},
            "retention": {
                "age_s": self.config.storage.retention_seconds,
                "max_bytes": self.config.storage.retention_bytes,
            },
            "damage": store.damage,
            "endpoints": self.addresses,
            "insecure": self.config.insecure && self.config.access.is_open(),
        })
    }

    fn metrics(&self) -> String {
        let mut out = String::new();
        self.stats.write_prometheus(&mut out);
        write_ledger(&mut out, &self.ledger);
        write_store(&mut out, &self.store.stats());
        out
    }
}

fn rfc3339(nanos: Nanos) -> String {
    chrono::DateTime::from_timestamp_nanos(nanos).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn metric(out: &mut String, name: &str, kind: &str, help: &str, samples: &[(String, f64)]) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in samples {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

fn write_ledger(out: &mut String, ledger: &Ledger) {
    let mut samples = Vec::new();
    for signal in Signal::ALL {
        let t = ledger.of(signal).totals();
        let outcomes = [
            ("received", t.received),
            ("stored", t.stored),
            ("rejected", t.rejected),
            ("refused", t.refused),
            ("duplicates", t.duplicates),
            ("in_flight", t.in_flight),
        ];
        for (outcome, rows) in outcomes {
            samples.push((format!("{{table=\"{}\",account=\"{outcome}\"}}", signal.table()), rows as f64));
        }
    }
    let help = "Rows by account: received = stored + rejected + refused + duplicates + in_flight.";
    metric(out, "hotspan_ledger_rows", "gauge", help, &samples);
}

fn write_store(out: &mut String, stats: &storage::Stats) {
    let one = |value: u64| vec![(String::new(), value as f64)];
    metric(out, "hotspan_wal_bytes", "gauge", "Bytes of the write-ahead log on disk.", &one(stats.wal.bytes));
    metric(out, "hotspan_wal_segments", "gauge", "Segments of the write-ahead log.", &one(stats.wal.segments));
    metric(out, "hotspan_wal_queued_bytes", "gauge", "Bytes waiting to be synced.", &one(stats.wal.queued_bytes));
    metric(out, "hotspan_memory_rows", "gauge", "Rows not yet in a file.", &one(stats.memory_rows));
    let backlog = "Rows not yet in a file that are in the log only, because memory was full.";
    metric(out, "hotspan_backlog_rows", "gauge", backlog, &one(stats.backlog_rows));
    metric(out, "hotspan_memory_bytes", "gauge", "Bytes of rows not yet in a file.", &one(stats.memory_bytes));
    metric(out, "hotspan_disk_free_bytes", "gauge", "Free bytes of the data disk.", &one(stats.free_bytes));
    metric(out, "hotspan_damage", "gauge", "Damaged places found since start.", &one(stats.damage.len() as u64));
    let table = |value: fn(&storage::TableStats) -> u64| -> Vec<(String, f64)> {
        let sample =
            |t: &storage::TableStats| (format!("{{table=\"{}\",tenant=\"{}\"}}", t.name, t.tenant), value(t) as f64);
        stats.tables.iter().map(sample).collect()
    };
    metric(out, "hotspan_table_files", "gauge", "Data files of a table.", &table(|t| t.files));
    metric(out, "hotspan_table_rows", "gauge", "Rows of a table, memory included.", &table(|t| t.rows));
    metric(out, "hotspan_table_bytes", "gauge", "Bytes of a table's data files.", &table(|t| t.bytes));
    let process = process();
    let rss = process["rss_bytes"].as_u64().unwrap_or_default();
    metric(out, "hotspan_process_resident_bytes", "gauge", "Resident memory of the process.", &one(rss));
    let cpu = vec![(String::new(), process["cpu_seconds"].as_f64().unwrap_or_default())];
    metric(out, "hotspan_process_cpu_seconds_total", "counter", "CPU time of the process.", &cpu);
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

/// Ends tracing of hotspan itself when dropped: what is still queued is sent.
pub struct SelfTracing(Option<opentelemetry_sdk::trace::SdkTracerProvider>);

impl Drop for SelfTracing {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            // The endpoint may be this very server, which is gone by now.
            let _ = provider.shutdown_with_timeout(std::time::Duration::from_secs(2));
        }
    }
}

/// With `--self-endpoint`, hotspan sends spans of its queries and maintenance as any app would. Receiving an export
/// makes no span, so sending to itself cannot feed on itself.
pub fn start_tracing(config: &Config) -> Result<SelfTracing> {
    use opentelemetry_otlp::WithExportConfig;
    let Some(endpoint) = &config.self_endpoint else { return Ok(SelfTracing(None)) };
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = opentelemetry_sdk::Resource::builder()
        .with_service_name("hotspan")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", std::process::id().to_string()))
        .build();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    opentelemetry::global::set_tracer_provider(provider.clone());
    Ok(SelfTracing(Some(provider)))
}
