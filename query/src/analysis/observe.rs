//! Fills what the ranking is computed from, in one pass over all spans of the window and of its baseline: the cube of
//! each side, its requests, and an even part of its traces whole, from which [`super::learn`] takes the facts that
//! sharpen a category and the examples.

use std::collections::HashMap;

use arrow::array::{Array, FixedSizeBinaryArray, Int64Array, RecordBatch};
use model::schema::column;
use model::time::SECOND;
use model::{Error, Result};

use super::batch::{id, ids, int, ints, trace_id};
use super::called::{self, Called, Operations};
use super::histogram::Histogram;
use super::names::TextColumn;
use super::partial::{Piece, split};
use super::ranking::{CellStat, Observed, OperationKey, Place, RequestStat};
use super::rates::entries::{is_entry, is_request};
use super::sample::{Part, hash};
use super::scope::{Scope, Window, entered_in, near};
use super::times;
use crate::fold::{Fold, Folded};
use crate::query::Query;

/// The bootstrap needs bins, not many: this many at most.
const MOST_BINS: i64 = 120;
/// Spans of each side that are kept, in whole traces.
const KEPT_SPANS: usize = 60_000;
/// Spans that are kept of one file that is cut into seconds.
const KEPT_OF_PIECE: usize = 6_000;

/// Sees all spans of traces that entered in one of the windows. The scope chooses traces ([`Scope::entries`]).
pub async fn observe(query: &Query, scope: &Scope, windows: &[Window]) -> Result<Folded<Seen>> {
    let Some(whole) = Window::around(windows) else {
        return Err(Error::internal("nothing to observe"));
    };
    let either: Vec<String> = windows.iter().map(|window| format!("({})", entered_in(*window))).collect();
    let chosen = scope.entries(windows);
    let sql = format!("{} WHERE {} AND ({}){chosen}", select(), entered_in(whole), either.join(" OR "));
    let sides: Vec<Side> = windows.iter().map(|window| Side::new(*window)).collect();
    let empty = || Seen { operations: Operations::default(), sides: sides.clone(), outside: 0 };
    // Pieces know nothing of what traces take part in a run, or have a span with an attribute.
    if !chosen.is_empty() {
        return query.fold(&sql, empty).await;
    }
    let (pieces, rest) = split::<Piece>(query, near(whole), windows).await?;
    let mut folded = rest.fold(&sql, empty).await?;
    for piece in pieces {
        folded.take(|seen| seen.take(&piece))?;
    }
    Ok(folded)
}

fn select() -> String {
    format!(
        "SELECT trace_id_bytes, span_id_bytes, parent_span_id_bytes, entry_service, entry_operation, instance_id, {}, \
                {}, {}, {}, duration_ns, self_time_ns, critical_path_ns, status_code, tree_flags \
         FROM spans",
        called::columns(),
        column::START,
        column::END,
        column::ENTRY_START,
    )
}

/// What a [`Piece`] is made of: all spans whose entry is known.
pub fn piece_sql() -> String {
    format!("{} WHERE {} IS NOT NULL", select(), column::ENTRY_START)
}

/// What was seen of all windows; operations and names are numbered the same in each.
#[derive(Clone)]
pub struct Seen {
    pub operations: Operations,
    sides: Vec<Side>,
    /// Spans that entered in none of the windows.
    outside: u64,
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
    most_kept: usize,
    bytes: usize,
}

/// Names of entry service, entry operation and instance, and an operation, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CellKey {
    pub entry: (u32, u32),
    pub operation: u32,
    pub instance: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    pub spans: u64,
    pub errors: u64,
    pub critical: i64,
    pub duration: i64,
}

