//! What one file says of hot spots and of the load, by the second. A file never changes, so this is worked out once and
//! kept: while a test runs, a question reads what is new and adds up the rest.
//!
//! ```text
//! files ─┬─ short in time ─▶ Piece, from the cache or folded now ─┐
//!        └─ the others, memory and log ─▶ folded as asked ────────┴─ add up ─▶ Seen
//! ```
//! *Invariants:* a piece is taken only where no second of it lies on both sides of a window's edge, so answers are the
//! same to the span as those of a whole scan. Pieces take at most the bytes that the cache was made for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::time::{MINUTE, SECOND};
use model::{Nanos, Result, Signal};
use storage::delta::DataFile;
use storage::{Snapshot, TableSnapshot};

use super::called::Operations;
use super::observe::{Cell, CellKey, Kept, Requests, Seen, piece_sql};
use super::sample::Part;
use super::scope::Window;
use crate::query::Query;

/// A file that covers more time than this is not cut into seconds.
const LONGEST: Nanos = 3 * MINUTE;
/// A file with fewer rows is read again as fast as a piece of it is found; and it is merged with others soon.
const LEAST_ROWS: u64 = 20_000;
/// Requests may begin this long before the first span of a file.
const EARLIER: Nanos = MINUTE;

/// One file by the second.
pub struct Piece {
    pub(super) operations: Operations,
    /// Beginnings of seconds, Unix ns.
    pub(super) cells: Vec<(CellKey, Nanos, Cell)>,
    pub(super) requests: Vec<((u32, u32), Nanos, Requests)>,
    /// All of the load: requests that are neither orphans nor consumers.
    pub(super) load: Vec<(Nanos, Requests)>,
    pub(super) part: Part,
    pub(super) kept: Vec<Kept>,
    /// The first second, and the end of the last.
    pub(super) span: (Nanos, Nanos),
}

impl Piece {
    /// Whether each of its seconds is wholly inside of the window or outside.
    pub fn fits(&self, window: Window) -> bool {
        let cuts = |at: Nanos| self.span.0 < at && at < self.span.1 && at % SECOND != 0;
        !cuts(window.start) && !cuts(window.end)
    }

    fn size(&self) -> usize {
        let requests = self.requests.len() + self.load.len();
        self.operations.size()
            + self.cells.len() * size_of::<(CellKey, Nanos, Cell)>()
            + requests * 1_024
            + self.kept.len() * size_of::<Kept>()
    }
}

/// Pieces by the path of their file. `None` stands for a file that cannot be cut into seconds.
pub struct Pieces {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    by_path: HashMap<String, (Option<Arc<Piece>>, u64)>,
    bytes: usize,
    /// Counts uses, so that the longest unused goes first.
    uses: u64,
}

/// What a known path costs besides its piece.
const PATH: usize = 256;

impl Pieces {
    /// A cache of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Pieces { most, held: Mutex::default() }
    }

    /// Pieces that are kept.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.by_path.values().filter(|(piece, _)| piece.is_some()).count()
    }

    fn get(&self, path: &str) -> Option<Option<Arc<Piece>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let now = held.uses;
        let (piece, used) = held.by_path.get_mut(path)?;
        *used = now;
        Some(piece.clone())
    }

    fn keep(&self, path: &str, piece: Option<Arc<Piece>>) {
        let size = |piece: &Option<Arc<Piece>>| PATH + piece.as_ref().map_or(0, |piece| piece.size());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let now = held.uses;
        held.bytes += size(&piece);
        if let Some((replaced, _)) = held.by_path.insert(path.to_owned(), (piece, now)) {
            held.bytes -= size(&replaced);
        }
        while held.bytes > self.most {
            let Some(oldest) = held.by_path.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone())
            else {
                break;
            };
            if let Some((dropped, _)) = held.by_path.remove(&oldest) {
                held.bytes -= size(&dropped);
            }
        }
    }
}

