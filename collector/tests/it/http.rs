//! OTLP/HTTP: each row of the specification's tables as a request and its exact answer.

use axum::body::Body;
use bytes::Bytes;
use hotspan_collector::Settings;
use http::{Method, Request, StatusCode};
use model::access::Access;
use model::{Encoding, Error, Format};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use std::time::Duration;
use tonic_types::{ErrorDetails, Status};

use crate::support::{Answer, Bench, Mode, RECEIVED, compressed, spans, without_ids};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn post(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header("content-type", content_type).body(body.into()).expect("a request")
}

fn traces(body: Vec<u8>) -> Request<Body> {
    post("/v1/traces", PROTOBUF, body)
}

/// The `google.rpc.Status` of an error in either encoding: code, message, whether it asks to retry, and whether it
/// names a bad field.
fn status_of(answer: &Answer) -> (i32, String, bool, bool) {
    match answer.header("content-type") {
        PROTOBUF => {
            let status = Status::decode(answer.body.clone()).expect("a google.rpc.Status");
            let has = |name: &str| {
                status.details.iter().any(|any| any.type_url == format!("type.googleapis.com/google.rpc.{name}"))
            };
            (status.code, status.message.clone(), has("RetryInfo"), has("BadRequest"))
        }
        JSON => {
            let status: Value = serde_json::from_slice(&answer.body).expect("JSON");
            let details = status["details"].as_array().expect("a list");
            let has =
                |name: &str| details.iter().any(|any| any["@type"] == format!("type.googleapis.com/google.rpc.{name}"));
            let code = i32::try_from(status["code"].as_i64().expect("a number")).expect("small");
            (code, status["message"].as_str().expect("text").to_owned(), has("RetryInfo"), has("BadRequest"))
        }
        other => panic!("{other:?} is no content type of OTLP/HTTP: {answer:?}"),
    }
}

#[tokio::test]
async fn full_success_leaves_partial_success_unset() {
    let bench = Bench::new();
    let answer = bench.send(traces(spans(&["a", "b"]).encode_to_vec())).await;
    assert_eq!((answer.status, answer.header("content-type"), answer.body.len()), (StatusCode::OK, PROTOBUF, 0));
    let as_json = serde_json::to_vec(&spans(&["c"])).expect("JSON");
    let answer = bench.send(post("/v1/traces", "application/json; charset=utf-8", as_json)).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, JSON));
    assert_eq!(answer.body, "{}");
    assert_eq!(bench.store.rows(), 3);
}

#[tokio::test]
async fn partial_success_has_the_count_and_the_reason_in_the_requests_format() {
    let bench = Bench::new();
    let mut mixed = spans(&["good"]);
    mixed.resource_spans.extend(without_ids(spans(&["bad", "bad"])).resource_spans);
    let answer = bench.send(traces(mixed.encode_to_vec())).await;
    assert_eq!(answer.status, StatusCode::OK);
    let partial = ExportTraceServiceResponse::decode(answer.body).expect("decodes").partial_success.expect("set");
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (2, "2 spans without a valid trace id"));
    assert_eq!(bench.store.rows(), 1);

    let all_bad = serde_json::to_vec(&without_ids(spans(&["bad"]))).expect("JSON");
    let answer = bench.send(post("/v1/traces", JSON, all_bad)).await;
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let expected =
        json!({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "1 spans without a valid trace id"}});
    assert_eq!((answer.status, body), (StatusCode::OK, expected));
    assert_eq!(bench.store.rows(), 1, "nothing was left to store");

    let answer = bench.send(traces(spans(&["warn"]).encode_to_vec())).await;
    let partial = ExportTraceServiceResponse::decode(answer.body).expect("decodes").partial_success.expect("set");
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (0, "a value was cut"), "a warning");
    assert_eq!(bench.spans().rejected, 3);
    assert!(bench.metrics_text().contains("hotspan_rejected_total{signal=\"traces\",reason=\"trace_id\"} 3\n"));
}

#[tokio::test]
async fn an_empty_export_succeeds_without_the_store() {
    let bench = Bench::new();
    bench.store.set(Mode::Fail(Error::internal("must not be asked")));
    for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        let answer = bench.send(post(path, PROTOBUF, Body::empty())).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0), "{path}");
        let answer = bench.send(post(path, JSON, "{}")).await;
        assert_eq!((answer.status, answer.body), (StatusCode::OK, Bytes::from("{}")), "{path}");
    }
}

