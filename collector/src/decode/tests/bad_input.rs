//! Bad input as it is seen in the wild (reliability.md 2.7): what it costs, what is said, and that neighbours stay.

use model::{Decoder, Encoding, Format, Kind, Signal};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

use super::super::{Limits, OtlpDecoder};
use super::rows::{Cell, Row, rows, text as cell_text};
use super::{Request, array, decode_wire, kvlist, pair, payload, request, span, text, wrapped};

/// Decodes one span between two good ones, which must be there unharmed. Returns its row, if it was kept.
#[track_caller]
fn between(odd: Span) -> (Option<Row>, model::Decoded) {
    let decoded = request(vec![span(1), odd, span(2)]).decoded();
    let mut all = rows(&decoded.rows);
    assert_eq!(cell_text(&all[0], "name"), Some("span 1"));
    assert_eq!(cell_text(&all[all.len() - 1], "name"), Some("span 2"));
    assert_eq!(all.len() as u64 + decoded.rejected, 3);
    assert!(!all[0].contains_key("anomalies") && !all[all.len() - 1].contains_key("anomalies"));
    (if all.len() == 3 { Some(all.remove(1)) } else { None }, decoded)
}

#[track_caller]
fn rejected(odd: Span, reason: &str, note: &str) {
    let (row, decoded) = between(odd);
    assert_eq!(row, None);
    assert_eq!(decoded.reasons, [(reason, 1)]);
    assert_eq!(decoded.notes, [note]);
}

#[track_caller]
fn kept(odd: Span, anomaly: &str) -> Row {
    let (row, decoded) = between(odd);
    let row = row.expect("kept");
    assert_eq!(cell_text(&row, "anomalies"), Some(anomaly));
    assert_eq!(decoded.notes.len(), 1, "{:?}", decoded.notes);
    assert!(decoded.notes[0].starts_with("1 span kept: "), "{:?}", decoded.notes);
    row
}

#[test]
fn end_before_start_is_kept_with_duration_zero() {
    let row = kept(Span { start_time_unix_nano: 9, end_time_unix_nano: 5, ..span(3) }, "time_inverted");
    assert_eq!(row["start_time_unix_nano"], Cell::Int(9));
    assert_eq!(row["end_time_unix_nano"], Cell::Int(5));
    assert_eq!(row["duration_ns"], Cell::Int(0));
}

#[test]
fn ids_of_the_wrong_length_or_all_zero_reject_that_span_only() {
    for trace_id in [vec![], vec![0; 16], vec![1; 5], vec![1; 17]] {
        let note = "1 span rejected: trace_id must be 16 non-zero bytes";
        rejected(Span { trace_id, ..span(3) }, "invalid_trace_id", note);
    }
    for span_id in [vec![], vec![0; 8], vec![1; 7]] {
        let note = "1 span rejected: span_id must be 8 non-zero bytes";
        rejected(Span { span_id, ..span(3) }, "invalid_span_id", note);
    }
}

#[test]
fn a_parent_id_of_the_wrong_length_is_left_out() {
    let row = kept(Span { parent_span_id: vec![1; 3], ..span(3) }, "bad_parent_id");
    assert!(!row.contains_key("parent_span_id"));
    for absent in [vec![], vec![0; 8]] {
        let (row, decoded) = between(Span { parent_span_id: absent, ..span(3) });
        assert!(!row.expect("kept").contains_key("parent_span_id"));
        assert_eq!(decoded.notes, [""; 0], "a root");
    }
}

#[test]
fn times_from_zero_to_the_end_of_int64_are_kept_and_later_ones_rejected() {
    let last = i64::MAX as u64;
    let (row, _) = between(Span { start_time_unix_nano: 0, end_time_unix_nano: last, ..span(3) });
    assert_eq!(row.expect("kept")["duration_ns"], Cell::Int(i64::MAX));
    for (start, end) in [(last + 1, last + 2), (1, u64::MAX)] {
        let odd = Span { start_time_unix_nano: start, end_time_unix_nano: end, ..span(3) };
        let (row, decoded) = between(odd);
        assert_eq!((row, decoded.reasons), (None, vec![("time_out_of_range", 1)]));
    }
    let late = Event { time_unix_nano: u64::MAX, ..Event::default() };
    let row = kept(Span { events: vec![late], ..span(3) }, "saturated");
    let Cell::List(events) = &row["events"] else { panic!("a list") };
    assert_eq!(events[0]["time_unix_nano"], Cell::Int(i64::MAX));
}

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
    use base64::Engine;
    let text = innermost["@bytes"].as_str().expect("marked as bytes");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    assert_eq!(AnyValue::decode(bytes.as_slice()).expect("an AnyValue"), wrapped(nested(6)));
}

