//! OTLP/gRPC: tonic's own client, and calls no library would send.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use hotspan_collector::{ConnectionLimits, Settings};
use http::{Request, Version};
use http_body_util::StreamBody;
use hyper::body::Frame;
use model::access::Access;
use model::{Encoding, Error, Kind};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use crate::support::{Answer, Bench, Mode, Running, compressed, framed, spans, without_ids};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

async fn connected(bench: &Bench) -> (Running, Channel) {
    let running = Running::start(bench.collector.grpc_router(), ConnectionLimits::default(), None).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).expect("an address");
    (running, endpoint.connect().await.expect("connects"))
}

#[tokio::test]
async fn tonics_client_exports_with_every_compression_it_knows() {
    let bench = Bench::new();
    let (running, channel) = connected(&bench).await;
    // Longer than an HTTP/2 frame and than the stream's window, so that it comes in many pieces.
    let long = "x".repeat(1 << 20);
    let plain = TraceServiceClient::new(channel.clone());
    let clients = [
        (Encoding::Identity, plain.clone()),
        (Encoding::Gzip, plain.clone().send_compressed(CompressionEncoding::Gzip)),
        (Encoding::Zstd, plain.clone().send_compressed(CompressionEncoding::Zstd)),
    ];
    for (at, (encoding, mut client)) in clients.into_iter().enumerate() {
        let request = spans(&[&long, &at.to_string()]);
        let response = client.export(request.clone()).await.expect("taken").into_inner();
        assert_eq!(response, ExportTraceServiceResponse { partial_success: None });
        let payload = bench.store.payloads().pop().expect("kept");
        assert_eq!(payload.encoding, encoding);
        if encoding == Encoding::Identity {
            assert_eq!(payload.body.as_ref(), request.encode_to_vec());
        } else {
            assert!(payload.body.len() < 100_000, "kept compressed: {}", payload.body.len());
        }
    }
    assert_eq!(bench.store.rows(), 6);

    MetricsServiceClient::new(channel.clone()).export(ExportMetricsServiceRequest::default()).await.expect("taken");
    LogsServiceClient::new(channel).export(ExportLogsServiceRequest::default()).await.expect("taken");
    running.stop().await;
}

#[tokio::test]
async fn tonics_client_understands_partial_success_and_every_refusal() {
    let bench = Bench::new();
    let (running, channel) = connected(&bench).await;
    let mut client = TraceServiceClient::new(channel);
    let response = client.export(without_ids(spans(&["a"]))).await.expect("taken").into_inner();
    let error_message = "1 spans without a valid trace id".to_owned();
    assert_eq!(response.partial_success, Some(ExportTracePartialSuccess { rejected_spans: 1, error_message }));

    let pause = Duration::from_millis(1200);
    let four = Duration::from_secs(4);
    let rows = [
        (Error::overloaded("busy", pause), Code::Unavailable, Some(pause)),
        (Error::unavailable("full: ein Gerät, 100 %\n"), Code::Unavailable, Some(four)),
        (Error::internal("a bug"), Code::Unavailable, Some(four)),
        (Error::corrupt("damaged"), Code::Unavailable, Some(four)),
        (Error::new(Kind::Limit, "limit"), Code::Unavailable, Some(four)),
        (Error::new(Kind::TooLarge, "too large"), Code::ResourceExhausted, None),
        (Error::invalid("no"), Code::InvalidArgument, None),
        (Error::new(Kind::Unauthenticated, "who"), Code::Unauthenticated, None),
        (Error::new(Kind::Forbidden, "not you"), Code::PermissionDenied, None),
    ];
    for (error, code, retry) in rows {
        bench.store.set(Mode::Fail(error.clone()));
        let status = client.export(spans(&["a"])).await.expect_err("refused");
        assert_eq!((status.code(), status.message()), (code, error.message.as_str()));
        let details = status.get_error_details();
        let told = details.retry_info().and_then(|r| r.retry_delay);
        assert_eq!(told.is_some(), retry.is_some(), "{error:?}");
        assert!(told.zip(retry).is_none_or(|(told, least)| least <= told && told <= least * 2), "{error:?}: {told:?}");
        assert_eq!(details.bad_request().is_some(), code == Code::InvalidArgument, "{error:?}");
    }
    bench.store.set(Mode::Store);
    client.export(spans(&["a"])).await.expect("taken");
    let totals = bench.spans();
    assert_eq!((totals.received, totals.stored, totals.refused, totals.rejected, totals.in_flight), (11, 1, 5, 5, 0));
    running.stop().await;
}