#[tokio::test]
async fn the_store_gets_the_body_as_it_was_sent() {
    let bench = Bench::new();
    let names = [
        ("identity", Encoding::Identity),
        ("gzip", Encoding::Gzip),
        ("zstd", Encoding::Zstd),
        ("deflate", Encoding::Deflate),
    ];
    for (name, encoding) in names {
        let body = compressed(encoding, &spans(&[name]).encode_to_vec());
        let mut request = traces(body.clone());
        request.headers_mut().insert("content-encoding", name.parse().expect("a value"));
        let answer = bench.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        let payload = bench.store.payloads().pop().expect("kept");
        assert_eq!(
            (payload.encoding, payload.format, payload.body.as_ref()),
            (encoding, Format::Protobuf, body.as_slice())
        );
        assert_eq!((payload.received, payload.tenant.as_str()), (RECEIVED, "default"));
    }
}

#[tokio::test]
async fn a_repeated_export_gets_the_first_ones_answer() {
    let bench = Bench::new();
    let mut mixed = spans(&["good"]);
    mixed.resource_spans.extend(without_ids(spans(&["bad"])).resource_spans);
    let first = bench.send(traces(mixed.encode_to_vec())).await;
    let second = bench.send(traces(mixed.encode_to_vec())).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    let totals = bench.spans();
    assert_eq!((totals.received, totals.stored, totals.duplicates, totals.rejected), (4, 1, 1, 2));
}

/// One request and what has to come back.
struct Row {
    name: &'static str,
    request: Request<Body>,
    store: Mode,
    status: u16,
    code: i32,
    retry: bool,
    bad_request: bool,
    header: Option<(&'static str, &'static str)>,
    /// Seconds, one of which is told.
    after: Option<RangeInclusive<u64>>,
}

impl Row {
    fn new(name: &'static str, request: Request<Body>, status: u16, code: i32) -> Self {
        Row {
            name,
            request,
            store: Mode::Store,
            status,
            code,
            retry: false,
            bad_request: false,
            header: None,
            after: None,
        }
    }

    fn failing(mut self, error: Error) -> Self {
        self.store = Mode::Fail(error);
        self
    }

    fn retried(mut self, after: RangeInclusive<u64>) -> Self {
        self.retry = true;
        self.after = Some(after);
        self
    }

    fn bad_request(mut self) -> Self {
        self.bad_request = true;
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }
}

fn requests_that_are_wrong(content_type: &'static str) -> Vec<Row> {
    let good = || match content_type {
        JSON => serde_json::to_vec(&spans(&["a"])).expect("JSON"),
        _ => spans(&["a"]).encode_to_vec(),
    };
    let with = |name: &'static str, value: &'static str| {
        Request::post("/v1/traces")
            .header("content-type", content_type)
            .header(name, value)
            .body(Body::from(good()))
            .expect("a request")
    };
    let method = |method: Method| {
        Request::builder()
            .method(method)
            .uri("/v1/logs")
            .header("content-type", content_type)
            .body(Body::empty())
            .expect("a request")
    };
    let huge = compressed(Encoding::Gzip, &vec![0; 5000]);
    let bomb = Request::post("/v1/traces")
        .header("content-type", content_type)
        .header("content-encoding", "gzip")
        .body(Body::from(huge));
    vec![
        Row::new("GET", method(Method::GET), 405, 12).header("allow", "POST"),
        Row::new("PUT", method(Method::PUT), 405, 12).header("allow", "POST"),
        Row::new("unknown path", post("/v1development/profiles", content_type, good()), 404, 12),
        Row::new("doubled path", post("/v1/traces/v1/traces", content_type, good()), 404, 12),
        Row::new("root", post("/", content_type, good()), 404, 12),
        Row::new("unknown compression", with("content-encoding", "br"), 415, 12)
            .header("accept-encoding", "gzip, zstd, deflate"),
        Row::new("two compressions", with("content-encoding", "gzip, zstd"), 415, 12),
        Row::new("not compressed at all", with("content-encoding", "gzip"), 400, 3).bad_request(),
        Row::new("not decodable", post("/v1/traces", content_type, "\u{1}[nonsense"), 400, 3).bad_request(),
        Row::new("bad tenant", with("x-scope-orgid", "../etc"), 400, 3).bad_request(),
        Row::new("too large", post("/v1/traces", content_type, vec![0; 4001]), 413, 8),
        Row::new("too large by its own word", with("content-length", "4001"), 413, 8),
        Row::new("too large after decompression", bomb.expect("a request"), 413, 8),
    ]
}

