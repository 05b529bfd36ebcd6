//! What the collector counts about itself, for `/metrics`: exports, bytes, refusals, connections, latency.
//!
//! Rows are counted by `model::Ledger`; here the unit is the export and the byte. An export that is refused before
//! it is decoded has an unknown number of rows, so it appears only here.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Signal;

use crate::admit::Budget;
use crate::answer::Refusal;

mod histogram;

use histogram::Histogram;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    const ALL: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];

    fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        }
    }
}

/// How an export ended, seen from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it was stored.
    Accepted,
    /// Some rows were left out for good, or there was a warning.
    Partial,
    /// The store had it already.
    Duplicate,
    /// Told not to send it again.
    Rejected,
    /// Told to send it again.
    Refused,
    /// The client went away before it had its answer.
    Abandoned,
}

impl Outcome {
    const ALL: [Outcome; 6] = [
        Outcome::Accepted,
        Outcome::Partial,
        Outcome::Duplicate,
        Outcome::Rejected,
        Outcome::Refused,
        Outcome::Abandoned,
    ];

    fn name(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Partial => "partial",
            Outcome::Duplicate => "duplicate",
            Outcome::Rejected => "rejected",
            Outcome::Refused => "refused",
            Outcome::Abandoned => "abandoned",
        }
    }
}

/// OpenTelemetry's name of a signal.
pub(crate) fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "traces",
        Signal::Metrics => "metrics",
        Signal::Logs => "logs",
    }
}

/// The connections of one listener.
#[derive(Debug, Default)]
pub struct Connections {
    pub(crate) open: AtomicU64,
    pub(crate) accepted: AtomicU64,
    /// Closed at once: too many were open.
    pub(crate) refused: AtomicU64,
    /// Closed for a newcomer: too many were open.
    pub(crate) displaced: AtomicU64,
    /// How many may be open.
    pub(crate) limit: AtomicU64,
    /// TLS handshakes that came to nothing.
    pub(crate) handshakes_failed: AtomicU64,
}

impl Connections {
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub fn displaced(&self) -> u64 {
        self.displaced.load(Ordering::Relaxed)
    }
}

/// Counters of one protocol and signal.
#[derive(Debug, Default)]
struct Exports {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    bytes: AtomicU64,
    decoded_bytes: AtomicU64,
    lost_bytes: AtomicU64,
    latency: Histogram,
}

#[derive(Debug)]
pub struct Stats {
    exports: [[Exports; Signal::ALL.len()]; Protocol::ALL.len()],
    /// (signal, reason) of rows that were left out.
    rejected: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// (reason, whether the sender is to send it again) of exports that were not taken.
    failed: Mutex<BTreeMap<(&'static str, bool), u64>>,
    panics: AtomicU64,
    listeners: Mutex<BTreeMap<&'static str, Arc<Connections>>>,
    budget: Arc<Budget>,
}

impl Stats {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Stats {
            exports: Default::default(),
            rejected: Mutex::default(),
            failed: Mutex::default(),
            panics: AtomicU64::new(0),
            listeners: Mutex::default(),
            budget,
        }
    }

    /// The counters of a listener by its name (`otlp_grpc`, `otlp_http`, `listen`), made on first use.
    pub fn connections(&self, listener: &'static str) -> Arc<Connections> {
        locked(&self.listeners).entry(listener).or_default().clone()
    }

    pub fn in_flight_bytes(&self) -> u64 {
        self.budget.used()
    }

    /// Exports that ended with a 2xx or OK, over all protocols and signals.
    pub fn exports_taken(&self) -> u64 {
        self.count(&[Outcome::Accepted, Outcome::Partial, Outcome::Duplicate])
    }

    /// Exports whose client was told to send them again.
    pub fn exports_refused(&self) -> u64 {
        self.count(&[Outcome::Refused])
    }

    /// Export latency since the start: bounds in nanoseconds that this part of all exports stayed within.
    pub fn latency_ns(&self, quantile: f64) -> u64 {
        let all: Vec<&Histogram> = self.exports.iter().flatten().map(|e| &e.latency).collect();
        histogram::quantile_ns(&all, quantile)
    }

    /// Why rows were left out for good, as (signal, reason, rows), and why exports were not taken, as (outcome, reason,
    /// exports).
    #[allow(clippy::type_complexity, reason = "two short lists")]
    pub fn reasons(&self) -> (Vec<(&'static str, &'static str, u64)>, Vec<(&'static str, &'static str, u64)>) {
        let rejected = locked(&self.rejected).iter().map(|(&(signal, reason), &rows)| (signal, reason, rows)).collect();
        let outcome = |comes_again| if comes_again { Outcome::Refused } else { Outcome::Rejected };
        let failed = locked(&self.failed);
        let failed =
            failed.iter().map(|(&(reason, again), &exports)| (outcome(again).name(), reason, exports)).collect();
        (rejected, failed)
    }

    fn count(&self, outcomes: &[Outcome]) -> u64 {
        let all = self.exports.iter().flatten();
        all.map(|e| outcomes.iter().map(|&o| e.outcomes[o as usize].load(Ordering::Relaxed)).sum::<u64>()).sum()
    }

    fn of(&self, protocol: Protocol, signal: Signal) -> &Exports {
        &self.exports[protocol as usize][signal as usize]
    }

