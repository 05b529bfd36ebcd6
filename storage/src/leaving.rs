//! What is known of rows that are only in the log: summed up as they leave memory, so that a question about all that was
//! acknowledged need not decode the log for what a sum can tell.
//!
//! ```text
//!   held:  [ part 7 ][ part 8 ][ part 9, open ][ in memory … newest ]
//!              │         └ waits for its sum, still in memory
//!              └ Known: its rows in the log, its sum here
//! ```
//! A burst must not wait for sums: where too much waits for them already, a part goes without one, and its rows are read
//! from the log. *Invariant:* a sum is used only where a table still has exactly the rows it is of.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use model::{Nanos, Result, Signal};

use crate::held::Held;
use crate::memory::Counted;
use crate::summary::{Expected, Summarize};

/// A part of a table's rows that left memory, by number in order of leaving.
pub type PartNumber = u64;

/// Rows that are about to be summed up.
pub struct Part {
    number: PartNumber,
    rows: Vec<Kept>,
}

/// Rows that are kept in memory for their sum.
struct Kept {
    held: Arc<Held>,
    _counted: Counted,
}

/// What is known of a part.
pub struct Known {
    pub number: PartNumber,
    pub rows: usize,
    /// Least and greatest of the table's time column.
    pub times: (Nanos, Nanos),
    /// What [`Summarize::begin_in_log`] made of it.
    pub summary: Bytes,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known(part {}, {} rows, {} bytes)", self.number, self.rows, self.summary.len())
    }
}

/// The parts of one table, from leaving memory until their rows are in files.
#[derive(Default)]
pub struct Leaving {
    /// The number of the part that is being filled; numbers begin at 1.
    full: PartNumber,
    open: Vec<Kept>,
    open_bytes: usize,
    waiting: VecDeque<Part>,
    known: Vec<Arc<Known>>,
}

impl Leaving {
    /// Takes rows that leave memory and says of which part they are. A part is full at `part_bytes`; there is none where
    /// there is no room to keep it.
    pub fn take(&mut self, held: &Arc<Held>, part_bytes: usize, room: Option<Counted>) -> PartNumber {
        let number = self.full + 1;
        let Some(counted) = room else {
            self.open.clear();
            (self.full, self.open_bytes) = (number, 0);
            return number;
        };
        self.open_bytes += held.bytes;
        self.open.push(Kept { held: held.clone(), _counted: counted });
        if self.open_bytes >= part_bytes {
            self.waiting.push_back(Part { number, rows: std::mem::take(&mut self.open) });
            (self.full, self.open_bytes) = (number, 0);
        }
        number
    }

    /// Whether a part waits for its sum.
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The part to sum up next.
    pub fn next(&mut self) -> Option<Part> {
        self.waiting.pop_front()
    }

    pub fn keep(&mut self, known: Known) {
        self.known.push(Arc::new(known));
    }

    /// Forgets what is of rows that left the table, once nothing is only in the log, all of it.
    pub fn forget(&mut self, first_left: Option<PartNumber>) {
        let Some(first) = first_left else {
            *self = Leaving { full: self.full + 1, ..Leaving::default() };
            return;
        };
        self.known.retain(|known| known.number >= first);
        self.waiting.retain(|part| part.number >= first);
    }

    /// What is known of exactly these rows, all of them only in the log.
    pub fn of(&self, held: &[Arc<Held>]) -> Arc<[Arc<Known>]> {
        let parts = held.chunk_by(|a, b| a.part == b.part);
        let parts: HashSet<(Option<PartNumber>, usize)> =
            parts.map(|part| (part[0].part, part.iter().map(|held| held.rows).sum())).collect();
        self.known.iter().filter(|known| parts.contains(&(Some(known.number), known.rows))).cloned().collect()
    }
}

/// Sums up a part; `None` when there is nothing to be known of it.
///
/// # Errors
/// Those of the sum.
pub fn sum_up(signal: Signal, part: &Part, summarize: &dyn Summarize) -> Result<Option<Known>> {
    let held = || part.rows.iter().map(|kept| &kept.held);
    let rows = held().map(|held| held.rows).sum();
    let least = held().map(|held| held.times.0).min().unwrap_or(Nanos::MIN);
    let greatest = held().map(|held| held.times.1).max().unwrap_or(Nanos::MAX);
    let expected = Expected { signal, rows, times: Some((least, greatest)) };
    let Some((columns, mut summary)) = summarize.begin_in_log(expected) else { return Ok(None) };
    for packed in held().filter_map(|held| held.batch.as_ref()) {
        summary.add(&packed.select(&columns)?)?;
    }
    let known =
        |summary: Vec<u8>| Known { number: part.number, rows, times: (least, greatest), summary: summary.into() };
    Ok(summary.finish().map(known))
}
