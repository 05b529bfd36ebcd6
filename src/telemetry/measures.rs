//! The figures that the program has of itself: one list, told as `/metrics` in Prometheus' text format and, with
//! `--self-endpoint`, as OTLP metrics. The collector's counters are its own and are only in `/metrics`.

use std::fmt::Write;

use model::{Ledger, Nanos, Signal};
use query::{Load, OUTCOMES};
use storage::{Settings, Stats, TableStats};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Gauge,
    /// Only grows, until the process ends.
    Counter,
}

/// One metric with a sample for each set of labels.
pub struct Measure {
    pub name: &'static str,
    pub form: Form,
    pub help: &'static str,
    pub samples: Samples,
}

/// Labels and the value.
pub type Samples = Vec<(Vec<(&'static str, String)>, f64)>;

impl Measure {
    fn one(name: &'static str, help: &'static str, value: f64) -> Self {
        Measure { name, form: Form::Gauge, help, samples: vec![(Vec::new(), value)] }
    }

    fn counter(name: &'static str, help: &'static str, value: f64) -> Self {
        Measure { form: Form::Counter, ..Measure::one(name, help, value) }
    }

    pub fn write(&self, out: &mut String) {
        let Measure { name, form, help, samples } = self;
        let form = match form {
            Form::Gauge => "gauge",
            Form::Counter => "counter",
        };
        // Writing into a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {form}");
        for (labels, value) in samples {
            let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
            let labels = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    }
}

/// Rows by account since the start, and since the store was made.
pub fn ledger(ledger: &Ledger) -> [Measure; 2] {
    let samples = |totals: fn(&model::ledger::Account) -> model::ledger::Totals| {
        let mut samples = Vec::new();
        for signal in Signal::ALL {
            let t = totals(ledger.of(signal));
            let accounts = [
                ("received", t.received),
                ("stored", t.stored),
                ("rejected", t.rejected),
                ("refused", t.refused),
                ("duplicates", t.duplicates),
                ("in_flight", t.in_flight),
            ];
            let labelled = |(account, rows): (&str, u64)| {
                (vec![("table", signal.table().to_owned()), ("account", account.to_owned())], rows as f64)
            };
            samples.extend(accounts.map(labelled));
        }
        samples
    };
    [
        Measure {
            name: "hotspan_ledger_rows",
            form: Form::Gauge,
            help: "Rows by account since the start: received = stored + rejected + refused + duplicates + in_flight.",
            samples: samples(model::ledger::Account::totals),
        },
        Measure {
            name: "hotspan_ledger_rows_since_creation",
            form: Form::Gauge,
            help: "Rows by account since the store was made.",
            samples: samples(model::ledger::Account::since_creation),
        },
    ]
}

/// The store's sizes and their limits. `refusing` says whether exports are refused now.
pub fn store(stats: &Stats, settings: &Settings, now: Nanos, refusing: bool) -> Vec<Measure> {
    let waiting = stats.oldest_received.map_or(0, |received| (now - received).max(0));
    let one = |name, help, value: u64| Measure::one(name, help, value as f64);
    let table = |name, help, value: fn(&TableStats) -> u64| {
        let sample =
            |t: &TableStats| (vec![("table", t.name.to_owned()), ("tenant", t.tenant.clone())], value(t) as f64);
        Measure { name, form: Form::Gauge, help, samples: stats.tables.iter().map(sample).collect() }
    };
    let sync_max = stats.wal.sync_max.as_secs_f64();
    vec![
        one(
            "hotspan_refusing",
            "1 while exports are refused: a disk has little or no space, or the write-ahead log is full or has stopped.",
            u64::from(refusing),
        ),
        one(
            "hotspan_retention_waits",
            "1 while nothing is deleted for its age, since the clock is doubted; an hour at most.",
            u64::from(stats.retention_waits.is_some()),
        ),
        one("hotspan_wal_bytes", "Bytes of the write-ahead log on disk.", stats.wal.bytes),
        one(
            "hotspan_wal_bytes_limit",
            "Bytes of the write-ahead log from which on exports are refused.",
            settings.wal_bytes,
        ),
        one("hotspan_wal_segments", "Segments of the write-ahead log.", stats.wal.segments),
        one(
            "hotspan_wal_spare_bytes",
            "Bytes of files that are kept for further segments of the write-ahead log.",
            stats.wal.spare_bytes,
        ),
        one("hotspan_wal_queued_bytes", "Bytes waiting to be synced.", stats.wal.queued_bytes),
        one(
            "hotspan_wal_failed",
            "1 when the write-ahead log has stopped for good.",
            stats.wal.failed.is_some().into(),
        ),
        Measure::counter("hotspan_wal_syncs_total", "Syncs of the write-ahead log.", stats.wal.syncs as f64),
        Measure::counter(
            "hotspan_wal_sync_seconds_total",
            "Time spent in these syncs.",
            stats.wal.sync_sum.as_secs_f64(),
        ),
        Measure::one("hotspan_wal_sync_max_seconds", "The longest of these syncs.", sync_max),
        Measure::counter(
            "hotspan_wal_failed_groups_total",
            "Groups of exports that could not be written to the log.",
            stats.wal.failed_groups as f64,
        ),
        Measure::one("hotspan_unwritten_seconds", "Age of the oldest row not yet in a file.", waiting as f64 / 1e9),
        one("hotspan_memory_rows", "Rows not yet in a file.", stats.memory_rows),
        one(
            "hotspan_backlog_rows",
            "Rows not yet in a file that are in the log only, because memory was full.",
            stats.backlog_rows,
        ),
        one("hotspan_memory_bytes", "Bytes of rows not yet in a file.", stats.memory_bytes),
        one("hotspan_memory_bytes_limit", "Beyond it rows wait in the log only.", settings.memory_bytes),
        one(
            "hotspan_pinned_bytes",
            "Bytes of rows that are in files by now and that questions or merges still have in memory.",
            stats.pinned_bytes,
        ),
        Measure::one(
            "hotspan_flush_lag_seconds",
            "How much longer the oldest row waits to be written than it is meant to.",
            (waiting - stats.hold).max(0) as f64 / 1e9,
        ),
        one("hotspan_compaction_pending_files", "Files that merging has still to do.", stats.unmerged.files as u64),
        Measure::one(
            "hotspan_compaction_lag_seconds",
            "Age of the rows of the file that has waited longest to be merged.",
            stats.unmerged.since.map_or(0, |since| (now - since).max(0)) as f64 / 1e9,
        ),
        one("hotspan_disk_free_bytes", "Free bytes of the data disk.", stats.free_bytes),
        one(
            "hotspan_disk_free_bytes_least",
            "Free bytes of the data disk below which exports are refused, unless the log has a disk of its own.",
            settings.min_free_bytes,
        ),
        one("hotspan_disk_total_bytes", "Bytes of the data disk.", stats.total_bytes),
        one("hotspan_damage", "Damaged places found since start.", stats.damage.len() as u64),
        table("hotspan_table_files", "Data files of a table.", |t| t.files),
        table("hotspan_table_rows", "Rows of a table, memory included.", |t| t.rows),
        table("hotspan_table_bytes", "Bytes of a table's data files.", |t| t.bytes),
        table(
            "hotspan_table_hindered_seconds",
            "For how long a table's rows could not be written to files; 0 when they can.",
            // Just now counts too.
            |t| t.hindered.as_ref().map_or(0, |hindered| hindered.for_s.ceil().max(1.0) as u64),
        ),
    ]
}

/// The query engine.
pub fn queries(load: &Load) -> [Measure; 6] {
    let one = |name, help, value: usize| Measure::one(name, help, value as f64);
    let ended = OUTCOMES.iter().zip(load.ended);
    [
        one("hotspan_queries_running", "Queries that run now.", load.running),
        one("hotspan_queries_running_limit", "Queries that may run at once.", load.most_running),
        one("hotspan_queries_queued", "Queries that wait for their turn.", load.queued),
        one("hotspan_queries_queued_limit", "Queries that may wait; more are refused.", load.most_queued),
        Measure {
            name: "hotspan_queries_total",
            form: Form::Counter,
            help: "Queries by how they ended: answered, limited (memory or time), refused, invalid, failed.",
            samples: ended.map(|(name, n)| (vec![("outcome", (*name).to_owned())], n as f64)).collect(),
        },
        Measure {
            name: "hotspan_query_cpu_seconds_total",
            form: Form::Counter,
            help: "CPU time of queries: of hotspan's own analyses, and of statements that people write.",
            samples: load.cpu.map(|(lane, had)| (vec![("lane", lane.to_owned())], had.as_secs_f64())).into(),
        },
    ]
}

/// The process itself, from the answer of [`super::process`].
pub fn process(process: &serde_json::Value) -> Vec<Measure> {
    let number = |name: &str| process[name].as_f64().unwrap_or_default();
    vec![
        Measure::one("hotspan_process_resident_bytes", "Resident memory of the process.", number("rss_bytes")),
        Measure::one("hotspan_process_open_fds", "Open files of the process.", number("open_fds")),
        Measure::one("hotspan_process_threads", "Threads of the process.", number("threads")),
        Measure::counter("hotspan_process_cpu_seconds_total", "CPU time of the process.", number("cpu_seconds")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_is_written_as_prometheus_reads_it() {
        let samples = vec![(vec![("table", "spans".to_owned()), ("account", "stored".to_owned())], 3.0)];
        let mut out = String::new();
        Measure { name: "rows", form: Form::Counter, help: "Rows.", samples }.write(&mut out);
        Measure::one("bytes", "Bytes.", 0.5).write(&mut out);
        assert_eq!(
            out,
            "# HELP rows Rows.\n# TYPE rows counter\nrows{table=\"spans\",account=\"stored\"} 3\n\
             # HELP bytes Bytes.\n# TYPE bytes gauge\nbytes 0.5\n"
        );
    }
}
