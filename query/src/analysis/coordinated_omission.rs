//! Coordinated omission: a load generator that waits for an answer before it sends the next request does not see what
//! its later requests would have waited. Where requests tell when they were meant to be sent, latency counts from
//! then; where they do not, the answer says so, and whether the load looks as if it came from a generator that waits.
//!
//! ```text
//! roots and entries ─fold─┬─ with the attribute ─[intended]─▶ latency from start and from intended start
//!                         └─ load in bins ─[closed_loop]────▶ does the rate fall when latency rises?
//! ```

pub(super) mod clock;
mod closed_loop;
pub(super) mod intended;
pub(super) mod sentences;

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use model::schema::column;
use model::time::MINUTE;
use model::trace::flag;
use model::{Result, TraceId};
use serde_json::{Value, json};

use super::batch::{ids, int, ints, trace_id};
use super::capacity::judge::Bin;
use super::capacity::load::{Grid, Series};
use super::columns::{self, flag as yes_or_no, float, int as int_column, text};
use super::histogram::{Histogram, middle};
use super::names::{Names, TextColumn};
use super::report::Report;
use super::scope::{Scope, Window, started_in};
use super::sentence::Sentence;
use super::timeline::settled;
use super::{Analysis, Parameter, Running};
use crate::fold::Fold;
use crate::query::Query;
use clock::Clock;
use closed_loop::{Spread, spread};
use intended::{ATTRIBUTE, Delays, intended_start};

