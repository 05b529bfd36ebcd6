//! Requests of a log, counted while they pass: numbers, errors and a histogram of the times, in total and by name.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use super::figures::{Figures, Generator, MOST_NAMED, Named, What, most, short};
use super::stages::{Levels, Phases};
use super::{LoadReport, Nanos};
use crate::time::SECOND;
use crate::{Error, Result};

/// Names that are counted apart. Further ones are counted together: a log may name a request after its parameters.
const COUNTED: usize = 1_000;
/// Digits that a percentile is right to.
const DIGITS: u8 = 3;

pub struct Counted {
    /// What the log's times are a multiple of.
    unit: Nanos,
    total: Tally,
    named: HashMap<What, HashMap<String, Tally>>,
    others: Tally,
    first: Option<Nanos>,
    last: Option<Nanos>,
    pub levels: Levels,
    pub phases: Phases,
    pub notes: Vec<String>,
}

struct Tally {
    requests: u64,
    errors: u64,
    /// Requests of which it is known whether they failed.
    judged: u64,
    sum: f64,
    /// The longest time, exactly.
    most: u64,
    times: Histogram<u32>,
}

impl Tally {
    fn new() -> Self {
        let times = Histogram::new(DIGITS).expect("three digits are allowed");
        Tally { requests: 0, errors: 0, judged: 0, sum: 0.0, most: 0, times }
    }

    fn figures(&self, unit: Nanos, seconds: f64) -> Figures {
        let timed = self.times.len();
        let at = |of: &dyn Fn() -> u64| {
            (timed > 0).then(|| Nanos::try_from(of()).unwrap_or(Nanos::MAX).saturating_mul(unit))
        };
        let quantile = |q: f64| at(&|| self.times.value_at_quantile(q).min(self.most));
        Figures {
            requests: Some(self.requests),
            errors: (self.judged > 0).then_some(self.errors.min(self.requests)),
            rate: (seconds > 0.0).then(|| self.requests as f64 / seconds),
            mean_ns: (timed > 0).then(|| (self.sum / timed as f64 * unit as f64).round() as Nanos),
            p50_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p95_ns: quantile(0.95),
            p99_ns: quantile(0.99),
            max_ns: at(&|| self.most),
        }
    }
}

impl Counted {
    pub fn new(unit: Nanos) -> Self {
        Counted {
            unit,
            total: Tally::new(),
            named: HashMap::new(),
            others: Tally::new(),
            first: None,
            last: None,
            levels: Levels::default(),
            phases: Phases::default(),
            notes: Vec::new(),
        }
    }

    /// Something was under way from `start` to `end`.
    pub fn saw(&mut self, start: Nanos, end: Nanos) {
        self.first = Some(self.first.map_or(start, |first| first.min(start)));
        self.last = Some(self.last.map_or(end, |last| last.max(end)));
    }

    /// The last time that was seen may be so much too early.
    pub fn ended_within(&mut self, more: Nanos) {
        self.last = self.last.map(|last| last.saturating_add(more));
    }

    pub fn has_any(&self) -> bool {
        self.total.requests > 0
    }

    pub fn requests(&mut self, what: What, name: &str, number: u64) {
        self.each(what, name, |tally| tally.requests = tally.requests.saturating_add(number));
    }

    pub fn judged(&mut self, what: What, name: &str, failed: bool) {
        self.each(what, name, |tally| {
            tally.judged += 1;
            tally.errors += u64::from(failed);
        });
    }

    /// A request took so long, in units of the log.
    pub fn took(&mut self, what: What, name: &str, time: f64) {
        self.each(what, name, |tally| {
            tally.sum += time;
            let time = time.round() as u64;
            tally.most = tally.most.max(time);
            // Saturating alone would not make the histogram wider.
            if tally.times.record(time).is_err() {
                tally.times.saturating_record(time);
            }
        });
    }

    fn each(&mut self, what: What, name: &str, mut count: impl FnMut(&mut Tally)) {
        // Transactions hold requests that are counted themselves.
        if what == What::Request {
            count(&mut self.total);
        }
        let named = self.named.entry(what).or_default();
        if !named.contains_key(name) && named.len() >= COUNTED {
            return count(&mut self.others);
        }
        if let Some(tally) = named.get_mut(name) {
            return count(tally);
        }
        count(named.entry(name.to_owned()).or_insert_with(Tally::new));
    }

    /// What was counted, for a run.
    pub fn report(mut self, tool: &str, format: &str, name: Option<String>) -> Result<LoadReport> {
        let (Some(start), Some(last)) = (self.first, self.last) else { return Err(nothing()) };
        if self.total.requests == 0 {
            return Err(nothing());
        }
        let end = last.max(start.saturating_add(self.unit));
        let seconds = end.saturating_sub(start) as f64 / SECOND as f64;
        let unit = self.unit;
        let mut named: Vec<Named> = Vec::new();
        for (what, tallies) in &self.named {
            let one = |(name, tally): (&String, &Tally)| Named {
                name: short(name),
                what: *what,
                figures: tally.figures(unit, seconds),
            };
            named.extend(tallies.iter().map(one));
        }
        let (named, is_cut) = most(named);
        if self.others.requests > 0 || is_cut {
            self.notes.push(format!("of the names, the {MOST_NAMED} with the most requests are kept"));
        }
        let mut marks = self.phases.marks();
        if marks.is_empty() {
            marks = self.levels.marks(end);
        }
        // Levels are by second, and the test may have begun within one.
        marks.iter_mut().for_each(|mark| mark.at = mark.at.max(start));
        self.notes.push("percentiles were counted from the log, to three digits".to_owned());
        let generator = Generator {
            tool: tool.to_owned(),
            version: None,
            format: Some(format.to_owned()),
            total: self.total.figures(unit, seconds),
            named,
            notes: self.notes,
        };
        Ok(LoadReport { name, start: Some(start), end: Some(end), duration: None, marks, generator })
    }
}

fn nothing() -> Error {
    Error::invalid("the file holds no requests")
}
