//! Functions (FaaS): invocations that say `faas.coldstart` beside those of the same operation that do not.

use model::Result;
use serde_json::{Value, json};

use super::super::rows::{Row, read as rows};
use super::super::scope::{Scope, Window, quoted, started_in};
use super::sentences;
use crate::query::Query;

/// Spans that serve.
pub const SERVED: &str = "kind IN ('SERVER', 'CONSUMER')";
/// The attribute's true, looked for as bytes first, which spares most spans the reading of their JSON.
const COLD: &str =
    "(other_attributes LIKE '%\"faas.coldstart\":true%' AND other_attributes->>'faas.coldstart' = 'true')";

/// Invocations and their durations, ns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Invocations {
    pub calls: i64,
    time: f64,
}

impl Invocations {
    fn mean(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.time / self.calls as f64)
    }
}

pub struct Function {
    service: String,
    operation: String,
    pub cold: Invocations,
    warm: Invocations,
}

impl Function {
    /// What cold invocations took longer than warm ones; 0 without a warm one.
    pub fn lost(&self) -> f64 {
        let warm = self.warm.mean().unwrap_or(f64::INFINITY);
        (self.cold.time - self.cold.calls as f64 * warm).max(0.0)
    }

    pub fn json(&self) -> Value {
        let (cold, warm) = (self.cold.mean(), self.warm.mean());
        let known = warm.is_some();
        json!({
            "kind": "function",
            "service": self.service,
            "operation": self.operation,
            "started": self.cold.calls,
            "slow": known.then_some(self.cold.calls),
            "warm": Value::Null,
            "too_few_calls": if known { 0 } else { self.cold.calls },
            "unsteady": 0,
            "slow_for_ns": Value::Null,
            "longest_slow_for_ns": Value::Null,
            "calls": self.cold.calls,
            "mean_ns": cold.map(|ns| ns as i64),
            "later_mean_ns": warm.map(|ns| ns as i64),
            "ratio": cold.zip(warm).filter(|(_, warm)| *warm > 0.0).map(|(cold, warm)| cold / warm),
            "lost_ns": self.lost() as i64,
            "lost_ns_per_call": (self.lost() / self.cold.calls.max(1) as f64) as i64,
            "instances": [],
            "explanation":
                sentences::function(&self.service, &self.operation, self.cold.calls, cold.zip(warm), self.lost()),
        })
    }
}

/// The functions of which an invocation began cold.
pub async fn read(query: &Query, scope: &Scope, window: Window) -> Result<Vec<Function>> {
    let select = |columns: &str, condition: &str| {
        format!(
            "SELECT service_name, name, {columns} FROM spans WHERE {} AND {} AND {SERVED} AND {condition} GROUP BY 1, 2",
            started_in(window),
            scope.conditions(),
        )
    };
    let columns = "count(*) AS n, CAST(sum(duration_ns) AS DOUBLE) AS t";
    let mut functions: Vec<Function> = Vec::new();
    for row in rows(query, &select(columns, COLD)).await?.iter() {
        functions.push(Function {
            service: row.text("service_name").to_owned(),
            operation: row.text("name").to_owned(),
            cold: Invocations { calls: row.int("n"), time: row.float("t") },
            warm: Invocations::default(),
        });
    }
    if functions.is_empty() {
        return Ok(functions);
    }
    let mut services: Vec<String> = functions.iter().map(|function| quoted(&function.service)).collect();
    services.sort_unstable();
    services.dedup();
    let of_them = format!("service_name IN ({})", services.join(", "));
    let all = rows(query, &select(columns, &of_them)).await?;
    for function in &mut functions {
        let is_it = |row: &Row| row.text("service_name") == function.service && row.text("name") == function.operation;
        if let Some(row) = all.iter().find(is_it) {
            let cold = function.cold;
            function.warm = Invocations { calls: row.int("n") - cold.calls, time: row.float("t") - cold.time };
        }
    }
    Ok(functions)
}
