//! Latency heat map: how many spans of which duration, over time. Rows are log-spaced; the first begins at zero and
//! the last is open, so that neither fast failures nor time-outs fall off the picture.

use arrow::datatypes::SchemaRef;
use model::Result;
use model::schema::column;
use serde_json::json;

use super::columns::{self, int};
use super::histogram;
use super::rates::Bins;
use super::rates::entries::{self, Entries};
use super::rates::latencies;
use super::report::Report;
use super::scope::{Scope, started_in};
use super::{Analysis, Parameter, Running};
use crate::fold::{Fold, Folded};
use crate::query::Query;

pub const ANALYSIS: Analysis = Analysis {
    name: "heatmap",
    title: ("Latency heat map", "延迟热力图"),
    doc: "Spans by start time and duration. Without a service: requests, that is entry spans.",
    parameters: &[
        Parameter { name: "columns", doc: "columns in time, 10 to 500 (120)" },
        Parameter { name: "rows", doc: "rows of duration, 10 to 120 (40)" },
    ],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

fn schema() -> SchemaRef {
    columns::schema([int("t_us"), int("from_ns"), int("to_ns"), int("count"), int("errors")])
}

/// Edges of the rows: 0, then log-spaced from `least` to `most`. At least two rows.
pub fn edges(least: i64, most: i64, rows: usize) -> Vec<i64> {
    let low = (least.max(1_000)) as f64;
    let high = (most as f64).max(low * 1.1);
    let step = (high / low).powf(1.0 / (rows.max(2) - 1) as f64);
    let mut edges = vec![0];
    let mut at = low;
    for _ in 0..rows.max(2) - 1 {
        let edge = (at as i64).max(edges[edges.len() - 1] + 1);
        edges.push(edge);
        at *= step;
    }
    edges.push(most.max(edges[edges.len() - 1] + 1));
    edges
}

/// The row whose edges hold a duration; the last is open above.
pub fn row_of(edges: &[i64], duration: i64) -> usize {
    edges.partition_point(|e| *e <= duration).clamp(1, edges.len() - 1) - 1
}

/// The spans that a heat map is about, by columns: without a service requests, that is entry spans.
pub(super) async fn read(query: &Query, scope: &Scope, bins: Bins) -> Result<Folded<Entries>> {
    let (query, requests) = match scope.service {
        // They are marked when traces are assembled, which rows in the log are not.
        None => (query.without_backlog(), " AND (tree_flags & 128) <> 0"),
        Some(_) => (query.clone(), ""),
    };
    let is_counted = scope.is_of_operations() && bins.are_seconds();
    let (known, rest) = match &scope.service {
        Some(_) if is_counted => latencies::known(&query, scope, bins, None).await?,
        None if is_counted && scope.conditions() == "TRUE" => {
            let (files, rest) = entries::split(&query, scope.window).await?;
            let mut known = Entries::new(bins);
            files.iter().for_each(|entries| known.take(entries, scope.window));
            (known, rest)
        }
        _ => (Entries::new(bins), query),
    };
    let sql = format!(
        "SELECT {}, duration_ns, status_code, tree_flags FROM spans WHERE {} AND {}{requests}",
        column::START,
        started_in(scope.window),
        scope.conditions(),
    );
    let mut folded = rest.fold(&sql, || Entries::new(bins)).await?;
    folded.take(|all| all.merge(known))?;
    Ok(folded)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let columns = scope.number("columns", 120, 10, 500)?;
    let rows = scope.number("rows", 40, 10, 120)? as usize;
    let bins = Bins::of(scope.window, columns);
    let columns = bins.before(scope.window.end);
    let entries = read(&query, &scope, bins).await?.fold;
    let bounds = entries.parts.values().filter_map(|part| part.bounds);
    let (least, most) = bounds.fold((i64::MAX, 0), |all, part| (all.0.min(part.0), all.1.max(part.1)));
    let edges = edges(least.min(most), most, rows);
    let rows = edges.len() - 1;
    let (mut counts, mut errors) = (vec![0; columns * rows], vec![0; columns * rows]);
    for (number, part) in &entries.parts {
        let column = (*number).clamp(0, columns as i64 - 1) as usize * rows;
        // A bucket lies within one row but at an edge; its middle decides.
        let row = |bucket: u16| column + row_of(&edges, (histogram::middle(bucket) as i64).clamp(least, most));
        let all = part.requests.latency.iter().chain(part.others.iter());
        all.for_each(|(bucket, count)| counts[row(bucket)] += count);
        part.failed.iter().for_each(|(bucket, count)| errors[row(bucket)] += count);
    }
    let cell = |(at, n): (usize, &u64)| {
        let (column, row) = (at / rows, at % rows);
        let t_us = column as i64 * bins.width / 1_000;
        (*n > 0).then(
            || json!({"t_us": t_us, "from_ns": edges[row], "to_ns": edges[row + 1], "count": n, "errors": errors[at]}),
        )
    };
    let cells: Vec<_> = counts.iter().enumerate().filter_map(cell).collect();
    Ok(Report::new(
        "cells",
        json!({
            "t0": bins.start.to_string(),
            "bin_us": bins.width as f64 / 1e3,
            "columns": columns,
            "edges_ns": edges,
            "max": counts.iter().max(),
            "total": counts.iter().sum::<u64>(),
            "counts": counts,
            "errors": errors,
            "cells": cells,
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_has_a_row_and_edges_rise() {
        let edges = edges(2_000_000, 900_000_000, 40);
        assert_eq!(edges.len(), 41);
        assert!(edges.windows(2).all(|w| w[0] < w[1]), "{edges:?}");
        assert_eq!(row_of(&edges, 0), 0);
        assert_eq!(row_of(&edges, 1_999_999), 0);
        assert_eq!(row_of(&edges, 2_000_000), 1);
        assert_eq!(row_of(&edges, 900_000_000), 39);
        assert_eq!(row_of(&edges, i64::MAX), 39);
    }

    #[test]
    fn a_single_duration_still_makes_a_map() {
        let edges = edges(5, 5, 10);
        assert!(edges.windows(2).all(|w| w[0] < w[1]), "{edges:?}");
    }
}
