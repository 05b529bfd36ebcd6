//! Reads the gauges of a service, and what its collectors took.

use std::collections::BTreeMap;

use model::{Nanos, Result};

use super::names::is_collector;
use super::piles::piles;
use super::{Series, Sign, Window, judge};
use crate::analysis::ranking::{Exhausted, Piled};
use crate::analysis::rows::read;
use crate::analysis::scope::quoted;
use crate::query::Query;

/// What the metrics of all services say that spans do not: who ran out of CPU or is paused by a collector, and before which
/// consumers messages pile up, in the first window and not in the second. Nothing where there is nothing to compare with.
/// Each service reports few such series, so those of all are looked at.
pub async fn pressure(query: &Query, windows: &[Window]) -> Result<Pressure> {
    let &[window, baseline] = windows else { return Ok(Pressure::default()) };
    let names = "(name ILIKE '%utili_ation%' OR name ILIKE '%gc%' OR name ILIKE '%lag%')";
    let mut by_service: BTreeMap<String, Vec<Series>> = BTreeMap::new();
    for (service, series) in series_of(query, names, windows).await? {
        by_service.entry(service).or_default().push(series);
    }
    let mut found = Pressure::default();
    for (service, series) in by_service {
        let signs: Vec<Sign> = judge(&series, window, Some(baseline)).into_iter().map(|vital| vital.sign).collect();
        let is_paused = signs.contains(&Sign::Paused);
        if is_paused || signs.contains(&Sign::High) {
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

/// Points read at most; a service of 100 instances with 30 such series has 100,000 in half an hour of 50 s each.
const MOST_POINTS: usize = 500_000;

/// The series of one service (and instance) over the windows.
pub async fn gather(query: &Query, service: &str, instance: Option<&str>, windows: &[Window]) -> Result<Vec<Series>> {
    let instance = instance.map_or(String::new(), |instance| format!(" AND instance_id = {}", quoted(instance)));
    let of = format!("service_name = {}{instance}", quoted(service));
    Ok(series_of(query, &of, windows).await?.into_iter().map(|(_, series)| series).collect())
}

/// The series of the rows for which `condition` holds, each with its service.
async fn series_of(query: &Query, condition: &str, windows: &[Window]) -> Result<Vec<(String, Series)>> {
    let either: Vec<String> =
        windows.iter().map(|w| format!("(time_unix_nano >= {} AND time_unix_nano < {})", w.start, w.end)).collect();
    let sql = format!(
        "SELECT service_name, name, unit, type, temporality, instance_id, attributes, time_unix_nano AS t, \
                coalesce(value, CAST(value_int AS double)) AS v, sum AS s \
         FROM physical.metrics WHERE {condition} AND ({}) \
           AND (type = 'GAUGE' OR (type = 'SUM' AND is_monotonic = false) OR (type LIKE '%HISTOGRAM' AND name LIKE '%gc%')) \
         LIMIT {MOST_POINTS}",
        either.join(" OR "),
    );
    let found = read(query, &sql).await?;
    let mut all: BTreeMap<(&str, &str, &str, &str), (Series, bool)> = BTreeMap::new();
    for row in found.iter() {
        let (name, histogram) = (row.text("name"), row.text("type").ends_with("HISTOGRAM"));
        if histogram && !is_collector(name) {
            continue;
        }
        let key = (row.text("service_name"), name, row.text("instance_id"), row.text("attributes"));
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
        (service.to_owned(), series)
    };
    Ok(all.into_iter().map(finish).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_s_rises_survive_its_restart() {
        assert_eq!(rises(&[(1, 5.0), (2, 7.5), (3, 1.0), (4, 1.0)]), [(2, 2.5), (3, 1.0), (4, 0.0)]);
    }
}
