//! Properties: our rows equal the oracle's for any valid request, and no input does harm.

use model::Signal;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::messages::{logs, metrics, span, traces};
use super::rows::{Cell, assert_rows, rows};
use super::{Request, decode_json, decode_wire, delimited, oracle, request};

fn any_signal() -> impl Strategy<Value = Signal> {
    prop::sample::select(&Signal::ALL[..])
}

/// Changes, cuts or doubles bytes of a message.
fn mutate(bytes: &mut Vec<u8>, changes: &[(prop::sample::Index, u8, u8)]) {
    for (place, what, byte) in changes {
        if bytes.is_empty() {
            return;
        }
        let at = place.index(bytes.len());
        match what % 4 {
            0 | 1 => bytes[at] = *byte,
            2 => drop(bytes.remove(at)),
            _ => bytes.insert(at, *byte),
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    vec(any::<(prop::sample::Index, u8, u8)>(), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_equal_the_oracle(request in traces()) {
        assert_rows(&request.decoded().rows, &oracle::spans(&request));
    }

    #[test]
    fn points_equal_the_oracle(request in metrics()) {
        assert_rows(&request.decoded().rows, &oracle::points(&request));
    }

    #[test]
    fn records_equal_the_oracle(request in logs()) {
        assert_rows(&request.decoded().rows, &oracle::records(&request));
    }

    /// The crate's own serde is an independent writer of OTLP/JSON.
    #[test]
    fn json_gives_the_rows_of_protobuf(traces in traces(), metrics in metrics(), logs in logs()) {
        let json = |signal, text: Vec<u8>| decode_json(signal, text).expect("valid JSON").rows;
        assert_rows(&json(Signal::Traces, to_vec(&traces)), &oracle::spans(&traces));
        assert_rows(&json(Signal::Metrics, to_vec(&metrics)), &oracle::points(&metrics));
        assert_rows(&json(Signal::Logs, to_vec(&logs)), &oracle::records(&logs));
    }

    #[test]
    fn arbitrary_json_does_no_harm(text in "[{}\\[\\]:,\"a1\\\\ ]{0,40}", signal in any_signal()) {
        let _ = decode_json(signal, text);
    }

    #[test]
    fn mutated_json_does_no_harm(request in traces(), changes in changes()) {
        let mut body = to_vec(&request);
        mutate(&mut body, &changes);
        if let Ok(decoded) = decode_json(Signal::Traces, body.clone()) {
            prop_assert!(decoded.rows.num_rows() <= body.len() / 48);
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(body in vec(any::<u8>(), 0..300), signal in any_signal()) {
        let _ = decode_wire(signal, body.clone());
        let _ = decode_json(signal, body);
    }

    #[test]
    fn mutated_requests_do_no_harm(request in traces(), changes in changes()) {
        let mut body = request.encode_to_vec();
        mutate(&mut body, &changes);
        let spans_at_most = body.len() / 28;
        if let Ok(decoded) = decode_wire(Signal::Traces, body.clone()) {
            // A span that is kept has at least two ids with their tags and lengths.
            prop_assert!(decoded.rows.num_rows() <= spans_at_most);
            let again = decode_wire(Signal::Traces, body).expect("as before");
            prop_assert_eq!(rows(&again.rows), rows(&decoded.rows));
            prop_assert_eq!(again.notes, decoded.notes);
        }
    }

    #[test]
    fn mutated_metrics_and_logs_do_no_harm(metrics in metrics(), logs in logs(), changes in changes()) {
        for (signal, mut body) in [(Signal::Metrics, metrics.encode_to_vec()), (Signal::Logs, logs.encode_to_vec())] {
            mutate(&mut body, &changes);
            let rows_at_most = body.len() / 2;
            if let Ok(decoded) = decode_wire(signal, body) {
                prop_assert!(decoded.rows.num_rows() <= rows_at_most);
            }
        }
    }

    /// Whatever is inside one span, the others are what they would be without it.
    #[test]
    fn neighbours_survive_a_corrupted_span(
        before in vec(span(), 0..3),
        broken in span(),
        after in vec(span(), 0..3),
        changes in vec(any::<(prop::sample::Index, u8)>(), 1..10),
    ) {
        let mut bytes = broken.encode_to_vec();
        for (place, byte) in changes {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let encoded: Vec<Vec<u8>> = before.iter().map(Message::encode_to_vec)
            .chain([bytes])
            .chain(after.iter().map(Message::encode_to_vec))
            .collect();
        let scope = encoded.iter().fold(Vec::new(), |out, span| delimited(out, 2, span));
        let body = delimited(Vec::new(), 1, &delimited(Vec::new(), 2, &scope));
        let decoded = decode_wire(Signal::Traces, body).expect("the framing is whole");
        let expected = oracle::spans(&request(before.iter().chain(&after).cloned().collect()));
        let mut actual = rows(&decoded.rows);
        prop_assert_eq!(actual.len() as u64 + decoded.rejected, expected.len() as u64 + 1);
        if actual.len() > expected.len() {
            actual.remove(before.len());
        }
        prop_assert_eq!(actual, expected);
    }
}

fn to_vec(request: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(request).expect("to memory")
}

#[test]
fn the_received_time_is_in_every_row() {
    let decoded = request(vec![super::span(1), super::span(2)]).decoded();
    for row in rows(&decoded.rows) {
        assert_eq!(row.get("received_time_unix_nano"), Some(&Cell::Int(super::RECEIVED)));
    }
}
