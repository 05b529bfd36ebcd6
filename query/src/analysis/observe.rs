//! Fills what the ranking is computed from, in one pass over all spans of the window and of its baseline: the cube of
//! each side, its requests, and an even part of its traces whole, from which [`super::learn`] takes the facts that
//! sharpen a category and the examples.

use std::collections::HashMap;

use arrow::array::{FixedSizeBinaryArray, Int64Array, RecordBatch};
use model::schema::column;
use model::time::SECOND;
use model::trace::flag;
use model::{Error, Result};

use super::batch::{id, ids, int, ints, trace_id};
use super::called::{self, Called, Operations};
use super::histogram::Histogram;
use super::names::TextColumn;
use super::ranking::{CellStat, Observed, OperationKey, Place, RequestStat};
use super::sample::{Part, hash};
use super::scope::{Scope, Window, entered_in};
use crate::fold::{Fold, Folded};
use crate::query::Query;

/// The bootstrap needs bins, not many: this many at most.
const MOST_BINS: i64 = 120;
/// Spans of each side that are kept, in whole traces.
const KEPT_SPANS: usize = 60_000;

/// Sees all spans of traces that entered in one of the windows. `service` and `operation` of the scope choose entry
/// operations.
pub async fn observe(query: &Query, scope: &Scope, windows: &[Window]) -> Result<Folded<Seen>> {
    let Some(whole) =
        windows.iter().copied().reduce(|a, b| Window { start: a.start.min(b.start), end: a.end.max(b.end) })
    else {
        return Err(Error::internal("nothing to observe"));
    };
    let either: Vec<String> = windows.iter().map(|window| format!("({})", entered_in(*window))).collect();
    let sql = format!(
        "SELECT trace_id_bytes, span_id_bytes, parent_span_id_bytes, entry_service, entry_operation, instance_id, {}, \
                {}, {}, {}, duration_ns, self_time_ns, critical_path_ns, status_code, tree_flags \
         FROM spans WHERE {} AND ({}){}",
        called::columns(),
        column::START,
        column::END,
        column::ENTRY_START,
        entered_in(whole),
        either.join(" OR "),
        scope.entries(),
    );
    let sides: Vec<Side> = windows.iter().map(|window| Side::new(*window)).collect();
    query.fold(&sql, || Seen { operations: Operations::default(), sides: sides.clone() }).await
}

/// What was seen of all windows; operations and names are numbered the same in each.
#[derive(Clone)]
pub struct Seen {
    pub operations: Operations,
    sides: Vec<Side>,
}

/// One window.
#[derive(Clone)]
struct Side {
    window: Window,
    bin: i64,
    columns: HashMap<CellKey, usize>,
    cells: Vec<(CellKey, Vec<Cell>)>,
    requests: HashMap<(u32, u32), Vec<Requests>>,
    part: Part,
    kept: Vec<Kept>,
    bytes: usize,
}

/// Names of entry service, entry operation and instance, and an operation, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CellKey {
    entry: (u32, u32),
    operation: u32,
    instance: u32,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    spans: u64,
    errors: u64,
    critical: i64,
    duration: i64,
}

#[derive(Clone, Default)]
struct Requests {
    latency: Histogram,
    duration: i64,
    errors: u64,
}

/// What is told of an operation besides its rank.
#[derive(Default)]
pub struct Figures {
    pub spans: u64,
    pub errors: u64,
    /// Of the kept spans.
    pub latency: Histogram,
}

/// A span of a kept trace.
#[derive(Clone, Copy)]
pub struct Kept {
    pub trace: u128,
    pub span: u64,
    /// 0 for none: no span has that id.
    pub parent: u64,
    pub operation: u32,
    pub instance: u32,
    pub start: i64,
    pub end: i64,
    /// Self time, ns.
    pub own: i64,
    pub failed: bool,
}

/// A span as far as it is the same for all sides.
struct Span {
    key: CellKey,
    entered: i64,
    duration: i64,
    critical: i64,
    failed: bool,
    is_entry: bool,
}

