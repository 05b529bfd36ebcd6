//! Cold starts: instances that appeared while their service was at work and were slower at first than later, with what
//! requests lost by it; and functions whose spans say `faas.coldstart`.
//!
//! ```text
//! spans ─SQL─▶ service × instance × 5 s ─[warm_up]─▶ how long it was slow, what was lost ─┐
//! spans with faas.coldstart ─SQL─▶ service × operation, cold and warm ────────────────────┴─▶ rows, by time lost
//! ```
//! An instance's time is what requests spent in it on their critical paths, per call that it served. What cannot be
//! told of an instance is said by its outcome.

mod functions;
mod sentences;
mod warm_up;

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use model::Result;
use model::time::SECOND;
use serde_json::{Value, json};

use super::columns::{self, float, int, text};
use super::report::{Report, rfc3339};
use super::rows::read;
use super::scope::{Scope, Window, started_in};
use super::timeline::settled;
use super::{Analysis, Parameter, Running};
use crate::query::Query;
use warm_up::{Bin, Cold, Outcome, appeared, beginning};

pub const ANALYSIS: Analysis = Analysis {
    name: "cold-starts",
    title: ("Cold starts", "冷启动"),
    doc: "Instances that appeared within the window and were slower at first, by service, and cold starts of functions.",
    parameters: &[Parameter { name: "limit", doc: "services and functions at most (100)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Bins are so long, and longer where a window would have more than [`MOST_BINS`].
const BIN: i64 = 5 * SECOND;
const MOST_BINS: i64 = 720;
/// The first bins of a service are its own beginning.
const MARGIN: usize = 2;
/// Instances listed of a service, those that lost the most first.
const LISTED: usize = 50;

fn schema() -> SchemaRef {
    let mut fields = Vec::from(["kind", "service", "operation"].map(text));
    fields.extend(["started", "slow", "warm", "too_few_calls", "unsteady"].map(int));
    fields.extend(["slow_for_ns", "longest_slow_for_ns", "calls", "mean_ns", "later_mean_ns"].map(int));
    fields.extend([float("ratio"), int("lost_ns"), int("lost_ns_per_call"), text("instances"), text("explanation")]);
    columns::schema(fields)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, 1_000)? as usize;
    let grid = Grid::of(settled(scope.window, query.now()));
    let services = services(&query, &scope, &grid).await?;
    let looked_at = services.len();
    let starts: Vec<Starts> =
        services.iter().filter_map(|(service, instances)| Starts::of(service, instances, &grid)).collect();
    let started: usize = starts.iter().map(|starts| starts.instances.len()).sum();
    let functions = functions::read(&query, &scope, grid.window).await?;
    let cold: i64 = functions.iter().map(|function| function.cold.calls).sum();
    let mut all: Vec<(f64, Value)> = starts.iter().map(|starts| (starts.lost, starts.json())).collect();
    all.extend(functions.iter().map(|function| (function.lost(), function.json())));
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let found = all.len();
    let rows: Vec<Value> = all.into_iter().map(|(_, row)| row).take(limit).collect();
    Ok(Report::new(
        "rows",
        json!({
            "bin_s": grid.bin as f64 / SECOND as f64,
            "services": looked_at,
            "started": started,
            "cold_invocations": cold,
            "found": found,
            "summary": sentences::summary(looked_at, started, cold),
            "rows": rows,
        }),
    ))
}

/// The bins of the window.
struct Grid {
    window: Window,
    bin: i64,
}

impl Grid {
    fn of(window: Window) -> Grid {
        Grid { window, bin: BIN.max((window.end - window.start) / MOST_BINS) }
    }

    fn end_of(&self, bin: usize) -> i64 {
        (self.window.start + (bin as i64 + 1) * self.bin).min(self.window.end)
    }
}

/// An instance by bin, and when its first span began.
struct Instance {
    name: String,
    first: i64,
    bins: Vec<Bin>,
}

/// The instances of every service that serves calls and names instances.
async fn services(query: &Query, scope: &Scope, grid: &Grid) -> Result<BTreeMap<String, Vec<Instance>>> {
    let sql = format!(
        "SELECT service_name, instance_id, (start_time_unix_nano - {}) / {} AS b, min(start_time_unix_nano) AS f, \
                sum(CASE WHEN {} THEN 1 ELSE 0 END) AS n, CAST(sum(critical_path_ns) AS DOUBLE) AS t \
         FROM spans WHERE {} AND {} AND instance_id <> '' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        grid.window.start,
        grid.bin,
        functions::SERVED,
        started_in(grid.window),
        scope.conditions(),
    );
    let mut services: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
    for row in read(query, &sql).await?.iter() {
        let instances = services.entry(row.text("service_name").to_owned()).or_default();
        if instances.last().is_none_or(|last| last.name != row.text("instance_id")) {
            let name = row.text("instance_id").to_owned();
            instances.push(Instance { name, first: row.int("f"), bins: Vec::new() });
        }
        if let Some(instance) = instances.last_mut() {
            let bin = row.int("b").max(0) as usize;
            instance.bins.resize(instance.bins.len().max(bin + 1), Bin::default());
            instance.bins[bin] = Bin { calls: row.int("n").max(0) as u64, time: row.float("t") };
            instance.first = instance.first.min(row.int("f"));
        }
    }
    services.retain(|_, instances| instances.iter().any(|i| i.bins.iter().any(|bin| bin.calls > 0)));
    Ok(services)
}

/// An instance that started, and how that went.
struct Started<'a> {
    instance: &'a Instance,
    outcome: Outcome,
    /// From the first span to the end of the last slow bin, ns.
    slow_for: i64,
}

impl Started<'_> {
    fn cold(&self) -> Option<&Cold> {
        match &self.outcome {
            Outcome::Slow(cold) => Some(cold),
            _ => None,
        }
    }

    fn lost(&self) -> f64 {
        self.cold().map_or(0.0, |cold| cold.lost)
    }

    fn json(&self) -> Value {
        let later = match self.outcome {
            Outcome::Slow(Cold { later, .. }) | Outcome::Warm(later) => Some(later as i64),
            Outcome::TooFewCalls | Outcome::Unsteady => None,
        };
        json!({
            "instance": self.instance.name,
            "first_seen": rfc3339(self.instance.first),
            "outcome": word(&self.outcome),
            "slow_for_ns": self.cold().map(|_| self.slow_for),
            "calls": self.cold().map(|cold| cold.calls),
            "mean_ns": self.cold().map(|cold| cold.mean as i64),
            "later_mean_ns": later,
            "lost_ns": self.cold().map(|cold| cold.lost as i64),
        })
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Slow(_) => "slow",
        Outcome::Warm(_) => "warm",
        Outcome::TooFewCalls => "too_few_calls",
        Outcome::Unsteady => "unsteady",
    }
}

