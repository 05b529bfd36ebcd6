//! Faults that make threads of one service wait for something that no span shows: connections, workers, cores, locks,
//! the end of a collection.

use super::place::{Part, Place, Survey, callers, own_time, steady_statements};
use super::{Fault, Site, Truth, each, stretch};
use crate::shop::plan::{Heap, Lock, Millis, Operation, Plan, Scope, Section, Service, Step};

pub const DB_POOL_TOO_SMALL: Fault = Fault {
    name: "db_pool_too_small",
    does: "a connection pool is too small, so threads wait for a connection",
    shop: &[
        Place::at("catalog", "GET /catalog/products/{id}"),
        Place::at("inventory", "inventory.Inventory/CheckAvailability"),
        Place::at("recommendation", "GET /recommendations"),
    ],
    find: operations_with_connections,
    edit: db_pool_too_small,
};

fn operations_with_connections(survey: &Survey<'_>) -> Vec<Place> {
    let holds = |operation: &Operation| survey.plan.connection_time(&operation.steps) > 0.0;
    let place = |(service, operation): (&Service, &Operation)| {
        let mut place = Place::at(service.name, operation.name);
        let others = service.operations.iter().filter(|other| other.name != operation.name && holds(other));
        place.also = others.map(|other| (service.name, other.name)).collect();
        place.beside = connection_demand(survey.plan, service.name) - statement_time(survey, service);
        place
    };
    survey.operations().into_iter().filter(|(_, operation)| holds(operation)).map(place).collect()
}

/// Time of a service's statements for one customer request, those that a cache makes when it misses left out.
fn statement_time(survey: &Survey<'_>, service: &Service) -> Millis {
    let own = |operation: &Operation| {
        let statements = steady_statements(&operation.steps);
        statements.iter().map(|query| query.time).sum::<Millis>()
    };
    service.operations.iter().map(|o| survey.visits(service.name, o.name) * own(o)).sum()
}

fn db_pool_too_small(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let fit = site.fit(connection_demand(plan, service), place.beside, plan.instances(service));
    let kind = plan.operation(service, operation).map_or("", Operation::span_kind);
    if let Some(found) = plan.service_mut(service) {
        found.connections = fit.permits;
        for operation in &mut found.operations {
            each(&mut operation.steps, &mut |step| {
                if let Step::Query(query) = step {
                    query.time *= fit.stretch;
                }
            });
        }
    }
    Truth::at(service, operation, kind, "queue", &["self", "lock"])
}

/// For how long one customer request occupies connections of a service, in ms.
fn connection_demand(plan: &Plan, service: &str) -> Millis {
    let Some(found) = plan.service(service) else { return 0.0 };
    found.operations.iter().map(|o| plan.visits(service, o.name) * plan.connection_time(&o.steps)).sum()
}

pub const WORKER_POOL_TOO_SMALL: Fault = Fault {
    name: "worker_pool_too_small",
    does: "a service has too few worker threads, so requests wait for one",
    shop: &[
        Place::at("pricing", "pricing.Pricing/Quote"),
        Place::at("search", "GET /search/products"),
        Place::at("recommendation", "GET /recommendations"),
    ],
    find: operations_on_workers,
    edit: worker_pool_too_small,
};

/// Main operations that workers serve, not consumers.
pub fn operations_on_workers(survey: &Survey<'_>) -> Vec<Place> {
    const OWN: Millis = 1.0;
    let is_served = |operation: &Operation| operation.topic().is_none() && own_time(&operation.steps) > OWN;
    let main = survey.main_operations().into_iter().filter(|(_, operation)| is_served(operation));
    main.map(|(service, operation)| {
        let mut place = Place::at(service.name, operation.name);
        let own = survey.visits(service.name, operation.name) * own_time(&operation.steps);
        place.beside = worker_demand(survey.plan, service.name) - own;
        for (_, other) in survey.others(service, operation) {
            place.also.push((service.name, other));
            place.also.extend(callers(survey.plan, service.name, other).into_iter().map(|caller| (caller, other)));
        }
        place
    })
    .collect()
}

