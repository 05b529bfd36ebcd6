//! Messages that wait longer than before: a bottleneck that no request feels, since nobody waits for a consumer.

use std::collections::BTreeMap;

use super::super::significance::{Estimate, false_discovery_rates, mean_of_bins};
use super::Settings;
use super::cube::{Observed, Operation, WaitStat};

/// A wait is materially longer when it rose by [`Settings::least_ratio`] and by this much, ns: a broker's polling
/// alone makes tens of milliseconds.
pub(super) const LEAST_RISE: f64 = 100e6;

/// A consumer before which messages wait longer.
#[derive(Debug, Clone)]
pub(super) struct Lagging {
    pub consumer: Operation,
    /// Who sends the messages, the busiest first.
    pub senders: Vec<Operation>,
    /// What most of the messages are of, and whom their senders name as their peer: a broker, or the topic once more.
    pub topic: Option<String>,
    pub broker: Option<String>,
    /// Mean wait of a message, ns.
    pub before: f64,
    pub now: Estimate,
    pub change: Estimate,
    /// Taken in the window.
    pub messages: u64,
    pub left: Left,
    pub confidence: f64,
}

/// How many messages were not taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Left {
    /// By spans: of those sent in the window, until its end.
    Sent { sent: u64, left: u64 },
    /// By the consumer's metrics: what waited on average.
    Piled { before: f64, now: f64 },
}

/// What is known of one consumer on one side.
#[derive(Default)]
struct Waits {
    /// Waited ns and messages, by bin.
    bins: Vec<(f64, f64)>,
    messages: u64,
    sent: u64,
    left: u64,
    by_sender: BTreeMap<Operation, u64>,
    by_topic: BTreeMap<String, u64>,
}

fn by_consumer(observed: &Observed) -> BTreeMap<&Operation, Waits> {
    let mut all: BTreeMap<&Operation, Waits> = BTreeMap::new();
    for stat in observed.waits.iter().filter(|stat| stat.bin < observed.bins) {
        let waits = all.entry(&stat.consumer).or_default();
        waits.bins.resize(observed.bins as usize, (0.0, 0.0));
        waits.take(stat);
    }
    all
}

impl Waits {
    fn take(&mut self, stat: &WaitStat) {
        let bin = &mut self.bins[stat.bin as usize];
        bin.0 += stat.waited_ns;
        bin.1 += stat.messages as f64;
        self.messages += stat.messages;
        self.sent += stat.sent;
        self.left += stat.left;
        *self.by_sender.entry(stat.sender.clone()).or_default() += stat.messages + stat.sent;
        if let Some(topic) = &stat.topic {
            *self.by_topic.entry(topic.clone()).or_default() += stat.messages + stat.sent;
        }
    }
}

/// All consumers whose messages surely wait longer, the largest rise of the total wait first.
pub(super) fn lagging(window: &Observed, baseline: &Observed, settings: &Settings) -> Vec<Lagging> {
    let (after, before) = (by_consumer(window), by_consumer(baseline));
    let mut found = Vec::new();
    let mut p = Vec::new();
    for (consumer, now) in after {
        let Some(then) = before.get(consumer) else { continue };
        let few = |waits: &Waits| (waits.messages as f64) < settings.least_requests;
        let (Some(now_mean), Some(then_mean)) = (mean_of_bins(&now.bins), mean_of_bins(&then.bins)) else { continue };
        if few(&now) || few(then) {
            continue;
        }
        let now_mean = now_mean.steadied_by(&then_mean, [now.messages as f64, then.messages as f64]);
        let least = (settings.least_ratio * then_mean.value).max(LEAST_RISE);
        p.push(now_mean.p_of_rise(&then_mean, least));
        let mut senders: Vec<(Operation, u64)> = now.by_sender.into_iter().collect();
        senders.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let broker = senders.iter().find_map(|(sender, _)| sender.peer.as_ref()).map(|peer| peer.name.clone());
        let topic = now.by_topic.into_iter().max_by_key(|(_, messages)| *messages).map(|(topic, _)| topic);
        found.push(Lagging {
            consumer: consumer.clone(),
            senders: senders.into_iter().map(|(sender, _)| sender).collect(),
            topic,
            broker,
            before: then_mean.value,
            now: now_mean,
            change: Estimate {
                value: now_mean.value - then_mean.value,
                variance: now_mean.variance + then_mean.variance,
                df: now_mean.df.min(then_mean.df),
            },
            messages: now.messages,
            left: Left::Sent { sent: now.sent, left: now.left },
            confidence: 0.0,
        });
    }
    for (one, rate) in found.iter_mut().zip(false_discovery_rates(&p)) {
        one.confidence = (1.0 - rate).min(settings.surest());
    }
    found.retain(|one| one.confidence >= settings.confidence);
    let total = |one: &Lagging| one.change.value * one.messages as f64;
    found.sort_by(|a, b| total(b).total_cmp(&total(a)));
    found
}

#[cfg(test)]
mod tests {
    use model::trace::SpanKind;

    use super::super::tests::shop::{MS, operation};
    use super::*;
    use crate::analysis::ranking::PeerKind;

    /// Forty seconds in which twenty messages a second wait `wait` ms and the hundredth part of it more each second.
    fn side(wait: f64, left: u64) -> Observed {
        let sender = operation("shop", "orders.placed send", SpanKind::Producer, Some(("kafka", PeerKind::Messaging)));
        let stat = |bin: u32| WaitStat {
            consumer: operation("mail", "orders.placed process", SpanKind::Consumer, None),
            sender: sender.clone(),
            topic: Some(if bin == 7 { "orders.retried" } else { "orders.placed" }.to_owned()),
            bin,
            messages: 20,
            waited_ns: 20.0 * wait * MS * (1.0 + f64::from(bin) / 100.0),
            sent: 25,
            left,
        };
        Observed { bins: 40, bin_seconds: 1.0, waits: (0..40).map(stat).collect(), ..Observed::default() }
    }

    #[test]
    fn longer_waits_are_found_with_their_topic_and_what_is_left() {
        let found = lagging(&side(4_000.0, 5), &side(20.0, 0), &Settings::default());
        assert_eq!(found.len(), 1);
        let lag = &found[0];
        assert_eq!((lag.consumer.service.as_str(), lag.topic.as_deref()), ("mail", Some("orders.placed")));
        assert_eq!(lag.broker.as_deref(), Some("kafka"));
        assert_eq!((lag.messages, lag.left), (800, Left::Sent { sent: 1_000, left: 200 }));
        // The mean of 1.00 to 1.39.
        assert!((lag.now.value / MS - 4_000.0 * 1.195).abs() < 1.0, "{:?}", lag.now);
        assert!((lag.change.value / MS - 3_980.0 * 1.195).abs() < 1.0, "{:?}", lag.change);
    }

    #[test]
    fn a_broker_s_own_pace_is_no_lag() {
        let settings = Settings::default();
        assert!(lagging(&side(80.0, 0), &side(20.0, 0), &settings).is_empty(), "less than a tenth of a second");
        assert!(lagging(&side(4_400.0, 0), &side(4_000.0, 0), &settings).is_empty(), "a tenth more");
        assert!(lagging(&side(20.0, 0), &side(4_000.0, 0), &settings).is_empty(), "less than before");
    }
}
