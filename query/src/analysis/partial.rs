//! What one file says of hot spots, of rates and of log lines, by the second. A file never changes, so this is worked out
//! once and kept: while a test runs, a question reads what is new and adds up the rest.
//!
//! ```text
//! files ─┬─ short in time ─▶ Piece, from the cache, the file's end, or folded now ─┐
//!        └─ the others, memory and log ─▶ folded as asked ─────────────────────────┴─ add up ─▶ Seen
//! ```
//! What is only in the log may have been summed up when it left memory; that is taken as a file's end is. Of rows in
//! memory rates are kept as well ([`memory`]).
//! Rates are looked at further back in time than anything else (to find the level of load before, and by dashboards); they
//! are little, so they are kept apart ([`FileRates`]), and written at the end of each file. *Invariants:* what is kept is
//! taken only where no second of it lies on both sides of a window's edge, so answers are the same to the span as those of
//! a whole scan. All of it takes at most the bytes that [`Pieces`] was made for.

mod memory;
pub mod written;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use model::time::{MINUTE, SECOND};
use model::{Nanos, Result, Signal, Tenant};
use storage::delta::DataFile;
use storage::{Backlog, Known, PartNumber, Snapshot, TableSnapshot};

use super::called::Operations;
use super::log_patterns::Lines;
use super::observe::{Cell, CellKey, Kept, Requests, Seen, piece_sql};
use super::per_file::{PerFile, Size};
use super::rates::latencies::FileLatencies;
use super::rates::summary::FileRates;
use super::rows::Row;
use super::runs::named::Named;
use super::sample::Part;
use super::scope::Window;
use super::summed;
use crate::fold::Fold;
use crate::query::Query;
use crate::tables::bloom::Filters;

/// A file that covers more time than this is not cut into seconds.
const LONGEST: Nanos = 3 * MINUTE;
/// A file with fewer rows is read again as fast as a piece of it is found; and it is merged with others soon.
const LEAST_ROWS: u64 = 20_000;
/// Files of which one question finds out something; what is beyond is read in one scan.
const MOST_FILES: usize = 1_024;
/// As many of them at a time.
const AT_ONCE: usize = 2;
/// What the requests of one second take: a sparse histogram.
const REQUESTS_BYTES: usize = 1_024;
/// Requests may begin this long before the first span of a file.
const EARLIER: Nanos = MINUTE;

/// Whole seconds around a file with such times, in which its requests began.
pub fn around((least, greatest): (Nanos, Nanos)) -> Window {
    Window {
        start: whole_second(least.saturating_sub(EARLIER)),
        end: whole_second(greatest.saturating_add(MINUTE)) + SECOND,
    }
}

/// One file by the second.
#[derive(Debug)]
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

/// What is known of bloom filters, in bytes: some 400 for each file.
const FILTERS_BYTES: usize = 4 << 20;
/// Of runs that resources name, which are few: 300 bytes for each file.
const RUNS_BYTES: usize = 1 << 20;

pub fn whole_second(at: Nanos) -> Nanos {
    at - at.rem_euclid(SECOND)
}

/// What is kept of files.
pub struct Pieces {
    pieces: PerFile<Piece>,
    pub(super) rates: PerFile<FileRates>,
    pub(super) latencies: PerFile<FileLatencies>,
    pub(super) lines: PerFile<Lines>,
    /// Which runs resources name.
    pub(super) runs: PerFile<Named>,
    /// Where the bloom filters of traces and users are.
    pub filters: PerFile<Filters>,
}

impl Pieces {
    /// At most so many bytes. Rates are small and are asked for further back in time, so they have a part of their own; so
    /// have log lines, of which there may be none.
    pub fn new(most: usize) -> Self {
        let part = most / 8;
        Pieces {
            pieces: PerFile::new(most - 3 * part),
            rates: PerFile::new(part),
            latencies: PerFile::new(part),
            lines: PerFile::new(part),
            runs: PerFile::new(RUNS_BYTES),
            filters: PerFile::new(FILTERS_BYTES),
        }
    }

    /// Files of which the piece is kept, of which the rates, and of which the latencies are.
    #[cfg(test)]
    pub fn known(&self) -> [usize; 3] {
        [self.pieces.known(), self.rates.known(), self.latencies.known()]
    }
}

/// What one file or one part of the log says.
pub struct Said<T> {
    /// The file's path, or the part's name: no other has ever the same.
    pub key: String,
    pub what: Arc<T>,
}

/// What is worked out of one file at a time, by the second, and kept.
pub trait FromFile: Size + Sized + Send + Sync + 'static {
    const SIGNAL: Signal;
    /// Whether a file that says something else at its end has been found not to be worth it. Others are read to find out.
    const TOLD_WHERE_WORTH: bool = false;
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

    /// The columns that it is folded from, when it can be kept of rows in memory too.
    fn of_memory() -> Option<Vec<&'static str>> {
        None
    }

    /// What the file says at its end, if that is it.
    fn of_summary(_: Bytes) -> Option<Self> {
        None
    }
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
        keeps_seconds_whole(window, self.span)
    }

    fn of_summary(bytes: Bytes) -> Option<Self> {
        written::piece(&summed::hot_spots(bytes)?).ok()
    }
}

