//! Fills the assembled columns of span rows: self time, critical path, entry and tree flags.
//!
//! Sits at the flush (rows leave memory), at compaction (late spans join their trace) and behind snapshots (what is
//! still in memory). The calculation is `model::trace`; here rows of many batches are grouped into traces and the
//! results written back, batch by batch.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, Int64Array, Int64Builder, RecordBatch, StringViewArray,
    StringViewBuilder,
};
use arrow::datatypes::Int64Type;
use model::Nanos;
use model::schema::column;
use model::trace::{Assembled, Node, SpanKind, assemble, flag};

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

/// Where a span's row is.
#[derive(Clone, Copy)]
struct Place {
    batch: u32,
    row: u32,
}

/// One row's result, and the entry span's row to take service, operation and start from.
struct Filled {
    self_time: i64,
    critical_path: i64,
    flags: i64,
    entry: Place,
}

/// Fills the assembled columns of every trace whose last span was received before `quiet_before`; rows of other
/// traces keep what they have, as do traces that are settled already. `context` are rows that were written before,
/// and that may belong to the same traces. Batches that are not in the physical schema are returned as they are.
pub fn fill(context: &[RecordBatch], batches: &[RecordBatch], quiet_before: Nanos) -> Vec<RecordBatch> {
    let all = context.iter().chain(batches);
    let Some(columns) = all.map(Columns::of).collect::<Option<Vec<_>>>() else {
        return batches.to_vec();
    };
    let own = context.len() as u32;
    let mut results: Vec<Vec<Option<Filled>>> =
        batches.iter().map(|b| std::iter::repeat_with(|| None).take(b.num_rows()).collect()).collect();
    for places in by_trace(&columns) {
        let row = |p: &Place| (&columns[p.batch as usize], p.row as usize);
        let ours = || places.iter().filter(|p| p.batch >= own).map(row);
        let unsettled = ours().filter(|(columns, row)| !columns.is_settled(*row)).count();
        let last = places.iter().map(row).map(|(columns, row)| columns.received.value(row)).max();
        if unsettled == 0 || last.is_none_or(|last| last >= quiet_before) {
            continue;
        }
        let nodes: Vec<Node> = places.iter().map(row).map(|(columns, row)| columns.node(row)).collect();
        let found = assemble(&nodes);
        // Knowing fewer of a trace's spans than an earlier assembly did must not undo it.
        let is_orphan = |(place, found): (&Place, &Assembled)| place.batch >= own && found.flags & flag::ORPHAN != 0;
        if places.iter().zip(&found).filter(|pair| is_orphan(*pair)).count() > unsettled {
            continue;
        }
        for (place, Assembled { entry, self_time, critical_path, flags, .. }) in places.iter().zip(found) {
            let entry = places[entry];
            if let Some(batch) = place.batch.checked_sub(own) {
                results[batch as usize][place.row as usize] = Some(Filled { self_time, critical_path, flags, entry });
            }
        }
    }
    batches.iter().zip(&results).map(|(batch, filled)| write_back(batch, filled, &columns)).collect()
}

/// The columns that later assembly needs of rows that have been written.
pub fn context_of(batch: &RecordBatch) -> Option<RecordBatch> {
    const NEEDED: [&str; 10] = [
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
    let schema = batch.schema();
    let at: Vec<usize> = NEEDED.iter().filter_map(|name| schema.index_of(name).ok()).collect();
    batch.project(&at).ok().filter(|b| b.num_columns() == NEEDED.len())
}

/// The rows of each trace, traces in order of first appearance.
fn by_trace(columns: &[Columns<'_>]) -> Vec<Vec<Place>> {
    let mut index: HashMap<&[u8], usize> = HashMap::new();
    let mut traces: Vec<Vec<Place>> = Vec::new();
    for (batch, columns) in columns.iter().enumerate() {
        for row in 0..columns.trace_id.len() {
            let at = *index.entry(columns.trace_id.value(row)).or_insert_with(|| {
                traces.push(Vec::new());
                traces.len() - 1
            });
            traces[at].push(Place { batch: batch as u32, row: row as u32 });
        }
    }
    traces
}

fn write_back(batch: &RecordBatch, filled: &[Option<Filled>], columns: &[Columns<'_>]) -> RecordBatch {
    if filled.iter().all(Option::is_none) {
        return batch.clone();
    }
    let number = |name: &str, value: fn(&Filled) -> i64| -> ArrayRef {
        let old = batch.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let mut out = Int64Builder::with_capacity(filled.len());
        for (row, found) in filled.iter().enumerate() {
            let kept = || old.filter(|o| !o.is_null(row)).map(|o| o.value(row));
            out.append_option(found.as_ref().map(value).or_else(kept));
        }
        Arc::new(out.finish())
    };
    let at = |place: &Place| (&columns[place.batch as usize], place.row as usize);
    let text = |name: &str, value: &dyn Fn(&Place) -> String| -> ArrayRef {
        let old = batch.column_by_name(name).and_then(|c| c.as_string_view_opt());
        let mut out = StringViewBuilder::with_capacity(filled.len()).with_deduplicate_strings();
        for (row, found) in filled.iter().enumerate() {
            match (found, old) {
                (Some(found), _) => out.append_value(value(&found.entry)),
                (None, Some(old)) if !old.is_null(row) => out.append_value(old.value(row)),
                _ => out.append_null(),
            }
        }
        Arc::new(out.finish())
    };
    let starts = || -> ArrayRef {
        let old = batch.column_by_name(column::ENTRY_START).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let mut out = Int64Builder::with_capacity(filled.len());
        for (row, found) in filled.iter().enumerate() {
            let kept = || old.filter(|o| !o.is_null(row)).map(|o| o.value(row));
            let start = found.as_ref().map(|f| at(&f.entry)).map(|(c, row)| c.start.value(row));
            out.append_option(start.or_else(kept));
        }
        Arc::new(out.finish())
    };
    let schema = batch.schema();
    let new = schema.fields().iter().zip(batch.columns()).map(|(field, old)| match field.name().as_str() {
        column::SELF_TIME => number(column::SELF_TIME, |f| f.self_time),
        column::CRITICAL_PATH => number(column::CRITICAL_PATH, |f| f.critical_path),
        column::TREE_FLAGS => number(column::TREE_FLAGS, |f| f.flags),
        column::ENTRY_START => starts(),
        column::ENTRY_SERVICE => text(column::ENTRY_SERVICE, &|p| {
            let (columns, row) = at(p);
            columns.service.value(row).to_owned()
        }),
        column::ENTRY_OPERATION => text(column::ENTRY_OPERATION, &|p| {
            let (columns, row) = at(p);
            columns.name.value(row).to_owned()
        }),
        _ => old.clone(),
    });
    // Only columns of the same type and length were replaced.
    RecordBatch::try_new(schema.clone(), new.collect()).unwrap_or_else(|_| batch.clone())
}

/// Rows whose trace is not assembled, or whose parent was missing when it was: a later merge may know more.
pub fn unsettled(batch: &RecordBatch) -> u64 {
    let Some(flags) = batch.column_by_name(column::TREE_FLAGS).and_then(|c| c.as_primitive_opt::<Int64Type>()) else {
        return 0;
    };
    flags.iter().filter(|f| f.is_none_or(|f| f & flag::ORPHAN != 0)).count() as u64
}
