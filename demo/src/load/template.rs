//! Exports encoded once, with the places at which each send differs.
//!
//! Ids and times have a fixed width on the wire, so a send copies the template's bytes and writes over them. To find
//! the places, the template is encoded with marks in them and the marks are looked for in the order of encoding.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span::SpanKind};
use prost::Message;

use super::layout::Layout;
use crate::shop::mix;

/// Instances of each service; 48 together.
pub const INSTANCES: [usize; super::layout::SERVICES] = [8, 12, 10, 8, 10];
/// What customers do; the trace's number within its block says which.
pub const VARIANTS: usize = 8;
/// Width of the digits of a `user.id`.
pub const USER_DIGITS: usize = 10;

const SERVICE_NAMES: [&str; super::layout::SERVICES] = ["gateway", "web-bff", "catalog", "pricing", "inventory"];
const ENTRIES: [(&str, &str); VARIANTS] = [
    ("GET", "/products/{id}"),
    ("GET", "/products/{id}"),
    ("GET", "/products/{id}"),
    ("GET", "/home"),
    ("GET", "/home"),
    ("GET", "/search"),
    ("POST", "/cart"),
    ("POST", "/order"),
];
const STATEMENTS: [(&str, &str); 4] = [
    ("SELECT products", "SELECT id, title, brand, description, category_id FROM products WHERE id = $1"),
    ("SELECT price_rules", "SELECT rule_id, kind, amount FROM price_rules WHERE product_id = $1 AND region = $2"),
    ("SELECT stock", "SELECT available, reserved FROM stock WHERE sku = $1 AND site = $2"),
    ("SELECT reviews", "SELECT rating, author, body FROM reviews WHERE product_id = $1 ORDER BY created_at LIMIT 20"),
];

/// One export, ready but for what changes.
pub struct Template {
    pub bytes: Vec<u8>,
    pub spans: Vec<Patch>,
}

/// Where in the bytes one span's changing fields are, and which span it is.
pub struct Patch {
    /// The trace within the block.
    pub trace: usize,
    pub position: usize,
    pub trace_id: usize,
    pub span_id: usize,
    /// `None` for a root.
    pub parent_id: Option<usize>,
    pub start: usize,
    pub end: usize,
    /// The digits of the `user.id`, where there is one.
    pub user: Option<usize>,
}

impl Template {
    /// Export `slot` of a block, as `instance` of its service sends it.
    pub fn new(layout: &Layout, slot: usize, instance: usize) -> Self {
        let (service, _) = layout.service_of(slot);
        let spans: Vec<Span> = (0..layout.spans_per_export).map(|index| marked(layout, slot, index)).collect();
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource(service, instance)),
                scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, schema_url: String::new() }],
                schema_url: "https://opentelemetry.io/schemas/1.38.0".to_owned(),
            }],
        };
        let bytes = request.encode_to_vec();
        let mut reader = Marks { bytes: &bytes, at: 0 };
        let spans = (0..layout.spans_per_export).map(|index| patch(layout, slot, index, &mut reader)).collect();
        Template { bytes, spans }
    }
}

/// A mark that stands for one field of one span; random enough never to occur by itself.
fn mark(index: usize, field: u64) -> [u8; 8] {
    mix(0x6d61_726b ^ ((index as u64) << 8 | field)).to_le_bytes()
}

const TRACE: u64 = 0;
const SPAN: u64 = 2;
const PARENT: u64 = 3;
const START: u64 = 4;
const END: u64 = 5;

fn marked(layout: &Layout, slot: usize, index: usize) -> Span {
    let place = layout.place(slot as u64, index);
    let (name, kind, attributes) = content(place.position, place.trace);
    let trace_id = [mark(index, TRACE), mark(index, TRACE + 1)].concat();
    let parent_span_id = if place.position == 0 { Vec::new() } else { mark(index, PARENT).to_vec() };
    Span {
        trace_id,
        span_id: mark(index, SPAN).to_vec(),
        parent_span_id,
        flags: 0x101,
        name,
        kind: kind.into(),
        start_time_unix_nano: u64::from_le_bytes(mark(index, START)),
        end_time_unix_nano: u64::from_le_bytes(mark(index, END)),
        attributes,
        ..Span::default()
    }
}

fn patch(layout: &Layout, slot: usize, index: usize, reader: &mut Marks<'_>) -> Patch {
    let place = layout.place(slot as u64, index);
    let trace_id = reader.find(&mark(index, TRACE));
    let span_id = reader.find(&mark(index, SPAN));
    let root = place.position == 0;
    Patch {
        trace: place.trace,
        position: place.position,
        trace_id,
        span_id,
        parent_id: (!root).then(|| reader.find(&mark(index, PARENT))),
        start: reader.find(&mark(index, START)),
        end: reader.find(&mark(index, END)),
        user: root.then(|| reader.find(USER_MARK.as_bytes()) + USER_MARK.len()),
    }
}

/// Finds marks, each behind the one before.
struct Marks<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Marks<'_> {
    fn find(&mut self, mark: &[u8]) -> usize {
        let rest = &self.bytes[self.at..];
        let offset = rest.windows(mark.len()).position(|window| window == mark);
        let found = self.at + offset.expect("the mark was encoded behind the one before");
        self.at = found + mark.len();
        found
    }
}

