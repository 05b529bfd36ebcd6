//! Counters made by hand, of programs whose use of CPUs is known.

use super::super::{Sign, Window, judge};
use super::*;

const STEP: Nanos = 10 * SECOND;
/// Seconds below count from here.
const BEGIN: Nanos = 1_000 * SECOND;

/// Readings every ten seconds from the beginning on, of what is used meanwhile in seconds.
fn counter(metric: &str, attributes: &[(&str, &str)], is_delta: bool, used: &[f64]) -> Counter {
    let mut value = 1_000.0;
    let mut reading = |(n, more): (usize, &f64)| {
        value += more;
        let at = BEGIN + (n as i64 + 1) * STEP;
        match is_delta {
            true => Reading { at, start: at - STEP, value: *more },
            false => Reading { at, start: 0, value },
        }
    };
    Counter {
        metric: metric.to_owned(),
        unit: "s".to_owned(),
        instance: "pod-1".to_owned(),
        attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        is_delta,
        readings: used.iter().enumerate().map(&mut reading).collect(),
    }
}

/// CPUs in use by the middles of the steps, in seconds.
fn in_use_of(counters: Vec<Counter>) -> Vec<(i64, f64)> {
    let found = in_use(counters);
    let used: Vec<&Series> = found.iter().filter(|series| series.unit == CPUS).collect();
    assert!(used.len() <= 1, "{found:?}");
    used.iter().flat_map(|series| &series.points).map(|(at, cpus)| ((at - BEGIN) / SECOND, *cpus)).collect()
}

#[test]
fn cumulative_and_delta_counters_say_the_same() {
    let used = [5.0, 20.0, 40.0, 40.0];
    assert_eq!(
        in_use_of(vec![counter("process.cpu.time", &[], true, &used)]),
        [(5, 0.5), (15, 2.0), (25, 4.0), (35, 4.0)]
    );
    // Of the first reading nobody knows the time.
    assert_eq!(in_use_of(vec![counter("process.cpu.time", &[], false, &used)]), [(15, 2.0), (25, 4.0), (35, 4.0)]);
    let in_ms = |mut counter: Counter| {
        counter.unit = "ms".to_owned();
        counter.readings.iter_mut().for_each(|reading| reading.value *= 1e3);
        counter
    };
    assert_eq!(
        in_use_of(vec![in_ms(counter("process.cpu.time", &[], false, &used))]),
        [(15, 2.0), (25, 4.0), (35, 4.0)]
    );
}

#[test]
fn states_and_single_cpus_are_summed_and_what_is_idle_is_all_there_is() {
    let mut counters = Vec::new();
    for cpu in ["0", "1"] {
        for (state, used) in [("user", 3.0), ("system", 2.0), ("idle", 4.0), ("iowait", 1.0)] {
            let attributes = [("cpu.logical_number", cpu), ("cpu.mode", state)];
            counters.push(counter("system.cpu.time", &attributes, false, &[used; 3]));
        }
    }
    let found = in_use(counters);
    let told: Vec<_> = found.iter().map(|series| (series.metric.as_str(), series.points.as_slice())).collect();
    let (first, second) = (BEGIN + 15 * SECOND, BEGIN + 25 * SECOND);
    let expected: [(&str, &[(Nanos, f64)]); 2] = [
        ("system.cpu.time.limit", &[(first, 2.0), (second, 2.0)]),
        ("system.cpu.time", &[(first, 1.0), (second, 1.0)]),
    ];
    assert_eq!(told, expected);
    assert_eq!(limit(&found[1], &found), Some(&found[0]));
}

#[test]
fn a_program_that_restarts_is_not_taken_for_one_that_used_less_than_nothing_or_everything() {
    // At 1,050, 1,060; then a new one, which began 4 s before its first reading and used 2 s since.
    let mut restarted = counter("process.cpu.time", &[], false, &[10.0, 10.0, 0.0, 0.0]);
    restarted.readings[2].value = 2.0;
    restarted.readings[3].value = 12.0;
    assert_eq!(in_use_of(vec![restarted.clone()]), [(15, 1.0), (35, 1.0)], "nobody knows when it began");
    for reading in &mut restarted.readings[2..] {
        reading.start = BEGIN + 26 * SECOND;
    }
    assert_eq!(in_use_of(vec![restarted.clone()]), [(15, 1.0), (28, 0.5), (35, 1.0)]);
    // The new one had used more than the old when it was first read.
    restarted.readings[1].value = 1.0;
    restarted.readings[0].value = 0.5;
    assert_eq!(in_use_of(vec![restarted]), [(15, 0.05), (28, 0.5), (35, 1.0)]);
}

