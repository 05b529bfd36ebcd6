//! Spans per second of decoding alone, beside prost's decode of the same bytes, in turns within one process.
//!
//! `cargo run --release -p hotspan-collector --example decode_speed [spans per request] [seconds]`
//!
//! prost stops at message structs; ours goes on to Arrow columns with attributes as JSON text.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hotspan_collector::decode::OtlpDecoder;
use model::{Decoder, Encoding, Format, Payload, Signal, Tenant};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

fn main() {
    let mut args = std::env::args().skip(1);
    let spans: usize = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(2_000);
    let seconds: u64 = args.next().and_then(|arg| arg.parse().ok()).unwrap_or(6);
    let body = Bytes::from(request(spans).encode_to_vec());
    println!("{spans} spans, {} bytes, {} bytes a span", body.len(), body.len() / spans);

    let payload = Payload {
        tenant: Tenant::default(),
        signal: Signal::Traces,
        format: Format::Protobuf,
        encoding: Encoding::Identity,
        received: 1,
        body: body.clone(),
    };
    let decoder = OtlpDecoder::default();
    let (mut ours, mut prost, mut rounds) = (Vec::new(), Vec::new(), 0u32);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let start = Instant::now();
        let decoded = decoder.decode(&payload).expect("a valid request");
        ours.push(start.elapsed());
        assert_eq!(decoded.rows.num_rows(), spans);
        drop(decoded);
        let start = Instant::now();
        let message = ExportTraceServiceRequest::decode(body.clone()).expect("a valid request");
        prost.push(start.elapsed());
        assert_eq!(message.resource_spans.len(), 1);
        drop(message);
        rounds += 1;
    }
    println!("{rounds} rounds, the median of each:");
    print("hotspan: bytes to Arrow  ", &mut ours, spans, body.len());
    print("prost:   bytes to structs", &mut prost, spans, body.len());
}

fn print(name: &str, times: &mut [Duration], spans: usize, bytes: usize) {
    times.sort_unstable();
    let median = times[times.len() / 2].as_secs_f64();
    println!(
        "{name}  {:>10.0} spans/s  {:>6.0} ns/span  {:>6.0} MB/s",
        spans as f64 / median,
        median * 1e9 / spans as f64,
        bytes as f64 / median / 1e6
    );
}

/// One service's export: server and client spans with the attributes that an instrumented shop sends.
fn request(spans: usize) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", "checkout"),
            text("service.version", "1.14.2"),
            text("service.instance.id", "checkout-7d9f8b6c5-x2x9z"),
            text("host.name", "node-3.example.internal"),
            text("k8s.pod.name", "checkout-7d9f8b6c5-x2x9z"),
            text("telemetry.sdk.language", "java"),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "io.opentelemetry.tomcat-10.0".into(),
        version: "2.10.0-alpha".into(),
        ..InstrumentationScope::default()
    };
    let spans = (0..spans as u64).map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, schema_url: String::new() }],
    }
}

fn span(n: u64) -> Span {
    let mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let start = 1_760_000_000_000_000_000 + n * 1_000;
    Span {
        trace_id: [mixed.to_be_bytes(), (!mixed).to_be_bytes()].concat(),
        span_id: mixed.to_be_bytes().to_vec(),
        parent_span_id: (mixed ^ 1).to_be_bytes().to_vec(),
        flags: 0x101,
        name: "POST /api/orders/{order_id}/payment".into(),
        kind: 2 + (n % 2) as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 1_000_000 + mixed % 50_000_000,
        attributes: vec![
            text("http.request.method", "POST"),
            text("http.route", "/api/orders/{order_id}/payment"),
            int("http.response.status_code", 200),
            text("url.path", &format!("/api/orders/{}/payment", mixed % 100_000)),
            text("server.address", "checkout.shop.svc"),
            int("server.port", 8080),
            text("client.address", "10.42.7.19"),
            text("thread.name", "http-nio-8080-exec-7"),
            text("app.customer.tier", "gold"),
            int("app.cart.items", (n % 17) as i64),
        ],
        ..Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    pair(key, Value::IntValue(value))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
