//! What one file says of hot spots, of the load and of log lines, by the second. A file never changes, so this is worked
//! out once and kept: while a test runs, a question reads what is new and adds up the rest.
//!
//! ```text
//! files ─┬─ short in time ─▶ Piece, from the cache or folded now ─┐
//!        └─ the others, memory and log ─▶ folded as asked ────────┴─ add up ─▶ Seen
//! ```
//! The load alone is looked at further back in time than anything else, to find the level before; it is little, so it is
//! kept apart ([`Load`]). *Invariants:* what is kept is taken only where no second of it lies on both sides of a window's
//! edge, so answers are the same to the span as those of a whole scan. All of it takes at most the bytes that
//! [`Pieces`] was made for.

use std::sync::Arc;

use futures::StreamExt;
use model::time::{MINUTE, SECOND};
use model::{Nanos, Result, Signal};
use storage::delta::DataFile;
use storage::{Snapshot, TableSnapshot};

use super::called::Operations;
use super::log_patterns::Lines;
use super::observe::{Cell, CellKey, Kept, Requests, Seen, piece_sql};
use super::per_file::{PerFile, Size};
use super::rows::{Row, read};
use super::sample::Part;
use super::scope::Window;
use super::timeline::IS_REQUEST;
use crate::fold::Fold;
use crate::query::Query;

/// A file that covers more time than this is not cut into seconds.
const LONGEST: Nanos = 3 * MINUTE;
/// A file with fewer rows is read again as fast as a piece of it is found; and it is merged with others soon.
const LEAST_ROWS: u64 = 20_000;
/// Files of which one question finds out the load, file by file; what is beyond is read in one scan.
const MOST_LOADS: usize = 512;
/// As many of them at a time.
const AT_ONCE: usize = 2;
/// What the requests of one second take: a sparse histogram.
const REQUESTS_BYTES: usize = 1_024;
/// Requests may begin this long before the first span of a file.
const EARLIER: Nanos = MINUTE;

/// One file by the second.
pub struct Piece {
    pub(super) operations: Operations,
    /// Beginnings of seconds, Unix ns.
    pub(super) cells: Vec<(CellKey, Nanos, Cell)>,
    pub(super) requests: Vec<((u32, u32), Nanos, Requests)>,
    pub(super) part: Part,
    pub(super) kept: Vec<Kept>,
    /// The first second, and the end of the last.
    pub(super) span: (Nanos, Nanos),
}

impl Size for Piece {
    fn size(&self) -> usize {
        self.operations.size()
            + self.cells.len() * size_of::<(CellKey, Nanos, Cell)>()
            + self.requests.len() * REQUESTS_BYTES
            + self.kept.len() * size_of::<Kept>()
    }
}

/// The requests of one file by the second: those that are neither orphans nor consumers.
pub struct Load {
    /// Beginnings of seconds, Unix ns.
    pub seconds: Vec<(Nanos, Requests)>,
}

impl Size for Load {
    fn size(&self) -> usize {
        self.seconds.len() * REQUESTS_BYTES
    }
}

impl Load {
    /// Whether each of its seconds is wholly inside of the window or outside.
    fn fits(&self, window: Window) -> bool {
        let cut = |edge: Nanos| edge % SECOND != 0 && self.seconds.iter().any(|(at, _)| *at == whole_second(edge));
        !cut(window.start) && !cut(window.end)
    }
}

pub fn whole_second(at: Nanos) -> Nanos {
    at - at.rem_euclid(SECOND)
}

/// What is kept of files.
pub struct Pieces {
    pieces: PerFile<Piece>,
    loads: PerFile<Load>,
    pub(super) lines: PerFile<Lines>,
}

impl Pieces {
    /// At most so many bytes. Loads are small and are asked for further back in time, so they have a part of their own;
    /// so have log lines, of which there may be none.
    pub fn new(most: usize) -> Self {
        let part = most / 8;
        Pieces { pieces: PerFile::new(most - 2 * part), loads: PerFile::new(part), lines: PerFile::new(part) }
    }

    /// Files of which the piece is kept, and of which the load is.
    #[cfg(test)]
    pub fn known(&self) -> (usize, usize) {
        (self.pieces.known(), self.loads.known())
    }
}

/// What is worked out of one file at a time, by the second, and kept.
pub trait FromFile: Size + Sized + Send + Sync + 'static {
    const SIGNAL: Signal;
    type Folded: Fold;

    /// Where it is kept.
    fn kept(pieces: &Pieces) -> &PerFile<Self>;

    /// The statement over the file that is folded.
    fn sql() -> String;

    /// Begins with the rows of a file, all within `around`, whose edges are whole seconds.
    fn empty(around: Window) -> Self::Folded;

    /// `None` when the file cannot be cut into seconds.
    fn made_of(folded: Self::Folded) -> Option<Self>;

    /// Whether each of its seconds is wholly inside of the window or outside.
    fn fits(&self, window: Window) -> bool;
}

impl FromFile for Piece {
    const SIGNAL: Signal = Signal::Traces;
    type Folded = Seen;

    fn kept(pieces: &Pieces) -> &PerFile<Self> {
        &pieces.pieces
    }

    fn sql() -> String {
        piece_sql()
    }

    fn empty(around: Window) -> Seen {
        Seen::by_the_second(around)
    }

    fn made_of(folded: Seen) -> Option<Self> {
        folded.into_piece()
    }

    fn fits(&self, window: Window) -> bool {
        let cuts = |at: Nanos| self.span.0 < at && at < self.span.1 && at % SECOND != 0;
        !cuts(window.start) && !cuts(window.end)
    }
}

