//! Reads the gauges of a service, and what its collectors took.

use std::collections::BTreeMap;

use model::time::SECOND;
use model::{Nanos, Result};

use super::cpu::{CPUS, Counter, Reading, in_use, is_cpu_time};
use super::names::{is_collector, is_of_an_interval, is_share_of};
use super::piles::piles;
use super::{Series, Sign, Vital, Window, judge};
use crate::analysis::ranking::{Exhausted, Piled};
use crate::analysis::rows::read;
use crate::analysis::scope::quoted;
use crate::query::Query;

/// What the metrics of all services say that spans do not: who ran out of CPU or is paused by a collector, and before which
/// consumers messages pile up, in the first window and not in the second. Nothing where there is nothing to compare with.
/// Each service reports few such series, so those of all are looked at.
pub async fn pressure(query: &Query, windows: &[Window]) -> Result<Pressure> {
    let &[window, baseline] = windows else { return Ok(Pressure::default()) };
    let names = "(name ILIKE '%utili_ation%' OR name ILIKE '%gc%' OR name ILIKE '%lag%' OR name ILIKE '%cpu%' \
                  OR name ILIKE '%processor%')";
    let mut by_service: BTreeMap<String, Vec<Series>> = BTreeMap::new();
    for (service, series) in series_of(query, names, windows, MOST_POINTS).await? {
        by_service.entry(service).or_default().push(series);
    }
    let mut found = Pressure::default();
    for (service, series) in by_service {
        let vitals = judge(&series, window, Some(baseline));
        let is_paused = vitals.iter().any(|vital| vital.sign == Sign::Paused);
        // More CPUs in use than before are no lack of them where their number is not known.
        let has_none = |vital: &Vital| vital.sign == Sign::High && (vital.unit != CPUS || vital.limit.is_some());
        if is_paused || vitals.iter().any(has_none) {
            found.exhausted.push(Exhausted { service: service.clone(), is_paused });
        }
        found.piled.extend(piles(&service, &series, window, baseline));
    }
    Ok(found)
}

/// What metrics say of services.
#[derive(Debug, Default)]
pub struct Pressure {
    pub exhausted: Vec<Exhausted>,
    pub piled: Vec<Piled>,
}

/// Points that are read as they are. Of more, those of a series within a part of the time become one: 1,000 instances with
/// five such series have 300,000 in half an hour, of 30 s each.
const MOST_POINTS: usize = 100_000;
/// Parts of each window then, and points at most: those of 12,000 series.
const PARTS: i64 = 16;
const MOST_PARTS: usize = 400_000;

/// The series of one service (and instance) over the windows.
pub async fn gather(query: &Query, service: &str, instance: Option<&str>, windows: &[Window]) -> Result<Vec<Series>> {
    let instance = instance.map_or(String::new(), |instance| format!(" AND instance_id = {}", quoted(instance)));
    let of = format!("service_name = {}{instance}", quoted(service));
    Ok(series_of(query, &of, windows, MOST_POINTS).await?.into_iter().map(|(_, series)| series).collect())
}

/// Points are reported each minute or more often. One that comes so soon behind a window says more of it than of what follows.
const LATER: Nanos = 30 * SECOND;
/// A counter that was read so long before a window tells what it counted in the window's first part.
const EARLIER: Nanos = 60 * SECOND;

