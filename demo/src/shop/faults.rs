//! The faults that a system can have, each with the truth about it.
//!
//! A [`Fault`] says where it can be, in the shop and in any plan, and edits a healthy plan there; it returns what a good
//! diagnosis names. [`FAULTS`] lists them all. Each is sized against the peak rate, so that at the base rate the system
//! is well and after the step this one thing limits it. *Invariant:* a fault only changes sizes and times of things a
//! real system has; no span, metric or log says that there is one.

mod behaviour;
mod between;
mod confined;
mod place;
mod site;
mod stores;
#[cfg(test)]
mod tests;
mod truth;
mod waiting;

use super::plan::{Plan, Query, Step};
use super::request::mix;
use super::{Settings, Topology};
pub use place::Place;
use place::Survey;
use site::Site;
pub use truth::{Attribute, Truth};

/// The entry of a fault in the registry.
pub struct Fault {
    pub name: &'static str,
    /// What is wrong, in one sentence.
    pub does: &'static str,
    /// Where it can be in the demo's shop. Their order is relied on: a run's settings name a place by its number.
    shop: &'static [Place],
    /// All places for it in a plan.
    find: fn(&Survey<'_>) -> Vec<Place>,
    /// Puts it there.
    edit: fn(&mut Plan, &Place, &Site) -> Truth,
}

static FAULTS: &[Fault] = &[
    waiting::DB_POOL_TOO_SMALL,
    waiting::WORKER_POOL_TOO_SMALL,
    waiting::CPU_BOUND_OPERATION,
    waiting::LOCK_CONTENTION,
    between::NETWORK_DELAY,
    waiting::GC_PAUSES,
    stores::SLOW_SQL,
    stores::N_PLUS_ONE,
    between::SLOW_THIRD_PARTY,
    stores::CACHE_MISS_STORM,
    between::RETRY_STORM,
    between::CONSUMER_LAG,
    confined::ONE_BAD_INSTANCE,
    confined::ONE_BAD_ATTRIBUTE_VALUE,
    behaviour::EXCEPTIONS_FAST_FAIL,
    behaviour::EARLY_RETURN,
];

const NONE: &str = "none";

/// All faults, for lists of choices. `none` is a choice too.
pub fn faults() -> &'static [Fault] {
    FAULTS
}

impl Fault {
    /// In how many places of the demo's shop it can be.
    pub fn places_in_shop(&self) -> usize {
        self.shop.len()
    }

    /// Where it can be in the system of these settings, whose healthy plan this is.
    fn places(&self, plan: &Plan, topology: Topology) -> Vec<Place> {
        match topology {
            Topology::Shop => self.shop.to_vec(),
            Topology::Generated { .. } => (self.find)(&Survey::new(plan)),
        }
    }
}

/// The truth about the system of these settings; `None` when no fault has that name, or it has no place there.
pub fn truth(settings: &Settings) -> Option<Truth> {
    put(&mut settings.topology.plan(settings.seed), settings)
}

/// Puts the settings' fault into the plan. An unknown name leaves it healthy; [`truth`] tells.
pub fn edit(plan: &mut Plan, settings: &Settings) -> Truth {
    put(plan, settings).unwrap_or_else(Truth::none)
}

fn put(plan: &mut Plan, settings: &Settings) -> Option<Truth> {
    if settings.fault == NONE {
        return Some(Truth::none());
    }
    let (fault, places) = chosen(plan, settings)?;
    let place = &places[settings.place.unwrap_or(mix(settings.seed ^ 0x97ace) as usize) % places.len()];
    let behind_topic = !plan.is_waited_for(place.service, place.operation);
    let truth = (fault.edit)(plan, place, &Site::of(settings)).also_all(&place.also);
    Some(Truth { fault: fault.name.to_owned(), does: fault.does.to_owned(), behind_topic, ..truth })
}

/// The fault of the settings with its places; there is at least one.
fn chosen(plan: &Plan, settings: &Settings) -> Option<(&'static Fault, Vec<Place>)> {
    let with_places = |fault: &'static Fault| {
        let places = fault.places(plan, settings.topology);
        (!places.is_empty()).then_some((fault, places))
    };
    if !settings.fault.is_empty() {
        return FAULTS.iter().find(|fault| fault.name == settings.fault).and_then(with_places);
    }
    let mut possible: Vec<_> = FAULTS.iter().filter_map(with_places).collect();
    let number = mix(settings.seed ^ 0xfa17) as usize % possible.len().max(1);
    (number < possible.len()).then(|| possible.swap_remove(number))
}

/// Multiplies the times of all own work in the steps: CPU and queries.
fn stretch(steps: &mut [Step], factor: f64) {
    each(steps, &mut |step| match step {
        Step::Compute(time) => *time *= factor,
        Step::Query(query) => query.time *= factor,
        _ => {}
    });
}

/// Visits each step, inner ones too.
fn each(steps: &mut [Step], visit: &mut dyn FnMut(&mut Step)) {
    for step in steps {
        visit(step);
        match step {
            Step::Span { steps, .. }
            | Step::Transaction { steps, .. }
            | Step::Repeat { steps, .. }
            | Step::Chance { steps, .. }
            | Step::RateLimit { steps, .. } => each(steps, visit),
            Step::Cache(cache) => each(&mut cache.miss, visit),
            Step::Fork(branches) => branches.iter_mut().for_each(|branch| each(branch, visit)),
            _ => {}
        }
    }
}

/// Changes the query with this summary, wherever a service makes it.
fn edit_query(plan: &mut Plan, service: &str, summary: &str, change: &mut dyn FnMut(&mut Query)) {
    let Some(service) = plan.service_mut(service) else { return };
    for operation in &mut service.operations {
        each(&mut operation.steps, &mut |step| match step {
            Step::Query(query) if query.summary == summary => change(query),
            _ => {}
        });
    }
}
