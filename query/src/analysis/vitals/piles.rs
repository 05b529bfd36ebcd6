//! Gauges of messages that lie before a consumer, and whether they grew.

use std::collections::BTreeMap;

use super::names::is_lag;
use super::{MANY_TIMES, Series, Window};
use crate::analysis::ranking::Piled;

/// Attributes that name the topic.
const TOPIC: [&str; 5] = ["topic", "kafka.topic", "messaging.destination.name", "messaging.destination", "destination"];

/// The topics of a service of which more lies there than in the baseline: each reading of the window's second half is
/// larger than any of the baseline. By chance that comes once in as many times as there are ways to choose which
/// readings are the largest.
pub(super) fn piles(service: &str, series: &[Series], window: Window, baseline: Window) -> Vec<Piled> {
    let mut by_topic: BTreeMap<Option<String>, Vec<&Series>> = BTreeMap::new();
    for one in series.iter().filter(|one| is_lag(one)) {
        let topic = TOPIC.iter().find_map(|key| one.attributes.get(*key)).cloned();
        by_topic.entry(topic).or_default().push(one);
    }
    let mut found = Vec::new();
    for (topic, all) in by_topic {
        // Instances and partitions tell of parts of it or of the same: the largest is a lower bound.
        let grown = all.into_iter().filter_map(|one| grown(one, window, baseline));
        let Some((before, now, confidence)) = grown.max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
        found.push(Piled { service: service.to_owned(), topic, before, now, confidence });
    }
    found
}

/// Mean before and now, and how sure it is that it grew.
fn grown(series: &Series, window: Window, baseline: Window) -> Option<(f64, f64, f64)> {
    let within = |side: Window| series.points.iter().filter(move |point| side.holds(point.0)).map(|point| point.1);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let before: Vec<f64> = within(baseline).collect();
    let now: Vec<f64> = within(window).collect();
    let later = &now[now.len() / 2..];
    if before.is_empty() || later.is_empty() {
        return None;
    }
    let most = before.iter().copied().fold(f64::MIN, f64::max);
    let (mean_before, mean_now) = (mean(&before), mean(&now));
    let is_more = later.iter().all(|value| *value > most) && mean_now >= MANY_TIMES * mean_before + 1.0;
    is_more.then(|| (mean_before, mean_now, 1.0 - 1.0 / ways(before.len() + later.len(), later.len())))
}

/// In how many ways `k` of `n` can be chosen.
fn ways(n: usize, k: usize) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (k - i) as f64).product()
}

#[cfg(test)]
mod tests {
    use model::time::SECOND;

    use super::*;

    const BASELINE: Window = Window { start: 0, end: 60 * SECOND };
    const WINDOW: Window = Window { start: 60 * SECOND, end: 120 * SECOND };

    fn lag(topic: &str, before: [f64; 6], now: [f64; 6]) -> Series {
        let values = before.into_iter().chain(now).enumerate();
        Series {
            metric: "kafka.consumer.records_lag_max".into(),
            unit: "{record}".into(),
            instance: "mail-1".into(),
            attributes: BTreeMap::from([("topic".to_owned(), topic.to_owned())]),
            points: values.map(|(n, v)| (n as i64 * 10 * SECOND, v)).collect(),
        }
    }

    #[test]
    fn a_pile_that_grows_is_told_with_its_topic() {
        let grows = lag("orders", [0.0, 2.0, 1.0, 0.0, 3.0, 0.0], [2.0, 100.0, 200.0, 300.0, 400.0, 498.0]);
        let swings = lag("mails", [0.0, 90.0, 0.0, 0.0, 80.0, 0.0], [90.0, 900.0, 0.0, 70.0, 0.0, 0.0]);
        let found = piles("mail", &[grows, swings], WINDOW, BASELINE);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].topic.as_deref(), found[0].before, found[0].now), (Some("orders"), 1.0, 250.0));
        // Three of nine readings are the largest: one way of 84.
        assert!((found[0].confidence - (1.0 - 1.0 / 84.0)).abs() < 1e-12);
    }

    #[test]
    fn a_duration_is_no_number_of_messages() {
        let seconds = Series { unit: "s".into(), metric: "replication_lag".into(), ..lag("t", [0.0; 6], [90.0; 6]) };
        assert!(piles("mail", &[seconds], WINDOW, BASELINE).is_empty());
    }
}
