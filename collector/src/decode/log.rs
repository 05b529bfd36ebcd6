//! `ExportLogsServiceRequest` into rows of `logs`.

use std::borrow::Cow;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use model::{Nanos, Signal, schema};

use super::attr::{Any, Attributes};
use super::columns::{AnomalyTexts, Ids, Ints32, Nulls, Texts, dense};
use super::envelope::SignalRows;
use super::field::{lossy, optional_id};
use super::limits::{Limits, ROW};
use super::origin::OriginColumns;
use super::report::{Anomalies, Reject, Report};
use super::wire::{Cursor, Walk};

/// Highest `SeverityNumber` that OTLP defines (`FATAL4`).
const MAX_SEVERITY: i32 = 24;

/// Reads log records. One for each request.
pub(super) struct Records<'a> {
    row: RecordRow<'a>,
    columns: RecordColumns,
}

impl<'a> SignalRows<'a> for Records<'a> {
    fn new(limits: Limits, body: usize) -> Self {
        Records { row: RecordRow::new(limits), columns: RecordColumns::new(body) }
    }

    fn rows(&self) -> usize {
        self.columns.time.len()
    }

    fn elements(&self) -> usize {
        ROW * self.rows()
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

/// A log record as read. Its buffers serve one record after the other.
#[derive(Debug)]
struct RecordRow<'a> {
    fields: Fields<'a>,
    attributes: Attributes<'a>,
    /// Text of a body that is not a string.
    body: Attributes<'a>,
    anomalies: Anomalies,
}

#[derive(Debug)]
struct Fields<'a> {
    time: u64,
    observed_time: u64,
    severity_number: i32,
    severity_text: Cow<'a, str>,
    body: Any<'a>,
    dropped: u32,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: Cow<'a, str>,
}

impl Fields<'_> {
    const EMPTY: Self = Fields {
        time: 0,
        observed_time: 0,
        severity_number: 0,
        severity_text: Cow::Borrowed(""),
        body: Any::Empty,
        dropped: 0,
        flags: 0,
        trace_id: &[],
        span_id: &[],
        event_name: Cow::Borrowed(""),
    };
}

impl<'a> RecordRow<'a> {
    fn new(limits: Limits) -> Self {
        RecordRow {
            fields: Fields::EMPTY,
            attributes: Attributes::new(limits),
            body: Attributes::new(limits),
            anomalies: Anomalies::NONE,
        }
    }

    /// Reads an encoded `LogRecord` and appends it to `columns`, or says why not.
    fn append(&mut self, message: &'a [u8], columns: &mut RecordColumns) -> Result<Anomalies, Reject> {
        self.clear(false);
        self.read(message).map_err(|_| Reject::Malformed)?;
        if self.attributes.as_str().is_none() || self.body.as_str().is_none() {
            self.clear(true);
            self.read(message).map_err(|_| Reject::Malformed)?;
        }
        self.commit(columns)
    }

    fn clear(&mut self, lossy: bool) {
        self.fields = Fields::EMPTY;
        self.anomalies = Anomalies::NONE;
        self.body.clear();
        self.body.set_lossy(lossy);
        self.attributes.clear();
        self.attributes.set_lossy(lossy);
        self.attributes.begin();
    }

