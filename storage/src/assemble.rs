//! Fills the assembled columns of span rows: self time, critical path, entry and tree flags.
//!
//! Sits at the flush (rows leave memory), at compaction (late spans join their trace) and behind snapshots (what is
//! still in memory). The calculation is `model::trace`; here rows of many batches are grouped into traces and the
//! results written back, batch by batch.
//!
//! A trace is assembled when nothing of it came for a while, since it may be that not all of it has come. Behind snapshots
//! one that looks whole ([`usual`]) waits less.

pub mod usual;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Int64Array, Int64Builder, RecordBatch,
    StringViewArray, StringViewBuilder,
};
use arrow::datatypes::Int64Type;
use model::Nanos;
use model::schema::{ASSEMBLED, column};
use model::trace::{Assembled, Node, SpanKind, assemble, flag};

use crate::order::Place;
use crate::packed::Packed;
use usual::{Named, Usual};

/// The columns of one batch that assembly reads.
struct Columns<'a> {
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    parent: &'a FixedSizeBinaryArray,
    start: &'a Int64Array,
    end: &'a Int64Array,
    kind: &'a StringViewArray,
    service: &'a StringViewArray,
    name: &'a StringViewArray,
    received: &'a Int64Array,
    flags: &'a Int64Array,
}

impl<'a> Columns<'a> {
    /// `None` when the batch is not in the physical span schema.
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let ids = |name| batch.column_by_name(name)?.as_fixed_size_binary_opt();
        let ints = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let texts = |name| batch.column_by_name(name)?.as_string_view_opt();
        Some(Columns {
            trace_id: ids(column::TRACE_ID)?,
            span_id: ids(column::SPAN_ID)?,
            parent: ids(column::PARENT_SPAN_ID)?,
            start: ints(column::START)?,
            end: ints(column::END)?,
            kind: texts(column::KIND)?,
            service: texts(column::SERVICE_NAME)?,
            name: texts(column::NAME)?,
            received: ints(column::RECEIVED)?,
            flags: ints(column::TREE_FLAGS)?,
        })
    }

    fn is_settled(&self, row: usize) -> bool {
        !self.flags.is_null(row) && self.flags.value(row) & flag::ORPHAN == 0
    }

    fn node(&self, row: usize) -> Node {
        let id = |ids: &FixedSizeBinaryArray| ids.value(row).try_into().unwrap_or([0; 8]);
        Node {
            span_id: id(self.span_id),
            parent_span_id: (!self.parent.is_null(row)).then(|| id(self.parent)),
            start: self.start.value(row),
            end: self.end.value(row),
            kind: SpanKind::parse(self.kind.value(row)),
        }
    }
}

/// One row's result, and the entry span's row to take service, operation and start from.
#[derive(Clone, Copy)]
struct Filled {
    self_time: i64,
    critical_path: i64,
    flags: i64,
    entry: Place,
}

/// What assembly found for the rows of some batches.
pub struct Assembly<'a> {
    /// Of the context first, then of the batches.
    columns: Vec<Columns<'a>>,
    /// For each row of each batch; `None` keeps what the row has.
    results: Vec<Vec<Option<Filled>>>,
}

/// Traces that look whole are assembled when their last span was received before a later moment than that for all.
pub struct Sooner<'u> {
    pub whole_before: Nanos,
    pub usual: &'u mut Usual,
}

/// Assembles every trace whose last span was received before `quiet_before`; rows of other traces keep what they
/// have, as do traces that are settled already. `context` are rows that may belong to the same traces, written before
/// or not yet to be written; `late` are traces to assemble anew although they are settled. `None` when a batch lacks a
/// column that assembly reads.
pub fn assembly<'a>(
    context: &'a [RecordBatch],
    batches: &'a [RecordBatch],
    quiet_before: Nanos,
    late: &HashSet<u128>,
) -> Option<Assembly<'a>> {
    assembly_of((context, batches), quiet_before, None, late)
}

