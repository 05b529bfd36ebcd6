//! Bad input as it is seen in the wild: what it costs, what is said, and that neighbours stay.

mod attributes;
mod points;
mod request;
mod spans;

use model::Signal;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::rows::{Row, rows, text as cell_text};
use super::{Request, decode_wire, delimited, request, span};

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

/// Like [`between`], for a span that no encoder would write.
fn between_encoded(odd: &[u8]) -> (Option<Row>, model::Decoded) {
    let spans = [span(1).encode_to_vec(), odd.to_vec(), span(2).encode_to_vec()];
    let scope = spans.iter().fold(Vec::new(), |out, span| delimited(out, 2, span));
    let body = delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &scope));
    let decoded = decode_wire(Signal::Traces, body).expect("the framing is whole");
    let mut all = rows(&decoded.rows);
    (if all.len() == 3 { Some(all.remove(1)) } else { None }, decoded)
}