    pub(crate) fn read(&self, protocol: Protocol, signal: Signal, bytes: u64) {
        self.of(protocol, signal).bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn decoded(&self, protocol: Protocol, signal: Signal, bytes: usize) {
        self.of(protocol, signal).decoded_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, protocol: Protocol, signal: Signal, outcome: Outcome, took: Duration) {
        let exports = self.of(protocol, signal);
        exports.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        exports.latency.record(took);
    }

    /// An export that was not taken: why, and as many of its bytes as are known.
    pub(crate) fn failed(&self, protocol: Protocol, signal: Signal, refusal: &Refusal, bytes: u64) {
        self.of(protocol, signal).lost_bytes.fetch_add(bytes, Ordering::Relaxed);
        *locked(&self.failed).entry((refusal.reason, refusal.is_retryable())).or_default() += 1;
    }

    pub(crate) fn rows_rejected(&self, signal: Signal, reasons: &[(&'static str, u64)]) {
        if reasons.is_empty() {
            return;
        }
        let mut rejected = locked(&self.rejected);
        for &(reason, count) in reasons {
            *rejected.entry((signal_name(signal), reason)).or_default() += count;
        }
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it in Prometheus' text format.
    pub fn write_prometheus(&self, out: &mut String) {
        self.write_exports(out);
        self.write_latency(out);
        self.write_reasons(out);
        self.write_gauges(out);
        self.write_connections(out);
    }

    fn write_exports(&self, out: &mut String) {
        head(out, "hotspan_exports_total", "counter", "OTLP exports by how they ended.");
        for (labels, exports) in self.labelled() {
            for outcome in Outcome::ALL {
                let count = exports.outcomes[outcome as usize].load(Ordering::Relaxed);
                let name = outcome.name();
                line(out, format_args!("hotspan_exports_total{{{labels},outcome=\"{name}\"}} {count}"));
            }
        }
        type Field = fn(&Exports) -> &AtomicU64;
        let fields: [(&str, &str, Field); 3] = [
            ("hotspan_export_bytes_total", "Bytes of export bodies as received.", |e| &e.bytes),
            ("hotspan_export_decoded_bytes_total", "Bytes of export bodies after decompression.", |e| &e.decoded_bytes),
            ("hotspan_export_failed_bytes_total", "Bytes, as far as known, of exports not taken.", |e| &e.lost_bytes),
        ];
        for (name, help, field) in fields {
            head(out, name, "counter", help);
            for (labels, exports) in self.labelled() {
                line(out, format_args!("{name}{{{labels}}} {}", field(exports).load(Ordering::Relaxed)));
            }
        }
    }

    fn write_latency(&self, out: &mut String) {
        let name = "hotspan_export_duration_seconds";
        head(out, name, "histogram", "From an export's headers to its answer.");
        for (labels, exports) in self.labelled() {
            exports.latency.write(out, name, &labels);
        }
    }

    fn write_reasons(&self, out: &mut String) {
        head(out, "hotspan_rejected_total", "counter", "Rows left out for good, by reason.");
        for ((signal, reason), count) in locked(&self.rejected).iter() {
            line(out, format_args!("hotspan_rejected_total{{signal=\"{signal}\",reason=\"{reason}\"}} {count}"));
        }
        head(out, "hotspan_exports_failed_total", "counter", "Exports not taken, by reason.");
        let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
        locked(&self.failed).iter().for_each(|((reason, _), count)| *by_reason.entry(reason).or_default() += count);
        for (reason, count) in by_reason {
            line(out, format_args!("hotspan_exports_failed_total{{reason=\"{reason}\"}} {count}"));
        }
        head(out, "hotspan_export_panics_total", "counter", "Exports whose decoding or storing panicked.");
        line(out, format_args!("hotspan_export_panics_total {}", self.panics.load(Ordering::Relaxed)));
    }

    fn write_gauges(&self, out: &mut String) {
        let gauges = [
            ("hotspan_in_flight_bytes", "Bytes of exports in work.", self.budget.used()),
            ("hotspan_in_flight_bytes_limit", "Beyond it exports wait, then are refused.", self.budget.limit()),
            ("hotspan_exports_waiting", "Exports waiting for room.", self.budget.waiting() as u64),
        ];
        for (name, help, value) in gauges {
            head(out, name, "gauge", help);
            line(out, format_args!("{name} {value}"));
        }
    }

    fn write_connections(&self, out: &mut String) {
        type Field = fn(&Connections) -> &AtomicU64;
        let fields: [(&str, &str, &str, Field); 6] = [
            ("hotspan_connections_open", "gauge", "Connections open now.", |c| &c.open),
            ("hotspan_connections_open_limit", "gauge", "Connections that may be open.", |c| &c.limit),
            ("hotspan_connections_accepted_total", "counter", "Connections accepted.", |c| &c.accepted),
            ("hotspan_connections_refused_total", "counter", "Connections closed at once: too many.", |c| &c.refused),
            (
                "hotspan_connections_displaced_total",
                "counter",
                "Connections closed for a newcomer: too many were open, and they were idle or one peer's.",
                |c| &c.displaced,
            ),
            ("hotspan_tls_handshakes_failed_total", "counter", "TLS handshakes that failed.", |c| &c.handshakes_failed),
        ];
        for (name, kind, help, field) in fields {
            head(out, name, kind, help);
            for (listener, connections) in locked(&self.listeners).iter() {
                let value = field(connections).load(Ordering::Relaxed);
                line(out, format_args!("{name}{{listener=\"{listener}\"}} {value}"));
            }
        }
    }

    fn labelled(&self) -> impl Iterator<Item = (String, &Exports)> {
        let pairs = Protocol::ALL.into_iter().flat_map(|p| Signal::ALL.into_iter().map(move |s| (p, s)));
        pairs.map(|(protocol, signal)| {
            let labels = format!("protocol=\"{}\",signal=\"{}\"", protocol.name(), signal_name(signal));
            (labels, self.of(protocol, signal))
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Counters stay usable whatever happened to another thread.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    line(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{text}");
}