/// Encoded by hand: prost would overflow its stack.
fn very_deep_span(levels: usize) -> Vec<u8> {
    let wrap = |number: u8, inner: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut out);
        out.extend_from_slice(inner);
        out
    };
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
    let attribute = [wrap(1, b"deep"), wrap(2, &reversed)].concat();
    let mut bytes = span(3).encode_to_vec();
    bytes.extend_from_slice(&wrap(9, &attribute));
    wrap(1, &wrap(2, &wrap(2, &bytes)))
}

#[test]
fn a_hundred_thousand_levels_do_not_overflow_the_stack() {
    let decoded = decode_wire(Signal::Traces, very_deep_span(100_000)).expect("valid framing");
    let row = &rows(&decoded.rows)[0];
    assert_eq!(cell_text(row, "anomalies"), Some("truncated,deep_nesting"), "the bytes are cut at 64 KiB");
}

#[test]
fn text_that_is_not_utf8_becomes_replacement_characters() {
    let mut bytes = span(3).encode_to_vec();
    // name = "a\xff"; attributes: "k\xff" = "v\xff", url.path = "/\xff".
    bytes.extend_from_slice(b"\x2a\x02a\xff");
    bytes.extend_from_slice(b"\x4a\x0a\x0a\x02k\xff\x12\x04\x0a\x02v\xff");
    bytes.extend_from_slice(b"\x4a\x10\x0a\x08url.path\x12\x04\x0a\x02/\xff");
    let (row, decoded) = between_encoded(&bytes);
    let row = row.expect("kept");
    assert_eq!(cell_text(&row, "name"), Some("a\u{fffd}"));
    assert_eq!(cell_text(&row, "attributes"), Some("{\"k\u{fffd}\":\"v\u{fffd}\"}"));
    assert_eq!(cell_text(&row, "url_path"), Some("/\u{fffd}"));
    assert_eq!(cell_text(&row, "anomalies"), Some("invalid_utf8"));
    assert_eq!(decoded.notes, ["1 span kept: text is not UTF-8, the broken bytes were replaced by U+FFFD"]);
}

/// Like [`between`], for a span that no encoder would write.
fn between_encoded(odd: &[u8]) -> (Option<Row>, model::Decoded) {
    let spans = [span(1).encode_to_vec(), odd.to_vec(), span(2).encode_to_vec()];
    let scope = spans.iter().fold(Vec::new(), |out, span| delimited(out, 2, span));
    let body = delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &scope));
    let decoded = decode_wire(Signal::Traces, body).expect("the framing is whole");
    let mut all = rows(&decoded.rows);
    (if all.len() == 3 { Some(all.remove(1)) } else { None }, decoded)
}

