//! What programs say differently: log lines that appeared or are no longer written, and errors that are told more often,
//! per call of the operation in whose spans they are written.
//!
//! A function that returns early, or swallows an exception, gives spans like any other; what it would have said next is
//! missing. So structure is looked for in lines as in calls. A line counts as new or gone when it is (almost) never
//! there on the other side: how often a line is written that depends on the data changes with the data.

use std::collections::{HashMap, HashSet};

use model::trace::SpanKind;
use serde::Serialize;

use super::super::log_patterns::{RARER, Severity};
use super::super::sentence::Sentence;
use super::super::significance::{false_discovery_rates, mean_of_bins, normal_tail};
use super::Settings;
use super::calls::Calls;
use super::cube::{Cube, LineStat, Observed, Operation, Side, Statement};

/// Lines per call from which on it matters that they appeared or are gone.
const LEAST_PER_CALL: f64 = 0.05;
/// When less than this part of what a service said is still said, it is another version of it: what else it says then
/// tells nothing.
const STILL_SAID: f64 = 0.5;
/// Lines that are told of one hot spot.
const TOLD: usize = 4;

/// A line whose number per call changed, for sure.
#[derive(Debug, Clone)]
pub(super) struct LineChange {
    /// Where it is written most.
    pub operation: usize,
    pub statement: Statement,
    /// Lines per call.
    pub before: f64,
    pub after: f64,
    pub confidence: f64,
    /// In standard errors, for the order.
    strength: f64,
}

/// A changed line, as a hot spot tells of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogSign {
    pub severity: Severity,
    pub pattern: String,
    pub operation: String,
    pub per_call: f64,
    pub baseline_per_call: f64,
    pub explanation: Sentence,
}

impl LineChange {
    fn sign(&self, cube: &Cube) -> LogSign {
        let Statement { severity, pattern, .. } = &self.statement;
        let operation = cube.operations[self.operation].operation.clone();
        let (now, before) = (self.after, self.before);
        let (what_en, what_zh) = match severity {
            Severity::Error => ("error \"", "错误日志“"),
            Severity::Warn => ("warning \"", "警告日志“"),
            Severity::Info => ("\"", "日志“"),
        };
        LogSign {
            severity: *severity,
            pattern: pattern.clone(),
            per_call: now,
            baseline_per_call: before,
            explanation: Sentence {
                en: format!(
                    "{what_en}{pattern}\": {now:.2} lines per call of \"{operation}\"; {before:.2} in the baseline."
                ),
                zh: format!("{what_zh}{pattern}”：每次调用“{operation}”{now:.2} 行；基线为 {before:.2} 行。"),
            },
            operation,
        }
    }
}

/// The lines of a service that changed, the surest first, as its hot spots tell of them.
pub(super) fn signs(cube: &Cube, changes: &[LineChange], service: &str) -> Vec<LogSign> {
    let of_service = changes.iter().filter(|change| change.statement.service == service);
    of_service.take(TOLD).map(|change| change.sign(cube)).collect()
}

/// All lines that changed, the strongest first.
pub(super) fn line_changes(
    cube: &Cube,
    window: &Observed,
    baseline: &Observed,
    settings: &Settings,
) -> Vec<LineChange> {
    let Some(side) = &cube.baseline else { return Vec::new() };
    let renewed = renewed(window, baseline);
    let tests: Vec<(Option<LineChange>, f64)> = window
        .logged
        .iter()
        .zip(&baseline.logged)
        .map(|(now, then)| test(cube, (&cube.window, now), (side, then), &renewed, settings))
        .collect();
    // Patterns that were not looked at closely might have been.
    let all: usize = window.patterns.values().map(HashSet::len).sum();
    let mut p: Vec<f64> = tests.iter().map(|(_, p)| *p).collect();
    p.resize(p.len().max(all), 1.0);
    let rates = false_discovery_rates(&p);
    let sure = tests.into_iter().zip(rates).filter_map(|((change, _), rate)| {
        let confidence = (1.0 - rate).min(settings.surest());
        change.filter(|_| confidence >= settings.confidence).map(|change| LineChange { confidence, ..change })
    });
    let mut found: Vec<LineChange> = sure.collect();
    found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    found
}

/// Services that no longer say most of what they said.
fn renewed<'a>(window: &'a Observed, baseline: &'a Observed) -> HashSet<&'a str> {
    let none = HashSet::new();
    let renewed = |(service, before): (&'a String, &HashSet<String>)| {
        let now = window.patterns.get(service).unwrap_or(&none);
        let still = before.intersection(now).count();
        ((still as f64) < STILL_SAID * before.len() as f64).then_some(service.as_str())
    };
    baseline.patterns.iter().filter_map(renewed).collect()
}

