//! Faults that make nothing slower: they change what happens, not how long it takes.

use super::{Site, Truth};
use crate::shop::plan::{Beyond, Plan, Step};

/// How much more than the base rate a limiter lets through.
const ROOM: f64 = 2.2;

pub fn exceptions_fast_fail(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) = [
        ("search", "GET /search/products"),
        ("inventory", "inventory.Inventory/CheckAvailability"),
        ("catalog", "GET /catalog/products/{id}"),
    ][site.place];
    limit(plan, site, service, operation, Beyond::Refuse);
    Truth::at(service, operation, "SERVER", "error", &[])
}

pub fn early_return(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) = [
        ("recommendation", "GET /recommendations"),
        ("search", "GET /search/products"),
        ("catalog", "GET /catalog/products/{id}"),
    ][site.place];
    limit(plan, site, service, operation, Beyond::Skip);
    Truth::at(service, operation, "SERVER", "structure", &[])
}

/// Lets the operation do its work only so often; the first step, reading the request, is always done.
fn limit(plan: &mut Plan, site: &Site, service: &str, operation: &str, beyond: Beyond) {
    let instances = plan.service(service).map_or(1, |found| found.instances) as f64;
    let per_second = site.base * plan.visits(service, operation) / instances * ROOM;
    if let Some(steps) = plan.steps_mut(service, operation)
        && !steps.is_empty()
    {
        let work = steps.split_off(1);
        steps.push(Step::RateLimit { name: "backend", per_second, beyond, steps: work });
    }
}