    fn read(&mut self, message: &'a [u8]) -> Walk<()> {
        let fields = &mut self.fields;
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => fields.time = field.fixed64()?,
                2 => fields.severity_number = field.int32()?,
                3 => fields.severity_text = lossy(field.bytes()?, &mut self.anomalies),
                5 => fields.body = Any::read(field.bytes()?)?,
                6 => self.attributes.add(field.bytes()?)?,
                7 => fields.dropped = field.uint32()?,
                8 => fields.flags = field.fixed32()?,
                9 => fields.trace_id = field.bytes()?,
                10 => fields.span_id = field.bytes()?,
                11 => fields.observed_time = field.fixed64()?,
                12 => fields.event_name = lossy(field.bytes()?, &mut self.anomalies),
                _ => {}
            }
        }
        if !matches!(fields.body, Any::Empty | Any::StringIndex | Any::Text(_)) {
            self.body.value(fields.body)?;
        }
        Ok(())
    }

    fn commit(&mut self, columns: &mut RecordColumns) -> Result<Anomalies, Reject> {
        let fields = &self.fields;
        let time = Nanos::try_from(fields.time).map_err(|_| Reject::Time)?;
        let observed_time = Nanos::try_from(fields.observed_time).map_err(|_| Reject::Time)?;
        let map = self.attributes.finish();
        let anomalies = &mut self.anomalies;
        if !(0..=MAX_SEVERITY).contains(&fields.severity_number) {
            anomalies.add(Anomalies::UNKNOWN_ENUM);
        }
        columns.time.push(time);
        columns.observed_time.push(observed_time);
        columns.trace_id.push_option(optional_id(fields.trace_id, Anomalies::BAD_TRACE_ID, anomalies));
        columns.span_id.push_option(optional_id(fields.span_id, Anomalies::BAD_SPAN_ID, anomalies));
        columns.flags.push(i64::from(fields.flags));
        columns.severity_number.push(fields.severity_number);
        columns.severity_text.push_non_empty(&fields.severity_text);
        columns.event_name.push_non_empty(&fields.event_name);
        columns.push_body(fields.body, self.body.as_str().unwrap_or_default(), anomalies);
        let text = self.attributes.as_str().unwrap_or_default();
        columns.attributes.push_option(map.and_then(|map| text.get(map)));
        columns.dropped.push(i64::from(fields.dropped.saturating_add(self.attributes.dropped)));
        anomalies.add(self.attributes.anomalies());
        anomalies.add(self.body.anomalies());
        columns.anomalies.push(*anomalies);
        Ok(*anomalies)
    }
}

/// The columns of `logs` but for resource and scope.
#[derive(Debug)]
struct RecordColumns {
    time: Vec<i64>,
    observed_time: Vec<i64>,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    flags: Vec<i64>,
    severity_number: Ints32,
    severity_text: Texts,
    body: Texts,
    body_type: Texts,
    event_name: Texts,
    attributes: Texts,
    dropped: Vec<i64>,
    anomalies: AnomalyTexts,
}

impl RecordColumns {
    fn new(body: usize) -> Self {
        let texts = || Texts::new(body / 16);
        RecordColumns {
            time: Vec::new(),
            observed_time: Vec::new(),
            trace_id: Ids::default(),
            span_id: Ids::default(),
            flags: Vec::new(),
            severity_number: Ints32::default(),
            severity_text: texts(),
            body: Texts::new(body / 2),
            body_type: texts(),
            event_name: texts(),
            attributes: Texts::new(body / 2),
            dropped: Vec::new(),
            anomalies: AnomalyTexts::new(),
        }
    }

    /// A string stands as it is, any other value as JSON text, which is given in `json`.
    fn push_body(&mut self, body: Any<'_>, json: &str, anomalies: &mut Anomalies) {
        match body {
            Any::Empty => {
                self.body.push_null();
                self.body_type.push_null();
            }
            Any::StringIndex => {
                anomalies.add(Anomalies::STRING_INDEX);
                self.body.push_null();
                self.body_type.push_null();
            }
            Any::Text(text) => {
                self.body.push(&lossy(text, anomalies));
                self.body_type.push("text");
            }
            _ => {
                self.body.push(json);
                self.body_type.push("json");
            }
        }
    }

    fn finish(self, origin: OriginColumns, received: Nanos) -> Result<RecordBatch, ArrowError> {
        let mut nulls = Nulls::default();
        let origin = origin.finish(received, &mut nulls);
        let mut columns = vec![
            dense(self.time),
            dense(self.observed_time),
            self.trace_id.finish()?,
            self.span_id.finish()?,
            dense(self.flags),
            self.severity_number.finish(&mut nulls),
            self.severity_text.finish(&mut nulls),
            self.body.finish(&mut nulls),
            self.body_type.finish(&mut nulls),
            self.event_name.finish(&mut nulls),
        ];
        columns.extend(origin.service);
        columns.push(self.attributes.finish(&mut nulls));
        columns.push(dense(self.dropped));
        columns.extend(origin.rest);
        columns.push(self.anomalies.finish(&mut nulls));
        RecordBatch::try_new(schema::schema(Signal::Logs), columns)
    }
}