fn assembly_of<'a>(
    (context, batches): (&'a [RecordBatch], &'a [RecordBatch]),
    quiet_before: Nanos,
    mut sooner: Option<Sooner<'_>>,
    late: &HashSet<u128>,
) -> Option<Assembly<'a>> {
    let columns = context.iter().chain(batches).map(Columns::of).collect::<Option<Vec<_>>>()?;
    let rows = by_trace(&columns);
    let own = context.len() as u32;
    let results = batches.iter().map(|b| vec![None; b.num_rows()]).collect();
    let mut assembling = Assembling { assembly: Assembly { columns, results }, own };
    let (mut known, mut young) = (Vec::new(), Vec::new());
    for all in rows.chunk_by(|a, b| a.0 == b.0) {
        let places = without_copies(all, own, &assembling.assembly.columns, &mut known);
        let Some(last) = assembling.last_of_open(places, late) else { continue };
        if last < quiet_before {
            let found = assembling.found(places);
            if let Some(sooner) = &mut sooner {
                sooner.usual.learn(&assembling.named(places), &found);
            }
            assembling.keep(places, found);
        } else if sooner.as_ref().is_some_and(|sooner| last < sooner.whole_before) {
            young.push(all);
        }
    }
    if let Some(Sooner { usual, .. }) = sooner {
        for all in young {
            let places = without_copies(all, own, &assembling.assembly.columns, &mut known);
            let (named, found) = (assembling.named(places), assembling.found(places));
            if usual.looks_whole(&named, &found) {
                usual.learn(&named, &found);
                assembling.keep(places, found);
            }
        }
    }
    Some(assembling.assembly)
}

/// What has been assembled so far. The rows of a trace are given by the places of all of them.
struct Assembling<'a> {
    assembly: Assembly<'a>,
    /// The first batch that is not of the context.
    own: u32,
}

impl Assembling<'_> {
    fn row(&self, (_, place): &(u128, Place)) -> (&Columns<'_>, usize) {
        (&self.assembly.columns[place.batch as usize], place.row as usize)
    }

    fn unsettled(&self, places: &[(u128, Place)]) -> usize {
        let ours = places.iter().filter(|p| p.1.batch >= self.own).map(|p| self.row(p));
        ours.filter(|(columns, row)| !columns.is_settled(*row)).count()
    }

    /// When the last span of a trace was received that is to be assembled.
    fn last_of_open(&self, places: &[(u128, Place)], late: &HashSet<u128>) -> Option<Nanos> {
        if self.unsettled(places) == 0 && !late.contains(&places[0].0) {
            return None;
        }
        places.iter().map(|p| self.row(p)).map(|(columns, row)| columns.received.value(row)).max()
    }

    fn found(&self, places: &[(u128, Place)]) -> Vec<Assembled> {
        let nodes: Vec<Node> = places.iter().map(|p| self.row(p)).map(|(columns, row)| columns.node(row)).collect();
        assemble(&nodes)
    }

    fn named(&self, places: &[(u128, Place)]) -> Vec<Named<'_>> {
        let named = places.iter().map(|p| self.row(p)).map(|(columns, row)| Named {
            node: columns.node(row),
            service: columns.service.value(row),
            name: columns.name.value(row),
        });
        named.collect()
    }

    fn keep(&mut self, places: &[(u128, Place)], found: Vec<Assembled>) {
        // Knowing fewer of a trace's spans than an earlier assembly did must not undo it.
        let is_orphan =
            |(place, found): (&(u128, Place), &Assembled)| place.1.batch >= self.own && found.flags & flag::ORPHAN != 0;
        if places.iter().zip(&found).filter(|pair| is_orphan(*pair)).count() > self.unsettled(places) {
            return;
        }
        for ((_, place), Assembled { entry, self_time, critical_path, flags, .. }) in places.iter().zip(found) {
            let entry = places[entry].1;
            if let Some(batch) = place.batch.checked_sub(self.own) {
                let filled = Filled { self_time, critical_path, flags, entry };
                self.assembly.results[batch as usize][place.row as usize] = Some(filled);
            }
        }
    }
}

/// As [`fill_sooner`], for rows that are unpacked. Batches that are not in the physical schema are returned as they are.
fn fill(
    (context, batches): (&[RecordBatch], &[RecordBatch]),
    quiet_before: Nanos,
    sooner: Option<Sooner<'_>>,
) -> Vec<RecordBatch> {
    let assembly = assembly_of((context, batches), quiet_before, sooner, &HashSet::new());
    let Some(assembly) = assembly else { return batches.to_vec() };
    let fill = |(at, batch): (usize, &RecordBatch)| {
        let rows = 0..batch.num_rows() as u32;
        assembly.apply(batch, rows.map(|row| Place { batch: at as u32, row }))
    };
    batches.iter().enumerate().map(fill).collect()
}

/// As [`assembly`], written into rows in memory. `later` are rows that came after them and may belong to the same traces.
pub fn fill_packed(context: &[RecordBatch], later: &[Packed], rows: Vec<Packed>, quiet_before: Nanos) -> Vec<Packed> {
    fill_sooner((context, later), rows, quiet_before, None)
}