fn delimited(mut out: Vec<u8>, number: u8, bytes: &[u8]) -> Vec<u8> {
    out.push(number << 3 | 2);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

#[test]
fn a_span_that_is_broken_inside_is_skipped_and_counted() {
    let good = span(3).encode_to_vec();
    let broken = [
        [good.as_slice(), &[0x2a, 0x7f, b'x']].concat(),
        [good.as_slice(), &[0x28, 0x01]].concat(),
        [good.as_slice(), &[0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(),
        [good.as_slice(), &[0x4a, 0x02, 0x0a, 0x05]].concat(),
        good[..good.len() - 1].to_vec(),
    ];
    for bytes in broken {
        let (row, decoded) = between_encoded(&bytes);
        assert_eq!(row, None, "{bytes:x?}");
        assert_eq!((decoded.rows.num_rows(), decoded.reasons), (2, vec![("malformed", 1)]));
    }
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let mut bytes = span(3).encode_to_vec();
    let unknown: [&[u8]; 5] = [
        &[0xa0, 0x06, 0x96, 0x01],
        &[0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xa2, 0x06, 0x02, 0xff, 0xff],
        &[0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06],
        &[0xa5, 0x06, 1, 2, 3, 4],
    ];
    unknown.iter().for_each(|field| bytes.extend_from_slice(field));
    let (row, decoded) = between_encoded(&bytes);
    assert_eq!(row.as_ref().and_then(|row| cell_text(row, "name")), Some("span 3"));
    assert_eq!(decoded.notes, [""; 0]);
}

#[test]
fn of_repeated_fields_the_last_one_wins_and_messages_merge() {
    let mut bytes = span(3).encode_to_vec();
    bytes.extend_from_slice(b"\x2a\x05first\x2a\x04last");
    let status = |message: &str, code| Status { message: message.into(), code }.encode_to_vec();
    bytes = delimited(bytes, 15, &status("told", 0));
    bytes = delimited(bytes, 15, &status("", 2));
    // An AnyValue with two values: the later one counts.
    bytes.extend_from_slice(b"\x4a\x0b\x0a\x01k\x12\x06\x0a\x02no\x18\x07");
    let (row, _) = between_encoded(&bytes);
    let row = row.expect("kept");
    assert_eq!(cell_text(&row, "name"), Some("last"));
    assert_eq!((cell_text(&row, "status_message"), cell_text(&row, "status_code")), (Some("told"), Some("ERROR")));
    assert_eq!(cell_text(&row, "attributes"), Some(r#"{"k":7}"#));
}

#[test]
fn a_resource_may_follow_its_spans() {
    let spans = delimited(Vec::new(), 2, &span(1).encode_to_vec());
    let scope = delimited(delimited(Vec::new(), 2, &spans), 3, b"https://example.org");
    let resource = |name: &str| {
        Resource { attributes: vec![pair("service.name", text(name))], ..Resource::default() }.encode_to_vec()
    };
    let body = delimited(Vec::new(), 1, &delimited(scope, 1, &resource("late")));
    let decoded = decode_wire(Signal::Traces, body).expect("valid");
    let row = &rows(&decoded.rows)[0];
    assert_eq!(cell_text(row, "service_name"), Some("late"));
    assert_eq!(cell_text(row, "resource_schema_url"), Some("https://example.org"));
}

#[test]
fn broken_framing_refuses_the_request_and_names_the_byte() {
    let body = [request(vec![span(1)]).encode_to_vec(), vec![0x0a, 0x20, 0x01]].concat();
    let at = body.len() - 2;
    let error = decode_wire(Signal::Traces, body.clone()).expect_err("cut");
    assert_eq!(error.kind, Kind::Invalid);
    let expected = format!(
        "the body is not a valid OTLP request: byte {at} of {} should be a length within the enclosing message",
        body.len()
    );
    assert_eq!(error.message, expected);
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
fn unknown_enum_numbers_are_marked() {
    let row =
        kept(Span { kind: 99, status: Some(Status { code: -1, ..Status::default() }), ..span(3) }, "unknown_enum");
    assert_eq!((cell_text(&row, "kind"), cell_text(&row, "status_code")), (Some("UNSPECIFIED"), Some("UNSET")));
}

#[test]
fn a_link_without_valid_ids_is_kept_and_marked() {
    let link = Link { trace_id: vec![1; 16], span_id: vec![0; 8], ..Link::default() };
    let row = kept(Span { links: vec![link], ..span(3) }, "bad_link_id");
    let Cell::List(links) = &row["links"] else { panic!("a list") };
    assert_eq!((links[0].get("trace_id"), links[0].get("span_id")), (Some(&Cell::Bytes(vec![1; 16])), None));
}

#[test]
fn string_indexes_of_profiles_are_taken_as_absent() {
    let indexed = AnyValue { value: Some(Value::StringValueStrindex(3)) };
    let attributes = vec![KeyValue { key: "k".into(), value: Some(indexed), key_strindex: 0 }];
    let row = kept(Span { attributes, ..span(3) }, "string_index");
    assert_eq!(cell_text(&row, "attributes"), Some(r#"{"k":null}"#));
}

#[test]
fn an_empty_request_is_a_success() {
    for signal in Signal::ALL {
        let decoded = decode_wire(signal, Vec::new()).expect("empty is valid");
        assert_eq!((decoded.rows.num_rows(), decoded.rejected, decoded.notes.len()), (0, 0, 0));
        assert_eq!(decoded.rows.schema(), model::schema::schema(signal));
    }
    assert_eq!(request(vec![]).decoded().rows.num_rows(), 0);
}

#[test]
fn all_spans_may_be_bad() {
    let decoded = request(vec![Span::default(), Span::default()]).decoded();
    assert_eq!((decoded.rows.num_rows(), decoded.rejected), (0, 2));
    assert_eq!(decoded.notes, ["2 spans rejected: trace_id must be 16 non-zero bytes"]);
}

#[test]
fn a_decompression_bomb_is_too_large() {
    let bomb = zstd::encode_all(vec![0u8; 65 << 20].as_slice(), 1).expect("to memory");
    for format in [Format::Protobuf, Format::Json] {
        let payload = model::Payload { encoding: Encoding::Zstd, ..payload(Signal::Traces, format, bomb.clone()) };
        let error = OtlpDecoder::default().decode(&payload).expect_err("65 MiB");
        assert_eq!(error.kind, Kind::TooLarge);
        assert!(error.message.contains("67108864"), "{}", error.message);
    }
}

#[test]
fn the_hash_is_of_the_decompressed_body() {
    let body = request(vec![span(1)]).encode_to_vec();
    let plain = decode_wire(Signal::Traces, body.clone()).expect("valid");
    let compressed = zstd::encode_all(body.as_slice(), 1).expect("to memory");
    let payload = model::Payload { encoding: Encoding::Zstd, ..payload(Signal::Traces, Format::Protobuf, compressed) };
    let decoded = OtlpDecoder::new(Limits::default()).decode(&payload).expect("valid");
    assert_eq!((decoded.hash, decoded.decoded_bytes), (plain.hash, body.len()));
    assert_eq!(plain.hash, xxhash_rust::xxh3::xxh3_128(&body));
}

#[test]
fn counts_beyond_int64_saturate() {
    let point = HistogramDataPoint { count: u64::MAX, bucket_counts: vec![1, u64::MAX], ..Default::default() };
    let data = Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: 7 });
    let metric = Metric { name: "m".into(), data: Some(data), ..Metric::default() };
    let row = &rows(&metrics(vec![metric]).decoded().rows)[0];
    assert_eq!(row["count"], Cell::Int(i64::MAX));
    assert_eq!(cell_text(row, "anomalies"), Some("unknown_enum,saturated"));
    assert_eq!(cell_text(row, "temporality"), Some("UNSPECIFIED"));
}

fn metrics(metrics: Vec<Metric>) -> opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
    }
}

#[test]
fn a_bad_point_costs_only_itself() {
    let point = |time_unix_nano| NumberDataPoint { time_unix_nano, ..NumberDataPoint::default() };
    let data_points = vec![point(1), point(u64::MAX), point(3)];
    let data = Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: false });
    let decoded = metrics(vec![Metric { name: "m".into(), data: Some(data), ..Metric::default() }]).decoded();
    assert_eq!((decoded.rows.num_rows(), decoded.reasons), (2, vec![("time_out_of_range", 1)]));
    assert!(rows(&decoded.rows).iter().all(|row| cell_text(row, "name") == Some("m")));
}

#[test]
fn unpacked_bucket_counts_are_read_too() {
    // HistogramDataPoint: bucket_counts (6) one by one, explicit_bounds (7) packed and then one more.
    let mut point = Vec::new();
    for count in [1u64, 2] {
        point.push(6 << 3 | 1);
        point.extend_from_slice(&count.to_le_bytes());
    }
    point = delimited(point, 7, &0.5f64.to_le_bytes());
    point.push(7 << 3 | 1);
    point.extend_from_slice(&1.5f64.to_le_bytes());
    let metric = delimited(delimited(Vec::new(), 1, b"m"), 9, &delimited(Vec::new(), 1, &point));
    let body = delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &delimited(Vec::new(), 2, &metric)));
    let decoded = decode_wire(Signal::Metrics, body).expect("valid");
    let expected = super::rows::Expected::default().ints("counts", &[1, 2]).doubles("bounds", &[0.5, 1.5]).row();
    let row = &rows(&decoded.rows)[0];
    assert_eq!(row["bucket_counts"], expected["counts"]);
    assert_eq!(row["explicit_bounds"], expected["bounds"]);
}