pub const ANALYSIS: Analysis = Analysis {
    name: "coordinated-omission",
    title: ("Coordinated omission", "协同遗漏"),
    doc: "Latency from the time a request was meant to be sent, by entry operation, and whether the load waits for answers.",
    parameters: &[Parameter { name: "limit", doc: "entry operations at most (100)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Entry operations at most; further ones are left out.
const MOST: usize = 2_000;

fn schema() -> SchemaRef {
    let mut fields =
        vec![text("service"), text("operation"), int_column("requests"), int_column("with_intended_start")];
    fields.push(text("carried_by"));
    fields.extend(["p50_ns", "p99_ns", "p50_intended_ns", "p99_intended_ns", "worst_delay_ns"].map(int_column));
    fields.extend([float("late_share"), int_column("ahead"), text("exemplar"), yes_or_no("closed_loop_suspected")]);
    fields.extend(["spread", "explanation"].map(text));
    columns::schema(fields)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, 1_000)? as usize;
    let grid = Grid::of(settled(scope.window, query.now()));
    // Long requests that are still under way when the window begins belong to its load.
    let from = Window { start: grid.window.start - MINUTE, end: grid.window.end };
    let sql = format!(
        "SELECT entry_service, entry_operation, trace_id_bytes, {}, {}, status_code, tree_flags, other_attributes \
         FROM spans WHERE {} AND (tree_flags & {}) <> 0{}",
        column::START,
        column::END,
        started_in(from),
        flag::ROOT | flag::ENTRY,
        scope.entries(&[grid.window]),
    );
    let empty = || Entries { grid, names: Names::default(), by_name: HashMap::new(), left_out: 0 };
    let seen = query.fold(&sql, empty).await?.fold;
    let left_out = seen.left_out;
    let (answer, unusable) = seen.answer(limit);
    let mut report = Report::new("entries", answer);
    if unusable > 0 {
        report.notes.push(Sentence::new(
            format!("{unusable} requests carry a {ATTRIBUTE} that is not in nanoseconds since 1970"),
            format!("{unusable} 个请求的 {ATTRIBUTE} 不是自 1970 年起的纳秒数"),
        ));
    }
    if left_out > 0 {
        report.notes.push(Sentence::new(
            format!("{left_out} requests of further entry operations were not looked at"),
            format!("其余入口操作的 {left_out} 个请求未计入"),
        ));
    }
    Ok(report)
}

struct Entries {
    grid: Grid,
    names: Names,
    /// By the numbers of service and operation.
    by_name: HashMap<(u32, u32), Entry>,
    left_out: u64,
}

/// The requests of one entry operation.
struct Entry {
    requests: u64,
    /// Told by the entry's span, and by a root above it. A trace may tell on both, so they are not added.
    at_entry: Delays,
    at_root: Delays,
    load: Series,
}

impl Entry {
    fn new(grid: &Grid) -> Self {
        let (at_entry, at_root) = (Delays::default(), Delays::default());
        Entry { requests: 0, at_entry, at_root, load: Series::new(grid) }
    }

    fn merge(&mut self, more: Entry) {
        self.requests += more.requests;
        self.at_entry.merge(&more.at_entry);
        self.at_root.merge(&more.at_root);
        self.load.merge(more.load);
    }
}

/// A root or an entry.
struct Top {
    is_request: bool,
    start: i64,
    end: i64,
    failed: bool,
    trace: u128,
    intended: Option<i64>,
}

impl Entries {
    fn entry(&mut self, key: (u32, u32)) -> Option<&mut Entry> {
        if self.by_name.len() >= MOST && !self.by_name.contains_key(&key) {
            return None;
        }
        let grid = self.grid;
        Some(self.by_name.entry(key).or_insert_with(|| Entry::new(&grid)))
    }

    fn count(&mut self, key: (u32, u32), top: &Top) {
        let grid = self.grid;
        let Some(entry) = self.entry(key) else {
            self.left_out += u64::from(top.is_request);
            return;
        };
        if top.is_request {
            entry.load.add(&grid, top.start, top.end, top.failed);
        }
        if !grid.window.holds(top.start) {
            return;
        }
        entry.requests += u64::from(top.is_request);
        let delays = if top.is_request { &mut entry.at_entry } else { &mut entry.at_root };
        if let Some(intended) = top.intended {
            delays.count(intended, top.start, top.end, top.trace);
        }
    }

    /// And how many requests had an attribute that could not be used.
    fn answer(self, limit: usize) -> (Value, u64) {
        let Entries { grid, names, by_name, .. } = self;
        let judged =
            by_name.into_iter().filter(|(_, entry)| entry.requests > 0).map(|((service, operation), entry)| {
                Judged::of(names.text(service).to_owned(), names.text(operation).to_owned(), entry, &grid)
            });
        let mut judged: Vec<Judged> = judged.collect();
        judged.sort_by(|a, b| {
            (b.hidden(), b.requests).cmp(&(a.hidden(), a.requests)).then_with(|| a.names().cmp(&b.names()))
        });
        let requests: u64 = judged.iter().map(|entry| entry.requests).sum();
        let mut all = Delays::default();
        judged.iter().for_each(|entry| all.merge(&entry.delays));
        let told = all.requests();
        let unusable = judged.iter().map(|entry| entry.delays.unusable).sum();
        let closed = judged.iter().filter(|entry| entry.is_closed() == Some(true)).count();
        let answer = json!({
            "known": told > 0,
            "attribute": ATTRIBUTE,
            "requests": requests,
            "with_intended_start": told,
            "closed_loops_suspected": closed,
            "hint": (told == 0).then(sentences::how_to_tell),
            "clock": Clock { requests, told }.json(),
            "total": all.json(),
            "found": judged.len(),
            "entries": judged.iter().take(limit).map(Judged::json).collect::<Vec<_>>(),
        });
        (answer, unusable)
    }
}

/// One entry operation with what was found.
struct Judged {
    service: String,
    operation: String,
    requests: u64,
    carried_by: &'static str,
    delays: Delays,
    /// Of all requests, from their start.
    latency: Histogram,
    spread: Option<Spread>,
}

impl Judged {
    fn of(service: String, operation: String, entry: Entry, grid: &Grid) -> Judged {
        let at_root = entry.at_root.requests() > entry.at_entry.requests();
        let (carried_by, delays) = if at_root { ("root", entry.at_root) } else { ("entry", entry.at_entry) };
        let bins = entry.load.bins(grid);
        let mut latency = Histogram::default();
        bins.iter().for_each(|bin| latency.merge(&bin.latency));
        let spread = spread(&bins.iter().map(load).collect::<Vec<_>>(), grid.bin as f64);
        Judged { service, operation, requests: entry.requests, carried_by, delays, latency, spread }
    }

    fn names(&self) -> (&str, &str) {
        (&self.service, &self.operation)
    }

    fn is_closed(&self) -> Option<bool> {
        self.spread.and_then(|spread| spread.is_closed())
    }

    fn is_told(&self) -> bool {
        self.delays.requests() > 0
    }

    /// How much longer the 99th percentile is from the intended start.
    fn hidden(&self) -> i64 {
        let p99 = |histogram: &Histogram| histogram.quantile(0.99).unwrap_or(0.0) as i64;
        p99(&self.delays.from_intended) - p99(&self.delays.from_start)
    }

    fn json(&self) -> Value {
        let told = self.delays.requests();
        let quantile = |of: &Histogram, q: f64| of.quantile(q).map(|ns| ns as i64);
        let from_start = if self.is_told() { &self.delays.from_start } else { &self.latency };
        let spread = self.spread.map(|spread| {
            json!({
                "rate": spread.rate,
                "latency": spread.latency,
                "concurrency": spread.concurrency,
                "correlation": spread.correlation,
            })
        });
        let trace = TraceId(self.delays.worst.1.to_be_bytes()).to_string();
        json!({
            "service": self.service,
            "operation": self.operation,
            "requests": self.requests,
            "with_intended_start": told,
            "carried_by": self.is_told().then_some(self.carried_by),
            "p50_ns": quantile(from_start, 0.5),
            "p99_ns": quantile(from_start, 0.99),
            "p50_intended_ns": quantile(&self.delays.from_intended, 0.5),
            "p99_intended_ns": quantile(&self.delays.from_intended, 0.99),
            "worst_delay_ns": self.is_told().then_some(self.delays.worst.0),
            "late_share": self.is_told().then(|| self.delays.late as f64 / told as f64),
            "ahead": self.delays.ahead,
            "exemplar": self.is_told().then_some(trace),
            "closed_loop_suspected": self.is_closed(),
            "spread": spread,
            "explanation": sentences::entry(&self.service, &self.operation, self.is_closed(), self.spread.as_ref()),
        })
    }
}

/// A bin as far as loops are told from it; the sum of latencies is within a histogram's error.
fn load(bin: &Bin) -> closed_loop::Bin {
    let latency = bin.latency.iter().map(|(bucket, count)| middle(bucket) * count as f64).sum();
    closed_loop::Bin { arrivals: bin.arrivals as f64, latency, occupied: bin.occupied }
}

impl Fold for Entries {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let text = |name| TextColumn::of(batch, name);
        let (mut services, mut operations) = (text(column::ENTRY_SERVICE)?, text(column::ENTRY_OPERATION)?);
        let (status, attributes) = (text(column::STATUS_CODE)?, text("other_attributes")?);
        let traces = ids(batch, "trace_id_bytes")?;
        let (starts, ends) = (ints(batch, column::START)?, ints(batch, column::END)?);
        let tree_flags = ints(batch, column::TREE_FLAGS)?;
        for row in 0..batch.num_rows() {
            let flags = int(tree_flags, row);
            if flags & (flag::ORPHAN | flag::ASYNC_ROOT | flag::DUPLICATE) != 0 {
                continue;
            }
            let key = (services.number(row, &mut self.names), operations.number(row, &mut self.names));
            let start = int(starts, row);
            let top = Top {
                is_request: flags & flag::ENTRY != 0,
                start,
                end: int(ends, row).max(start),
                failed: status.text(row) == Some("ERROR"),
                trace: trace_id(traces, row),
                intended: attributes.text(row).and_then(intended_start),
            };
            self.count(key, &top);
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let names = self.names.take_in(&other.names);
        self.left_out += other.left_out;
        for ((service, operation), more) in other.by_name {
            let key = (names[service as usize], names[operation as usize]);
            match self.entry(key) {
                Some(entry) => entry.merge(more),
                None => self.left_out += more.requests,
            }
        }
    }

    fn size(&self) -> usize {
        // A bin's histogram has some hundred buckets.
        let entry = size_of::<Entry>() + 4_096 + self.grid.bins * (size_of::<Bin>() + 8 + 600);
        self.names.size() + self.by_name.len() * entry
    }
}
