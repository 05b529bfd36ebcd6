//! Attacks, with an honest client beside them that has to get every answer it would get without them.
//!
//! Nothing here measures time: `collector/examples/attack.rs` does.

mod crowds;
mod floods;
mod http2;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Bench, Running, spans};

/// A client with one connection that exports spans, each with a name of its own.
struct Honest {
    client: TraceServiceClient<Channel>,
    exported: u64,
}

impl Honest {
    async fn connect(running: &Running) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).expect("an address");
        Honest { client: TraceServiceClient::new(endpoint.connect().await.expect("connects")), exported: 0 }
    }

    /// Exports one after the other; each has to succeed in full at its first try.
    async fn exports(&mut self, count: u64) {
        for _ in 0..count {
            self.exported += 1;
            let name = format!("honest {}", self.exported);
            let response = self.client.export(spans(&[&name])).await.expect("taken").into_inner();
            assert_eq!(response.partial_success, None);
        }
    }

    /// Exports once, again and again for as long as it is told to come later.
    async fn exports_at_last(&mut self) {
        self.exported += 1;
        while let Err(status) = self.client.export(spans(&["at last"])).await {
            assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
        }
    }

    /// Nothing but the honest spans was stored, and all of them.
    fn finds_everything(&self, bench: &Bench) {
        assert_eq!(bench.store.rows(), self.exported);
    }
}