#[test]
fn a_broken_resource_keeps_its_spans() {
    let spans = delimited(Vec::new(), 2, &span(1).encode_to_vec());
    let resource =
        [delimited(Vec::new(), 1, &pair("service.name", text("shop")).encode_to_vec()), vec![0x0a, 0x7f, 0x00]]
            .concat();
    let body = delimited(Vec::new(), 1, &delimited(delimited(Vec::new(), 1, &resource), 2, &spans));
    let decoded = decode_wire(Signal::Traces, body).expect("the framing is whole");
    assert_eq!(cell_text(&rows(&decoded.rows)[0], "service_name"), Some("shop"));
    assert_eq!(decoded.rejected, 0);
    assert_eq!(decoded.notes, ["1 resource, scope or metric field unreadable: the rows were kept without"]);
}

#[test]
fn odd_ids_of_a_log_record_are_left_out() {
    let record = LogRecord { trace_id: vec![1; 3], span_id: vec![0; 8], severity_number: 99, ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let request = opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }],
    };
    let decoded = request.decoded();
    let row = &rows(&decoded.rows)[0];
    assert_eq!(cell_text(row, "anomalies"), Some("bad_trace_id,unknown_enum"));
    assert_eq!(row["severity_number"], Cell::Int(99));
    assert!(!row.contains_key("trace_id") && !row.contains_key("span_id") && !row.contains_key("body"));
}