/// The series of the rows for which `condition` holds, each with its service.
async fn series_of(query: &Query, condition: &str, windows: &[Window], most: usize) -> Result<Vec<(String, Series)>> {
    // What was counted within a window is known by the reading before it.
    let near = |w: &Window| {
        let (earlier, later) = (w.start.saturating_sub(EARLIER), w.end.saturating_add(LATER));
        let is_in = format!("(time_unix_nano >= {} OR is_monotonic = true)", w.start);
        format!("(time_unix_nano >= {earlier} AND time_unix_nano < {later} AND {is_in})")
    };
    let either: Vec<String> = windows.iter().map(near).collect();
    let points = format!(
        "SELECT service_name, name, unit, type, temporality, is_monotonic, instance_id, attributes, \
                time_unix_nano AS t, start_time_unix_nano AS b, coalesce(value, CAST(value_int AS double)) AS v, sum AS s \
         FROM physical.metrics WHERE {condition} AND ({}) \
           AND (type = 'GAUGE' OR (type = 'SUM' AND (is_monotonic = false OR name ILIKE '%cpu%')) \
                OR (type LIKE '%HISTOGRAM' AND name LIKE '%gc%'))",
        either.join(" OR "),
    );
    let mut found = read(query, &format!("{points} LIMIT {}", most + 1)).await?;
    let is_thinned = found.rows() > most;
    if is_thinned {
        found = read(query, &thinned(&points, windows)).await?;
    }
    let mut all: BTreeMap<(&str, &str, &str, &str), (Series, bool)> = BTreeMap::new();
    let mut counters: BTreeMap<(&str, &str, &str, &str), Counter> = BTreeMap::new();
    for row in found.iter() {
        let (name, histogram) = (row.text("name"), row.text("type").ends_with("HISTOGRAM"));
        if histogram && !is_collector(name) {
            continue;
        }
        let key = (row.text("service_name"), name, row.text("instance_id"), row.text("attributes"));
        if row.text("type") == "SUM" && row.int("is_monotonic") != 0 {
            if is_cpu_time(name) {
                let made = || counter(series((key.1, key.2, key.3), row.text("unit")), row.text("temporality"));
                let reading = Reading { at: row.int("t"), start: row.int("b"), value: row.float("v") };
                counters.entry(key).or_insert_with(made).readings.push(reading);
            }
            continue;
        }
        let made = || (series((key.1, key.2, key.3), row.text("unit")), false);
        let (series, cumulative) = all.entry(key).or_insert_with(made);
        *cumulative = histogram && row.text("temporality") == "CUMULATIVE";
        series.points.push((row.int("t"), if histogram { row.float("s") } else { row.float("v") }));
    }
    let finish = |((service, ..), (mut series, cumulative)): ((&str, &str, &str, &str), (Series, bool))| {
        series.points.sort_by_key(|point| point.0);
        series.points.dedup_by_key(|point| point.0);
        if cumulative {
            series.points = rises(&series.points);
        }
        if !is_thinned && is_of_an_interval(&series) {
            to_middles(&mut series.points);
        }
        (service.to_owned(), series)
    };
    let mut finished: Vec<(String, Series)> = all.into_iter().map(finish).collect();
    let counted = of_counters(counters.into_iter().map(|((service, ..), counter)| (service, counter)));
    let is_told = |(service, counted): &(String, Series)| {
        finished.iter().any(|(of, series)| of == service && is_share_of(series, counted))
    };
    let untold: Vec<_> = counted.into_iter().filter(|counted| !is_told(counted)).collect();
    finished.extend(untold);
    Ok(finished)
}

fn counter(Series { metric, unit, instance, attributes, .. }: Series, temporality: &str) -> Counter {
    Counter { metric, unit, instance, attributes, is_delta: temporality == "DELTA", readings: Vec::new() }
}

/// CPUs that each service had in use.
fn of_counters<'a>(counters: impl Iterator<Item = (&'a str, Counter)>) -> Vec<(String, Series)> {
    let mut by_service: BTreeMap<&str, Vec<Counter>> = BTreeMap::new();
    for (service, mut counter) in counters {
        counter.readings.sort_by_key(|reading| reading.at);
        counter.readings.dedup_by_key(|reading| reading.at);
        by_service.entry(service).or_default().push(counter);
    }
    let in_use = |(service, counters): (&str, Vec<Counter>)| {
        in_use(counters).into_iter().map(|series| (service.to_owned(), series)).collect::<Vec<_>>()
    };
    by_service.into_iter().flat_map(in_use).collect()
}

/// One point for each series and part of the windows: the mean of a gauge, all that was added to a sum, the last reading
/// of a counter. Series in order,
/// so that of too many the same ones are left out each time.
fn thinned(points: &str, windows: &[Window]) -> String {
    let part = |at: usize| windows.get(at).map_or(1, |window| ((window.end - window.start) / PARTS).max(1));
    let edge = windows.first().map_or(0, |window| window.start);
    let series = "service_name, name, unit, type, temporality, is_monotonic, instance_id, attributes";
    format!(
        "SELECT {series}, CASE WHEN is_monotonic THEN max(t) ELSE min(t) END AS t, min(b) AS b, \
                CASE WHEN is_monotonic AND temporality = 'CUMULATIVE' THEN max(v) \
                     WHEN is_monotonic THEN sum(v) ELSE avg(v) END AS v, \
                CASE WHEN temporality = 'CUMULATIVE' THEN max(s) ELSE sum(s) END AS s \
         FROM ({points}) GROUP BY {series}, t >= {edge}, CASE WHEN t >= {edge} THEN t / {} ELSE t / {} END \
         ORDER BY {series}, t LIMIT {MOST_PARTS}",
        part(0),
        part(1),
    )
}