/// The same, with traces that look whole.
pub fn fill_sooner(
    (context, later): (&[RecordBatch], &[Packed]),
    rows: Vec<Packed>,
    quiet_before: Nanos,
    sooner: Option<Sooner<'_>>,
) -> Vec<Packed> {
    if rows.is_empty() {
        return rows;
    }
    let wanted: Vec<&str> = NEEDED.iter().chain(ASSEMBLED).copied().collect();
    let narrowed: model::Result<Vec<RecordBatch>> = rows.iter().map(|rows| rows.select(&wanted)).collect();
    // Nothing but a fault of ours can hinder it, and a trace that is not assembled is so later.
    let Ok(narrowed) = narrowed else { return rows };
    let traces = traces(&narrowed);
    let mut known = context.to_vec();
    known.extend(later.iter().filter_map(|rows| of_traces(rows, &traces)));
    let filled = fill((&known, &narrowed), quiet_before, sooner);
    let with = |((rows, before), filled): ((Packed, &RecordBatch), RecordBatch)| {
        let is_same = before.columns().iter().zip(filled.columns()).all(|(a, b)| Arc::ptr_eq(a, b));
        if is_same { rows } else { rows.with(&assembled_of(&filled)) }
    };
    rows.into_iter().zip(&narrowed).zip(filled).map(with).collect()
}

/// Only the columns that assembly fills.
fn assembled_of(rows: &RecordBatch) -> RecordBatch {
    let schema = rows.schema();
    let at: Vec<usize> = ASSEMBLED.iter().filter_map(|name| schema.index_of(name).ok()).collect();
    rows.project(&at).unwrap_or_else(|_| rows.clone())
}

/// What assembly needs of the rows that belong to some traces; `None` when there are none.
pub fn of_traces(rows: &Packed, traces: &HashSet<u128>) -> Option<RecordBatch> {
    let mask = among(&rows.select(&[column::TRACE_ID]).ok()?, traces)?;
    arrow::compute::filter_record_batch(&rows.select(&NEEDED).ok()?, &mask).ok()
}

/// The columns that assembly reads.
pub const NEEDED: [&str; 10] = [
    column::TRACE_ID,
    column::SPAN_ID,
    column::PARENT_SPAN_ID,
    column::START,
    column::END,
    column::KIND,
    column::SERVICE_NAME,
    column::NAME,
    column::RECEIVED,
    column::TREE_FLAGS,
];

/// Every row with its trace's id, the rows of a trace side by side in the order of the batches.
fn by_trace(columns: &[Columns<'_>]) -> Vec<(u128, Place)> {
    let mut rows = Vec::with_capacity(columns.iter().map(|c| c.trace_id.len()).sum());
    for (batch, columns) in columns.iter().enumerate() {
        for row in 0..columns.trace_id.len() {
            rows.push((number(columns.trace_id.value(row)), Place { batch: batch as u32, row: row as u32 }));
        }
    }
    rows.sort_unstable_by_key(|(id, place)| (*id, place.batch, place.row));
    rows
}

/// The rows of a trace without those of the context that are rows of the batches as well: what was written a moment ago
/// may be in a file that is being merged.
fn without_copies<'p>(
    places: &'p [(u128, Place)],
    own: u32,
    columns: &[Columns<'_>],
    kept: &'p mut Vec<(u128, Place)>,
) -> &'p [(u128, Place)] {
    // Places are in the order of batches, the context's first.
    let context = places.partition_point(|(_, place)| place.batch < own);
    if context == 0 || context == places.len() {
        return places;
    }
    let node = |(_, place): &(u128, Place)| columns[place.batch as usize].node(place.row as usize);
    let ours: HashSet<Node> = places[context..].iter().map(node).collect();
    kept.clear();
    kept.extend(places[..context].iter().filter(|place| !ours.contains(&node(place))).copied());
    kept.extend_from_slice(&places[context..]);
    kept
}

