//! Faults between processes: the wire, impatient callers, third parties, topics.

use super::place::{OFTEN, Part, Place, Survey, callers, steady_statements};
use super::waiting::{operations_on_workers, worker_demand};
use super::{Fault, Site, Truth, each, edit_query, stretch};
use crate::shop::plan::{Link, Plan, Step, ThirdParty, steps_in};

pub const NETWORK_DELAY: Fault = Fault {
    name: "network_delay",
    does: "the network between two services carries too little",
    shop: &[
        Place::with("catalog", "GET /catalog/products/{id}", Part::Caller("web-bff")),
        Place::with("pricing", "pricing.Pricing/Quote", Part::Caller("web-bff")),
        Place::with("inventory", "inventory.Inventory/CheckAvailability", Part::Caller("web-bff")),
    ],
    find: called_operations,
    edit: network_delay,
};

/// For each caller of a service the operation that it calls most.
fn called_operations(survey: &Survey<'_>) -> Vec<Place> {
    let plan = survey.plan;
    let mut places = Vec::new();
    for caller in &plan.services {
        for callee in &plan.services {
            let mut most: Option<(f64, &'static str)> = None;
            for operation in &callee.operations {
                let calls = calls(plan, caller.name, callee.name, Some(operation.name));
                if calls >= OFTEN && most.is_none_or(|(found, _)| calls > found) {
                    most = Some((calls, operation.name));
                }
            }
            places.extend(most.map(|(_, operation)| Place::with(callee.name, operation, Part::Caller(caller.name))));
        }
    }
    places
}

/// How often one customer request makes `caller` call `callee`, or one operation of it.
fn calls(plan: &Plan, caller: &str, callee: &str, operation: Option<&str>) -> f64 {
    plan.uses(caller, &|step| match step {
        Step::Call(call) => call.service == callee && operation.is_none_or(|name| call.operation == name),
        _ => false,
    })
}

fn network_delay(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (callee, operation) = (place.service, place.operation);
    let Part::Caller(caller) = place.part else { return Truth::none() };
    const MESSAGES_PER_CALL: f64 = 2.0;
    let message = site.busy_time(calls(plan, caller, callee, None) * MESSAGES_PER_CALL, 1, 0.0);
    plan.links.push(Link { caller, callee, message });
    let mut truth = Truth::at(caller, operation, "CLIENT", "network", &["queue"]).peer(callee).also(callee, operation);
    for other in plan.service(callee).map(|found| found.operations.as_slice()).unwrap_or_default() {
        if other.name != operation && calls(plan, caller, callee, Some(other.name)) > 0.0 {
            truth = truth.also(caller, other.name).also(callee, other.name);
        }
    }
    truth
}

pub const RETRY_STORM: Fault = Fault {
    name: "retry_storm",
    does: "a short timeout with immediate retries multiplies the calls to a slow service",
    shop: &[
        Place::with("search", "GET /search/products", Part::Caller("web-bff")),
        Place::with("recommendation", "GET /recommendations", Part::Caller("web-bff")),
    ],
    find: operations_of_one_caller,
    edit: retry_storm,
};

/// Main operations on workers of services that only one service calls, for others would meet the same queue without
/// retrying; and that call nobody, for retries would multiply those calls too.
fn operations_of_one_caller(survey: &Survey<'_>) -> Vec<Place> {
    let mut places = operations_on_workers(survey);
    places.retain_mut(|place| {
        let Some(service) = survey.plan.service(place.service) else { return false };
        let mut all: Vec<_> =
            service.operations.iter().flat_map(|o| callers(survey.plan, service.name, o.name)).collect();
        all.dedup();
        let calls = |step: &&Step| matches!(step, Step::Call(_) | Step::ThirdParty(_) | Step::Publish { .. });
        if service.operations.iter().any(|operation| steps_in(&operation.steps).iter().any(calls)) {
            return false;
        }
        let [caller] = all[..] else { return false };
        place.part = Part::Caller(caller);
        true
    });
    places
}

fn retry_storm(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let Part::Caller(caller) = place.part else { return Truth::none() };
    const ATTEMPTS: u32 = 4;
    const PATIENCE: f64 = 2.5;
    let unloaded = plan.unloaded_time(service, operation);
    let fit = site.fit(worker_demand(plan, service), place.beside, plan.instances(service));
    if let Some(found) = plan.service_mut(service) {
        found.workers = fit.permits;
        found.backlog = 40;
    }
    if let Some(steps) = plan.steps_mut(service, operation) {
        stretch(steps, fit.stretch);
    }
    for calling in plan.service_mut(caller).map(|found| found.operations.as_mut_slice()).unwrap_or_default() {
        each(&mut calling.steps, &mut |step| match step {
            Step::Call(call) if call.service == service && call.operation == operation => {
                call.attempts = ATTEMPTS;
                call.timeout = unloaded * fit.longer * PATIENCE;
            }
            _ => {}
        });
    }
    Truth::at(caller, operation, "CLIENT", "retry", &["queue"]).peer(service).also(service, operation)
}

pub const SLOW_THIRD_PARTY: Fault = Fault {
    name: "slow_third_party",
    does: "a third party serves only so many of our calls at once",
    shop: &[
        Place::with("payment", "payment.Payment/Charge", outside("POST /v1/charges", "api.paygate.example")),
        Place::with("shipping", "POST /shipments", outside("GET /v1/geocode", "geo.maps.example")),
    ],
    find: operations_with_third_parties,
    edit: slow_third_party,
};

const fn outside(operation: &'static str, host: &'static str) -> Part {
    Part::ThirdParty { operation, host }
}

fn operations_with_third_parties(survey: &Survey<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for (service, operation) in survey.operations() {
        let outside = steps_in(&operation.steps).into_iter().find_map(|step| match step {
            Step::ThirdParty(call) => Some(outside(call.operation, call.host)),
            _ => None,
        });
        places.extend(outside.map(|part| Place::with(service.name, operation.name, part)));
    }
    places
}

fn slow_third_party(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let Part::ThirdParty { operation: shown_by, host } = place.part else { return Truth::none() };
    let time = site.busy_time(plan.visits(service, operation), 1, 0.0);
    set_third_party(plan, place, &mut |call| {
        call.limit = 1;
        call.time = time;
    });
    Truth::at(service, shown_by, "CLIENT", "external", &[]).peer(host)
}

fn set_third_party(plan: &mut Plan, place: &Place, change: &mut dyn FnMut(&mut ThirdParty)) {
    let Some(steps) = plan.steps_mut(place.service, place.operation) else { return };
    each(steps, &mut |step| {
        if let Step::ThirdParty(call) = step {
            change(call);
        }
    });
}

pub const CONSUMER_LAG: Fault = Fault {
    name: "consumer_lag",
    does: "the consumers of a topic are too slow, so messages wait",
    shop: &[Place::with("notification", "process orders.placed", outside("POST /messages", "sms.example"))],
    find: consumers,
    edit: consumer_lag,
};

/// Consumers with something that can become slow: a third party or a statement.
fn consumers(survey: &Survey<'_>) -> Vec<Place> {
    /// What one customer request may keep an instance busy with besides, in ms.
    const BESIDE: f64 = 10.0;
    let mut places = Vec::new();
    for (service, operation) in survey.operations() {
        let slow = steps_in(&operation.steps).into_iter().find_map(|step| match step {
            Step::ThirdParty(call) => Some((outside(call.operation, call.host), call.time)),
            _ => None,
        });
        let statement = steady_statements(&operation.steps)
            .into_iter()
            .next()
            .map(|query| (Part::Statement { summary: query.summary, store: query.store, locked: false }, query.time));
        let Some((part, time)) = slow.or(statement).filter(|_| operation.topic().is_some()) else { continue };
        let beside = survey.visits(service.name, operation.name) * (survey.plan.time_of(&operation.steps) - time);
        if beside / service.instances as f64 <= BESIDE {
            places.push(Place { beside, ..Place::with(service.name, operation.name, part) });
        }
    }
    places
}

fn consumer_lag(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    const OVERLOAD: f64 = 1.6;
    let visits = plan.visits(service, operation);
    let time = site.time_for(site.busy * OVERLOAD, visits, plan.instances(service), place.beside);
    let topic = plan.operation(service, operation).and_then(|found| found.topic()).unwrap_or_default();
    if let Some(found) = plan.service_mut(service) {
        found.workers = 1;
    }
    match place.part {
        Part::Statement { summary, .. } => edit_query(plan, service, summary, &mut |query| query.time = time),
        _ => set_third_party(plan, place, &mut |call| call.time = time),
    }
    Truth::at(service, operation, "CONSUMER", "messaging", &["queue"]).peer(topic)
}
