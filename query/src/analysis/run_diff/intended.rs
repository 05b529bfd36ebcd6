//! Latency of requests from when they were meant to be sent, of one side of a comparison: by entry operation and bin, as
//! [`super::matched`] compares them. A request may tell it on its entry's span or on a root above that; of each operation the
//! one is taken that more requests tell it on, as [`super::super::coordinated_omission`] does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::schema::column;
use model::trace::flag;
use model::{Nanos, Result};

use super::super::batch::{ids, int, ints, trace_id};
use super::super::called::{self, Called, Operations};
use super::super::coordinated_omission::clock::Clock;
use super::super::coordinated_omission::intended::{Delays, intended_start};
use super::super::names::TextColumn;
use super::super::scope::{Scope, Window, started_in};
use super::bands::Band;
use super::matched::{self, Bin, Compared, Limits, Operation, Pair, Series};
use super::operation_of;
use crate::fold::Fold;
use crate::query::Query;

/// Entry operations at most; further ones are not compared so.
const MOST: usize = 2_000;

/// What the requests of one side tell.
pub struct Intended {
    pub clock: Clock,
    pub delays: Delays,
    pub by_operation: BTreeMap<Operation, Series>,
}

/// Reads the requests of a window; `bins` has the band of each of its bins.
pub async fn read(
    query: &Query,
    scope: &Scope,
    window: Window,
    bin: Nanos,
    bins: Arc<[Option<usize>]>,
) -> Result<Intended> {
    let sql = format!(
        "SELECT {}, entry_service, entry_operation, trace_id_bytes, {}, {}, tree_flags, other_attributes \
         FROM spans WHERE {} AND (tree_flags & {}) <> 0{}",
        called::columns(),
        column::START,
        column::END,
        started_in(window),
        flag::ROOT | flag::ENTRY,
        scope.entries(&[window]),
    );
    let empty = || Told { window, bin, operations: Operations::default(), entries: HashMap::new(), requests: 0 };
    Ok(query.without_backlog().fold(&sql, empty).await?.fold.answer(&bins))
}

/// Adds the latencies from intended starts to the figures of the operations that requests enter by.
pub fn add(compared: &mut [Compared], bands: &[Band], [a, b]: [Intended; 2], limits: &Limits) {
    for pair in matched::pairs(a.by_operation, b.by_operation) {
        let Pair { before: Some(before), after: Some(after), operation } = pair else { continue };
        let Some(of) = compared.iter_mut().find(|compared| compared.operation == operation) else { continue };
        let figures = matched::figures(bands, &before, &after, limits);
        of.figures.extend(figures.into_iter().filter_map(matched::Figure::intended));
    }
}

struct Told {
    window: Window,
    bin: Nanos,
    operations: Operations,
    /// By the numbers of the entry's service and name.
    entries: HashMap<(u32, u32), Entry>,
    requests: u64,
}

#[derive(Default)]
struct Entry {
    /// What its span is, once one was seen.
    operation: Option<u32>,
    at_entry: Carried,
    at_root: Carried,
}

/// Told by one kind of span.
#[derive(Default)]
struct Carried {
    delays: Delays,
    bins: BTreeMap<i64, Bin>,
}

impl Carried {
    fn merge(&mut self, more: Carried) {
        self.delays.merge(&more.delays);
        for (at, bin) in more.bins {
            let mine = self.bins.entry(at).or_default();
            mine.duration += bin.duration;
            mine.latency.merge(&bin.latency);
        }
    }
}

impl Told {
    fn entry(&mut self, key: (u32, u32)) -> Option<&mut Entry> {
        let is_full = self.entries.len() >= MOST && !self.entries.contains_key(&key);
        (!is_full).then(|| self.entries.entry(key).or_default())
    }

    fn answer(self, bins: &Arc<[Option<usize>]>) -> Intended {
        let Told { operations, entries, requests, .. } = self;
        let (mut delays, mut by_operation) = (Delays::default(), BTreeMap::new());
        for Entry { operation, at_entry, at_root } in entries.into_values() {
            let carried = if at_root.delays.requests() > at_entry.delays.requests() { at_root } else { at_entry };
            delays.merge(&carried.delays);
            let Some(number) = operation.filter(|_| carried.delays.requests() > 0) else { continue };
            let operation = operation_of(operations.texts(number));
            let series = by_operation.entry(operation).or_insert_with(|| Series::new(Arc::clone(bins)));
            carried.bins.into_iter().for_each(|(at, bin)| series.add(at, bin));
        }
        Intended { clock: Clock { requests, told: delays.requests() }, delays, by_operation }
    }
}

impl Fold for Told {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut called = Called::of(batch)?;
        let text = |name| TextColumn::of(batch, name);
        let (mut services, mut names) = (text(column::ENTRY_SERVICE)?, text(column::ENTRY_OPERATION)?);
        let attributes = text("other_attributes")?;
        let traces = ids(batch, "trace_id_bytes")?;
        let (starts, ends) = (ints(batch, column::START)?, ints(batch, column::END)?);
        let flags = ints(batch, column::TREE_FLAGS)?;
        let (window, width) = (self.window, self.bin);
        for row in 0..batch.num_rows() {
            let flags = int(flags, row);
            if flags & (flag::ORPHAN | flag::ASYNC_ROOT | flag::DUPLICATE) != 0 {
                continue;
            }
            let is_request = flags & flag::ENTRY != 0;
            self.requests += u64::from(is_request);
            let operation = is_request.then(|| called.number(row, &mut self.operations));
            let all = &mut self.operations.names;
            let key = (services.number(row, all), names.number(row, all));
            let Some(entry) = self.entry(key) else { continue };
            entry.operation = operation.or(entry.operation);
            let Some(intended) = attributes.text(row).and_then(intended_start) else { continue };
            let carried = if is_request { &mut entry.at_entry } else { &mut entry.at_root };
            let (start, end) = (int(starts, row), int(ends, row));
            if let Some(took) = carried.delays.count(intended, start, end, trace_id(traces, row)) {
                let bin = carried.bins.entry((start - window.start) / width).or_default();
                bin.duration += took as f64;
                bin.latency.record(took);
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let (names, operations) = self.operations.take_in(&other.operations);
        self.requests += other.requests;
        for ((service, name), more) in other.entries {
            let Some(entry) = self.entry((names[service as usize], names[name as usize])) else { continue };
            entry.operation = entry.operation.or(more.operation.map(|number| operations[number as usize]));
            entry.at_entry.merge(more.at_entry);
            entry.at_root.merge(more.at_root);
        }
    }

    fn size(&self) -> usize {
        // A bin's histogram has some hundred buckets.
        let bins = |entry: &Entry| entry.at_entry.bins.len() + entry.at_root.bins.len();
        let bins: usize = self.entries.values().map(bins).sum();
        self.operations.size() + self.entries.len() * 4_096 + bins * (size_of::<Bin>() + 600)
    }
}
