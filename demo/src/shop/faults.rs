//! The faults that a shop can have, each with the truth about it.
//!
//! A fault is one function that edits the healthy plan and returns what a good diagnosis names; [`FAULTS`] lists them
//! all. Each is sized against the peak rate, so that at the base rate the shop is well and after the step this one
//! thing limits it. *Invariant:* a fault only changes sizes and times of things a real shop has; no span, metric or
//! log says that there is one.

mod behaviour;
mod confined;
mod dependency;
mod waiting;

use serde::{Deserialize, Serialize};

use super::plan::{Millis, Plan, Query, Step};
use super::request::mix;
use super::{Settings, storefront};

/// The entry of a fault in the registry.
pub struct Fault {
    pub name: &'static str,
    /// What is wrong, in one sentence.
    pub does: &'static str,
    /// In how many places of the shop it can be.
    pub places: usize,
    edit: fn(&mut Plan, &Site) -> Truth,
}

/// What there is to be found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    pub fault: String,
    pub does: String,
    /// Empty when there is no fault.
    pub service: String,
    /// The name of the spans that show it.
    pub operation: String,
    pub span_kind: String,
    pub category: String,
    /// Other categories that the telemetry cannot rule out.
    pub accepted_categories: Vec<String>,
    pub peer: Option<String>,
    /// The instance id, when only one instance is affected.
    pub instance: Option<String>,
    /// The attribute, when only requests with this value are affected.
    pub attribute: Option<Attribute>,
    /// Other spans, as service and operation, that show the same thing from another side.
    pub also: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub key: String,
    pub value: String,
}

macro_rules! faults {
    ($($name:ident in $module:ident, $places:literal: $does:literal;)*) => {
        /// All faults.
        static FAULTS: &[Fault] = &[$(Fault {
            name: stringify!($name), does: $does, places: $places, edit: $module::$name,
        }),*];
    };
}

faults! {
    db_pool_too_small in waiting, 3: "a connection pool is too small, so threads wait for a connection";
    worker_pool_too_small in waiting, 3: "a service has too few worker threads, so requests wait for one";
    cpu_bound_operation in waiting, 3: "one operation needs so much CPU that the cores are busy";
    lock_contention in waiting, 3: "threads of one process wait for a lock inside one operation";
    network_delay in waiting, 3: "the network between two services carries too little";
    gc_pauses in waiting, 2: "the heap is too small, so the process keeps stopping to collect garbage";
    slow_sql in dependency, 4: "one statement is slow: it waits for a row lock, or scans for want of an index";
    n_plus_one in dependency, 3: "a list is read with one query for each of its items";
    slow_third_party in dependency, 2: "a third party serves only so many of our calls at once";
    cache_miss_storm in dependency, 2: "a cache is too small for the customers of the peak, so it misses";
    retry_storm in dependency, 2: "a short timeout with immediate retries multiplies the calls to a slow service";
    consumer_lag in dependency, 1: "the consumers of a topic are too slow, so messages wait";
    one_bad_instance in confined, 3: "one instance has a throttled CPU";
    one_bad_attribute_value in confined, 3: "one kind of customer meets an overloaded shard";
    exceptions_fast_fail in behaviour, 3: "a rate limiter refuses calls with an exception";
    early_return in behaviour, 3: "an operation skips its work and returns early when called too often";
}

const NONE: &str = "none";

/// All faults, for lists of choices. `none` is a choice too.
pub fn faults() -> &'static [Fault] {
    FAULTS
}

/// The truth about the shop of these settings; `None` when no fault has that name.
pub fn truth(settings: &Settings) -> Option<Truth> {
    if settings.fault != NONE && chosen(settings).is_none() {
        return None;
    }
    Some(edit(&mut storefront::plan(), settings))
}

/// Puts the settings' fault into the plan. An unknown name leaves it healthy; [`truth`] tells.
pub fn edit(plan: &mut Plan, settings: &Settings) -> Truth {
    let Some(fault) = chosen(settings) else { return Truth::none() };
    let place = settings.place.unwrap_or(mix(settings.seed ^ 0x97ace) as usize) % fault.places;
    let site = Site { place, seed: settings.seed, base: settings.base_rate, peak: settings.peak_rate };
    let truth = (fault.edit)(plan, &site);
    Truth { fault: fault.name.to_owned(), does: fault.does.to_owned(), ..truth }
}

fn chosen(settings: &Settings) -> Option<&'static Fault> {
    match settings.fault.as_str() {
        "" => FAULTS.get(mix(settings.seed ^ 0xfa17) as usize % FAULTS.len()),
        name => FAULTS.iter().find(|fault| fault.name == name),
    }
}

/// Where a fault goes, and the load against which it is sized.
struct Site {
    place: usize,
    seed: u64,
    base: f64,
    peak: f64,
}

/// How many servers a station gets, and what to multiply the times of those it serves by, so that it is as busy at
/// the peak as wanted.
struct Fit {
    permits: usize,
    stretch: f64,
}

/// As busy as a station can be without the queue growing for ever.
const BUSY: f64 = 0.9;

impl Site {
    /// Sizes a station that one customer request occupies for `demand` ms on average over all `stations` of its kind.
    fn fit(&self, demand: Millis, stations: usize) -> Fit {
        let offered = self.peak * demand / 1e3 / stations as f64;
        let permits = (offered / BUSY).round().max(1.0);
        Fit { permits: permits as usize, stretch: BUSY * permits / offered.max(1e-9) }
    }

    /// The time that one visit may take for a single server to be busy at the peak, in ms.
    fn busy_time(&self, visits: f64, stations: usize) -> Millis {
        BUSY * 1e3 * stations as f64 / (self.peak * visits).max(1e-9)
    }
}

impl Truth {
    fn none() -> Self {
        Truth { fault: NONE.to_owned(), does: "nothing is wrong".to_owned(), ..Truth::at("", "", "", "", &[]) }
    }

    fn at(service: &str, operation: &str, span_kind: &str, category: &str, accepted: &[&str]) -> Self {
        Truth {
            fault: String::new(),
            does: String::new(),
            service: service.to_owned(),
            operation: operation.to_owned(),
            span_kind: span_kind.to_owned(),
            category: category.to_owned(),
            accepted_categories: accepted.iter().map(|text| (*text).to_owned()).collect(),
            peer: None,
            instance: None,
            attribute: None,
            also: Vec::new(),
        }
    }

    fn peer(self, peer: &str) -> Self {
        Truth { peer: Some(peer.to_owned()), ..self }
    }

    fn also(mut self, service: &str, operation: &str) -> Self {
        self.also.push((service.to_owned(), operation.to_owned()));
        self
    }

    /// Whether naming this service and operation is right.
    pub fn names(&self, service: &str, operation: &str) -> bool {
        let is = |(s, o): (&str, &str)| s == service && o == operation;
        is((&self.service, &self.operation)) || self.also.iter().any(|(s, o)| is((s, o)))
    }

    /// Whether a category is right or cannot be ruled out.
    pub fn allows_category(&self, category: &str) -> bool {
        self.category == category || self.accepted_categories.iter().any(|accepted| accepted == category)
    }
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