fn series((metric, instance, attributes): (&str, &str, &str), unit: &str) -> Series {
    let attributes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(attributes).unwrap_or_default();
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Series {
        metric: metric.to_owned(),
        unit: unit.to_owned(),
        instance: instance.to_owned(),
        attributes: attributes.into_iter().map(|(key, value)| (key, text(value))).collect(),
        points: Vec::new(),
    }
}

/// What was added since the point before. A counter that fell began anew.
fn rises(points: &[(Nanos, f64)]) -> Vec<(Nanos, f64)> {
    let rise =
        |pair: &[(Nanos, f64)]| (pair[1].0, if pair[1].1 >= pair[0].1 { pair[1].1 - pair[0].1 } else { pair[1].1 });
    points.windows(2).map(rise).collect()
}

/// Points that tell of the time since the one before stand at its end; here they get to its middle, where most of it is.
fn to_middles(points: &mut [(Nanos, f64)]) {
    let between = points.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap_or(0).min(2 * LATER);
    points.iter_mut().for_each(|point| point.0 -= between / 2);
}

#[cfg(test)]
mod tests {
    use model::{Signal, Tenant};
    use serde_json::json;

    use super::*;
    use crate::tests::fixture::{Fixture, NOW, STATES};

    #[test]
    fn a_counter_s_rises_survive_its_restart() {
        assert_eq!(rises(&[(1, 5.0), (2, 7.5), (3, 1.0), (4, 1.0)]), [(2, 2.5), (3, 1.0), (4, 0.0)]);
    }

    /// Sixty points each of a gauge and of the time that collections took, as a cumulative and as a delta histogram.
    fn rows() -> Vec<serde_json::Value> {
        let point = |n: i64, name: &str, more: serde_json::Value| {
            let mut row = json!({
                "name": name, "type": "GAUGE", "service_name": "a", "instance_id": "a-1", "unit": "1", "temporality": "",
                "attributes": "{}", "resource_attributes": "{}", "time_unix_nano": NOW - (60 - n) * SECOND,
            });
            row.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            row
        };
        let gc = |temporality: &str, sum: f64| json!({"type": "HISTOGRAM", "temporality": temporality, "sum": sum, "count": 1});
        let all = |n: i64| {
            [
                point(n, "jvm.cpu.recent_utilization", json!({ "value": n as f64 })),
                point(n, "jvm.gc.duration", gc("CUMULATIVE", n as f64 * 2.0)),
                point(n, "process.gc.pause.duration", gc("DELTA", 3.0)),
            ]
        };
        (0..60).flat_map(all).collect()
    }

    /// One point a minute, of a share of CPU time, which is that of the minute, and of a share of connections, which is that of
    /// the moment. The window begins just before one and ends just before the next.
    #[tokio::test]
    async fn a_share_of_cpu_time_tells_of_the_time_before_it() {
        let at = |minute: i64| NOW - 300 * SECOND + minute * 60 * SECOND;
        let point = |minute: i64, name: &str, value: f64| {
            json!({
                "name": name, "type": "GAUGE", "service_name": "a", "instance_id": "a-1", "unit": "1", "temporality": "",
                "attributes": "{}", "resource_attributes": "{}", "time_unix_nano": at(minute), "value": value,
            })
        };
        let (cpu, pool) = ("k8s.pod.cpu_limit_utilization", "pool.utilization");
        let of = |name| (0..5).map(move |minute| point(minute, name, if minute == 3 { 1.0 } else { 0.01 }));
        let rows: Vec<_> = of(cpu).chain(of(pool)).collect();
        let engine = Fixture::new().with(Signal::Metrics, &rows, STATES[1]).await.engine();
        let window = Window { start: at(2) - 5 * SECOND, end: at(3) - SECOND };
        let baseline = Window { start: at(0) - SECOND, end: at(1) + SECOND };
        let job = move |query: Query| async move { gather(&query, "a", None, &[window, baseline]).await };
        let series = engine.run(&Tenant::default(), job).await.expect("series");
        let vitals = super::super::judge(&series, window, Some(baseline));
        let told: Vec<_> = vitals.iter().map(|vital| (vital.metric.as_str(), vital.window)).collect();
        assert_eq!(told, [(cpu, 1.0)]);
    }

