//! How much of everything a generated plan gets: so much that nothing is half full at the peak.

use crate::shop::plan::{Millis, Plan, Step, Use};

/// Customer requests per second for which a generated plan is made.
pub const PEAK: f64 = 100.0;
/// How full a station is at that rate, at most.
const FULL: f64 = 0.25;

/// Adds workers, cores and connections where the peak needs more than there are.
pub fn provision(plan: &mut Plan) {
    let visits = plan.all_visits();
    let sized: Vec<_> = plan
        .services
        .iter()
        .map(|service| {
            let each = |time: &dyn Fn(&[Step]) -> Millis| -> Millis {
                let of = |name| visits.get(&(service.name, name)).copied().unwrap_or(0.0);
                service.operations.iter().map(|operation| of(operation.name) * time(&operation.steps)).sum()
            };
            let visited: f64 = each(&|_| 1.0);
            let served = each(&|steps| plan.time_of(steps));
            let held = each(&|steps| plan.connection_time(steps));
            (visited, served, held, plan.cpu_demand(service.name))
        })
        .collect();
    for (service, (visited, served, held, cpu)) in plan.services.iter_mut().zip(sized) {
        let enough = |demand: Millis| (PEAK * demand / 1e3 / service.instances as f64 / FULL).ceil() as usize;
        service.workers = service.workers.max(enough(served));
        service.connections = service.connections.max(enough(held));
        service.cores = service.cores.max(enough(cpu));
        // The more requests, the less each of them leaves behind, or a busy service would collect all the time.
        service.heap.live_per_customer_mib /= visited.max(1.0);
        service.heap.per_request_mib /= visited.max(1.0);
    }
    provision_stores(plan);
}

fn provision_stores(plan: &mut Plan) {
    let demands: Vec<Millis> = plan.stores.iter().map(|store| store_demand(plan, store.name)).collect();
    for (store, demand) in plan.stores.iter_mut().zip(demands) {
        store.cores = store.cores.max((PEAK * demand / 1e3 / FULL).ceil() as usize);
    }
}

/// For how long one customer request keeps a store busy.
fn store_demand(plan: &Plan, store: &str) -> Millis {
    let mut demand = 0.0;
    plan.each_use(&mut |_, _, what, weight| match what {
        Use::Step(Step::Query(query)) if query.store == store => demand += weight * query.time,
        _ => {}
    });
    demand
}
