//! Where receivers hand batches over: the one port between `collector` and `storage`.
//!
//! ```text
//!   request bytes ──decode──▶ Batch { payload, rows } ──Ingest::append──▶ WAL ▸ fdatasync ▸ memory table ▸ Ack
//!                                                                          │
//!   after a crash: WAL record ──Decoder::decode──▶ the same rows ◀─────────┘
//! ```
//! *Invariant:* decoding is a pure function of [`Payload`], so that a replay yields the very rows that were
//! acknowledged. Anything that shapes rows (receive time, format, compression) is therefore in the payload.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;

use crate::{Error, Nanos, Result};

/// What an export carries; each signal has one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// The table its rows go to, also its name in the ledger.
    pub fn table(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// What one row is called in messages.
    pub fn row(self) -> &'static str {
        match self {
            Signal::Traces => "span",
            Signal::Metrics => "data point",
            Signal::Logs => "log record",
        }
    }
}

/// How the message inside the payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Protobuf,
    Json,
}

/// How the payload's bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
    Deflate,
}

/// Whose data it is. At most 128 characters of `[A-Za-z0-9_.-]`, not starting with a dot: it names a folder.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

impl Tenant {
    pub const DEFAULT: &'static str = "default";

    pub fn new(name: &str) -> Result<Self> {
        let ok = !name.is_empty()
            && name.len() <= 128
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if !ok {
            return Err(Error::invalid(format!("{name:?} is not a tenant"))
                .hint("X-Scope-OrgID takes 1 to 128 letters, digits, '_', '-' and '.', not starting with '.'"));
        }
        Ok(Tenant(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Tenant(Self::DEFAULT.into())
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request as it came: what the WAL keeps and a replay decodes.
#[derive(Debug, Clone)]
pub struct Payload {
    pub tenant: Tenant,
    pub signal: Signal,
    pub format: Format,
    pub encoding: Encoding,
    /// When it was received; rows carry it, retention counts from it.
    pub received: Nanos,
    /// The body as received, still compressed.
    pub body: Bytes,
}

/// The rows of a payload, and what had to be left out.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// In the schema of `model::schema` for the payload's signal.
    pub rows: RecordBatch,
    /// Rows that were refused for good (told to the client by partial success).
    pub rejected: u64,
    /// Why, for a person, one sentence a kind of trouble; also warnings when nothing was rejected.
    pub notes: Vec<String>,
    /// (reason, count) for the metric `hotspan_rejected_total`.
    pub reasons: Vec<(&'static str, u64)>,
    /// xxh3-128 of the decompressed body: recognises an export that comes again.
    pub hash: u128,
    /// Bytes of the body after decompression.
    pub decoded_bytes: usize,
}

/// Turns a payload into rows. Pure: the same payload always gives the same rows.
pub trait Decoder: Send + Sync + 'static {
    fn decode(&self, payload: &Payload) -> Result<Decoded>;
}

/// A decoded request on its way into the store.
#[derive(Debug, Clone)]
pub struct Batch {
    pub payload: Payload,
    pub rows: RecordBatch,
    pub hash: u128,
}

/// What an append answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The same export had been stored before; nothing was added.
    pub duplicate: bool,
}

pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Where receivers hand batches over.
///
/// `Ok` means: survives a power cut, and the next snapshot sees it. A repeated batch (same tenant, signal and
/// body hash, within the window the store remembers) is answered `Ok` once the first one is durable, and adds
/// nothing. `Overloaded` and `Unavailable` mean: nothing was kept, send the same again.
pub trait Ingest: Send + Sync + 'static {
    fn append(&self, batch: Batch) -> Pending<'_, Ack>;

    /// What an append of a body of so many bytes would be answered, where it is known before the body is read and
    /// decoded that it would not be kept. Refusing must not take the time from the work that makes room again.
    fn refuses(&self, bytes: u64) -> Option<Error>;
}
