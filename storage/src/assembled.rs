//! The rows in memory with their traces assembled, shared by the questions of one moment.
//!
//! Sits behind snapshots. Under load each question sees a snapshot of its own, yet nearly all rows of it were in that of
//! the question before: what was assembled for one is where the next one starts, and within [`FRESH`] nothing is
//! assembled anew. A trace that looks whole is assembled [`SOONER`] than others, so that it counts soon, as long as not
//! [`MANY`] rows are that young. *Invariant:* what is shared lives as long as a question that uses it, and its bytes are
//! part of the budget of rows in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arrow::array::RecordBatch;
use model::Nanos;
use model::schema::column;
use model::time::SECOND;

use crate::assemble::usual::Usual;
use crate::assemble::{self, Sooner};
use crate::held::Held;
use crate::memory::{Counted, Memory};
use crate::packed::Packed;

/// So much later than elsewhere a trace may be assembled for a question, so that questions share the work.
const FRESH: Nanos = SECOND;
/// So much less long a trace needs to be quiet that looks whole: what one process has of it comes in one go.
const SOONER: Nanos = 9 * SECOND;
/// Where more rows than that are between the two, all wait the full time: to assemble a second's rows again each second
/// would take the cores from those who ask, and so many need no haste to prove something.
const MANY: usize = 50_000;
/// So long a question waits for what another is assembling.
const PATIENCE: Duration = Duration::from_millis(200);
/// What the assembled columns take for a row: four numbers, and the places of two texts that occur many times.
const BYTES_A_ROW: usize = 4 * 8 + 2;

/// One export's rows, or those of several joined ones, as questions see them.
#[derive(Debug)]
pub struct Part {
    records: (u64, u64),
    pub rows: Packed,
    /// All of its traces are assembled, and no parent was missing.
    is_settled: bool,
    _counted: Option<Counted>,
}

/// All rows in memory of one snapshot, assembled as far as their traces had been quiet since `quiet_before`, or look whole
/// and had been since `whole_before`.
#[derive(Debug)]
pub struct Assembled {
    quiet_before: Nanos,
    /// [`SOONER`] after the other, or the same where there are [`MANY`].
    whole_before: Nanos,
    parts: Vec<Arc<Part>>,
}

impl Assembled {
    pub fn rows(&self) -> impl Iterator<Item = &Packed> {
        self.parts.iter().map(|part| &part.rows)
    }

    /// The same without the rows of these numbers.
    pub fn without(&self, numbers: &HashSet<u64>) -> Self {
        let left = self.parts.iter().filter(|part| !numbers.contains(&part.rows.number()));
        Assembled { parts: left.cloned().collect(), ..*self }
    }
}

/// What was assembled last of one table.
#[derive(Debug)]
pub struct Recent {
    memory: Arc<Memory>,
    last: Mutex<Last>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Last {
    assembled: Weak<Assembled>,
    /// What was learned of the traces so far.
    usual: Arc<Usual>,
    /// Somebody assembles now.
    is_at_work: bool,
}

/// Ends what it says of its work when it is dropped.
struct AtWork<'r>(&'r Recent);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.last().is_at_work = false;
        self.0.ended.notify_all();
    }
}

