//! Faults that make threads wait for something that no span shows: connections, workers, cores, locks, the wire.

use super::{Site, Truth, each, stretch};
use crate::shop::plan::{Heap, Link, Lock, Millis, Plan, Scope, Section, Step};

pub fn db_pool_too_small(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) = [
        ("catalog", "GET /catalog/products/{id}"),
        ("inventory", "inventory.Inventory/CheckAvailability"),
        ("recommendation", "GET /recommendations"),
    ][site.place];
    let fit = site.fit(connection_demand(plan, service), instances(plan, service));
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
    Truth::at(service, operation, "SERVER", "queue", &["self", "lock"])
}

pub fn worker_pool_too_small(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) = [
        ("pricing", "pricing.Pricing/Quote"),
        ("search", "GET /search/products"),
        ("recommendation", "GET /recommendations"),
    ][site.place];
    let demand = plan.visits(service, operation) * plan.unloaded_time(service, operation);
    let fit = site.fit(demand, instances(plan, service));
    if let Some(found) = plan.service_mut(service) {
        found.workers = fit.permits;
    }
    if let Some(steps) = plan.steps_mut(service, operation) {
        stretch(steps, fit.stretch);
    }
    let truth = Truth::at(service, operation, "SERVER", "queue", &["network"]);
    seen_by_callers(plan, truth, service, operation)
}

pub fn cpu_bound_operation(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation, shown_by, kind) = [
        ("pricing", "pricing.Pricing/Quote", "pricing.Pricing/Quote", "SERVER"),
        ("search", "GET /search/products", "rank results", "INTERNAL"),
        ("recommendation", "GET /recommendations", "rank candidates", "INTERNAL"),
    ][site.place];
    let visits = plan.visits(service, operation);
    let per_visit = site.busy_time(visits, instances(plan, service));
    if let Some(found) = plan.service_mut(service) {
        found.cores = 1;
    }
    if let Some(longest) = plan.steps_mut(service, operation).and_then(|steps| longest_compute(steps)) {
        *longest = per_visit;
    }
    let truth = Truth::at(service, shown_by, kind, "self", &["queue", "lock"]);
    if shown_by == operation { truth } else { truth.also(service, operation) }
}

pub fn lock_contention(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) = [
        ("pricing", "pricing.Pricing/Quote"),
        ("inventory", "inventory.Inventory/CheckAvailability"),
        ("catalog", "GET /catalog/products/{id}"),
    ][site.place];
    let time = site.busy_time(plan.visits(service, operation), instances(plan, service));
    let lock = Lock { name: "monitor", scope: Scope::Instance, permits: 1, only: None };
    if let Some(steps) = plan.steps_mut(service, operation) {
        steps.insert(steps.len() - 1, Step::Section(Section { lock, time }));
    }
    Truth::at(service, operation, "SERVER", "lock", &["self", "queue"])
}

pub fn network_delay(plan: &mut Plan, site: &Site) -> Truth {
    let (caller, callee, operation) = [
        ("web-bff", "catalog", "GET /catalog/products/{id}"),
        ("web-bff", "pricing", "pricing.Pricing/Quote"),
        ("web-bff", "inventory", "inventory.Inventory/CheckAvailability"),
    ][site.place];
    let calls: f64 = match site.place {
        0 => plan.visits("catalog", "GET /catalog/products/{id}") + plan.visits("catalog", "GET /catalog/featured"),
        1 => ["GET /bff/products/{id}", "GET /bff/search"].iter().map(|page| plan.visits("web-bff", page)).sum(),
        _ => plan.visits("web-bff", "GET /bff/products/{id}"),
    };
    const MESSAGES_PER_CALL: f64 = 2.0;
    let message = site.busy_time(calls * MESSAGES_PER_CALL, 1);
    plan.links.push(Link { caller, callee, message });
    let truth = Truth::at(caller, operation, "CLIENT", "network", &["queue"]).peer(callee).also(callee, operation);
    match site.place {
        0 => truth.also(caller, "GET /catalog/featured").also(callee, "GET /catalog/featured"),
        _ => truth,
    }
}

pub fn gc_pauses(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) =
        [("catalog", "GET /catalog/products/{id}"), ("pricing", "pricing.Pricing/Quote")][site.place];
    let served: f64 = match plan.service(service) {
        Some(found) => found.operations.iter().map(|operation| plan.visits(service, operation.name)).sum(),
        None => 0.0,
    };
    let rate = site.peak * served / instances(plan, service) as f64;
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
    let mut truth = Truth::at(service, operation, "SERVER", "self", &["queue", "lock", "network"]);
    for other in plan.service(service).map(|found| found.operations.as_slice()).unwrap_or_default() {
        truth = seen_by_callers(plan, truth.also(service, other.name), service, other.name);
    }
    truth
}

fn instances(plan: &Plan, service: &str) -> usize {
    plan.service(service).map_or(1, |found| found.instances)
}

/// For how long one customer request occupies connections of a service, in ms.
fn connection_demand(plan: &Plan, service: &str) -> Millis {
    let Some(found) = plan.service(service) else { return 0.0 };
    let held = |step: &Step| match step {
        Step::Query(_) | Step::Transaction { .. } => plan.time_of(std::slice::from_ref(step)),
        _ => 0.0,
    };
    let operations = found.operations.iter();
    operations.map(|o| plan.visits(service, o.name) * o.steps.iter().map(held).sum::<f64>()).sum()
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

/// A wait before the SERVER span shows in the callers' CLIENT spans, which carry the same name.
fn seen_by_callers(plan: &Plan, truth: Truth, service: &str, operation: &str) -> Truth {
    let mut truth = truth;
    for caller in &plan.services {
        if caller.operations.iter().any(|found| calls(&found.steps, service, operation)) {
            truth = truth.also(caller.name, operation);
        }
    }
    truth
}

fn calls(steps: &[Step], service: &str, operation: &str) -> bool {
    steps.iter().any(|step| match step {
        Step::Call(call) => call.service == service && call.operation == operation,
        Step::Fork(branches) => branches.iter().any(|branch| calls(branch, service, operation)),
        _ => false,
    })
}
