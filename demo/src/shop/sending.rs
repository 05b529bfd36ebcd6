//! When what the processes send comes: an SDK collects spans and sends them every 5 s by OpenTelemetry's defaults, and what
//! could not be sent comes with a later attempt.
//!
//! A pure pass over finished spans, for whoever asks before all has come; the same seed sends the same way.

use std::collections::BTreeMap;

use super::kernel::Instant;
use super::request::mix;
use super::span::SimSpan;
use super::wear::{number, share};

const SECOND: Instant = 1_000_000_000;
/// From one sending of a process to its next.
const EVERY: Instant = 5 * SECOND;
/// Processes begin to count at one of so many moments of that time: there are not to be too many exports.
const BEGINNINGS: Instant = 10;
/// What could not be sent comes so much later, in whole seconds.
const LATE_LEAST: Instant = 20;
const LATE_MOST: Instant = 40;

/// How processes send.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sending {
    /// Each process sends at moments of its own; else every span comes as late as it may in time.
    pub apart: bool,
    /// The share of sendings that come late.
    pub late: f64,
    pub seed: u64,
}

impl Sending {
    /// The spans by when they come, since the start of the simulation.
    pub fn arrivals(&self, spans: Vec<SimSpan>) -> BTreeMap<Instant, Vec<SimSpan>> {
        let mut arrivals: BTreeMap<Instant, Vec<SimSpan>> = BTreeMap::new();
        for span in spans {
            arrivals.entry(self.come(&span.process.instance, span.end)).or_default().push(span);
        }
        arrivals
    }

    /// When what a process ended then comes.
    fn come(&self, instance: &str, end: Instant) -> Instant {
        let lot = number(instance, mix(self.seed ^ 0x5e4d));
        let begins = lot % BEGINNINGS * EVERY / BEGINNINGS;
        // The sending at which it goes, counted from one before the start.
        let sending = (end + EVERY - begins) / EVERY;
        let sent = if self.apart { begins + sending * EVERY } else { (end / SECOND + 1) * SECOND + EVERY };
        let lot = mix(lot ^ sending);
        let late = LATE_LEAST + mix(lot) % (LATE_MOST - LATE_LEAST + 1);
        if share(lot) < self.late { sent + late * SECOND } else { sent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESSES: [&str; 5] = ["shop-1", "shop-2", "stock-1", "stock-2", "mail-1"];

    fn delays(sending: Sending) -> Vec<Instant> {
        let ends = (0..600).map(|n| n * SECOND / 4 + 1);
        ends.flat_map(|end| PROCESSES.map(|process| sending.come(process, end) - end)).collect()
    }

    #[test]
    fn spans_come_within_five_seconds_or_as_late_as_they_may() {
        let latest = delays(Sending::default());
        assert!(latest.iter().all(|delay| (5 * SECOND..=6 * SECOND).contains(delay)));
        let apart = delays(Sending { apart: true, ..Sending::default() });
        assert!(apart.iter().all(|delay| (0..=5 * SECOND).contains(delay)));
        // Any moment between two sendings is as likely as another.
        let mean = apart.iter().sum::<Instant>() / apart.len() as Instant;
        assert!(mean.abs_diff(EVERY / 2) < SECOND / 4, "{mean}");
    }

    #[test]
    fn a_share_of_the_sendings_comes_20_to_40_s_late() {
        let sent = Sending { apart: true, late: 0.2, seed: 3 };
        let delays = delays(sent);
        let (late, in_time): (Vec<_>, Vec<_>) = delays.into_iter().partition(|delay| *delay > EVERY);
        assert!(late.iter().all(|delay| (20 * SECOND..=45 * SECOND).contains(delay)));
        let part = late.len() as f64 / (late.len() + in_time.len()) as f64;
        assert!((0.12..0.28).contains(&part), "{part} of 150 sendings");
        // What goes with one sending comes with one.
        assert_eq!(sent.come("shop-1", 31 * SECOND), sent.come("shop-1", 31 * SECOND + 1));
    }
}