    /// Readings every ten seconds of a program that has four CPUs: 0.4 s are used between two of them in the first minute and
    /// 39 s in the second, in which it starts anew.
    #[tokio::test]
    async fn cpu_time_that_is_counted_speaks_as_a_share_does() {
        let point = |name: &str, n: i64, more: serde_json::Value| {
            let mut row = json!({
                "name": name, "type": "SUM", "service_name": "a", "instance_id": "a-1", "unit": "s", "attributes": "{}",
                "resource_attributes": "{}", "time_unix_nano": NOW - (120 - 10 * n) * SECOND, "temporality": "CUMULATIVE",
            });
            row.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            row
        };
        let counted = |n: i64| match n {
            0..=6 => 5_000.0 + 0.4 * n as f64,
            7..=8 => 5_002.4 + 39.0 * (n - 6) as f64,
            _ => 39.0 * (n - 9) as f64,
        };
        let all = |n: i64| {
            [
                point("jvm.cpu.time", n, json!({ "is_monotonic": true, "value": counted(n) })),
                point("jvm.cpu.count", n, json!({ "is_monotonic": false, "value_int": 4, "unit": "{cpu}" })),
            ]
        };
        let rows: Vec<_> = (0..=12).flat_map(all).collect();
        let (start, middle) = (NOW - 120 * SECOND, NOW - 60 * SECOND);
        let windows = [Window { start: middle, end: NOW }, Window { start, end: middle }];
        for (state, most) in STATES.into_iter().flat_map(|state| [(state, MOST_POINTS), (state, 20)]) {
            let engine = Fixture::new().with(Signal::Metrics, &rows, state).await.engine();
            let job = move |query: Query| async move {
                let series = series_of(&query, "service_name = 'a'", &windows, most).await?;
                Ok((series, pressure(&query, &windows).await?))
            };
            let (series, pressed) = engine.run(&Tenant::default(), job).await.expect("series");
            let series: Vec<Series> = series.into_iter().map(|(_, series)| series).collect();
            let vitals = judge(&series, windows[0], Some(windows[1]));
            let told: Vec<_> = vitals.iter().map(|v| (v.metric.as_str(), v.sign, v.limit)).collect();
            assert_eq!(told, [("jvm.cpu.time", Sign::High, Some(4.0))], "{state:?} {most}: {series:?}");
            assert!((vitals[0].window - 3.9).abs() < 1e-6, "{state:?} {most}: {vitals:?}");
            let exhausted: Vec<_> = pressed.exhausted.iter().map(|e| (e.service.as_str(), e.is_paused)).collect();
            assert_eq!(exhausted, [("a", false)]);
        }
    }

    /// Sums of the points of the last half minute, by metric.
    async fn sums(most: usize) -> Vec<(String, usize, f64)> {
        let engine = Fixture::new().with(Signal::Metrics, &rows(), STATES[1]).await.engine();
        let job = move |query: Query| async move {
            let (start, half) = (NOW - 60 * SECOND, NOW - 30 * SECOND);
            let windows = [Window { start: half, end: NOW }, Window { start, end: half }];
            series_of(&query, "service_name = 'a'", &windows, most).await
        };
        let found = engine.run(&Tenant::default(), job).await.expect("series");
        // A second apart, each stands in the middle of that second.
        let half = NOW - 30 * SECOND - SECOND / 2;
        let sum = |(_, series): &(String, Series)| {
            let late: Vec<f64> = series.points.iter().filter(|p| p.0 >= half).map(|p| p.1).collect();
            (series.metric.clone(), late.len(), late.iter().sum())
        };
        found.iter().map(sum).collect()
    }

    #[tokio::test]
    async fn of_too_many_points_a_sum_keeps_all_that_was_added_and_a_gauge_its_mean() {
        let raw = sums(10_000).await;
        let of = |found: &[(String, usize, f64)], name: &str| {
            found.iter().find(|(n, ..)| n == name).cloned().expect("there")
        };
        assert_eq!(of(&raw, "jvm.cpu.recent_utilization"), ("jvm.cpu.recent_utilization".to_owned(), 30, 1_335.0));
        assert_eq!(of(&raw, "jvm.gc.duration").2, 60.0);
        assert_eq!(of(&raw, "process.gc.pause.duration").2, 90.0);
        let thinned = sums(170).await;
        let (_, points, sum) = of(&thinned, "jvm.cpu.recent_utilization");
        assert!((15..=18).contains(&points) && (sum / points as f64 - 44.5).abs() < 1.0, "{points} {sum}");
        assert_eq!(of(&thinned, "jvm.gc.duration").2, 60.0);
        assert_eq!(of(&thinned, "process.gc.pause.duration").2, 90.0);
    }
}