/// Splits the spans of a query into pieces of files that can say something of `near`, and the query over all the rest.
/// `fits` says whether a piece may be used.
pub async fn split(query: &Query, near: Window, fits: impl Fn(&Piece) -> bool) -> Result<(Vec<Arc<Piece>>, Query)> {
    let table = query.snapshot().table(Signal::Traces);
    let (mut pieces, mut rest) = (Vec::new(), Vec::new());
    for file in table.files.iter() {
        let beside = file.max_time < near.start || file.min_time >= near.end;
        if beside {
            continue;
        }
        let short = file.rows >= LEAST_ROWS && file.max_time.saturating_sub(file.min_time) <= LONGEST;
        let piece = if short { piece(query, file).await? } else { None };
        match piece.filter(|piece| fits(piece)) {
            Some(piece) => pieces.push(piece),
            None => rest.push(file.clone()),
        }
    }
    let rest = table.clone().with_files(rest.into());
    Ok((pieces, query.of_spans(rest)))
}

/// The piece of one file, from the cache or made now. `None` when it cannot be cut into seconds.
async fn piece(query: &Query, file: &Arc<DataFile>) -> Result<Option<Arc<Piece>>> {
    let cache = query.pieces();
    if let Some(known) = cache.get(&file.path) {
        return Ok(known);
    }
    let alone = TableSnapshot::new(Signal::Traces, &[], Arc::new([file.clone()]), None);
    let floor = |at: Nanos| at - at.rem_euclid(SECOND);
    let window = Window { start: floor(file.min_time - EARLIER), end: floor(file.max_time + MINUTE) + SECOND };
    let folded = query.of_spans(alone).fold(&piece_sql(), || Seen::by_the_second(window)).await?;
    let piece = folded.fold.into_piece().map(Arc::new);
    cache.keep(&file.path, piece.clone());
    Ok(piece)
}

/// The same tables with other spans.
pub(crate) fn with_spans(snapshot: &Snapshot, spans: TableSnapshot) -> Snapshot {
    let mut snapshot = snapshot.clone();
    let traces = Signal::ALL.iter().position(|signal| *signal == Signal::Traces).unwrap_or(0);
    snapshot.tables[traces] = spans;
    snapshot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(cells: usize) -> Option<Arc<Piece>> {
        let key = CellKey { entry: (0, 0), operation: 0, instance: 0 };
        Some(Arc::new(Piece {
            operations: Operations::default(),
            cells: vec![(key, 0, Cell::default()); cells],
            requests: Vec::new(),
            load: Vec::new(),
            part: Part::ALL,
            kept: Vec::new(),
            span: (10 * SECOND, 20 * SECOND),
        }))
    }

    #[test]
    fn the_longest_unused_goes_first_and_bytes_stay_within_the_limit() {
        let one = PATH + piece(100).expect("a piece").size();
        let cache = Pieces::new(2 * one);
        cache.keep("a", piece(100));
        cache.keep("b", piece(100));
        assert!(cache.get("a").is_some());
        cache.keep("c", piece(100));
        assert!(cache.get("b").is_none() && cache.get("a").is_some() && cache.get("c").is_some());
        cache.keep("a", piece(100));
        assert!(cache.get("c").is_some(), "a piece that takes its own place takes no other's");
        cache.keep("huge", piece(10_000));
        assert!(cache.get("huge").is_none() && cache.get("a").is_none());
        cache.keep("none", None);
        assert!(matches!(cache.get("none"), Some(None)));
    }

    #[test]
    fn a_second_that_a_window_cuts_in_two_does_not_fit() {
        let piece = piece(0).expect("a piece");
        let fits = |start: i64, end: i64| piece.fits(Window { start, end });
        assert!(fits(12 * SECOND, 15 * SECOND));
        assert!(!fits(12 * SECOND + 1, 15 * SECOND) && !fits(12 * SECOND, 15 * SECOND - 1));
        assert!(fits(9 * SECOND + 1, 20 * SECOND + 1), "beside it");
    }
}