impl Cell {
    fn add(&mut self, more: &Cell) {
        self.spans += more.spans;
        self.errors += more.errors;
        times::add(&mut self.critical, more.critical);
        times::add(&mut self.duration, more.duration);
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    pub latency: Histogram,
    pub duration: i64,
    pub errors: u64,
    /// Of them, the entries of consumers' trees and of orphans: no requests (interface.md, "Words").
    pub apart: u64,
}

impl Requests {
    pub fn count(&mut self, duration: i64, failed: bool) {
        self.latency.record(duration);
        times::add(&mut self.duration, duration);
        self.errors += u64::from(failed);
    }

    pub fn add(&mut self, more: &Requests) {
        self.latency.merge(&more.latency);
        times::add(&mut self.duration, more.duration);
        self.errors += more.errors;
        self.apart += more.apart;
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    pub trace: u128,
    pub span: u64,
    /// 0 for none: no span has that id.
    pub parent: u64,
    pub operation: u32,
    pub instance: u32,
    pub entered: i64,
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
    is_request: bool,
}

impl Seen {
    /// For a [`Piece`]: one window in bins of a second.
    pub fn by_the_second(window: Window) -> Self {
        Seen::by_the_second_keeping(window, KEPT_OF_PIECE)
    }

    /// The same with at most so many spans of whole traces.
    pub fn by_the_second_keeping(window: Window, most_kept: usize) -> Self {
        let side = Side { bin: SECOND, most_kept, ..Side::new(window) };
        Seen { operations: Operations::default(), sides: vec![side], outside: 0 }
    }

    /// `None` when a span entered outside of the window.
    pub fn into_piece(self) -> Option<Piece> {
        let Seen { operations, sides, outside } = self;
        let side = sides.into_iter().next().filter(|_| outside == 0)?;
        let (start, bin) = (side.window.start, side.bin);
        let second = |at: usize| start + at as i64 * bin;
        let cells = side.cells.into_iter().flat_map(|(key, cells)| {
            let seen = cells.into_iter().enumerate().filter(|(_, cell)| cell.spans > 0);
            seen.map(move |(at, cell)| (key, second(at), cell))
        });
        let cells: Vec<(CellKey, i64, Cell)> = cells.collect();
        let requests = side.requests.into_iter().flat_map(|(entry, bins)| {
            let seen = bins.into_iter().enumerate().filter(|(_, requests)| requests.latency.count() > 0);
            seen.map(move |(at, requests)| (entry, second(at), requests))
        });
        let seconds = || cells.iter().map(|(_, at, _)| *at);
        Some(Piece {
            span: (seconds().min().unwrap_or(start), seconds().max().map_or(start, |last| last + SECOND)),
            operations,
            requests: requests.collect(),
            part: side.part,
            kept: side.kept,
            cells,
        })
    }

    /// Adds what a file says, of which no second lies on both sides of an edge.
    fn take(&mut self, piece: &Piece) {
        let (names, operations) = self.operations.take_in(&piece.operations);
        let named = |number: u32| names[number as usize];
        let entry = |(service, operation): (u32, u32)| (named(service), named(operation));
        for side in &mut self.sides {
            let window = side.window;
            for (key, at, cell) in piece.cells.iter().filter(|(_, at, _)| window.holds(*at)) {
                let column = side.column(CellKey {
                    entry: entry(key.entry),
                    operation: operations[key.operation as usize],
                    instance: named(key.instance),
                });
                let bin = side.bin_of(*at);
                side.cell(column, bin).add(cell);
            }
            for (of, at, requests) in piece.requests.iter().filter(|(_, at, _)| window.holds(*at)) {
                let bin = side.bin_of(*at);
                side.requests(entry(*of), bin).add(requests);
            }
            let kept = piece.kept.iter().filter(|span| window.holds(span.entered)).map(|span| Kept {
                operation: operations[span.operation as usize],
                instance: named(span.instance),
                ..*span
            });
            side.part = side.part.and(piece.part);
            side.kept.extend(kept);
            side.keep_the_part();
        }
    }

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

