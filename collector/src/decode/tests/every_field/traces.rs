//! `ExportTraceServiceRequest`.

use model::Signal;
use model::schema::{PROMOTED_SPAN, PromotedType};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::super::rows::{Expected, Row, assert_rows, rows};
use super::super::{RECEIVED, Request, array, decode_json, kvlist, oracle, pair, request, span, text, wrapped};
use super::{OTHER_SPAN_ID, OTHER_TRACE_ID, SPAN_ID, TRACE_ID};

const PARENT_ID: [u8; 8] = [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x73];

fn full_resource() -> Resource {
    Resource {
        attributes: vec![
            pair("service.name", text("checkout")),
            pair("service.namespace", text("shop")),
            pair("service.version", text("1.2.3")),
            pair("service.instance.id", text("checkout-1")),
            pair("deployment.environment.name", text("production")),
            pair("host.name", text("node-7")),
            pair("k8s.namespace.name", text("default")),
            pair("k8s.node.name", text("node-7.cluster")),
            pair("k8s.pod.name", text("checkout-7d9")),
            pair("process.pid", Value::IntValue(4711)),
        ],
        dropped_attributes_count: 11,
        entity_refs: vec![EntityRef {
            schema_url: "https://example.org/entity".into(),
            r#type: "service".into(),
            id_keys: vec!["service.name".into()],
            description_keys: vec!["service.version".into(), "process.pid".into()],
        }],
    }
}

fn span_attributes() -> Vec<KeyValue> {
    vec![
        pair("http.request.method", text("POST")),
        pair("http.response.status_code", Value::IntValue(503)),
        pair("server.port", text("not a number")),
        pair("a.string", text("line\nfeed \"quoted\" 中🦀")),
        pair("a.bool", Value::BoolValue(true)),
        pair("an.int", Value::IntValue(i64::MIN)),
        pair("a.double", Value::DoubleValue(200.0)),
        pair("nan", Value::DoubleValue(f64::NAN)),
        pair("infinite", Value::DoubleValue(f64::NEG_INFINITY)),
        pair("bytes", Value::BytesValue(vec![0x00, 0xff, 0x10])),
        pair("array", {
            let scalars = [text("x"), Value::IntValue(2), Value::BoolValue(false), Value::DoubleValue(0.5)];
            let values = scalars.map(wrapped).into_iter().chain([AnyValue { value: None }]).collect();
            Value::ArrayValue(ArrayValue { values })
        }),
        pair(
            "list",
            kvlist(vec![pair("k", kvlist(vec![pair("@bytes", text("a kvlist"))])), pair("empty", array(vec![]))]),
        ),
        KeyValue { key: "none".into(), value: None, key_strindex: 0 },
    ]
}

fn traces() -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: TRACE_ID.into(),
        span_id: SPAN_ID.into(),
        trace_state: "vendor=opaque".into(),
        parent_span_id: PARENT_ID.into(),
        flags: 769,
        name: "POST /order".into(),
        kind: 2,
        start_time_unix_nano: 1_544_712_660_000_000_000,
        end_time_unix_nano: 1_544_712_661_000_000_123,
        attributes: span_attributes(),
        dropped_attributes_count: 13,
        events: vec![Event {
            time_unix_nano: 1_544_712_660_300_000_000,
            name: "exception".into(),
            attributes: vec![pair("exception.type", text("Timeout"))],
            dropped_attributes_count: 14,
        }],
        dropped_events_count: 15,
        links: vec![Link {
            trace_id: OTHER_TRACE_ID.into(),
            span_id: OTHER_SPAN_ID.into(),
            trace_state: "linked=yes".into(),
            attributes: vec![pair("link.kind", text("follows"))],
            dropped_attributes_count: 16,
            flags: 257,
        }],
        dropped_links_count: 17,
        status: Some(Status { message: "out of stock".into(), code: 2 }),
    };
    let scope = InstrumentationScope {
        name: "io.example.http".into(),
        version: "0.9.1".into(),
        attributes: vec![pair("scope.flavour", text("strict"))],
        dropped_attributes_count: 12,
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(full_resource()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: vec![span],
                schema_url: "https://example.org/scope".into(),
            }],
            schema_url: "https://example.org/resource".into(),
        }],
    }
}

