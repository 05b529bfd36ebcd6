//! What the tests stand on: a store and a decoder that do as they are told, and requests as clients build them.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use axum::Router;
use bytes::Bytes;
use hotspan_collector::decode::{Limits, OtlpDecoder};
use hotspan_collector::{Collector, Settings};
use http_body_util::BodyExt;
use model::access::Access;
use model::ingest::Pending;
use model::ledger::Totals;
use model::{
    Ack, Batch, Decoded, Decoder, Encoding, Error, Format, Ingest, Kind, Ledger, ManualClock, Payload, Signal, Tenant,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::watch;
use tower::ServiceExt;

/// Counts spans with prost and serde, independently of our own decoder. A span without a trace id is rejected, one
/// named `warn` gives a warning, one named `panic` a panic.
pub struct CountingDecoder {
    pub limit: u64,
}

impl Decoder for CountingDecoder {
    fn decode(&self, payload: &Payload) -> model::Result<Decoded> {
        let body = self.inflated(payload)?;
        let (rows, rejected, notes) = match payload.signal {
            Signal::Traces => count_spans(&parsed::<ExportTraceServiceRequest>(payload.format, &body)?),
            Signal::Metrics => (count_metrics(&parsed(payload.format, &body)?), 0, Vec::new()),
            Signal::Logs => (count_logs(&parsed(payload.format, &body)?), 0, Vec::new()),
        };
        let column: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..rows));
        let hash = body.iter().fold(0u128, |hash, byte| hash.wrapping_mul(257).wrapping_add(u128::from(*byte) + 1));
        Ok(Decoded {
            rows: RecordBatch::try_from_iter([("row", column)]).expect("one column"),
            rejected,
            notes,
            reasons: if rejected > 0 { vec![("trace_id", rejected)] } else { Vec::new() },
            hash,
            decoded_bytes: body.len(),
        })
    }
}

impl CountingDecoder {
    fn inflated(&self, payload: &Payload) -> model::Result<Vec<u8>> {
        let reader: Box<dyn Read> = match payload.encoding {
            Encoding::Identity => Box::new(payload.body.as_ref()),
            Encoding::Gzip => Box::new(flate2::read::GzDecoder::new(payload.body.as_ref())),
            Encoding::Deflate => Box::new(flate2::read::ZlibDecoder::new(payload.body.as_ref())),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(payload.body.as_ref()).expect("a decoder")),
        };
        let mut body = Vec::new();
        reader
            .take(self.limit + 1)
            .read_to_end(&mut body)
            .map_err(|e| Error::invalid(format!("decompressing: {e}")))?;
        if body.len() as u64 > self.limit {
            return Err(Error::new(Kind::TooLarge, format!("more than {} bytes after decompression", self.limit)));
        }
        Ok(body)
    }
}

fn parsed<T: Message + Default + serde::de::DeserializeOwned>(format: Format, body: &[u8]) -> model::Result<T> {
    match format {
        Format::Protobuf => T::decode(body).map_err(|e| Error::invalid(e.to_string())),
        Format::Json => serde_json::from_slice(body).map_err(|e| Error::invalid(e.to_string())),
    }
}

fn count_spans(request: &ExportTraceServiceRequest) -> (u64, u64, Vec<String>) {
    let spans: Vec<_> = request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect();
    assert!(spans.iter().all(|span| span.name != "panic"), "a span asked for a panic");
    let rejected = spans.iter().filter(|span| span.trace_id.len() != 16).count() as u64;
    let mut notes = Vec::new();
    if rejected > 0 {
        notes.push(format!("{rejected} spans without a valid trace id"));
    }
    if spans.iter().any(|span| span.name == "warn") {
        notes.push("a value was cut".to_owned());
    }
    (spans.len() as u64 - rejected, rejected, notes)
}

fn count_metrics(request: &ExportMetricsServiceRequest) -> u64 {
    request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).map(|s| s.metrics.len() as u64).sum()
}

