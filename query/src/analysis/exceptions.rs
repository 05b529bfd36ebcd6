//! Exceptions by type and by the place where they were thrown, and failed spans that name none: how often in the window
//! and in the baseline, and one example of each.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, StringViewArray};
use arrow::datatypes::SchemaRef;
use model::schema::column;
use model::{Error, Result, TraceId};
use serde_json::{Map, Value, json};

use super::batch::{column as array, ids, int, ints, trace_id};
use super::columns::{self, float, int as int_column, text};
use super::names::{Names, TextColumn};
use super::report::{Report, rfc3339};
use super::scope::{Scope, Window, started_in};
use super::sentence::Sentence;
use super::{Analysis, Parameter, Running};
use crate::fold::Fold;
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "exceptions",
    title: ("Exceptions", "异常"),
    doc: "Exceptions by type and place, and failed spans without one, in the window and in the baseline.",
    parameters: &[Parameter { name: "limit", doc: "rows at most (100)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Rows that are told apart.
const MOST: usize = 5_000;
/// Bytes kept of a message.
const MESSAGE: usize = 500;

fn schema() -> SchemaRef {
    let mut fields = Vec::from(["service", "operation", "type", "place", "message"].map(text));
    fields.extend([int_column("count"), float("rate"), int_column("baseline_count"), float("baseline_rate")]);
    fields.extend(["first_seen", "last_seen", "exemplar"].map(text));
    columns::schema(fields)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, 1_000)? as usize;
    let windows: Vec<Window> = std::iter::once(scope.window).chain(scope.baseline).collect();
    let either: Vec<String> = windows.iter().map(|window| started_in(*window)).collect();
    let sql = format!(
        "SELECT service_name, name, error_type, status_code, status_message, events, trace_id_bytes, {} \
         FROM spans WHERE (status_code = 'ERROR' OR events IS NOT NULL) AND ({}) AND {}",
        column::START,
        either.join(" OR "),
        scope.conditions(),
    );
    let seen = query.fold(&sql, || Exceptions { windows: windows.clone(), ..Exceptions::default() }).await?.fold;
    let mut report = Report::new("exceptions", seen.answer(limit));
    if seen.left_out > 0 {
        report.notes.push(Sentence::new(
            format!("{} exceptions of further types and places are not listed", seen.left_out),
            format!("其余类型和位置的 {} 个异常未列出", seen.left_out),
        ));
    }
    Ok(report)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    service: u32,
    operation: u32,
    kind: u32,
    place: u32,
}

struct Figures {
    /// In the window and in the baseline.
    counts: [u64; 2],
    first: i64,
    last: i64,
    /// Of the latest.
    message: String,
    trace: u128,
}

#[derive(Default)]
struct Exceptions {
    windows: Vec<Window>,
    names: Names,
    by_key: HashMap<Key, Figures>,
    left_out: u64,
}

/// One exception, or one failed span.
struct Thrown<'a> {
    kind: &'a str,
    place: &'a str,
    message: &'a str,
    at: i64,
    trace: u128,
}

impl Exceptions {
    fn count(&mut self, service: u32, operation: u32, thrown: &Thrown) {
        // The window may be a part of the baseline.
        let is_in = |side: usize| self.windows.get(side).is_some_and(|window| window.holds(thrown.at));
        let counts = [0, 1].map(|side| u64::from(is_in(side)));
        if counts == [0, 0] {
            return;
        }
        let Some(key) = self.key(service, operation, thrown) else {
            self.left_out += 1;
            return;
        };
        let figures = self.by_key.entry(key).or_insert_with(|| Figures {
            counts: [0, 0],
            first: thrown.at,
            last: i64::MIN,
            message: String::new(),
            trace: 0,
        });
        figures.counts = [figures.counts[0] + counts[0], figures.counts[1] + counts[1]];
        figures.first = figures.first.min(thrown.at);
        if thrown.at > figures.last {
            figures.last = thrown.at;
            figures.trace = thrown.trace;
            figures.message = thrown.message[..thrown.message.floor_char_boundary(MESSAGE)].to_owned();
        }
    }

    /// `None`: one more than are told apart. Its texts are given no numbers, since they may never come again.
    fn key(&mut self, service: u32, operation: u32, thrown: &Thrown) -> Option<Key> {
        if self.by_key.len() < MOST {
            let (kind, place) = (self.names.number(thrown.kind), self.names.number(thrown.place));
            return Some(Key { service, operation, kind, place });
        }
        let (kind, place) = (self.names.find(thrown.kind)?, self.names.find(thrown.place)?);
        Some(Key { service, operation, kind, place }).filter(|key| self.by_key.contains_key(key))
    }

    fn answer(&self, limit: usize) -> Value {
        let mut rows: Vec<(&Key, &Figures)> = self.by_key.iter().collect();
        let seconds = |side: usize| self.windows.get(side).map(|window| window.seconds());
        let rate = |figures: &Figures, side: usize| seconds(side).map(|s| figures.counts[side] as f64 / s);
        // What is new or more frequent comes first.
        let rise = |figures: &Figures| rate(figures, 0).unwrap_or(0.0) - rate(figures, 1).unwrap_or(0.0);
        rows.sort_by(|a, b| rise(b.1).total_cmp(&rise(a.1)).then_with(|| self.texts(a.0).cmp(&self.texts(b.0))));
        let row = |(key, figures): (&Key, &Figures)| {
            let [service, operation, kind, place] = self.texts(key);
            json!({
                "service": service,
                "operation": operation,
                "type": kind,
                "place": (!place.is_empty()).then_some(place),
                "message": (!figures.message.is_empty()).then_some(&figures.message),
                "count": figures.counts[0],
                "rate": rate(figures, 0),
                "baseline_count": seconds(1).map(|_| figures.counts[1]),
                "baseline_rate": rate(figures, 1),
                "first_seen": rfc3339(figures.first),
                "last_seen": rfc3339(figures.last),
                "exemplar": TraceId(figures.trace.to_be_bytes()).to_string(),
            })
        };
        json!({ "found": rows.len(), "exceptions": rows.into_iter().take(limit).map(row).collect::<Vec<_>>() })
    }