#[test]
fn readings_that_were_missed_share_what_was_counted_and_long_silence_tells_nothing() {
    let mut missed = counter("process.cpu.time", &[], false, &[10.0; 24]);
    missed.readings.remove(2);
    let all = in_use_of(vec![missed.clone()]);
    assert_eq!(all, (1..24).map(|n| (10 * n + 5, 1.0)).collect::<Vec<_>>());
    // From 60 to 170 s.
    missed.readings.drain(5..15);
    let some: Vec<i64> = (1..24).map(|n| 10 * n + 5).filter(|at| !(60..170).contains(at)).collect();
    assert_eq!(in_use_of(vec![missed]), some.into_iter().map(|at| (at, 1.0)).collect::<Vec<_>>());
    // Of a delta without a start, too.
    let mut silent = counter("process.cpu.time", &[], true, &[10.0; 12]);
    silent.readings.iter_mut().for_each(|reading| reading.start = 0);
    silent.readings.drain(3..10);
    assert_eq!(in_use_of(vec![silent]), [(15, 1.0), (25, 1.0), (115, 1.0)]);
}

#[test]
fn a_state_that_is_missing_for_once_makes_no_dip() {
    let of = |state: &str| counter("process.cpu.time", &[("cpu.mode", state)], true, &[10.0; 4]);
    let (user, mut system) = (of("user"), of("system"));
    system.readings.remove(2);
    assert_eq!(in_use_of(vec![user, system]), [(5, 2.0), (15, 2.0), (35, 2.0)]);
}

#[test]
fn counters_of_another_unit_or_that_go_back_tell_nothing() {
    let mut nanos = counter("process.cpu.time", &[], true, &[1e10; 3]);
    nanos.unit = String::new();
    assert_eq!(in_use_of(vec![nanos]), []);
    let mut twice = counter("process.cpu.time", &[], false, &[10.0; 3]);
    twice.readings.iter_mut().for_each(|reading| reading.at = STEP);
    assert_eq!(in_use_of(vec![twice]), []);
    assert_eq!(in_use(Vec::new()), []);
}

#[test]
fn names_of_cpu_time_are_read_by_the_word() {
    for name in ["process.cpu.time", "jvm.cpu.time", "process_cpu_seconds_total", "k8s.pod.cpu.time"] {
        assert!(is_cpu_time(name), "{name}");
    }
    for name in ["jvm.cpu.count", "process.uptime", "container_cpu_cfs_throttled_seconds_total", "timeout.cpus"] {
        assert!(!is_cpu_time(name), "{name}");
    }
}

fn count(metric: &str, cpus: f64) -> Series {
    Series {
        metric: metric.to_owned(),
        unit: CPUS.to_owned(),
        instance: "pod-1".to_owned(),
        attributes: BTreeMap::new(),
        points: (1..=12).map(|n| (BEGIN + n * STEP, cpus)).collect(),
    }
}

/// A minute of 1 CPU in use, and then one of 3.9.
fn rising() -> Vec<Series> {
    let used: Vec<f64> = (0..12).map(|n| if n < 6 { 10.0 } else { 39.0 }).collect();
    in_use(vec![counter("jvm.cpu.time", &[], true, &used)])
}

fn told(series: &[Series]) -> Vec<(Sign, Option<f64>, String)> {
    let side = |from: i64, to: i64| Window { start: BEGIN + from * SECOND, end: BEGIN + to * SECOND };
    let vitals = judge(series, side(60, 120), Some(side(0, 60)));
    vitals.into_iter().map(|vital| (vital.sign, vital.limit, vital.explanation.en)).collect()
}

#[test]
fn cpus_in_use_are_held_against_those_there_are() {
    let all = |more: Series| rising().into_iter().chain([more]).collect::<Vec<_>>();
    let full = told(&all(count("jvm.cpu.count", 4.0)));
    let said = "jvm.cpu.time: 3.9 of 4 CPUs; 1 CPUs in the baseline.";
    assert_eq!(full, [(Sign::High, Some(4.0), said.to_owned())]);
    assert_eq!(told(&all(count("system.cpu.logical.count", 16.0))), [], "a quarter of them");
    let both = [all(count("system_cpu_logical_count", 16.0)), vec![count("jvm_cpu_count", 4.0)]].concat();
    assert_eq!(told(&both).len(), 1, "what the program may use counts more than what the machine has");
    // Where nobody says how many there are, many times as many is all that can be told: 3.9 are less than 3 times 1 and 1.
    assert_eq!(told(&rising()), []);
    let used: Vec<f64> = (0..12).map(|n| if n < 6 { 5.0 } else { 39.0 }).collect();
    let many = told(&in_use(vec![counter("process.cpu.time", &[("cpu.mode", "user")], true, &used)]));
    assert_eq!(many, [(Sign::High, None, "process.cpu.time: 3.9 CPUs; 0.5 CPUs in the baseline.".to_owned())]);
}
