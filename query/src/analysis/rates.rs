//! Rate, errors and duration of every operation in a window: what services and operations are listed by.
//!
//! ```text
//! files inside the window ──▶ summary, from the file's end ───────┐
//! parts of the log, likewise ▶ summary, from when they left memory ┤
//! other files, memory, log ─▶ folded row by row ──────────────────┴─ add up ─▶ Rates
//! ```
//! A file's [`summary`] is written with it ([`storage::Summarize`]), so a long window costs its edges and what is in
//! memory. *Invariant:* both ways count the same things of the same rows, so the answer is that of a whole scan, to the
//! span; quantiles too, since histograms have fixed buckets.

pub mod entries;
mod joined;
pub mod latencies;
pub mod summary;
pub mod written;

use std::collections::HashSet;

use arrow::array::RecordBatch;
use model::schema::column;
use model::time::SECOND;
use model::{Nanos, Result};

use super::batch::{int, ints};
use super::called::{self, Called, Operations};
use super::names::TextColumn;
use super::partial::whole_second;
use super::scope::{Scope, Window, started_in};
use super::times;
use crate::fold::{Fold, Folded};
use crate::functions::sketch::Sketch;
use crate::query::Query;
use summary::FileRates;

/// Parts of time of one width, numbered from a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bins {
    pub start: Nanos,
    pub width: Nanos,
}

impl Bins {
    /// Seconds of Unix time: how files are cut.
    pub const SECONDS: Bins = Bins { start: 0, width: SECOND };

    /// At most `most` parts of a window. They are whole seconds if that makes them at most twice as wide, since only such
    /// can be added up from files.
    pub fn of(Window { start, end }: Window, most: i64) -> Bins {
        let width = ((end - start + most - 1) / most).max(1);
        if width < SECOND / 2 {
            return Bins { start, width };
        }
        let start = whole_second(start);
        let seconds = (end - start + most * SECOND - 1) / (most * SECOND);
        Bins { start, width: seconds * SECOND }
    }

    pub fn number(&self, at: Nanos) -> i64 {
        (at - self.start).div_euclid(self.width)
    }

    pub fn begin(&self, number: i64) -> Nanos {
        self.start + number * self.width
    }

    /// So many hold the time before `end`.
    pub fn before(&self, end: Nanos) -> usize {
        usize::try_from((end - self.start + self.width - 1) / self.width).unwrap_or(0)
    }

    /// Whether each holds whole seconds.
    pub fn are_seconds(&self) -> bool {
        self.start % SECOND == 0 && self.width % SECOND == 0
    }
}

/// Spans of one operation by when they started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    first: i64,
    counts: Vec<u64>,
}

impl Times {
    fn add(&mut self, bin: i64, count: u64) {
        if self.counts.is_empty() {
            self.first = bin;
        }
        if bin < self.first {
            let more = (self.first - bin) as usize;
            self.counts.splice(..0, std::iter::repeat_n(0, more));
            self.first = bin;
        }
        let at = (bin - self.first) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += count;
    }

    fn iter(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        (self.first..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// Whether one more at this bin keeps it short enough to be held by bins.
    fn has_room(&self, bin: i64) -> bool {
        let last = self.first.saturating_add(self.counts.len() as i64 - 1);
        self.counts.is_empty() || bin.max(last).saturating_sub(bin.min(self.first)) < MOST_BINS
    }
}

/// Bins of one operation, at most. A file's are seconds of a few minutes; a question's are a few dozen.
const MOST_BINS: i64 = 2_000;

/// What is known of one operation. Sums of times stop at the greatest number (292 years): a span may say that it lasted
/// so long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub errors: u64,
    pub self_ns: i64,
    pub critical_ns: i64,
    pub latency: Sketch,
    times: Times,
}

impl Figures {
    pub fn count(&self) -> u64 {
        self.latency.total()
    }

    /// Adds what was counted by the same bins.
    pub fn merge(&mut self, more: &Figures) {
        self.add(more, |bin| bin);
    }

    /// Adds what was counted by bins that are others here.
    fn add(&mut self, more: &Figures, here: impl Fn(i64) -> i64) {
        self.errors += more.errors;
        times::add(&mut self.self_ns, more.self_ns);
        times::add(&mut self.critical_ns, more.critical_ns);
        self.latency.merge(&more.latency);
        more.times.iter().for_each(|(bin, count)| self.times.add(here(bin), count));
    }

    /// Counts of `bins` parts of time, from the first of the question on.
    pub fn trend(&self, bins: usize) -> Vec<u64> {
        let mut trend = vec![0; bins];
        for (bin, count) in self.times.iter() {
            if let Some(point) = trend.get_mut(bin.clamp(0, bins as i64 - 1) as usize) {
                *point += count;
            }
        }
        trend
    }
}

type Instances = HashSet<(u32, u32), foldhash::fast::RandomState>;

/// Figures of operations, numbered as in `operations`.
#[derive(Debug, Clone)]
pub struct Rates {
    pub operations: Operations,
    pub bins: Bins,
    figures: Vec<Figures>,
    /// Numbers of an operation and of the name of an instance that ran it.
    instances: Instances,
    /// Some times were too far apart for bins.
    is_too_long: bool,
}

/// One operation of [`Rates`].
pub struct Rated<'a> {
    pub service: &'a str,
    pub operation: &'a str,
    pub kind: &'a str,
    /// Empty when it calls nobody.
    pub peer: &'a str,
    pub figures: &'a Figures,
    pub number: u32,
}

