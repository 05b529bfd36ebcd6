//! Services: rate, errors and latency of what each of them serves, and its share of the critical path.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::datatypes::SchemaRef;
use model::Result;
use model::trace::SpanKind;
use serde_json::{Value, json};

use super::columns::{self, float, int, text};
use super::operations::{TREND, error_rate};
use super::rates::{self, Figures, Rated, Rates};
use super::report::Report;
use super::scope::Scope;
use super::times;
use super::{Analysis, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "services",
    title: ("Services", "应用列表"),
    doc: "Rate, errors and latency of every service, over what it serves (SERVER and CONSUMER spans).",
    parameters: &[],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    columns::schema([
        text("service"),
        int("instances"),
        int("operations"),
        int("spans"),
        float("rate"),
        int("errors"),
        float("error_rate"),
        int("p50_ns"),
        int("p90_ns"),
        int("p99_ns"),
        float("critical_share"),
    ])
}

/// What is listed of one service.
#[derive(Default)]
struct Service<'a> {
    instances: BTreeSet<&'a str>,
    spans: u64,
    critical_ns: i64,
    /// Of what it serves.
    serving: Served<'a>,
    /// Of all its spans: a service that serves nothing (a job) is judged by them.
    whole: Served<'a>,
}

#[derive(Default)]
struct Served<'a> {
    names: BTreeSet<&'a str>,
    figures: Figures,
}

impl<'a> Served<'a> {
    fn add(&mut self, rated: &Rated<'a>) {
        self.names.insert(rated.operation);
        self.figures.merge(rated.figures);
    }
}

fn services(rates: &Rates) -> BTreeMap<&str, Service<'_>> {
    let mut services: BTreeMap<&str, Service> = BTreeMap::new();
    let mut names = HashMap::new();
    for rated in rates.iter() {
        names.insert(rated.number, rated.service);
        let service = services.entry(rated.service).or_default();
        service.spans += rated.figures.count();
        times::add(&mut service.critical_ns, rated.figures.critical_ns);
        service.whole.add(&rated);
        if matches!(SpanKind::parse(rated.kind), SpanKind::Server | SpanKind::Consumer) {
            service.serving.add(&rated);
        }
    }
    for (operation, instance) in rates.instances() {
        if let Some(service) = names.get(&operation).and_then(|name| services.get_mut(name)) {
            service.instances.insert(instance);
        }
    }
    services
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let rates = rates::read(&query, &scope, TREND).await?;
    let bins = rates.fold.bins.before(scope.window.end);
    let services = services(&rates.fold);
    let critical = times::total(services.values().map(|service| service.critical_ns));
    let seconds = scope.window.seconds();
    let mut services: Vec<_> = services.into_iter().collect();
    services.sort_by_key(|(_, service)| std::cmp::Reverse(service.critical_ns));
    let row = |(name, service): &(&str, Service)| {
        let serves = service.serving.figures.count() > 0;
        let Served { names, figures } = if serves { &service.serving } else { &service.whole };
        let count = figures.count();
        let quantile = |q: f64| figures.latency.quantile(q);
        json!({
            "service": name,
            "instances": service.instances.len(),
            "operations": names.len(),
            "spans": service.spans,
            "rate": count as f64 / seconds,
            "errors": figures.errors,
            "error_rate": error_rate(figures.errors, count),
            "p50_ns": quantile(0.5),
            "p90_ns": quantile(0.9),
            "p99_ns": quantile(0.99),
            "critical_share": if critical == 0 { 0.0 } else { service.critical_ns as f64 / critical as f64 },
            "trend": serves.then(|| figures.trend(bins)),
        })
    };
    let services: Vec<Value> = services.iter().map(row).collect();
    Ok(Report::new("services", json!({"services": services})))
}
