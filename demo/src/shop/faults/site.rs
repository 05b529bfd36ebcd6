//! How strong a fault is: the load against which it is sized, and how busy it makes a station at the peak.

use crate::shop::plan::Millis;
use crate::shop::request::mix;
use crate::shop::{Settings, Topology};

/// The run for which a fault is sized.
pub struct Site {
    pub seed: u64,
    /// Customer requests per second.
    pub base: f64,
    pub peak: f64,
    /// How busy the fault makes its station at the peak. Below 1, so that the queue does not grow for ever: then it
    /// would reach every pool above, and the fault would show in all of them.
    pub busy: f64,
}

/// How many servers a station gets, and what to multiply times by, so that it is as busy at the peak as wanted.
pub struct Fit {
    pub permits: usize,
    /// For the times of the work that the fault may change.
    pub stretch: f64,
    /// By how much a visit becomes longer altogether.
    pub longer: f64,
}

impl Site {
    pub fn of(settings: &Settings) -> Self {
        let busy = match settings.topology {
            Topology::Shop => 0.9,
            Topology::Generated { .. } => 0.85 + 0.11 * (mix(settings.seed ^ 0x512e) % 1_000) as f64 / 1e3,
        };
        Site { seed: settings.seed, base: settings.base_rate, peak: settings.peak_rate, busy }
    }

    /// Sizes a station that one customer request occupies for `demand` ms on average over all `stations` of its kind,
    /// `beside` of it with something that stays as it is.
    pub fn fit(&self, demand: Millis, beside: Millis, stations: usize) -> Fit {
        const LEAST: f64 = 0.5;
        let offered = |time: Millis| self.peak * time / 1e3 / stations as f64;
        let stretch =
            |permits: f64| (self.busy * permits - offered(beside)) / (offered(demand) - offered(beside)).max(1e-9);
        let mut permits = (offered(demand) / self.busy).round().max(1.0);
        if stretch(permits) < LEAST {
            permits += 1.0;
        }
        let longer = self.busy * permits / offered(demand).max(1e-9);
        Fit { permits: permits as usize, stretch: stretch(permits), longer }
    }

    /// The time that one visit may take for a single server to be busy at the peak, in ms, when it has other work of
    /// `beside` ms per customer request.
    pub fn busy_time(&self, visits: f64, stations: usize, beside: Millis) -> Millis {
        self.time_for(self.busy, visits, stations, beside)
    }

    /// The same for a server that is so busy.
    pub fn time_for(&self, busy: f64, visits: f64, stations: usize, beside: Millis) -> Millis {
        let room = busy * 1e3 * stations as f64 / self.peak - beside;
        (room / visits.max(1e-9)).max(0.1)
    }
}
