//! What the spans of the generated traffic say: names, attributes, resources. A shop as an instrumented Java system
//! describes it.
//!
//! What differs from trace to trace stands here as a run of a character that no text has ([`Varying`]), as wide as
//! the digits that each send puts there.

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::shop::mix;

/// Instances of each service; 48 together.
pub const INSTANCES: [usize; super::layout::SERVICES] = [8, 12, 10, 8, 10];
/// What customers do; the trace's number within its block says which.
pub const VARIANTS: usize = 8;
/// Positions from this one on say the same.
pub const CONTENTS: usize = 13;

/// A value that each send writes anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Varying {
    User,
    Product,
    Thread,
    /// One number of the customer's address.
    Octet,
}

impl Varying {
    pub const ALL: [Varying; 4] = [Varying::User, Varying::Product, Varying::Thread, Varying::Octet];

    /// What stands for it in a template.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Varying::User => "~~~~~~~~~~",
            Varying::Product => "^^^^^^",
            Varying::Thread => "``",
            Varying::Octet => "|||",
        }
    }
}

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

/// Name, kind and attributes of the span at a position.
pub fn content(number: usize, trace: usize) -> (String, SpanKind, Vec<KeyValue>) {
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
    let octet = Varying::Octet.placeholder();
    let mut attributes = server_attributes(method, "", route, region);
    attributes.push(text("user.id", &format!("u-{}", Varying::User.placeholder())));
    attributes.push(text("client.address", &format!("117.{octet}.{octet}.{octet}")));
    attributes.push(text("user_agent.original", "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Mobile"));
    attributes
}

fn path(route: &str) -> String {
    route.replace("{id}", Varying::Product.placeholder())
}

fn thread(pool: &str) -> KeyValue {
    text("thread.name", &format!("{pool}-{}", Varying::Thread.placeholder()))
}

fn server_attributes(method: &str, prefix: &str, route: &str, region: &str) -> Vec<KeyValue> {
    vec![
        text("http.request.method", method),
        text("http.route", &format!("{prefix}{route}")),
        text("url.path", &format!("{prefix}{}", path(route))),
        text("url.scheme", "http"),
        text("server.address", "shop.example"),
        text("network.protocol.version", "1.1"),
        int("http.response.status_code", 200),
        text("app.region", region),
        thread("http-nio-8080-exec"),
    ]
}

fn call_attributes(to: &str, method: &str, route: &str) -> Vec<KeyValue> {
    vec![
        text("http.request.method", method),
        text("url.full", &format!("http://{to}:8080/{to}{}", path(route))),
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
        thread("grpc-default-executor"),
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

/// An instance of a service.
pub fn resource(service: usize, instance: usize) -> Resource {
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

pub fn scope() -> InstrumentationScope {
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