#[tokio::test]
async fn an_oversized_message_is_refused_by_its_prefix_and_the_connection_lives() {
    let settings = Settings { max_request_bytes: 1000, ..Settings::default() };
    let bench = Bench::with(settings, Access::open());
    let (running, channel) = connected(&bench).await;
    let mut client = TraceServiceClient::new(channel);
    for _ in 0..3 {
        let status = client.export(spans(&[&"x".repeat(2_000_000)])).await.expect_err("too large");
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.get_error_details().retry_info().is_none(), "exporters would send it again");
        client.export(spans(&["small"])).await.expect("taken");
    }
    let mut client = client.send_compressed(CompressionEncoding::Zstd);
    let status = client.export(spans(&[&"x".repeat(2_000_000)])).await.expect_err("too large when decompressed");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.get_error_details().retry_info().is_none());
    running.stop().await;
}

/// A gRPC call to `path` whose body comes in these pieces.
fn call(path: &str, pieces: Vec<Bytes>) -> Request<Body> {
    let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
    let mut request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    request = request.version(Version::HTTP_2);
    request.body(Body::new(StreamBody::new(stream::iter(frames)))).expect("a request")
}

fn with(name: &'static str, value: &'static str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().expect("a value"));
    request
}

fn message(answer: &Answer) -> String {
    answer.header("grpc-message").replace("%20", " ")
}

#[tokio::test]
async fn a_message_may_be_cut_into_frames_anywhere() {
    let whole = framed(0, &spans(&["a", "b", "c"]).encode_to_vec());
    for cut in 0..=whole.len() {
        let bench = Bench::new();
        let (left, right) = whole.split_at(cut);
        let pieces = vec![Bytes::copy_from_slice(left), Bytes::new(), Bytes::copy_from_slice(right)];
        let answer = bench.send(call(EXPORT, pieces)).await;
        assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, 0), "cut at {cut}: {answer:?}");
        assert_eq!(bench.store.rows(), 3);
    }
    let bench = Bench::new();
    let bytes = whole.iter().map(|byte| Bytes::copy_from_slice(&[*byte])).collect();
    let answer = bench.send(call(EXPORT, bytes)).await;
    assert_eq!(answer.grpc_status(), 0, "byte by byte: {answer:?}");
    assert_eq!(bench.store.payloads()[0].body, &whole[5..]);
}

#[tokio::test]
async fn an_answer_is_one_message_and_trailers() {
    let bench = Bench::new();
    let answer = bench.send(call(EXPORT, vec![framed(0, &spans(&["a"]).encode_to_vec()).into()])).await;
    assert_eq!(answer.header("content-type"), "application/grpc");
    assert_eq!(answer.header("grpc-accept-encoding"), "identity,gzip,zstd,deflate");
    assert_eq!(answer.headers.get("grpc-status"), None, "it belongs into the trailers");
    assert_eq!(answer.body.as_ref(), [0, 0, 0, 0, 0]);
    assert_eq!(answer.trailers["grpc-status"], "0");
}

