//! What both protocols share: who may, for whom, what is counted, and that nothing is lost on the way.

use axum::body::Body;
use hotspan_collector::Settings;
use http::Request;
use model::access::Access;
use model::{Error, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

use crate::support::{Bench, Mode, framed, spans};

const TOKENS: &str = "shop ingest shop,staging aaaaaaaaaaaaaaaaaaaa\nviewer read * bbbbbbbbbbbbbbbbbbbb\n";

/// The same export by HTTP (true) or gRPC, with some headers.
fn export(by_http: bool, headers: &[(&'static str, &'static str)]) -> Request<Body> {
    let body = spans(&["a"]).encode_to_vec();
    let mut request = if by_http {
        Request::post("/v1/traces").header("content-type", "application/x-protobuf").body(Body::from(body))
    } else {
        Request::post("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .body(Body::from(framed(0, &body)))
    }
    .expect("a request");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("a value"));
    }
    request
}

#[tokio::test]
async fn the_token_decides_who_may_and_for_which_tenant() {
    let shop = ("authorization", "Bearer aaaaaaaaaaaaaaaaaaaa");
    let viewer = ("authorization", "Bearer bbbbbbbbbbbbbbbbbbbb");
    let org = |tenant| ("x-scope-orgid", tenant);
    let rows: [(&[_], u16, i32, &str); 8] = [
        (&[shop], 200, 0, "shop"),
        (&[shop, org("staging")], 200, 0, "staging"),
        (&[shop, org("other")], 403, 7, ""),
        (&[viewer], 403, 7, ""),
        (&[], 401, 16, ""),
        (&[org("shop")], 401, 16, ""),
        (&[("authorization", "Bearer cccccccccccccccccccc")], 401, 16, ""),
        (&[("authorization", "Basic YTpi")], 401, 16, ""),
    ];
    for (headers, status, code, tenant) in rows {
        for by_http in [true, false] {
            let bench = Bench::with(Settings::default(), Access::parse(TOKENS).expect("parses"));
            let answer = bench.send(export(by_http, headers)).await;
            if by_http {
                assert_eq!(answer.status.as_u16(), status, "{headers:?}: {answer:?}");
                assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
            } else {
                assert_eq!((answer.status.as_u16(), answer.grpc_status()), (200, code), "{headers:?}: {answer:?}");
            }
            let tenants: Vec<_> = bench.store.payloads().iter().map(|p| p.tenant.to_string()).collect();
            assert_eq!(tenants.join(","), tenant, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn a_stranger_is_refused_before_a_byte_of_the_body_is_read() {
    let bench = Bench::with(Settings::default(), Access::parse(TOKENS).expect("parses"));
    for by_http in [true, false] {
        let mut request = export(by_http, &[]);
        // Waiting for it would never end.
        *request.body_mut() = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        bench.send(request).await;
    }
    let text = bench.metrics_text();
    assert!(text.contains("hotspan_exports_failed_total{reason=\"unauthenticated\"} 2\n"), "{text}");
}

#[tokio::test]
async fn a_panic_is_the_servers_fault_and_costs_nobody_else() {
    for by_http in [true, false] {
        let bench = Bench::new();
        bench.store.set(Mode::Panic);
        let answer = bench.send(export(by_http, &[])).await;
        if by_http {
            let after: u64 = answer.header("retry-after").parse().expect("seconds");
            assert!(answer.status.as_u16() == 503 && (4..=8).contains(&after), "{answer:?}");
        } else {
            assert_eq!(answer.grpc_status(), 14);
        }
        let totals = bench.spans();
        assert_eq!((totals.received, totals.refused, totals.in_flight), (1, 1, 0));
        assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
        bench.store.set(Mode::Store);
        assert_eq!(bench.send(export(by_http, &[])).await.status.as_u16(), 200);
        assert_eq!(bench.store.rows(), 1);
        assert!(bench.metrics_text().contains("hotspan_export_panics_total 1\n"));
    }
}

#[tokio::test]
async fn a_panicking_decoder_is_no_reason_to_drop_the_export() {
    let bench = Bench::new();
    // Once decoded in place, once on the blocking pool.
    for padding in [0, 100_000] {
        let body = spans(&["panic", &"x".repeat(padding)]).encode_to_vec();
        let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
        let answer = bench.send(request.body(Body::from(body)).expect("a request")).await;
        assert_eq!(answer.status.as_u16(), 503, "{answer:?}");
    }
    assert_eq!(bench.spans().received, 0, "how many rows it had is not known");
    assert_eq!(bench.send(export(true, &[])).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_unsettle_the_ledger() {
    let bench = Bench::new();
    bench.store.set(Mode::Stall);
    let sending = tokio::spawn(crate::support::answer(bench.router(), export(true, &[])));
    bench.store.has_begun(1).await;
    sending.abort();
    assert!(sending.await.expect_err("aborted").is_cancelled());
    assert!(bench.metrics_text().contains("protocol=\"http\",signal=\"traces\",outcome=\"abandoned\"} 1\n"));
    assert_eq!(bench.spans().in_flight, 1);
    bench.store.set(Mode::Store);
    while bench.spans().in_flight > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((bench.spans().stored, bench.store.rows()), (1, 1));
}

#[tokio::test]
async fn each_signal_has_its_own_account() {
    let bench = Bench::new();
    let scope = ScopeLogs { log_records: vec![LogRecord::default(); 4], ..ScopeLogs::default() };
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() }],
    };
    let request = Request::post("/v1/logs").header("content-type", "application/x-protobuf");
    let answer = bench.send(request.body(Body::from(logs.encode_to_vec())).expect("a request")).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(bench.ledger.of(Signal::Logs).totals().stored, 4);
    assert_eq!(bench.spans().received, 0);
}

#[tokio::test]
async fn refused_for_now_and_refused_for_good_are_told_apart() {
    let bench = Bench::new();
    for error in [Error::unavailable("full"), Error::invalid("never")] {
        bench.store.set(Mode::Fail(error));
        bench.send(export(true, &[])).await;
    }
    let totals = bench.spans();
    assert_eq!((totals.received, totals.refused, totals.rejected), (2, 1, 1));
    let reasons = bench.collector.stats().reasons().1;
    assert_eq!(reasons, [("rejected", "invalid", 1), ("refused", "unavailable", 1)]);
    let text = bench.metrics_text();
    for line in [
        "hotspan_exports_total{protocol=\"http\",signal=\"traces\",outcome=\"refused\"} 1\n",
        "hotspan_exports_total{protocol=\"http\",signal=\"traces\",outcome=\"rejected\"} 1\n",
        "hotspan_exports_failed_total{reason=\"unavailable\"} 1\n",
        "hotspan_exports_failed_total{reason=\"invalid\"} 1\n",
        "hotspan_export_duration_seconds_count{protocol=\"http\",signal=\"traces\"} 2\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[tokio::test]
async fn metrics_are_well_formed() {
    let bench = Bench::new();
    bench.send(export(true, &[])).await;
    bench.collector.stats().connections("otlp_http");
    let text = bench.metrics_text();
    let mut named = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().expect("a name");
            assert!(name.starts_with("hotspan_") && named.insert(name.to_owned()), "twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            value.parse::<f64>().expect("a number");
            let family = name.split('{').next().expect("a name");
            let known = ["", "_bucket", "_sum", "_count"]
                .iter()
                .any(|s| family.strip_suffix(s).is_some_and(|f| named.contains(f)));
            assert!(known, "no TYPE before {line}");
        }
    }
    assert!(text.contains("hotspan_connections_open{listener=\"otlp_http\"} 0\n"));
}
