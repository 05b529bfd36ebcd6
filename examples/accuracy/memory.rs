//! An engine over rows in memory, decoded from exports as a server would decode them.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use arrow::array::RecordBatch;
use bytes::Bytes;
use collector::decode::OtlpDecoder;
use model::{Decoder, Encoding, Format, ManualClock, Nanos, Payload, Signal, Tenant};
use object_store::memory::InMemory;
use query::Engine;
use storage::{Snapshot, Source, TableSnapshot};

/// An export in protobuf, and when it came.
pub struct Export {
    pub signal: Signal,
    pub received: Nanos,
    pub body: Vec<u8>,
}

/// Rows of one export.
#[derive(Clone)]
pub struct Rows {
    pub signal: Signal,
    pub received: Nanos,
    rows: RecordBatch,
}

/// An engine that is asked at `now` about exports that all came at `received`; long enough before that all traces are whole.
pub fn engine(exports: Vec<(Signal, Vec<u8>)>, received: Nanos, now: Nanos) -> Result<Engine> {
    let exports = exports.into_iter().map(|(signal, body)| Export { signal, received, body });
    engine_of(&decode(exports)?, now)
}

pub fn decode(exports: impl IntoIterator<Item = Export>) -> Result<Vec<Rows>> {
    let decoder = OtlpDecoder::default();
    let rows = |Export { signal, received, body }| {
        let payload = Payload {
            tenant: Tenant::default(),
            signal,
            format: Format::Protobuf,
            encoding: Encoding::Identity,
            received,
            body: Bytes::from(body),
        };
        Ok(Rows { signal, received, rows: decoder.decode(&payload).map_err(failed)?.rows })
    };
    exports.into_iter().map(rows).collect()
}

/// An engine that is asked at `now` about these rows.
pub fn engine_of(rows: &[Rows], now: Nanos) -> Result<Engine> {
    let table = |signal: Signal| {
        let of: Vec<RecordBatch> =
            rows.iter().filter(|rows| rows.signal == signal).map(|rows| rows.rows.clone()).collect();
        TableSnapshot::new(signal, &of, Arc::new([]), None)
    };
    let snapshot = Snapshot {
        tenant: Tenant::default(),
        taken: now,
        newest_export: None,
        objects: Arc::new(InMemory::new()),
        tables: Signal::ALL.map(table),
        runs: Arc::new([]),
    };
    let settings = query::Settings { timeout_seconds: 600.0, ..query::Settings::default() };
    Engine::new(settings, Arc::new(Fixed(snapshot)), Arc::new(ManualClock::at(now))).map_err(failed)
}

pub fn failed(error: model::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

/// A source that has one snapshot.
struct Fixed(Snapshot);

impl Source for Fixed {
    fn snapshot(&self, _tenant: &Tenant) -> model::Result<Snapshot> {
        Ok(self.0.clone())
    }
}