fn full_origin() -> Expected {
    Expected::default()
        .text("service_name", "checkout")
        .text("service_namespace", "shop")
        .text("service_version", "1.2.3")
        .text("instance_id", "checkout-1")
        .text(
            "resource_attributes",
            r#"{"service.name":"checkout","service.namespace":"shop","service.version":"1.2.3","service.instance.id":"checkout-1","deployment.environment.name":"production","host.name":"node-7","k8s.namespace.name":"default","k8s.node.name":"node-7.cluster","k8s.pod.name":"checkout-7d9","process.pid":4711}"#,
        )
        .int("resource_dropped_attributes_count", 11)
        .text(
            "resource_entity_refs",
            r#"[{"schemaUrl":"https://example.org/entity","type":"service","idKeys":["service.name"],"descriptionKeys":["service.version","process.pid"]}]"#,
        )
        .text("resource_schema_url", "https://example.org/resource")
        .text("deployment_environment_name", "production")
        .text("host_name", "node-7")
        .text("k8s_namespace_name", "default")
        .text("k8s_node_name", "node-7.cluster")
        .text("k8s_pod_name", "checkout-7d9")
        .text("scope_name", "io.example.http")
        .text("scope_version", "0.9.1")
        .text("scope_attributes", r#"{"scope.flavour":"strict"}"#)
        .int("scope_dropped_attributes_count", 12)
        .text("scope_schema_url", "https://example.org/scope")
        .int("received_time_unix_nano", RECEIVED)
}

pub(super) fn expected_span() -> Row {
    let event = Expected::default()
        .int("time_unix_nano", 1_544_712_660_300_000_000_i64)
        .text("name", "exception")
        .text("attributes", r#"{"exception.type":"Timeout"}"#)
        .int("dropped_attributes_count", 14);
    let link = Expected::default()
        .id("trace_id", &OTHER_TRACE_ID)
        .id("span_id", &OTHER_SPAN_ID)
        .text("trace_state", "linked=yes")
        .text("attributes", r#"{"link.kind":"follows"}"#)
        .int("dropped_attributes_count", 16)
        .int("flags", 257);
    Expected::default()
        .id("trace_id", &TRACE_ID)
        .id("span_id", &SPAN_ID)
        .id("parent_span_id", &PARENT_ID)
        .text("trace_state", "vendor=opaque")
        .int("flags", 769)
        .text("name", "POST /order")
        .text("kind", "SERVER")
        .int("start_time_unix_nano", 1_544_712_660_000_000_000_i64)
        .int("end_time_unix_nano", 1_544_712_661_000_000_123_i64)
        .int("duration_ns", 1_000_000_123)
        .text("status_code", "ERROR")
        .text("status_message", "out of stock")
        .text(
            "attributes",
            concat!(
                r#"{"server.port":"not a number","a.string":"line\nfeed \"quoted\" 中🦀","a.bool":true,"#,
                r#""an.int":-9223372036854775808,"a.double":200.0,"nan":{"@double":"NaN"},"#,
                r#""infinite":{"@double":"-Infinity"},"bytes":{"@bytes":"AP8Q"},"array":["x",2,false,0.5,null],"#,
                r#""list":{"k":{"@@bytes":"a kvlist"},"empty":[]},"none":null}"#,
            ),
        )
        .text("http_request_method", "POST")
        .int("http_response_status_code", 503)
        .int("dropped_attributes_count", 13)
        .list("events", vec![event.row()])
        .int("dropped_events_count", 15)
        .list("links", vec![link.row()])
        .int("dropped_links_count", 17)
        .join(full_origin())
        .row()
}

#[test]
fn every_field_of_a_span() {
    let decoded = traces().decoded();
    assert_eq!((decoded.rejected, decoded.notes.as_slice()), (0, [].as_slice()));
    assert_rows(&decoded.rows, &[expected_span()]);
    assert_eq!(oracle::spans(&traces()), [expected_span()], "the oracle of the property tests says the same");
}

#[test]
fn every_field_of_a_span_in_json() {
    let decoded = decode_json(Signal::Traces, include_bytes!("../../../../../testdata/otlp/traces.json").as_slice());
    let decoded = decoded.expect("valid");
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &[expected_span()]);
}

#[test]
fn every_promoted_attribute_has_its_column() {
    let mut span = span(1);
    for (number, promoted) in PROMOTED_SPAN.iter().enumerate() {
        let number = number as i64;
        span.attributes.push(match promoted.ty {
            PromotedType::Text => pair(promoted.key, text(&format!("value {number}"))),
            PromotedType::Int => pair(promoted.key, Value::IntValue(number)),
        });
    }
    let request = request(vec![span]);
    let decoded = request.decoded();
    assert_rows(&decoded.rows, &oracle::spans(&request));
    let row = &rows(&decoded.rows)[0];
    assert!(PROMOTED_SPAN.iter().all(|promoted| row.contains_key(promoted.column)));
    assert!(!row.contains_key("attributes"), "all were moved");
}
