//! Attributes: huge, deep, many, repeated.

use base64::Engine;
use model::Signal;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::super::rows::{Cell, rows, text as cell_text};
use super::super::{array, decode_wire, delimited, kvlist, pair, span, text, wrapped};
use super::{between, kept};

#[test]
fn nan_and_infinity_are_stored() {
    let attributes = vec![pair("a", Value::DoubleValue(f64::NAN)), pair("b", Value::DoubleValue(f64::INFINITY))];
    let (row, decoded) = between(Span { attributes, ..span(3) });
    let row = row.expect("kept");
    assert_eq!(cell_text(&row, "attributes"), Some(r#"{"a":{"@double":"NaN"},"b":{"@double":"Infinity"}}"#));
    assert_eq!(decoded.notes, [""; 0]);
}

#[test]
fn a_huge_value_is_cut_between_characters() {
    let long = "€".repeat(30_000);
    let attributes = vec![
        pair("long", text(&long)),
        pair("db.query.text", text(&long)),
        pair("bytes", Value::BytesValue(vec![0; 90_000])),
        pair("nested", array(vec![text(&long), text("dropped"), array(vec![])])),
        pair("short", text("kept")),
    ];
    let row = kept(Span { attributes, ..span(3) }, "truncated");
    // 65,536 bytes hold 21,845 characters of three bytes.
    let cut = "€".repeat(21_845);
    assert_eq!(cell_text(&row, "db_query_text"), Some(cut.as_str()));
    let json: serde_json::Value = serde_json::from_str(cell_text(&row, "attributes").expect("text")).expect("JSON");
    assert_eq!(json["long"], cut);
    assert_eq!(json["bytes"]["@bytes"].as_str().map(str::len), Some(65_536_usize.div_ceil(3) * 4));
    assert_eq!(json["nested"], serde_json::json!([cut]));
    assert_eq!(json["short"], "kept");
}

#[test]
fn of_ten_thousand_attributes_1024_are_kept_and_the_rest_counted() {
    let attributes = (0..10_000).map(|n| pair(&format!("key {n}"), Value::IntValue(n))).collect();
    let row = kept(Span { attributes, dropped_attributes_count: 5, ..span(3) }, "truncated");
    let json: serde_json::Value = serde_json::from_str(cell_text(&row, "attributes").expect("text")).expect("JSON");
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(1024));
    assert_eq!(json["key 1023"], 1023);
    assert_eq!(row["dropped_attributes_count"], Cell::Int(10_000 - 1024 + 5));
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::IntValue(7), |inner, level| {
        if level % 2 == 0 { array(vec![inner]) } else { kvlist(vec![pair("k", inner)]) }
    })
}

/// How many arrays and objects lie inside each other.
fn depth(mut value: &serde_json::Value) -> usize {
    let mut depth = 0;
    while let Some(inner) = value.get(0).or_else(|| value.get("k")) {
        value = inner;
        depth += 1;
    }
    depth
}

#[test]
fn nesting_is_kept_to_the_depth_of_64() {
    for levels in [31, 48, 64] {
        let (row, decoded) = between(Span { attributes: vec![pair("deep", nested(levels))], ..span(3) });
        let row = row.expect("kept");
        let json: serde_json::Value = serde_json::from_str(cell_text(&row, "attributes").expect("text")).expect("JSON");
        assert_eq!(depth(&json["deep"]), levels);
        assert_eq!(decoded.notes, [""; 0], "{levels} levels");
    }
}

#[test]
fn what_lies_deeper_is_kept_as_the_bytes_it_came_in() {
    let row = kept(Span { attributes: vec![pair("deep", nested(70))], ..span(3) }, "deep_nesting");
    let json: serde_json::Value = serde_json::from_str(cell_text(&row, "attributes").expect("text")).expect("JSON");
    let mut innermost = &json["deep"];
    assert_eq!(depth(innermost), 64);
    for _ in 0..64 {
        innermost = innermost.get(0).or_else(|| innermost.get("k")).expect("an element");
    }
    let text = innermost["@bytes"].as_str().expect("marked as bytes");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    assert_eq!(AnyValue::decode(bytes.as_slice()).expect("an AnyValue"), wrapped(nested(6)));
}

/// Encoded by hand: prost would overflow its stack.
fn very_deep_span(levels: usize) -> Vec<u8> {
    // Built from the inside out; all lengths are known once the inner bytes are.
    let mut reversed: Vec<u8> = vec![7, 0x18];
    for _ in 0..levels {
        for number in [1u8, 5] {
            let mut head = vec![number << 3 | 2];
            prost::encoding::encode_varint(reversed.len() as u64, &mut head);
            head.reverse();
            reversed.extend_from_slice(&head);
        }
    }
    reversed.reverse();
    let attribute = delimited(delimited(Vec::new(), 1, b"deep"), 2, &reversed);
    let span = delimited(span(3).encode_to_vec(), 9, &attribute);
    delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &delimited(Vec::new(), 2, &span)))
}

#[test]
fn a_hundred_thousand_levels_do_not_overflow_the_stack() {
    let decoded = decode_wire(Signal::Traces, very_deep_span(100_000)).expect("valid framing");
    let row = &rows(&decoded.rows)[0];
    assert_eq!(cell_text(row, "anomalies"), Some("truncated,deep_nesting"), "the bytes are cut at 64 KiB");
}

#[test]
fn of_a_repeated_key_the_last_one_wins() {
    let attributes = vec![
        pair("k", Value::IntValue(1)),
        pair("http.route", text("/a")),
        pair("nested", kvlist(vec![pair("x", Value::IntValue(1)), pair("x", Value::IntValue(2))])),
        pair("k", Value::IntValue(2)),
        pair("http.route", text("/b")),
    ];
    let row = kept(Span { attributes, ..span(3) }, "duplicate_key");
    assert_eq!(cell_text(&row, "attributes"), Some(r#"{"nested":{"x":2},"k":2}"#));
    assert_eq!(cell_text(&row, "http_route"), Some("/b"));
}

#[test]
fn a_repeated_key_may_change_between_column_and_text() {
    let to_text = vec![pair("http.route", text("/a")), pair("http.route", Value::IntValue(5))];
    let row = kept(Span { attributes: to_text, ..span(3) }, "duplicate_key");
    assert_eq!((cell_text(&row, "attributes"), cell_text(&row, "http_route")), (Some(r#"{"http.route":5}"#), None));
    let to_column = vec![pair("http.route", Value::IntValue(5)), pair("http.route", text("/a"))];
    let row = kept(Span { attributes: to_column, ..span(3) }, "duplicate_key");
    assert_eq!((cell_text(&row, "attributes"), cell_text(&row, "http_route")), (None, Some("/a")));
}

#[test]
fn string_indexes_of_profiles_are_taken_as_absent() {
    let indexed = AnyValue { value: Some(Value::StringValueStrindex(3)) };
    let attributes = vec![KeyValue { key: "k".into(), value: Some(indexed), key_strindex: 0 }];
    let row = kept(Span { attributes, ..span(3) }, "string_index");
    assert_eq!(cell_text(&row, "attributes"), Some(r#"{"k":null}"#));
}
