//! Database statements without their literals, ranked by the time that requests wait for them: one row for all calls
//! of one statement, whatever its values were.

mod normal;
mod shapes;

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use model::schema::column;
use model::{Result, TraceId};
use serde_json::{Value, json};

use super::batch::{ids, int, ints, trace_id};
use super::called::{self, Called, DB_SYSTEM, Operations};
use super::columns::{self, float, int as int_column, text};
use super::histogram::Histogram;
use super::names::{Names, TextColumn};
use super::report::Report;
use super::scope::{Scope, started_in};
use super::times;
use super::{Analysis, Parameter, Running};
use crate::fold::Fold;
use crate::query::Query;
use normal::normal;
pub use shapes::Shapes;

pub const ANALYSIS: Analysis = Analysis {
    name: "statements",
    title: ("Statements", "数据库语句"),
    doc: "Database statements with their literals left out, ranked by their time on the critical path.",
    parameters: &[Parameter { name: "limit", doc: "statements at most (100)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Statements that are told apart; the rest, by services and databases, counts as one each.
const MOST: usize = 5_000;
/// Texts remembered with their normal form. Systems that write values into their statements have no end of them.
const REMEMBERED: usize = 20_000;
const REST: &str = "(other statements)";
/// What a database was told, as SQL.
pub const STATEMENT: &str = "coalesce(db_query_text, db_statement, db_query_summary)";

fn schema() -> SchemaRef {
    let mut fields = vec![text("service"), text("peer"), text("system"), text("operation"), text("statement")];
    fields.extend([int_column("count"), float("rate"), int_column("errors")]);
    fields.extend(["mean_ns", "p50_ns", "p99_ns", "total_ns", "critical_ns"].map(int_column));
    fields.extend([float("critical_share"), text("slowest")]);
    columns::schema(fields)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, 1_000)? as usize;
    let sql = format!(
        "SELECT {}, {DB_SYSTEM} AS system, {STATEMENT} AS statement, \
                trace_id_bytes, {}, {}, status_code \
         FROM spans WHERE {DB_SYSTEM} IS NOT NULL AND {} AND {}",
        called::columns(),
        column::DURATION,
        column::CRITICAL_PATH,
        started_in(scope.window),
        scope.conditions(),
    );
    let seen = query.fold(&sql, Statements::default).await?.fold;
    Ok(Report::new("statements", seen.answer(scope.window.seconds(), limit)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    operation: u32,
    system: u32,
    statement: u32,
}

#[derive(Default)]
struct Figures {
    errors: u64,
    total: i64,
    critical: i64,
    latency: Histogram,
    /// Duration, ns, and trace.
    slowest: (i64, u128),
}

#[derive(Default)]
struct Statements {
    operations: Operations,
    names: Names,
    by_key: HashMap<Key, Figures>,
    remembered: HashMap<String, u32>,
}

impl Statements {
    /// The number of a statement's normal form.
    fn statement(&mut self, raw: Option<&str>) -> u32 {
        let Some(raw) = raw.filter(|raw| !raw.is_empty()) else { return super::names::NONE };
        if let Some(number) = self.remembered.get(raw) {
            return *number;
        }
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        let normal = normal(raw);
        // One more than are told apart may never come again.
        let known = self.names.find(&normal).or_else(|| (self.by_key.len() >= MOST).then(|| self.names.number(REST)));
        let number = known.unwrap_or_else(|| self.names.number(&normal));
        self.remembered.insert(raw.to_owned(), number);
        number
    }

    fn figures(&mut self, key: Key) -> &mut Figures {
        let known = self.by_key.contains_key(&key) || self.by_key.len() < MOST;
        let key = if known { key } else { Key { statement: self.names.number(REST), ..key } };
        self.by_key.entry(key).or_default()
    }

    fn answer(&self, seconds: f64, limit: usize) -> Value {
        let all = times::total(self.by_key.values().map(|figures| figures.critical));
        let mut rows: Vec<(&Key, &Figures)> = self.by_key.iter().collect();
        rows.sort_by_key(|(key, f)| (std::cmp::Reverse((f.critical, f.total)), key.operation, key.statement));
        let row = |(key, figures): (&Key, &Figures)| {
            let operation = self.operations.operation(key.operation);
            let count = figures.latency.count();
            let quantile = |q: f64| figures.latency.quantile(q).map(|ns| ns as i64);
            json!({
                "service": operation.service,
                "operation": operation.operation,
                "span_kind": operation.kind.name(),
                "peer": operation.peer.map(|peer| peer.name),
                "system": self.names.some_text(key.system),
                "statement": self.names.some_text(key.statement),
                "count": count,
                "rate": count as f64 / seconds,
                "errors": figures.errors,
                "mean_ns": figures.total / count.max(1) as i64,
                "p50_ns": quantile(0.5),
                "p99_ns": quantile(0.99),
                "total_ns": figures.total,
                "critical_ns": figures.critical,
                "critical_share": if all > 0 { figures.critical as f64 / all as f64 } else { 0.0 },
                "slowest": TraceId(figures.slowest.1.to_be_bytes()).to_string(),
            })
        };
        let found = rows.len();
        json!({ "found": found, "statements": rows.into_iter().take(limit).map(row).collect::<Vec<_>>() })
    }
}

impl Fold for Statements {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut called = Called::of(batch)?;
        let (mut system, raw) = (TextColumn::of(batch, "system")?, TextColumn::of(batch, "statement")?);
        let status = TextColumn::of(batch, column::STATUS_CODE)?;
        let traces = ids(batch, "trace_id_bytes")?;
        let (durations, critical) = (ints(batch, column::DURATION)?, ints(batch, column::CRITICAL_PATH)?);
        for row in 0..batch.num_rows() {
            let key = Key {
                operation: called.number(row, &mut self.operations),
                system: system.number(row, &mut self.names),
                statement: self.statement(raw.text(row)),
            };
            let duration = int(durations, row);
            let figures = self.figures(key);
            figures.errors += u64::from(status.text(row) == Some("ERROR"));
            times::add(&mut figures.total, duration);
            times::add(&mut figures.critical, int(critical, row));
            figures.latency.record(duration);
            figures.slowest = figures.slowest.max((duration, trace_id(traces, row)));
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let (_, operations) = self.operations.take_in(&other.operations);
        let names = self.names.take_in(&other.names);
        for (key, more) in other.by_key {
            let figures = self.figures(Key {
                operation: operations[key.operation as usize],
                system: names[key.system as usize],
                statement: names[key.statement as usize],
            });
            figures.errors += more.errors;
            times::add(&mut figures.total, more.total);
            times::add(&mut figures.critical, more.critical);
            figures.latency.merge(&more.latency);
            figures.slowest = figures.slowest.max(more.slowest);
        }
    }

    fn size(&self) -> usize {
        // A remembered text is a statement of some hundred bytes; a histogram has some hundred buckets.
        self.operations.size() + self.names.size() + self.remembered.len() * 512 + self.by_key.len() * 1_280
    }
}
