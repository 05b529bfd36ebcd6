//! Metrics that speak for a hot spot: gauges of the same service that reached their limit, or pile up, while it was hot.
//!
//! ```text
//! metrics of the service ─gather─▶ Series, by instance and attributes ─judge─▶ Vital: what, how much, since when
//! ```
//! [`judge`] is pure. It knows no product's metric names, only how such names are made: a used part beside a limit,
//! states that sum up to a whole, things that wait, shares of one, CPU time, and the time that collectors take.

mod cpu;
mod gather;
mod names;
mod piles;

use std::collections::BTreeMap;

use model::Nanos;
use serde::Serialize;

use super::report::rfc3339;
use super::scope::Window;
use super::sentence::Sentence;
use cpu::CPUS;
pub use gather::{Pressure, gather, pressure};
use names::{Role, role};

/// A part of its limit at which something is full on average, and by which it must have risen.
const FULL: f64 = 0.9;
const FULLER: f64 = 0.1;
/// From this part of its limit on it is full at that moment.
const FULL_NOW: f64 = 0.95;
/// A share of one that is high, as of CPU time.
const HIGH: f64 = 0.85;
const HIGHER: f64 = 0.15;
/// What waits has become many when it is this many times as many as before, and one more.
const MANY_TIMES: f64 = 3.0;
/// The share of time in which collectors paused the program, and how many times as much it must be.
const PAUSED: f64 = 0.1;
const PAUSED_TIMES: f64 = 2.0;
/// Vitals of one hot spot at most.
const MOST: usize = 4;

/// One series of points in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub metric: String,
    pub unit: String,
    pub instance: String,
    pub attributes: BTreeMap<String, String>,
    /// Unix ns and value. Of collectors: seconds spent since the point before.
    pub points: Vec<(Nanos, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// A pool, a heap or the like is used up.
    Saturated,
    /// A share of one is near one, or nearly all CPUs are in use; where their number is not known, many times as many as
    /// before.
    High,
    /// Collectors pause the program.
    Paused,
    /// More waits than before.
    Waiting,
}

/// What one metric says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Vital {
    pub sign: Sign,
    pub metric: String,
    pub unit: String,
    pub attributes: BTreeMap<String, String>,
    /// The instance on which it is worst, and on how many of those that report the metric it is so.
    pub instance: String,
    pub instances: usize,
    pub of_instances: usize,
    /// Means.
    pub window: f64,
    pub baseline: Option<f64>,
    pub limit: Option<f64>,
    /// The first moment of the window at which it was full.
    pub since: Option<String>,
    pub explanation: Sentence,
}

/// A series with its limit, as far as it has one.
struct Measured<'a> {
    series: &'a Series,
    sign: Sign,
    /// Time, value, limit.
    points: Vec<(Nanos, f64, Option<f64>)>,
}

/// What a metric says and of what: the same on all instances.
type Metric<'a> = (Sign, &'a str, &'a BTreeMap<String, String>);

/// The vitals of a service, the most telling first.
pub fn judge(series: &[Series], window: Window, baseline: Option<Window>) -> Vec<Vital> {
    let mut by_metric: BTreeMap<Metric<'_>, Vec<(bool, Vital)>> = BTreeMap::new();
    for measured in measured(series) {
        let Some((tells, vital)) = look(&measured, window, baseline) else { continue };
        let key = (measured.sign, measured.series.metric.as_str(), &measured.series.attributes);
        by_metric.entry(key).or_default().push((tells, vital));
    }
    let mut vitals = Vec::new();
    for (_, all) in by_metric {
        let of_instances = all.len();
        let mut telling: Vec<Vital> = all.into_iter().filter(|(tells, _)| *tells).map(|(_, vital)| vital).collect();
        telling.sort_by(|a, b| degree(b).total_cmp(&degree(a)).then_with(|| a.instance.cmp(&b.instance)));
        let instances = telling.len();
        if let Some(worst) = telling.into_iter().next() {
            let mut vital = Vital { instances, of_instances, ..worst };
            vital.explanation = explain(&vital);
            vitals.push(vital);
        }
    }
    vitals.sort_by(|a, b| a.sign.cmp(&b.sign).then_with(|| degree(b).total_cmp(&degree(a))));
    vitals.truncate(MOST);
    vitals
}

/// How bad it is, among those with the same sign.
fn degree(vital: &Vital) -> f64 {
    match (vital.sign, vital.limit) {
        (Sign::Saturated | Sign::High, Some(limit)) if limit > 0.0 => vital.window / limit,
        (Sign::Waiting, _) => vital.window / (vital.baseline.unwrap_or(0.0) + 1.0),
        _ => vital.window,
    }
}

fn measured(series: &[Series]) -> Vec<Measured<'_>> {
    let mut found = Vec::new();
    for one in series {
        let plain =
            |sign| Measured { series: one, sign, points: one.points.iter().map(|p| (p.0, p.1, None)).collect() };
        match role(one) {
            Role::Share => found.push(plain(Sign::High)),
            Role::Waiting => found.push(plain(Sign::Waiting)),
            Role::Collector => found.push(plain(Sign::Paused)),
            Role::Cpus => found.push(with_cpus(one, cpu::limit(one, series))),
            Role::Used => found.extend(with_limit(one, names::limits(one, series))),
            Role::InState(states) => found.extend(with_limit(one, names::whole(one, &states, series))),
            Role::Other => {}
        }
    }
    found
}