fn count_logs(request: &ExportLogsServiceRequest) -> u64 {
    request.resource_logs.iter().flat_map(|r| &r.scope_logs).map(|s| s.log_records.len() as u64).sum()
}

/// What the store does with the next append.
#[derive(Clone)]
pub enum Mode {
    Store,
    Fail(Error),
    /// Tells before it is asked that it takes nothing.
    Refuse(Error),
    Panic,
    /// Waits until the mode is another one.
    Stall,
    /// One append is stored; then the mode is `Stall`.
    Once,
    /// Stores, and takes so long for each.
    Slow(Duration),
}

/// A store that keeps payloads, and knows a repeated one by its hash.
pub struct FakeStore {
    mode: watch::Sender<Mode>,
    pub kept: Mutex<Vec<(Payload, u64)>>,
    hashes: Mutex<HashSet<u128>>,
    /// The tenants of the appends that were begun, in their order.
    begun: watch::Sender<Vec<Tenant>>,
}

impl FakeStore {
    pub fn new() -> Arc<Self> {
        let (mode, begun) = (watch::Sender::new(Mode::Store), watch::Sender::default());
        Arc::new(FakeStore { mode, kept: Mutex::default(), hashes: Mutex::default(), begun })
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Returns once `count` appends have begun, with their tenants in that order.
    pub async fn has_begun(&self, count: usize) -> Vec<Tenant> {
        self.begun.subscribe().wait_for(|begun| begun.len() >= count).await.expect("the store is there").clone()
    }

    /// What is done with an append, once it may go on.
    async fn turn(&self) -> Mode {
        let mut modes = self.mode.subscribe();
        loop {
            let mode = modes.wait_for(|mode| !matches!(mode, Mode::Stall)).await.expect("the store is there").clone();
            let is_first = || {
                self.mode.send_if_modified(|mode| {
                    matches!(mode, Mode::Once) && {
                        *mode = Mode::Stall;
                        true
                    }
                })
            };
            if !matches!(mode, Mode::Once) || is_first() {
                return mode;
            }
        }
    }

    pub fn rows(&self) -> u64 {
        self.kept.lock().expect("not poisoned").iter().map(|(_, rows)| rows).sum()
    }

    pub fn payloads(&self) -> Vec<Payload> {
        self.kept.lock().expect("not poisoned").iter().map(|(payload, _)| payload.clone()).collect()
    }
}

impl Ingest for FakeStore {
    fn append(&self, batch: Batch) -> Pending<'_, Ack> {
        Box::pin(async move {
            self.begun.send_modify(|begun| begun.push(batch.payload.tenant.clone()));
            match self.turn().await {
                Mode::Store | Mode::Stall | Mode::Once => {}
                Mode::Slow(time) => tokio::time::sleep(time).await,
                Mode::Fail(error) | Mode::Refuse(error) => return Err(error),
                Mode::Panic => panic!("the store was told to panic"),
            }
            let duplicate = !self.hashes.lock().expect("not poisoned").insert(batch.hash);
            if !duplicate {
                let rows = batch.rows.num_rows() as u64;
                self.kept.lock().expect("not poisoned").push((batch.payload, rows));
            }
            Ok(Ack { duplicate })
        })
    }

    fn refuses(&self, _: u64) -> Option<Error> {
        match &*self.mode.borrow() {
            Mode::Refuse(error) => Some(error.clone()),
            _ => None,
        }
    }
}

/// A collector and all that it stands on.
pub struct Bench {
    pub store: Arc<FakeStore>,
    pub ledger: Arc<Ledger>,
    pub collector: Collector,
}

pub const RECEIVED: model::Nanos = 1_700_000_000_000_000_000;

impl Bench {
    pub fn new() -> Self {
        Self::with(Settings::default(), Access::open())
    }

    pub fn with(settings: Settings, access: Access) -> Self {
        let decoder = Arc::new(CountingDecoder { limit: settings.max_request_bytes });
        Self::of(settings, access, decoder)
    }

