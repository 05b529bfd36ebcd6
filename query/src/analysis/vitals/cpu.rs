//! CPU time that is counted (`process.cpu.time`, `system.cpu.time`, `jvm.cpu.time`, `process_cpu_seconds_total`) as CPUs that
//! were in use, with the number of CPUs there are as its limit where that is told.
//!
//! ```text
//! readings of a counter ─▶ seconds between two, over that time ─sum of states and CPUs─▶ Series of CPUs in use
//! ```
//! *Invariants:* a counter that fell, or says that it began anew, tells nothing of the time before; a time of which nothing
//! was reported for long is left out. So no point is larger than what the program can have used.

use std::collections::BTreeMap;

use model::Nanos;
use model::time::SECOND;

use super::Series;
use super::names::has;

/// The unit of CPUs in use.
pub const CPUS: &str = "{cpu}";
/// What the idle part of a counter's states makes known: all CPUs there are.
const LIMIT: &str = ".limit";
/// A reading this many usual times after the one before tells of too long a time.
const GAP: i64 = 5;
/// No machine has more CPUs; a counter that says so is of another unit.
const MOST: f64 = 8_192.0;
/// States in which no CPU is used.
const UNUSED: [&str; 4] = ["idle", "iowait", "io_wait", "wait"];
/// Last words of the keys that tell states, and single CPUs, apart.
const STATES: [&str; 2] = ["state", "mode"];
const SINGLE: [&str; 4] = ["cpu", "number", "core", "id"];
/// Metrics that say how many CPUs a program may use, with dots, the closest first; then those of a whole machine.
const COUNTS: [&str; 6] = [
    "k8s.container.cpu.limit",
    "container.cpu.limit",
    "process.cpu.count",
    "jvm.cpu.count",
    "go.processor.limit",
    "process.runtime.go.gomaxprocs",
];
const MACHINE: [&str; 3] = ["system.cpu.logical.count", "system.cpu.count", "system.cpu.physical.count"];

/// A counter of CPU time.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter {
    pub metric: String,
    pub unit: String,
    pub instance: String,
    pub attributes: BTreeMap<String, String>,
    /// Each reading is what was added since its start, not since the counter's.
    pub is_delta: bool,
    pub readings: Vec<Reading>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    pub at: Nanos,
    /// When it began to count; 0 where that is not told.
    pub start: Nanos,
    pub value: f64,
}

/// Whether a counter of this name counts CPU time.
pub fn is_cpu_time(name: &str) -> bool {
    has(name, &["cpu"]) && has(name, &["time", "seconds"]) && !has(name, &["throttled", "stolen", "waiting"])
}

/// CPUs in use, by instance and by the attributes that tell neither states nor single CPUs apart; and their limits, where
/// the counters say what is idle.
pub fn in_use(counters: Vec<Counter>) -> Vec<Series> {
    let mut groups: BTreeMap<(String, String, BTreeMap<String, String>), Vec<Counter>> = BTreeMap::new();
    for counter in counters {
        let mut rest = counter.attributes.clone();
        rest.retain(|key, _| !is_key(key, &STATES) && !is_key(key, &SINGLE));
        groups.entry((counter.metric.clone(), counter.instance.clone(), rest)).or_default().push(counter);
    }
    let mut found = Vec::new();
    for ((metric, instance, attributes), group) in groups {
        let [busy, all] = summed(&group);
        let series = |metric: String, unit: &str, points| Series {
            metric,
            unit: unit.to_owned(),
            instance: instance.clone(),
            attributes: attributes.clone(),
            points,
        };
        if group.iter().any(|counter| counter.state() == Some("idle")) {
            found.push(series(format!("{metric}{LIMIT}"), "", all));
        }
        found.push(series(metric, CPUS, busy));
    }
    found.retain(|series| !series.points.is_empty());
    found
}

