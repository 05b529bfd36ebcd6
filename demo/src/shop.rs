//! The simulated shop: an e-commerce site as a queueing network, recorded as its instrumentation would record it. Other
//! systems can be generated in its place.
//!
//! ```text
//! storefront or generated: a plan ─ faults edit it ─▶ world + engine over kernel (virtual time) ─▶ SimSpan
//!                                             SimSpan, metrics ─┬▶ simulate, signals: as they are ─ wear
//!                                                               └▶ export: OTLP, live
//! ```
//! Requests arrive as a Poisson stream at one rate, then from one moment on at a higher one. Saturation is real:
//! threads, connections, locks, cores and links are stations with a queue. *Invariants:* a run depends on its settings
//! only; a span is handed out when it has ended, not before; which fault there is stands in no span.

mod engine;
mod export;
pub mod faults;
mod generated;
mod kernel;
mod metrics;
pub mod plan;
mod record;
mod request;
mod run;
mod said;
mod sending;
mod signals;
mod simulation;
pub mod span;
mod station;
mod storefront;
#[cfg(test)]
mod tests;
mod topology;
mod wear;
mod world;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use faults::{Fault, Truth, faults, truth};
pub(crate) use request::mix;
pub use run::{Error, Report, run};
pub use sending::Sending;
pub use signals::{Reading, Signals, logs_to_otlp, simulate_signals};
pub use simulation::simulate;
pub use span::{Process, SimSpan, to_otlp};
pub use topology::{Shape, Topology};
pub use wear::Wear;

/// What to simulate, and where to send it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The same seed makes the same run: the same requests, the same place of the fault.
    pub seed: u64,
    /// Changes the ids of traces and spans and nothing else, so that runs of one seed can be kept side by side. With 0
    /// they follow from the seed alone.
    pub salt: u64,
    /// The demo's shop, or a system that the seed draws.
    pub topology: Topology,
    /// Name of a fault, or `none`. Empty: the seed chooses one.
    pub fault: String,
    /// Which of the fault's places, counted round and round; `None`: the seed chooses.
    pub place: Option<usize>,
    /// Customer requests per second before the step. One makes about 12 spans.
    pub base_rate: f64,
    /// Customer requests per second after the step. Faults are sized so that they bite at this rate.
    pub peak_rate: f64,
    /// When the step comes.
    pub step_after: Duration,
    /// When it is over; zero: not before it is stopped. [`simulate`] takes zero for one minute.
    pub duration: Duration,
    /// Where to send OTLP/gRPC, e.g. `http://127.0.0.1:4317`.
    pub endpoint: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            seed: 1,
            salt: 0,
            topology: Topology::Shop,
            fault: String::new(),
            place: None,
            base_rate: 20.0,
            peak_rate: 100.0,
            step_after: Duration::from_secs(20),
            duration: Duration::ZERO,
            endpoint: "http://127.0.0.1:4317".to_owned(),
        }
    }
}
