//! Names and series of metrics.

use model::time::SECOND;
use model::{Kind, Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, NOW, STATES};
use crate::Engine;

fn point(name: &str, ty: &str, service: &str, before_s: i64, more: Value) -> Value {
    let mut row = json!({
        "name": name, "type": ty, "unit": "1", "service_name": service, "instance_id": format!("{service}-1"),
        "temporality": "CUMULATIVE", "is_monotonic": ty == "SUM", "attributes": "{\"pool\":\"main\"}",
        "resource_attributes": json!({ "service.name": service }).to_string(),
        "start_time_unix_nano": NOW - 100 * SECOND, "time_unix_nano": NOW - before_s * SECOND,
    });
    for (key, value) in more.as_object().expect("an object") {
        row[key] = value.clone();
    }
    row
}

fn rows() -> Vec<Value> {
    let mut rows = Vec::new();
    for (service, per_second) in [("a", 2), ("b", 3)] {
        for before in [40, 30, 20, 10] {
            let counted = (100 - before) * per_second;
            rows.push(point(
                "requests",
                "SUM",
                service,
                before,
                json!({ "value_int": counted, "value": counted as f64 }),
            ));
            rows.push(point("queue", "GAUGE", service, before, json!({ "value": before as f64 })));
            // Ten measurements a second in (0, 10], cumulative.
            rows.push(point(
                "latency",
                "HISTOGRAM",
                service,
                before,
                json!({ "count": (100 - before) * 10, "sum": (100 - before) as f64 * 50.0,
                    "explicit_bounds": [0.0, 10.0], "bucket_counts": [0, (100 - before) * 10, 0] }),
            ));
        }
    }
    rows
}

async fn series(engine: &Engine, parameters: &[(&str, &str)]) -> Value {
    let mut all = vec![("start", "now-40s"), ("end", "now-10s"), ("step_us", "10000000")];
    all.extend(parameters);
    let all: Vec<_> = all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    engine.metric_series(&Tenant::default(), &all).await.expect("series")
}

#[tokio::test]
async fn series_are_the_same_in_every_state() {
    for state in STATES {
        let engine = Fixture::new().with(Signal::Metrics, &rows(), state).await.engine();
        let rate = series(&engine, &[("name", "requests")]).await;
        assert_eq!(rate["series"][0]["values"], json!([5.0, 5.0, 5.0]), "{state:?}");
        assert_eq!(rate["series"][0]["t_us"], json!([0, 10_000_000, 20_000_000]));
        let by_service = series(&engine, &[("name", "requests"), ("group_by", "service_name,pool")]).await;
        assert_eq!(by_service["series"][1]["labels"], json!({"service_name": "b", "pool": "main"}));
        assert_eq!(by_service["series"][1]["values"], json!([3.0, 3.0, 3.0]));
        let queue = series(&engine, &[("name", "queue"), ("service", "a")]).await;
        assert_eq!(queue["series"][0]["values"], json!([40.0, 30.0, 20.0]));
        let median = series(&engine, &[("name", "latency"), ("agg", "p50")]).await;
        assert_eq!(median["series"][0]["values"], json!([5.0, 5.0, 5.0]));
        let mean = series(&engine, &[("name", "latency"), ("agg", "avg")]).await;
        assert_eq!(mean["series"][0]["values"], json!([5.0, 5.0, 5.0]));
    }
}

/// The connections of two pools by state, one of which tells at other moments.
#[tokio::test]
async fn what_may_fall_is_added_up_over_its_parts() {
    let rows: Vec<Value> =
        [("a", 40, 3.0, 7.0), ("a", 30, 4.0, 6.0), ("a", 20, 10.0, 0.0), ("b", 35, 1.0, 1.0), ("b", 15, 2.0, 0.0)]
            .into_iter()
            .flat_map(|(service, before, used, idle)| {
                [("used", used), ("idle", idle)].map(|(state, value)| {
                    let attributes = format!("{{\"state\":\"{state}\"}}");
                    let more = json!({"is_monotonic": false, "value": value, "attributes": attributes});
                    point("pool", "SUM", service, before, more)
                })
            })
            .collect();
    let engine = Fixture::new().with(Signal::Metrics, &rows, STATES[2]).await.engine();
    let by_state = series(&engine, &[("name", "pool"), ("group_by", "state")]).await;
    assert_eq!(by_state["agg"], "sum");
    // Ten seconds each from 40 s before now on; what `b` had 35 s before it still has 20 s later.
    assert_eq!(by_state["series"][0]["values"], json!([8.0, 7.0, 0.0]), "idle");
    assert_eq!(by_state["series"][1]["values"], json!([4.0, 5.0, 12.0]), "used");
    let largest = series(&engine, &[("name", "pool"), ("group_by", "service_name,state"), ("agg", "max")]).await;
    assert_eq!(
        (&largest["agg"], &largest["series"][1]["values"]),
        (&json!("max"), &json!([3.0, 4.0, 10.0])),
        "a, used"
    );
}

#[tokio::test]
async fn names_are_listed_with_their_types() {
    let engine = Fixture::new().with(Signal::Metrics, &rows(), STATES[4]).await.engine();
    let names = engine.metric_names(&Tenant::default(), &[]).await.expect("names");
    assert_eq!(
        names["metrics"][0],
        json!({"name": "latency", "type": "HISTOGRAM", "unit": "1", "description": "", "services": 2, "points": 8})
    );
    assert_eq!(names["metrics"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn an_unknown_metric_and_a_rate_of_a_gauge_are_refused() {
    let engine = Fixture::new().with(Signal::Metrics, &rows(), STATES[0]).await.engine();
    let ask = |name: &str, agg: &str| {
        let parameters = vec![("name".to_owned(), name.to_owned()), ("agg".to_owned(), agg.to_owned())];
        let engine = engine.clone();
        async move { engine.metric_series(&Tenant::default(), &parameters).await.expect_err("refused").kind }
    };
    assert_eq!(ask("nope", "avg").await, Kind::NotFound);
    assert_eq!(ask("queue", "rate").await, Kind::Invalid);
    assert_eq!(ask("queue", "p999").await, Kind::Invalid);
}

/// As many label sets as points: what is held follows the points, not the points times the steps, and is charged.
#[tokio::test]
async fn a_line_for_each_user_is_cut_and_takes_no_more_than_its_points() {
    let user = |n: usize| {
        point("by_user", "GAUGE", "a", 20, json!({"value": n as f64, "attributes": format!("{{\"user\":\"{n:05}\"}}")}))
    };
    let rows: Vec<Value> = (0..20_000).map(user).collect();
    let fixture = async || Fixture::new().with(Signal::Metrics, &rows, STATES[1]).await;
    let found = series(&fixture().await.engine(), &[("name", "by_user"), ("group_by", "user")]).await;
    let shown = found["series"].as_array().expect("lines");
    assert_eq!((shown.len(), &found["truncated"]), (100, &json!(true)));
    assert_eq!(shown[99]["labels"], json!({"user": "00099"}));
    assert_eq!(shown[99]["values"], json!([null, null, 99.0]));
    let small = fixture().await.engine_with(crate::Settings { memory_bytes: 8 << 20, ..crate::Settings::default() });
    let parameters = [("name", "by_user"), ("group_by", "user")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let error = small.metric_series(&Tenant::default(), &parameters).await.expect_err("does not fit");
    assert_eq!(error.kind, Kind::Limit, "{error:?}");
}
