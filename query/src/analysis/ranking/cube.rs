//! What the ranking is computed from: per operation and time bin, how many spans there were and how much of the
//! critical path they took; per entry operation and bin, how many requests and how long they lasted.
//!
//! SQL fills [`Observed`], once for the window and once for the baseline. [`Cube`] numbers entries and operations
//! the same on both sides and lays the figures out as dense rows per bin, which is what the bootstrap reads.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use model::trace::SpanKind;
use serde::Serialize;

use super::super::histogram::Histogram;
use super::super::log_patterns::Severity;

/// An operation of a service; as JSON the pair `["gateway","POST /order"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "(String, String)")]
pub struct Place {
    pub service: String,
    pub operation: String,
}

impl From<Place> for (String, String) {
    fn from(place: Place) -> Self {
        (place.service, place.operation)
    }
}

/// What kind of thing a CLIENT or PRODUCER span talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerKind {
    Database,
    Cache,
    Messaging,
    /// Another service, by HTTP or RPC; ours if it sends spans of its own, else a third party.
    Remote,
}

/// Values of `db.system.name` (and `db.system`) whose calls are called `cache`.
const CACHES: &[&str] = &["redis", "memcached", "valkey", "keydb", "dragonfly", "hazelcast", "infinispan", "aerospike"];

impl PeerKind {
    /// From the attributes `db.system.name` (or `db.system`) and `messaging.system`.
    pub fn of(db_system: Option<&str>, messaging_system: Option<&str>) -> Self {
        match (db_system, messaging_system) {
            (Some(system), _) if CACHES.iter().any(|cache| system.eq_ignore_ascii_case(cache)) => PeerKind::Cache,
            (Some(_), _) => PeerKind::Database,
            (None, Some(_)) => PeerKind::Messaging,
            (None, None) => PeerKind::Remote,
        }
    }
}

/// The other end of a CLIENT or PRODUCER span.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// `peer.service`, else the server's address or the system's name. Where it is the name of a service that sends
    /// SERVER spans, the two are linked by it.
    pub name: String,
    pub kind: PeerKind,
}

/// What is ranked: a service's operation by kind and peer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    pub service: String,
    pub operation: String,
    pub kind: SpanKind,
    pub peer: Option<Peer>,
}

impl Operation {
    /// Without its kind and peer.
    pub fn place(&self) -> Place {
        Place { service: self.service.clone(), operation: self.operation.clone() }
    }
}

/// One operation, on one instance, for the requests of one entry operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationKey {
    pub entry: Place,
    pub operation: Operation,
    /// The instance id of the span's own service; empty where the resource names none.
    pub instance: String,
}

/// The spans of one key in one bin. A span belongs to the bin in which its trace's entry starts. Cells of the same
/// key and bin add up.
#[derive(Debug, Clone)]
pub struct CellStat {
    /// Position in [`Observed::keys`].
    pub key: usize,
    pub bin: u32,
    pub spans: u64,
    /// Sum of `critical_path_ns`.
    pub critical_ns: f64,
    /// Spans with status ERROR.
    pub errors: u64,
    /// Sum of the spans' durations, ns.
    pub duration_ns: f64,
}

/// The requests of one entry operation in one bin.
#[derive(Debug, Clone)]
pub struct RequestStat {
    pub entry: Place,
    pub bin: u32,
    /// Durations of the entry spans, one per request.
    pub latency: Histogram,
    /// Their sum, ns.
    pub duration_ns: f64,
    /// Requests whose entry span has status ERROR.
    pub errors: u64,
}

/// Messages that one operation took of another's in one bin. Stats of the same operations and bin add up.
#[derive(Debug, Clone)]
pub struct WaitStat {
    /// The CONSUMER operation.
    pub consumer: Operation,
    /// The PRODUCER operation; its peer is the broker or the topic.
    pub sender: Operation,
    /// Where a span names it.
    pub topic: Option<String>,
    pub bin: u32,
    /// Messages taken in the bin, and the sum of the times that they had waited, ns.
    pub messages: u64,
    pub waited_ns: f64,
    /// Messages sent in the bin, and those of them that were not taken until the end of the window.
    pub sent: u64,
    pub left: u64,
}

/// A service of which metrics say that it ran out of what it works with, and did not before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhausted {
    pub service: String,
    /// The collector of garbage stops it: everything that it does takes longer meanwhile, also what it waits for.
    pub is_paused: bool,
}