impl Assembly<'_> {
    /// `rows` with the results of the rows at `places` written into its assembled columns.
    pub fn apply(&self, rows: &RecordBatch, places: impl Iterator<Item = Place>) -> RecordBatch {
        let filled: Vec<Option<Filled>> = places.map(|p| self.results[p.batch as usize][p.row as usize]).collect();
        if filled.iter().all(Option::is_none) {
            return rows.clone();
        }
        let schema = rows.schema();
        let new = schema.fields().iter().zip(rows.columns()).map(|(field, old)| match field.name().as_str() {
            column::SELF_TIME => numbers(&filled, old, |f| f.self_time),
            column::CRITICAL_PATH => numbers(&filled, old, |f| f.critical_path),
            column::TREE_FLAGS => numbers(&filled, old, |f| f.flags),
            column::ENTRY_START => numbers(&filled, old, |f| self.of(f.entry).start.value(f.entry.row as usize)),
            column::ENTRY_SERVICE => self.texts(&filled, old, |columns| columns.service),
            column::ENTRY_OPERATION => self.texts(&filled, old, |columns| columns.name),
            _ => old.clone(),
        });
        // Only columns of the same type and length were replaced.
        RecordBatch::try_new(schema.clone(), new.collect()).unwrap_or_else(|_| rows.clone())
    }

    fn of(&self, place: Place) -> &Columns<'_> {
        &self.columns[place.batch as usize]
    }

    fn texts<'b>(
        &'b self,
        filled: &[Option<Filled>],
        old: &ArrayRef,
        source: impl Fn(&'b Columns<'_>) -> &'b StringViewArray,
    ) -> ArrayRef {
        let old = old.as_string_view_opt();
        // Few texts, many rows.
        let mut out = StringViewBuilder::with_capacity(filled.len()).with_deduplicate_strings();
        for (row, found) in filled.iter().enumerate() {
            match (found, old) {
                (Some(found), _) => {
                    let columns = &self.columns[found.entry.batch as usize];
                    out.append_value(source(columns).value(found.entry.row as usize));
                }
                (None, Some(old)) if !old.is_null(row) => out.append_value(old.value(row)),
                _ => out.append_null(),
            }
        }
        Arc::new(out.finish())
    }
}

fn numbers(filled: &[Option<Filled>], old: &ArrayRef, value: impl Fn(&Filled) -> i64) -> ArrayRef {
    let old = old.as_primitive_opt::<Int64Type>();
    let mut out = Int64Builder::with_capacity(filled.len());
    for (row, found) in filled.iter().enumerate() {
        let kept = || old.filter(|o| !o.is_null(row)).map(|o| o.value(row));
        out.append_option(found.as_ref().map(&value).or_else(kept));
    }
    Arc::new(out.finish())
}

/// A trace's id as a number. The schema has ids of 16 bytes only.
fn number(id: &[u8]) -> u128 {
    id.try_into().map_or(0, u128::from_be_bytes)
}

/// The distinct traces of some rows.
pub fn traces(batches: &[RecordBatch]) -> HashSet<u128> {
    let mut found = HashSet::new();
    for ids in batches.iter().filter_map(trace_ids) {
        found.extend(ids.iter().flatten().map(number));
    }
    found
}

/// The same of rows in memory.
pub fn traces_packed<'r>(rows: impl Iterator<Item = &'r Packed>) -> HashSet<u128> {
    let ids: Vec<RecordBatch> = rows.filter_map(|rows| rows.select(&[column::TRACE_ID]).ok()).collect();
    traces(&ids)
}

/// Whether rows in memory hold some of these traces.
pub fn has_of(rows: &Packed, traces: &HashSet<u128>) -> bool {
    let ids = rows.select(&[column::TRACE_ID]);
    !traces.is_empty() && ids.is_ok_and(|ids| among(&ids, traces).is_some())
}

/// The traces of rows whose parent was missing when they were assembled, or that never were.
pub fn unsettled_traces(batch: &RecordBatch) -> HashSet<u128> {
    let flags = batch.column_by_name(column::TREE_FLAGS).and_then(|c| c.as_primitive_opt::<Int64Type>());
    let Some((ids, flags)) = trace_ids(batch).zip(flags) else { return HashSet::new() };
    let open = ids.iter().zip(flags).filter(|(_, flags)| flags.is_none_or(|f| f & flag::ORPHAN != 0));
    open.filter_map(|(id, _)| id.map(number)).collect()
}

/// The rows whose trace is among `traces`; `None` when there are none.
pub fn only(batch: &RecordBatch, traces: &HashSet<u128>) -> Option<RecordBatch> {
    arrow::compute::filter_record_batch(batch, &among(batch, traces)?).ok()
}

/// Which rows those are; `None` when there are none.
fn among(batch: &RecordBatch, traces: &HashSet<u128>) -> Option<BooleanArray> {
    let is_among = |id: Option<&[u8]>| Some(id.is_some_and(|id| traces.contains(&number(id))));
    let mask: BooleanArray = trace_ids(batch)?.iter().map(is_among).collect();
    (mask.true_count() > 0).then_some(mask)
}

fn trace_ids(batch: &RecordBatch) -> Option<&FixedSizeBinaryArray> {
    batch.column_by_name(column::TRACE_ID)?.as_fixed_size_binary_opt()
}

/// Rows whose trace is not assembled, or whose parent was missing when it was: a later merge may know more.
pub fn unsettled(batch: &RecordBatch) -> u64 {
    let Some(flags) = batch.column_by_name(column::TREE_FLAGS).and_then(|c| c.as_primitive_opt::<Int64Type>()) else {
        return 0;
    };
    flags.iter().filter(|f| f.is_none_or(|f| f & flag::ORPHAN != 0)).count() as u64
}
