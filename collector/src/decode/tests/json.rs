//! What OTLP/JSON adds: hex ids, numbers as strings, integer enums, null, any order, and errors with line and column.

use model::{Decoded, Kind, Signal};

use super::rows::{Cell, Row, rows, text};
use super::{decode_json, decode_wire, oracle};

/// A request around JSON spans.
fn spans(spans: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#)
}

const GOOD: &str = r#"{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"good"}"#;

/// A good span with one more member.
fn with(member: &str) -> String {
    GOOD.replace('}', &format!(",{member}}}"))
}

#[track_caller]
fn one(member: &str) -> Row {
    let decoded = decode_json(Signal::Traces, spans(&with(member))).expect("valid");
    assert_eq!((decoded.rejected, decoded.notes.as_slice()), (0, [].as_slice()), "{member}");
    rows(&decoded.rows).remove(0)
}

/// One odd span between two good ones.
#[track_caller]
fn between(odd: &str) -> Decoded {
    let decoded = decode_json(Signal::Traces, spans(&[GOOD, odd, GOOD].join(","))).expect("valid JSON");
    let names = rows(&decoded.rows).iter().filter(|row| text(row, "name") == Some("good")).count();
    assert_eq!(names as u64 + decoded.rejected, 3);
    decoded
}

#[test]
fn integers_of_all_widths_are_numbers_or_strings() {
    for value in ["\"1544712660000000000\"", "1544712660000000000"] {
        let row = one(&format!("\"startTimeUnixNano\":{value},\"endTimeUnixNano\":{value}"));
        assert_eq!(row["start_time_unix_nano"], Cell::Int(1_544_712_660_000_000_000));
    }
    for value in ["\"3\"", "3", "3.0", "0.3e1"] {
        assert_eq!(one(&format!("\"droppedLinksCount\":{value}"))["dropped_links_count"], Cell::Int(3), "{value}");
        assert_eq!(one(&format!("\"flags\":{value}"))["flags"], Cell::Int(3), "{value}");
        assert_eq!(text(&one(&format!("\"kind\":{value}")), "kind"), Some("CLIENT"), "{value}");
    }
}