#[test]
fn lists_are_cut_at_their_limit_and_counted() {
    let events = vec![Event::default(); 4100];
    let links = vec![Link { trace_id: vec![1; 16], span_id: vec![1; 8], ..Link::default() }; 4097];
    let row = kept(Span { events, links, dropped_links_count: 1, ..span(3) }, "truncated");
    let Cell::List(kept_events) = &row["events"] else { panic!("a list") };
    assert_eq!((kept_events.len(), &row["dropped_events_count"]), (4096, &Cell::Int(4)));
    assert_eq!(row["dropped_links_count"], Cell::Int(2));
}

#[test]
fn a_point_with_too_many_buckets_is_rejected() {
    let point = |buckets| HistogramDataPoint { bucket_counts: vec![1; buckets], ..Default::default() };
    let data_points = vec![point(65_536), point(65_537)];
    let data = Data::Histogram(Histogram { data_points, aggregation_temporality: 1 });
    let decoded = metrics(vec![Metric { name: "m".into(), data: Some(data), ..Metric::default() }]).decoded();
    assert_eq!((decoded.rows.num_rows(), decoded.reasons), (1, vec![("too_many_buckets", 1)]));
}

/// Two bytes for an empty link would otherwise become a hundred in memory.
#[test]
fn a_request_of_very_many_small_elements_is_too_large() {
    let limits = Limits { max_elements: 100, ..Limits::default() };
    let decode = |spans| {
        let body = request(spans).encode_to_vec();
        OtlpDecoder::new(limits).decode(&payload(Signal::Traces, Format::Protobuf, body))
    };
    let busy = Span { links: vec![Link::default(); 49], ..span(1) };
    assert_eq!(decode(vec![busy.clone(), busy.clone()]).expect("100 elements").rows.num_rows(), 2);
    let error = decode(vec![busy.clone(), busy, span(2)]).expect_err("101 elements");
    assert_eq!(error.kind, Kind::TooLarge);
}

#[test]
fn of_several_kinds_of_data_the_last_wins_and_one_kind_is_merged() {
    let gauge = |value: u8| {
        let point = delimited(Vec::new(), 1, &[&[0x31, value][..], &[0; 7]].concat());
        delimited(Vec::new(), 5, &point)
    };
    let sum = delimited(Vec::new(), 7, &delimited(Vec::new(), 1, &[]));
    let rows_of = |fields: &[&[u8]]| {
        let metric = delimited(Vec::new(), 2, &fields.concat());
        let body = delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &metric));
        rows(&decode_wire(Signal::Metrics, body).expect("valid").rows)
    };
    let values = |rows: &[Row]| rows.iter().map(|row| row.get("value_int").cloned()).collect::<Vec<_>>();
    let merged = rows_of(&[&gauge(1), &gauge(2)]);
    assert_eq!(values(&merged), [Some(Cell::Int(1)), Some(Cell::Int(2))]);
    let last = rows_of(&[&gauge(1), &sum, &gauge(3)]);
    assert_eq!((values(&last), cell_text(&last[0], "type")), (vec![Some(Cell::Int(3))], Some("GAUGE")));
}
