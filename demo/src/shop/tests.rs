//! The shop against facts from elsewhere: queueing theory, and each fault's truth by a measure of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};

use super::kernel::Instant;
use super::*;

const SECOND: Instant = 1_000_000_000;

fn settings(fault: &str, place: usize, seed: u64) -> Settings {
    Settings {
        seed,
        fault: fault.to_owned(),
        place: Some(place),
        step_after: Duration::from_secs(30),
        duration: Duration::from_secs(75),
        ..Settings::default()
    }
}

/// What happened in one window, per customer request.
#[derive(Default)]
struct Window {
    requests: f64,
    /// Time that a span spent while none of its children ran, by service and name, in ms.
    own_time: BTreeMap<(String, String), f64>,
    errors: BTreeMap<(String, String), f64>,
    calls: BTreeMap<(String, String), f64>,
    /// From the end of the PRODUCER span to the start of the CONSUMER span.
    message_wait: f64,
}

/// Adds spans up by the windows in which their trace (or the trace that they are linked to) began.
fn windows(spans: &[SimSpan], bounds: &[(Instant, Instant)]) -> Vec<Window> {
    let mut children: HashMap<(TraceId, SpanId), Vec<&SimSpan>> = HashMap::new();
    let mut began: HashMap<TraceId, Instant> = HashMap::new();
    let mut by_id: HashMap<SpanId, &SimSpan> = HashMap::new();
    for span in spans {
        by_id.insert(span.span_id, span);
        match span.parent {
            Some(parent) => children.entry((span.trace_id, parent.span_id)).or_default().push(span),
            None => drop(began.insert(span.trace_id, span.start)),
        }
    }
    let sum = |&(from, to): &(Instant, Instant)| {
        let mut window = Window::default();
        for span in spans {
            let start = began[&span.trace_id];
            if start < from || start >= to {
                continue;
            }
            let key = (span.process.service.to_owned(), span.name.to_string());
            if span.parent.is_none() && span.kind == SpanKind::Server {
                window.requests += 1.0;
            }
            let below = children.get(&(span.trace_id, span.span_id)).map(Vec::as_slice).unwrap_or_default();
            *window.own_time.entry(key.clone()).or_default() += own_time(span, below) as f64 / 1e6;
            *window.calls.entry(key.clone()).or_default() += 1.0;
            if span.failed() {
                *window.errors.entry(key).or_default() += 1.0;
            }
            for (_, producer) in &span.links {
                window.message_wait += span.start.saturating_sub(by_id[producer].end) as f64 / 1e6;
            }
        }
        for sums in [&mut window.own_time, &mut window.errors, &mut window.calls] {
            sums.values_mut().for_each(|value| *value /= window.requests);
        }
        window.message_wait /= window.requests;
        window
    };
    bounds.iter().map(sum).collect()
}

fn own_time(span: &SimSpan, children: &[&SimSpan]) -> Instant {
    let mut parts: Vec<_> = children.iter().map(|c| (c.start.max(span.start), c.end.min(span.end))).collect();
    parts.sort_unstable();
    let (mut covered, mut until) = (0, span.start);
    for (start, end) in parts {
        covered += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    span.duration() - covered
}

fn rises(before: &BTreeMap<(String, String), f64>, after: &BTreeMap<(String, String), f64>) -> Vec<(f64, (String, String))> {
    let keys: HashSet<_> = before.keys().chain(after.keys()).collect();
    let at = |map: &BTreeMap<(String, String), f64>, key| map.get(key).copied().unwrap_or(0.0);
    let mut rises: Vec<_> = keys.into_iter().map(|key| (at(after, key) - at(before, key), key.clone())).collect();
    rises.sort_by(|a, b| b.0.total_cmp(&a.0));
    rises
}

fn base_and_peak(spans: &[SimSpan]) -> (Window, Window) {
    let mut both = windows(spans, &[(5 * SECOND, 30 * SECOND), (40 * SECOND, 75 * SECOND)]).into_iter();
    (both.next().expect("two"), both.next().expect("two"))
}

#[test]
#[ignore = "prints figures for sizing the faults"]
fn figures() {
    for fault in std::iter::once(("none", 1)).chain(faults().iter().map(|f| (f.name, f.places))) {
        for place in 0..fault.1 {
            for seed in 1..=2 {
                let settings = settings(fault.0, place, seed);
                let truth = truth(&settings).expect("known");
                let spans = simulate(&settings);
                let (base, peak) = base_and_peak(&spans);
                let mean = |w: &Window| w.own_time.values().sum::<f64>();
                println!(
                    "{} {place} seed {seed}: {}/{} spans {} req {} {} total {:.0} -> {:.0} msgwait {:.0} -> {:.0}",
                    fault.0, truth.service, truth.operation, spans.len(), base.requests, peak.requests,
                    mean(&base), mean(&peak), base.message_wait, peak.message_wait
                );
                for (rise, key) in rises(&base.own_time, &peak.own_time).iter().take(3) {
                    println!("    {} {rise:.1} {key:?} base {:.1} calls {:.2} -> {:.2}", if truth.names(&key.0, &key.1) { "*" } else { " " },
                        base.own_time.get(key).copied().unwrap_or(0.0), base.calls.get(key).copied().unwrap_or(0.0), peak.calls.get(key).copied().unwrap_or(0.0));
                }
                for (rise, key) in rises(&base.errors, &peak.errors).iter().take(2).filter(|r| r.0 > 0.01) {
                    println!("    errors {rise:.3} {key:?}");
                }
            }
        }
    }
}
