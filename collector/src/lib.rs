//! Receives OTLP: over gRPC and HTTP, in protobuf and JSON, compressed or not, for traces, metrics and logs.
//!
//! ```text
//!   listen ──▶ receive::{grpc, http} ──▶ admit ──▶ decode ──▶ model::Ingest (the store)
//!   sockets    framing, headers          room      rows           │
//!   ◀───────── answer ◀───────────────────────────────────────────┘
//! ```
//! Both routers answer gRPC and HTTP requests, so that an exporter pointed at the wrong one of the two ports works.
//!
//! *Architecture invariants:* knows the store only as `model::Ingest`. An export is answered with success only after
//! the store has said `Ok`; what a client is told is decided in `answer` alone.

pub mod decode;
pub mod listen;
pub mod settings;
pub mod tls;

mod admit;
mod answer;
mod chance;
mod receive;
mod stats;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::header;
use model::access::Access;
use model::{Clock, Decoder, Ingest, Ledger, Signal};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

pub use settings::{ConnectionLimits, Settings};
pub use stats::{Connections, Stats};

use admit::Budget;
use admit::turns::Turns;
use chance::Chance;
use receive::{Pipeline, grpc, http as otlp_http};

/// How long a browser may remember that an origin is allowed.
const CORS_MAX_AGE: std::time::Duration = std::time::Duration::from_secs(2 * 3600);

/// The receiving side of the server: routers to serve, and what they count.
pub struct Collector {
    pipeline: Arc<Pipeline>,
}

impl Collector {
    /// `settings` have passed [`Settings::validate`], and `decoder` refuses more than `max_request_bytes` after
    /// decompression. `clock` stamps exports with their receive time.
    pub fn new(
        settings: Settings,
        access: Arc<Access>,
        ledger: Arc<Ledger>,
        decoder: Arc<dyn Decoder>,
        ingest: Arc<dyn Ingest>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let budget = Arc::new(Budget::new(settings.max_in_flight_bytes));
        let stats = Arc::new(Stats::new(budget.clone()));
        let decoding = Turns::new(decode_threads(&settings));
        let chance = Chance::new(clock.now().cast_unsigned());
        let pipeline = Pipeline { settings, access, ledger, decoder, ingest, clock, budget, stats, decoding, chance };
        Collector { pipeline: Arc::new(pipeline) }
    }

    pub fn stats(&self) -> Arc<Stats> {
        self.pipeline.stats.clone()
    }

    /// For the OTLP/gRPC address.
    pub fn grpc_router(&self) -> Router {
        self.router("hotspan takes OTLP/gRPC here; OTLP/HTTP under /v1/traces, /v1/metrics and /v1/logs works too\n")
    }

    /// For the OTLP/HTTP address.
    pub fn http_router(&self) -> Router {
        self.router("hotspan takes OTLP/HTTP here: POST to /v1/traces, /v1/metrics or /v1/logs; OTLP/gRPC works too\n")
    }

    fn router(&self, greeting: &'static str) -> Router {
        let mut router = Router::new().route("/", get(move || async move { greeting }).fallback(nothing_here));
        for signal in Signal::ALL {
            router = router.route(
                grpc::path(signal),
                any(move |State(pipeline): State<Arc<Pipeline>>, request: Request| {
                    grpc::export(pipeline, signal, request)
                }),
            );
            router = router.route(
                otlp_http::path(signal),
                any(move |State(pipeline): State<Arc<Pipeline>>, request: Request| {
                    otlp_http::export(pipeline, signal, request)
                }),
            );
        }
        let router = router.fallback(nothing_here).with_state(self.pipeline.clone());
        match cors(&self.pipeline.settings.cors_origins) {
            Some(cors) => router.layer(cors),
            None => router,
        }
    }
}

async fn nothing_here(request: Request) -> Response {
    if grpc::is_grpc(request.headers()) {
        grpc::unknown_method(request.uri().path())
    } else {
        otlp_http::unknown_path(&request).into_response()
    }
}

fn decode_threads(settings: &Settings) -> usize {
    match settings.decode_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        set => set,
    }
}

/// Lets pages of the given origins export; never with credentials, which OTLP does not use.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::from(Any)
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok()))
    };
    let layer = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([http::Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::RETRY_AFTER])
        .max_age(CORS_MAX_AGE);
    Some(layer)
}
