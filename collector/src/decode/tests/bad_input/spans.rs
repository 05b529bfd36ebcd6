//! Fields of a span.

use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::super::rows::{Cell, text as cell_text};
use super::super::span;
use super::{between, kept, rejected};

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
fn lists_are_cut_at_their_limit_and_counted() {
    let events = vec![Event::default(); 4100];
    let links = vec![Link { trace_id: vec![1; 16], span_id: vec![1; 8], ..Link::default() }; 4097];
    let row = kept(Span { events, links, dropped_links_count: 1, ..span(3) }, "truncated");
    let Cell::List(kept_events) = &row["events"] else { panic!("a list") };
    assert_eq!((kept_events.len(), &row["dropped_events_count"]), (4096, &Cell::Int(4)));
    assert_eq!(row["dropped_links_count"], Cell::Int(2));
}
