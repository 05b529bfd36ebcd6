//! The parts of an export, encoded once: a head for each instance of a service, and a piece for each kind of span.
//!
//! ```text
//! ExportTraceServiceRequest
//! └ ResourceSpans ─ Resource ─ ScopeSpans ─ Scope │ Span │ Span │ Span │ … │ schema_url
//! └───────────────── head ───────────────────────┘└ Piece, with the places  └── tail
//!                                                   at which each send differs
//! ```
//! Ids, times and what [`Varying`] lists have a fixed width on the wire, so an export is a head, then pieces, each
//! copied and written over, then the tail. To find the places, a piece is encoded with marks in them.

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::content::{Varying, content, resource, scope};
use crate::shop::mix;

/// The tags of ResourceSpans.resource and ScopeSpans.scope; of the list beside each; of ResourceSpans.schema_url.
const OWNER: u32 = 1;
const INNER: u32 = 2;
const SCHEMA_URL: u32 = 3;

/// One kind of span, as a field of ScopeSpans.
pub struct Piece {
    pub bytes: Vec<u8>,
    /// Where in `bytes` the fields are that differ.
    pub trace_id: usize,
    pub span_id: usize,
    /// `None` for a root.
    pub parent_id: Option<usize>,
    pub start: usize,
    pub end: usize,
    pub varying: Vec<(usize, Varying)>,
}

impl Piece {
    /// The span at a position of a trace of the given variant.
    pub fn new(number: usize, variant: usize) -> Self {
        let (name, kind, attributes) = content(number, variant);
        let root = number == 0;
        let span = Span {
            trace_id: [mark(TRACE), mark(TRACE + 1)].concat(),
            span_id: mark(SPAN).to_vec(),
            parent_span_id: if root { Vec::new() } else { mark(PARENT).to_vec() },
            flags: 0x101,
            name,
            kind: kind.into(),
            start_time_unix_nano: u64::from_le_bytes(mark(START)),
            end_time_unix_nano: u64::from_le_bytes(mark(END)),
            attributes,
            ..Span::default()
        };
        let mut bytes = Vec::new();
        put_message(&mut bytes, INNER, &span.encode_to_vec());
        let find = |field| *places(&bytes, &mark(field)).first().expect("the mark was encoded");
        let of_kind = |varying: Varying| {
            let found = places(&bytes, varying.placeholder().as_bytes());
            found.into_iter().map(move |at| (at, varying))
        };
        Piece {
            trace_id: find(TRACE),
            span_id: find(SPAN),
            parent_id: (!root).then(|| find(PARENT)),
            start: find(START),
            end: find(END),
            varying: Varying::ALL.into_iter().flat_map(of_kind).collect(),
            bytes,
        }
    }
}

/// What stands before the spans in an export of an instance, when the spans take so many bytes.
pub fn head(service: usize, instance: usize, spans: usize) -> Vec<u8> {
    let mut scope_head = Vec::new();
    put_message(&mut scope_head, OWNER, &scope().encode_to_vec());

    let mut resource_head = Vec::new();
    put_message(&mut resource_head, OWNER, &resource(service, instance).encode_to_vec());
    put_length(&mut resource_head, INNER, scope_head.len() + spans);
    resource_head.append(&mut scope_head);

    let mut bytes = Vec::new();
    put_length(&mut bytes, OWNER, resource_head.len() + spans + tail().len());
    bytes.append(&mut resource_head);
    bytes
}

/// What stands behind the spans.
pub fn tail() -> Vec<u8> {
    let mut bytes = Vec::new();
    put_message(&mut bytes, SCHEMA_URL, b"https://opentelemetry.io/schemas/1.38.0");
    bytes
}

fn put_message(bytes: &mut Vec<u8>, tag: u32, message: &[u8]) {
    put_length(bytes, tag, message.len());
    bytes.extend_from_slice(message);
}

fn put_length(bytes: &mut Vec<u8>, tag: u32, length: usize) {
    encode_key(tag, WireType::LengthDelimited, bytes);
    encode_varint(length as u64, bytes);
}

const TRACE: u64 = 0;
const SPAN: u64 = 2;
const PARENT: u64 = 3;
const START: u64 = 4;
const END: u64 = 5;

/// A mark that stands for one field; random enough never to occur by itself.
fn mark(field: u64) -> [u8; 8] {
    mix(0x6d61_726b ^ field).to_le_bytes()
}

/// Where a mark begins, each behind the end of the one before.
fn places(bytes: &[u8], mark: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(offset) = bytes[at..].windows(mark.len()).position(|window| window == mark) {
        found.push(at + offset);
        at += offset + mark.len();
    }
    found
}
