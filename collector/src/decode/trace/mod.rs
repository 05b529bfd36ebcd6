//! `ExportTraceServiceRequest` into rows of `spans`.

pub(super) mod columns;
mod span;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use model::Nanos;

use self::columns::SpanColumns;
use self::span::SpanRow;
use super::envelope::SignalRows;
use super::limits::Limits;
use super::origin::OriginColumns;
use super::report::Report;

/// Reads spans. One for each request.
pub(super) struct Spans<'a> {
    row: SpanRow<'a>,
    columns: SpanColumns,
}

impl<'a> SignalRows<'a> for Spans<'a> {
    fn new(limits: Limits, body: usize) -> Self {
        Spans { row: SpanRow::new(limits), columns: SpanColumns::new(body) }
    }

    fn rows(&self) -> usize {
        self.columns.rows()
    }

    fn elements(&self) -> usize {
        self.columns.elements()
    }

    fn append(&mut self, message: &'a [u8], report: &mut Report) -> Result<(), ArrowError> {
        match self.row.append(message, &mut self.columns) {
            Ok(anomalies) => report.kept(anomalies),
            Err(reason) => report.reject(reason, 1),
        }
        Ok(())
    }

    fn finish(self, origin: OriginColumns, received: Nanos) -> Result<RecordBatch, ArrowError> {
        self.columns.finish(origin, received)
    }
}
