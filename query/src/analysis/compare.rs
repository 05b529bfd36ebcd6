//! What differs: the attribute values of a selection of spans against the rest (or against a baseline's).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use model::Result;
use model::schema::{PROMOTED_SPAN, PromotedType};
use serde_json::{Value, json};

use super::difference::{Totals, ValueCount, differences};
use super::report::Report;
use super::rows::{Rows, read};
use super::scope::{Scope, Window, started_in};
use super::{Analysis, Parameter, Running};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "compare",
    title: ("What differs", "差异分析"),
    doc: "Attribute values that are more common in a selection of spans than elsewhere.",
    parameters: &[
        Parameter { name: "sel_start", doc: "the selection starts (the window's start)" },
        Parameter { name: "sel_end", doc: "the selection ends (the window's end)" },
        Parameter { name: "sel_min_ns", doc: "least duration of the selected spans" },
        Parameter { name: "sel_max_ns", doc: "greatest duration of the selected spans" },
        Parameter { name: "sel_errors", doc: "true: only spans with status ERROR" },
        Parameter { name: "limit", doc: "differences at most (30)" },
    ],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Spans of one side whose attributes are read; of more, an even part of all (told in the notes).
const MOST_SPANS: i64 = 100_000;
/// Different values of a key that are told apart; keys with more are ids, and cannot be what spans have in common.
const MOST_VALUES: usize = 20_000;
/// Values of one key in the answer.
const VALUES_PER_KEY: usize = 3;
/// Example traces of each side.
const EXEMPLARS: usize = 10;

/// Attributes of a span besides its attributes: instance, status and the like.
const INTRINSIC: &[(&str, &str)] =
    &[("instance_id", "instance"), ("status_code", "status"), ("service_version", "service.version"), ("name", "name")];

fn schema() -> SchemaRef {
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let float = |name: &str| Field::new(name, DataType::Float64, true);
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        text("key"),
        text("scope"),
        text("value"),
        int("selection_count"),
        int("baseline_count"),
        float("selection_share"),
        float("baseline_share"),
        float("score"),
        float("selection_coverage"),
        float("baseline_coverage"),
    ]))
}

/// The two sides as SQL conditions.
struct Sides {
    selection: String,
    baseline: String,
}

impl Sides {
    fn of(query: &Query, scope: &Scope) -> Result<Sides> {
        let now = query.now();
        let window = scope.window;
        let selected = Window {
            start: scope.time("sel_start", now)?.unwrap_or(window.start),
            end: scope.time("sel_end", now)?.unwrap_or(window.end),
        };
        let mut chosen = vec![started_in(selected)];
        if scope.text("sel_min_ns").is_some() {
            chosen.push(format!("duration_ns >= {}", scope.number("sel_min_ns", 0, 0, i64::MAX)?));
        }
        if scope.text("sel_max_ns").is_some() {
            chosen.push(format!("duration_ns <= {}", scope.number("sel_max_ns", 0, 0, i64::MAX)?));
        }
        if scope.flag("sel_errors") {
            chosen.push("status_code = 'ERROR'".to_owned());
        }
        let requests = if scope.service.is_none() { " AND (tree_flags & 128) <> 0" } else { "" };
        let matching = format!("{}{requests}", scope.conditions());
        let (chosen, window) = (chosen.join(" AND "), started_in(window));
        let selection = format!("{window} AND {matching} AND ({chosen})");
        let baseline = match scope.baseline {
            Some(baseline) => format!("{} AND {matching}", started_in(baseline)),
            None => format!("{window} AND {matching} AND NOT ({chosen})"),
        };
        Ok(Sides { selection, baseline })
    }
}

/// What was counted on one side.
#[derive(Default)]
struct Side {
    spans: u64,
    /// By scope and key, then by value.
    values: BTreeMap<(&'static str, String), HashMap<String, u64>>,
    traces: Vec<String>,
    /// One span in so many was read.
    part: f64,
}

pub(super) async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 30, 1, 1_000)? as usize;
    let sides = Sides::of(&query, &scope)?;
    let selection = read_side(&query, &sides.selection).await?;
    let baseline = read_side(&query, &sides.baseline).await?;
    let totals = Totals { selection: selection.spans, baseline: baseline.spans };
    let mut found = Vec::new();
    let keys: HashSet<&(&'static str, String)> = selection.values.keys().chain(baseline.values.keys()).collect();
    let mut by_scope: BTreeMap<&'static str, Vec<ValueCount>> = BTreeMap::new();
    for key in keys {
        let of = |side: &'_ Side| side.values.get(key).cloned().unwrap_or_default();
        let (here, there) = (of(&selection), of(&baseline));
        let values: HashSet<&String> = here.keys().chain(there.keys()).collect();
        if values.len() > MOST_VALUES {
            continue;
        }
        let count = |side: &HashMap<String, u64>, value: &String| side.get(value).copied().unwrap_or(0);
        by_scope.entry(key.0).or_default().extend(values.into_iter().map(|value| ValueCount {
            key: key.1.clone(),
            value: value.clone(),
            selection: count(&here, value),
            baseline: count(&there, value),
        }));
    }
    for (of, counts) in by_scope {
        for key in differences(&counts, totals, VALUES_PER_KEY) {
            for value in key.values.iter().filter(|v| v.score != 0.0) {
                let row = json!({
                    "key": key.key, "scope": of, "value": value.value,
                    "selection_count": value.selection, "baseline_count": value.baseline,
                    "selection_share": value.selection_share, "baseline_share": value.baseline_share,
                    "score": value.score,
                    "selection_coverage": key.selection_coverage, "baseline_coverage": key.baseline_coverage,
                });
                found.push((value.score, row));
            }
        }
    }
    // More common in the selection first: that is the question; what is rarer there follows.
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let found: Vec<Value> = found.into_iter().map(|(_, row)| row).take(limit).collect();
    let mut report = Report::new(
        "differences",
        json!({
            "selection": {"spans": (selection.spans as f64 * selection.part).round()},
            "baseline": {"spans": (baseline.spans as f64 * baseline.part).round()},
            "differences": found,
            "exemplars": {"selection": selection.traces, "baseline": baseline.traces},
        }),
    );
    for (name, side) in [("selection", &selection), ("baseline", &baseline)] {
        if side.part > 1.0 {
            report.notes.push(format!("attributes of one in {:.1} spans of the {name} were compared", side.part));
        }
    }
    Ok(report)
}

