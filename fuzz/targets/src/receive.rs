//! The routers: any headers and any body, over gRPC and HTTP, to any path.
//!
//! The first byte chooses protocol and path, the second how the body is cut into pieces; header lines follow up to
//! an empty line, then the body.

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use collector::decode::{Limits, OtlpDecoder};
use collector::{Collector, Settings};
use futures::stream;
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use model::access::Access;
use model::ingest::Pending;
use model::{Ack, Batch, Error, Ingest, Ledger, ManualClock, Signal};
use tokio::runtime::Runtime;
use tower::ServiceExt;

const LIMIT: u64 = 64 << 10;

const PATHS: [&str; 8] = [
    "/v1/traces",
    "/v1/metrics",
    "/v1/logs",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "/",
    "/v1/unknown",
];

/// A store that takes everything.
struct Taking;

impl Ingest for Taking {
    fn append(&self, _: Batch) -> Pending<'_, Ack> {
        Box::pin(async { Ok(Ack { duplicate: false }) })
    }

    fn refuses(&self, _: u64) -> Option<Error> {
        None
    }
}

struct World {
    runtime: Runtime,
    collector: Collector,
    ledger: Arc<Ledger>,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let limits = Limits { max_decoded_bytes: LIMIT as usize, ..Limits::default() };
        let settings = Settings { max_request_bytes: LIMIT, ..Settings::default() };
        let ledger = Arc::new(Ledger::default());
        let clock = Arc::new(ManualClock::at(1));
        let decoder = Arc::new(OtlpDecoder::new(limits));
        let collector =
            Collector::new(settings, Arc::new(Access::open()), ledger.clone(), decoder, Arc::new(Taking), clock);
        World { runtime, collector, ledger }
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

pub fn receive(data: &[u8]) {
    let Some(request) = request(data) else { return };
    WORLD.with_borrow(|world| {
        let router = world.collector.http_router();
        let parts = world.runtime.block_on(async {
            let (parts, body) = router.oneshot(request).await.expect("infallible").into_parts();
            body.collect().await.expect("a whole answer");
            parts
        });
        // Nothing here is short of room and nothing in the store fails, so nothing may be told to come again but a
        // call whose own deadline is over.
        let is_ours = parts.status.is_server_error()
            && !matches!(parts.status, StatusCode::HTTP_VERSION_NOT_SUPPORTED | StatusCode::GATEWAY_TIMEOUT);
        assert!(!is_ours, "{parts:?}");
        if let Some(status) = parts.headers.get("grpc-status") {
            let status = status.to_str().expect("ASCII");
            assert!(["0", "3", "4", "8", "12"].contains(&status), "grpc-status {status}");
        }
        for signal in Signal::ALL {
            let totals = world.ledger.of(signal).totals();
            assert_eq!(totals.received, totals.stored + totals.rejected, "{totals:?}");
        }
    });
}

fn request(data: &[u8]) -> Option<Request> {
    let [choice, cut, rest @ ..] = data else { return None };
    let end = rest.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((rest, &[][..]), |end| (&rest[..end], &rest[end + 2..]));
    let mut request = Request::new(body_in_pieces(body, usize::from(*cut)));
    *request.uri_mut() = PATHS[usize::from(*choice) % PATHS.len()].parse().expect("a path");
    *request.method_mut() = if choice & 0x40 == 0 { Method::POST } else { Method::PUT };
    *request.version_mut() = if choice & 0x80 == 0 { Version::HTTP_2 } else { Version::HTTP_11 };
    for line in head.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

fn body_in_pieces(body: &[u8], size: usize) -> Body {
    let pieces: Vec<_> = if size == 0 { vec![body.to_vec()] } else { body.chunks(size).map(<[u8]>::to_vec).collect() };
    let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
    Body::new(StreamBody::new(stream::iter(frames)))
}
