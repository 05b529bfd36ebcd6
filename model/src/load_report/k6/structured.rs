//! k6's structured summary (`--new-machine-readable-summary`, since 1.5), put into the words of the older ones, which
//! `summary.rs` takes its figures from:
//!
//! ```text
//!   {"version": "1.0.0", "config": {"duration": seconds, …}, "metadata": {"generated_at", "k6_version"},
//!    "results": {"metrics": [{"name", "type", "values"}, …], …}}
//!
//!   counter {count}                        ─▶ count, rate (over the duration)
//!   rate    {matches, total, rate}         ─▶ passes
//!   trend   {avg, min, med, max, p90, p95} ─▶ the same, p(90), p(95)
//! ```
//! What is of k6's own is written `k6_version` and `p90`; its schema has `k6Version` and `p(90)`, which are read as well.

use serde_json::{Map, Value};

use super::super::Nanos;
use super::super::figures::short;
use crate::time::{SECOND, rfc3339};
use crate::{Error, Result};

pub struct Structured {
    pub metrics: Map<String, Value>,
    pub duration: Option<Nanos>,
    /// When the summary was made: right after the test, unless k6 was told to linger.
    pub made: Option<Nanos>,
    /// That of k6.
    pub version: Option<String>,
}

pub fn looks_like(summary: &Value) -> bool {
    summary["results"]["metrics"].is_array()
}

pub fn read(summary: &Value) -> Result<Structured> {
    check_version(&summary["version"])?;
    let seconds = summary["config"]["duration"].as_f64().filter(|seconds| *seconds > 0.0 && seconds.is_finite());
    let mut metrics = Map::new();
    for metric in summary["results"]["metrics"].as_array().into_iter().flatten() {
        if let (Some(name), Some(values)) = (metric["name"].as_str(), metric["values"].as_object()) {
            metrics.insert(name.to_owned(), older(values, seconds).into());
        }
    }
    let metadata = &summary["metadata"];
    Ok(Structured {
        metrics,
        duration: seconds.map(|seconds| (seconds * SECOND as f64).round() as Nanos),
        made: either(metadata, ["generated_at", "generatedAt"]).and_then(rfc3339),
        version: either(metadata, ["k6_version", "k6Version"]).map(short),
    })
}

/// That of the schema, of which only its first number tells what can be read.
fn check_version(version: &Value) -> Result<()> {
    let version = version.as_str().unwrap_or("1");
    match version.split('.').next() {
        Some("1") => Ok(()),
        _ => Err(Error::invalid(format!("the summary of k6 has version {:?} of its form; 1 is known", short(version)))
            .hint("see whether a newer hotspan reads it, or give the points of k6 run --out json=points.json")),
    }
}

fn either<'a>(object: &'a Value, names: [&str; 2]) -> Option<&'a str> {
    names.into_iter().find_map(|name| object[name].as_str())
}

/// The values of a metric as the older summaries have them.
fn older(values: &Map<String, Value>, seconds: Option<f64>) -> Map<String, Value> {
    let mut older = Map::new();
    for (name, value) in values.iter().filter(|(_, value)| value.is_number()) {
        let percentile = name.strip_prefix('p').filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        let name = match percentile {
            Some(percentile) => format!("p({percentile})"),
            None if name == "matches" => "passes".to_owned(),
            None => name.clone(),
        };
        older.insert(name, value.clone());
    }
    if let Some((count, seconds)) = values.get("count").and_then(Value::as_f64).zip(seconds) {
        older.insert("rate".to_owned(), (count / seconds).into());
    }
    older
}