/// Whether a line changed, and how likely that is by chance.
fn test(
    cube: &Cube,
    (side, now): (&Side, &LineStat),
    (baseline, then): (&Side, &LineStat),
    renewed: &HashSet<&str>,
    settings: &Settings,
) -> (Option<LineChange>, f64) {
    let statement = &now.statement;
    let operations = operations(cube, statement);
    let Some(&operation) = operations.first() else { return (None, 1.0) };
    let (after, before) = (counts(cube, side, &operations, now), counts(cube, baseline, &operations, then));
    let (Some(a), Some(b)) = (mean_of_bins(&after), mean_of_bins(&before)) else { return (None, 1.0) };
    let appeared = a.value >= LEAST_PER_CALL && a.value >= RARER * b.value;
    let gone = b.value >= LEAST_PER_CALL && b.value >= RARER * a.value && statement.severity == Severity::Info;
    let other_version = renewed.contains(statement.service.as_str());
    let least = settings.material_errors(b.value);
    let p_by_bins = match statement.severity {
        Severity::Error if a.value - b.value >= least => a.p_of_rise(&b, least),
        _ if other_version => return (None, 1.0),
        _ if appeared => a.p_of_rise(&b, 0.0),
        _ if gone => b.p_of_rise(&a, 0.0),
        _ => return (None, 1.0),
    };
    // Lines that are always written, or never, do not vary between the bins of a short time: their number says more.
    let strength = standard_errors(sums(&after), sums(&before));
    let change = LineChange {
        operation,
        statement: statement.clone(),
        before: b.value,
        after: a.value,
        confidence: 0.0,
        strength,
    };
    (Some(change), p_by_bins.max(2.0 * normal_tail(strength)))
}

/// The operations in whose spans the line is written; those that its service serves where no line says.
fn operations(cube: &Cube, statement: &Statement) -> Vec<usize> {
    let numbers = 0..cube.operations.len();
    if !statement.operations.is_empty() {
        let number = |known: &Operation| numbers.clone().find(|number| cube.operations[*number] == *known);
        return statement.operations.iter().filter_map(number).collect();
    }
    let serves = |number: &usize| {
        let operation = &cube.operations[*number];
        operation.service == statement.service && matches!(operation.kind, SpanKind::Server | SpanKind::Consumer)
    };
    let calls = |number: usize| -> f64 {
        let columns = cube.columns.iter().enumerate().filter(|(_, column)| column.operation == number);
        columns.map(|(at, _)| cube.window.totals[at].spans).sum()
    };
    let mut serving: Vec<usize> = numbers.filter(serves).collect();
    serving.sort_by(|&a, &b| calls(b).total_cmp(&calls(a)));
    serving
}

/// Lines and calls of each bin.
fn counts(cube: &Cube, side: &Side, operations: &[usize], line: &LineStat) -> Vec<(f64, f64)> {
    let columns: Vec<usize> =
        (0..cube.columns.len()).filter(|&c| operations.contains(&cube.columns[c].operation)).collect();
    let calls = |bin: usize| columns.iter().map(|&c| side.spans[bin * cube.columns.len() + c]).sum::<f64>();
    (0..side.bins).map(|bin| (line.bins.get(bin).copied().unwrap_or(0.0), calls(bin))).collect()
}

fn sums(bins: &[(f64, f64)]) -> (f64, f64) {
    bins.iter().fold((0.0, 0.0), |(lines, calls), bin| (lines + bin.0, calls + bin.1))
}

/// How far apart two shares of calls with a line are, in standard errors of their difference if they were the same. A
/// call counts once, however many lines it writes.
fn standard_errors((lines, calls): (f64, f64), (lines_before, calls_before): (f64, f64)) -> f64 {
    let (with, with_before) = (lines.min(calls), lines_before.min(calls_before));
    let pooled = (with + with_before) / (calls + calls_before);
    let variance = pooled * (1.0 - pooled) * (1.0 / calls + 1.0 / calls_before);
    let difference = (with / calls - with_before / calls_before).abs();
    if variance > 0.0 { difference / variance.sqrt() } else { 0.0 }
}

/// Of the lines that changed the strongest of each operation: first those of operations below which nothing else said
/// anything different, then those of callers, which mostly tell of what they got. `true`: of the first kind.
/// New lines that are neither errors nor warnings are evidence, no finding: they mostly tell that something went on which
/// had failed, or that the data is different.
pub(super) fn by_operation<'a>(calls: &Calls, changes: &'a [LineChange]) -> Vec<(bool, &'a LineChange)> {
    let mut strongest: HashMap<usize, &LineChange> = HashMap::new();
    let finds = |change: &&LineChange| change.after < change.before || change.statement.severity != Severity::Info;
    changes.iter().filter(finds).for_each(|change| {
        strongest.entry(change.operation).or_insert(change);
    });
    let is_below = |above: usize| strongest.keys().any(|&below| calls.reaches(above, below));
    let mut found: Vec<(bool, &LineChange)> =
        strongest.values().map(|change| (!is_below(change.operation), *change)).collect();
    found.sort_by(|a, b| {
        b.0.cmp(&a.0).then(b.1.strength.total_cmp(&a.1.strength)).then(a.1.operation.cmp(&b.1.operation))
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_apart_are_so_by_the_textbook() {
        // 8 of 8 and 0 of 12: pooled 0.4, variance 0.24 (1/8 + 1/12) = 0.05, 1 / sqrt(0.05) = 4.472.
        assert!((standard_errors((8.0, 8.0), (0.0, 12.0)) - 4.472).abs() < 0.001);
        assert_eq!(standard_errors((30.0, 10.0), (7.0, 7.0)), 0.0, "each call has some");
    }
}
