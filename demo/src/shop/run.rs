//! The shop in real time: virtual time follows the clock, and what ends is exported at once.
//!
//! The simulation is single-threaded and has a thread of its own; every [`TICK`] it catches up with the clock. When
//! the machine is too busy to give it its turn, it catches up later: spans then arrive late, but with the right times.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::export::{Agent, Counters};
use super::simulation::{Simulation, nanoseconds};
use super::{Settings, truth};

const TICK: Duration = Duration::from_millis(20);
/// How often the metrics' readings are renewed, in ticks.
const TICKS_PER_SAMPLE: u64 = 25;
/// How long requests under way may take to finish when the time is over.
const DRAIN: Duration = Duration::from_secs(3);
/// How long each exporter may take to send what is left.
const FLUSH: Duration = Duration::from_secs(3);
/// Arrivals of a run without an end; longer than any machine stays up.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What a run has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Customer requests made.
    pub requests: u64,
    /// Spans that the server acknowledged.
    pub spans: u64,
    /// Spans in exports that failed for good.
    pub failed_spans: u64,
    /// Exports of spans that failed for good.
    pub export_errors: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0:?} is not a fault, or has no place in this topology")]
    UnknownFault(String),
    #[error("{endpoint:?} is not an address to send to: {source}")]
    Endpoint { endpoint: String, source: tonic::transport::Error },
    #[error("cannot set up an exporter: {0}")]
    Exporter(String),
    #[error("cannot start the shop's thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the shop's thread ended early")]
    Died,
}

impl Error {
    pub(super) fn exporter(error: impl std::fmt::Display) -> Self {
        Error::Exporter(error.to_string())
    }
}

/// Runs the shop until its time is over or `shutdown` is called. Exports go on in the background; a server that is
/// down is an export error in the report, not an error here.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<Report, Error> {
    if truth(&settings).is_none() {
        return Err(Error::UnknownFault(settings.fault));
    }
    let endpoint = Endpoint::from_shared(settings.endpoint.clone())
        .map_err(|source| Error::Endpoint { endpoint: settings.endpoint.clone(), source })?;
    let runtime = tokio::runtime::Handle::current();
    let (done, report) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("shop".to_owned()).spawn(move || {
        let _entered = runtime.enter();
        // Nobody listens when the caller has gone away.
        let _ = done.send(open(&settings, &endpoint, &shutdown));
    })?;
    report.await.map_err(|_| Error::Died)?
}

fn open(settings: &Settings, endpoint: &Endpoint, shutdown: &CancellationToken) -> Result<Report, Error> {
    let duration = if settings.duration.is_zero() { FOR_EVER } else { settings.duration };
    let simulation = Simulation::new(settings, duration);
    let mut shop = Shop::start(simulation, endpoint)?;
    let closing_time = nanoseconds(duration + DRAIN);
    let mut ticks = 0_u64;
    while !shutdown.is_cancelled() && !shop.is_over(closing_time) {
        shop.catch_up();
        if ticks.is_multiple_of(TICKS_PER_SAMPLE) {
            shop.sample();
        }
        ticks += 1;
        std::thread::sleep(TICK);
    }
    shop.sample();
    Ok(shop.close())
}

/// The simulation with the SDKs of its processes.
struct Shop {
    simulation: Simulation,
    agents: BTreeMap<String, Agent>,
    counters: Arc<Counters>,
    began: Instant,
    epoch: SystemTime,
    requests: u64,
}

impl Shop {
    fn start(simulation: Simulation, endpoint: &Endpoint) -> Result<Self, Error> {
        let counters = Arc::new(Counters::default());
        let mut agents = BTreeMap::new();
        for instance in simulation.world.instances.values().flatten() {
            let process = &instance.process;
            agents.insert(process.instance.clone(), Agent::start(process, endpoint, &counters)?);
        }
        let (began, epoch) = (Instant::now(), wall_clock());
        Ok(Shop { simulation, agents, counters, began, epoch, requests: 0 })
    }

    /// Whether the time is over, or all requests are answered and no more will come.
    fn is_over(&self, closing_time: u64) -> bool {
        let kernel = &self.simulation.world.kernel;
        kernel.now() >= closing_time || (kernel.now() >= self.simulation.end && kernel.next_timer().is_none())
    }

    /// Lets everything happen that is due by now, and records what has ended.
    fn catch_up(&mut self) {
        self.simulation.run_until(nanoseconds(self.began.elapsed()));
        for span in self.simulation.take_finished() {
            let is_request = span.parent.is_none() && span.links.is_empty();
            self.requests += u64::from(is_request);
            if let Some(agent) = self.agents.get(&span.process.instance) {
                agent.record(span, self.epoch);
            }
        }
    }

    fn sample(&mut self) {
        for instance in self.simulation.world.instances.values().flatten() {
            if let Some(agent) = self.agents.get_mut(&instance.process.instance) {
                agent.vitals.sample(&self.simulation.world, instance);
            }
        }
    }

    /// Sends what is left, all processes at once.
    fn close(self) -> Report {
        std::thread::scope(|threads| {
            for agent in self.agents.values() {
                threads.spawn(move || agent.stop(FLUSH));
            }
        });
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Report {
            requests: self.requests,
            spans: read(&self.counters.spans),
            failed_spans: read(&self.counters.failed_spans),
            export_errors: read(&self.counters.errors),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this crate knows no model::Clock; its clock starts here, once")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}