#[test]
fn values_that_the_crates_serde_refuses_are_accepted() {
    let attribute = |value: &str| {
        let row = one(&format!(r#""attributes":[{{"key":"k","value":{value}}}]"#));
        text(&row, "attributes").map(str::to_owned)
    };
    assert_eq!(attribute(r#"{"arrayValue":{}}"#).as_deref(), Some(r#"{"k":[]}"#));
    assert_eq!(attribute(r#"{"kvlistValue":{}}"#).as_deref(), Some(r#"{"k":{}}"#));
    assert_eq!(attribute(r#"{"doubleValue":"NaN"}"#).as_deref(), Some(r#"{"k":{"@double":"NaN"}}"#));
    assert_eq!(attribute(r#"{"doubleValue":"Infinity"}"#).as_deref(), Some(r#"{"k":{"@double":"Infinity"}}"#));
    assert_eq!(attribute(r#"{"doubleValue":1}"#).as_deref(), Some(r#"{"k":1.0}"#));
    assert_eq!(attribute(r#"{"intValue":7}"#).as_deref(), Some(r#"{"k":7}"#));
    assert_eq!(attribute(r#"{"stringValue":null}"#).as_deref(), Some(r#"{"k":null}"#));
    assert_eq!(attribute("null").as_deref(), Some(r#"{"k":null}"#));
    assert_eq!(attribute("{}").as_deref(), Some(r#"{"k":null}"#));
    for empty in ["{}", r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":[{}]}"#] {
        assert_eq!(decode_json(Signal::Traces, empty).expect("valid").rows.num_rows(), 0, "{empty}");
    }
}

#[test]
fn null_is_the_default_of_every_field() {
    let row = one(r#""parentSpanId":null,"kind":null,"attributes":null,"status":null,"events":[],"links":null"#);
    assert_eq!(text(&row, "kind"), Some("UNSPECIFIED"));
    assert!(["parent_span_id", "attributes", "events", "links"].iter().all(|column| !row.contains_key(*column)));
}

#[test]
fn unknown_and_snake_case_keys_are_ignored() {
    let row = one(r#""trace_state":"no","droppedEvents":[[{}]],"new":{"deep":[1,{"a":null}]}"#);
    assert!(!row.contains_key("trace_state"));
}

#[test]
fn keys_may_be_escaped_and_in_any_order() {
    let body = r#"{"resourceSpans":[{"schemaUrl":"u","scopeSpans":[{"spans":[
        {"\u006eame":"n","attributes":[{"value":{"stringValue":"v"},"key":"k"}],
         "spanId":"0102030405060708","traceId":"0102030405060708090A0B0C0D0E0F10"}],"scope":{"name":"s"}}],
        "resource":{"attributes":[{"value":{"stringValue":"late"},"key":"service.name"}]}}]}"#;
    let decoded = decode_json(Signal::Traces, body).expect("valid");
    let row = &rows(&decoded.rows)[0];
    assert_eq!((text(row, "name"), text(row, "service_name")), (Some("n"), Some("late")));
    assert_eq!((text(row, "attributes"), text(row, "scope_name")), (Some(r#"{"k":"v"}"#), Some("s")));
}

#[test]
fn a_bad_span_costs_its_neighbours_nothing() {
    for (odd, reason) in [
        (with(r#""kind":"SPAN_KIND_SERVER""#), "enum_name"),
        (with(r#""status":{"code":"STATUS_CODE_OK"}"#), "enum_name"),
        (with(r#""startTimeUnixNano":"soon""#), "bad_json_value"),
        (with(r#""startTimeUnixNano":-1"#), "bad_json_value"),
        (with(r#""startTimeUnixNano":"18446744073709551615""#), "time_out_of_range"),
        (with(r#""name":["x"]"#), "bad_json_value"),
        (with(r#""events":{}"#), "bad_json_value"),
        (with(r#""status":7"#), "bad_json_value"),
        (with(r#""attributes":[{"key":"k","value":{"bytesValue":"?"}}]"#), "bad_json_value"),
        (with(r#""name":"\x""#), "bad_json_value"),
        (GOOD.replace("0102030405060708090a0b0c0d0e0f10", ""), "invalid_trace_id"),
        (GOOD.replace("0102030405060708090a0b0c0d0e0f10", "xyz"), "invalid_trace_id"),
        (GOOD.replace(r#""spanId":"0102030405060708""#, r#""spanId":"0000000000000000""#), "invalid_span_id"),
        ("{}".to_owned(), "invalid_trace_id"),
        ("null".to_owned(), "invalid_trace_id"),
        ("7".to_owned(), "bad_json_value"),
        ("[[]]".to_owned(), "bad_json_value"),
    ] {
        let decoded = between(&odd);
        assert_eq!(decoded.reasons, [(reason, 1)], "{odd}");
    }
}

#[test]
fn a_parent_id_that_is_not_hex_is_left_out() {
    let decoded = between(&with(r#""parentSpanId":"xyz""#));
    assert_eq!(text(&rows(&decoded.rows)[1], "anomalies"), Some("bad_parent_id"));
}

#[test]
fn an_enum_name_on_a_metric_costs_its_points() {
    let metric = |temporality: &str| {
        format!(
            r#"{{"name":"m","sum":{{"dataPoints":[{{"asInt":"1"}},{{"asInt":2}},{{"asInt":"x"}}],"aggregationTemporality":{temporality}}}}}"#
        )
    };
    let body = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{},{}]}}]}}]}}"#,
        metric("\"AGGREGATION_TEMPORALITY_DELTA\""),
        metric("1")
    );
    let decoded = decode_json(Signal::Metrics, body).expect("valid JSON");
    assert_eq!(decoded.rows.num_rows(), 2);
    assert_eq!(decoded.reasons, [("enum_name", 2), ("bad_json_value", 2)]);
}

#[test]
fn a_value_that_does_not_fit_in_a_resource_is_left_out() {
    let body = format!(
        r#"{{"resourceSpans":[{{"resource":{{"droppedAttributesCount":"many","attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},"scopeSpans":[{{"spans":[{GOOD}]}}]}}]}}"#
    );
    let decoded = decode_json(Signal::Traces, body).expect("valid JSON");
    assert_eq!(text(&rows(&decoded.rows)[0], "service_name"), Some("shop"));
    assert_eq!(decoded.notes, ["1 resource, scope or metric field unreadable: the rows were kept without"]);
}

#[test]
fn errors_name_line_and_column() {
    for (body, line, column) in [
        ("", 1, 1),
        ("[]", 1, 1),
        ("{\"resourceSpans\":\n  [tru]}", 2, 4),
        ("{\"resourceSpans\": 5}", 1, 19),
        ("{\"resourceSpans\":[{\"scopeSpans\":{}}]}", 1, 33),
        ("{} {}", 1, 4),
        ("{\"resourceSpans\":[", 1, 19),
    ] {
        let error = decode_json(Signal::Traces, body).expect_err(body);
        assert_eq!(error.kind, Kind::Invalid);
        let place = format!("line {line} column {column} ");
        assert!(error.message.contains(&place), "{body:?}: {}", error.message);
    }
}

#[test]
fn text_that_is_not_utf8_becomes_replacement_characters() {
    let mut body = spans(&with(r#""traceState":"x?y""#)).into_bytes();
    let at = body.iter().position(|byte| *byte == b'?').expect("the mark");
    body[at] = 0xff;
    let decoded = decode_json(Signal::Traces, body).expect("valid but for one byte");
    let row = &rows(&decoded.rows)[0];
    assert_eq!((text(row, "trace_state"), text(row, "anomalies")), (Some("x\u{fffd}y"), Some("invalid_utf8")));
}

fn nested(levels: usize) -> String {
    let open = r#"{"arrayValue":{"values":["#.repeat(levels);
    let close = "]}}".repeat(levels);
    with(&format!(r#""attributes":[{{"key":"deep","value":{open}{{"intValue":7}}{close}}}]"#))
}

#[test]
fn nesting_is_bounded_as_on_the_wire() {
    let decoded = decode_json(Signal::Traces, spans(&nested(64))).expect("valid");
    let row = &rows(&decoded.rows)[0];
    let expected = format!("{{\"deep\":{}7{}}}", "[".repeat(64), "]".repeat(64));
    assert_eq!((text(row, "attributes"), text(row, "anomalies")), (Some(expected.as_str()), None));
    for levels in [65, 66, 67, 100] {
        let decoded = decode_json(Signal::Traces, spans(&nested(levels))).expect("valid");
        assert_eq!(text(&rows(&decoded.rows)[0], "anomalies"), Some("deep_nesting"), "{levels}");
    }
}

#[test]
fn a_hundred_thousand_levels_do_not_overflow_the_stack() {
    let decoded = decode_json(Signal::Traces, spans(&nested(100_000))).expect("valid");
    assert!(text(&rows(&decoded.rows)[0], "anomalies").is_some_and(|names| names.contains("deep_nesting")));
    let brackets = "[".repeat(100_000);
    assert_eq!(decode_json(Signal::Traces, brackets.clone()).expect_err("no object").kind, Kind::Invalid);
    let unknown = format!("{{\"unknown\":{brackets}{}}}", "]".repeat(100_000));
    assert_eq!(decode_json(Signal::Traces, unknown).expect("ignored").rows.num_rows(), 0);
}

/// The example files of opentelemetry-proto are written with some fields as numbers and some as strings; whatever
/// the crate's own serde reads must give the same rows through us.
#[test]
fn the_fixtures_mean_what_the_crates_serde_reads() {
    let text = include_str!("../../../../testdata/otlp/logs.json");
    let request: opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest =
        serde_json::from_str(text).expect("readable");
    let decoded = decode_json(Signal::Logs, text).expect("valid");
    super::rows::assert_rows(&decoded.rows, &oracle::records(&request));
    let wire = decode_wire(Signal::Logs, prost::Message::encode_to_vec(&request)).expect("valid");
    assert_eq!(decoded.rows, wire.rows);
}