impl Seen {
    /// The cube of one of the windows.
    pub fn cube(&self, side: usize) -> Observed {
        let operations: Vec<_> = (0..self.operations.len()).map(|n| self.operations.operation(n as u32)).collect();
        let side = &self.sides[side];
        let place = |(service, operation): (u32, u32)| Place {
            service: self.operations.names.text(service).to_owned(),
            operation: self.operations.names.text(operation).to_owned(),
        };
        let mut observed =
            Observed { bins: side.bins() as u32, bin_seconds: side.bin as f64 / SECOND as f64, ..Observed::default() };
        for (number, (key, cells)) in side.cells.iter().enumerate() {
            observed.keys.push(OperationKey {
                entry: place(key.entry),
                operation: operations[key.operation as usize].clone(),
                instance: self.operations.names.text(key.instance).to_owned(),
            });
            let seen = cells.iter().enumerate().filter(|(_, cell)| cell.spans > 0);
            observed.cells.extend(seen.map(|(bin, cell)| CellStat {
                key: number,
                bin: bin as u32,
                spans: cell.spans,
                critical_ns: cell.critical as f64,
                errors: cell.errors,
                duration_ns: cell.duration as f64,
            }));
        }
        for (entry, bins) in &side.requests {
            let seen = bins.iter().enumerate().filter(|(_, requests)| requests.latency.count() > 0);
            observed.requests.extend(seen.map(|(bin, requests)| RequestStat {
                entry: place(*entry),
                bin: bin as u32,
                latency: requests.latency.clone(),
                duration_ns: requests.duration as f64,
                errors: requests.errors,
            }));
        }
        observed
    }

    /// One operation on one side.
    pub fn figures(&self, side: usize, operation: u32) -> Figures {
        let mut figures = Figures::default();
        for (_, cells) in self.sides[side].cells.iter().filter(|(key, _)| key.operation == operation) {
            figures.spans += cells.iter().map(|cell| cell.spans).sum::<u64>();
            figures.errors += cells.iter().map(|cell| cell.errors).sum::<u64>();
        }
        for span in self.kept(side).iter().filter(|span| span.operation == operation) {
            figures.latency.record(span.end - span.start);
        }
        figures
    }

    /// The spans of an even part of the traces.
    pub fn kept(&self, side: usize) -> &[Kept] {
        &self.sides[side].kept
    }

    /// Puts the kept spans in order of trace and start.
    pub fn sort_kept(&mut self, side: usize) {
        self.sides[side].kept.sort_unstable_by_key(|span| (span.trace, span.start, span.span));
    }
}

impl Side {
    fn new(window: Window) -> Self {
        Side {
            window,
            bin: ((window.end - window.start) / MOST_BINS).max(SECOND),
            columns: HashMap::new(),
            cells: Vec::new(),
            requests: HashMap::new(),
            part: Part::ALL,
            kept: Vec::new(),
            bytes: 0,
        }
    }

    fn bins(&self) -> usize {
        ((self.window.end - self.window.start + self.bin - 1) / self.bin).max(0) as usize
    }

    fn column(&mut self, key: CellKey) -> usize {
        let next = self.cells.len();
        let column = *self.columns.entry(key).or_insert(next);
        if column == next {
            self.cells.push((key, Vec::new()));
        }
        column
    }

    fn cell(&mut self, column: usize, bin: usize) -> &mut Cell {
        let cells = &mut self.cells[column].1;
        if cells.len() <= bin {
            self.bytes += (bin + 1 - cells.len()) * size_of::<Cell>();
            cells.resize(bin + 1, Cell::default());
        }
        &mut cells[bin]
    }

    fn requests(&mut self, entry: (u32, u32), bin: usize) -> &mut Requests {
        let bins = self.requests.entry(entry).or_default();
        if bins.len() <= bin {
            // A histogram of requests that are alike has some hundred buckets.
            self.bytes += (bin + 1 - bins.len()) * 1_024;
            bins.resize(bin + 1, Requests::default());
        }
        &mut bins[bin]
    }

    fn add(&mut self, span: &Span, column: usize) {
        let bin = ((span.entered - self.window.start) / self.bin) as usize;
        let cell = self.cell(column, bin);
        cell.spans += 1;
        cell.errors += u64::from(span.failed);
        cell.critical += span.critical;
        cell.duration += span.duration;
        if span.is_entry {
            let requests = self.requests(span.key.entry, bin);
            requests.latency.record(span.duration);
            requests.duration += span.duration;
            requests.errors += u64::from(span.failed);
        }
    }

    fn holds(&self, entered: i64) -> bool {
        self.window.start <= entered && entered < self.window.end
    }

    /// Takes a smaller part of the traces until few enough spans are kept.
    fn limit(&mut self) {
        while self.kept.len() > KEPT_SPANS {
            self.part = self.part.halved();
            let part = self.part;
            self.kept.retain(|span| part.holds(hash(span.trace)));
        }
    }

