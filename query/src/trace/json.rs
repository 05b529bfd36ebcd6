//! A trace as docs/api.md describes it. Times within it are nanoseconds since its first span started.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Int64Type;
use model::schema::{PROMOTED_SPAN, PromotedType, column};
use model::trace::flag;
use serde_json::{Map, Value, json};

use super::{Columns, Trace};

const FLAGS: &[(i64, &str)] = &[
    (flag::ORPHAN, "orphan"),
    (flag::CYCLE, "cycle"),
    (flag::SEVERAL_ROOTS, "several_roots"),
    (flag::CLOCK_SKEW, "clock_skew"),
    (flag::ASYNC_ROOT, "async_root"),
    (flag::DUPLICATE, "duplicate"),
];

pub fn answer(trace: &Trace) -> Value {
    let columns = Columns(&trace.rows);
    let rows = trace.rows.num_rows();
    let start = |row| columns.int(column::START, row);
    let t0 = (0..rows).map(start).min().unwrap_or(0);
    let end = (0..rows).map(|row| start(row).saturating_add(columns.int(column::DURATION, row))).max().unwrap_or(t0);
    let services: HashSet<&str> = (0..rows).map(|row| columns.text(column::SERVICE_NAME, row)).collect();
    let mut critical = vec![Vec::new(); rows];
    for segment in &trace.segments {
        critical[segment.span].push(json!([segment.start.saturating_sub(t0), segment.end.saturating_sub(t0)]));
    }
    let spans: Vec<Value> =
        critical.into_iter().enumerate().map(|(row, critical)| span(trace, &columns, row, t0, critical)).collect();
    let all = trace.assembled.iter().fold(0, |all, a| all | a.flags);
    json!({
        "trace_id": trace.id.to_string(),
        "t0": t0.to_string(),
        "duration_ns": end.saturating_sub(t0),
        "services": services.len(),
        "depth": depth(trace),
        "spans": spans,
        "truncated": trace.truncated,
        "flags": names(all),
    })
}

fn names(flags: i64) -> Vec<&'static str> {
    FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect()
}

/// Spans on the longest way from a root; parents are free of cycles.
fn depth(trace: &Trace) -> usize {
    let mut depths = vec![0usize; trace.assembled.len()];
    let mut way = Vec::new();
    for first in 0..depths.len() {
        let mut at = Some(first);
        while let Some(span) = at.filter(|s| depths[*s] == 0) {
            way.push(span);
            at = trace.assembled[span].parent;
        }
        let mut above = at.map_or(0, |span| depths[span]);
        while let Some(span) = way.pop() {
            above += 1;
            depths[span] = above;
        }
    }
    depths.into_iter().max().unwrap_or(0)
}

fn span(trace: &Trace, columns: &Columns, row: usize, t0: i64, critical: Vec<Value>) -> Value {
    let text = |name| columns.text(name, row);
    let id = |name, row| {
        columns
            .ids(name)
            .ok()
            .filter(|ids| !ids.is_null(row))
            .map_or(String::new(), |ids| faster_hex::hex_string(ids.value(row)))
    };
    let assembled = &trace.assembled[row];
    let start = columns.int(column::START, row).saturating_sub(t0);
    let call = assembled.parent.filter(|_| assembled.flags & flag::ORPHAN != 0);
    json!({
        "span_id": id(column::SPAN_ID, row),
        "parent_span_id": id(column::PARENT_SPAN_ID, row),
        "ran_within": call.map_or(String::new(), |call| id(column::SPAN_ID, call)),
        "name": text(column::NAME),
        "kind": text(column::KIND),
        "service": text(column::SERVICE_NAME),
        "service_namespace": text(column::SERVICE_NAMESPACE),
        "instance_id": text(column::INSTANCE_ID),
        "start_us": start / 1_000,
        "start_ns": start,
        "duration_ns": columns.int(column::DURATION, row),
        "status_code": text(column::STATUS_CODE),
        "status_message": text(column::STATUS_MESSAGE),
        "self_time_ns": assembled.self_time,
        "critical_path_ns": assembled.critical_path,
        "critical_segments": critical,
        "flags": names(assembled.flags),
        "attributes": attributes(columns, row),
        "resource_attributes": object(text(column::RESOURCE_ATTRIBUTES)),
        "scope_name": text(column::SCOPE_NAME),
        "scope_version": text(column::SCOPE_VERSION),
        "trace_state": text(column::TRACE_STATE),
        "events": items(columns, column::EVENTS, row, |item, at| event(item, at, t0)),
        "links": items(columns, column::LINKS, row, link),
    })
}

/// JSON text as an object; empty for null.
fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::Object(Map::new()))
}

/// The attributes whole, promoted ones included.
fn attributes(columns: &Columns, row: usize) -> Value {
    let mut whole = object(columns.text(column::ATTRIBUTES, row));
    let Some(members) = whole.as_object_mut() else { return whole };
    for promoted in PROMOTED_SPAN {
        if columns.column(promoted.column).is_none_or(|c| c.is_null(row)) {
            continue;
        }
        let value = match promoted.ty {
            PromotedType::Text => Value::from(columns.text(promoted.column, row)),
            PromotedType::Int => Value::from(columns.int(promoted.column, row)),
        };
        members.insert(promoted.key.to_owned(), value);
    }
    whole
}

fn items(columns: &Columns, name: &str, row: usize, one: impl Fn(&StructArray, usize) -> Value) -> Vec<Value> {
    let Some(list) = columns.column(name).and_then(|c| c.as_list_opt::<i32>()).filter(|l| !l.is_null(row)) else {
        return Vec::new();
    };
    let items = list.value(row);
    let Some(items) = items.as_struct_opt() else { return Vec::new() };
    (0..items.len()).map(|at| one(items, at)).collect()
}

fn text_of<'a>(item: &'a StructArray, name: &str, at: usize) -> &'a str {
    let values = item.column_by_name(name).and_then(|c| c.as_string_view_opt());
    values.filter(|v| !v.is_null(at)).map_or("", |v| v.value(at))
}

fn event(item: &StructArray, at: usize, t0: i64) -> Value {
    let time = item.column_by_name(column::TIME).and_then(|c| c.as_primitive_opt::<Int64Type>());
    json!({
        "time_ns": time.filter(|t| !t.is_null(at)).map_or(0, |t| t.value(at).saturating_sub(t0)),
        "name": text_of(item, column::NAME, at),
        "attributes": object(text_of(item, column::ATTRIBUTES, at)),
    })
}

fn link(item: &StructArray, at: usize) -> Value {
    let id = |name: &str| {
        let ids = item.column_by_name(name).and_then(|c| c.as_fixed_size_binary_opt());
        ids.filter(|ids| !ids.is_null(at)).map_or(String::new(), |ids| faster_hex::hex_string(ids.value(at)))
    };
    json!({
        "trace_id": id(column::TRACE_ID),
        "span_id": id(column::SPAN_ID),
        "attributes": object(text_of(item, column::ATTRIBUTES, at)),
    })
}