/// Whether no edge of the window cuts a second between the times, which are whole seconds.
pub fn keeps_seconds_whole(window: Window, (first, end): (Nanos, Nanos)) -> bool {
    let cuts = |at: Nanos| first < at && at < end && at % SECOND != 0;
    !cuts(window.start) && !cuts(window.end)
}

/// Splits a table into what is kept of files that can say something of `near`, and the query over all the rest.
pub async fn split<T: FromFile>(query: &Query, near: Window, windows: &[Window]) -> Result<(Vec<Arc<T>>, Query)> {
    let (said, rest) = split_by::<T>(query, near, |found, _| windows.iter().all(|window| found.fits(*window))).await?;
    Ok((said.into_iter().map(|one| one.what).collect(), rest))
}

/// The same for what `fits`, which is asked with the least and the greatest time of its rows.
pub async fn split_by<T: FromFile>(
    query: &Query,
    near: Window,
    fits: impl Fn(&T, (Nanos, Nanos)) -> bool,
) -> Result<(Vec<Said<T>>, Query)> {
    let table = query.snapshot().table(T::SIGNAL);
    let (mut known, mut rest) = (Vec::new(), Vec::new());
    T::kept(query.pieces()).begin();
    let ask = |(number, file): (usize, Arc<DataFile>)| async move {
        let found = if number < MOST_FILES { of_file::<T>(query, &file).await } else { Ok(None) };
        (found, file)
    };
    let files: Vec<_> = files_near(table, near).cloned().enumerate().collect();
    let mut asked = std::pin::pin!(futures::stream::iter(files).map(ask).buffered(AT_ONCE));
    while let Some((found, file)) = asked.next().await {
        match found?.filter(|found| fits(found, (file.min_time, file.max_time))) {
            Some(what) => known.push(Said { key: file.path.clone(), what }),
            None => rest.push(file),
        }
    }
    let mut rest = table.clone().with_files(rest.into());
    if let Some(backlog) = rest.backlog.take() {
        let (of_log, left) = split_log::<T>(query.tenant(), &backlog, near, &fits);
        known.extend(of_log);
        rest = rest.with_backlog(left);
    }
    let (of_memory, rest) = memory::split::<T>(query, rest, near, &fits).await?;
    known.extend(of_memory);
    Ok((known, query.of_table(rest)))
}

/// The same of what is only in the log, of which parts were summed up when they left memory.
fn split_log<T: FromFile>(
    tenant: &Tenant,
    backlog: &Backlog,
    near: Window,
    fits: impl Fn(&T, (Nanos, Nanos)) -> bool,
) -> (Vec<Said<T>>, Option<Backlog>) {
    let is_near = |part: &&Arc<Known>| near.meets(part.times);
    let said = |part: &Arc<Known>| {
        let what = Arc::new(T::of_summary(part.summary.clone()).filter(|what| fits(what, part.times))?);
        Some((part.number, Said { key: format!("{tenant}: part {} of the log", part.number), what }))
    };
    let (parts, known): (HashSet<PartNumber>, Vec<Said<T>>) =
        backlog.known().iter().filter(is_near).filter_map(said).unzip();
    (known, backlog.without(&parts))
}

/// What is kept of one file, or found now.
async fn of_file<T: FromFile>(query: &Query, file: &Arc<DataFile>) -> Result<Option<Arc<T>>> {
    let times = (file.min_time, file.max_time);
    if !is_by_second(file.rows, times) {
        return Ok(None);
    }
    let cache = T::kept(query.pieces());
    if let Some(known) = cache.get(&file.path) {
        return Ok(known);
    }
    let found = match summed_up::<T>(query, file).await {
        Some(told) if told.is_some() || T::TOLD_WHERE_WORTH => told,
        _ => {
            let around = around(times);
            T::made_of(alone(query, T::SIGNAL, file).fold(&T::sql(), || T::empty(around)).await?.fold)
        }
    };
    let found = found.map(Arc::new);
    cache.keep(&file.path, found.clone());
    Ok(found)
}

/// What the file says at its end; `None` when it says nothing, or nothing that can be read.
async fn summed_up<T: FromFile>(query: &Query, file: &DataFile) -> Option<Option<T>> {
    let read = storage::summary::read(query.snapshot().objects.as_ref(), file).await;
    let bytes = read.inspect_err(|error| tracing::warn!("{}; its rows are read instead", error.message));
    Some(T::of_summary(bytes.ok().flatten()?))
}

fn files_near(table: &TableSnapshot, window: Window) -> impl Iterator<Item = &Arc<DataFile>> {
    table.files.iter().filter(move |file| window.meets((file.min_time, file.max_time)))
}

/// Whether something is kept of a file with so many rows between two times, or read each time.
pub fn is_by_second(rows: u64, (least, greatest): (Nanos, Nanos)) -> bool {
    rows >= LEAST_ROWS && greatest.saturating_sub(least) <= LONGEST
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
    let (latency, duration) = (row.histogram("s"), row.float("d") as i64);
    Requests { latency, duration, errors: row.int("e") as u64, apart: 0 }
}

/// A query of one file, beside which its table has nothing.
pub(super) fn alone(query: &Query, signal: Signal, file: &Arc<DataFile>) -> Query {
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
    }
}