/// Reads one side's attributes: all spans, or an even part of them chosen by span id.
async fn read_side(query: &Query, condition: &str) -> Result<Side> {
    let sql = format!("SELECT count(*) AS n FROM spans WHERE {condition}");
    let total =
        read(&query.rows(&sql, vec![]).await?)?.iter().filter(|r| !r.is_empty()).map(|r| r.int("n", 0)).sum::<i64>();
    let mut side = Side { part: 1.0, ..Side::default() };
    let mut sampled = String::new();
    if total > MOST_SPANS {
        let of_256 = (256 * MOST_SPANS / total).clamp(1, 255);
        sampled = format!(" AND substr(span_id, 15, 2) < '{of_256:02x}'");
        side.part = 256.0 / of_256 as f64;
    }
    let promoted: Vec<&str> = PROMOTED_SPAN.iter().map(|p| p.column).collect();
    let intrinsic: Vec<&str> = INTRINSIC.iter().map(|(column, _)| *column).collect();
    let sql = format!(
        "SELECT trace_id, other_attributes, resource_attributes, {}, {} FROM spans WHERE {condition}{sampled}",
        intrinsic.join(", "),
        promoted.join(", ")
    );
    let mut json = JsonCounts::default();
    let batches = query.rows(&sql, vec![]).await?;
    for rows in read(&batches)? {
        for row in 0..rows.len() {
            side.count(&rows, row);
            json.count("span", rows.text("other_attributes", row));
            json.count("resource", rows.text("resource_attributes", row));
        }
    }
    json.into_side(&mut side);
    // Evenly over what was read, so that examples are typical and not all of one moment.
    let step = (side.traces.len() / EXEMPLARS).max(1);
    side.traces = side.traces.iter().step_by(step).take(EXEMPLARS).cloned().collect();
    Ok(side)
}

impl Side {
    fn count(&mut self, rows: &Rows, row: usize) {
        self.spans += 1;
        if self.traces.len() < 10_000 {
            self.traces.push(rows.text("trace_id", row).to_owned());
        }
        for (column, key) in INTRINSIC {
            if let Some(value) = rows.some_text(column, row) {
                self.add("intrinsic", key, value.to_owned(), 1);
            }
        }
        for promoted in PROMOTED_SPAN {
            let value = match promoted.ty {
                PromotedType::Text => rows.some_text(promoted.column, row).map(str::to_owned),
                // Promoted numbers are codes and ports, of which 0 is none.
                PromotedType::Int => Some(rows.int(promoted.column, row)).filter(|v| *v != 0).map(|v| v.to_string()),
            };
            if let Some(value) = value {
                self.add("span", promoted.key, value, 1);
            }
        }
    }

    fn add(&mut self, scope: &'static str, key: &str, value: String, n: u64) {
        let values = match self.values.get_mut(&(scope, key.to_owned())) {
            Some(values) => values,
            None => self.values.entry((scope, key.to_owned())).or_default(),
        };
        if values.len() <= MOST_VALUES || values.contains_key(&value) {
            *values.entry(value).or_default() += n;
        }
    }
}

/// Attribute texts repeat, resource ones nearly always: each is parsed once.
#[derive(Default)]
struct JsonCounts(HashMap<(&'static str, String), u64>);

impl JsonCounts {
    fn count(&mut self, scope: &'static str, text: &str) {
        if !text.is_empty() {
            *self.0.entry((scope, text.to_owned())).or_default() += 1;
        }
    }

    fn into_side(self, side: &mut Side) {
        for ((scope, text), n) in self.0 {
            let Ok(Value::Object(object)) = serde_json::from_str(&text) else { continue };
            for (key, value) in object {
                let value = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                side.add(scope, &key, value, n);
            }
        }
    }
}
