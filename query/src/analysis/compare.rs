//! What differs: the attribute values of a selection of spans against the rest (or against a baseline's), over all of
//! them, in one pass and bounded memory ([`super::counts`]). A second pass finds traces that show it ([`typical`]).

mod typical;

use std::collections::HashMap;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use model::Result;
use model::schema::{PROMOTED_SPAN, PromotedType};
use serde_json::{Value, json};

use super::batch::ints;
use super::columns::{self, float, int, text};
use super::counts::{Keys, MOST_KEYS, MOST_VALUES, Pair};
use super::difference::{Totals, differences};
use super::members::Members;
use super::names::{Names, TextColumn};
use super::report::Report;
use super::scope::{Scope, Window, started_in};
use super::sentence::Sentence;
use super::{Analysis, Parameter, Running};
use crate::fold::Fold;
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

/// Differences in the answer, unless told otherwise.
pub(super) const MOST_DIFFERENCES: i64 = 30;
/// Values of one key in the answer.
const VALUES_PER_KEY: usize = 3;
/// Attributes of a span besides its attributes: instance, status and the like.
const INTRINSIC: &[(&str, &str)] =
    &[("instance_id", "instance"), ("status_code", "status"), ("service_version", "service.version"), ("name", "name")];

fn schema() -> SchemaRef {
    columns::schema([
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
    ])
}

/// The spans of both sides as one SQL condition, and which of them are the selection.
pub(super) struct Question {
    pub spans: String,
    pub selected: String,
}

impl Question {
    fn of(query: &Query, scope: &Scope) -> Result<Question> {
        let (now, window) = (query.now(), scope.window);
        let within = Window {
            start: scope.time("sel_start", now)?.unwrap_or(window.start),
            end: scope.time("sel_end", now)?.unwrap_or(window.end),
        };
        let mut chosen = vec![started_in(window), started_in(within)];
        if scope.text("sel_min_ns").is_some() {
            chosen.push(format!("duration_ns >= {}", scope.number("sel_min_ns", 0, 0, i64::MAX)?));
        }
        if scope.text("sel_max_ns").is_some() {
            chosen.push(format!("duration_ns <= {}", scope.number("sel_max_ns", 0, 0, i64::MAX)?));
        }
        if scope.flag("sel_errors") {
            chosen.push("status_code = 'ERROR'".to_owned());
        }
        let selected = chosen.join(" AND ");
        let requests = if scope.service.is_none() { " AND (tree_flags & 128) <> 0" } else { "" };
        let matching = format!("{}{requests}", scope.conditions());
        let spans = match scope.baseline {
            None => format!("{} AND {matching}", started_in(window)),
            Some(baseline) => {
                let (start, end) = (window.start.min(baseline.start), window.end.max(baseline.end));
                let either = format!("({}) OR ({selected})", started_in(baseline));
                format!("{} AND {matching} AND ({either})", started_in(Window { start, end }))
            }
        };
        Ok(Question { spans, selected })
    }

    fn sql(&self) -> String {
        let intrinsic = INTRINSIC.iter().map(|(column, _)| *column);
        let columns: Vec<&str> = intrinsic.chain(PROMOTED_SPAN.iter().map(|p| p.column)).collect();
        format!(
            "SELECT CASE WHEN {} THEN 0 ELSE 1 END AS side, other_attributes, resource_attributes, {} \
             FROM spans WHERE {}",
            self.selected,
            columns.join(", "),
            self.spans
        )
    }
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", MOST_DIFFERENCES, 1, 1_000)? as usize;
    let question = Question::of(&query, &scope)?;
    let mut report = answer(&query, &question, limit).await?;
    // Rows come with the greatest score first.
    let first = report.json["differences"].as_array().and_then(|rows| rows.first()).and_then(typical::Difference::of);
    report.json["exemplars"] = typical::examples(&query, &question, first).await?;
    Ok(report)
}

/// The differences, without example traces.
pub(super) async fn answer(query: &Query, question: &Question, limit: usize) -> Result<Report> {
    let counted = query.fold(&question.sql(), Counted::default).await?.fold;
    let notes = counted.notes();
    let spans = counted.spans;
    let totals = Totals { selection: spans[0], baseline: spans[1] };
    let mut found: Vec<(f64, Value)> = Vec::new();
    for (of, keys) in [("intrinsic", counted.intrinsic), ("span", counted.span), ("resource", counted.resource)] {
        for key in differences(&keys.counted(), totals, VALUES_PER_KEY) {
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
            "selection": {"spans": spans[0]},
            "baseline": {"spans": spans[1]},
            "differences": found,
        }),
    );
    report.notes = notes;
    Ok(report)
}

