//! Faults in what a service depends on: databases, caches, third parties, other services, topics.

use super::{Site, Truth, each, edit_query};
use crate::shop::plan::{ACTIVE_PER_RATE, Lock, Plan, Query, Scope, Step};

pub fn slow_sql(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation, summary, store) = [
        ("inventory", "inventory.Inventory/Reserve", "UPDATE stock", "inventory-db"),
        ("catalog", "GET /catalog/products/{id}", "SELECT reviews", "catalog-db"),
        ("order", "POST /orders", "INSERT orders", "order-db"),
        ("recommendation", "GET /recommendations", "SELECT co_purchases", "recommendation-db"),
    ][site.place];
    let time = site.busy_time(plan.visits(service, operation), 1);
    let row = Lock { name: "hot row", scope: Scope::Shop, permits: 1, only: None };
    let locked = matches!(site.place, 0 | 2);
    edit_query(plan, service, summary, &mut |query| {
        query.time = time;
        query.exclusive = locked.then(|| row.clone());
    });
    if !locked {
        limit_store(plan, store, 1);
    }
    Truth::at(service, summary, "CLIENT", "database", &["lock"]).peer(store)
}

pub fn n_plus_one(plan: &mut Plan, site: &Site) -> Truth {
    const ITEMS: f64 = 10.0;
    let (service, operation, list, item, text, store) = [
        (
            "catalog",
            "GET /catalog/products/{id}",
            "SELECT reviews",
            "SELECT review_authors",
            "SELECT display_name, avatar FROM review_authors WHERE review_id = $1",
            "catalog-db",
        ),
        (
            "order",
            "GET /orders",
            "SELECT orders",
            "SELECT order_items",
            "SELECT sku, quantity, unit_price FROM order_items WHERE order_id = ?",
            "order-db",
        ),
        (
            "recommendation",
            "GET /recommendations",
            "SELECT co_purchases",
            "SELECT products",
            "SELECT title, image, price FROM products WHERE id = $1",
            "recommendation-db",
        ),
    ][site.place];
    let time = site.busy_time(plan.visits(service, operation) * ITEMS, 1);
    let each_item = Query { store, summary: item, text, time, exclusive: None };
    if let Some(steps) = plan.steps_mut(service, operation) {
        insert_after_query(steps, list, &Step::Repeat { times: ITEMS, steps: vec![Step::Query(each_item)] });
    }
    edit_query(plan, service, list, &mut |query| query.time = 1.0);
    limit_store(plan, store, 1);
    Truth::at(service, item, "CLIENT", "n_plus_one", &["database"]).peer(store)
}

pub fn slow_third_party(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation, shown_by, host) = [
        ("payment", "payment.Payment/Charge", "POST /v1/charges", "api.paygate.example"),
        ("shipping", "POST /shipments", "GET /v1/geocode", "geo.maps.example"),
    ][site.place];
    let time = site.busy_time(plan.visits(service, operation), 1);
    if let Some(steps) = plan.steps_mut(service, operation) {
        each(steps, &mut |step| {
            if let Step::ThirdParty(call) = step {
                call.limit = 1;
                call.time = time;
            }
        });
    }
    Truth::at(service, shown_by, "CLIENT", "external", &[]).peer(host)
}

pub fn cache_miss_storm(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation, summary, store) = [
        ("user", "GET /users/{id}/session", "SELECT sessions", "user-db"),
        ("pricing", "pricing.Pricing/Quote", "SELECT price_rules", "pricing-db"),
    ][site.place];
    const SPARE: f64 = 1.2;
    const READ_FROM_DISK_MS: f64 = 40.0;
    let fits = (site.base * ACTIVE_PER_RATE * SPARE) as usize;
    if let Some(steps) = plan.steps_mut(service, operation) {
        each(steps, &mut |step| {
            if let Step::Cache(cache) = step {
                cache.entries = fits;
            }
        });
    }
    edit_query(plan, service, summary, &mut |query| query.time = READ_FROM_DISK_MS);
    Truth::at(service, summary, "CLIENT", "cache", &["database", "structure", "n_plus_one"])
        .peer(store)
        .also(service, operation)
}

pub fn retry_storm(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) =
        [("search", "GET /search/products"), ("recommendation", "GET /recommendations")][site.place];
    const ATTEMPTS: u32 = 4;
    const PATIENCE: f64 = 2.5;
    let instances = plan.service(service).map_or(1, |found| found.instances);
    let unloaded = plan.unloaded_time(service, operation);
    let fit = site.fit(plan.visits(service, operation) * unloaded, instances);
    if let Some(found) = plan.service_mut(service) {
        found.workers = fit.permits;
        found.backlog = 40;
    }
    if let Some(steps) = plan.steps_mut(service, operation) {
        super::stretch(steps, fit.stretch);
    }
    for page in plan.service_mut("web-bff").map(|bff| bff.operations.as_mut_slice()).unwrap_or_default() {
        each(&mut page.steps, &mut |step| match step {
            Step::Call(call) if call.service == service => {
                call.attempts = ATTEMPTS;
                call.timeout = unloaded * fit.stretch * PATIENCE;
            }
            _ => {}
        });
    }
    Truth::at("web-bff", operation, "CLIENT", "retry", &["queue"]).peer(service).also(service, operation)
}

pub fn consumer_lag(plan: &mut Plan, site: &Site) -> Truth {
    let (service, operation) = ("notification", "process orders.placed");
    const OVERLOAD: f64 = 1.6;
    let instances = plan.service(service).map_or(1, |found| found.instances);
    let time = site.busy_time(plan.visits(service, operation), instances) * OVERLOAD;
    if let Some(found) = plan.service_mut(service) {
        found.workers = 1;
    }
    if let Some(steps) = plan.steps_mut(service, operation) {
        each(steps, &mut |step| {
            if let Step::ThirdParty(call) = step {
                call.time = time;
            }
        });
    }
    Truth::at(service, operation, "CONSUMER", "messaging", &["queue"]).peer("orders.placed")
}

fn limit_store(plan: &mut Plan, store: &str, cores: usize) {
    if let Some(found) = plan.stores.iter_mut().find(|found| found.name == store) {
        found.cores = cores;
    }
}

/// Puts a step behind the query with this summary; true when it was there.
fn insert_after_query(steps: &mut Vec<Step>, summary: &str, new: &Step) -> bool {
    let found = steps.iter().position(|step| matches!(step, Step::Query(query) if query.summary == summary));
    if let Some(index) = found {
        steps.insert(index + 1, new.clone());
        return true;
    }
    steps.iter_mut().any(|step| match step {
        Step::Transaction { steps, .. } | Step::Span { steps, .. } => insert_after_query(steps, summary, new),
        _ => false,
    })
}