const USER_MARK: &str = "u-";

fn content(number: usize, trace: usize) -> (String, SpanKind, Vec<KeyValue>) {
    let (method, route) = ENTRIES[trace % VARIANTS];
    let region = ["shenzhen", "hangzhou", "shanghai", "beijing"][trace % 4];
    match number {
        0 => (format!("{method} {route}"), SpanKind::Server, entry_attributes(method, route, region)),
        2 => (format!("{method} /bff{route}"), SpanKind::Server, server_attributes(method, "/bff", route, region)),
        1 => (format!("{method} /bff{route}"), SpanKind::Client, call_attributes("web-bff", method, route)),
        3 => ("GET /catalog/products/{id}".to_owned(), SpanKind::Client, call_attributes("catalog", "GET", route)),
        4 => (
            "GET /catalog/products/{id}".to_owned(),
            SpanKind::Server,
            server_attributes("GET", "/catalog", "/products/{id}", region),
        ),
        6 => ("pricing.Pricing/Quote".to_owned(), SpanKind::Client, rpc_attributes("pricing.Pricing", "Quote")),
        7 => ("pricing.Pricing/Quote".to_owned(), SpanKind::Server, rpc_attributes("pricing.Pricing", "Quote")),
        9 => ("inventory.Inventory/Check".to_owned(), SpanKind::Client, rpc_attributes("inventory.Inventory", "Check")),
        10 => {
            ("inventory.Inventory/Check".to_owned(), SpanKind::Server, rpc_attributes("inventory.Inventory", "Check"))
        }
        5 => query(0, "catalog-db"),
        8 => query(1, "pricing-db"),
        11 => query(2, "inventory-db"),
        _ => query(3, "catalog-db"),
    }
}

fn entry_attributes(method: &str, route: &str, region: &str) -> Vec<KeyValue> {
    // The user comes first, so that its mark is the first of its kind behind the times.
    let mut attributes = vec![text("user.id", &format!("{USER_MARK}{}", "0".repeat(USER_DIGITS)))];
    attributes.extend(server_attributes(method, "", route, region));
    attributes.push(text("client.address", "203.0.113.57"));
    attributes.push(text("user_agent.original", "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Mobile"));
    attributes
}

fn server_attributes(method: &str, prefix: &str, route: &str, region: &str) -> Vec<KeyValue> {
    vec![
        text("http.request.method", method),
        text("http.route", &format!("{prefix}{route}")),
        text("url.path", &format!("{prefix}{}", route.replace("{id}", "178233"))),
        text("url.scheme", "http"),
        text("server.address", "shop.example"),
        text("network.protocol.version", "1.1"),
        int("http.response.status_code", 200),
        text("app.region", region),
        text("thread.name", "http-nio-8080-exec-17"),
    ]
}

fn call_attributes(to: &str, method: &str, route: &str) -> Vec<KeyValue> {
    vec![
        text("http.request.method", method),
        text("url.full", &format!("http://{to}:8080/{to}{}", route.replace("{id}", "178233"))),
        text("server.address", to),
        int("server.port", 8080),
        text("network.peer.address", "10.42.3.118"),
        text("network.protocol.version", "1.1"),
        int("http.response.status_code", 200),
    ]
}

fn rpc_attributes(service: &str, method: &str) -> Vec<KeyValue> {
    vec![
        text("rpc.system", "grpc"),
        text("rpc.service", service),
        text("rpc.method", method),
        int("rpc.grpc.status_code", 0),
        text("server.address", service.split('.').next().unwrap_or(service)),
        int("server.port", 9090),
        text("network.peer.address", "10.42.5.31"),
        int("network.peer.port", 9090),
        text("network.type", "ipv4"),
        text("thread.name", "grpc-default-executor-4"),
    ]
}

fn query(statement: usize, store: &str) -> (String, SpanKind, Vec<KeyValue>) {
    let (summary, statement) = STATEMENTS[statement];
    let attributes = vec![
        text("db.system.name", "postgresql"),
        text("db.namespace", store.trim_end_matches("-db")),
        text("db.query.summary", summary),
        text("db.operation.name", summary.split(' ').next().unwrap_or(summary)),
        text("db.collection.name", summary.split(' ').next_back().unwrap_or(summary)),
        text("db.query.text", statement),
        text("server.address", store),
        int("server.port", 5432),
    ];
    (summary.to_owned(), SpanKind::Client, attributes)
}

fn resource(service: usize, instance: usize) -> Resource {
    let name = SERVICE_NAMES[service];
    let id = mix((service * 1_000 + instance) as u64);
    let attributes = vec![
        text("service.name", name),
        text("service.namespace", "shop"),
        text("service.version", "2.4.1"),
        text("service.instance.id", &format!("{id:016x}")),
        text("host.name", &format!("node-{:02}", id % 16)),
        text("k8s.namespace.name", "shop"),
        text("k8s.pod.name", &format!("{name}-{:05x}", id & 0xf_ffff)),
        text("deployment.environment.name", "load"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", "java"),
        text("telemetry.sdk.version", "1.58.0"),
    ];
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "io.opentelemetry.spring-webmvc-6.0".to_owned(),
        version: "2.24.0-alpha".to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