/// The instances of one service that started, those that lost the most first.
struct Starts<'a> {
    service: &'a str,
    instances: Vec<Started<'a>>,
    lost: f64,
}

impl<'a> Starts<'a> {
    /// `None` where none did.
    fn of(service: &'a str, instances: &'a [Instance], grid: &Grid) -> Option<Self> {
        let bins: Vec<&[Bin]> = instances.iter().map(|instance| instance.bins.as_slice()).collect();
        let started = |(at, first): (usize, usize)| {
            let instance = &instances[at];
            let outcome = beginning(&bins[at][first..]);
            let slow_for = match &outcome {
                Outcome::Slow(cold) => grid.end_of(first + cold.bins - 1) - instance.first,
                _ => 0,
            };
            Started { instance, outcome, slow_for }
        };
        let mut all: Vec<Started> = appeared(&bins, MARGIN).into_iter().map(started).collect();
        if all.is_empty() {
            return None;
        }
        all.sort_by(|a, b| b.lost().total_cmp(&a.lost()).then_with(|| a.instance.first.cmp(&b.instance.first)));
        let lost = all.iter().map(Started::lost).sum();
        Some(Starts { service, instances: all, lost })
    }

    fn json(&self) -> Value {
        let count = |of: &str| self.instances.iter().filter(|started| word(&started.outcome) == of).count();
        let cold: Vec<&Cold> = self.instances.iter().filter_map(Started::cold).collect();
        let mut slow_for: Vec<i64> =
            self.instances.iter().filter(|started| started.cold().is_some()).map(|started| started.slow_for).collect();
        slow_for.sort_unstable();
        let calls: u64 = cold.iter().map(|cold| cold.calls).sum();
        let per_call = |of: fn(&Cold) -> f64| {
            (calls > 0).then(|| cold.iter().map(|cold| of(cold) * cold.calls as f64).sum::<f64>() / calls as f64)
        };
        let (mean, later) = (per_call(|cold| cold.mean), per_call(|cold| cold.later));
        json!({
            "kind": "instance",
            "service": self.service,
            "operation": Value::Null,
            "started": self.instances.len(),
            "slow": count("slow"),
            "warm": count("warm"),
            "too_few_calls": count("too_few_calls"),
            "unsteady": count("unsteady"),
            "slow_for_ns": slow_for.get(slow_for.len() / 2),
            "longest_slow_for_ns": slow_for.last(),
            "calls": calls,
            "mean_ns": mean.map(|ns| ns as i64),
            "later_mean_ns": later.map(|ns| ns as i64),
            "ratio": mean.zip(later).filter(|(_, later)| *later > 0.0).map(|(mean, later)| mean / later),
            "lost_ns": self.lost as i64,
            "lost_ns_per_call": (calls > 0).then(|| (self.lost / calls as f64) as i64),
            "instances": self.instances.iter().take(LISTED).map(Started::json).collect::<Vec<_>>(),
            "explanation": sentences::service(self.service, self.instances.len(), cold.len(), slow_for.last(), self.lost),
        })
    }
}
