//! Instances that are slower than their siblings, fail more often, or carry more of the load: every operation by
//! `service.instance.id`, over all spans of the window.
//!
//! ```text
//! spans ─fold─▶ operation × instance × bin ─[siblings]─▶ comparisons of all operations ─▶ q ≤ 0.05 ─▶ rows
//! ```
//! Speed is self time, which an instance is answerable for; what it costs is critical path, which requests wait for.
//! What could not be judged is counted in the answer by its reason.

mod row;
mod sentences;
mod siblings;

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use model::schema::column;
use model::time::SECOND;
use model::trace::flag;
use model::{Error, Result};
use serde_json::{Value, json};

use super::batch::{ids, int, ints, trace_id};
use super::called::{self, Called, Operations};
use super::columns::{self, float, int as int_column, text};
use super::histogram::Histogram;
use super::names::TextColumn;
use super::report::Report;
use super::scope::{Scope, Window, started_in};
use super::sentence::Sentence;
use super::timeline::settled;
use super::{Analysis, Parameter, Running};
use crate::fold::Fold;
use crate::query::Query;
use row::{Group, Row};
use siblings::{Cell, Comparison, Kind, Limits, compare, significant};

pub const ANALYSIS: Analysis = Analysis {
    name: "instance-skew",
    title: ("Instance skew", "实例偏斜"),
    doc: "Instances that are slower than their siblings, fail more, or carry more of the load, by the time lost.",
    parameters: &[
        Parameter { name: "material_ratio", doc: "the least difference that counts, as a part of the siblings' (0.2)" },
        Parameter { name: "material_ms", doc: "the least difference of a call's self time that counts (0.5)" },
        Parameter { name: "limit", doc: "rows at most (100)" },
    ],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// Errors of means are told from bins: this many at most.
const MOST_BINS: i64 = 120;
/// Instances of operations that are told apart; further ones are left out.
const MOST: usize = 20_000;

fn schema() -> SchemaRef {
    let mut fields = Vec::from(["kind", "service", "operation", "span_kind", "peer", "instance"].map(text));
    fields.extend(["instances", "calls"].map(int_column));
    fields.extend(["share_of_calls", "siblings_share_of_calls"].map(float));
    fields.extend(["mean_ns", "p50_ns", "p99_ns"].map(int_column));
    fields.extend(["siblings_mean_ns", "siblings_p50_ns", "siblings_p99_ns"].map(int_column));
    fields.extend(["error_rate", "siblings_error_rate", "ratio", "q"].map(float));
    fields.extend([int_column("lost_ns_per_minute"), text("exemplar"), text("explanation")]);
    columns::schema(fields)
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let limit = scope.number("limit", 100, 1, 1_000)? as usize;
    let limits = Limits {
        ratio: scope.positive("material_ratio")?.unwrap_or(0.2),
        least_ns: scope.positive("material_ms")?.unwrap_or(0.5) * 1e6,
    };
    let window = settled(scope.window, query.now());
    let sql = format!(
        "SELECT {}, instance_id, trace_id_bytes, {}, self_time_ns, critical_path_ns, status_code, tree_flags \
         FROM spans WHERE {} AND {}",
        called::columns(),
        column::START,
        started_in(window),
        scope.conditions(),
    );
    let bin = ((window.end - window.start) / MOST_BINS).max(SECOND);
    let seen = query.fold(&sql, || Instances::new(window, bin)).await?.fold;
    let left_out = seen.left_out;
    // Pure arithmetic from here on, a second or so of it when there are many instances.
    let answer = SpawnedTask::spawn_blocking(move || seen.answer(&limits, limit)).await;
    let answer = answer.map_err(|e| Error::internal(format!("comparing instances: {e}")))?;
    let mut report = Report::new("rows", answer);
    if left_out > 0 {
        report.notes.push(Sentence::new(
            format!("{left_out} spans of further instances and operations were not looked at"),
            format!("其余实例和操作的 {left_out} 个 span 未计入"),
        ));
    }
    Ok(report)
}

/// An operation on an instance, by their numbers.
type Key = (u32, u32);

#[derive(Default)]
struct Tally {
    cells: Vec<Cell>,
    own: Histogram,
    /// Self time, ns, and trace.
    slowest: (i64, u128),
}

struct Instances {
    window: Window,
    bin: i64,
    operations: Operations,
    by_key: HashMap<Key, Tally>,
    cells: usize,
    left_out: u64,
}

impl Instances {
    fn new(window: Window, bin: i64) -> Self {
        let by_key = HashMap::new();
        Instances { window, bin, operations: Operations::default(), by_key, cells: 0, left_out: 0 }
    }

    fn tally(&mut self, key: Key) -> Option<&mut Tally> {
        if self.by_key.len() >= MOST && !self.by_key.contains_key(&key) {
            return None;
        }
        Some(self.by_key.entry(key).or_default())
    }

    fn count(&mut self, key: Key, bin: usize, cell: &Cell, trace: u128) {
        let Some(tally) = self.tally(key) else {
            self.left_out += 1;
            return;
        };
        let more = (bin + 1).saturating_sub(tally.cells.len());
        if more > 0 {
            tally.cells.resize(bin + 1, Cell::default());
        }
        tally.cells[bin].add(cell);
        tally.own.record(cell.own);
        tally.slowest = tally.slowest.max((cell.own, trace));
        self.cells += more;
    }

    /// The instances of every operation, by the instance's name.
    fn by_operation(&self) -> BTreeMap<u32, Vec<(&str, &Tally)>> {
        let mut all: BTreeMap<u32, Vec<(&str, &Tally)>> = BTreeMap::new();
        for (&(operation, instance), tally) in &self.by_key {
            all.entry(operation).or_default().push((self.operations.names.text(instance), tally));
        }
        all.values_mut().for_each(|instances| instances.sort_unstable_by_key(|(name, _)| *name));
        all
    }

    fn answer(&self, limits: &Limits, limit: usize) -> Value {
        let (mut groups, mut comparisons, mut left_out) = (Vec::new(), Vec::new(), LeftOut::default());
        let mut judged = 0;
        for (operation, instances) in self.by_operation() {
            let named: Vec<(&str, &Tally)> = instances.into_iter().filter(|(name, _)| !name.is_empty()).collect();
            match named.len() {
                0 => left_out.no_instance_id += 1,
                1 => left_out.one_instance += 1,
                _ => {
                    let operation = self.operations.operation(operation);
                    let serves = row::serves(operation.kind);
                    let cells: Vec<&[Cell]> = named.iter().map(|(_, tally)| tally.cells.as_slice()).collect();
                    let (found, unjudged) = compare(&cells, serves, limits);
                    left_out.too_few_calls += unjudged;
                    judged += named.len() - unjudged;
                    comparisons.extend(found.into_iter().map(|comparison| (groups.len(), comparison)));
                    groups.push(Group::of(operation, &named));
                }
            }
        }
        let minutes = self.window.seconds() / 60.0;
        let mut found: Vec<(usize, Comparison, f64)> = significant(&comparisons);
        found.sort_by(|(_, a, _), (_, b, _)| {
            a.kind.cmp(&b.kind).then_with(|| b.extra.total_cmp(&a.extra)).then_with(|| a.instance.cmp(&b.instance))
        });
        let rows = found
            .iter()
            .take(limit)
            .map(|(group, comparison, q)| Row { group: &groups[*group], comparison, q: *q, minutes }.json());
        let rows: Vec<Value> = rows.collect();
        let count = |kind: Kind| found.iter().filter(|(_, comparison, _)| comparison.kind == kind).count();
        let verdict = match (found.is_empty(), judged) {
            (false, _) => "skewed",
            (true, 1..) => "even",
            (true, 0) => "not_enough_data",
        };
        json!({
            "verdict": verdict,
            "summary": sentences::summary(verdict, judged, groups.len(), &left_out),
            "compared": {"operations": groups.len(), "instances": judged},
            "left_out": left_out.json(),
            "found": found.len(),
            "slow": count(Kind::Slow),
            "errors": count(Kind::Errors),
            "load": count(Kind::Load),
            "rows": rows,
        })
    }
}

/// What was not judged, by the reason.
#[derive(Debug, Default)]
struct LeftOut {
    /// Operations.
    no_instance_id: usize,
    one_instance: usize,
    /// Instances of operations.
    too_few_calls: usize,
}

impl LeftOut {
    fn json(&self) -> Value {
        json!({
            "no_instance_id": self.no_instance_id,
            "one_instance": self.one_instance,
            "too_few_calls": self.too_few_calls,
        })
    }
}

impl Fold for Instances {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut called = Called::of(batch)?;
        let (mut instances, status) =
            (TextColumn::of(batch, column::INSTANCE_ID)?, TextColumn::of(batch, column::STATUS_CODE)?);
        let (traces, starts) = (ids(batch, "trace_id_bytes")?, ints(batch, column::START)?);
        let (own, critical) = (ints(batch, column::SELF_TIME)?, ints(batch, column::CRITICAL_PATH)?);
        let flags = ints(batch, column::TREE_FLAGS)?;
        for row in 0..batch.num_rows() {
            if int(flags, row) & flag::DUPLICATE != 0 {
                continue;
            }
            let operation = called.number(row, &mut self.operations);
            let instance = instances.number(row, &mut self.operations.names);
            let cell = Cell {
                calls: 1,
                errors: u64::from(status.text(row) == Some("ERROR")),
                own: int(own, row),
                critical: int(critical, row),
            };
            let bin = ((int(starts, row) - self.window.start) / self.bin) as usize;
            self.count((operation, instance), bin, &cell, trace_id(traces, row));
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let (names, operations) = self.operations.take_in(&other.operations);
        self.left_out += other.left_out;
        for ((operation, instance), more) in other.by_key {
            let key = (operations[operation as usize], names[instance as usize]);
            let Some(tally) = self.tally(key) else {
                self.left_out += more.own.count();
                continue;
            };
            let added = more.cells.len().saturating_sub(tally.cells.len());
            tally.cells.resize(tally.cells.len() + added, Cell::default());
            tally.cells.iter_mut().zip(&more.cells).for_each(|(cell, more)| cell.add(more));
            tally.own.merge(&more.own);
            tally.slowest = tally.slowest.max(more.slowest);
            self.cells += added;
        }
    }

    fn size(&self) -> usize {
        // A histogram has some hundred buckets.
        self.operations.size() + self.by_key.len() * 1_280 + self.cells * size_of::<Cell>()
    }
}
