//! `ExportLogsServiceRequest`.

use model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

use super::super::rows::{Expected, Row, assert_rows};
use super::super::{Request, array, decode_json, kvlist, oracle, pair, text, wrapped};
use super::{SPAN_ID, TRACE_ID, bare_origin, bare_resource, bare_scope};

fn logs() -> ExportLogsServiceRequest {
    let full = LogRecord {
        time_unix_nano: 1_544_712_660_300_000_000,
        observed_time_unix_nano: 1_544_712_660_400_000_000,
        severity_number: 10,
        severity_text: "INFO2".into(),
        body: Some(wrapped(text("an order came"))),
        attributes: vec![pair("order.id", Value::IntValue(42))],
        dropped_attributes_count: 21,
        flags: 1,
        trace_id: TRACE_ID.into(),
        span_id: SPAN_ID.into(),
        event_name: "order.created".into(),
    };
    let structured = LogRecord {
        observed_time_unix_nano: 1_544_712_660_500_000_000,
        body: Some(wrapped(kvlist(vec![pair("items", array(vec![Value::IntValue(1)]))]))),
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: bare_resource(vec![pair("host.name", text("node-7"))]),
            scope_logs: vec![ScopeLogs {
                scope: bare_scope("logger"),
                log_records: vec![full, structured],
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

pub(super) fn expected_records() -> Vec<Row> {
    let origin = || {
        bare_origin("unknown_service", r#"{"host.name":"node-7"}"#, "logger")
            .text("instance_id", "node-7")
            .text("host_name", "node-7")
    };
    let full = Expected::default()
        .int("time_unix_nano", 1_544_712_660_300_000_000_i64)
        .int("observed_time_unix_nano", 1_544_712_660_400_000_000_i64)
        .id("trace_id", &TRACE_ID)
        .id("span_id", &SPAN_ID)
        .int("flags", 1)
        .int("severity_number", 10)
        .text("severity_text", "INFO2")
        .text("body", "an order came")
        .text("body_type", "text")
        .text("event_name", "order.created")
        .text("attributes", r#"{"order.id":42}"#)
        .int("dropped_attributes_count", 21)
        .join(origin());
    let structured = Expected::default()
        .int("time_unix_nano", 0)
        .int("observed_time_unix_nano", 1_544_712_660_500_000_000_i64)
        .int("flags", 0)
        .int("severity_number", 0)
        .text("body", r#"{"items":[1]}"#)
        .text("body_type", "json")
        .int("dropped_attributes_count", 0)
        .join(origin());
    vec![full.row(), structured.row()]
}

#[test]
fn every_field_of_a_log_record() {
    let decoded = logs().decoded();
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &expected_records());
    assert_eq!(oracle::records(&logs()), expected_records());
}

#[test]
fn every_field_of_a_log_record_in_json() {
    let decoded = decode_json(Signal::Logs, include_bytes!("../../../../../testdata/otlp/logs.json").as_slice());
    let decoded = decoded.expect("valid");
    assert_eq!(decoded.notes, [""; 0]);
    assert_rows(&decoded.rows, &expected_records());
}
