//! Attribute keys seen in the window, for filters and completion: the promoted columns that hold a value, and the
//! keys of a sample of the rest.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use model::Result;
use model::schema::{PROMOTED_SPAN, PromotedType};
use serde_json::{Value, json};

use super::columns::{self, text};
use super::report::Report;
use super::rows::read;
use super::scope::{Scope, started_in};
use super::{Analysis, Running};
use crate::query::Query;

/// Distinct attribute texts that are looked into; keys rarer than that are found by SQL, not offered here.
const SAMPLE: usize = 2_000;

pub const ANALYSIS: Analysis = Analysis {
    name: "attributes",
    title: ("Attributes", "属性"),
    doc: "Keys of span and resource attributes in the window.",
    parameters: &[],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    columns::schema([text("key"), text("scope"), text("type")])
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let condition = format!("{} AND {}", started_in(scope.window), scope.conditions());
    let counts: Vec<String> = PROMOTED_SPAN.iter().map(|p| format!("count({0}) AS {0}", p.column)).collect();
    let sql = format!("SELECT {} FROM spans WHERE {condition}", counts.join(", "));
    let mut keys: BTreeSet<(&str, String, &str)> = BTreeSet::new();
    for row in read(&query, &sql).await?.iter() {
        for promoted in PROMOTED_SPAN.iter().filter(|p| row.int(p.column) > 0) {
            let ty = if promoted.ty == PromotedType::Int { "int" } else { "string" };
            keys.insert(("span", promoted.key.to_owned(), ty));
        }
    }
    for (of, column) in [("span", "other_attributes"), ("resource", "resource_attributes")] {
        let sql = format!(
            "SELECT {column} AS a FROM spans WHERE {condition} AND {column} IS NOT NULL GROUP BY 1 LIMIT {SAMPLE}"
        );
        for row in read(&query, &sql).await?.iter() {
            let Ok(Value::Object(object)) = serde_json::from_str(row.text("a")) else { continue };
            keys.extend(object.into_iter().map(|(key, value)| (of, key, type_of(&value))));
        }
    }
    let keys: Vec<Value> = keys.into_iter().map(|(of, key, ty)| json!({"key": key, "scope": of, "type": ty})).collect();
    Ok(Report::new("keys", json!({"keys": keys})))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_i64() || n.is_u64() => "int",
        Value::Number(_) => "double",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) | Value::Null => "string",
    }
}
