//! The analyses: each one file and one line in [`all`]. HTTP routes, SQL table functions, `hotspan analyze` and the
//! page's menu follow from the registry.
//!
//! Every analysis works over all traces of its window, from the columns that assembly filled when rows were written
//! (`critical_path_ns`, `self_time_ns`, `entry_…`) and, for what is still in memory, from the same function run on
//! the fly. SQL groups spans into small cubes; the mathematics is in pure functions beside it.

mod alike;
pub mod amplification;
pub mod attributes;
mod batch;
mod called;
pub mod capacity;
pub mod cold_starts;
pub mod columns;
pub mod compare;
pub mod coordinated_omission;
mod counts;
pub mod critical_path;
pub mod difference;
mod examples;
pub mod exceptions;
pub mod flame;
pub mod heatmap;
pub mod hidden;
pub mod histogram;
pub mod hotspots;
pub mod instance_skew;
mod learn;
pub mod log_patterns;
mod members;
mod messages;
mod names;
mod observe;
pub mod operations;
mod parents;
pub(crate) mod partial;
pub(crate) mod per_file;
pub mod queueing;
pub mod ranking;
pub mod rates;
mod replay;
pub mod report;
pub mod rows;
pub mod run_diff;
pub mod runs;
mod sample;
pub mod scalability;
pub mod scope;
pub mod search;
mod sentence;
pub mod service_map;
pub mod services;
pub mod significance;
pub mod statements;
pub mod steps;
pub mod summed;
mod table_function;
pub mod timeline;
mod times;
mod traces;
mod vitals;
pub mod what_if;

use std::pin::Pin;

use arrow::datatypes::SchemaRef;
use model::{Error, Result, Tenant};
use serde_json::Value;

use crate::query::Query;
use crate::session::Engine;
pub use report::Report;
pub use scope::{PARAMETERS as SCOPE_PARAMETERS, Scope, Window};
pub use table_function::{docs as table_function_docs, table_functions};

pub type Running = Pin<Box<dyn Future<Output = Result<Report>> + Send>>;

/// A parameter besides those that every analysis takes (`scope`).
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Parameter {
    pub name: &'static str,
    pub doc: &'static str,
}

/// One registered analysis.
pub struct Analysis {
    /// Its name in URLs; SQL has `_` for `-`.
    pub name: &'static str,
    pub title: (&'static str, &'static str),
    pub doc: &'static str,
    pub parameters: &'static [Parameter],
    /// The columns of its rows, for SQL.
    pub schema: fn() -> SchemaRef,
    pub run: fn(Query, Scope) -> Running,
}

/// Every analysis, in the order of the menu.
pub fn all() -> &'static [Analysis] {
    &[
        hotspots::ANALYSIS,
        timeline::ANALYSIS,
        heatmap::ANALYSIS,
        compare::ANALYSIS,
        flame::ANALYSIS,
        critical_path::ANALYSIS,
        capacity::ANALYSIS,
        what_if::ANALYSIS,
        hidden::ANALYSIS,
        queueing::ANALYSIS,
        amplification::ANALYSIS,
        statements::ANALYSIS,
        exceptions::ANALYSIS,
        log_patterns::ANALYSIS,
        instance_skew::ANALYSIS,
        cold_starts::ANALYSIS,
        coordinated_omission::ANALYSIS,
        service_map::ANALYSIS,
        services::ANALYSIS,
        operations::ANALYSIS,
        search::ANALYSIS,
        attributes::ANALYSIS,
        run_diff::ANALYSIS,
    ]
}

pub fn find(name: &str) -> Result<&'static Analysis> {
    let known = || all().iter().map(|a| a.name).collect::<Vec<_>>().join(", ");
    all().iter().find(|a| a.name == name).ok_or_else(|| {
        Error::not_found(format!("there is no analysis {name:?}")).hint(format!("there are {}", known()))
    })
}

/// Writes an answer in another form.
pub type Write = fn(&Value, &[(String, String)]) -> Result<String>;

/// Another form of an analysis' answer, asked for with `format`.
pub struct Export {
    pub analysis: &'static str,
    pub format: &'static str,
    pub media_type: &'static str,
    /// Writes the answer, with the parameters of the request.
    pub write: Write,
}

const EXPORTS: &[Export] = &[
    Export {
        analysis: capacity::ANALYSIS.name,
        format: "sentinel",
        media_type: "application/json",
        write: capacity::rules::as_sentinel,
    },
    Export {
        analysis: capacity::ANALYSIS.name,
        format: "envoy",
        media_type: "application/yaml",
        write: capacity::rules::as_envoy,
    },
];

/// The form that a request asks for; `None`: the analysis' own JSON.
pub fn export(analysis: &str, parameters: &[(String, String)]) -> Result<Option<&'static Export>> {
    let given = parameters.iter().find(|(name, value)| name == "format" && !value.is_empty() && value != "json");
    let Some((_, format)) = given else { return Ok(None) };
    find(analysis)?;
    let of_it = || EXPORTS.iter().filter(|export| export.analysis == analysis);
    if let Some(export) = of_it().find(|export| export.format == format) {
        return Ok(Some(export));
    }
    let known: Vec<&str> = std::iter::once("json").chain(of_it().map(|export| export.format)).collect();
    Err(Error::invalid(format!("{analysis} has no format {format:?}"))
        .hint(format!("its formats: {}", known.join(", "))))
}

/// Runs an analysis with URL parameters and returns its JSON answer with `meta`.
pub async fn run(engine: &Engine, tenant: &Tenant, name: &str, parameters: &[(String, String)]) -> Result<Value> {
    let analysis = find(name)?;
    let parameters = parameters.to_vec();
    let answer = engine.run(tenant, move |query| async move {
        let started = std::time::Instant::now();
        let scope = runs::scope(&query, analysis, &parameters).await?;
        let (window, fresh) = (scope.window, runs::too_fresh(&scope, query.now()));
        let mut report = (analysis.run)(query, scope).await?;
        report.notes.extend(fresh);
        report.finish(window, started.elapsed());
        Ok(report.json)
    });
    answer.await
}
