//! An engine over rows in memory, decoded from exports as a server would decode them.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use collector::decode::OtlpDecoder;
use model::{Decoder, Encoding, Format, ManualClock, Nanos, Payload, Signal, Tenant};
use object_store::memory::InMemory;
use query::Engine;
use storage::{Snapshot, Source, TableSnapshot};

/// An engine that is asked at `now` about exports in protobuf that came at `received`; long enough before that all
/// traces are whole.
pub fn engine(exports: &[(Signal, Vec<u8>)], received: Nanos, now: Nanos) -> Result<Engine> {
    let decoder = OtlpDecoder::default();
    let mut rows = Signal::ALL.map(|signal| (signal, Vec::new()));
    for (signal, body) in exports {
        let payload = Payload {
            tenant: Tenant::default(),
            signal: *signal,
            format: Format::Protobuf,
            encoding: Encoding::Identity,
            received,
            body: Bytes::copy_from_slice(body),
        };
        let batch = decoder.decode(&payload).map_err(failed)?.rows;
        rows.iter_mut().filter(|(of, _)| of == signal).for_each(|(_, rows)| rows.push(batch.clone()));
    }
    let snapshot = Snapshot {
        tenant: Tenant::default(),
        taken: now,
        newest_export: None,
        objects: Arc::new(InMemory::new()),
        tables: rows.map(|(signal, rows)| TableSnapshot::new(signal, &rows, Arc::new([]), None)),
        runs: Arc::new([]),
    };
    Engine::new(query::Settings::default(), Arc::new(Fixed(snapshot)), Arc::new(ManualClock::at(now))).map_err(failed)
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
