//! Consumers that fall behind by what their metrics say: the number of messages that wait grows.
//!
//! Spans tell how long a message waited only where both of its ends send them ([`super::waits`]). A producer that is not
//! instrumented leaves the consumer's own gauge (`kafka.consumer.records_lag_max` and its like); by Little's law the wait
//! is the number that waits over the rate at which they are taken.

use model::trace::SpanKind;

use super::super::significance::Estimate;
use super::Settings;
use super::cube::{Cube, Observed, Operation, Piled, Side};
use super::waits::{LEAST_RISE, Lagging, Left};

/// The consumers of `window`'s piles that are not among `known`, the longest wait first.
pub(super) fn behind(cube: &Cube, window: &Observed, known: &[Lagging], settings: &Settings) -> Vec<Lagging> {
    let new = window.piled.iter().filter(|pile| known.iter().all(|lag| lag.consumer.service != pile.service));
    let mut found: Vec<Lagging> = new.filter_map(|pile| lagging(cube, pile, settings)).collect();
    found.sort_by(|a, b| b.now.value.total_cmp(&a.now.value));
    found
}

fn lagging(cube: &Cube, pile: &Piled, settings: &Settings) -> Option<Lagging> {
    let baseline = cube.baseline.as_ref()?;
    let (number, consumer) = consumer(cube, pile)?;
    let (taken_before, taken) = (rate(cube, baseline, number), rate(cube, &cube.window, number));
    if taken <= 0.0 || taken_before <= 0.0 {
        return None;
    }
    let (before, now) = (pile.before / taken_before * 1e9, pile.now / taken * 1e9);
    let sure = |value: f64| Estimate { value, variance: 0.0, df: 1.0 };
    let is_longer = now - before >= (settings.least_ratio * before).max(LEAST_RISE);
    (is_longer && pile.confidence >= settings.confidence).then(|| Lagging {
        consumer: consumer.clone(),
        senders: Vec::new(),
        topic: pile.topic.clone(),
        broker: None,
        before,
        now: sure(now),
        change: sure(now - before),
        messages: (taken * cube.window.seconds()).round() as u64,
        left: Left::Piled { before: pile.before, now: pile.now },
        confidence: pile.confidence.min(settings.surest()),
    })
}

/// The CONSUMER operation of the pile's topic, or the busiest of its service.
fn consumer<'a>(cube: &'a Cube, pile: &Piled) -> Option<(usize, &'a Operation)> {
    let is_of_topic = |operation: &Operation| {
        let topic = pile.topic.as_deref();
        let peer = operation.peer.as_ref().map(|peer| peer.name.as_str());
        topic.is_some_and(|topic| peer == Some(topic) || operation.operation.contains(topic))
    };
    let all = cube.operations.iter().enumerate();
    let consumers = all.filter(|(_, one)| one.kind == SpanKind::Consumer && one.service == pile.service);
    consumers.max_by(|a, b| {
        let key = |(number, one): &(usize, &Operation)| (is_of_topic(one), rate(cube, &cube.window, *number));
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    })
}

/// Spans of an operation per second.
fn rate(cube: &Cube, side: &Side, operation: usize) -> f64 {
    let of = cube.columns.iter().zip(&side.totals).filter(|(column, _)| column.operation == operation);
    side.per_second(of.map(|(_, totals)| totals.spans).sum())
}

#[cfg(test)]
mod tests {
    use super::super::cube::{CellStat, OperationKey, Place};
    use super::super::tests::shop::operation;
    use super::*;

    /// Forty seconds in which a consumer takes `rate` messages a second.
    fn side(rate: u64, piled: Vec<Piled>) -> Observed {
        let take = operation("mail", "process orders.placed", SpanKind::Consumer, None);
        let entry = Place { service: "mail".into(), operation: take.operation.clone() };
        let cell = |bin| CellStat { key: 0, bin, spans: rate, critical_ns: 0.0, errors: 0, duration_ns: 0.0 };
        Observed {
            bins: 40,
            bin_seconds: 1.0,
            keys: vec![OperationKey { entry, operation: take, instance: "mail-1".into() }],
            cells: (0..40).map(cell).collect(),
            piled,
            ..Observed::default()
        }
    }

    fn found(before: f64, now: f64) -> Vec<Lagging> {
        let (service, topic) = ("mail".to_owned(), Some("orders.placed".to_owned()));
        let window = side(50, vec![Piled { service, topic, before, now, confidence: 0.999 }]);
        let cube = Cube::new(&window, Some(&side(20, Vec::new())));
        behind(&cube, &window, &[], &Settings::default())
    }

    #[test]
    fn the_wait_is_what_lies_there_over_what_is_taken_a_second() {
        let found = found(2.0, 1_000.0);
        assert_eq!(found.len(), 1);
        let lag = &found[0];
        assert_eq!(
            (lag.consumer.operation.as_str(), lag.topic.as_deref()),
            ("process orders.placed", Some("orders.placed"))
        );
        // 2 at 20 a second, 1,000 at 50 a second.
        assert_eq!((lag.before, lag.now.value, lag.messages), (0.1e9, 20e9, 2_000));
    }

    #[test]
    fn a_pile_that_is_soon_taken_is_no_lag() {
        assert!(found(0.5, 4.0).is_empty(), "80 ms");
    }
}