    fn merge(&mut self, other: Side, names: &[u32], operations: &[u32]) {
        let named = |number: u32| names[number as usize];
        let entry = |(service, operation): (u32, u32)| (named(service), named(operation));
        for (key, cells) in other.cells {
            let column = self.column(CellKey {
                entry: entry(key.entry),
                operation: operations[key.operation as usize],
                instance: named(key.instance),
            });
            for (bin, more) in cells.into_iter().enumerate() {
                let cell = self.cell(column, bin);
                cell.spans += more.spans;
                cell.errors += more.errors;
                cell.critical += more.critical;
                cell.duration += more.duration;
            }
        }
        for (key, bins) in other.requests {
            for (bin, more) in bins.into_iter().enumerate() {
                let requests = self.requests(entry(key), bin);
                requests.latency.merge(&more.latency);
                requests.duration += more.duration;
                requests.errors += more.errors;
            }
        }
        self.part = self.part.and(other.part);
        self.kept.extend(other.kept.into_iter().map(|span| Kept {
            operation: operations[span.operation as usize],
            instance: named(span.instance),
            ..span
        }));
        let part = self.part;
        self.kept.retain(|span| part.holds(hash(span.trace)));
        self.limit();
    }
}

impl Fold for Seen {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut columns = Columns::of(batch)?;
        let mut last: Vec<Option<(CellKey, usize)>> = vec![None; self.sides.len()];
        for row in 0..batch.num_rows() {
            let span = columns.span(row, &mut self.operations);
            let trace = columns.trace(row);
            let hashed = hash(trace);
            for (side, last) in self.sides.iter_mut().zip(&mut last).filter(|(side, _)| side.holds(span.entered)) {
                let column = match *last {
                    Some((key, column)) if key == span.key => column,
                    _ => side.column(span.key),
                };
                *last = Some((span.key, column));
                side.add(&span, column);
                if side.part.holds(hashed) {
                    side.kept.push(columns.kept(row, trace, &span));
                }
            }
        }
        self.sides.iter_mut().for_each(Side::limit);
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let (names, operations) = self.operations.take_in(&other.operations);
        for (side, more) in self.sides.iter_mut().zip(other.sides) {
            side.merge(more, &names, &operations);
        }
    }

    fn size(&self) -> usize {
        let side = |side: &Side| side.bytes + side.kept.capacity() * size_of::<Kept>() + side.cells.len() * 128;
        self.operations.size() + self.sides.iter().map(side).sum::<usize>()
    }
}

/// The columns of one batch.
struct Columns<'a> {
    called: Called<'a>,
    entry: [TextColumn<'a>; 2],
    instance: TextColumn<'a>,
    status: TextColumn<'a>,
    trace: &'a FixedSizeBinaryArray,
    span: &'a FixedSizeBinaryArray,
    parent: &'a FixedSizeBinaryArray,
    start: &'a Int64Array,
    end: &'a Int64Array,
    entered: &'a Int64Array,
    duration: &'a Int64Array,
    own: &'a Int64Array,
    critical: &'a Int64Array,
    flags: &'a Int64Array,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let text = |name| TextColumn::of(batch, name);
        Ok(Columns {
            called: Called::of(batch)?,
            entry: [text(column::ENTRY_SERVICE)?, text(column::ENTRY_OPERATION)?],
            instance: text(column::INSTANCE_ID)?,
            status: text(column::STATUS_CODE)?,
            trace: ids(batch, "trace_id_bytes")?,
            span: ids(batch, "span_id_bytes")?,
            parent: ids(batch, "parent_span_id_bytes")?,
            start: ints(batch, column::START)?,
            end: ints(batch, column::END)?,
            entered: ints(batch, column::ENTRY_START)?,
            duration: ints(batch, column::DURATION)?,
            own: ints(batch, column::SELF_TIME)?,
            critical: ints(batch, column::CRITICAL_PATH)?,
            flags: ints(batch, column::TREE_FLAGS)?,
        })
    }

    fn trace(&self, row: usize) -> u128 {
        trace_id(self.trace, row)
    }

    fn span(&mut self, row: usize, operations: &mut Operations) -> Span {
        let operation = self.called.number(row, operations);
        let names = &mut operations.names;
        let key = CellKey {
            entry: (self.entry[0].number(row, names), self.entry[1].number(row, names)),
            operation,
            instance: self.instance.number(row, names),
        };
        Span {
            key,
            entered: self.entered.value(row),
            duration: int(self.duration, row),
            critical: int(self.critical, row),
            failed: self.status.text(row) == Some("ERROR"),
            is_entry: int(self.flags, row) & flag::ENTRY != 0,
        }
    }

    fn kept(&self, row: usize, trace: u128, span: &Span) -> Kept {
        Kept {
            trace,
            span: id(self.span, row),
            parent: id(self.parent, row),
            operation: span.key.operation,
            instance: span.key.instance,
            start: int(self.start, row),
            end: int(self.end, row),
            own: int(self.own, row),
            failed: span.failed,
        }
    }
}
