//! The server under attack.

use std::sync::Arc;

use hotspan_collector::decode::{Limits, OtlpDecoder};
use hotspan_collector::{Collector, Settings, listen};
use model::access::Access;
use model::ingest::Pending;
use model::{Ack, Batch, Error, Ingest, Ledger, SystemClock};

/// Takes everything and keeps nothing.
struct Taking;

impl Ingest for Taking {
    fn append(&self, _: Batch) -> Pending<'_, Ack> {
        Box::pin(async { Ok(Ack { duplicate: false }) })
    }

    fn refuses(&self, _: u64) -> Option<Error> {
        None
    }
}

/// Tells its address in a line, and serves until it is killed.
pub async fn serve() {
    let settings = Settings::default();
    let limits = settings.connections.clone();
    let decoder = Arc::new(OtlpDecoder::new(Limits::default()));
    let ledger = Arc::new(Ledger::default());
    let collector =
        Collector::new(settings, Arc::new(Access::open()), ledger, decoder, Arc::new(Taking), Arc::new(SystemClock));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("bound"));
    let connections = collector.stats().connections("otlp_grpc");
    let shutdown = tokio_util::sync::CancellationToken::new();
    listen::serve(listener, collector.grpc_router(), None, limits, connections, shutdown).await;
}
