//! Requests over time with their latency, and the load levels found in them: what the overview opens with.

use std::ops::Range;

use arrow::datatypes::SchemaRef;
use model::time::SECOND;
use model::{Nanos, Result};
use serde_json::{Value, json};

use super::columns::{self, flag, float, int, text};
use super::histogram::Histogram;
use super::observe::Requests;
use super::partial::{load_sql, requests_of, whole_second};
use super::rates::entries::{self, Entries};
use super::rates::{Bins, latencies};
use super::report::{Report, rfc3339};
use super::rows::read;
use super::scope::{Scope, Window, started_in};
use super::steps::{Segment, baseline_for, busiest_level, load_levels};
use super::{Analysis, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "steps",
    title: ("Load steps", "压测阶梯"),
    doc: "Requests per bin with p50 and p99, and the load levels detected from the arrival rate, each with its concurrency and p50 to p99.9.",
    parameters: &[],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    columns::schema([
        int("index"),
        text("start"),
        text("end"),
        float("qps"),
        int("requests"),
        int("errors"),
        int("p50_ns"),
        int("p95_ns"),
        int("p99_ns"),
        flag("transition"),
        int("p90_ns"),
        int("p999_ns"),
        float("concurrency"),
    ])
}

/// Traces are taken as settled this long after they were received; later ones are left out of the levels.
pub const SETTLE: Nanos = 12 * SECOND;

/// Bins for step detection and for pictures: at most this many.
const MOST_BINS: i64 = 900;

/// Empty bins that are left before the first request.
const SILENT_BINS: usize = 3;

/// Requests by bin.
pub struct Timeline {
    pub window: Window,
    pub bin: Nanos,
    pub requests: Vec<u64>,
    pub errors: Vec<u64>,
    pub latency: Vec<Histogram>,
    /// Sum of durations, for the mean number in flight.
    pub duration: Vec<f64>,
    pub levels: Vec<Segment>,
}

/// Whole seconds, such that the window has at most [`MOST_BINS`] bins.
pub fn bin_of(Window { start, end }: Window) -> Nanos {
    ((end - start) / MOST_BINS / SECOND + 1) * SECOND
}

/// A span that is a request: the entry of a tree that is neither an orphan's nor a consumer's.
pub const IS_REQUEST: &str = "(tree_flags & 128) <> 0 AND (tree_flags & 17) = 0";
/// Kinds of spans that answer calls: what one service is loaded with.
const ANSWERING: [&str; 2] = ["SERVER", "CONSUMER"];
const ANSWERS: &str = "kind IN ('SERVER', 'CONSUMER')";
/// A span that is a message's: the entry of a consumer's tree. What a system that only consumes is loaded with.
const IS_MESSAGE: &str = "(tree_flags & 128) <> 0 AND (tree_flags & 17) = 16";

impl Timeline {
    /// The requests that match the scope, over `window`; where there are none at all, the messages.
    pub async fn read(query: &Query, scope: &Scope, window: Window) -> Result<Timeline> {
        let timeline = Timeline::read_only(query, scope, window, IS_REQUEST).await?;
        if scope.service.is_none() && timeline.requests.iter().all(|n| *n == 0) {
            return Timeline::read_only(query, scope, window, IS_MESSAGE).await;
        }
        Ok(timeline)
    }

    async fn read_only(query: &Query, scope: &Scope, window: Window, entries: &str) -> Result<Timeline> {
        let bin = bin_of(window);
        // Bins begin with whole seconds, as the pieces of files do; what lies before the window is left out all the same.
        let asked = window;
        let window = Window { start: whole_second(window.start), end: window.end };
        let bins = ((window.end - window.start + bin - 1) / bin).max(1) as usize;
        let (query, requests) = match scope.service {
            // They are marked when traces are assembled, which rows in the log are not.
            None => (query.without_backlog(), entries),
            Some(_) => (query.clone(), ANSWERS),
        };
        let conditions = format!("{} AND {} AND {requests}", started_in(asked), scope.conditions());
        let sql = load_sql(&format!("(start_time_unix_nano - {}) / {bin}", window.start), &conditions);
        let (known, rest) = match &scope.service {
            Some(_) if scope.is_of_operations() => {
                let (known, rest) = latencies::known(&query, scope, Bins::SECONDS, Some(&ANSWERING)).await?;
                (vec![known], rest)
            }
            None if scope.conditions() == "TRUE" && requests == IS_REQUEST => entries::split(&query, asked).await?,
            _ => (Vec::new(), query),
        };
        let mut timeline = Timeline {
            window,
            bin,
            requests: vec![0; bins],
            errors: vec![0; bins],
            latency: vec![Histogram::default(); bins],
            duration: vec![0.0; bins],
            levels: Vec::new(),
        };
        for Entries { bins, parts } in &known {
            for (second, part) in parts.iter().map(|(number, part)| (bins.begin(*number), part)) {
                // Where an edge cuts a second, all of its spans are known to be inside.
                if asked.meets_second(second) {
                    timeline.add(((second - window.start) / bin) as usize, &part.requests);
                }
            }
        }
        for row in read(&rest, &sql).await?.iter() {
            timeline.add(row.int("b").clamp(0, bins as i64 - 1) as usize, &requests_of(&row));
        }
        timeline.levels = load_levels(&timeline.requests, bin as f64 / SECOND as f64);
        Ok(timeline)
    }

    fn add(&mut self, at: usize, load: &Requests) {
        self.requests[at] += load.latency.count();
        self.errors[at] += load.errors;
        self.duration[at] += load.duration as f64;
        self.latency[at].merge(&load.latency);
    }

