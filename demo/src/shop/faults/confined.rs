//! Faults confined to a part of the traffic: one instance, or the requests with one attribute value.

use super::place::{Customers, OFTEN, Part, Place, Survey, is_only_in, steady_statements};
use super::{Fault, Site, Truth, edit_query};
use crate::shop::generated::select;
use crate::shop::plan::{Lock, Operation, Plan, Query, Scope, Section, Step};
use crate::shop::request::{SILVER, mix};
use crate::shop::world;

pub const ONE_BAD_INSTANCE: Fault = Fault {
    name: "one_bad_instance",
    does: "one instance has a throttled CPU",
    shop: &[
        Place::at("pricing", "pricing.Pricing/Quote"),
        Place::at("catalog", "GET /catalog/products/{id}"),
        Place::at("inventory", "inventory.Inventory/CheckAvailability"),
    ],
    find: |survey| {
        let places = survey.places_in_processes().into_iter().filter(|(service, _)| service.instances > 1);
        places.map(|(_, place)| place).collect()
    },
    edit: one_bad_instance,
};

fn one_bad_instance(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let Some(found) = plan.service(service) else { return Truth::none() };
    let bad = mix(site.seed ^ 0xbad) as usize % found.instances;
    let instance = world::process(found, bad, mix(site.seed)).instance;
    let offered = site.peak * plan.cpu_demand(service) / 1e3 / found.instances as f64;
    let kind = plan.operation(service, operation).map_or("", Operation::span_kind);
    if let Some(found) = plan.service_mut(service) {
        found.cores = 1;
        found.throttled = Some((bad, site.busy / offered.max(1e-9)));
    }
    let truth = Truth::at(service, operation, kind, "instance", &["self", "queue"]);
    let mut truth = Truth { instance: Some(instance), ..truth };
    for other in plan.service(service).map(|found| found.operations.as_slice()).unwrap_or_default() {
        truth = truth.also(service, other.name);
    }
    truth
}

pub const ONE_BAD_ATTRIBUTE_VALUE: Fault = Fault {
    name: "one_bad_attribute_value",
    does: "one kind of customer meets an overloaded shard",
    shop: &[
        Place::with(
            "pricing",
            "pricing.Pricing/Quote",
            Part::Shard(
                region("shenzhen", 0.35),
                "pricing-db",
                "SELECT region_rates",
                "SELECT tax, duty, surcharge FROM region_rates WHERE region = $1 AND category_id = $2",
            ),
        ),
        Place::with(
            "inventory",
            "inventory.Inventory/CheckAvailability",
            Part::Partition(region("hangzhou", 0.25), "SELECT stock", "inventory-db"),
        ),
        Place::with("pricing", "pricing.Pricing/Quote", Part::Ledger(SILVER_CUSTOMERS)),
    ],
    find: operations_with_something_for_some,
    edit: one_bad_attribute_value,
};

const SILVER_CUSTOMERS: Customers = Customers { key: "app.tier", value: SILVER.0, share: SILVER.1 };

const fn region(value: &'static str, share: f64) -> Customers {
    Customers { key: "app.region", value, share }
}

/// Where the attribute is on the SERVER span (consumers have none), and such customers come often. In each operation all
/// that it offers.
fn operations_with_something_for_some(survey: &Survey<'_>) -> Vec<Place> {
    /// With a smaller share the others would have to wait as long for a shard to be busy.
    const SHARE: f64 = 0.2;
    let regions: Vec<_> = survey.plan.regions.iter().filter(|(_, share)| *share >= SHARE).collect();
    let mut places = Vec::new();
    for (service, operation) in survey.operations().into_iter().filter(|(_, operation)| operation.topic().is_none()) {
        let letters = operation.name.bytes().fold(0, |sum, letter| mix(sum ^ u64::from(letter)));
        let Some((value, share)) = regions.get(letters as usize % regions.len().max(1)) else { continue };
        let visits = survey.visits(service.name, operation.name);
        if visits * share < OFTEN {
            continue;
        }
        let mut add = |part| places.push(Place::with(service.name, operation.name, part));
        let statements = steady_statements(&operation.steps);
        if let Some(query) = statements.iter().find(|query| query.summary.starts_with("SELECT ")) {
            let table = format!("{}_by_region", query.summary.trim_start_matches("SELECT "));
            let (summary, text) = select(&table, "region");
            add(Part::Shard(region(value, *share), query.store, summary, text));
        }
        if let Some(query) = statements.iter().find(|query| is_only_in(service, operation, query.summary)) {
            add(Part::Partition(region(value, *share), query.summary, query.store));
        }
        if visits * SILVER_CUSTOMERS.share >= OFTEN {
            add(Part::Ledger(SILVER_CUSTOMERS));
        }
    }
    places
}

fn one_bad_attribute_value(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let visits = plan.visits(service, operation);
    let busy_time = |customers: &Customers| site.busy_time(visits * customers.share, 1, 0.0);
    match place.part {
        // All that belongs to one region is on one shard of the database.
        Part::Shard(customers, store, summary, text) => {
            let exclusive = Some(only("shard", &customers));
            let query = Query { store, summary, text, time: busy_time(&customers), exclusive };
            insert_before_last(plan, place, Step::Query(query));
            let truth = Truth::at(service, summary, "CLIENT", "database", &["lock"]).peer(store);
            truth.also(service, operation).confined_to(customers.key, customers.value)
        }
        // The rows of one region are in one hot partition.
        Part::Partition(customers, summary, store) => {
            let time = busy_time(&customers);
            edit_query(plan, service, summary, &mut |query| {
                query.time = time;
                query.exclusive = Some(only("partition", &customers));
            });
            let truth = Truth::at(service, summary, "CLIENT", "database", &["lock"]).peer(store);
            truth.also(service, operation).confined_to(customers.key, customers.value)
        }
        // What one kind of customer does goes through one ledger that one request at a time may read.
        Part::Ledger(customers) => {
            let section = Section { lock: only("ledger", &customers), time: busy_time(&customers) };
            insert_before_last(plan, place, Step::Section(section));
            let truth = Truth::at(service, operation, "SERVER", "lock", &["self", "queue"]);
            truth.confined_to(customers.key, customers.value)
        }
        _ => Truth::none(),
    }
}

fn insert_before_last(plan: &mut Plan, place: &Place, step: Step) {
    if let Some(steps) = plan.steps_mut(place.service, place.operation) {
        steps.insert(steps.len().saturating_sub(1), step);
    }
}

fn only(name: &'static str, customers: &Customers) -> Lock {
    Lock { name, scope: Scope::Shop, permits: 1, only: Some((customers.key, customers.value)) }
}