    /// Entries that are no requests.
    pub fn apart(&self, side: usize) -> u64 {
        self.sides[side].requests.values().flatten().map(|requests| requests.apart).sum()
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
            most_kept: KEPT_SPANS,
            bytes: 0,
        }
    }

    fn bin_of(&self, at: i64) -> usize {
        ((at - self.window.start) / self.bin) as usize
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
        let bin = self.bin_of(span.entered);
        let cell = self.cell(column, bin);
        cell.spans += 1;
        cell.errors += u64::from(span.failed);
        times::add(&mut cell.critical, span.critical);
        times::add(&mut cell.duration, span.duration);
        if span.is_entry {
            let requests = self.requests(span.key.entry, bin);
            requests.count(span.duration, span.failed);
            requests.apart += u64::from(!span.is_request);
        }
    }

    /// Takes a smaller part of the traces until few enough spans are kept.
    fn limit(&mut self) {
        while self.kept.len() > self.most_kept {
            self.part = self.part.halved();
            let part = self.part;
            self.kept.retain(|span| part.holds(hash(span.trace)));
        }
    }

    fn keep_the_part(&mut self) {
        let part = self.part;
        self.kept.retain(|span| part.holds(hash(span.trace)));
        self.limit();
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
                self.cell(column, bin).add(&more);
            }
        }
        for (key, bins) in other.requests {
            for (bin, more) in bins.into_iter().enumerate() {
                self.requests(entry(key), bin).add(&more);
            }
        }
        self.part = self.part.and(other.part);
        self.kept.extend(other.kept.into_iter().map(|span| Kept {
            operation: operations[span.operation as usize],
            instance: named(span.instance),
            ..span
        }));
        self.keep_the_part();
    }
}

impl Fold for Seen {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut columns = Columns::of(batch)?;
        let mut last: Vec<Option<(CellKey, usize)>> = vec![None; self.sides.len()];
        for row in (0..batch.num_rows()).filter(|row| columns.entered.is_valid(*row)) {
            let span = columns.span(row, &mut self.operations);
            let trace = columns.trace(row);
            let hashed = hash(trace);
            self.outside += u64::from(!self.sides.iter().any(|side| side.window.holds(span.entered)));
            for (side, last) in self.sides.iter_mut().zip(&mut last).filter(|(side, _)| side.window.holds(span.entered))
            {
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
        self.outside += other.outside;
        for (side, more) in self.sides.iter_mut().zip(other.sides) {
            side.merge(more, &names, &operations);
        }
    }

    fn size(&self) -> usize {
        let side = |side: &Side| side.bytes + side.kept.capacity() * size_of::<Kept>() + side.cells.len() * 128;
        self.operations.size() + self.sides.iter().map(side).sum::<usize>()
    }
}

/// As bytes: a column of the view, or of the table itself.
fn id_column<'a>(batch: &'a RecordBatch, view: &str, physical: &str) -> Result<&'a FixedSizeBinaryArray> {
    ids(batch, if batch.schema_ref().index_of(view).is_ok() { view } else { physical })
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
            trace: id_column(batch, "trace_id_bytes", column::TRACE_ID)?,
            span: id_column(batch, "span_id_bytes", column::SPAN_ID)?,
            parent: id_column(batch, "parent_span_id_bytes", column::PARENT_SPAN_ID)?,
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
        let flags = int(self.flags, row);
        Span {
            key,
            entered: self.entered.value(row),
            duration: int(self.duration, row),
            critical: int(self.critical, row),
            failed: self.status.text(row) == Some("ERROR"),
            is_entry: is_entry(flags),
            is_request: is_request(flags),
        }
    }

    fn kept(&self, row: usize, trace: u128, span: &Span) -> Kept {
        Kept {
            trace,
            span: id(self.span, row),
            parent: id(self.parent, row),
            operation: span.key.operation,
            instance: span.key.instance,
            entered: span.entered,
            start: int(self.start, row),
            end: int(self.end, row),
            own: int(self.own, row),
            failed: span.failed,
        }
    }
}