    /// Leaves out the time before the first request, but for a little: there is nothing to see in it.
    fn skip_silence(&mut self) {
        let first = self.requests.iter().position(|n| *n > 0).unwrap_or(0);
        let skipped = first.saturating_sub(SILENT_BINS);
        if skipped == 0 {
            return;
        }
        self.window.start += skipped as i64 * self.bin;
        self.requests.drain(..skipped);
        self.errors.drain(..skipped);
        self.latency.drain(..skipped);
        self.duration.drain(..skipped);
        self.levels = load_levels(&self.requests, self.bin as f64 / SECOND as f64);
    }

    pub fn window_of(&self, segment: &Segment) -> Window {
        let at = |bin: usize| self.window.start + bin as i64 * self.bin;
        Window { start: at(segment.start), end: at(segment.end).min(self.window.end) }
    }

    pub fn bins_of(&self, window: Window) -> Range<usize> {
        let at = |t: Nanos| ((t - self.window.start) / self.bin).clamp(0, self.requests.len() as i64) as usize;
        at(window.start)..at(window.end + self.bin - 1)
    }

    /// The level to look at, and the one to compare it with.
    pub fn current_and_baseline(&self, asked: Option<Window>) -> (Option<Segment>, Option<Segment>) {
        let range = asked.map_or(0..self.requests.len(), |window| self.bins_of(window));
        let current = busiest_level(&self.levels, range.clone());
        let window = current.as_ref().map_or(range, |s| s.start..s.end);
        (current, baseline_for(&self.levels, window))
    }

    /// The mean number of requests in the system over some bins: the time that they took, per time (Little's law).
    pub fn concurrency(&self, bins: Range<usize>) -> f64 {
        let time = bins.len() as i64 * self.bin;
        if time == 0 { 0.0 } else { self.duration[bins].iter().sum::<f64>() / time as f64 }
    }

    fn step(&self, index: usize, segment: &Segment) -> Value {
        let bins = segment.start..segment.end;
        let mut latency = Histogram::default();
        self.latency[bins.clone()].iter().for_each(|h| latency.merge(h));
        let quantile = |q: f64| latency.quantile(q).unwrap_or(0.0) as i64;
        let window = self.window_of(segment);
        json!({
            "index": index,
            "start": rfc3339(window.start),
            "end": rfc3339(window.end),
            "qps": segment.rate,
            "concurrency": self.concurrency(bins.clone()),
            "requests": self.requests[bins.clone()].iter().sum::<u64>(),
            "errors": self.errors[bins].iter().sum::<u64>(),
            "p50_ns": quantile(0.5),
            "p90_ns": quantile(0.9),
            "p95_ns": quantile(0.95),
            "p99_ns": quantile(0.99),
            "p999_ns": quantile(0.999),
            "transition": segment.is_transition,
        })
    }

    /// Of all requests, over so many seconds.
    fn total(&self, seconds: f64) -> Value {
        let mut latency = Histogram::default();
        self.latency.iter().for_each(|h| latency.merge(h));
        let quantile = |q: f64| latency.quantile(q).map(|v| v as i64);
        let requests: u64 = self.requests.iter().sum();
        let duration = self.duration.iter().sum::<f64>();
        let mean = (requests > 0).then(|| (duration / requests as f64) as i64);
        json!({
            "requests": requests,
            "errors": self.errors.iter().sum::<u64>(),
            "rate": requests as f64 / seconds,
            "concurrency": duration / (seconds * 1e9),
            "mean_ns": mean,
            "p50_ns": quantile(0.5),
            "p90_ns": quantile(0.9),
            "p95_ns": quantile(0.95),
            "p99_ns": quantile(0.99),
            "p999_ns": quantile(0.999),
        })
    }

    fn point(&self, at: usize) -> Value {
        let quantile = |q: f64| self.latency[at].quantile(q).map(|v| v as i64);
        json!({
            "t_us": at as i64 * self.bin / 1_000,
            "requests": self.requests[at],
            "errors": self.errors[at],
            "p50_ns": quantile(0.5),
            "p99_ns": quantile(0.99),
            "in_flight": self.concurrency(at..at + 1),
        })
    }
}

/// The part of a window whose traces are settled.
pub fn settled(window: Window, now: Nanos) -> Window {
    let end = window.end.min(now - SETTLE);
    Window { start: window.start, end: end.max(window.start + SECOND) }
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let asked = settled(scope.window, query.now());
    let mut timeline = Timeline::read(&query, &scope, asked).await?;
    let total = timeline.total(asked.seconds());
    timeline.skip_silence();
    let window = timeline.window;
    let (current, baseline) = timeline.current_and_baseline(None);
    // A baseline cut at the window's start is still the level it is part of.
    let index = |segment: &Option<Segment>| {
        let segment = segment.as_ref()?;
        timeline.levels.iter().position(|l| l.start <= segment.start && segment.end <= l.end)
    };
    let steps: Vec<Value> = timeline.levels.iter().enumerate().map(|(i, s)| timeline.step(i, s)).collect();
    let points: Vec<Value> = (0..timeline.requests.len()).map(|at| timeline.point(at)).collect();
    Ok(Report::new(
        "steps",
        json!({
            "t0": window.start.to_string(),
            "bin_us": timeline.bin / 1_000,
            "timeline": points,
            "steps": steps,
            "total": total,
            "current_step": index(&current),
            "baseline_step": index(&baseline),
        }),
    ))
}
