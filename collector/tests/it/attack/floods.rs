//! Bodies that grow: bombs, and requests whose rows take far more room than their bytes.

use axum::body::Body;
use hotspan_collector::decode::OtlpDecoder;
use hotspan_collector::{ConnectionLimits, Settings};
use http::Request;
use model::{Decoder, Encoding, Format, Payload, Signal, Tenant};

use super::Honest;
use crate::support::{Answer, Bench, Mode, Running, answer, compressed};

const MIB: u64 = 1 << 20;

fn post(encoding: &str, body: Vec<u8>) -> Request<Body> {
    let request = Request::post("/v1/metrics").header("content-type", "application/x-protobuf");
    let request = request.header("content-encoding", encoding).header("content-length", body.len());
    request.body(Body::from(body)).expect("a request")
}

#[tokio::test]
async fn bombs_are_too_large_and_hold_up_nobody() {
    let bench = Bench::real(Settings { max_request_bytes: 4 * MIB, ..Settings::default() });
    let running = Running::start(bench.router(), ConnectionLimits::default(), None).await;
    let mut honest = Honest::connect(&running).await;
    let zeros = vec![0; 64 << 20];
    let mut bombs = Vec::new();
    for (name, encoding) in [("gzip", Encoding::Gzip), ("deflate", Encoding::Deflate), ("zstd", Encoding::Zstd)] {
        let bomb = compressed(encoding, &zeros);
        assert!(bomb.len() < 1 << 20, "{name}: {}", bomb.len());
        bombs.extend((0..20).map(|_| tokio::spawn(answer(bench.router(), post(name, bomb.clone())))));
    }
    honest.exports(20).await;
    for bomb in bombs {
        assert_eq!(bomb.await.expect("no panic").status.as_u16(), 413);
    }
    assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
    honest.finds_everything(&bench);
    running.stop().await;
}

/// A metric with `count` empty points, of two bytes each.
fn empty_points(count: usize) -> Vec<u8> {
    [[0x0a, 0x00].repeat(count)].iter().fold(Vec::new(), |_, points| {
        [5u8, 2, 2, 1].iter().fold(points.clone(), |inner, number| {
            let mut outer = vec![number << 3 | 2];
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            outer.extend(inner);
            outer
        })
    })
}

/// While the store stalls, decoded rows wait in memory. Their bodies are a few KB and fit by the hundreds.
#[tokio::test]
async fn small_bodies_with_many_rows_do_not_pile_up_behind_a_slow_disk() {
    let limit = 8 * MIB;
    let settings =
        Settings { max_request_bytes: limit, max_in_flight_bytes: limit, decode_threads: 2, ..Settings::default() };
    let bench = Bench::real(settings);
    let body = compressed(Encoding::Zstd, &empty_points(5000));
    let rows = {
        let payload = Payload {
            tenant: Tenant::default(),
            signal: Signal::Metrics,
            format: Format::Protobuf,
            encoding: Encoding::Zstd,
            received: 1,
            body: body.clone().into(),
        };
        OtlpDecoder::default().decode(&payload).expect("valid").rows.get_array_memory_size() as u64
    };
    assert!(rows > 50 * body.len() as u64, "{rows} bytes of rows from {}", body.len());
    bench.store.set(Mode::Stall);
    let many: Vec<_> = (0..200).map(|_| tokio::spawn(answer(bench.router(), post("zstd", body.clone())))).collect();
    let mut most = 0;
    let all = async {
        let mut answers: Vec<Answer> = Vec::new();
        for sent in many {
            answers.push(sent.await.expect("no panic"));
        }
        answers
    };
    let watch = async {
        while bench.collector.stats().exports_refused() < 100 {
            most = most.max(bench.collector.stats().in_flight_bytes());
            tokio::task::yield_now().await;
        }
        bench.store.set(Mode::Store);
    };
    let (answers, ()) = tokio::join!(all, watch);
    let bound = limit + 2 * (rows + 4096);
    assert!(most <= bound, "{most} bytes were in flight, at most {bound} may");
    let taken = answers.iter().filter(|answer| answer.status.as_u16() == 200).count();
    let refused = answers.iter().filter(|answer| answer.status.as_u16() == 503).count();
    assert!(taken > 0 && taken + refused == 200, "{taken} taken, {refused} refused");
    assert_eq!(bench.collector.stats().in_flight_bytes(), 0);
}