fn stores_that_fail(content_type: &'static str) -> Vec<Row> {
    let row = |name: &'static str, status, code, error| {
        let body = match content_type {
            JSON => serde_json::to_vec(&spans(&["a"])).expect("JSON"),
            _ => spans(&["a"]).encode_to_vec(),
        };
        Row::new(name, post("/v1/traces", content_type, body), status, code).failing(error)
    };
    let pause = Duration::from_millis(1200);
    vec![
        row("overloaded", 503, 14, Error::overloaded("busy", pause)).retried(2..=3),
        row("unavailable", 503, 14, Error::unavailable("disk full")).retried(4..=8),
        row("internal", 503, 14, Error::internal("a bug")).retried(4..=8),
        row("corrupt", 503, 14, Error::corrupt("damaged")).retried(4..=8),
        row("too large for the store", 413, 8, Error::new(model::Kind::TooLarge, "too large")),
        row("invalid for the store", 400, 3, Error::invalid("no")).bad_request(),
    ]
}

#[tokio::test]
async fn every_error_is_a_status_in_the_requests_format() {
    for content_type in [PROTOBUF, JSON] {
        for row in requests_that_are_wrong(content_type).into_iter().chain(stores_that_fail(content_type)) {
            let bench = Bench::with(Settings { max_request_bytes: 4000, ..Settings::default() }, Access::open());
            bench.store.set(row.store);
            let answer = bench.send(row.request).await;
            let name = format!("{} in {content_type}: {answer:?}", row.name);
            assert_eq!(answer.status.as_u16(), row.status, "{name}");
            assert_eq!(answer.header("content-type"), content_type, "{name}");
            let (code, message, retry, bad_request) = status_of(&answer);
            assert_eq!((code, retry, bad_request), (row.code, row.retry, row.bad_request), "{name}");
            assert!(!message.is_empty(), "{name}");
            if let Some((header, value)) = row.header {
                assert_eq!(answer.header(header), value, "{name}");
            }
            if let Some(after) = row.after {
                assert!(after.contains(&answer.header("retry-after").parse().expect("seconds")), "{name}");
            }
            assert_eq!(bench.spans().in_flight, 0, "{name}");
            assert_eq!(bench.spans().stored, 0, "{name}");
            assert_eq!(bench.collector.stats().in_flight_bytes(), 0, "{name}");
        }
    }
}

#[tokio::test]
async fn an_unknown_format_is_answered_in_json() {
    let bench = Bench::new();
    for request in
        [post("/v1/traces", "text/plain", "a"), Request::post("/v1/traces").body(Body::from("a")).expect("a request")]
    {
        let answer = bench.send(request).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(status_of(&answer).0, 3);
    }
}

#[tokio::test]
async fn a_person_who_opens_the_port_is_told_what_it_is() {
    let bench = Bench::new();
    let answer = bench.send(Request::get("/").body(Body::empty()).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert!(answer.body.starts_with(b"hotspan takes OTLP/HTTP here"));
}

#[tokio::test]
async fn retry_details_carry_the_stores_own_pause_or_up_to_twice_that() {
    let bench = Bench::new();
    bench.store.set(Mode::Fail(Error::overloaded("busy", Duration::from_millis(1200))));
    let answer = bench.send(traces(spans(&["a"]).encode_to_vec())).await;
    let status = tonic::Status::with_details(tonic::Code::Unavailable, "", answer.body);
    let details: ErrorDetails = tonic_types::StatusExt::get_error_details(&status);
    let told = details.retry_info().expect("set").retry_delay.expect("set");
    assert!((Duration::from_millis(1200)..=Duration::from_millis(2400)).contains(&told), "{told:?}");
    let body = serde_json::to_vec(&spans(&["a"])).expect("JSON");
    let answer = bench.send(post("/v1/traces", JSON, body)).await;
    let status: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let told = status["details"][0]["retryDelay"].as_str().and_then(|told| told.strip_suffix('s')).expect("seconds");
    assert!((1.2..=2.4).contains(&told.parse::<f64>().expect("a number")), "{told}");
}

#[tokio::test]
async fn other_origins_are_let_in_only_by_name() {
    let preflight = || {
        Request::options("/v1/traces")
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-mine")
            .body(Body::empty())
            .expect("a request")
    };
    let closed = Bench::new().send(preflight()).await;
    assert_eq!((closed.status.as_u16(), closed.header("access-control-allow-origin")), (405, ""));

    let allowed = |origin: &str| Settings { cors_origins: vec![origin.to_owned()], ..Settings::default() };
    let open = Bench::with(allowed("https://shop.example"), Access::open()).send(preflight()).await;
    assert_eq!(open.status, StatusCode::OK);
    assert_eq!(open.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(open.header("access-control-allow-headers"), "content-type,x-mine");
    assert_eq!(open.header("access-control-allow-credentials"), "");

    let other = Bench::with(allowed("https://other.example"), Access::open()).send(preflight()).await;
    assert_eq!(other.header("access-control-allow-origin"), "");
}