    /// With the collector's own decoder.
    pub fn real(settings: Settings) -> Self {
        let max_decoded_bytes = usize::try_from(settings.max_request_bytes).expect("fits");
        let decoder = Arc::new(OtlpDecoder::new(Limits { max_decoded_bytes, ..Limits::default() }));
        Self::of(settings, Access::open(), decoder)
    }

    fn of(settings: Settings, access: Access, decoder: Arc<dyn Decoder>) -> Self {
        let (store, ledger) = (FakeStore::new(), Arc::new(Ledger::default()));
        let clock = Arc::new(ManualClock::at(RECEIVED));
        let collector = Collector::new(settings, Arc::new(access), ledger.clone(), decoder, store.clone(), clock);
        Bench { store, ledger, collector }
    }

    pub fn router(&self) -> Router {
        self.collector.http_router()
    }

    pub fn spans(&self) -> Totals {
        self.ledger.of(Signal::Traces).totals()
    }

    pub fn metrics_text(&self) -> String {
        let mut out = String::new();
        self.collector.stats().write_prometheus(&mut out);
        out
    }

    pub async fn send(&self, request: http::Request<axum::body::Body>) -> Answer {
        answer(self.router(), request).await
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: http::StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
    pub trailers: http::HeaderMap,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// `grpc-status`, from the trailers or, when there is no message, from the headers.
    pub fn grpc_status(&self) -> i32 {
        let value = self.trailers.get("grpc-status").or(self.headers.get("grpc-status")).expect("a grpc-status");
        value.to_str().expect("ASCII").parse().expect("a number")
    }
}

pub async fn answer(router: Router, request: http::Request<axum::body::Body>) -> Answer {
    let (parts, body) = router.oneshot(request).await.expect("infallible").into_parts();
    let collected = body.collect().await.expect("a whole body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer { status: parts.status, headers: parts.headers, body: collected.to_bytes(), trailers }
}

/// Spans with valid ids, by name.
pub fn spans(names: &[&str]) -> ExportTraceServiceRequest {
    let span = |(at, name): (usize, &&str)| Span {
        trace_id: vec![1; 16],
        span_id: (at as u64 + 1).to_be_bytes().to_vec(),
        name: (*name).to_owned(),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: names.iter().enumerate().map(span).collect(), ..ScopeSpans::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() }],
    }
}

/// The same without trace ids.
pub fn without_ids(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    for span in request.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans).flat_map(|s| &mut s.spans) {
        span.trace_id.clear();
    }
    request
}

pub fn compressed(encoding: Encoding, body: &[u8]) -> Vec<u8> {
    match encoding {
        Encoding::Identity => body.to_vec(),
        Encoding::Zstd => zstd::encode_all(body, 1).expect("compresses"),
        Encoding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body).expect("compresses");
            encoder.finish().expect("compresses")
        }
        Encoding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body).expect("compresses");
            encoder.finish().expect("compresses")
        }
    }
}

/// gRPC's five bytes before a message.
pub fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short");
    [&[flag], length.to_be_bytes().as_slice(), message].concat()
}

/// A listener on a free port, running until the token is cancelled.
pub struct Running {
    pub address: std::net::SocketAddr,
    pub shutdown: tokio_util::sync::CancellationToken,
    pub task: tokio::task::JoinHandle<()>,
    pub connections: Arc<hotspan_collector::Connections>,
}

impl Running {
    pub async fn start(
        router: Router,
        limits: hotspan_collector::ConnectionLimits,
        tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shutdown = tokio_util::sync::CancellationToken::new();
        let connections = Arc::new(hotspan_collector::Connections::default());
        let serving =
            hotspan_collector::listen::serve(listener, router, tls, limits, connections.clone(), shutdown.clone());
        Running { address, shutdown, task: tokio::spawn(serving), connections }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic");
    }
}
