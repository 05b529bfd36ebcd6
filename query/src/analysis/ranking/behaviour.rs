//! What changed other than time: errors that rose, calls that vanished or appeared, and where each began.

use super::super::significance::{Estimate, false_discovery_rates};
use super::Settings;
use super::calls::Calls;
use super::category::Category;
use super::rates::Rates;

/// Calls per request changed when they did so by this part of what they were, and this much in all.
const CALLS: (f64, f64) = (0.3, 0.015);
/// An operation is where errors began when at least this part of its rise is not that of operations below it.
const BEGAN: f64 = 0.5;

/// One change, with the operation where it began.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub operation: usize,
    /// `Error` or `Structure`.
    pub category: Category,
    /// The call that vanished or appeared, which `operation` makes or made.
    pub call: Option<usize>,
    /// Errors or calls per request.
    pub before: f64,
    pub after: f64,
    pub confidence: f64,
}

/// Errors first, then calls; within each the largest change first.
pub(super) fn changes(calls: &Calls, after: &[Rates], before: &[Rates], settings: &Settings) -> Vec<Change> {
    let mut found = errors(calls, after, before, settings);
    found.extend(structure(calls, after, before, settings));
    found
}

fn errors(calls: &Calls, after: &[Rates], before: &[Rates], settings: &Settings) -> Vec<Change> {
    let test = |a: &Rates, b: &Rates| a.errors.p_of_rise(&b.errors, settings.material_errors(b.errors.value));
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
