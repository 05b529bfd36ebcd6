//! One trace by id, in every state of the store.

use model::{Kind, Signal, Tenant, TraceId};
use serde_json::json;

use super::fixture::{Fixture, STATES, State, and, answer, shop, span};

fn id(n: u128) -> TraceId {
    TraceId(n.to_be_bytes())
}

#[tokio::test]
async fn a_trace_has_its_tree_times_and_critical_path() {
    for state in STATES {
        let engine = Fixture::new().with(Signal::Traces, &shop(4), state).await.engine();
        let trace = engine.trace(&Tenant::default(), id(1), 100).await.expect("a trace");
        assert_eq!(trace["trace_id"], format!("{:032x}", 1));
        assert_eq!(
            (&trace["services"], &trace["depth"], &trace["duration_ns"]),
            (&json!(2), &json!(3), &json!(50_000_000))
        );
        let spans = trace["spans"].as_array().expect("spans");
        let figures: Vec<_> =
            spans.iter().map(|s| (s["self_time_ns"].clone(), s["critical_path_ns"].clone())).collect();
        // 50 ms of which 35 ms wait for the client, 30 of those for the server.
        let ms = |n: i64| json!(n * 1_000_000);
        assert_eq!(figures, [(ms(15), ms(15)), (ms(5), ms(5)), (ms(30), ms(30))], "{state:?}");
        assert_eq!(spans[0]["parent_span_id"], "");
        assert_eq!(
            spans[0]["attributes"],
            json!({"http.route": "/order", "http.response.status_code": 200, "http.request.method": "POST"})
        );
        assert_eq!(spans[1]["attributes"]["user.tier"], "gold");
        assert_eq!(spans[2]["critical_segments"], json!([[12_000_000, 42_000_000]]));
    }
}

/// By SQL and as an analysis: the client's call of 35 ms with the server's 30 ms in it, in a request of 50 ms.
#[tokio::test]
async fn the_critical_path_of_a_trace_is_told_piece_by_piece() {
    let engine = Fixture::new().with(Signal::Traces, &shop(4), State::Mixed).await.engine();
    let text = format!(
        "SELECT service, operation, from_ns / 1000000, to_ns / 1000000, share FROM critical_path('trace_id={:032x}') \
         ORDER BY piece",
        1
    );
    let expected = [
        "gateway\tPOST /order\t0\t10\t0.2",
        "gateway\treserve\t10\t12\t0.04",
        "inventory\tUPDATE stock\t12\t42\t0.6",
        "gateway\treserve\t42\t45\t0.06",
        "gateway\tPOST /order\t45\t50\t0.1",
    ];
    assert_eq!(answer(&engine, &text).await, expected);
    let ask = async |parameters: &[(&str, &str)]| {
        let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        crate::analysis::run(&engine, &Tenant::default(), "critical-path", &parameters).await
    };
    let found = ask(&[("trace_id", &format!("{:032x}", 1))]).await.expect("a path");
    assert_eq!(
        (&found["duration_ns"], &found["pieces"][2]["span_id"]),
        (&json!(50_000_000), &json!(format!("{:016x}", 3)))
    );
    assert_eq!(ask(&[]).await.expect("a path")["pieces"].as_array().map(Vec::len), Some(5));
    for (parameters, kind) in [
        (vec![("trace_id", "xyz")], Kind::Invalid),
        (vec![("trace_id", "000000000000000000000000000000ff")], Kind::NotFound),
    ] {
        assert_eq!(ask(&parameters).await.expect_err("no path").kind, kind, "{parameters:?}");
    }
}

#[tokio::test]
async fn events_links_and_flags_are_told() {
    let orphan = and(
        span(9, 1, 77, ("a", "op", "SERVER"), 0, 10),
        json!({
            "events": [{"time_unix_nano": super::fixture::NOW - 60_000_000_000 + 5, "name": "exception", "attributes": "{\"exception.type\":\"E\"}"}],
            "links": [{"trace_id": format!("{:032x}", 5), "span_id": format!("{:016x}", 6), "attributes": "{}"}],
        }),
    );
    let engine = Fixture::new().with(Signal::Traces, &[orphan], STATES[0]).await.engine();
    let trace = engine.trace(&Tenant::default(), id(9), 100).await.expect("a trace");
    assert_eq!(trace["spans"][0]["flags"], json!(["orphan"]));
    assert_eq!(
        trace["spans"][0]["events"],
        json!([{"time_ns": 5, "name": "exception", "attributes": {"exception.type": "E"}}])
    );
    assert_eq!(trace["spans"][0]["links"][0]["span_id"], "0000000000000006");
}

#[tokio::test]
async fn a_span_without_its_parent_stands_below_the_call_in_whose_time_it_ran() {
    // The proxy between them sends no spans.
    let spans = [
        span(9, 1, 0, ("shop", "GET /", "SERVER"), 0, 100),
        span(9, 2, 1, ("shop", "GET", "CLIENT"), 10, 90),
        span(9, 3, 77, ("stock", "GET /stock", "SERVER"), 20, 60),
    ];
    let engine = Fixture::new().with(Signal::Traces, &spans, STATES[0]).await.engine();
    let trace = engine.trace(&Tenant::default(), id(9), 100).await.expect("a trace");
    let of = |at: usize, member: &str| trace["spans"][at][member].clone();
    assert_eq!(["", "", "0000000000000002"].map(|id| json!(id)), [0, 1, 2].map(|at| of(at, "ran_within")));
    assert_eq!((of(2, "flags"), trace["depth"].clone()), (json!(["orphan"]), json!(3)));
    assert_eq!([0, 1, 2].map(|at| of(at, "critical_path_ns")), [20, 40, 40].map(|ms| json!(ms * 1_000_000)));
}

#[tokio::test]
async fn a_damaged_file_is_told_without_its_name() {
    let fixture = Fixture::new().with(Signal::Traces, &shop(4), State::Stored).await;
    fixture.damage("0.parquet").await;
    let engine = fixture.engine();
    let error = engine.trace(&Tenant::default(), id(1), 100).await.expect_err("damaged");
    assert_eq!((error.kind, error.message.as_str()), (Kind::Corrupt, "a data file cannot be read"));
    assert!(error.hint.is_some_and(|hint| hint.contains("hotspan check")));
    // Its filter says that it does not have this one.
    let error = engine.trace(&Tenant::default(), id(99), 100).await.expect_err("unknown");
    assert_eq!(error.kind, Kind::NotFound);
}

#[tokio::test]
async fn a_large_trace_is_cut_and_an_unknown_one_not_found() {
    let engine = Fixture::new().with(Signal::Traces, &shop(4), STATES[4]).await.engine();
    let trace = engine.trace(&Tenant::default(), id(2), 2).await.expect("a trace");
    assert_eq!((trace["spans"].as_array().map(Vec::len), &trace["truncated"]), (Some(2), &json!(true)));
    let error = engine.trace(&Tenant::default(), id(99), 100).await.expect_err("unknown");
    assert_eq!(error.kind, Kind::NotFound);
}
