//! The columns of `spans`, in the order of `model::schema`.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use model::schema::{self, PROMOTED_SPAN, PromotedType};
use model::{Nanos, Signal};

use super::super::columns::{AnomalyTexts, Ids, Ints, Lists, Nulls, Texts, counts, dense};
use super::super::limits::ROW;
use super::super::origin::OriginColumns;
use super::super::promoted::{PromotedValue, Slots};

/// A span of usual size; more of them than guessed make the columns grow.
const BYTES_A_SPAN: usize = 360;

#[derive(Debug)]
enum PromotedColumn {
    Text(Texts),
    Int(Ints),
}

/// The columns of `spans` but for resource and scope.
#[derive(Debug)]
pub(super) struct SpanColumns {
    pub(super) trace_id: Ids<16>,
    pub(super) span_id: Ids<8>,
    pub(super) parent_span_id: Ids<8>,
    pub(super) trace_state: Texts,
    pub(super) flags: Vec<i64>,
    pub(super) name: Texts,
    pub(super) kind: Texts,
    pub(super) start: Vec<i64>,
    pub(super) end: Vec<i64>,
    pub(super) duration: Vec<i64>,
    pub(super) status_code: Texts,
    pub(super) status_message: Texts,
    pub(super) attributes: Texts,
    pub(super) dropped_attributes: Vec<i64>,
    promoted: Vec<PromotedColumn>,
    pub(super) events: Lists,
    pub(super) event_time: Vec<i64>,
    pub(super) event_name: Texts,
    pub(super) event_attributes: Texts,
    pub(super) event_dropped: Vec<i64>,
    pub(super) dropped_events: Vec<i64>,
    pub(super) links: Lists,
    pub(super) link_trace_id: Ids<16>,
    pub(super) link_span_id: Ids<8>,
    pub(super) link_trace_state: Texts,
    pub(super) link_attributes: Texts,
    pub(super) link_dropped: Vec<i64>,
    pub(super) link_flags: Vec<i64>,
    pub(super) dropped_links: Vec<i64>,
    pub(super) anomalies: AnomalyTexts,
}

impl SpanColumns {
    /// `body` is the request's size, from which columns and blocks are sized.
    pub fn new(body: usize) -> Self {
        let rows = body / BYTES_A_SPAN;
        let ints = || Vec::with_capacity(rows);
        let texts = || Texts::with_rows(body / 64, rows);
        let in_every_row = || Texts::with_rows(body / 32, rows);
        let promoted = |promoted: &schema::Promoted| match promoted.ty {
            PromotedType::Text => PromotedColumn::Text(texts()),
            PromotedType::Int => PromotedColumn::Int(Ints::default()),
        };
        SpanColumns {
            trace_id: Ids::with_rows(rows),
            span_id: Ids::with_rows(rows),
            parent_span_id: Ids::with_rows(rows),
            trace_state: texts(),
            flags: ints(),
            name: in_every_row(),
            kind: in_every_row(),
            start: ints(),
            end: ints(),
            duration: ints(),
            status_code: in_every_row(),
            status_message: texts(),
            attributes: Texts::with_rows(body / 8, rows),
            dropped_attributes: ints(),
            promoted: PROMOTED_SPAN.iter().map(promoted).collect(),
            events: Lists::default(),
            event_time: Vec::new(),
            event_name: texts(),
            event_attributes: Texts::new(body / 4),
            event_dropped: Vec::new(),
            dropped_events: ints(),
            links: Lists::default(),
            link_trace_id: Ids::default(),
            link_span_id: Ids::default(),
            link_trace_state: texts(),
            link_attributes: texts(),
            link_dropped: Vec::new(),
            link_flags: Vec::new(),
            dropped_links: ints(),
            anomalies: AnomalyTexts::new(),
        }
    }

    pub fn rows(&self) -> usize {
        self.start.len()
    }

    /// Rows and what hangs on them, as [`Limits::max_elements`](super::super::limits::Limits) counts them.
    pub fn elements(&self) -> usize {
        ROW * self.start.len() + self.event_time.len() + self.link_flags.len()
    }
}

impl SpanColumns {
    /// Touches only the columns that have a value: the others are filled up when theirs comes, or at the end.
    #[inline]
    pub(super) fn push_promoted(&mut self, slots: &Slots<'_>) {
        let row = self.rows() - 1;
        for (slot, value) in slots.filled() {
            match (&mut self.promoted[slot], value) {
                (PromotedColumn::Text(column), PromotedValue::Text(text)) => {
                    column.fill_to(row);
                    column.push(text);
                }
                (PromotedColumn::Int(column), PromotedValue::Int(value)) => {
                    column.fill_to(row);
                    column.push(*value);
                }
                _ => {}
            }
        }
    }

    pub fn finish(self, origin: OriginColumns, received: Nanos) -> Result<RecordBatch, ArrowError> {
        let rows = self.rows();
        let mut nulls = Nulls::default();
        let origin = origin.finish(received, &mut nulls);
        let mut columns = vec![
            self.trace_id.finish()?,
            self.span_id.finish()?,
            self.parent_span_id.finish()?,
            self.trace_state.finish(&mut nulls),
            dense(self.flags),
            self.name.finish(&mut nulls),
            self.kind.finish(&mut nulls),
        ];
        columns.extend(origin.service);
        let event = vec![
            dense(self.event_time),
            self.event_name.finish(&mut nulls),
            self.event_attributes.finish(&mut nulls),
            dense(self.event_dropped),
        ];
        let link = vec![
            self.link_trace_id.finish()?,
            self.link_span_id.finish()?,
            self.link_trace_state.finish(&mut nulls),
            self.link_attributes.finish(&mut nulls),
            dense(self.link_dropped),
            dense(self.link_flags),
        ];
        columns.extend([
            dense(self.start),
            dense(self.end),
            dense(self.duration),
            self.status_code.finish(&mut nulls),
            self.status_message.finish(&mut nulls),
            self.attributes.finish(&mut nulls),
            counts(self.dropped_attributes, &mut nulls),
            self.events.finish_structs(schema::event_fields(), event)?,
            counts(self.dropped_events, &mut nulls),
            self.links.finish_structs(schema::link_fields(), link)?,
            counts(self.dropped_links, &mut nulls),
        ]);
        columns.extend(self.promoted.into_iter().map(|column| column.finish(rows, &mut nulls)));
        columns.extend(origin.rest);
        columns.push(self.anomalies.finish(&mut nulls));
        let schema = schema::schema(Signal::Traces);
        let assembled = schema.fields().iter().skip(columns.len());
        columns.extend(assembled.map(|field| nulls.column(field.data_type(), rows)));
        RecordBatch::try_new(schema.clone(), columns)
    }
}

impl PromotedColumn {
    fn finish(self, rows: usize, nulls: &mut Nulls) -> ArrayRef {
        match self {
            PromotedColumn::Text(mut column) => {
                column.fill_to(rows);
                column.finish(nulls)
            }
            PromotedColumn::Int(mut column) => {
                column.fill_to(rows);
                column.finish(nulls)
            }
        }
    }
}