impl Rates {
    pub fn new(bins: Bins) -> Self {
        let (operations, figures, instances) = (Operations::default(), Vec::new(), Instances::default());
        Rates { operations, bins, figures, instances, is_too_long: false }
    }

    /// Operations with a span. One that calls two kinds of system by the same name is there twice.
    pub fn iter(&self) -> impl Iterator<Item = Rated<'_>> {
        let seen = (0..).zip(&self.figures).filter(|(_, figures)| figures.count() > 0);
        seen.map(|(number, figures)| {
            let [service, operation, kind, peer] = self.operations.texts(number);
            Rated { service, operation, kind, peer, figures, number }
        })
    }

    /// The operations' numbers with the instances that ran them.
    pub fn instances(&self) -> impl Iterator<Item = (u32, &str)> {
        let named = |&(operation, instance): &(u32, u32)| Some((operation, self.operations.names.some_text(instance)?));
        self.instances.iter().filter_map(named)
    }

    fn of(&mut self, operation: u32) -> &mut Figures {
        let needed = operation as usize + 1;
        if self.figures.len() < needed {
            self.figures.resize(needed, Figures::default());
        }
        &mut self.figures[operation as usize]
    }

    /// Adds what others counted, by whole seconds or by the same bins, of those operations that `wanted` wants.
    fn take(&mut self, other: &Rates, wanted: impl Fn(&Rated<'_>) -> bool) {
        let (names, operations) = self.operations.take_in(&other.operations);
        let mut taken = HashSet::new();
        let bins = self.bins;
        for rated in other.iter().filter(wanted) {
            let here = self.of(operations[rated.number as usize]);
            here.add(rated.figures, |bin| bins.number(other.bins.begin(bin)));
            taken.insert(rated.number);
        }
        let ran = other.instances.iter().filter(|(operation, _)| taken.contains(operation));
        self.instances
            .extend(ran.map(|(operation, instance)| (operations[*operation as usize], names[*instance as usize])));
        self.is_too_long |= other.is_too_long;
    }
}

/// The columns that rates and entries are counted from.
pub fn columns() -> Vec<&'static str> {
    let figures = [column::START, column::DURATION, column::SELF_TIME, column::CRITICAL_PATH];
    let marks = [column::INSTANCE_ID, column::STATUS_CODE, column::TREE_FLAGS];
    called::names().chain(figures).chain(marks).collect()
}

fn select() -> String {
    format!("SELECT {} FROM spans", columns().join(", "))
}

/// What started in the window of the scope and meets its conditions, its times in at most `most` bins.
pub async fn read(query: &Query, scope: &Scope, most: i64) -> Result<Folded<Rates>> {
    let (window, bins) = (scope.window, Bins::of(scope.window, most));
    let sql = format!("{} WHERE {} AND {}", select(), started_in(window), scope.conditions());
    let empty = || Rates::new(bins);
    if !bins.are_seconds() || !scope.is_of_operations() {
        return query.fold(&sql, empty).await;
    }
    // Its seconds may begin before the window and end after it.
    let inside = |_: &FileRates, times| window.holds_all(times);
    let (known, rest) = joined::split(query, window, inside).await?;
    let mut folded = rest.fold(&sql, empty).await?;
    for file in known {
        let rates = file.rates()?;
        let is_asked = |rated: &Rated<'_>| scope.asks_for([rated.service, rated.operation, rated.kind]);
        folded.take(|sum| sum.take(&rates, is_asked))?;
    }
    Ok(folded)
}

impl Fold for Rates {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut called = Called::of(batch)?;
        let mut instances = TextColumn::of(batch, column::INSTANCE_ID)?;
        let status = TextColumn::of(batch, column::STATUS_CODE)?;
        let [start, duration, own, critical] =
            [column::START, column::DURATION, column::SELF_TIME, column::CRITICAL_PATH].map(|name| ints(batch, name));
        let (start, duration, own, critical) = (start?, duration?, own?, critical?);
        let mut last = None;
        for row in 0..batch.num_rows() {
            let operation = called.number(row, &mut self.operations);
            let instance = instances.number(row, &mut self.operations.names);
            if last != Some((operation, instance)) {
                last = Some((operation, instance));
                self.instances.insert((operation, instance));
            }
            let bin = self.bins.number(int(start, row));
            let figures = self.of(operation);
            figures.errors += u64::from(status.text(row) == Some("ERROR"));
            times::add(&mut figures.self_ns, int(own, row));
            times::add(&mut figures.critical_ns, int(critical, row));
            figures.latency.add(int(duration, row));
            if figures.times.has_room(bin) {
                figures.times.add(bin, 1);
            } else {
                self.is_too_long = true;
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.take(&other, |_| true);
    }

    fn size(&self) -> usize {
        let times = |figures: &Figures| figures.times.counts.len() * size_of::<u64>();
        let figures = self.figures.iter().map(|figures| size_of::<Figures>() + figures.latency.size() + times(figures));
        self.operations.size() + figures.sum::<usize>() + self.instances.len() * 16
    }
}

#[cfg(test)]
mod tests;
