//! OTLP requests into rows: the step between a receiver and the store.
//!
//! ```text
//!   payload ─inflate─▶ body ─┬─ protobuf ───────────────────┬─envelope─▶ trace │ metric │ log ─▶ columns ─▶ RecordBatch
//!                            └─ JSON ─json─▶ the same as protobuf ┘        └─ attr ─▶ JSON text, promoted columns
//! ```
//! The wire bytes are walked once, without message structs in between. A row is read into a buffer first and appended
//! only when it is whole, so a broken span costs its neighbours nothing; only the framing around the rows has to be
//! intact.
//!
//! *Invariant:* [`OtlpDecoder::decode`] is a pure function of the payload and the [`Limits`].

mod attr;
mod columns;
mod envelope;
mod field;
mod inflate;
mod json;
mod limits;
mod log;
mod metric;
mod origin;
mod promoted;
mod report;
mod text;
mod trace;
mod wire;

#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;
use model::{Decoded, Decoder, Format, Payload, Result, Signal};
use xxhash_rust::xxh3::xxh3_128;

pub use self::limits::Limits;
use self::report::Report;

/// Decodes OTLP/protobuf and OTLP/JSON for all signals.
#[derive(Debug, Clone, Copy, Default)]
pub struct OtlpDecoder {
    limits: Limits,
}

impl OtlpDecoder {
    pub fn new(limits: Limits) -> Self {
        OtlpDecoder { limits }
    }
}

impl Decoder for OtlpDecoder {
    /// `TooLarge` beyond [`Limits::max_decoded_bytes`], `Invalid` when no rows can be made out. Everything else is
    /// in [`Decoded::notes`].
    fn decode(&self, payload: &Payload) -> Result<Decoded> {
        let body = inflate::inflate(&payload.body, payload.encoding, self.limits.decoded_bytes())?;
        let mut report = Report::default();
        let rows = match payload.format {
            Format::Protobuf => self.rows(&body, payload, &mut report)?,
            Format::Json => {
                let wire = json::to_protobuf(&body, payload.signal, self.limits, &mut report)
                    .map_err(|fault| fault.into_error(&body))?;
                self.rows(&wire, payload, &mut report)?
            }
        };
        let mut decoded = Decoded {
            rows,
            rejected: 0,
            notes: Vec::new(),
            reasons: Vec::new(),
            hash: xxh3_128(&body),
            decoded_bytes: body.len(),
        };
        report.tell(payload.signal, &mut decoded);
        Ok(decoded)
    }
}

impl OtlpDecoder {
    fn rows(&self, body: &[u8], payload: &Payload, report: &mut Report) -> Result<RecordBatch> {
        let (limits, received) = (self.limits, payload.received);
        let rows = match payload.signal {
            Signal::Traces => envelope::read::<trace::Spans<'_>>(body, limits, received, report),
            Signal::Metrics => envelope::read::<metric::Points<'_>>(body, limits, received, report),
            Signal::Logs => envelope::read::<log::Records<'_>>(body, limits, received, report),
        };
        rows.map_err(|fault| fault.into_error(body))
    }
}