/// Messages that lie before a service's consumers, by its metrics, and more of them than in the baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Piled {
    pub service: String,
    pub topic: Option<String>,
    /// Mean numbers of messages.
    pub before: f64,
    pub now: f64,
    /// That it is not by chance.
    pub confidence: f64,
}

/// A window or a baseline.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Bins are numbered `0..bins`; what lies outside is ignored.
    pub bins: u32,
    pub bin_seconds: f64,
    /// What cells are about; equal ones count as one.
    pub keys: Vec<OperationKey>,
    pub cells: Vec<CellStat>,
    pub requests: Vec<RequestStat>,
    /// What waited where no request waited for it.
    pub waits: Vec<WaitStat>,
    /// Services that, by their metrics, have no CPU left or are paused by their collector, and were not before.
    pub exhausted: Vec<Exhausted>,
    /// Topics whose consumers fall behind.
    pub piled: Vec<Piled>,
    /// Log lines that may have changed: the same ones on both sides, in the same order.
    pub logged: Vec<LineStat>,
    /// All patterns of lines by service.
    pub patterns: HashMap<String, HashSet<String>>,
}

/// A place in a program that writes log lines, as far as they show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub service: String,
    pub severity: Severity,
    pub pattern: String,
    /// In whose spans lines were found, the most frequent first; empty where none says in which.
    pub operations: Arc<[Operation]>,
}

/// The lines of one statement.
#[derive(Debug, Clone)]
pub struct LineStat {
    pub statement: Statement,
    /// Lines of each bin.
    pub bins: Vec<f64>,
}

/// Entries, operations and instances by number, and both sides' figures.
#[derive(Debug)]
pub(super) struct Cube {
    pub entries: Vec<Place>,
    pub operations: Vec<Operation>,
    pub instances: Vec<String>,
    pub columns: Vec<Column>,
    pub window: Side,
    pub baseline: Option<Side>,
}

/// An [`OperationKey`] by numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub entry: usize,
    pub operation: usize,
    pub instance: usize,
}

/// One side's figures; `[bin * columns + column]` where a bin and a column choose.
#[derive(Debug)]
pub(super) struct Side {
    pub bins: usize,
    pub bin_seconds: f64,
    pub spans: Vec<f64>,
    pub critical: Vec<f64>,
    pub errors: Vec<f64>,
    /// Over all bins, by column.
    pub totals: Vec<Totals>,
    /// By entry.
    pub requests: Vec<Requests>,
}

/// A column's sums over all bins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub spans: f64,
    pub critical: f64,
    /// Sum of the spans' durations, ns.
    pub duration: f64,
}

/// One entry's requests, by bin.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    pub count: Vec<f64>,
    pub duration: Vec<f64>,
    pub errors: Vec<f64>,
    pub latency: Vec<Histogram>,
}

impl Requests {
    pub fn total(&self) -> f64 {
        self.count.iter().sum()
    }
}

impl Side {
    pub fn requests(&self) -> f64 {
        self.requests.iter().map(Requests::total).sum()
    }

    /// Critical path, ns, and number of these columns' spans, by bin.
    pub fn time_and_spans(&self, columns: &[usize]) -> Vec<(f64, f64)> {
        let width = self.totals.len();
        let sum = |matrix: &[f64], bin: usize| columns.iter().map(|&column| matrix[bin * width + column]).sum();
        (0..self.bins).map(|bin| (sum(&self.critical, bin), sum(&self.spans, bin))).collect()
    }

    pub fn seconds(&self) -> f64 {
        self.bins as f64 * self.bin_seconds
    }

    /// How many a second, of so many in the whole time; none in no time.
    pub fn per_second(&self, count: f64) -> f64 {
        if self.seconds() > 0.0 { count / self.seconds() } else { 0.0 }
    }
}