/// The series beside the sum of its limits at the same time, or at the time before.
fn with_limit<'a>(series: &'a Series, limits: Vec<&'a Series>) -> Option<Measured<'a>> {
    let at = |limit: &Series, time: Nanos| {
        let later = limit.points.partition_point(|point| point.0 <= time);
        later.checked_sub(1).map(|place| limit.points[place].1)
    };
    if limits.is_empty() {
        return None;
    }
    let limit = |time| limits.iter().map(|limit| at(limit, time)).sum::<Option<f64>>();
    let points = series.points.iter().map(|&(time, value)| (time, value, limit(time))).collect();
    Some(Measured { series, sign: Sign::Saturated, points })
}

/// CPUs in use beside those there are. Their number is told at times of its own, and hardly ever changes.
fn with_cpus<'a>(series: &'a Series, limit: Option<&Series>) -> Measured<'a> {
    let at = |time: Nanos| {
        let told = &limit?.points;
        let later = told.partition_point(|point| point.0 <= time);
        told.get(later.saturating_sub(1)).map(|point| point.1)
    };
    let points = series.points.iter().map(|&(time, value)| (time, value, at(time))).collect();
    Measured { series, sign: Sign::High, points }
}

/// Means over one side: value, limit, and the part of the limit.
fn means(measured: &Measured, window: Window) -> Option<(f64, Option<f64>, f64)> {
    let points: Vec<_> = measured.points.iter().filter(|(time, ..)| window.holds(*time)).collect();
    if points.is_empty() {
        return None;
    }
    let n = points.len() as f64;
    let value = points.iter().map(|p| p.1).sum::<f64>() / n;
    let value = if measured.sign == Sign::Paused {
        // Seconds spent in the whole window as a share of it.
        value * n / window.seconds()
    } else {
        value
    };
    let limits: Vec<f64> = points.iter().filter_map(|p| p.2).filter(|limit| *limit > 0.0).collect();
    let limit = (!limits.is_empty()).then(|| limits.iter().sum::<f64>() / limits.len() as f64);
    Some((value, limit, limit.map_or(value, |limit| value / limit)))
}

/// What one series says, and whether it is worth saying. `None` when it has nothing to say of the window.
fn look(measured: &Measured, window: Window, baseline: Option<Window>) -> Option<(bool, Vital)> {
    let (value, limit, part) = means(measured, window)?;
    let before = baseline.and_then(|side| means(measured, side));
    let rose = |by: f64| before.is_none_or(|(_, _, before)| part >= before + by);
    let tells = match measured.sign {
        Sign::Saturated => limit.is_some() && part >= FULL && rose(FULLER),
        Sign::High if measured.series.unit != CPUS || limit.is_some() => part >= HIGH && rose(HIGHER),
        Sign::High | Sign::Waiting => before.is_some_and(|(before, ..)| value >= MANY_TIMES * before + 1.0),
        Sign::Paused => part >= PAUSED && before.is_none_or(|(_, _, before)| part >= PAUSED_TIMES * before),
    };
    let full = |&&(time, value, limit): &&(Nanos, f64, Option<f64>)| {
        window.holds(time) && limit.is_some_and(|limit| limit > 0.0 && value >= FULL_NOW * limit)
    };
    let since = measured.points.iter().find(full).map(|point| rfc3339(point.0));
    let series = measured.series;
    let vital = Vital {
        sign: measured.sign,
        metric: series.metric.clone(),
        unit: series.unit.clone(),
        attributes: series.attributes.clone(),
        instance: series.instance.clone(),
        instances: 1,
        of_instances: 1,
        window: value,
        baseline: before.map(|(before, ..)| before),
        limit,
        since: since.filter(|_| measured.sign == Sign::Saturated),
        explanation: Sentence { en: String::new(), zh: String::new() },
    };
    Some((tells, vital))
}

/// One sentence with the figures.
fn explain(vital: &Vital) -> Sentence {
    let Vital { metric, instances, of_instances, .. } = vital;
    let values: Vec<String> = vital.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let name = if values.is_empty() { metric.clone() } else { format!("{metric} {{{}}}", values.join(", ")) };
    let of = |value: f64| figure(value, vital);
    let now = of(vital.window);
    let (unit_en, unit_zh) = if vital.unit == CPUS { (" CPUs", " 个 CPU") } else { Default::default() };
    let (limit_en, limit_zh) = match vital.limit {
        Some(limit) => (format!(" of {}", of(limit)), format!("（上限 {}）", of(limit))),
        None => Default::default(),
    };
    let (since_en, since_zh) = match vital.since.as_deref().and_then(clock) {
        Some(time) => (format!(" from {time}"), format!(",自 {time} 起")),
        None => Default::default(),
    };
    let (before_en, before_zh) = match vital.baseline {
        Some(before) => {
            (format!("; {}{unit_en} in the baseline", of(before)), format!(";基线为 {}{unit_zh}", of(before)))
        }
        None => Default::default(),
    };
    let (on_en, on_zh) = match of_instances {
        1 => Default::default(),
        _ => (
            format!(" on {instances} of {of_instances} instances"),
            format!(",{of_instances} 个实例中的 {instances} 个"),
        ),
    };
    Sentence {
        en: format!("{name}: {now}{limit_en}{unit_en}{since_en}{on_en}{before_en}."),
        zh: format!("{name}:{now}{unit_zh}{limit_zh}{since_zh}{on_zh}{before_zh}。"),
    }
}

/// The time of day of an RFC 3339 text.
fn clock(text: &str) -> Option<String> {
    text.get(11..19).map(|time| format!("{time} UTC"))
}

fn figure(value: f64, vital: &Vital) -> String {
    match (vital.sign, vital.unit.as_str()) {
        (Sign::High, CPUS) => format!("{:.1}", value).trim_end_matches(".0").to_owned(),
        (Sign::High | Sign::Paused, _) => format!("{:.0} %", 100.0 * value),
        (_, "By") if value >= f64::from(1 << 20) => format!("{:.0} MiB", value / f64::from(1 << 20)),
        _ if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests;
