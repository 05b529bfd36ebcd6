//! Every function SQL may call: the allowed built-in ones and ours, one file each, listed in [`OURS`] with the
//! words that `/api/v1/schema` shows.
//!
//! *Invariant:* registration is a list, not a default: a function that is not named here or in [`allowed`] cannot be
//! called, whatever a new version of DataFusion brings along.

pub mod allowed;
pub(crate) mod arithmetic;
pub mod attributes;
pub mod bounded;
pub mod checked;
pub mod hex;
pub mod json;
pub mod latency;
pub mod nested;
pub mod sketch;
pub mod time_bucket;
mod typed;

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

/// What `/api/v1/schema` tells about a function.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Doc {
    pub name: &'static str,
    pub doc: &'static str,
    pub example: &'static str,
}

const fn doc(name: &'static str, doc: &'static str, example: &'static str) -> Doc {
    Doc { name, doc, example }
}

/// Our functions and operators, in the order shown.
pub const OURS: &[Doc] = &[
    doc("->", "the value of a key (text) or index (number) as JSON text", "SELECT attributes->'retry' FROM spans"),
    doc(
        "->>",
        "the value of a key or index as plain text; promoted attributes are read from their own column",
        "SELECT count(*) FROM spans WHERE attributes->>'http.route' = '/order'",
    ),
    doc("?", "whether a JSON object has a key", "SELECT name FROM spans WHERE attributes ? 'exception.type'"),
    doc("json_get_int", "an integer inside JSON, by path", "SELECT json_get_int(attributes, 'retry.count') FROM spans"),
    doc(
        "json_get_float",
        "a number inside JSON, by path",
        "SELECT json_get_float(attributes, 'cart.total') FROM spans",
    ),
    doc("json_get_bool", "a boolean inside JSON, by path", "SELECT json_get_bool(attributes, 'cache.hit') FROM spans"),
    doc(
        "json_get_str",
        "a string inside JSON, by path; null for other types",
        "SELECT json_get_str(attributes, 'user.tier') FROM spans",
    ),
    doc(
        "json_get_json",
        "any value inside JSON as JSON text, by path",
        "SELECT json_get_json(attributes, 'items', 0) FROM spans",
    ),
    doc(
        "json_as_text",
        "any value inside JSON as plain text, by path",
        "SELECT json_as_text(attributes, 'items', 0) FROM spans",
    ),
    doc("json_contains", "whether a path exists inside JSON", "SELECT json_contains(attributes, 'items') FROM spans"),
    doc("json_length", "how many elements or keys JSON has", "SELECT json_length(attributes, 'items') FROM spans"),
    doc("json_object_keys", "the keys of a JSON object", "SELECT json_object_keys(attributes) FROM spans"),
    doc("hex", "bytes as lower-case hex", "SELECT hex(from_hex('00ff'))"),
    doc("from_hex", "hex text as bytes; null when it is not hex", "SELECT from_hex('4bf92f35')"),
    doc(
        "time_bucket",
        "the start of the interval a time falls into",
        "SELECT time_bucket('10 seconds', start_time) AS t, count(*) FROM spans GROUP BY t ORDER BY t",
    ),
    doc(
        "quantile",
        "an approximate quantile of whole numbers, within 1.6 %; the greatest and the least are exact",
        "SELECT name, quantile(duration_ns, 0.99) FROM spans GROUP BY name",
    ),
    doc(
        "latency_histogram",
        "log-linear buckets as a list of (lower, upper, count)",
        "SELECT service_name, latency_histogram(duration_ns) FROM spans GROUP BY service_name",
    ),
    doc("repeat", "text repeated; the result is limited to 1 MiB a row", "SELECT repeat('ab', 3)"),
    doc("lpad", "text filled up on the left; limited to 1 MiB a row", "SELECT lpad('7', 3, '0')"),
    doc("rpad", "text filled up on the right; limited to 1 MiB a row", "SELECT rpad('7', 3, '.')"),
];

/// What a session is given; made once, as the lists are long.
pub struct Functions {
    pub scalar: Vec<Arc<ScalarUDF>>,
    pub aggregate: Vec<Arc<AggregateUDF>>,
    pub window: Vec<Arc<WindowUDF>>,
    pub planners: Vec<Arc<dyn ExprPlanner>>,
}

impl Default for Functions {
    fn default() -> Self {
        let mut scalar: Vec<_> = allowed::scalar().into_iter().map(checked::checked).collect();
        scalar.extend(json::functions());
        scalar.extend(hex::functions());
        scalar.extend(bounded::functions());
        scalar.push(time_bucket::function());
        let mut aggregate = allowed::aggregate();
        aggregate.extend(latency::functions());
        // The first planner that answers is heard, so ours come first.
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(json::JsonPlanner)];
        planners.extend(SessionStateDefaults::default_expr_planners());
        Functions { scalar, aggregate, window: allowed::window(), planners }
    }
}