impl Recent {
    pub fn new(memory: Arc<Memory>) -> Self {
        Recent { memory, last: Mutex::default(), ended: Condvar::new() }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of `held` with the assembled columns filled for traces that have been quiet since `quiet_before`, or
    /// since a moment up to [`FRESH`] before. Who asks meanwhile waits, and then has most of the work done; but not for long,
    /// since who is at work may be a thread that has no core.
    pub fn assembled(&self, held: &[Arc<Held>], context: &[RecordBatch], quiet_before: Nanos) -> Arc<Assembled> {
        let waited = self.ended.wait_timeout_while(self.last(), PATIENCE, |last| last.is_at_work);
        let (mut last, _) = waited.unwrap_or_else(PoisonError::into_inner);
        last.is_at_work = true;
        let (known, mut usual) = (last.assembled.upgrade(), last.usual.clone());
        drop(last);
        let _at_work = AtWork(self);
        let parts: HashMap<_, _> = known.iter().flat_map(|k| &k.parts).map(|part| (part.records, part)).collect();
        let fresh = known.as_ref().filter(|k| quiet_before - k.quiet_before <= FRESH);
        let assembled = match fresh.and_then(|known| extended(known, &parts, held)) {
            Some(extended) => Arc::new(extended),
            None => Arc::new(self.assemble(&parts, held, context, (quiet_before, Arc::make_mut(&mut usual)))),
        };
        let mut last = self.last();
        (last.assembled, last.usual) = (Arc::downgrade(&assembled), usual);
        drop(last);
        assembled
    }

    fn assemble(
        &self,
        known: &HashMap<(u64, u64), &Arc<Part>>,
        held: &[Arc<Held>],
        context: &[RecordBatch],
        (quiet_before, usual): (Nanos, &mut Usual),
    ) -> Assembled {
        let held: Vec<(&Held, &Packed)> = held.iter().filter_map(|h| Some((&**h, h.batch.as_ref()?))).collect();
        let rows = held.iter().map(|(held, raw)| match known.get(&held.records()) {
            Some(part) => part.rows.clone(),
            None => (*raw).clone(),
        });
        let mut rows: Vec<Packed> = rows.collect();
        let whole_before = whole_before(quiet_before, held.iter().map(|(held, _)| *held));
        let sooner = (whole_before > quiet_before).then_some(Sooner { whole_before, usual });
        // A trace with a row that came later is not quiet, so only those with a row from before can be.
        let (mut old, mut young, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (held, _)) in held.iter().enumerate() {
            if held.oldest >= whole_before {
                young.push(rows[at].clone());
            } else if known.get(&held.records()).is_some_and(|part| part.is_settled) {
                settled.push(at);
            } else {
                old.push(at);
            }
        }
        // What is settled is looked at again only where something came later.
        let open = assemble::traces_packed(old.iter().map(|at| &rows[*at]));
        old.extend(settled.into_iter().filter(|at| assemble::has_of(&rows[*at], &open)));
        old.sort_unstable();
        let of_old: Vec<Packed> = old.iter().map(|at| rows[*at].clone()).collect();
        let filled = assemble::fill_sooner((context, &young), of_old, quiet_before, sooner);
        for (at, filled) in old.iter().zip(filled) {
            rows[*at] = filled;
        }
        let parts = held.iter().zip(rows).map(|((held, raw), rows)| {
            let known = known.get(&held.records()).filter(|part| part.rows.is_same(&rows));
            known.map_or_else(|| Arc::new(self.part(held, raw, rows)), |part| Arc::clone(part))
        });
        Assembled { quiet_before, whole_before, parts: parts.collect() }
    }

    fn part(&self, held: &Held, raw: &Packed, rows: Packed) -> Part {
        let is_same = raw.is_same(&rows);
        let counted = (!is_same).then(|| self.memory.borrow(rows.num_rows() * BYTES_A_ROW));
        let is_settled =
            !is_same && rows.select(&[column::TREE_FLAGS]).is_ok_and(|flags| assemble::unsettled(&flags) == 0);
        Part { records: held.records(), rows, is_settled, _counted: counted }
    }
}

/// What is known, with rows received since as they are; `None` when rows are unknown that may have been assembled then.
fn extended(last: &Assembled, known: &HashMap<(u64, u64), &Arc<Part>>, held: &[Arc<Held>]) -> Option<Assembled> {
    let part = |held: &Arc<Held>| match known.get(&held.records()) {
        Some(part) => Some(Arc::clone(part)),
        None if held.oldest < last.whole_before => None,
        None => Some(Arc::new(Part {
            records: held.records(),
            rows: held.batch.clone()?,
            is_settled: false,
            _counted: None,
        })),
    };
    Some(Assembled { parts: held.iter().map(part).collect::<Option<_>>()?, ..*last })
}

/// Before when a trace that looks whole has to have been quiet.
pub fn whole_before<'h>(quiet_before: Nanos, held: impl Iterator<Item = &'h Held>) -> Nanos {
    let sooner = quiet_before.saturating_add(SOONER);
    let between = held.filter(|held| (quiet_before..sooner).contains(&held.oldest));
    if between.map(|held| held.rows).sum::<usize>() <= MANY { sooner } else { quiet_before }
}
