//! A store that stalls: clients are told to come back, memory stays bounded, and nothing is lost once it resumes.

use std::time::Duration;

use axum::body::Body;
use hotspan_collector::Settings;
use http::Request;
use model::access::Access;
use model::{Error, Kind};
use prost::Message;

use crate::support::{Answer, Bench, Mode, answer, framed, spans};

/// Room for two exports of this size at the door, not for three.
const SIZE: usize = 40_000;

fn bench() -> Bench {
    let settings = Settings { max_request_bytes: 60_000, max_in_flight_bytes: 120_000, ..Settings::default() };
    Bench::with(settings, Access::open())
}

fn by_http(name: &str, tenant: &str) -> Request<Body> {
    let body = spans(&[name, &"x".repeat(SIZE)]).encode_to_vec();
    Request::post("/v1/traces")
        .header("content-type", "application/x-protobuf")
        .header("content-length", body.len())
        .header("x-scope-orgid", tenant)
        .body(Body::from(body))
        .expect("a request")
}

fn by_grpc(name: &str) -> Request<Body> {
    let body = spans(&[name, &"x".repeat(SIZE)]).encode_to_vec();
    Request::post("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(Body::from(framed(0, &body)))
        .expect("a request")
}

fn chunked(name: &str) -> Request<Body> {
    let body = spans(&[name, &"x".repeat(SIZE)]).encode_to_vec();
    let chunks: Vec<_> = body.chunks(1000).map(|c| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(c))).collect();
    let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
    request.body(Body::from_stream(futures::stream::iter(chunks))).expect("a request")
}

/// Starts an export and returns once the store has it.
async fn stalled(bench: &Bench, request: Request<Body>, count: usize) -> tokio::task::JoinHandle<Answer> {
    let sending = tokio::spawn(answer(bench.router(), request));
    bench.store.has_begun(count).await;
    sending
}

