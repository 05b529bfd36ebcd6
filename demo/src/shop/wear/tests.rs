//! What wear does to the spans of a short run.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;
use crate::shop::{Settings, Topology, simulate, simulate_signals};

const NONE: Wear = Wear { skew: Duration::ZERO, loss: 0.0, dark: 0.0 };

fn spans() -> Vec<SimSpan> {
    let topology: Topology = "random:20".parse().expect("a topology");
    let (fault, duration) = ("none".to_owned(), Duration::from_secs(10));
    simulate(&Settings { topology, fault, duration, ..Settings::default() })
}

fn services(spans: &[SimSpan]) -> BTreeSet<&'static str> {
    spans.iter().map(|span| span.process.service).collect()
}

#[test]
fn nothing_is_worn_by_default_and_the_same_seed_wears_the_same() {
    let spans = spans();
    assert!(Wear::default().apply(spans.clone(), 1, &[]) == spans);
    let all = Wear { skew: Duration::from_millis(50), loss: 0.02, dark: 0.15 };
    let (one, again) = (all.apply(spans.clone(), 1, &[]), all.apply(spans.clone(), 1, &[]));
    assert!(one == again && one != all.apply(spans.clone(), 2, &[]));
    let reversed: Vec<_> = spans.into_iter().rev().collect();
    let mut back = all.apply(reversed, 1, &[]);
    back.reverse();
    assert!(back == one, "the order of the spans matters");
}

#[test]
fn a_clock_is_wrong_by_the_same_for_all_spans_of_an_instance() {
    let spans = spans();
    let skew = Duration::from_millis(50);
    let worn = Wear { skew, ..NONE }.apply(spans.clone(), 3, &[]);
    let mut ahead: BTreeMap<&str, Instant> = BTreeMap::new();
    for (before, after) in spans.iter().zip(&worn) {
        let moved = after.start - before.start;
        assert_eq!(after.end - before.end, moved);
        assert!(moved <= 2 * nanoseconds(skew));
        assert_eq!(*ahead.entry(&after.process.instance).or_insert(moved), moved);
    }
    let (least, most) = (ahead.values().min().expect("some"), ahead.values().max().expect("some"));
    assert!(most - least > nanoseconds(skew), "clocks differ by {} ns only", most - least);
}

#[test]
fn about_the_given_share_is_lost_and_the_rest_stays_as_it_is() {
    let spans = spans();
    let left = Wear { loss: 0.02, ..NONE }.apply(spans.clone(), 4, &[]);
    let lost = 1.0 - left.len() as f64 / spans.len() as f64;
    assert!((0.014..0.026).contains(&lost), "{lost} of {} spans", spans.len());
    let ids: HashSet<_> = left.iter().map(|span| span.span_id).collect();
    assert!(spans.into_iter().filter(|span| ids.contains(&span.span_id)).eq(left));
}

#[test]
fn dark_services_leave_their_callees_without_a_parent() {
    let spans = spans();
    let all = services(&spans);
    let spared = ["gateway", all.iter().next_back().expect("some")];
    for seed in 0..20 {
        let left = Wear { dark: 0.15, ..NONE }.apply(spans.clone(), seed, &spared[1..]);
        let seen = services(&left);
        assert_eq!(all.len() - seen.len(), 3, "15 % of {} services", all.len());
        assert!(spared.iter().all(|service| seen.contains(service)));
        assert!(spans.iter().filter(|span| seen.contains(span.process.service)).eq(&left));
    }
}

#[test]
fn metrics_are_worn_as_the_spans_of_their_process() {
    let topology: Topology = "random:20".parse().expect("a topology");
    let settings =
        Settings { topology, fault: "none".to_owned(), duration: Duration::from_secs(10), ..Settings::default() };
    let whole = simulate_signals(&settings);
    let wear = Wear { skew: Duration::from_millis(50), loss: 0.0, dark: 0.15 };
    let worn = wear.apply_to_all(whole.clone(), 6, &[]);
    let measured: BTreeSet<&str> = worn.readings.iter().map(|reading| reading.process.service).collect();
    assert!(!measured.is_empty() && measured.len() < 20 && worn.readings.len() < whole.readings.len());
    // What sends no spans sends no metrics, and clocks are wrong for both by the same.
    let sent = services(&worn.spans);
    assert!(measured.iter().all(|service| sent.contains(service) || !services(&whole.spans).contains(service)));
    let moved = |process: &Process| wear.ahead(process, 6);
    let before: HashMap<_, _> = whole.spans.iter().map(|span| (span.span_id, span.start)).collect();
    assert!(worn.spans.iter().all(|span| span.start - before[&span.span_id] == moved(&span.process)));
    assert!(
        worn.readings.iter().all(|reading| (reading.at - moved(&reading.process)).is_multiple_of(5 * 1_000_000_000))
    );
}
