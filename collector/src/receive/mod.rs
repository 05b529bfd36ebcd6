//! One path for every export, whatever protocol it came by.
//!
//! ```text
//!   headers ──authorize──▶ tenant ──admit──▶ room ──read──▶ Payload ──decode──▶ rows ──Ingest::append──▶ Taken
//!      grpc.rs, http.rs        (admit.rs)        (body.rs)  └───────────── store.rs, a task of its own ─────────┘
//! ```
//! *Invariants:* no byte of a body is read before its client is known and there is room for it, save for what comes in
//! one piece with the length of a gRPC message, which is bounded at the door. What follows the body runs to its end
//! even if the client goes away, so that the ledger always settles.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, header};
use model::access::Scope;
use model::{Clock, Decoder, Encoding, Error, Ingest, Kind, Ledger, Signal, Tenant};
use tokio::time::Instant;

use crate::Settings;
use crate::admit::Budget;
use crate::admit::turns::Turns;
use crate::answer::{Refusal, Taken};
use crate::chance::Chance;
use crate::stats::{Outcome, Protocol, Stats, signal_name};

mod body;
pub(crate) mod grpc;
pub(crate) mod http;
mod store;

const ORG: HeaderName = HeaderName::from_static("x-scope-orgid");

/// Everything an export meets on its way.
pub(crate) struct Pipeline {
    pub settings: Settings,
    pub access: Arc<model::access::Access>,
    pub ledger: Arc<Ledger>,
    pub decoder: Arc<dyn Decoder>,
    pub ingest: Arc<dyn Ingest>,
    pub clock: Arc<dyn Clock>,
    pub budget: Arc<Budget>,
    pub stats: Arc<Stats>,
    /// Turns of the decoding threads.
    pub decoding: Arc<Turns>,
    /// Spreads the pauses that refused clients are asked to make.
    pub chance: Chance,
}

impl Pipeline {
    fn authorize(&self, headers: &HeaderMap) -> Result<Tenant, Refusal> {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str()).transpose();
        let org = text(&ORG).map_err(|_| Error::invalid("X-Scope-OrgID is not ASCII text"))?;
        // A token that is not ASCII text is unknown like any other.
        let authorization = text(&header::AUTHORIZATION).unwrap_or(Some(""));
        Ok(self.access.authorize(authorization, org, Scope::Ingest)?)
    }

    /// Refuses what the store would refuse, before it is read: a body of so many bytes, or more if not all are known.
    fn ask_store(&self, bytes: u64) -> Result<(), Refusal> {
        self.ingest.refuses(bytes).map_or(Ok(()), |error| Err(error.into()))
    }
}

fn too_large(bytes: u64, limit: u64) -> Refusal {
    let error = Error::new(Kind::TooLarge, format!("the export has {bytes} bytes or more, the limit is {limit}"));
    error.hint("lower the exporter's batch size or raise max_request_bytes").into()
}

/// The compression a header names; None when it is one we do not know.
fn encoding(name: &str) -> Option<Encoding> {
    let known = [
        ("identity", Encoding::Identity),
        ("gzip", Encoding::Gzip),
        ("x-gzip", Encoding::Gzip),
        ("zstd", Encoding::Zstd),
        ("deflate", Encoding::Deflate),
    ];
    known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, encoding)| *encoding)
}

/// What is counted about one export; one that is dropped unfinished was abandoned by its client.
struct Meter {
    stats: Arc<Stats>,
    protocol: Protocol,
    signal: Signal,
    started: Instant,
    /// Bytes of the body, declared or read, whichever is more.
    bytes: u64,
    ended: bool,
}

impl Meter {
    fn start(pipeline: &Pipeline, protocol: Protocol, signal: Signal) -> Self {
        Meter { stats: pipeline.stats.clone(), protocol, signal, started: Instant::now(), bytes: 0, ended: false }
    }

    fn declared(&mut self, bytes: u64) {
        self.bytes = self.bytes.max(bytes);
    }

    fn read(&mut self, bytes: u64) {
        self.declared(bytes);
        self.stats.read(self.protocol, self.signal, bytes);
    }

    fn end(mut self, result: &Result<Taken, Refusal>) {
        let outcome = match result {
            Ok(taken) if taken.duplicate => Outcome::Duplicate,
            Ok(taken) if taken.is_full() => Outcome::Accepted,
            Ok(_) => Outcome::Partial,
            Err(refusal) if refusal.is_retryable() => Outcome::Refused,
            Err(_) => Outcome::Rejected,
        };
        if let Err(refusal) = result {
            let signal = signal_name(self.signal);
            tracing::debug!(
                signal,
                reason = refusal.reason,
                bytes = self.bytes,
                "export not taken: {}",
                refusal.message
            );
            self.stats.failed(self.protocol, self.signal, refusal, self.bytes);
        }
        self.count(outcome);
    }

    fn count(&mut self, outcome: Outcome) {
        self.ended = true;
        self.stats.ended(self.protocol, self.signal, outcome, self.took());
    }

    fn took(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.ended {
            self.count(Outcome::Abandoned);
        }
    }
}
