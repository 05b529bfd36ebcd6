//! The analyses against a plain calculation over the same rows, in every state of the store.

use std::collections::BTreeMap;

use model::{Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, STATES, State, and, answer, shop, span};
use crate::{Engine, analysis};

async fn run(engine: &Engine, name: &str, parameters: &[(&str, &str)]) -> Value {
    let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let found = analysis::run(engine, &Tenant::default(), name, &parameters).await;
    found.unwrap_or_else(|e| panic!("{name}: {e:?}"))
}

fn ints(value: &Value) -> Vec<i64> {
    value.as_array().expect("a list").iter().map(|v| v.as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn operations_agree_with_a_plain_count() {
    let rows = shop(40);
    let mut plain: BTreeMap<&str, (i64, i64, Vec<i64>)> = BTreeMap::new();
    for row in &rows {
        let of = plain.entry(row["name"].as_str().expect("a name")).or_default();
        of.0 += 1;
        of.1 += i64::from(row["status_code"] == "ERROR");
        of.2.push(row["duration_ns"].as_i64().expect("a duration"));
    }
    for state in STATES {
        let engine = Fixture::new().with(Signal::Traces, &rows, state).await.engine();
        let found = run(&engine, "operations", &[]).await;
        let found = found["operations"].as_array().expect("operations");
        assert_eq!(found.len(), plain.len(), "{state:?}");
        for operation in found {
            let (count, errors, durations) =
                &mut plain.get(operation["operation"].as_str().expect("a name")).expect("known").clone();
            durations.sort_unstable();
            assert_eq!((operation["count"].as_i64(), operation["errors"].as_i64()), (Some(*count), Some(*errors)));
            for (key, q) in [("p50_ns", 0.5), ("p90_ns", 0.9), ("p99_ns", 0.99)] {
                let rank = (q * durations.len() as f64).ceil() as usize;
                let (truth, found) = (durations[rank - 1] as f64, operation[key].as_f64().expect("a number"));
                assert!((found - truth).abs() <= truth * 0.02, "{key} {found} for {truth}");
            }
            assert_eq!(operation["max_ns"].as_i64(), durations.last().copied());
            assert_eq!(
                operation["trend"].as_array().map(|t| t.iter().filter_map(Value::as_i64).sum::<i64>()),
                Some(*count)
            );
        }
        let critical: i64 = found.iter().filter_map(|o| o["critical_ns"].as_i64()).sum();
        let requests: i64 =
            rows.iter().filter(|r| r["parent_span_id"].is_null()).filter_map(|r| r["duration_ns"].as_i64()).sum();
        assert_eq!(critical, requests, "critical paths sum to the requests' durations, {state:?}");
    }
}

#[tokio::test]
async fn the_heat_map_holds_every_request_once() {
    for state in STATES {
        let engine = Fixture::new().with(Signal::Traces, &shop(40), state).await.engine();
        let map =
            run(&engine, "heatmap", &[("start", "now-1m"), ("end", "now"), ("columns", "60"), ("rows", "20")]).await;
        let (counts, errors) = (ints(&map["counts"]), ints(&map["errors"]));
        assert_eq!((map["total"].as_i64(), counts.iter().sum::<i64>(), errors.iter().sum::<i64>()), (Some(40), 40, 10));
        let edges = ints(&map["edges_ns"]);
        assert_eq!((edges[0], counts.len()), (0, 60 * (edges.len() - 1)));
        // 10 requests start in each of the first four seconds; one of them lasts 90 ms, the others 50.
        let rows = edges.len() - 1;
        for column in 0..4 {
            let of = &counts[column * rows..(column + 1) * rows];
            assert_eq!(of.iter().filter(|n| **n > 0).copied().collect::<Vec<_>>(), [9, 1], "{state:?} {column}");
        }
    }
}

#[tokio::test]
async fn services_and_their_map() {
    let engine = Fixture::new().with(Signal::Traces, &shop(40), State::Mixed).await.engine();
    let found = run(&engine, "services", &[]).await;
    let figures: Vec<_> = found["services"]
        .as_array()
        .expect("services")
        .iter()
        .map(|s| (s["service"].as_str().expect("a name").to_owned(), s["errors"].as_i64(), s["instances"].as_i64()))
        .collect();
    assert!(figures.contains(&("gateway".to_owned(), Some(10), Some(1))), "{figures:?}");
    assert!(figures.contains(&("inventory".to_owned(), Some(0), Some(1))), "{figures:?}");
    let map = run(&engine, "service-map", &[]).await;
    let edge = &map["edges"][0];
    assert_eq!((&edge["from"], &edge["to"], &edge["calls"]), (&json!("gateway"), &json!("inventory"), &json!(40)));
    // The client waits 5 ms longer than the server works.
    assert_eq!(edge["gap_ns"], json!(5_000_000));
}

#[tokio::test]
async fn the_call_tree_holds_every_span_below_its_caller() {
    for state in STATES {
        let engine = Fixture::new().with(Signal::Traces, &shop(40), state).await.engine();
        let tree = run(&engine, "flame", &[]).await;
        assert_eq!(tree["requests"], 40);
        let nodes = tree["nodes"].as_array().expect("nodes");
        let shown: Vec<_> = nodes
            .iter()
            .map(|n| {
                (
                    n["operation"].as_str().expect("a name"),
                    n["calls"].as_i64(),
                    n["self_ns"].as_i64().map(|t| t / 1_000_000),
                )
            })
            .collect();
        // 4 slow requests wait 40 ms longer in the server; 40 requests of 15, 5 and 30 ms of their own.
        let expected = [
            ("POST /order", Some(40), Some(600)),
            ("reserve", Some(40), Some(200)),
            ("UPDATE stock", Some(40), Some(1_360)),
        ];
        assert_eq!(shown, expected, "{state:?}");
        assert_eq!(
            (&nodes[0]["parent"], &nodes[1]["parent"], &nodes[2]["parent"]),
            (&Value::Null, &nodes[0]["id"], &nodes[1]["id"])
        );
    }
}

#[tokio::test]
async fn traces_are_found_by_what_a_span_of_them_is() {
    let engine = Fixture::new().with(Signal::Traces, &shop(40), State::Mixed).await.engine();
    let ids = |found: &Value| -> Vec<u64> {
        let id = |t: &Value| u64::from_str_radix(&t["trace_id"].as_str().expect("an id")[16..], 16).expect("hex");
        found["traces"].as_array().expect("traces").iter().map(id).collect()
    };
    let newest = run(&engine, "search", &[("limit", "3")]).await;
    assert_eq!(ids(&newest), [40, 39, 38]);
    assert_eq!(
        (&newest["traces"][0]["spans"], &newest["traces"][0]["services"], &newest["traces"][0]["operation"]),
        (&json!(3), &json!(2), &json!("POST /order"))
    );
    let slow = run(&engine, "search", &[("order", "slowest"), ("min_ns", "80000000")]).await;
    assert_eq!(ids(&slow), [10, 20, 30, 40]);
    let user = run(&engine, "search", &[("attr", "user.id=user-2"), ("limit", "500")]).await;
    assert_eq!(ids(&user).len(), 8);
    let failed = run(&engine, "search", &[("errors", "true"), ("service", "gateway"), ("limit", "500")]).await;
    assert_eq!(ids(&failed).len(), 10);
}

#[tokio::test]
async fn what_differs_is_found() {
    // Slow requests are those of one region.
    let rows: Vec<Value> = (0..200u64)
        .map(|n| {
            let slow = n % 5 == 0;
            let region = if slow { "shenzhen" } else { "hangzhou" };
            let row = span(
                n + 1,
                n + 1,
                0,
                ("cart", "GET /cart", "SERVER"),
                n as i64 * 50,
                n as i64 * 50 + if slow { 300 } else { 20 },
            );
            and(row, json!({ "attributes": json!({ "app.region": region, "app.request": n }).to_string() }))
        })
        .collect();
    let engine = Fixture::new().with(Signal::Traces, &rows, State::Mixed).await.engine();
    let found = run(&engine, "compare", &[("sel_min_ns", "100000000")]).await;
    assert_eq!((&found["selection"]["spans"], &found["baseline"]["spans"]), (&json!(40), &json!(160)));
    let first = &found["differences"][0];
    assert_eq!(
        (&first["key"], &first["value"], &first["scope"]),
        (&json!("app.region"), &json!("shenzhen"), &json!("span"))
    );
    assert_eq!((&first["selection_count"], &first["baseline_count"]), (&json!(40), &json!(0)));
}

/// Two levels of load; at the higher one the database call takes 40 ms longer.
fn stepped() -> Vec<Value> {
    let mut rows = Vec::new();
    let mut trace = 0;
    let mut level = |from_s: i64, to_s: i64, per_second: i64, call_ms: i64| {
        for n in 0..(to_s - from_s) * per_second {
            trace += 1;
            let start = from_s * 1_000 + n * 1_000 / per_second;
            // A little spread, the same at every run.
            let jitter = (trace as i64 * 7) % 5;
            let end = start + 20 + call_ms + jitter;
            rows.push(span(trace, trace * 4 + 1, 0, ("gateway", "POST /order", "SERVER"), start, end));
            rows.push(and(
                span(trace, trace * 4 + 2, trace * 4 + 1, ("gateway", "SELECT stock", "CLIENT"), start + 10, end - 10),
                json!({ "peer_service": "stock-db", "db_system_name": "postgresql", "db_namespace": "stock" }),
            ));
        }
    };
    level(-540, -240, 5, 10);
    level(-240, 0, 15, 50);
    rows
}

#[tokio::test]
async fn the_step_and_the_operation_that_limits_it_are_found() {
    let engine = Fixture::new().with(Signal::Traces, &stepped(), State::Mixed).await.engine();
    let steps = run(&engine, "steps", &[]).await;
    let levels: Vec<i64> = steps["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter(|s| s["transition"] == false && s["requests"].as_i64() > Some(0))
        .map(|s| s["qps"].as_f64().expect("a rate").round() as i64)
        .collect();
    assert_eq!(levels, [5, 15], "{}", steps["steps"]);
    // By Little's law 5 per second of 30 to 34 ms are 0.16 at a time, 15 of 70 to 74 are 1.08.
    let busy = steps["steps"].as_array().expect("steps").iter().filter(|step| step["requests"].as_i64() > Some(0));
    for (step, (concurrency, least, most)) in busy.zip([(0.16, 30e6, 34e6), (1.08, 70e6, 74e6)]) {
        let number = |name: &str| step[name].as_f64().unwrap_or_else(|| panic!("{name} of {step}"));
        assert!((number("concurrency") / concurrency - 1.0).abs() < 0.03, "{step}");
        let quantiles = ["p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns"].map(number);
        assert!(quantiles.is_sorted() && 0.98 * least < quantiles[0] && quantiles[4] < 1.02 * most, "{step}");
        assert!(quantiles[4] > 0.98 * most && quantiles[1] > 0.98 * most, "a fifth takes the longest: {step}");
    }
    let sql = "SELECT count(*) FROM steps('now-15m', 'now') \
               WHERE NOT transition AND requests > 0 AND p90_ns <= p999_ns AND p999_ns > 0 AND concurrency > 0";
    assert_eq!(answer(&engine, sql).await, [levels.len().to_string()]);
    let timeline = steps["timeline"].as_array().expect("a timeline");
    let requests: u64 = timeline.iter().filter_map(|bin| bin["requests"].as_u64()).sum();
    let total = &steps["total"];
    assert_eq!((&total["requests"], &total["errors"]), (&json!(requests), &json!(0)), "{total}");
    let (rate, mean) = (total["rate"].as_f64().expect("a rate"), total["mean_ns"].as_f64().expect("a mean"));
    let concurrency = total["concurrency"].as_f64().expect("a number");
    assert!((concurrency / (rate * mean / 1e9) - 1.0).abs() < 1e-3 && total["p999_ns"].is_number(), "{total}");
    // Durations are 30 to 34 ms in the first level, 70 to 74 in the second, which has the most requests.
    let p99 = total["p99_ns"].as_f64().expect("a percentile");
    let mean = total["mean_ns"].as_f64().expect("a mean");
    assert!((p99 - 74e6).abs() < 2e6 && (32e6..74e6).contains(&mean), "{total}");
    let hot = run(&engine, "hotspots", &[]).await;
    assert_eq!(hot["verdict"], "bottleneck", "{hot}");
    let first = &hot["hotspots"][0];
    assert_eq!(
        (&first["service"], &first["operation"], &first["span_kind"], &first["category"]),
        (&json!("gateway"), &json!("SELECT stock"), &json!("CLIENT"), &json!("database"))
    );
    let change = first["change_ns_per_request"].as_f64().expect("a change");
    assert!((change - 40e6).abs() < 2e6, "{change}");
    assert!(first["explanation"]["zh"].as_str().is_some_and(|t| !t.is_empty()));
    assert!(first["exemplars"].as_array().is_some_and(|e| !e.is_empty()));
}

#[tokio::test]
async fn more_load_alone_is_no_bottleneck() {
    let calm: Vec<Value> = stepped()
        .into_iter()
        .filter(|row| row["kind"] == "SERVER")
        .map(|row| {
            let start = row["start_time_unix_nano"].as_i64().expect("a time");
            and(row, json!({ "end_time_unix_nano": start + 30_000_000, "duration_ns": 30_000_000 }))
        })
        .collect();
    let engine = Fixture::new().with(Signal::Traces, &calm, State::Stored).await.engine();
    let hot = run(&engine, "hotspots", &[]).await;
    assert_eq!(hot["verdict"], "no_significant_change", "{hot}");
}

#[tokio::test]
async fn every_analysis_is_a_table_function_and_answers_about_nothing() {
    let nothing = Fixture::new().engine();
    let something = Fixture::new().with(Signal::Traces, &shop(10), State::Memory).await.engine();
    for analysis in analysis::all() {
        let report = run(&nothing, analysis.name, &[]).await;
        assert!(report["meta"]["elapsed_ms"].is_number(), "{}", analysis.name);
        let call = format!("SELECT * FROM {}('now-15m', 'now')", analysis.name.replace('-', "_"));
        for engine in [&nothing, &something] {
            let rows = answer(engine, &call).await;
            assert!(!rows.first().is_some_and(|r| r.starts_with("error")), "{call}: {rows:?}");
        }
    }
    let rows =
        answer(&something, "SELECT operation, count FROM operations('now-15m', 'now', 'service=gateway') ORDER BY 1")
            .await;
    assert_eq!(rows, ["POST /order\t10", "reserve\t10"]);
}

/// Ten seconds each at 20, 60, 80 and 85 requests per second, which take longer and longer, as those of a queue that
/// serves 90 per second; each makes one call to a database.
fn loaded() -> Vec<Value> {
    let mut rows = Vec::new();
    let mut trace = 0;
    for (step, (per_second, takes_ms)) in [(20, 14), (60, 33), (80, 100), (85, 200)].into_iter().enumerate() {
        for n in 0..per_second * 10 {
            trace += 1;
            let start = step as i64 * 10_000 + n * 1_000 / per_second;
            let end = start + takes_ms;
            rows.push(span(trace, trace * 4 + 1, 0, ("gateway", "POST /order", "SERVER"), start, end));
            rows.push(and(
                span(trace, trace * 4 + 2, trace * 4 + 1, ("gateway", "SELECT stock", "CLIENT"), start + 2, end - 2),
                json!({ "peer_service": "stock-db", "db_system_name": "postgresql" }),
            ));
        }
    }
    rows
}

#[tokio::test]
async fn the_capacity_of_a_node_is_found_and_a_target_forecast() {
    let window = [("start", "now-60s"), ("end", "now-20s")];
    for state in [State::Memory, State::Mixed] {
        let engine = Fixture::new().with(Signal::Traces, &loaded(), state).await.engine();
        let found = run(&engine, "capacity", &[window[0], window[1], ("p99_ms", "60"), ("target_qps", "180")]).await;
        let nodes = found["nodes"].as_array().expect("nodes");
        let node = |kind: &str| nodes.iter().find(|node| node["node"] == kind).unwrap_or_else(|| panic!("{kind}"));
        let kinds: Vec<&str> = nodes.iter().filter_map(|node| node["node"].as_str()).collect();
        assert_eq!(kinds.len(), 3, "{kinds:?}");
        assert_eq!(node("dependency")["peer"], "stock-db");
        let entry = node("entry");
        assert_eq!((&entry["verdict"], &entry["completions"]), (&json!("fitted"), &json!(2_433)), "{entry}");
        let number = |name: &str| entry[name].as_f64().unwrap_or_else(|| panic!("{name} of {entry}"));
        assert!((80.0..100.0).contains(&number("limit_qps")), "{entry}");
        // 33 ms at 60 per second, 100 ms at 80: passed in between, as exactly as blocks of requests tell 60.
        assert!((59.0..80.0).contains(&number("p99_limit_qps")), "{entry}");
        assert!((number("qps") - 85.0).abs() < 2.0 && (number("concurrency") - 17.0).abs() < 1.0, "{entry}");
        assert_eq!((number("calls_per_request"), number("needed_qps")), (1.0, 180.0));
        assert_eq!(entry["gives_way"], true);
        assert!(found["forecast"]["first"]["load_at_target"].as_f64() > Some(1.8), "{}", found["forecast"]);
    }
}

#[tokio::test]
async fn capacity_is_refused_where_the_load_was_flat() {
    let engine = Fixture::new().with(Signal::Traces, &loaded(), State::Stored).await.engine();
    let found = run(&engine, "capacity", &[("start", "now-40s"), ("end", "now-21s"), ("service", "gateway")]).await;
    let nodes = found["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 5, "entry, service, operation, instance and database: {nodes:?}");
    for node in nodes {
        assert_eq!((&node["verdict"], &node["capacity_qps"]), (&json!("not_enough_load_range"), &Value::Null));
        assert!(node["needed"]["en"].as_str().is_some_and(|text| text.contains("step by step")), "{node}");
    }
}

#[tokio::test]
async fn a_faster_operation_shortens_the_requests_that_wait_for_it() {
    for state in STATES {
        let engine = Fixture::new().with(Signal::Traces, &shop(40), state).await.engine();
        let ask = [("service", "inventory"), ("operation", "UPDATE stock")];
        let found = run(&engine, "what-if", &ask).await;
        let entry = &found["entries"][0];
        assert_eq!(
            (&entry["requests"], &entry["touched"], &entry["operation"]),
            (&json!(40), &json!(40), &json!("POST /order"))
        );
        // 36 requests of 50 ms lose 15 of 30, 4 of 90 ms lose 35 of 70.
        assert_eq!((&entry["mean_ns"], &entry["new_mean_ns"]), (&json!(54_000_000), &json!(37_000_000)), "{state:?}");
        let near = |name: &str, ms: f64| (entry[name].as_f64().expect("a number") / 1e6 - ms).abs() <= 0.02 * ms;
        assert!(near("p50_ns", 50.0) && near("new_p50_ns", 35.0) && near("new_p99_ns", 55.0), "{entry}");
        let same = run(&engine, "what-if", &[ask[0], ask[1], ("faster", "1")]).await;
        let entry = &same["entries"][0];
        for figure in ["mean_ns", "p50_ns", "p90_ns", "p99_ns"] {
            assert_eq!(entry[figure], entry[format!("new_{figure}")], "{figure}");
        }
    }
}

/// A page that makes three calls of 20, 30 and 40 ms one after the other, 10 ms of its own before, between and after.
fn page(requests: u64) -> Vec<Value> {
    let mut rows = Vec::new();
    for n in 0..requests {
        let (start, root) = (n as i64 * 200, n * 10 + 1);
        rows.push(span(n + 1, root, 0, ("bff", "GET /page", "SERVER"), start, start + 130));
        for (number, from, to) in [(1, 10, 30), (2, 40, 70), (3, 80, 120)] {
            let call = ("bff", ["a", "b", "c"][number - 1], "CLIENT");
            rows.push(span(n + 1, root + number as u64, root, call, start + from, start + to));
        }
    }
    rows
}

#[tokio::test]
async fn calls_side_by_side_leave_the_longest_to_wait_for() {
    let engine = Fixture::new().with(Signal::Traces, &page(20), State::Mixed).await.engine();
    let ask = [("service", "bff"), ("operation", "GET /page"), ("parallel", "true")];
    let found = run(&engine, "what-if", &ask).await;
    let entry = &found["entries"][0];
    assert_eq!((&entry["requests"], &entry["mean_ns"]), (&json!(20), &json!(130_000_000)));
    assert_eq!(entry["new_mean_ns"], json!(80_000_000), "four times 10 ms and the longest call, {entry}");
    assert_eq!(found["assumptions"].as_array().map(Vec::len), Some(5));
    assert_eq!(run(&engine, "what-if", &ask[..2]).await["assumptions"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn attributes_seen_are_listed() {
    let engine = Fixture::new().with(Signal::Traces, &shop(10), State::Mixed).await.engine();
    let found = run(&engine, "attributes", &[]).await;
    let keys: Vec<&str> = found["keys"].as_array().expect("keys").iter().filter_map(|k| k["key"].as_str()).collect();
    for key in ["http.route", "user.id", "user.tier", "retry.count", "service.name"] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
}

#[tokio::test]
async fn messages_are_counted_apart_from_requests_and_are_the_load_where_there_are_no_requests() {
    let message = |n: u64| {
        span(500 + n, 500 + n, 0, ("mailer", "process orders", "CONSUMER"), n as i64 * 100, n as i64 * 100 + 50)
    };
    let messages: Vec<_> = (0..30).map(message).collect();
    let mut both = shop(20);
    both.extend(messages.clone());
    for (rows, counted) in [(both, 20), (messages, 30)] {
        for state in STATES {
            let engine = Fixture::new().with(Signal::Traces, &rows, state).await.engine();
            let found = run(&engine, "steps", &[]).await;
            assert_eq!(found["total"]["requests"], json!(counted), "{state:?}");
        }
    }
}

/// Forty requests that call the inventory, which tells of thirty of them only, a database and a queue.
#[tokio::test]
async fn the_service_map_says_who_serves_calls_and_what_nobody_knows() {
    let mut rows = Vec::new();
    for trace in 1..=40_u64 {
        let (at, id) = (trace as i64 * 200, |n: u64| trace * 10 + n);
        rows.push(span(trace, id(1), 0, ("gateway", "POST /order", "SERVER"), at, at + 100));
        let call = span(trace, id(2), id(1), ("gateway", "reserve", "CLIENT"), at, at + 30);
        rows.push(and(
            call,
            json!({ "peer_service": "inventory-lb", "status_code": if trace <= 4 { "ERROR" } else { "UNSET" } }),
        ));
        if trace <= 30 {
            let served = span(trace, id(3), id(2), ("inventory", "reserve", "SERVER"), at + 5, at + 25);
            rows.push(and(served, json!({ "instance_id": format!("inventory-{}", trace % 3) })));
            let query = span(trace, id(4), id(3), ("inventory", "SELECT", "CLIENT"), at + 6, at + 16);
            rows.push(and(query, json!({ "db_system_name": "postgresql", "server_address": "stock-db" })));
        }
        let sent = span(trace, id(5), id(1), ("gateway", "send orders", "PRODUCER"), at + 40, at + 41);
        rows.push(and(sent, json!({ "messaging_system": "kafka", "messaging_destination_name": "orders" })));
    }
    for state in STATES {
        let engine = Fixture::new().summarized(crate::summaries()).with(Signal::Traces, &rows, state).await.engine();
        let map = run(&engine, "service-map", &[]).await;
        let list = |name: &str| map[name].as_array().expect("a list").clone();
        let edges: Vec<_> = list("edges")
            .iter()
            .map(|e| {
                format!("{} {} {} {} {} {}", e["from"], e["to"], e["calls"], e["errors"], e["gap_ns"], e["p99_ns"])
            })
            .collect();
        let expected = [
            r#""gateway" "inventory" 30 4 10000000 30000000"#,
            r#""gateway" "inventory-lb" 10 0 null 30000000"#,
            r#""gateway" "orders" 40 0 null 1000000"#,
            r#""inventory" "stock-db" 30 0 null 10000000"#,
        ];
        assert_eq!(edges, expected, "{state:?}");
        let nodes: Vec<_> = list("nodes")
            .iter()
            .map(|n| format!("{} {} {} {}", n["id"], n["type"], n["requests"], n["instances"]))
            .collect();
        let expected = [
            r#""gateway" "service" 40 1"#,
            r#""inventory" "service" 30 3"#,
            r#""inventory-lb" "external" 10 0"#,
            r#""orders" "messaging" 40 0"#,
            r#""stock-db" "database" 30 0"#,
        ];
        assert_eq!(nodes, expected, "{state:?}");
    }
}

/// The shop with B3 headers: what serves a call has the call's id, and its parent.
fn shop_of_shared_ids(traces: u64) -> Vec<Value> {
    let mut rows = shop(traces);
    for served in rows.iter_mut().filter(|row| row["service_name"] == "inventory") {
        let id =
            served["parent_span_id"].as_str().map(|id| u64::from_str_radix(id, 16).expect("hex")).expect("a parent");
        served["span_id"] = json!(format!("{id:016x}"));
        served["parent_span_id"] = json!(format!("{:016x}", id - 1));
    }
    rows
}

#[tokio::test]
async fn calls_whose_sides_share_one_id_are_understood_as_others_are() {
    for state in [State::Memory, State::Files] {
        let mut answers = Vec::new();
        for rows in [shop(40), shop_of_shared_ids(40)] {
            let engine = Fixture::new().with(Signal::Traces, &rows, state).await.engine();
            let tree = run(&engine, "flame", &[]).await["nodes"].clone();
            let hidden = run(&engine, "hidden", &[]).await["rows"].clone();
            let map = run(&engine, "service-map", &[]).await["edges"].clone();
            let hotspots = run(&engine, "hotspots", &[]).await;
            let spots = hotspots["hotspots"].as_array().expect("a list").iter();
            let spot = |spot: &Value| {
                ["service", "operation", "span_kind", "category", "callers"].map(|key| spot[key].clone())
            };
            answers.push((tree, hidden, map, spots.map(spot).collect::<Vec<_>>()));
        }
        assert_eq!(answers[1], answers[0], "{state:?}");
    }
}

/// Some instrumentations send messages with kind CLIENT, and some make no span of a send or a call at all.
#[tokio::test]
async fn the_service_map_knows_calls_that_no_caller_s_span_tells_of() {
    let mut rows = Vec::new();
    for trace in 1..=40_u64 {
        let (at, id) = (trace as i64 * 20, |n: u64| trace * 20 + n);
        let failed = json!({ "status_code": if trace % 10 == 0 { "ERROR" } else { "UNSET" } });
        rows.push(span(trace, id(1), 0, ("gateway", "POST /order", "SERVER"), at, at + 10));
        // A send of kind CLIENT: three quarters are taken by the mailer, half by the ledger, too, and some fail.
        let topic = json!({ "messaging_system": "kafka", "messaging_destination_name": "orders" });
        let sent = span(trace, id(2), id(1), ("gateway", "orders publish", "CLIENT"), at + 1, at + 3);
        rows.push(and(and(sent, topic.clone()), failed.clone()));
        if trace % 4 > 0 {
            rows.push(span(trace, id(3), id(2), ("mailer", "orders process", "CONSUMER"), at + 2_000, at + 2_008));
        }
        if trace % 2 > 0 {
            let take = ("ledger", "orders process", "CONSUMER");
            let link =
                json!({"trace_id": format!("{trace:032x}"), "span_id": format!("{:016x}", id(2)), "attributes": "{}"});
            rows.push(and(span(1_000 + trace, id(4), 0, take, at + 3_000, at + 3_008), json!({ "links": [link] })));
        }
        // The mailer receives and processes by itself: no message of its own.
        rows.push(and(span(2_000 + trace, id(5), 0, ("mailer", "poll", "CLIENT"), at, at + 5), topic));
        rows.push(span(2_000 + trace, id(6), id(5), ("mailer", "polled", "CONSUMER"), at + 5, at + 6));
        // No span of the call, and none of the send.
        rows.push(span(trace, id(7), id(1), ("gateway", "check", "INTERNAL"), at + 4, at + 9));
        rows.push(and(span(trace, id(8), id(7), ("stock", "GET /stock", "SERVER"), at + 5, at + 8), failed));
        rows.push(span(trace, id(9), id(8), ("stock", "note", "INTERNAL"), at + 6, at + 7));
        if trace > 20 {
            rows.push(span(trace, id(10), id(9), ("audit", "noted", "CONSUMER"), at + 500, at + 504));
        }
        // Both sides of this call have one id, as with B3 headers.
        rows.push(and(
            span(trace, id(11), id(1), ("gateway", "price", "CLIENT"), at + 1, at + 7),
            json!({ "peer_service": "lb" }),
        ));
        rows.push(span(trace, id(11), id(1), ("price", "GET /price", "SERVER"), at + 2, at + 6));
    }
    for state in STATES {
        let engine = Fixture::new().summarized(crate::summaries()).with(Signal::Traces, &rows, state).await.engine();
        let map = run(&engine, "service-map", &[]).await;
        let edge = |e: &Value| {
            format!("{} {} {} {} {} {}", e["from"], e["to"], e["calls"], e["errors"], e["gap_ns"], e["p99_ns"])
        };
        let edges: Vec<_> = map["edges"].as_array().expect("edges").iter().map(edge).collect();
        // Of 36 sends that did not fail, thirty of 30 taken ones went to the mailer and twenty to the ledger.
        let expected = [
            r#""gateway" "ledger" 24 0 null 2000000"#,
            r#""gateway" "mailer" 36 0 null 2000000"#,
            r#""gateway" "orders" 4 4 null 2000000"#,
            r#""gateway" "price" 40 0 2000000 6000000"#,
            r#""gateway" "stock" 40 4 null 3000000"#,
            r#""mailer" "orders" 40 0 null 5000000"#,
            r#""stock" "audit" 20 0 null 4000000"#,
        ];
        assert_eq!(edges, expected, "{state:?}");
    }
}

/// Messages are taken minutes later, when their traces' first trees are long past: half by a span of the same trace, half by
/// one of a trace of its own with a link.
#[tokio::test]
async fn the_service_map_knows_who_takes_messages_however_late() {
    let mut rows = Vec::new();
    for trace in 1..=40_u64 {
        let (at, id) = (trace as i64 * 20, |n: u64| trace * 10 + n);
        rows.push(span(trace, id(1), 0, ("gateway", "POST /order", "SERVER"), at, at + 10));
        let sent = span(trace, id(2), id(1), ("gateway", "send orders", "PRODUCER"), at + 4, at + 5);
        let status = if trace % 4 == 0 { "ERROR" } else { "UNSET" };
        let topic =
            json!({ "messaging_system": "kafka", "messaging_destination_name": "orders", "status_code": status });
        rows.push(and(sent, topic));
        rows.push(span(trace, id(4), id(1), ("gateway", "push events", "PRODUCER"), at + 6, at + 9));
        rows.push(span(trace, id(5), id(4), ("hook", "POST /events", "SERVER"), at + 7, at + 8));
        let (take, late) = (("mailer", "process orders", "CONSUMER"), at + 40_000);
        rows.push(match trace % 4 {
            0 => continue,
            1 => span(trace, id(3), id(2), take, late, late + 8),
            _ => {
                let link = json!({"trace_id": format!("{trace:032x}"), "span_id": format!("{:016x}", id(2)), "attributes": "{}"});
                and(span(1_000 + trace, id(3), 0, take, late, late + 8), json!({ "links": [link] }))
            }
        });
    }
    for state in STATES {
        let engine = Fixture::new().summarized(crate::summaries()).with(Signal::Traces, &rows, state).await.engine();
        let map = run(&engine, "service-map", &[]).await;
        let edge = |e: &Value| format!("{} {} {} {}", e["from"], e["to"], e["calls"], e["errors"]);
        let edges: Vec<_> = map["edges"].as_array().expect("edges").iter().map(edge).collect();
        // Ten were not sent; what is pushed is served in the same tree.
        let expected = [r#""gateway" "hook" 40 0"#, r#""gateway" "mailer" 30 0"#, r#""gateway" "orders" 10 10"#];
        assert_eq!(edges, expected, "{state:?}");
    }
}
