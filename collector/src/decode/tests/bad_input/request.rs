//! The request as a whole: compression, framing, and what is broken inside of it.

use model::{Decoder, Encoding, Format, Kind, Payload, Signal, schema};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

use super::super::rows::{rows, text as cell_text};
use super::super::{Request, decode_wire, delimited, pair, payload, request, span, text};
use super::between_encoded;
use crate::decode::{Limits, OtlpDecoder};

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
fn an_empty_request_is_a_success() {
    for signal in Signal::ALL {
        let decoded = decode_wire(signal, Vec::new()).expect("empty is valid");
        assert_eq!((decoded.rows.num_rows(), decoded.rejected, decoded.notes.len()), (0, 0, 0));
        assert_eq!(decoded.rows.schema(), schema::schema(signal));
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
        let payload = Payload { encoding: Encoding::Zstd, ..payload(Signal::Traces, format, bomb.clone()) };
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
    let payload = Payload { encoding: Encoding::Zstd, ..payload(Signal::Traces, Format::Protobuf, compressed) };
    let decoded = OtlpDecoder::new(Limits::default()).decode(&payload).expect("valid");
    assert_eq!((decoded.hash, decoded.decoded_bytes), (plain.hash, body.len()));
    assert_eq!(plain.hash, xxhash_rust::xxh3::xxh3_128(&body));
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

/// Two bytes for an empty link would otherwise become a hundred in memory.
#[test]
fn a_request_of_very_many_small_elements_is_too_large() {
    let limits = Limits { max_elements: 100, ..Limits::default() };
    let decode = |spans| {
        let body = request(spans).encode_to_vec();
        OtlpDecoder::new(limits).decode(&payload(Signal::Traces, Format::Protobuf, body))
    };
    // A span counts as four.
    let busy = Span { links: vec![Link::default(); 46], ..span(1) };
    assert_eq!(decode(vec![busy.clone(), busy.clone()]).expect("100 elements").rows.num_rows(), 2);
    let error = decode(vec![busy.clone(), busy, span(2)]).expect_err("101 elements");
    assert_eq!(error.kind, Kind::TooLarge);
}