    fn texts(&self, key: &Key) -> [&str; 4] {
        [key.service, key.operation, key.kind, key.place].map(|number| self.names.text(number))
    }
}

impl Fold for Exceptions {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let text = |name| TextColumn::of(batch, name);
        let (mut services, mut operations) = (text("service_name")?, text("name")?);
        let (types, status, messages) = (text("error_type")?, text(column::STATUS_CODE)?, text("status_message")?);
        let (traces, starts) = (ids(batch, "trace_id_bytes")?, ints(batch, column::START)?);
        let events = Events::of(batch)?;
        for row in 0..batch.num_rows() {
            let service = services.number(row, &mut self.names);
            let operation = operations.number(row, &mut self.names);
            let (trace, at) = (trace_id(traces, row), int(starts, row));
            let mut threw = false;
            for attributes in events.exceptions(row) {
                threw = true;
                let of = |key: &str| attributes.get(key).and_then(Value::as_str).unwrap_or_default();
                let kind = if of("exception.type").is_empty() { "exception" } else { of("exception.type") };
                let place = place(of("exception.stacktrace"));
                let message = of("exception.message");
                self.count(service, operation, &Thrown { kind, place, message, at, trace });
            }
            if !threw && status.text(row) == Some("ERROR") {
                let kind = types.text(row).filter(|kind| !kind.is_empty()).unwrap_or("(failed without an exception)");
                let message = messages.text(row).unwrap_or_default();
                self.count(service, operation, &Thrown { kind, place: "", message, at, trace });
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let names = self.names.take_in(&other.names);
        let here = |number: u32| names[number as usize];
        self.left_out += other.left_out;
        for (key, more) in other.by_key {
            let key = Key {
                service: here(key.service),
                operation: here(key.operation),
                kind: here(key.kind),
                place: here(key.place),
            };
            if let Some(figures) = self.by_key.get_mut(&key) {
                figures.counts = [figures.counts[0] + more.counts[0], figures.counts[1] + more.counts[1]];
                figures.first = figures.first.min(more.first);
                if more.last > figures.last {
                    (figures.last, figures.message, figures.trace) = (more.last, more.message, more.trace);
                }
            } else if self.by_key.len() < MOST {
                self.by_key.insert(key, more);
            } else {
                self.left_out += more.counts[0] + more.counts[1];
            }
        }
    }

    fn size(&self) -> usize {
        self.names.size() + self.by_key.len() * (size_of::<(Key, Figures)>() + MESSAGE)
    }
}

/// The events of a batch's spans.
struct Events<'a> {
    offsets: &'a [i32],
    names: &'a StringViewArray,
    attributes: &'a StringViewArray,
}

impl<'a> Events<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let wrong = || Error::internal("events is not a list of structs with name and attributes");
        let list = array(batch, "events")?.as_list_opt::<i32>().ok_or_else(wrong)?;
        let items = list.values().as_struct_opt().ok_or_else(wrong)?;
        let text = |name: &str| items.column_by_name(name).and_then(|c| c.as_string_view_opt()).ok_or_else(wrong);
        Ok(Events { offsets: list.value_offsets(), names: text("name")?, attributes: text("attributes")? })
    }

    /// The attributes of a span's exceptions (semantic conventions, "exceptions in traces").
    fn exceptions(&self, row: usize) -> impl Iterator<Item = Map<String, Value>> {
        let events = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        let thrown = events.filter(|&at| self.names.is_valid(at) && self.names.value(at) == "exception");
        thrown.map(|at| {
            let text = if self.attributes.is_valid(at) { self.attributes.value(at) } else { "{}" };
            serde_json::from_str(text).unwrap_or_default()
        })
    }
}

/// The frame that threw: of a JVM's or JavaScript's trace the first `at …`, of a Python one the last `File …`.
fn place(stack: &str) -> &str {
    let lines = || stack.lines().map(str::trim);
    let first = lines().find_map(|line| line.strip_prefix("at "));
    first.or_else(|| lines().rfind(|line| line.starts_with("File \""))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_that_threw_is_the_place() {
        let java = "java.sql.SQLException: no\n\tat com.shop.Stock.reserve(Stock.java:42)\n\tat com.shop.Web.post(Web.java:7)\nCaused by: x";
        assert_eq!(place(java), "com.shop.Stock.reserve(Stock.java:42)");
        let python = "Traceback (most recent call last):\n  File \"/app/web.py\", line 7, in post\n    stock()\n  \
                      File \"/app/stock.py\", line 42, in stock\n    raise Full()\nFull";
        assert_eq!(place(python), "File \"/app/stock.py\", line 42, in stock");
        assert_eq!(place("goroutine 1 [running]:"), "");
    }
}
