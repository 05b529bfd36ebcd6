//! What changed other than time: errors that rose, calls that vanished or appeared, lines that programs write or no
//! longer write, and where each began.

use super::super::log_patterns::Severity;
use super::super::significance::{Estimate, false_discovery_rates};
use super::Settings;
use super::calls::Calls;
use super::category::Category;
use super::logged::{LineChange, by_operation};
use super::rates::Rates;

/// Calls per request changed when they did so by this part of what they were, and this much in all.
const CALLS: (f64, f64) = (0.3, 0.015);
/// An operation is where errors began when at least this part of its rise is not that of operations below it.
const BEGAN: f64 = 0.5;

/// Errors of an operation that few requests reach are material, too, when this part of its calls fail more, and so many do.
const OF_CALLS: f64 = 0.05;
const LEAST_FAILED: f64 = 30.0;

/// One change, with the operation where it began.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub operation: usize,
    /// `Error` or `Structure`.
    pub category: Category,
    /// The call that vanished or appeared, which `operation` makes or made.
    pub call: Option<usize>,
    /// The pattern of the log line that did.
    pub line: Option<String>,
    /// Errors or calls per request; lines per call.
    pub before: f64,
    pub after: f64,
    pub confidence: f64,
}

/// What programs say of themselves below where spans show a change, then errors, what else programs say, and calls; last,
/// what callers say. Within each the largest change first, and of an operation only its first.
pub(super) fn changes(
    calls: &Calls,
    lines: &[LineChange],
    (after, before): (&[Rates], &[Rates]),
    requests: f64,
    settings: &Settings,
) -> Vec<Change> {
    let errors = errors(calls, (after, before), requests, settings);
    let structure = structure(calls, after, before, settings);
    let shown: Vec<usize> = errors.iter().chain(&structure).map(|change| change.operation).collect();
    let (mut behind, mut told, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for (is_origin, line) in by_operation(calls, lines) {
        let explains = shown.iter().any(|&above| calls.reaches(above, line.operation));
        let is_explained = shown.iter().any(|&below| calls.reaches(line.operation, below));
        let place = if !is_origin || is_explained {
            &mut last
        } else if explains {
            &mut behind
        } else {
            &mut told
        };
        place.push(said(line));
    }
    let mut found: Vec<Change> = Vec::new();
    for change in [behind, errors, told, structure, last].into_iter().flatten() {
        if change.line.is_none() || !found.iter().any(|known| known.operation == change.operation) {
            found.push(change);
        }
    }
    found
}

fn said(line: &LineChange) -> Change {
    let error = line.statement.severity == Severity::Error;
    Change {
        operation: line.operation,
        category: if error { Category::Error } else { Category::Structure },
        call: None,
        line: Some(line.statement.pattern.clone()),
        before: line.before,
        after: line.after,
        confidence: line.confidence,
    }
}

fn errors(calls: &Calls, (after, before): (&[Rates], &[Rates]), requests: f64, settings: &Settings) -> Vec<Change> {
    let material = |a: &Rates, b: &Rates| {
        let of_requests = settings.material_errors(b.errors.value);
        let enough = a.errors.value * requests >= LEAST_FAILED;
        let of_calls = (settings.least_ratio * b.errors.value).max(OF_CALLS * a.calls.value);
        if enough { of_requests.min(of_calls) } else { of_requests }
    };
    let test = |a: &Rates, b: &Rates| a.errors.p_of_rise(&b.errors, material(a, b));
    let confidence = confidences(after.iter().zip(before).map(|(a, b)| test(a, b)), settings);
    let rise: Vec<f64> = after.iter().zip(before).map(|(a, b)| (a.errors.value - b.errors.value).max(0.0)).collect();
    let mut began = rise.clone();
    for (operation, rise) in rise.iter().enumerate() {
        if let Some(parent) = calls.parent(operation) {
            began[parent] -= rise;
        }
    }
    let mut found: Vec<usize> =
        (0..after.len()).filter(|&i| confidence[i] >= settings.confidence && began[i] >= BEGAN * rise[i]).collect();
    found.sort_by(|&a, &b| began[b].total_cmp(&began[a]));
    let change = |i: usize| Change {
        operation: i,
        category: Category::Error,
        call: None,
        line: None,
        before: before[i].errors.value,
        after: after[i].errors.value,
        confidence: confidence[i],
    };
    found.into_iter().map(change).collect()
}

fn structure(calls: &Calls, after: &[Rates], before: &[Rates], settings: &Settings) -> Vec<Change> {
    let sides = || after.iter().map(|rates| &rates.calls).zip(before.iter().map(|rates| &rates.calls));
    let least = |before: &Estimate| (CALLS.0 * before.value).max(CALLS.1);
    let appeared = confidences(sides().map(|(after, before)| after.p_of_rise(before, least(before))), settings);
    let vanished = confidences(sides().map(|(after, before)| before.p_of_rise(after, least(before))), settings);
    let mut found: Vec<Change> = Vec::new();
    for confidence in [&vanished, &appeared] {
        let changed = |i: usize| confidence[i] >= settings.confidence;
        for call in (0..after.len()).filter(|&i| changed(i)) {
            let parent = calls.parent(call);
            // Of a subtree that came or went only the top says where.
            if parent.is_some_and(changed) {
                continue;
            }
            found.push(Change {
                operation: parent.unwrap_or(call),
                category: Category::Structure,
                call: Some(call),
                line: None,
                before: before[call].calls.value,
                after: after[call].calls.value,
                confidence: confidence[call],
            });
        }
    }
    let size = |c: &Change| (c.after - c.before).abs();
    found.sort_by(|a, b| size(b).total_cmp(&size(a)));
    found
}

fn confidences(p: impl Iterator<Item = f64>, settings: &Settings) -> Vec<f64> {
    let p: Vec<f64> = p.collect();
    false_discovery_rates(&p).into_iter().map(|rate| (1.0 - rate).min(settings.surest())).collect()
}
