//! When each export is due: the levels of load, laid out as a line from export number to time.

use std::time::Duration;

use super::{Settings, Step};

/// Traces per second for a level without a rate: more than one machine's server takes.
const FLAT_OUT: f64 = 50_000.0;

#[derive(Debug, Clone)]
pub struct Schedule {
    levels: Vec<Level>,
    /// How many exports there are in all.
    exports: u64,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    first: u64,
    begins: Duration,
    ends: Duration,
    exports_per_second: f64,
    flat_out: bool,
}

impl Schedule {
    pub fn new(settings: &Settings) -> Self {
        let exports_per_trace = settings.spans_per_trace as f64 / settings.export_spans() as f64;
        let (mut first, mut begins) = (0, Duration::ZERO);
        let mut levels = Vec::new();
        for Step { rate, duration } in settings.levels() {
            let flat_out = rate == 0.0;
            let exports_per_second = if flat_out { FLAT_OUT } else { rate } * exports_per_trace;
            let ends = begins + duration;
            levels.push(Level { first, begins, ends, exports_per_second, flat_out });
            first += (exports_per_second * duration.as_secs_f64()).round() as u64;
            begins = ends;
        }
        Schedule { levels, exports: first }
    }

    /// When an export is due, counted from the start.
    pub fn due(&self, export: u64) -> Duration {
        match self.levels.iter().rev().find(|level| export >= level.first) {
            Some(level) => {
                level.begins + Duration::from_secs_f64((export - level.first) as f64 / level.exports_per_second)
            }
            None => Duration::ZERO,
        }
    }

    /// How many exports are due before a moment. Those of flat-out levels count by the rate of [`FLAT_OUT`].
    pub fn due_before(&self, moment: Duration) -> u64 {
        let Some(number) = self.levels.iter().rposition(|level| level.begins <= moment) else { return 0 };
        let level = self.levels[number];
        let next = self.levels.get(number + 1).map_or(self.exports, |next| next.first);
        let within = ((moment - level.begins).as_secs_f64() * level.exports_per_second).ceil() as u64;
        next.min(level.first + within)
    }

    /// How many exports there are in all.
    pub fn exports(&self) -> u64 {
        self.exports
    }

    /// Whether a moment belongs to a level that goes as fast as the server answers.
    pub fn is_flat_out_at(&self, moment: Duration) -> bool {
        self.levels.iter().rev().find(|level| level.begins <= moment).is_some_and(|level| level.flat_out)
    }

    /// When the last level ends.
    pub fn end(&self) -> Duration {
        self.levels.last().map_or(Duration::ZERO, |level| level.ends)
    }

    /// When a level begins and ends.
    pub fn bounds(&self, level: usize) -> (Duration, Duration) {
        self.levels.get(level).map_or_else(Default::default, |level| (level.begins, level.ends))
    }

    /// Which level an export belongs to.
    pub fn level_of(&self, export: u64) -> usize {
        self.levels.iter().rposition(|level| export >= level.first).unwrap_or(0)
    }

    /// Whether an export is to be sent as soon as possible, so that its latency counts from the sending.
    pub fn is_flat_out(&self, export: u64) -> bool {
        self.levels.get(self.level_of(export)).is_some_and(|level| level.flat_out)
    }

    /// The export to go on with when a flat-out level is over before its exports are all sent.
    pub fn skip_from(&self, export: u64, now: Duration) -> u64 {
        let level = self.level_of(export);
        match self.levels.get(level) {
            Some(current) if current.flat_out && now >= current.ends => {
                self.levels.get(level + 1).map_or(self.exports, |next| next.first)
            }
            _ => export,
        }
    }
}