fn worker_pool_too_small(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let fit = site.fit(worker_demand(plan, service), place.beside, plan.instances(service));
    if let Some(found) = plan.service_mut(service) {
        found.workers = fit.permits;
    }
    if let Some(steps) = plan.steps_mut(service, operation) {
        stretch(steps, fit.stretch);
    }
    let truth = Truth::at(service, operation, "SERVER", "queue", &["network"]);
    seen_by_callers(plan, truth, service, operation)
}

/// For how long one customer request occupies workers of a service, in ms.
pub fn worker_demand(plan: &Plan, service: &str) -> Millis {
    let Some(found) = plan.service(service) else { return 0.0 };
    found.operations.iter().map(|o| plan.visits(service, o.name) * plan.time_of(&o.steps)).sum()
}

pub const CPU_BOUND_OPERATION: Fault = Fault {
    name: "cpu_bound_operation",
    does: "one operation needs so much CPU that the cores are busy",
    shop: &[
        Place::with("pricing", "pricing.Pricing/Quote", Part::Work("pricing.Pricing/Quote")),
        Place::with("search", "GET /search/products", Part::Work("rank results")),
        Place::with("recommendation", "GET /recommendations", Part::Work("rank candidates")),
    ],
    find: operations_with_work,
    edit: cpu_bound_operation,
};

fn operations_with_work(survey: &Survey<'_>) -> Vec<Place> {
    let place = |(service, operation): (&Service, &Operation)| {
        let (shown_by, time) = longest_work(&operation.steps, operation.name)?;
        let mut place = Place::with(service.name, operation.name, Part::Work(shown_by));
        let own = survey.visits(service.name, operation.name) * time;
        place.beside = survey.plan.cpu_demand(service.name) - own;
        Some(place)
    };
    survey.main_operations().into_iter().filter_map(place).collect()
}

fn cpu_bound_operation(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let Part::Work(shown_by) = place.part else { return Truth::none() };
    let visits = plan.visits(service, operation);
    let per_visit = site.busy_time(visits, plan.instances(service), place.beside);
    let served = plan.operation(service, operation).map_or("", Operation::span_kind);
    if let Some(found) = plan.service_mut(service) {
        found.cores = 1;
    }
    if let Some(longest) = plan.steps_mut(service, operation).and_then(|steps| longest_compute(steps)) {
        *longest = per_visit;
    }
    let kind = if shown_by == operation { served } else { "INTERNAL" };
    let truth = Truth::at(service, shown_by, kind, "self", &["queue", "lock"]);
    if shown_by == operation { truth } else { truth.also(service, operation) }
}

/// The CPU step that takes longest.
fn longest_compute(steps: &mut [Step]) -> Option<&mut Millis> {
    let mut found: Option<&mut Millis> = None;
    for step in steps {
        let candidate = match step {
            Step::Compute(time) => Some(time),
            Step::Span { steps, .. } => longest_compute(steps),
            _ => None,
        };
        if let Some(candidate) = candidate
            && found.as_ref().is_none_or(|best| *candidate > **best)
        {
            found = Some(candidate);
        }
    }
    found
}

