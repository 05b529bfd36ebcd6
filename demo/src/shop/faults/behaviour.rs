//! Faults that make nothing slower: they change what happens, not how long it takes.

use super::place::{Place, Survey};
use super::{Fault, Site, Truth};
use crate::shop::plan::{Beyond, Operation, Plan, Service, Step, steps_in};

/// How much more than the base rate a limiter lets through.
const ROOM: f64 = 2.2;

pub const EXCEPTIONS_FAST_FAIL: Fault = Fault {
    name: "exceptions_fast_fail",
    does: "a rate limiter refuses calls with an exception",
    shop: &[
        Place::at("search", "GET /search/products"),
        Place::at("inventory", "inventory.Inventory/CheckAvailability"),
        Place::at("catalog", "GET /catalog/products/{id}"),
    ],
    find: operations_with_work_behind_the_first_step,
    edit: |plan, place, site| limit(plan, place, site, Beyond::Refuse, "error"),
};

pub const EARLY_RETURN: Fault = Fault {
    name: "early_return",
    does: "an operation skips its work and returns early when called too often",
    shop: &[
        Place::at("recommendation", "GET /recommendations"),
        Place::at("search", "GET /search/products"),
        Place::at("catalog", "GET /catalog/products/{id}"),
    ],
    find: main_operations_with_work_behind_the_first_step,
    edit: |plan, place, site| limit(plan, place, site, Beyond::Skip, "structure"),
};

/// Operations that make calls or statements in each visit, behind a first step that does none.
fn operations_with_work_behind_the_first_step(survey: &Survey<'_>) -> Vec<Place> {
    places_with_work(survey.operations())
}

/// The same where it is much of what the service does, so that it is missed there.
fn main_operations_with_work_behind_the_first_step(survey: &Survey<'_>) -> Vec<Place> {
    places_with_work(survey.main_operations())
}

/// Not consumers: their messages are not spread evenly, and each instance limits for itself.
fn places_with_work(operations: Vec<(&Service, &Operation)>) -> Vec<Place> {
    let is_seen = |step: &&Step| matches!(step, Step::Query(_) | Step::Call(_) | Step::ThirdParty(_) | Step::Cache(_));
    let has_work = |operation: &Operation| match operation.steps.split_first() {
        Some((Step::Compute(_), work)) => steps_in(work).iter().any(is_seen),
        _ => false,
    };
    let found = operations.into_iter().filter(|(_, operation)| operation.topic().is_none() && has_work(operation));
    found.map(|(service, operation)| Place::at(service.name, operation.name)).collect()
}

/// Lets the operation do its work only so often; the first step, reading the request, is always done.
fn limit(plan: &mut Plan, place: &Place, site: &Site, beyond: Beyond, category: &str) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let per_second = site.base * plan.visits(service, operation) / plan.instances(service) as f64 * ROOM;
    if let Some(steps) = plan.steps_mut(service, operation)
        && !steps.is_empty()
    {
        let work = steps.split_off(1);
        steps.push(Step::RateLimit { name: "backend", per_second, beyond, steps: work });
    }
    let kind = plan.operation(service, operation).map_or("", Operation::span_kind);
    Truth::at(service, operation, kind, category, &[])
}
