//! Log lines by pattern: which are new, gone, or more than before. The analysis lists them; hot spots take those that
//! changed as evidence beside spans and metrics, placed at the operations in whose spans they were written.
//!
//! ```text
//! logs ─lines─▶ counts by service, severity, pattern and second ─┬─▶ the list
//!                                                                └─placed─▶ Observed::logged ─▶ ranking
//! ```

mod lines;
mod pattern;
mod placed;

use arrow::datatypes::SchemaRef;
use model::{Result, TraceId};
use serde_json::{Value, json};

use super::columns::{self, float, int, text};
use super::report::{Report, rfc3339};
use super::scope::{Scope, Window};
use super::sentence::Sentence;
use super::{Analysis, Parameter, Running};
use crate::query::Query;
pub use lines::{Key, Lines, Severity, Told, lines};
pub use placed::place;

pub const ANALYSIS: Analysis = Analysis {
    name: "log-patterns",
    title: ("Log patterns", "日志模式"),
    doc: "Log lines by service, severity and pattern (their words without values), new and gone ones first.",
    parameters: &[Parameter { name: "limit", doc: "rows at most (100)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// A pattern is new, or gone, when it was this many times rarer before, or is now.
pub const RARER: f64 = 10.0;
/// Lines that must have been written on the one side before their absence on the other says anything.
const LEAST_LINES: u64 = 5;

fn schema() -> SchemaRef {
    let mut fields = Vec::from(["service", "severity", "pattern", "change"].map(text));
    fields.extend([int("count"), float("rate"), int("baseline_count"), float("baseline_rate")]);
    fields.extend(["last_seen", "example", "exemplar"].map(text));
    columns::schema(fields)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, 1_000)? as usize;
    let windows: Vec<Window> = std::iter::once(scope.window).chain(scope.baseline).collect();
    let found = lines(&query, &windows).await?.fold;
    let mut report = Report::new("patterns", answer(&found, &windows, scope.service.as_deref(), limit));
    if found.left_out > 0 {
        report.notes.push(Sentence::new(
            format!("{} lines of further patterns are not counted", found.left_out),
            format!("其余模式的 {} 行日志未计入", found.left_out),
        ));
    }
    Ok(report)
}

/// One row of the list.
struct Row<'a> {
    key: &'a Key,
    told: &'a Told,
    /// Lines per second, in the window and in the baseline.
    rates: [Option<f64>; 2],
    change: Option<&'static str>,
}

impl Row<'_> {
    /// What is new or gone comes first, then what rose, errors before others.
    fn order(&self) -> (bool, Severity, f64) {
        let [now, before] = self.rates.map(Option::unwrap_or_default);
        (self.change.is_some(), self.key.severity, (now - before).abs())
    }
}

fn answer(lines: &Lines, windows: &[Window], service: Option<&str>, limit: usize) -> Value {
    let name = |number: u32| lines.names.text(number);
    let row = |(key, told)| {
        let rate = |side: usize| windows.get(side).map(|window| Told::count(told, side) as f64 / window.seconds());
        let rates = [rate(0), rate(1)];
        Row { key, told, rates, change: change([told.count(0), told.count(1)], rates) }
    };
    let asked = |(key, _): &(&Key, &Told)| service.is_none_or(|service| name(key.service) == service);
    let mut rows: Vec<Row<'_>> = lines.told.iter().filter(asked).map(row).collect();
    rows.sort_by(|a, b| {
        let ((changed, severity, rose), (b_changed, b_severity, b_rose)) = (a.order(), b.order());
        let by_weight = (b_changed, b_severity).cmp(&(changed, severity)).then(b_rose.total_cmp(&rose));
        let texts = |row: &Row<'_>| (name(row.key.service).to_owned(), name(row.key.pattern).to_owned());
        by_weight.then_with(|| texts(a).cmp(&texts(b)))
    });
    let written = |row: &Row<'_>| {
        let example = Some(&row.told.example.1).filter(|example| !example.is_empty());
        let trace = row.told.remembered.first().map(|line| TraceId(line.trace.to_be_bytes()).to_string());
        json!({
            "service": name(row.key.service),
            "severity": row.key.severity,
            "pattern": name(row.key.pattern),
            "change": row.change,
            "count": row.told.count(0),
            "rate": row.rates[0],
            "baseline_count": row.rates[1].map(|_| row.told.count(1)),
            "baseline_rate": row.rates[1],
            "last_seen": rfc3339(row.told.last()),
            "example": example,
            "exemplar": trace,
        })
    };
    json!({ "found": rows.len(), "patterns": rows.iter().take(limit).map(written).collect::<Vec<_>>() })
}

/// Whether a pattern is new or gone; `None` without a baseline, too.
fn change([now, before]: [u64; 2], rates: [Option<f64>; 2]) -> Option<&'static str> {
    let [rate, rate_before] = [rates[0]?, rates[1]?];
    match () {
        () if now >= LEAST_LINES && rate >= RARER * rate_before => Some("new"),
        () if before >= LEAST_LINES && rate_before >= RARER * rate => Some("gone"),
        () => None,
    }
}
