//! What a table holds, under its lock: rows that wait, what is known of rows that were written, and files. Each step
//! here keeps the sums right.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::time::SECOND;
use model::{Error, Nanos};

use crate::delta::{DataFile, is_same_day};
use crate::held::Held;
use crate::leaving::Leaving;
use crate::memory::Memory;
use crate::snapshot::TableSnapshot;
use crate::store::Hindered;

/// How long written rows take part in assembling the traces they belong to: twice as long as exports of one trace
/// are usually apart.
const REMEMBER: Nanos = 30 * SECOND;
/// Batches of fewer rows are joined with their neighbours, up to this many rows: a scan pays for each batch.
const JOINED_ROWS: usize = 2_048;
const SMALL_ROWS: usize = 256;
/// Rows that leave memory are summed up in parts of this size, so that little of them has no sum yet.
const PARTS_OF_CHUNK: usize = 4;

#[derive(Default)]
pub struct Inner {
    pub held: VecDeque<Arc<Held>>,
    /// Rows in `held`, and bytes of those in memory.
    pub rows: usize,
    pub bytes: usize,
    /// Those of the rows that are in the log only.
    pub dropped: usize,
    pub leaving: Leaving,
    /// So many of `held`, from the front, are being written: dropping them would free nothing.
    pub busy: usize,
    /// So many of `held`, from the front, have left memory or are being written: looked at no more when rows are dropped.
    pub passed: usize,
    /// Up to here rows were in a commit that failed, or seemed to: it may be there. They stay apart from those behind.
    pub attempted: u64,
    /// Set when writing some of `held` failed, until some are written.
    pub hindered: Option<Hindrance>,
    pub written: Written,
    pub files: Arc<[Arc<DataFile>]>,
    pub version: Option<u64>,
    /// The last snapshot, while nothing has changed since.
    pub cached: Option<TableSnapshot>,
}

/// Since when rows cannot be written, and why not when that was tried last.
#[derive(Debug, Clone)]
pub struct Hindrance {
    pub since: Nanos,
    pub why: Error,
}

impl Hindrance {
    pub fn told(self, now: Nanos) -> Hindered {
        Hindered { for_s: (now - self.since).max(0) as f64 / SECOND as f64, why: self.why.message }
    }
}

/// Rows assembled and written within [`REMEMBER`], with the time at which that was, narrowed to what assembly needs: the
/// rest of their traces is still to come.
#[derive(Default)]
pub struct Written {
    pub rows: VecDeque<(Nanos, RecordBatch)>,
    bytes: usize,
}

impl Written {
    pub fn add(&mut self, at: Nanos, rows: RecordBatch, limit: usize) {
        self.bytes += rows.get_array_memory_size();
        self.rows.push_back((at, rows));
        while let Some((oldest, rows)) = self.rows.front()
            && (*oldest <= at - REMEMBER || self.bytes > limit)
        {
            self.bytes -= rows.get_array_memory_size();
            self.rows.pop_front();
        }
    }

    /// What was written with rows received up to `received` in sight. What was written before them knew nothing of them:
    /// they are late, and their traces are assembled anew as a whole (`crate::late`).
    pub fn aware_of(&self, received: Nanos) -> impl Iterator<Item = RecordBatch> {
        self.rows.iter().filter(move |(at, _)| *at >= received).map(|(_, rows)| rows.clone())
    }
}

impl Inner {
    /// Takes out what has records up to `through` only.
    pub fn take_through(&mut self, through: u64, memory: &Memory) -> Vec<Arc<Held>> {
        let count = self.held.iter().take_while(|h| h.last <= through).count();
        if count == 0 {
            return Vec::new();
        }
        let taken: Vec<Arc<Held>> = self.held.drain(..count).collect();
        let bytes = taken.iter().map(|h| h.in_memory()).sum::<usize>();
        self.rows -= taken.iter().map(|h| h.rows).sum::<usize>();
        self.dropped -= taken.iter().filter(|h| h.batch.is_none()).map(|h| h.rows).sum::<usize>();
        self.bytes -= bytes;
        self.hindered = None;
        self.leaving.forget(self.held.iter().find_map(|held| held.part));
        self.busy = self.busy.saturating_sub(count);
        self.passed = self.passed.saturating_sub(count);
        memory.give_back(bytes);
        taken
    }

    /// So many, from the front, stay as they are: they are being written, or perhaps were.
    fn fixed(&self) -> usize {
        self.busy.max(self.held.iter().take_while(|h| h.last <= self.attempted).count())
    }

    /// Drops the oldest rows from memory until `bytes` are free, but never the newest export, which queries look at
    /// most. Returns the bytes freed.
    pub fn drop_oldest(&mut self, bytes: usize, memory: &Memory) -> usize {
        let mut freed = 0;
        let newest = self.held.len().saturating_sub(1);
        while freed < bytes && self.passed < newest {
            let held = &mut self.held[self.passed];
            if held.batch.is_some() {
                freed += held.bytes;
                self.dropped += held.rows;
                let part = self.leaving.take(held, memory.chunk() / PARTS_OF_CHUNK, memory.leave(held.bytes));
                *held = Arc::new(held.dropped(part));
            }
            self.passed += 1;
        }
        self.bytes -= freed;
        freed
    }

    /// Runs of neighbours worth joining, none of them being written.
    pub fn small_runs(&self) -> Vec<Vec<Arc<Held>>> {
        let mut runs = Vec::new();
        let mut run: Vec<Arc<Held>> = Vec::new();
        let mut rows = 0;
        for held in self.held.iter().skip(self.fixed()) {
            // The files that rows are written to are of one day each.
            let same = |last: &Arc<Held>| last.part == held.part && is_same_day(last.newest, held.oldest);
            let fits = run.last().is_none_or(same);
            if !fits || held.rows >= SMALL_ROWS || rows + held.rows > JOINED_ROWS {
                runs.push(std::mem::take(&mut run));
                rows = 0;
            }
            if held.rows < SMALL_ROWS {
                rows += held.rows;
                run.push(held.clone());
            }
        }
        // The last run is still growing: joined when it is worth it.
        if rows > SMALL_ROWS {
            runs.push(run);
        }
        runs.retain(|run| run.len() > 1);
        runs
    }

    /// Puts `held` where the run stands; false when it no longer stands there as it was.
    pub fn replace(&mut self, run: &[Arc<Held>], held: Held) -> bool {
        let Some(at) = self.held.iter().position(|h| Arc::ptr_eq(h, &run[0])) else { return false };
        let same =
            run.iter().enumerate().all(|(i, h)| self.held.get(at + i).is_some_and(|there| Arc::ptr_eq(there, h)));
        if !same || at < self.fixed() {
            return false;
        }
        self.passed = self.passed.min(at);
        let mut joined = Some(Arc::new(held));
        let mut index = 0;
        self.held.retain_mut(|there| {
            let inside = (at..at + run.len()).contains(&index);
            index += 1;
            match (inside, joined.take_if(|_| inside)) {
                (false, _) => true,
                (true, Some(held)) => {
                    *there = held;
                    true
                }
                (true, None) => false,
            }
        });
        true
    }
}