/// Splits a table into what is kept of files that can say something of `near`, and the query over all the rest.
pub async fn split<T: FromFile>(query: &Query, near: Window, windows: &[Window]) -> Result<(Vec<Arc<T>>, Query)> {
    let table = query.snapshot().table(T::SIGNAL);
    let (mut known, mut rest) = (Vec::new(), Vec::new());
    T::kept(query.pieces()).begin();
    for file in files_near(table, near) {
        let found = if is_cut_by_second(file) { of_file::<T>(query, file).await? } else { None };
        match found.filter(|found| windows.iter().all(|window| found.fits(*window))) {
            Some(found) => known.push(found),
            None => rest.push(file.clone()),
        }
    }
    let rest = table.clone().with_files(rest.into());
    Ok((known, query.of_table(rest)))
}

/// What is kept of one file, or found now.
async fn of_file<T: FromFile>(query: &Query, file: &Arc<DataFile>) -> Result<Option<Arc<T>>> {
    let cache = T::kept(query.pieces());
    if let Some(known) = cache.get(&file.path) {
        return Ok(known);
    }
    let (start, end) = (whole_second(file.min_time - EARLIER), whole_second(file.max_time + MINUTE) + SECOND);
    let around = Window { start, end };
    let folded = alone(query, T::SIGNAL, file).fold(&T::sql(), || T::empty(around)).await?;
    let found = T::made_of(folded.fold).map(Arc::new);
    cache.keep(&file.path, found.clone());
    Ok(found)
}

/// Splits the spans of a query into the load of files, by the second, and the query over all the rest.
pub async fn split_load(query: &Query, window: Window) -> Result<(Vec<Arc<Load>>, Query)> {
    let table = query.snapshot().table(Signal::Traces);
    let (mut known, mut missing, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    query.pieces().loads.begin();
    for file in files_near(table, window) {
        match query.pieces().loads.get(&file.path) {
            Some(Some(load)) if load.fits(window) => known.push(load),
            None if is_cut_by_second(file) && missing.len() < MOST_LOADS => missing.push(file.clone()),
            _ => rest.push(file.clone()),
        }
    }
    let found = futures::stream::iter(missing).map(|file| async move { (load(query, &file).await, file) });
    let mut found = std::pin::pin!(found.buffered(AT_ONCE));
    while let Some((load, file)) = found.next().await {
        match Some(load?).filter(|load| load.fits(window)) {
            Some(load) => known.push(load),
            None => rest.push(file),
        }
    }
    let rest = table.clone().with_files(rest.into());
    Ok((known, query.of_table(rest)))
}

fn files_near(table: &TableSnapshot, window: Window) -> impl Iterator<Item = &Arc<DataFile>> {
    table.files.iter().filter(move |file| file.max_time >= window.start && file.min_time < window.end)
}

fn is_cut_by_second(file: &DataFile) -> bool {
    file.rows >= LEAST_ROWS && file.max_time.saturating_sub(file.min_time) <= LONGEST
}

/// The load of one file, made now and kept: a few of its columns are read.
async fn load(query: &Query, file: &Arc<DataFile>) -> Result<Arc<Load>> {
    let sql = load_sql(&format!("start_time_unix_nano / {SECOND} * {SECOND}"), IS_REQUEST);
    let found = read(&alone(query, Signal::Traces, file), &sql).await?;
    let load = Arc::new(Load { seconds: found.iter().map(|row| (row.int("b"), requests_of(&row))).collect() });
    query.pieces().loads.keep(&file.path, Some(load.clone()));
    Ok(load)
}

/// Requests by `bin`: what [`requests_of`] reads.
pub fn load_sql(bin: &str, conditions: &str) -> String {
    format!(
        "SELECT {bin} AS b, sum(CASE WHEN status_code = 'ERROR' THEN 1 ELSE 0 END) AS e, \
                CAST(sum(duration_ns) AS DOUBLE) AS d, sketch(duration_ns) AS s \
         FROM spans WHERE {conditions} GROUP BY 1"
    )
}

pub fn requests_of(row: &Row<'_>) -> Requests {
    Requests { latency: row.histogram("s"), duration: row.float("d") as i64, errors: row.int("e") as u64 }
}

/// A query of one file, beside which its table has nothing.
fn alone(query: &Query, signal: Signal, file: &Arc<DataFile>) -> Query {
    query.of_table(TableSnapshot::new(signal, &[], Arc::new([file.clone()]), None))
}

/// The same tables but for one.
pub(crate) fn with_table(snapshot: &Snapshot, table: TableSnapshot) -> Snapshot {
    let mut snapshot = snapshot.clone();
    let place = Signal::ALL.iter().position(|signal| *signal == table.signal).unwrap_or(0);
    snapshot.tables[place] = table;
    snapshot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_that_a_window_cuts_in_two_does_not_fit() {
        let piece = Piece {
            operations: Operations::default(),
            cells: Vec::new(),
            requests: Vec::new(),
            part: Part::ALL,
            kept: Vec::new(),
            span: (10 * SECOND, 20 * SECOND),
        };
        let fits = |start: i64, end: i64| piece.fits(Window { start, end });
        assert!(fits(12 * SECOND, 15 * SECOND));
        assert!(!fits(12 * SECOND + 1, 15 * SECOND) && !fits(12 * SECOND, 15 * SECOND - 1));
        assert!(fits(9 * SECOND + 1, 20 * SECOND + 1), "beside it");

        let load = Load { seconds: vec![(10 * SECOND, Requests::default()), (12 * SECOND, Requests::default())] };
        let fits = |start: i64, end: i64| load.fits(Window { start, end });
        assert!(fits(10 * SECOND, 13 * SECOND) && fits(11 * SECOND + 1, 14 * SECOND + 1), "nothing is there");
        assert!(!fits(10 * SECOND + 1, 13 * SECOND) && !fits(10 * SECOND, 12 * SECOND + 1));
    }
}