impl Cube {
    /// The columns of the operations for which this holds.
    pub fn columns_of(&self, holds: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..self.columns.len()).filter(|&column| holds(self.columns[column].operation)).collect()
    }

    pub fn new(window: &Observed, baseline: Option<&Observed>) -> Self {
        let sides: Vec<&Observed> = [Some(window), baseline].into_iter().flatten().collect();
        let columns = Numbers::of(sides.iter().flat_map(|side| &side.keys));
        let requested = sides.iter().flat_map(|side| &side.requests).map(|request| &request.entry);
        let keys = || columns.things.iter().copied();
        let entries = Numbers::of(keys().map(|key| &key.entry).chain(requested));
        let operations = Numbers::of(keys().map(|key| &key.operation));
        let instances = Numbers::of(keys().map(|key| &key.instance));
        let column = |(((_, &entry), &operation), &instance)| Column { entry, operation, instance };
        let numbers = columns.things.iter().zip(&entries.given).zip(&operations.given).zip(&instances.given);
        let (first, second) = columns.given.split_at(window.keys.len());
        let (first_entries, second_entries) = entries.given[columns.things.len()..].split_at(window.requests.len());
        let size = (entries.things.len(), columns.things.len());
        Cube {
            columns: numbers.map(column).collect(),
            window: Side::new(window, size, first_entries, first),
            baseline: baseline.map(|baseline| Side::new(baseline, size, second_entries, second)),
            entries: entries.things.into_iter().cloned().collect(),
            operations: operations.things.into_iter().cloned().collect(),
            instances: instances.things.into_iter().cloned().collect(),
        }
    }
}

/// The different ones among some things, and the number of each thing.
struct Numbers<'a, T> {
    /// Sorted: numbers follow the order of names, not that of the input, so that rows in any order give the same sums
    /// to the last bit.
    things: Vec<&'a T>,
    /// The number of each thing in the order given.
    given: Vec<usize>,
}

impl<'a, T: Ord + Hash> Numbers<'a, T> {
    fn of(given: impl Iterator<Item = &'a T>) -> Self {
        let mut seen: HashMap<&T, usize> = HashMap::new();
        let by_sight: Vec<usize> = given
            .map(|thing| {
                let next = seen.len();
                *seen.entry(thing).or_insert(next)
            })
            .collect();
        let mut sorted: Vec<(&T, usize)> = seen.into_iter().collect();
        sorted.sort_unstable();
        let mut number = vec![0; sorted.len()];
        for (rank, &(_, sight)) in sorted.iter().enumerate() {
            number[sight] = rank;
        }
        Numbers {
            things: sorted.into_iter().map(|(thing, _)| thing).collect(),
            given: by_sight.into_iter().map(|sight| number[sight]).collect(),
        }
    }
}

impl Side {
    /// `size` is the number of entries and columns; `entries` and `columns` are the numbers of requests and keys.
    fn new(observed: &Observed, size: (usize, usize), entries: &[usize], columns: &[usize]) -> Self {
        let mut side = Side::empty(observed, size.0, size.1);
        for (request, &entry) in observed.requests.iter().zip(entries).filter(|(r, _)| r.bin < observed.bins) {
            side.add_requests(entry, request);
        }
        for cell in observed.cells.iter().filter(|cell| cell.bin < observed.bins) {
            side.add_spans(columns[cell.key], cell);
        }
        side
    }

    fn empty(observed: &Observed, entries: usize, columns: usize) -> Self {
        let bins = observed.bins as usize;
        let zeros = vec![0.0; bins];
        let latency = vec![Histogram::default(); bins];
        let none = Requests { count: zeros.clone(), duration: zeros.clone(), errors: zeros, latency };
        let matrix = vec![0.0; bins * columns];
        Side {
            bins,
            bin_seconds: observed.bin_seconds,
            spans: matrix.clone(),
            critical: matrix.clone(),
            errors: matrix,
            totals: vec![Totals::default(); columns],
            requests: vec![none; entries],
        }
    }

    fn add_requests(&mut self, entry: usize, stat: &RequestStat) {
        let (requests, bin) = (&mut self.requests[entry], stat.bin as usize);
        requests.count[bin] += stat.latency.count() as f64;
        requests.duration[bin] += stat.duration_ns;
        requests.errors[bin] += stat.errors as f64;
        requests.latency[bin].merge(&stat.latency);
    }

    fn add_spans(&mut self, column: usize, stat: &CellStat) {
        let at = stat.bin as usize * self.totals.len() + column;
        self.spans[at] += stat.spans as f64;
        self.critical[at] += stat.critical_ns;
        self.errors[at] += stat.errors as f64;
        let totals = &mut self.totals[column];
        totals.spans += stat.spans as f64;
        totals.critical += stat.critical_ns;
        totals.duration += stat.duration_ns;
    }
}
