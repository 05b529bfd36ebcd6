//! The collector with its real decoder, as it is wired in the server.

use std::sync::Arc;

use axum::body::Body;
use hotspan_collector::decode::{Limits, OtlpDecoder};
use hotspan_collector::{Collector, ConnectionLimits, Settings};
use http::{Request, StatusCode};
use model::access::Access;
use model::{Format, Ledger, ManualClock, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

use crate::support::{FakeStore, RECEIVED, Running, answer, spans, without_ids};

struct Wired {
    store: Arc<FakeStore>,
    ledger: Arc<Ledger>,
    collector: Collector,
}

fn wired() -> Wired {
    let (store, ledger) = (FakeStore::new(), Arc::new(Ledger::default()));
    let decoder = Arc::new(OtlpDecoder::new(Limits::default()));
    let clock = Arc::new(ManualClock::at(RECEIVED));
    let access = Arc::new(Access::open());
    let collector = Collector::new(Settings::default(), access, ledger.clone(), decoder, store.clone(), clock);
    Wired { store, ledger, collector }
}

#[tokio::test]
async fn spans_come_through_over_grpc_and_http() {
    let wired = wired();
    let running = Running::start(wired.collector.grpc_router(), ConnectionLimits::default(), None).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).expect("an address");
    let channel = endpoint.connect().await.expect("connects");
    let mut client = TraceServiceClient::new(channel).send_compressed(CompressionEncoding::Zstd);
    let mut mixed = spans(&["a", "b"]);
    mixed.resource_spans.extend(without_ids(spans(&["c"])).resource_spans);
    let partial = client.export(mixed.clone()).await.expect("taken").into_inner().partial_success.expect("set");
    assert_eq!(partial.rejected_spans, 1);
    assert!(!partial.error_message.is_empty());

    let json = serde_json::to_vec(&spans(&["d", "e", "f"])).expect("JSON");
    let request = Request::post("/v1/traces").header("content-type", "application/json");
    let taken = answer(wired.collector.http_router(), request.body(Body::from(json)).expect("a request")).await;
    assert_eq!((taken.status, taken.body.as_ref()), (StatusCode::OK, b"{}".as_slice()));
    assert_eq!(wired.store.payloads().pop().expect("kept").format, Format::Json);

    // The same spans, uncompressed this time: the hash is that of the decompressed body.
    let mut plain = TraceServiceClient::new(endpoint.connect().await.expect("connects"));
    plain.export(mixed).await.expect("taken");
    let totals = wired.ledger.of(Signal::Traces).totals();
    assert_eq!((totals.received, totals.stored, totals.rejected, totals.duplicates), (9, 5, 2, 2));
    assert_eq!(wired.store.rows(), 5);
    running.stop().await;
}

#[tokio::test]
async fn what_does_not_decode_is_refused_for_good() {
    let wired = wired();
    for (content_type, body) in [("application/x-protobuf", "\u{1}[nonsense"), ("application/json", "[nonsense")] {
        let request = Request::post("/v1/traces").header("content-type", content_type);
        let refused = answer(wired.collector.http_router(), request.body(Body::from(body)).expect("a request")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{content_type}: {refused:?}");
    }
    assert_eq!(wired.ledger.of(Signal::Traces).totals().received, 0);
}
