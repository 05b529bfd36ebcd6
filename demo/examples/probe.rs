use hotspan_demo::{load, shop};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::*;
use opentelemetry_proto::tonic::collector::trace::v1::*;
use std::time::{Duration, Instant};
struct S;
#[tonic::async_trait]
impl TraceService for S {
    async fn export(
        &self,
        r: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        std::hint::black_box(r);
        Ok(tonic::Response::new(Default::default()))
    }
}
#[tokio::main(worker_threads = 2)]
async fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    if mode == "gen" {
        let s = load::Settings::default();
        let t = Instant::now();
        let g = load::Generator::new(&s, 1_800_000_000_000_000_000);
        println!("templates {:?}", t.elapsed());
        let t = Instant::now();
        let mut b = 0;
        for n in 0..2000 {
            b += g.export(n).len();
        }
        println!("{:?} per span, {} B/span", t.elapsed() / (2000 * 490), b / (2000 * 490));
    } else if mode == "load" {
        let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let a = l.local_addr().unwrap();
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(S).max_decoding_message_size(1 << 26))
                .serve_with_incoming(tonic::transport::server::TcpIncoming::from(l)),
        );
        let d = |r, s| load::Step { rate: r, duration: Duration::from_secs(s) };
        let s = load::Settings {
            endpoint: format!("http://{a}"),
            steps: vec![d(1000., 3), d(5000., 3), d(0.0, 3)],
            ..Default::default()
        };
        println!("{}", load::run(s, Default::default()).await.unwrap());
    } else {
        let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let a = l.local_addr().unwrap();
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(S).max_decoding_message_size(1 << 26))
                .serve_with_incoming(tonic::transport::server::TcpIncoming::from(l)),
        );
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_secs(14)).await;
            println!(
                "{}",
                std::fs::read_to_string("/proc/self/status")
                    .unwrap()
                    .lines()
                    .filter(|l| l.starts_with("Threads") || l.starts_with("VmHWM"))
                    .collect::<Vec<_>>()
                    .join(" ")
            );
        });
        let s = shop::Settings {
            endpoint: format!("http://{a}"),
            fault: mode,
            step_after: Duration::from_secs(5),
            duration: Duration::from_secs(15),
            ..Default::default()
        };
        let r = shop::run(s, Default::default()).await.unwrap();
        println!("{r:?}");
        println!(
            "{}",
            std::fs::read_to_string("/proc/self/status")
                .unwrap()
                .lines()
                .filter(|l| l.starts_with("Threads") || l.starts_with("VmHWM"))
                .collect::<Vec<_>>()
                .join(" ")
        );
        println!("{}", std::fs::read_to_string("/proc/self/stat").unwrap());
    }
}
