//! A server for tests that takes OTLP/gRPC, remembers what it got, and answers as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Says how the call with this number (from 0) is answered: rejected spans, or an error.
pub type Rule = Arc<dyn Fn(usize) -> Result<i64, Status> + Send + Sync>;

#[derive(Clone)]
pub struct Sink {
    rule: Rule,
    pub seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub struct Seen {
    pub calls: usize,
    /// Who called.
    pub peers: Vec<SocketAddr>,
    /// Accepted trace exports, and when they came.
    pub traces: Vec<(ExportTraceServiceRequest, SystemTime)>,
    /// Refused trace exports.
    pub refused: Vec<ExportTraceServiceRequest>,
    pub metrics: Vec<ExportMetricsServiceRequest>,
    pub logs: Vec<ExportLogsServiceRequest>,
}

impl Sink {
    pub fn new(rule: impl Fn(usize) -> Result<i64, Status> + Send + Sync + 'static) -> Self {
        Sink { rule: Arc::new(rule), seen: Arc::default() }
    }

    /// Serves on a free port until the guard is dropped.
    pub async fn serve(&self) -> (SocketAddr, DropGuard) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (sink, stop) = (self.clone(), CancellationToken::new());
        let stopped = stop.clone().cancelled_owned();
        let traces = TraceServiceServer::new(sink.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(64 << 20);
        let server = Server::builder()
            .add_service(traces)
            .add_service(MetricsServiceServer::new(sink.clone()))
            .add_service(LogsServiceServer::new(sink));
        tokio::spawn(server.serve_with_incoming_shutdown(TcpIncoming::from(listener), stopped));
        (address, stop.drop_guard())
    }
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut seen = self.seen.lock().expect("no panic while held");
        let call = seen.calls;
        seen.calls += 1;
        seen.peers.extend(request.remote_addr());
        let request = request.into_inner();
        match (self.rule)(call) {
            Ok(rejected_spans) => {
                seen.traces.push((request, opentelemetry::time::now()));
                let partial = ExportTracePartialSuccess { rejected_spans, error_message: String::new() };
                let partial_success = (rejected_spans > 0).then_some(partial);
                Ok(Response::new(ExportTraceServiceResponse { partial_success }))
            }
            Err(status) => {
                seen.refused.push(request);
                Err(status)
            }
        }
    }
}

#[tonic::async_trait]
impl MetricsService for Sink {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.seen.lock().expect("no panic while held").metrics.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Sink {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.seen.lock().expect("no panic while held").logs.push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}
