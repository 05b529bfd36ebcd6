//! The words that every part of hotspan shares: ids, time, attributes, the Arrow schemas, errors, and the
//! `Ingest` port over which receivers hand batches to the store.
//!
//! *Architecture invariant:* a leaf. It does no I/O, starts no thread and knows no other crate of ours.

pub mod access;
pub mod attr;
pub mod error;
pub mod id;
pub mod ingest;
pub mod ledger;
pub mod load_report;
pub mod run;
pub mod schema;
pub mod time;
pub mod trace;

pub use error::{Error, Kind, Result};
pub use id::{SpanId, TraceId};
pub use ingest::{Ack, Batch, Decoded, Decoder, Encoding, Format, Ingest, Payload, Signal, Tenant};
pub use ledger::Ledger;
pub use time::{Clock, ManualClock, Nanos, SystemClock};