#[tokio::test(start_paused = true)]
async fn beyond_the_budget_clients_are_told_to_come_back() {
    let bench = bench();
    bench.store.set(Mode::Stall);
    let first = stalled(&bench, by_http("a", "default"), 1).await;
    let second = stalled(&bench, by_grpc("b"), 2).await;
    let used = bench.collector.stats().in_flight_bytes();
    assert!((80_000..=100_000).contains(&used), "{used}");

    let refused = bench.send(by_http("c", "default")).await;
    assert_eq!(refused.status.as_u16(), 503, "{refused:?}");
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=5).contains(&after), "{after}");
    let refused = bench.send(by_grpc("c")).await;
    assert_eq!((refused.status.as_u16(), refused.grpc_status()), (200, 14), "{refused:?}");
    let refused = bench.send(chunked("c")).await;
    assert_eq!(refused.status.as_u16(), 503, "{refused:?}");
    assert_eq!(bench.collector.stats().in_flight_bytes(), used, "the refused ones left nothing behind");

    bench.store.set(Mode::Store);
    assert_eq!(first.await.expect("no panic").status.as_u16(), 200);
    assert_eq!(second.await.expect("no panic").grpc_status(), 0);
    for (name, request) in [("http", by_http("c", "default")), ("grpc", by_grpc("d")), ("chunked", chunked("e"))] {
        assert_eq!(bench.send(request).await.status.as_u16(), 200, "{name}");
    }
    let totals = bench.spans();
    assert_eq!((totals.received, totals.stored, totals.in_flight, bench.store.rows()), (10, 10, 0, 10));
    assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
    assert_eq!(bench.collector.stats().exports_refused(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_short_stall_is_ridden_out() {
    let bench = bench();
    bench.store.set(Mode::Stall);
    let first = stalled(&bench, by_http("a", "default"), 1).await;
    let second = stalled(&bench, by_http("b", "default"), 2).await;
    let third = tokio::spawn(answer(bench.router(), by_http("c", "default")));
    waits(&bench, 1).await;
    bench.store.set(Mode::Store);
    for sending in [first, second, third] {
        assert_eq!(sending.await.expect("no panic").status.as_u16(), 200);
    }
    assert_eq!(bench.store.rows(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_floods_does_not_lock_out_another() {
    let bench = bench();
    bench.store.set(Mode::Stall);
    let mut loud = vec![stalled(&bench, by_http("1", "loud"), 1).await, stalled(&bench, by_http("2", "loud"), 2).await];
    for name in ["3", "4", "5"] {
        loud.push(tokio::spawn(answer(bench.router(), by_http(name, "loud"))));
    }
    waits(&bench, 3).await;
    let quiet = tokio::spawn(answer(bench.router(), by_http("6", "quiet")));
    waits(&bench, 4).await;
    // Room for one becomes free, and it is for the one that came last.
    bench.store.set(Mode::Once);
    let order: Vec<_> = bench.store.has_begun(3).await.iter().map(ToString::to_string).collect();
    assert_eq!(order, ["loud", "loud", "quiet"]);
    bench.store.set(Mode::Store);
    for sending in loud.into_iter().chain([quiet]) {
        assert_eq!(sending.await.expect("no panic").status.as_u16(), 200);
    }
}

/// More exports of one tenant than may wait, each of which would wait to its end.
#[tokio::test(start_paused = true)]
async fn a_tenant_that_takes_every_waiting_place_makes_room_for_another() {
    let bench = bench();
    let (router, body) = (bench.router(), bytes::Bytes::from(spans(&["loud", &"x".repeat(SIZE)]).encode_to_vec()));
    let loud = || {
        let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
        let request = request.header("content-length", body.len()).header("x-scope-orgid", "loud");
        tokio::spawn(answer(router.clone(), request.body(Body::from(body.clone())).expect("a request")))
    };
    bench.store.set(Mode::Stall);
    let mut crowd = vec![loud(), loud()];
    bench.store.has_begun(2).await;
    crowd.extend((2..5000).map(|_| loud()));
    // All but the two in work and the 4,096 that wait.
    while bench.collector.stats().exports_refused() < 902 {
        tokio::task::yield_now().await;
    }
    waits(&bench, 4096).await;
    let mut quiet = Vec::new();
    for round in 1..=5 {
        let refused = bench.collector.stats().exports_refused();
        quiet.push(tokio::spawn(answer(bench.router(), by_http(&format!("quiet {round}"), "quiet"))));
        // Somebody has to go for it.
        while bench.collector.stats().exports_refused() == refused {
            tokio::task::yield_now().await;
        }
        assert!(quiet.iter().all(|sending| !sending.is_finished()), "none of the quiet ones");
    }
    // Room for one becomes free, and it is for one that came last.
    bench.store.set(Mode::Once);
    let order: Vec<_> = bench.store.has_begun(3).await.iter().map(ToString::to_string).collect();
    assert_eq!(order, ["loud", "loud", "quiet"]);
    bench.store.set(Mode::Store);
    for sending in quiet {
        assert_eq!(sending.await.expect("no panic").status.as_u16(), 200);
    }
    for sending in crowd {
        let status = sending.await.expect("no panic").status.as_u16();
        assert!(status == 200 || status == 503, "{status}");
    }
    assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
    let reasons: Vec<_> = bench.collector.stats().reasons().1.into_iter().map(|(_, reason, _)| reason).collect();
    assert_eq!(reasons, ["too_many_waiting"]);
}

/// Rows take room beside their bodies. What was let in has to find it, or a flood ends with everything refused after it
/// was read, by a server without anything else to do.
#[tokio::test(start_paused = true)]
async fn what_was_let_in_is_stored_however_many_wait_outside() {
    let settings =
        Settings { max_request_bytes: 60_000, max_in_flight_bytes: 1 << 20, decode_threads: 2, ..Settings::default() };
    let bench = Bench::real(settings);
    bench.store.set(Mode::Slow(Duration::from_millis(20)));
    let clients = (0..200u64).map(|number| {
        let router = bench.router();
        tokio::spawn(async move {
            let mut times = 0;
            // At no time do all of them wait together, or have given up together.
            tokio::time::sleep(Duration::from_millis(number % 20)).await;
            loop {
                let name = format!("span {number}");
                let sent = if number % 2 == 0 { by_grpc(&name) } else { by_http(&name, "default") };
                let answer = answer(router.clone(), sent).await;
                times += 1;
                let taken = answer.status.as_u16() == 200 && (number % 2 == 1 || answer.grpc_status() == 0);
                if taken {
                    return times;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    });
    let mut times = 0;
    for client in clients.collect::<Vec<_>>() {
        times += client.await.expect("no panic");
    }
    assert!(times > 200, "more came than there was room for");
    assert_eq!((bench.spans().stored, bench.store.rows()), (400, 400));
    let read: usize = bench.store.payloads().iter().map(|payload| payload.body.len()).sum();
    let metrics = bench.metrics_text();
    let counted = metrics.lines().filter(|line| line.starts_with("hotspan_export_bytes_total{"));
    let counted: usize = counted.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum();
    let prefixes = 5 * 100;
    assert_eq!(counted, read + prefixes, "bodies were read only to be refused");
}

#[tokio::test]
async fn what_the_store_would_not_take_is_refused_before_it_is_read_and_decoded() {
    let bench = bench();
    let full = Error::new(Kind::Overloaded { retry_after: Duration::from_secs(3) }, "the log is full");
    bench.store.set(Mode::Refuse(full));
    let refused = bench.send(by_http("a", "default")).await;
    assert_eq!(refused.status.as_u16(), 503, "{refused:?}");
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((3..=6).contains(&after), "{after}");
    assert_eq!(bench.send(by_grpc("b")).await.grpc_status(), 14);
    let metrics = bench.metrics_text();
    for name in ["hotspan_export_bytes_total{", "hotspan_export_decoded_bytes_total{"] {
        let values: Vec<_> = metrics.lines().filter(|line| line.starts_with(name)).collect();
        assert!(!values.is_empty() && values.iter().all(|line| line.ends_with(" 0")), "{values:?}");
    }
    assert_eq!(
        bench.collector.stats().reasons().1.into_iter().map(|(_, reason, _)| reason).collect::<Vec<_>>(),
        ["overloaded"]
    );
    bench.store.set(Mode::Store);
    assert_eq!(bench.send(by_grpc("b")).await.grpc_status(), 0);
    assert_eq!(bench.spans().stored, 2);
}

async fn waits(bench: &Bench, count: usize) {
    while !bench.metrics_text().contains(&format!("hotspan_exports_waiting {count}\n")) {
        tokio::task::yield_now().await;
    }
}