/// What was counted on both sides.
#[derive(Default)]
struct Counted {
    spans: Pair,
    intrinsic: Keys,
    span: Keys,
    resource: Keys,
}

impl Counted {
    fn notes(&self) -> Vec<Sentence> {
        let mut notes = Vec::new();
        for (of, keys) in [("span", &self.span), ("resource", &self.resource), ("intrinsic", &self.intrinsic)] {
            let cut: Vec<&str> = keys.cut().take(10).collect();
            if !cut.is_empty() {
                let keys = cut.join(", ");
                notes.push(Sentence::new(
                    format!("only the commoner ones of more than {MOST_VALUES} {of} values: {keys}"),
                    format!("{of} 的取值超过 {MOST_VALUES} 个，只比较较常见的：{keys}"),
                ));
            }
            if keys.is_cut {
                notes.push(Sentence::new(
                    format!("only {MOST_KEYS} of the {of} attributes were compared"),
                    format!("{of} 属性只比较了 {MOST_KEYS} 个"),
                ));
            }
        }
        notes
    }
}

impl Fold for Counted {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let side = ints(batch, "side")?;
        let sides: Vec<usize> = (0..batch.num_rows()).map(|row| side.value(row) as usize).collect();
        sides.iter().for_each(|side| self.spans[*side] += 1);
        for (column, key) in INTRINSIC {
            count_texts(batch, column, &sides, |value, n| self.intrinsic.add(key, value, n))?;
        }
        for promoted in PROMOTED_SPAN {
            let add = |value: &str, n| self.span.add(promoted.key, value, n);
            match promoted.ty {
                PromotedType::Text => count_texts(batch, promoted.column, &sides, add)?,
                PromotedType::Int => count_ints(batch, promoted.column, &sides, add)?,
            }
        }
        for (column, keys) in [("other_attributes", &mut self.span), ("resource_attributes", &mut self.resource)] {
            count_texts(batch, column, &sides, |object, n| {
                Members::of(object).for_each(|(key, value)| keys.add(&key, &value, n));
            })?;
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.spans.iter_mut().zip(other.spans).for_each(|(a, b)| *a += b);
        self.intrinsic.merge(other.intrinsic);
        self.span.merge(other.span);
        self.resource.merge(other.resource);
    }

    fn size(&self) -> usize {
        self.intrinsic.size() + self.span.size() + self.resource.size()
    }
}

/// Calls `add` with each different text of a column and the spans of either side that have it.
fn count_texts(batch: &RecordBatch, column: &str, sides: &[usize], mut add: impl FnMut(&str, Pair)) -> Result<()> {
    let mut column = TextColumn::of(batch, column)?;
    if column.is_all_null() {
        return Ok(());
    }
    let (mut names, mut counts) = (Names::default(), Vec::<Pair>::new());
    for (row, &side) in sides.iter().enumerate() {
        let number = column.number(row, &mut names) as usize;
        if counts.len() <= number {
            counts.resize(number + 1, [0, 0]);
        }
        counts[number][side] += 1;
    }
    for (number, n) in counts.into_iter().enumerate() {
        if let Some(text) = names.some_text(number as u32) {
            add(text, n);
        }
    }
    Ok(())
}

/// As [`count_texts`]. Promoted numbers are codes and ports, of which 0 is none.
fn count_ints(batch: &RecordBatch, column: &str, sides: &[usize], mut add: impl FnMut(&str, Pair)) -> Result<()> {
    let column = ints(batch, column)?;
    if column.null_count() == column.len() {
        return Ok(());
    }
    let mut counts: HashMap<i64, Pair> = HashMap::new();
    for (row, &side) in sides.iter().enumerate().filter(|(row, _)| column.is_valid(*row)) {
        counts.entry(column.value(row)).or_default()[side] += 1;
    }
    for (value, n) in counts.into_iter().filter(|(value, _)| *value != 0) {
        add(&value.to_string(), n);
    }
    Ok(())
}
