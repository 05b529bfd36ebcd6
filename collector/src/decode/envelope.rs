//! The two messages around the rows, which all three signals share in form and field numbers:
//!
//! ```text
//!   Export…ServiceRequest { 1: Resource… { 1: Resource, 2: Scope… { 1: Scope, 2: row …, 3: schema_url }, 3: schema_url } }
//! ```
//! This framing has to be whole: where it breaks nobody can tell the next row. What is inside a row concerns only
//! that row.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use model::{Error, Kind, Nanos};

use super::limits::Limits;
use super::origin::{Origin, OriginColumns, Parts};
use super::report::Report;
use super::wire::{Cursor, Malformed};

/// Rows of one signal.
pub(super) trait SignalRows<'a> {
    fn new(limits: Limits, body: usize) -> Self;

    fn rows(&self) -> usize;

    /// Rows, events, links and the like: what memory is used for.
    fn elements(&self) -> usize;

    /// Appends what field 2 of a `Scope…` message holds: a span, a metric's points, a log record. What is wrong
    /// inside is reported, not returned.
    fn append(&mut self, message: &'a [u8], report: &mut Report) -> Result<(), ArrowError>;

    fn finish(self, origin: OriginColumns, received: Nanos) -> Result<RecordBatch, ArrowError>;
}

/// Why a whole request cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    Malformed(Malformed),
    /// More than [`Limits::max_elements`].
    TooMany(usize),
    Arrow(ArrowError),
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Fault::Malformed(malformed)
    }
}

impl From<ArrowError> for Fault {
    fn from(error: ArrowError) -> Self {
        Fault::Arrow(error)
    }
}

impl Fault {
    pub fn into_error(self, body: &[u8]) -> Error {
        match self {
            Fault::Malformed(malformed) => Error::invalid(format!(
                "the body is not a valid OTLP request: byte {} of {} should be {}",
                malformed.offset_in(body),
                body.len(),
                malformed.expected
            )),
            Fault::TooMany(limit) => Error::new(
                Kind::TooLarge,
                format!("the request has more than {limit} events, links, exemplars and quarters of rows"),
            ),
            Fault::Arrow(error) => Error::internal(format!("rows do not fit the schema: {error}")),
        }
    }
}

/// All rows of a request.
pub(super) fn read<'a, R: SignalRows<'a>>(
    body: &'a [u8],
    limits: Limits,
    received: Nanos,
    report: &mut Report,
) -> Result<RecordBatch, Fault> {
    let mut envelope = Envelope { rows: R::new(limits, body.len()), origin: Origin::new(limits), limits, report };
    let mut cursor = Cursor::new(body);
    while let Some(field) = cursor.next()? {
        if field.number == 1 {
            envelope.resource(field.bytes()?)?;
        }
    }
    Ok(envelope.rows.finish(envelope.origin.columns, received)?)
}

struct Envelope<'a, 'r, R> {
    rows: R,
    origin: Origin<'a>,
    limits: Limits,
    report: &'r mut Report,
}

impl<'a, R: SignalRows<'a>> Envelope<'a, '_, R> {
    fn resource(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let before = self.rows.rows();
        let mut parts = Parts::default();
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => parts.merge(field.bytes()?, self.report),
                2 => self.scope(field.bytes()?)?,
                3 => parts.schema_url = field.bytes()?,
                _ => {}
            }
        }
        Ok(self.origin.resource(&parts, self.rows.rows() - before, self.report)?)
    }

    fn scope(&mut self, message: &'a [u8]) -> Result<(), Fault> {
        let before = self.rows.rows();
        let mut parts = Parts::default();
        let mut cursor = Cursor::new(message);
        while let Some(field) = cursor.next()? {
            match field.number {
                1 => parts.merge(field.bytes()?, self.report),
                2 => {
                    self.rows.append(field.bytes()?, self.report)?;
                    if self.rows.elements() > self.limits.max_elements {
                        return Err(Fault::TooMany(self.limits.max_elements));
                    }
                }
                3 => parts.schema_url = field.bytes()?,
                _ => {}
            }
        }
        Ok(self.origin.scope(&parts, self.rows.rows() - before, self.report)?)
    }
}
