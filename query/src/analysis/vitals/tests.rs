//! Hand-made series whose signs are known.

use model::time::SECOND;

use super::*;

const BASELINE: Window = Window { start: 0, end: 60 * SECOND };
const WINDOW: Window = Window { start: 60 * SECOND, end: 120 * SECOND };

/// A point every ten seconds, six on each side.
fn series(metric: &str, unit: &str, attributes: &[(&str, &str)], before: [f64; 6], now: [f64; 6]) -> Series {
    let values = before.into_iter().chain(now).enumerate();
    Series {
        metric: metric.into(),
        unit: unit.into(),
        instance: "pod-1".into(),
        attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        points: values.map(|(n, v)| (n as i64 * 10 * SECOND, v)).collect(),
    }
}

fn pool(state: &str, before: f64, now: [f64; 6]) -> Series {
    let attributes = [("db.client.connection.pool.name", "orders"), ("db.client.connection.state", state)];
    series("db.client.connection.count", "{connection}", &attributes, [before; 6], now)
}

fn judged(series: &[Series]) -> Vec<Vital> {
    judge(series, WINDOW, Some(BASELINE))
}

#[test]
fn a_pool_is_full_by_the_sum_of_its_states() {
    let used = pool("used", 12.0, [60.0, 64.0, 64.0, 64.0, 64.0, 64.0]);
    let idle = pool("idle", 52.0, [4.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let found = judged(&[used, idle]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].sign, found[0].limit, found[0].baseline), (Sign::Saturated, Some(64.0), Some(12.0)));
    assert_eq!(found[0].since.as_deref(), Some("1970-01-01T00:01:10.000000000Z"));
    assert!(found[0].explanation.en.contains("63.3 of 64 from 00:01:10 UTC; 12 in the baseline"), "{found:?}");
}

/// A pool that closes what nobody uses is not full because all that is open is used.
#[test]
fn a_pool_with_a_limit_is_held_against_that() {
    let pools = [("db.client.connection.pool.name", "orders")];
    let states = [pool("used", 2.0, [10.0; 6]), pool("idle", 2.0, [0.0; 6])];
    let limit = |max: f64| series("db.client.connection.max", "{connection}", &pools, [max; 6], [max; 6]);
    assert_eq!(judged(&[&states[..], &[limit(100.0)]].concat()), []);
    let found = judged(&[&states[..], &[limit(10.0)]].concat());
    assert_eq!((found.len(), found[0].sign, found[0].limit), (1, Sign::Saturated, Some(10.0)), "{found:?}");
}

#[test]
fn what_is_free_is_no_pressure() {
    let share = |key: &str, value: &str| series("system.cpu.utilization", "1", &[(key, value)], [0.1; 6], [0.97; 6]);
    assert_eq!(judged(&[share("cpu.mode", "idle"), share("state", "idle"), share("system.memory.state", "free")]), []);
    assert_eq!(judged(&[share("cpu.mode", "user")]).len(), 1);
}

#[test]
fn a_used_part_is_held_against_the_limit_of_its_own_instance() {
    let used = series("hikaricp.connections.active", "", &[("pool", "a")], [2.0; 6], [10.0; 6]);
    let limit = series("hikaricp.connections.max", "", &[("pool", "a")], [10.0; 6], [10.0; 6]);
    let mut other = limit.clone();
    other.instance = "pod-2".into();
    assert_eq!(judged(&[used.clone(), other]), []);
    let found = judged(&[used, limit]);
    assert_eq!((found.len(), found[0].sign, found[0].window), (1, Sign::Saturated, 10.0));
}

#[test]
fn what_was_full_before_is_no_evidence() {
    let heap = |name: &str, v: f64| series(name, "By", &[("jvm.memory.type", "heap")], [v; 6], [v; 6]);
    assert_eq!(judged(&[heap("jvm.memory.used", 95.0), heap("jvm.memory.limit", 100.0)]), []);
}

#[test]
fn queues_grow_shares_rise_and_collectors_pause() {
    let queue = series("executor.queued", "{task}", &[], [0.0; 6], [40.0; 6]);
    let little = series("http.pending_requests", "{request}", &[], [1.0; 6], [2.0; 6]);
    let cpu = series("process.cpu.utilization", "1", &[], [0.3; 6], [0.97; 6]);
    let gc = series("jvm.gc.duration", "s", &[], [0.01; 6], [2.0; 6]);
    let found = judged(&[queue, little, cpu, gc]);
    let signs: Vec<_> = found.iter().map(|vital| (vital.sign, vital.metric.as_str())).collect();
    let expected = [
        (Sign::High, "process.cpu.utilization"),
        (Sign::Paused, "jvm.gc.duration"),
        (Sign::Waiting, "executor.queued"),
    ];
    assert_eq!(signs, expected);
    // Six times two seconds in a minute.
    assert!((found[1].window - 0.2).abs() < 1e-9);
    assert!(found[0].explanation.en.contains("97 %; 30 % in the baseline"), "{}", found[0].explanation.en);
}

#[test]
fn instances_are_counted_and_the_worst_is_named() {
    let on = |instance: &str, now: f64| Series {
        instance: instance.into(),
        ..series("process.cpu.utilization", "1", &[], [0.2; 6], [now; 6])
    };
    let found = judged(&[on("a", 0.9), on("b", 0.99), on("c", 0.3)]);
    assert_eq!((found[0].instance.as_str(), found[0].instances, found[0].of_instances), ("b", 2, 3));
}