#[tokio::test]
async fn calls_that_break_grpcs_rules_are_refused_for_good() {
    let good = || Bytes::from(framed(0, &spans(&["a"]).encode_to_vec()));
    let zipped = || Bytes::from(framed(1, &compressed(Encoding::Gzip, &spans(&["a"]).encode_to_vec())));
    let twice = || vec![good(), good()];
    let rows = [
        ("no message", call(EXPORT, vec![]), Code::InvalidArgument, "the call has no message"),
        (
            "half a prefix",
            call(EXPORT, vec![good().slice(..3)]),
            Code::InvalidArgument,
            "the body ends after 3 of 5 bytes",
        ),
        ("only a prefix", call(EXPORT, vec![good().slice(..5)]), Code::InvalidArgument, "the call ends before"),
        ("half a message", call(EXPORT, vec![good().slice(..9)]), Code::InvalidArgument, "the body ends after 4 of"),
        ("two messages", call(EXPORT, twice()), Code::InvalidArgument, "an export is one message"),
        ("flag 2", call(EXPORT, vec![framed(2, b"").into()]), Code::InvalidArgument, "the message starts with 2"),
        ("unnamed compression", call(EXPORT, vec![zipped()]), Code::InvalidArgument, "the message is flagged"),
        (
            "identity compression",
            with("grpc-encoding", "identity", call(EXPORT, vec![zipped()])),
            Code::InvalidArgument,
            "the message is flagged",
        ),
        (
            "wrong compression",
            with("grpc-encoding", "zstd", call(EXPORT, vec![zipped()])),
            Code::InvalidArgument,
            "decompressing",
        ),
        (
            "unknown compression",
            with("grpc-encoding", "snappy", call(EXPORT, vec![good()])),
            Code::Unimplemented,
            "grpc-encoding",
        ),
        (
            "bad timeout",
            with("grpc-timeout", "soon", call(EXPORT, vec![good()])),
            Code::InvalidArgument,
            "grpc-timeout",
        ),
        ("not protobuf", call(EXPORT, vec![framed(0, b"\xff\xff").into()]), Code::InvalidArgument, ""),
        (
            "JSON",
            with("content-type", "application/grpc+json", call(EXPORT, vec![good()])),
            Code::InvalidArgument,
            "content-type",
        ),
        (
            "unknown method",
            call("/opentelemetry.proto.collector.trace.v1.TraceService/Import", vec![good()]),
            Code::Unimplemented,
            "there is no method",
        ),
        (
            "profiles",
            call("/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export", vec![good()]),
            Code::Unimplemented,
            "there is no method",
        ),
        ("bad tenant", with("x-scope-orgid", "a/b", call(EXPORT, vec![good()])), Code::InvalidArgument, ""),
    ];
    for (name, request, code, start) in rows {
        let bench = Bench::new();
        let answer = bench.send(request).await;
        assert_eq!(answer.status.as_u16(), 200, "{name}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/grpc", "{name}");
        assert_eq!(answer.grpc_status(), i32::from(code), "{name}: {answer:?}");
        assert!(message(&answer).starts_with(start), "{name}: {}", message(&answer));
        assert!(answer.body.is_empty() && answer.trailers.is_empty(), "{name} is trailers-only");
        assert!(answer.headers.contains_key("grpc-status-details-bin"), "{name}");
        assert_eq!((bench.store.rows(), bench.spans().in_flight), (0, 0), "{name}");
    }
}

#[tokio::test]
async fn known_encodings_and_formats_are_taken() {
    for (name, encoding) in [("gzip", Encoding::Gzip), ("zstd", Encoding::Zstd), ("deflate", Encoding::Deflate)] {
        let bench = Bench::new();
        let body = compressed(encoding, &spans(&["a"]).encode_to_vec());
        let request = with("content-type", "application/grpc+proto", call(EXPORT, vec![framed(1, &body).into()]));
        let answer = bench.send(with("grpc-encoding", name, request)).await;
        assert_eq!((answer.grpc_status(), bench.store.rows()), (0, 1), "{name}: {answer:?}");
        // A named compression does not bind a message that is not flagged.
        let plain = call(EXPORT, vec![framed(0, &spans(&["b"]).encode_to_vec()).into()]);
        let answer = bench.send(with("grpc-encoding", name, plain)).await;
        assert_eq!((answer.grpc_status(), bench.store.rows()), (0, 2), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_not_grpc_gets_an_http_status() {
    let bench = Bench::new();
    let good = || vec![Bytes::from(framed(0, b""))];
    let web = bench.send(with("content-type", "application/grpc-web", call(EXPORT, good()))).await;
    assert_eq!(web.status.as_u16(), 415);
    let mut old = call(EXPORT, good());
    *old.version_mut() = Version::HTTP_11;
    assert_eq!(bench.send(old).await.status.as_u16(), 505);
    let mut get = call(EXPORT, good());
    *get.method_mut() = http::Method::GET;
    assert_eq!(bench.send(get).await.status.as_u16(), 405);
}

#[tokio::test(start_paused = true)]
async fn a_calls_own_deadline_ends_the_wait_but_not_the_storing() {
    let bench = Bench::new();
    bench.store.set(Mode::Stall);
    let body = vec![Bytes::from(framed(0, &spans(&["a"]).encode_to_vec()))];
    let answer = bench.send(with("grpc-timeout", "300m", call(EXPORT, body))).await;
    assert_eq!(answer.grpc_status(), i32::from(Code::DeadlineExceeded), "{answer:?}");
    assert_eq!(bench.spans().in_flight, 1);
    bench.store.set(Mode::Store);
    while bench.spans().in_flight > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.spans().stored, 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_cut() {
    let bench = Bench::new();
    let begun = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from(framed(0, &[0; 100])).slice(..50)))]);
    let body = futures::StreamExt::chain(begun, stream::pending());
    let mut request = call(EXPORT, vec![]);
    *request.body_mut() = Body::new(StreamBody::new(body));
    let answer = bench.send(request).await;
    assert_eq!(answer.grpc_status(), i32::from(Code::Unavailable));
    assert_eq!(message(&answer), "the body is too slow: 50 bytes in 10 s");
    assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
}
