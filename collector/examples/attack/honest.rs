//! The honest client: exports of 20 spans over gRPC at a fixed rate, on one connection.

use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::transport::Endpoint;

/// Between two exports.
const EVERY: Duration = Duration::from_millis(5);

const SPANS: u64 = 20;

#[derive(Default)]
pub struct Measured {
    pub sent: usize,
    pub failed: usize,
    /// Milliseconds from when an export was due to its answer, sorted.
    times: Vec<f64>,
}

impl Measured {
    pub fn quantile(&self, quantile: f64) -> f64 {
        let at = (self.times.len() as f64 * quantile) as usize;
        self.times.get(at.min(self.times.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }
}

pub async fn exports(address: SocketAddr, time: Duration) -> Measured {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let client = TraceServiceClient::new(endpoint.connect().await.expect("connects"));
    let end = Instant::now() + time;
    let mut due = interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut exports = Vec::new();
    while Instant::now() < end {
        let due = due.tick().await;
        let (mut client, request) = (client.clone(), request(exports.len() as u64));
        exports.push(tokio::spawn(async move {
            let taken = client.export(request).await.is_ok_and(|answer| answer.into_inner().partial_success.is_none());
            (taken, due.elapsed())
        }));
    }
    let mut measured = Measured { sent: exports.len(), ..Measured::default() };
    for export in exports {
        let (taken, time) = export.await.expect("no panic");
        measured.failed += usize::from(!taken);
        measured.times.push(time.as_secs_f64() * 1e3);
    }
    measured.times.sort_by(f64::total_cmp);
    measured
}

fn request(number: u64) -> ExportTraceServiceRequest {
    let span = |at: u64| Span {
        trace_id: (u128::from(number) << 32 | 1).to_be_bytes().to_vec(),
        span_id: (at + 1).to_be_bytes().to_vec(),
        name: format!("operation {at}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    };
    let scope = ScopeSpans { spans: (0..SPANS).map(span).collect(), ..ScopeSpans::default() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() }],
    }
}
