//! Answers: SQL, single traces, metric series and analyses over one snapshot of a tenant's tables.
//!
//! ```text
//!  storage ──Snapshot──▶ tables (views over memory ∪ Parquet) ──▶ sandbox ▸ plan ▸ execute ──▶ output
//!                                                     └──▶ analyses, traces, metrics: small cubes, then pure maths
//! ```
//! [`Engine`] is the one entry: [`Engine::sql`], [`Engine::trace`], [`Engine::metric_names`],
//! [`Engine::metric_series`], [`analysis::run`] and [`schema`].
//!
//! *Architecture invariant:* nothing here can change data or hold up ingest: queries read snapshots, on threads of
//! their own at lower priority, within limits on memory, time and size of the answer.

pub mod analysis;
mod error;
mod fold;
pub mod functions;
pub mod metrics;
pub mod output;
mod overflow;
mod query;
mod sandbox;
mod session;
pub mod tables;
pub mod trace;

#[cfg(test)]
mod tests;

pub use analysis::summed::summaries;
pub use query::Query;
pub use session::{Engine, Load, OUTCOMES, QueryResult, Settings, machine_memory};

/// What SQL can name: for `/api/v1/schema` and for completion.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Schema {
    pub tables: Vec<tables::describe::Table>,
    pub functions: Vec<functions::Doc>,
}

pub fn schema() -> model::Result<Schema> {
    let tables = tables::describe::tables().map_err(error::from_datafusion)?;
    let functions = functions::OURS.iter().copied().chain(analysis::table_function_docs()).collect();
    Ok(Schema { tables, functions })
}
