//! Faults confined to a part of the traffic: one instance, or the requests with one attribute value.

use super::{Attribute, BUSY, Site, Truth, edit_query};
use crate::shop::plan::{Lock, Plan, Query, Scope, Section, Step};
use crate::shop::request::mix;
use crate::shop::world;

pub fn one_bad_instance(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) = [
        ("pricing", "pricing.Pricing/Quote"),
        ("catalog", "GET /catalog/products/{id}"),
        ("inventory", "inventory.Inventory/CheckAvailability"),
    ][site.place];
    let Some(found) = plan.service(service) else { return Truth::none() };
    let bad = mix(site.seed ^ 0xbad) as usize % found.instances;
    let instance = world::process(found, bad, mix(site.seed)).instance;
    let work: f64 = found.operations.iter().map(|o| plan.visits(service, o.name) * compute_time(&o.steps)).sum();
    let offered = site.peak * work / 1e3 / found.instances as f64;
    if let Some(found) = plan.service_mut(service) {
        found.cores = 1;
        found.throttled = Some((bad, BUSY / offered.max(1e-9)));
    }
    let truth = Truth::at(service, operation, "SERVER", "instance", &["self", "queue"]);
    let mut truth = Truth { instance: Some(instance), ..truth };
    for other in plan.service(service).map(|found| found.operations.as_slice()).unwrap_or_default() {
        truth = truth.also(service, other.name);
    }
    truth
}

pub fn one_bad_attribute_value(plan: &mut Plan, site: &Site) -> Truth {
    match site.place {
        0 => overloaded_shard(plan, site),
        1 => hot_partition(plan, site),
        _ => shared_ledger(plan, site),
    }
}

/// All rates of one region are on one shard of the pricing database.
fn overloaded_shard(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation, value, share) = ("pricing", "pricing.Pricing/Quote", "shenzhen", 0.35);
    let time = site.busy_time(plan.visits(service, operation) * share, 1);
    let rates = Query {
        store: "pricing-db",
        summary: "SELECT region_rates",
        text: "SELECT tax, duty, surcharge FROM region_rates WHERE region = $1 AND category_id = $2",
        time,
        exclusive: Some(only("shard", "app.region", value)),
    };
    if let Some(steps) = plan.steps_mut(service, operation) {
        steps.insert(steps.len() - 1, Step::Query(rates));
    }
    let truth = Truth::at(service, "SELECT region_rates", "CLIENT", "database", &["lock"]).peer("pricing-db");
    truth.also(service, operation).confined_to("app.region", value)
}

/// The stock of one region is in one hot partition.
fn hot_partition(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation, value, share) = ("inventory", "inventory.Inventory/CheckAvailability", "hangzhou", 0.25);
    let time = site.busy_time(plan.visits(service, operation) * share, 1);
    edit_query(plan, service, "SELECT stock", &mut |query| {
        query.time = time;
        query.exclusive = Some(only("partition", "app.region", value));
    });
    let truth = Truth::at(service, "SELECT stock", "CLIENT", "database", &["lock"]).peer("inventory-db");
    truth.also(service, operation).confined_to("app.region", value)
}

/// Discounts of one tier go through one ledger that one request at a time may read.
fn shared_ledger(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation, value, share) = ("pricing", "pricing.Pricing/Quote", "silver", 0.22);
    let time = site.busy_time(plan.visits(service, operation) * share, 1);
    let section = Section { lock: only("ledger", "app.tier", value), time };
    if let Some(steps) = plan.steps_mut(service, operation) {
        steps.insert(steps.len() - 1, Step::Section(section));
    }
    Truth::at(service, operation, "SERVER", "lock", &["self", "queue"]).confined_to("app.tier", value)
}

fn only(name: &'static str, key: &'static str, value: &'static str) -> Lock {
    Lock { name, scope: Scope::Shop, permits: 1, only: Some((key, value)) }
}

fn compute_time(steps: &[Step]) -> f64 {
    let of = |step: &Step| match step {
        Step::Compute(time) => *time,
        Step::Span { steps, .. } | Step::Transaction { steps, .. } => compute_time(steps),
        // Taking the answer off the wire.
        Step::Query(_) | Step::Cache(_) | Step::Call(_) => 0.03,
        _ => 0.0,
    };
    0.03 + steps.iter().map(of).sum::<f64>()
}

impl Truth {
    fn confined_to(self, key: &str, value: &str) -> Self {
        Truth { attribute: Some(Attribute { key: key.to_owned(), value: value.to_owned() }), ..self }
    }
}