/// What says how many CPUs there are for what is in use.
pub fn limit<'a>(used: &Series, all: &'a [Series]) -> Option<&'a Series> {
    let own = format!("{}{LIMIT}", used.metric);
    let of_instance = || all.iter().filter(|series| series.instance == used.instance);
    let counted = of_instance().find(|series| series.metric == own && series.attributes == used.attributes);
    let is_of_machine = used.metric.starts_with("system") || used.metric.starts_with("node");
    let closest = COUNTS.iter().filter(|_| !is_of_machine).chain(&MACHINE);
    let told = |name: &str| of_instance().find(|series| series.metric.replace('_', ".") == name);
    counted.or_else(|| closest.filter_map(|name| told(name)).next())
}

fn is_key(key: &str, last: &[&str]) -> bool {
    key.rsplit(['.', '_']).next().is_some_and(|word| last.contains(&word))
}

/// CPUs in use and all CPUs at the middle of each interval: sums over states and single CPUs. Where some of these were
/// not reported, nothing is known.
fn summed(group: &[Counter]) -> [Vec<(Nanos, f64)>; 2] {
    let mut by_time: BTreeMap<Nanos, (usize, f64, f64)> = BTreeMap::new();
    for counter in group {
        let is_used = !counter.state().is_some_and(|state| UNUSED.contains(&state));
        for (at, cpus) in counter.rates() {
            let (reported, busy, all) = by_time.entry(at).or_default();
            *reported += 1;
            *all += cpus;
            *busy += if is_used { cpus } else { 0.0 };
        }
    }
    let mut reported: Vec<usize> = by_time.values().map(|(reported, ..)| *reported).collect();
    reported.sort_unstable();
    let usual = reported.get(reported.len() / 2).copied().unwrap_or(0);
    let whole = by_time.into_iter().filter(|(_, (reported, ..))| *reported >= usual);
    let (busy, all) = whole.map(|(at, (_, busy, all))| ((at, busy), (at, all))).unzip();
    [busy, all]
}

/// From one reading to the next, and the time that was counted in between, in the counter's unit.
struct Interval {
    from: Nanos,
    to: Nanos,
    counted: f64,
}

impl Counter {
    fn state(&self) -> Option<&str> {
        let state = self.attributes.iter().find(|(key, _)| is_key(key, &STATES));
        state.map(|(_, value)| value.as_str())
    }

    /// Units of the counter in a second.
    fn per_second(&self) -> f64 {
        match self.unit.as_str() {
            "ms" => 1e3,
            "us" => 1e6,
            "ns" => 1e9,
            _ => 1.0,
        }
    }

    /// Mean CPUs, at the middle of each usual time between readings.
    fn rates(&self) -> Vec<(Nanos, f64)> {
        let usual = self.usual();
        let mut rates = Vec::new();
        for Interval { from, to, counted } in self.intervals() {
            let long = to - from;
            let cpus = counted / self.per_second() / (long as f64 / SECOND as f64);
            if long > GAP * usual || !(0.0..=MOST).contains(&cpus) {
                continue;
            }
            // Readings that were missed share what was counted meanwhile.
            let parts = ((long + usual / 2) / usual).max(1);
            rates.extend((0..parts).map(|part| (from + (2 * part + 1) * long / (2 * parts), cpus)));
        }
        rates
    }

    /// The usual time between two readings; of one alone what it says it took.
    fn usual(&self) -> Nanos {
        let mut times: Vec<Nanos> = self.readings.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        if let ([], [one], true) = (&times[..], &self.readings[..], self.is_delta) {
            times.push(one.at - one.start);
        }
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(1).max(1)
    }

    fn intervals(&self) -> Vec<Interval> {
        let mut found = Vec::new();
        let mut before: Option<&Reading> = None;
        for reading in &self.readings {
            let has_start = 0 < reading.start && reading.start < reading.at;
            // What it counted since its start is all that it tells, when it began after the reading before.
            let began = has_start && before.is_none_or(|before| reading.start >= before.at);
            let interval = match before {
                _ if began || self.is_delta && has_start => Some((reading.start, reading.value)),
                Some(before) if self.is_delta => Some((before.at, reading.value)),
                Some(before) if reading.value >= before.value => Some((before.at, reading.value - before.value)),
                _ => None,
            };
            found.extend(interval.map(|(from, counted)| Interval { from, to: reading.at, counted }));
            before = Some(reading);
        }
        found.retain(|interval| interval.from < interval.to);
        found
    }
}

#[cfg(test)]
mod tests;
