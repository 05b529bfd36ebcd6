//! Faults in stores and in how they are used: databases and caches.

use super::place::{Part, Place, Survey, is_only_in, statements, steady_statements};
use super::{Fault, Site, Truth, each, edit_query};
use crate::shop::generated::select;
use crate::shop::plan::{ACTIVE_PER_RATE, Lock, Plan, Query, Scope, Step, steps_in};

pub const SLOW_SQL: Fault = Fault {
    name: "slow_sql",
    does: "one statement is slow: it waits for a row lock, or scans for want of an index",
    shop: &[
        Place::with("inventory", "inventory.Inventory/Reserve", statement("UPDATE stock", "inventory-db", true)),
        Place::with("catalog", "GET /catalog/products/{id}", statement("SELECT reviews", "catalog-db", false)),
        Place::with("order", "POST /orders", statement("INSERT orders", "order-db", true)),
        Place::with(
            "recommendation",
            "GET /recommendations",
            statement("SELECT co_purchases", "recommendation-db", false),
        ),
    ],
    find: slow_statements,
    edit: slow_sql,
};

const fn statement(summary: &'static str, store: &'static str, locked: bool) -> Part {
    Part::Statement { summary, store, locked }
}

/// How much else a store may be asked, for each use by the statement whose store a fault makes small: the others wait
/// there too, and must not be what is seen most.
const FEW: f64 = 0.3;

fn slow_statements(survey: &Survey<'_>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for (service, operation) in survey.operations() {
        for query in steady_statements(&operation.steps) {
            let (summary, store) = (query.summary, query.store);
            let is_same = |place: &Place| {
                place.service == service.name
                    && matches!(place.part, Part::Statement { summary: s, .. } if s == summary)
            };
            if places.iter().any(is_same) {
                continue;
            }
            let (others, demand) = survey.others_at_store(store, service.name, summary);
            let writes = summary.starts_with("UPDATE") || summary.starts_with("INSERT");
            let locked = writes || others > FEW * statements(survey.plan, service.name, summary);
            let part = statement(summary, store, locked);
            let beside = if locked { 0.0 } else { demand };
            places.push(Place { beside, ..Place::with(service.name, operation.name, part) });
        }
    }
    places
}

fn slow_sql(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let Part::Statement { summary, store, locked } = place.part else { return Truth::none() };
    let time = site.busy_time(statements(plan, place.service, summary), 1, place.beside);
    let row = Lock { name: "hot row", scope: Scope::Shop, permits: 1, only: None };
    edit_query(plan, place.service, summary, &mut |query| {
        query.time = time;
        query.exclusive = locked.then(|| row.clone());
    });
    if !locked {
        limit_store(plan, store, 1);
    }
    Truth::at(place.service, summary, "CLIENT", "database", &["lock"]).peer(store)
}

pub const N_PLUS_ONE: Fault = Fault {
    name: "n_plus_one",
    does: "a list is read with one query for each of its items",
    shop: &[
        Place::with(
            "catalog",
            "GET /catalog/products/{id}",
            Part::List {
                summary: "SELECT reviews",
                store: "catalog-db",
                item: "SELECT review_authors",
                text: "SELECT display_name, avatar FROM review_authors WHERE review_id = $1",
            },
        ),
        Place::with(
            "order",
            "GET /orders",
            Part::List {
                summary: "SELECT orders",
                store: "order-db",
                item: "SELECT order_items",
                text: "SELECT sku, quantity, unit_price FROM order_items WHERE order_id = ?",
            },
        ),
        Place::with(
            "recommendation",
            "GET /recommendations",
            Part::List {
                summary: "SELECT co_purchases",
                store: "recommendation-db",
                item: "SELECT products",
                text: "SELECT title, image, price FROM products WHERE id = $1",
            },
        ),
    ],
    find: lists,
    edit: n_plus_one,
};

/// Items of a list.
const ITEMS: f64 = 10.0;

fn lists(survey: &Survey<'_>) -> Vec<Place> {
    let mut places = Vec::new();
    for (service, operation) in survey.operations() {
        let mut read = steady_statements(&operation.steps).into_iter().filter(|q| q.summary.starts_with("SELECT "));
        let Some(list) = read.next() else { continue };
        let table = format!("{}_items", list.summary.trim_start_matches("SELECT "));
        let (item, text) = select(&table, "parent_id");
        let part = Part::List { summary: list.summary, store: list.store, item, text };
        let (others, demand) = survey.others_at_store(list.store, service.name, list.summary);
        let lists = statements(survey.plan, service.name, list.summary);
        if others + lists <= FEW * ITEMS * survey.visits(service.name, operation.name) {
            let beside = demand + lists * LIST_MS;
            places.push(Place { beside, ..Place::with(service.name, operation.name, part) });
        }
    }
    places
}

/// What reading the list itself takes, in ms.
const LIST_MS: f64 = 1.0;

fn n_plus_one(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let Part::List { summary, store, item, text } = place.part else { return Truth::none() };
    let time = site.busy_time(plan.visits(service, operation) * ITEMS, 1, place.beside);
    let each_item = Query { store, summary: item, text, time, exclusive: None };
    if let Some(steps) = plan.steps_mut(service, operation) {
        insert_after_query(steps, summary, &Step::Repeat { times: ITEMS, steps: vec![Step::Query(each_item)] });
    }
    edit_query(plan, service, summary, &mut |query| query.time = LIST_MS);
    limit_store(plan, store, 1);
    Truth::at(service, item, "CLIENT", "n_plus_one", &["database"]).peer(store)
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

pub const CACHE_MISS_STORM: Fault = Fault {
    name: "cache_miss_storm",
    does: "a cache is too small for the customers of the peak, so it misses",
    shop: &[
        Place::with("user", "GET /users/{id}/session", statement("SELECT sessions", "user-db", false)),
        Place::with("pricing", "pricing.Pricing/Quote", statement("SELECT price_rules", "pricing-db", false)),
    ],
    find: cached_statements,
    edit: cache_miss_storm,
};

/// Statements that only a cache makes when it misses, where that happens to so many requests that it counts.
fn cached_statements(survey: &Survey<'_>) -> Vec<Place> {
    const VISITS: f64 = 0.2;
    let mut places = Vec::new();
    for (service, operation) in survey.operations() {
        for step in steps_in(&operation.steps) {
            let Step::Cache(cache) = step else { continue };
            let [Step::Query(missed)] = cache.miss.as_slice() else { continue };
            let is_frequent = survey.visits(service.name, operation.name) >= VISITS;
            if is_frequent && is_only_in(service, operation, missed.summary) {
                let part = statement(missed.summary, missed.store, false);
                places.push(Place::with(service.name, operation.name, part));
            }
        }
    }
    places
}

fn cache_miss_storm(plan: &mut Plan, place: &Place, site: &Site) -> Truth {
    let (service, operation) = (place.service, place.operation);
    let Part::Statement { summary, store, .. } = place.part else { return Truth::none() };
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
    // The store bears it if each look-up misses.
    let cores = plan.stores.iter().find(|found| found.name == store).map_or(1, |found| found.cores);
    let borne = site.busy_time(plan.visits(service, operation), cores, 0.0);
    edit_query(plan, service, summary, &mut |query| query.time = READ_FROM_DISK_MS.min(borne));
    Truth::at(service, summary, "CLIENT", "cache", &["database", "structure", "n_plus_one"])
        .peer(store)
        .also(service, operation)
}

fn limit_store(plan: &mut Plan, store: &str, cores: usize) {
    if let Some(found) = plan.stores.iter_mut().find(|found| found.name == store) {
        found.cores = cores;
    }
}
