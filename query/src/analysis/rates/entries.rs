//! Entry spans by when they started: their latency, and that of the requests among them.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use model::schema::column;
use model::trace::flag;
use model::{Nanos, Result};

use super::super::batch::{int, ints};
use super::super::histogram::Histogram;
use super::super::names::TextColumn;
use super::super::observe::Requests;
use super::super::partial::FromFile;
use super::super::scope::Window;
use super::Bins;
use super::joined;
use crate::fold::Fold;
use crate::query::Query;

/// Spans of one part of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Those that are requests: neither an orphan's nor a consumer's entry.
    pub requests: Requests,
    /// All others.
    pub others: Histogram,
    /// Those of either that failed.
    pub failed: Histogram,
    /// Shortest and longest, ns.
    pub bounds: Option<(i64, i64)>,
}

impl Part {
    pub(super) fn add(&mut self, duration: i64, failed: bool, is_request: bool) {
        if is_request {
            self.requests.count(duration, failed);
        } else {
            self.others.record(duration);
        }
        if failed {
            self.failed.record(duration);
        }
        self.widen(Some((duration, duration)));
    }

    fn widen(&mut self, more: Option<(i64, i64)>) {
        let both = self.bounds.zip(more).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
        self.bounds = both.or(self.bounds).or(more);
    }

    pub(super) fn merge(&mut self, more: &Part) {
        self.requests.add(&more.requests);
        self.others.merge(&more.others);
        self.failed.merge(&more.failed);
        self.widen(more.bounds);
    }
}

/// Parts of time with a span in them, by their numbers.
#[derive(Debug, Clone)]
pub struct Entries {
    pub bins: Bins,
    pub parts: BTreeMap<i64, Part>,
}

impl Entries {
    pub fn new(bins: Bins) -> Self {
        Entries { bins, parts: BTreeMap::new() }
    }

    /// Adds the rows that `counted` counts.
    pub fn add_rows(&mut self, batch: &RecordBatch, counted: impl Fn(i64) -> bool) -> Result<()> {
        let status = TextColumn::of(batch, column::STATUS_CODE)?;
        let [start, duration, flags] =
            [column::START, column::DURATION, column::TREE_FLAGS].map(|name| ints(batch, name));
        let (start, duration, flags) = (start?, duration?, flags?);
        for row in 0..batch.num_rows() {
            let flags = int(flags, row);
            if counted(flags) {
                let part = self.parts.entry(self.bins.number(int(start, row))).or_default();
                part.add(int(duration, row), status.text(row) == Some("ERROR"), is_request(flags));
            }
        }
        Ok(())
    }

    /// Adds parts of whole seconds, or of the same bins, that begin within the window.
    pub fn take(&mut self, other: &Entries, window: Window) {
        for (number, part) in &other.parts {
            let at = other.bins.begin(*number);
            if window.holds(at) {
                self.add_part(at, part);
            }
        }
    }

    /// Adds a part of time that begins then.
    pub(super) fn add_part(&mut self, at: Nanos, part: &Part) {
        self.parts.entry(self.bins.number(at)).or_default().merge(part);
    }
}

/// The tree's entry, whatever it is.
pub fn is_entry(flags: i64) -> bool {
    flags & flag::ENTRY != 0
}

/// An entry that a caller waits for and whose root is there.
pub fn is_request(flags: i64) -> bool {
    is_entry(flags) && flags & (flag::ORPHAN | flag::ASYNC_ROOT) == 0
}

/// All rows of a query.
impl Fold for Entries {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.add_rows(batch, |_| true)
    }

    fn merge(&mut self, other: Self) {
        self.take(&other, Window { start: Nanos::MIN, end: Nanos::MAX });
    }

    fn size(&self) -> usize {
        let histograms = self.parts.values().flat_map(|part| [&part.requests.latency, &part.others, &part.failed]);
        let buckets: usize = histograms.map(|histogram| histogram.buckets().len()).sum();
        self.parts.len() * size_of::<Part>() + buckets * size_of::<u64>()
    }
}

/// Splits the spans of a query into files of which no second with an entry is cut by the window's edges, and the query
/// over all the rest.
pub async fn split(query: &Query, window: Window) -> Result<(Vec<Entries>, Query)> {
    let (known, rest) = joined::split(query, window, |file, _| file.fits(window)).await?;
    Ok((known.iter().map(|file| file.entries()).collect::<Result<_>>()?, rest))
}