/// The same step's time, and the span that shows it; `within` is the one around the steps.
fn longest_work(steps: &[Step], within: &'static str) -> Option<(&'static str, Millis)> {
    let mut found: Option<(&'static str, Millis)> = None;
    for step in steps {
        let candidate = match step {
            Step::Compute(time) => Some((within, *time)),
            Step::Span { name, steps } => longest_work(steps, name),
            _ => None,
        };
        if let Some(candidate) = candidate
            && found.is_none_or(|best| candidate.1 > best.1)
        {
            found = Some(candidate);
        }
    }
    found
}

pub const LOCK_CONTENTION: Fault = Fault {
    name: "lock_contention",
    does: "threads of one process wait for a lock inside one operation",
    shop: &[
        Place::at("pricing", "pricing.Pricing/Quote"),
        Place::at("inventory", "inventory.Inventory/CheckAvailability"),
        Place::at("catalog", "GET /catalog/products/{id}"),
    ],
    find: |survey| survey.operations().into_iter().map(|(s, o)| Place::at(s.name, o.name)).collect(),
    edit: lock_contention,
};

fn lock_contention(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let time = site.busy_time(plan.visits(service, operation), plan.instances(service), 0.0);
    let kind = plan.operation(service, operation).map_or("", Operation::span_kind);
    let lock = Lock { name: "monitor", scope: Scope::Instance, permits: 1, only: None };
    if let Some(steps) = plan.steps_mut(service, operation) {
        steps.insert(steps.len().saturating_sub(1), Step::Section(Section { lock, time }));
    }
    Truth::at(service, operation, kind, "lock", &["self", "queue"])
}

pub const GC_PAUSES: Fault = Fault {
    name: "gc_pauses",
    does: "the heap is too small, so the process keeps stopping to collect garbage",
    shop: &[Place::at("catalog", "GET /catalog/products/{id}"), Place::at("pricing", "pricing.Pricing/Quote")],
    find: operations_of_busy_processes,
    edit: gc_pauses,
};

/// A process that hardly anybody uses stops for nobody; in one that waits for others most of the time, it is calls
/// under way that the pauses make longer.
fn operations_of_busy_processes(survey: &Survey<'_>) -> Vec<Place> {
    const VISITS_OF_AN_INSTANCE: f64 = 0.12;
    const WAITS_FOR_OTHERS: Millis = 15.0;
    let is_busy = |service: &Service| survey.visits_of(service) / service.instances as f64 >= VISITS_OF_AN_INSTANCE;
    let waits = |operation: &Operation| survey.plan.time_of(&operation.steps) - own_time(&operation.steps);
    let stays = |service: &Service| service.operations.iter().all(|operation| waits(operation) <= WAITS_FOR_OTHERS);
    let places = survey.places_in_processes().into_iter();
    places.filter(|(service, _)| is_busy(service) && stays(service)).map(|(_, place)| place).collect()
}

fn gc_pauses(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let served: f64 = match plan.service(service) {
        Some(found) => found.operations.iter().map(|operation| plan.visits(service, operation.name)).sum(),
        None => 0.0,
    };
    let rate = site.peak * served / plan.instances(service) as f64;
    const SIZE_MIB: f64 = 1_024.0;
    const LIVE_MIB: f64 = 150.0;
    const LIVE_AT_PEAK_MIB: f64 = 780.0;
    const SECONDS_BETWEEN: f64 = 0.6;
    const PAUSE_AT_PEAK: Millis = 320.0;
    if let Some(found) = plan.service_mut(service) {
        found.heap = Heap {
            size_mib: SIZE_MIB,
            live_mib: LIVE_MIB,
            live_per_customer_mib: (LIVE_AT_PEAK_MIB - LIVE_MIB) / (rate * Heap::MEMORY_S),
            per_request_mib: (SIZE_MIB - LIVE_AT_PEAK_MIB) / (rate * SECONDS_BETWEEN),
            pause_per_live_mib: PAUSE_AT_PEAK / LIVE_AT_PEAK_MIB,
        };
    }
    let kind = plan.operation(service, operation).map_or("", Operation::span_kind);
    let mut truth = Truth::at(service, operation, kind, "self", &["queue", "lock", "network"]);
    for other in plan.service(service).map(|found| found.operations.as_slice()).unwrap_or_default() {
        truth = seen_by_callers(plan, truth.also(service, other.name), service, other.name);
    }
    truth
}

/// A wait before the SERVER span shows in the callers' CLIENT spans, which carry the same name.
fn seen_by_callers(plan: &Plan, truth: Truth, service: &str, operation: &str) -> Truth {
    callers(plan, service, operation).into_iter().fold(truth, |truth, caller| truth.also(caller, operation))
}
