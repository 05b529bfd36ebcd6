//! Telemetry as it comes in the field: clocks that differ, spans that are lost, services that export nothing.
//!
//! A pure pass over finished spans, between the simulation and whoever encodes them; the same seed wears the same way,
//! whatever the order of the spans. When spans come is another matter ([`super::sending`]): for a store that is asked when
//! all is over, late is not different from in time.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use super::kernel::Instant;
use super::plan::ENTRANCE;
use super::request::mix;
use super::signals::{Reading, Signals};
use super::simulation::nanoseconds;
use super::span::{Process, SimSpan};

/// What happens to spans on their way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wear {
    /// By how much the clock of an instance may be wrong, either way. All times are moved by as much into the future,
    /// so that none is before the start.
    pub skew: Duration,
    /// The share of spans that are lost, whichever they are.
    pub loss: f64,
    /// The share of services that export no spans, but hand the context on: those below them name a parent that is not
    /// there. The gateway is never one.
    pub dark: f64,
}

impl Wear {
    /// What is left of the spans, and as it is seen. `spared` are services that do export.
    pub fn apply(&self, spans: Vec<SimSpan>, seed: u64, spared: &[&str]) -> Vec<SimSpan> {
        let dark = self.dark_services(&spans, seed, spared);
        self.worn(spans, seed, &dark)
    }

    fn worn(&self, spans: Vec<SimSpan>, seed: u64, dark: &BTreeSet<&'static str>) -> Vec<SimSpan> {
        let is_kept = |span: &SimSpan| {
            let id = u64::from_be_bytes(span.span_id.to_bytes());
            !dark.contains(span.process.service) && share(mix(seed ^ 0x1057) ^ id) >= self.loss
        };
        spans.into_iter().filter(is_kept).map(|span| self.skewed(span, seed)).collect()
    }

    /// The same of all signals: what a service that exports nothing measured is not there either, clocks are wrong for all
    /// alike, and losses concern spans only.
    pub fn apply_to_all(&self, signals: Signals, seed: u64, spared: &[&str]) -> Signals {
        let dark = self.dark_services(&signals.spans, seed, spared);
        let seen = signals.readings.into_iter().filter(|reading| !dark.contains(reading.process.service));
        let readings = seen.map(|reading| Reading { at: reading.at + self.ahead(&reading.process, seed), ..reading });
        Signals { readings: readings.collect(), spans: self.worn(signals.spans, seed, &dark) }
    }

    fn dark_services(&self, spans: &[SimSpan], seed: u64, spared: &[&str]) -> BTreeSet<&'static str> {
        let all: BTreeSet<&'static str> = spans.iter().map(|span| span.process.service).collect();
        let count = (all.len() as f64 * self.dark).ceil() as usize;
        let may_be = |service: &&'static str| *service != ENTRANCE && !spared.contains(service);
        let mut by_lot: Vec<_> = all.into_iter().filter(may_be).collect();
        by_lot.sort_by_key(|service| number(service, mix(seed ^ 0xda4c)));
        by_lot.into_iter().take(count).collect()
    }

    fn skewed(&self, mut span: SimSpan, seed: u64) -> SimSpan {
        let ahead = self.ahead(&span.process, seed);
        span.start += ahead;
        span.end += ahead;
        span.events.iter_mut().for_each(|event| event.at += ahead);
        span
    }

    /// By how much the clock of a process is ahead.
    fn ahead(&self, process: &Process, seed: u64) -> Instant {
        let lot = share(number(&process.instance, mix(seed ^ 0x5ce3)));
        (2.0 * lot * nanoseconds(self.skew) as f64) as Instant
    }
}

/// A number from 0 to 1 for a number.
pub(super) fn share(number: u64) -> f64 {
    mix(number) as f64 / u64::MAX as f64
}

/// A number for a text.
pub(super) fn number(text: &str, seed: u64) -> u64 {
    text.bytes().fold(seed, |sum, byte| mix(sum ^ u64::from(byte)))
}
