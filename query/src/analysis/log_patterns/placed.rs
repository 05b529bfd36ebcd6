//! Puts log lines into what the ranking is computed from: those whose number per span of their service changed, at the
//! operations in whose spans they were written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::names::NONE;
use super::super::observe::Seen;
use super::super::ranking::{LineStat, Observed, Operation, Statement};
use super::super::scope::Window;
use super::lines::{Key, Lines, Severity, Told};

/// Patterns that are looked at closely, those that changed most.
const MOST: usize = 200;
/// Lines that a pattern needs on either side.
const LEAST_LINES: u64 = 3;
/// A pattern that is less than so many times as frequent per span of its service, or as rare, is left out at once. The
/// ranking asks for more.
const TIMES: f64 = 4.0;
/// The same for errors, which are worse the more there are.
const ERROR_TIMES: f64 = 1.2;

/// Adds the lines to both sides. `windows` are those that the lines and the spans are of.
pub fn place(lines: &Lines, seen: &Seen, windows: &[Window], now: &mut Observed, then: &mut Observed) {
    let spans = [spans_of(now), spans_of(then)];
    let mut changed: Vec<(f64, &Key, &Told)> = lines
        .told
        .iter()
        .filter(|(key, told)| key.service != NONE && told.count(0).max(told.count(1)) >= LEAST_LINES)
        .filter_map(|(key, told)| {
            let service = lines.names.text(key.service);
            let rate = |side: usize| {
                let spans = spans[side].get(service).copied().filter(|spans| *spans > 0)?;
                Some(told.count(side) as f64 / spans as f64)
            };
            let (after, before) = (rate(0)?, rate(1)?);
            let rose = after > TIMES * before || (key.severity == Severity::Error && after > ERROR_TIMES * before);
            (rose || before > TIMES * after).then_some(((after - before).abs(), key, told))
        })
        .collect();
    let texts = |key: &Key| (lines.names.text(key.service), lines.names.text(key.pattern), key.severity);
    changed.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| texts(a.1).cmp(&texts(b.1))));
    changed.truncate(MOST);
    let written = written_in(changed.iter().map(|(_, _, told)| *told), seen, windows.len());
    for (side, observed) in [now, then].into_iter().enumerate() {
        observed.patterns = patterns_of(lines, side);
        observed.logged = changed
            .iter()
            .zip(&written)
            .map(|((_, key, told), operations)| LineStat {
                statement: Statement {
                    service: lines.names.text(key.service).to_owned(),
                    severity: key.severity,
                    pattern: lines.names.text(key.pattern).to_owned(),
                    operations: operations.clone(),
                },
                bins: bins(told, side, windows[side], observed),
            })
            .collect();
    }
}

/// Spans by service.
fn spans_of(observed: &Observed) -> HashMap<String, u64> {
    let mut spans = HashMap::new();
    for cell in &observed.cells {
        *spans.entry(observed.keys[cell.key].operation.service.clone()).or_default() += cell.spans;
    }
    spans
}

/// Patterns by service that were seen on one side: how many tests might have been made, and whether a service still says
/// what it said.
fn patterns_of(lines: &Lines, side: usize) -> HashMap<String, HashSet<String>> {
    let mut patterns: HashMap<String, HashSet<String>> = HashMap::new();
    for (key, told) in &lines.told {
        if told.count(side) >= LEAST_LINES {
            let of_service = patterns.entry(lines.names.text(key.service).to_owned()).or_default();
            of_service.insert(lines.names.text(key.pattern).to_owned());
        }
    }
    patterns
}

/// For each pattern the operations in whose spans its remembered lines were written, the most frequent first.
fn written_in<'a>(told: impl Iterator<Item = &'a Told> + Clone, seen: &Seen, sides: usize) -> Vec<Arc<[Operation]>> {
    let wanted: HashSet<(u128, u64)> =
        told.clone().flat_map(|told| &told.remembered).map(|line| (line.trace, line.span)).collect();
    let mut operations: HashMap<(u128, u64), u32> = HashMap::new();
    for span in (0..sides).flat_map(|side| seen.kept(side)) {
        if wanted.contains(&(span.trace, span.span)) {
            operations.insert((span.trace, span.span), span.operation);
        }
    }
    told.map(|told| {
        let mut times: HashMap<u32, usize> = HashMap::new();
        for line in &told.remembered {
            if let Some(operation) = operations.get(&(line.trace, line.span)) {
                *times.entry(*operation).or_default() += 1;
            }
        }
        let mut found: Vec<(usize, Operation)> =
            times.into_iter().map(|(operation, times)| (times, seen.operations.operation(operation))).collect();
        found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        found.into_iter().map(|(_, operation)| operation).collect()
    })
    .collect()
}

/// Lines by bin of one side.
fn bins(told: &Told, side: usize, window: Window, observed: &Observed) -> Vec<f64> {
    let length = ((observed.bin_seconds * 1e9) as i64).max(1);
    let mut bins = vec![0.0; observed.bins as usize];
    for ((_, at), count) in told.seconds.range((side, i64::MIN)..=(side, i64::MAX)) {
        let bin = ((at - window.start).max(0) / length) as usize;
        if let Some(bin) = bins.get_mut(bin) {
            *bin += *count as f64;
        }
    }
    bins
}
