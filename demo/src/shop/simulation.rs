//! One run of the shop: the plan with its fault, the arrivals, and the spans as they end.

use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp};

use super::Settings;
use super::engine::{consume, serve};
use super::faults;
use super::kernel::{Instant, MILLISECOND};
use super::plan::ENTRANCE;
use super::request::{Ids, Request, mix, pick_entry};
use super::span::SimSpan;
use super::world::World;

/// How long after the last arrival the requests under way may take.
const DRAIN: Instant = 120_000 * MILLISECOND;

/// Runs the shop in virtual time, without a network, and returns all its spans in the order in which they ended.
pub fn simulate(settings: &Settings) -> Vec<SimSpan> {
    let simulation = Simulation::new(settings, default_duration(settings));
    simulation.drain();
    simulation.take_finished()
}

pub fn default_duration(settings: &Settings) -> Duration {
    if settings.duration.is_zero() { Duration::from_secs(60) } else { settings.duration }
}

/// A run under way.
pub struct Simulation {
    pub world: Rc<World>,
    /// When the last request arrives.
    pub end: Instant,
}

impl Simulation {
    /// Prepares a run with arrivals for `duration`.
    pub fn new(settings: &Settings, duration: Duration) -> Self {
        let mut plan = settings.topology.plan(settings.seed);
        faults::edit(&mut plan, settings);
        let world = World::new(plan, mix(settings.seed), Ids::of(settings.salt));
        let end = nanoseconds(duration);
        start_consumers(&world);
        world.kernel.spawn(arrivals(world.clone(), settings.clone(), end));
        Simulation { world, end }
    }

    pub fn run_until(&self, until: Instant) {
        self.world.kernel.run_until(until);
    }

    /// Lets the requests under way end.
    pub fn drain(&self) {
        self.run_until(self.end + DRAIN);
    }

    /// The spans that ended since the last call.
    pub fn take_finished(&self) -> Vec<SimSpan> {
        std::mem::take(&mut *self.world.finished.borrow_mut())
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.world.kernel.clear();
    }
}

fn start_consumers(world: &Rc<World>) {
    for (index, service) in world.plan.services.iter().enumerate() {
        for (operation, found) in service.operations.iter().enumerate() {
            if found.topic().is_none() {
                continue;
            }
            for instance in &world.instances[service.name] {
                for _ in 0..service.workers {
                    world.kernel.spawn(consume(world.clone(), instance.clone(), index, operation));
                }
            }
        }
    }
}

/// A Poisson stream of customers: at the base rate, and from the step on at the peak rate.
async fn arrivals(world: Rc<World>, settings: Settings, end: Instant) {
    let mut chance = StdRng::seed_from_u64(mix(settings.seed ^ 0xa11));
    let step = nanoseconds(settings.step_after);
    loop {
        let now = world.kernel.now();
        let rate = if now < step { settings.base_rate } else { settings.peak_rate };
        let gap = match Exp::new(rate) {
            Ok(distribution) => (distribution.sample(&mut chance) * 1e9) as Instant,
            Err(_) => return,
        };
        // The stream has no memory, so a gap that reaches over the step is drawn anew from there.
        if now < step && now + gap >= step {
            world.kernel.sleep(step - now).await;
            continue;
        }
        world.kernel.sleep(gap).await;
        if world.kernel.now() >= end {
            return;
        }
        arrive(&world, rate, chance.random());
    }
}

fn arrive(world: &Rc<World>, rate: f64, draw: f64) {
    let request = Rc::new(Request::new(&world.plan, world.seed, world.ids, world.next_number(), rate));
    let entry = pick_entry(&world.plan, draw);
    let gateways = &world.instances[ENTRANCE];
    let instance = gateways[request.below(gateways.len())].clone();
    let world = world.clone();
    world.kernel.clone().spawn(async move {
        if let Some(operation) = world.plan.operation(ENTRANCE, entry) {
            // The customer sees a failure; nobody else is there to hear of it.
            let _ = serve(world.clone(), instance, request, operation, None).await;
        }
    });
}

pub fn nanoseconds(duration: Duration) -> Instant {
    Instant::try_from(duration.as_nanos()).unwrap_or(Instant::MAX / 4)
}
