//! Hot spots beyond the critical path of a request: messages that wait, the value that is slow, metrics that say why.

use model::time::{MILLISECOND, SECOND, rfc3339};
use model::{Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, NOW, State, and, span};
use crate::analysis;

/// Five minutes at 5 requests a second, then four at 15.
const LEVELS: [(i64, i64, i64); 2] = [(-540, -240, 5), (-240, 0, 15)];

/// One request at a time: its trace, when it starts (ms), and whether it is one of the second level.
fn requests() -> impl Iterator<Item = (u64, i64, bool)> {
    let level = |(number, (from, to, rate)): (usize, (i64, i64, i64))| {
        (0..(to - from) * rate).map(move |n| (from * 1_000 + n * 1_000 / rate, number > 0))
    };
    let all = LEVELS.into_iter().enumerate().flat_map(level);
    all.enumerate().map(|(n, (start, later))| (n as u64 + 1, start, later))
}

async fn hotspots(fixture: Fixture) -> Value {
    let engine = fixture.engine();
    let window = [("start", "now-15m"), ("end", "now")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let found = analysis::run(&engine, &Tenant::default(), "hotspots", &window).await;
    found.unwrap_or_else(|e| panic!("{e:?}"))
}

/// Orders that are published; each message waits 20 ms, at the second level 3 s. `linked`: the consumer begins a trace
/// of its own and names the producer by a link, else it is the producer's child.
fn published(linked: bool) -> Vec<Value> {
    let mut rows = Vec::new();
    for (trace, start, later) in requests() {
        let (server, producer, consumer) = (trace * 4 + 1, trace * 4 + 2, trace * 4 + 3);
        let mut topic = json!({ "messaging_system": "kafka", "messaging_destination_name": "orders.placed" });
        if linked {
            topic["server_address"] = json!("kafka-1");
        }
        rows.push(span(trace, server, 0, ("shop", "POST /order", "SERVER"), start, start + 30));
        let send = ("shop", "orders.placed send", "PRODUCER");
        rows.push(and(span(trace, producer, server, send, start + 10, start + 15), topic.clone()));
        let taken = start + 15 + if later { 3_000 } else { 20 };
        let take = ("mail", "orders.placed process", "CONSUMER");
        let row = if linked {
            let link = json!({ "trace_id": format!("{trace:032x}"), "span_id": format!("{producer:016x}") });
            and(span(1_000_000 + trace, consumer, 0, take, taken, taken + 8), json!({ "links": [link] }))
        } else {
            span(trace, consumer, producer, take, taken, taken + 8)
        };
        rows.push(and(row, topic));
    }
    rows
}

#[tokio::test]
async fn messages_that_wait_are_a_bottleneck_though_no_request_is_slower() {
    for (linked, state) in [(true, State::Memory), (true, State::Files), (false, State::Mixed)] {
        let rows = published(linked);
        let found = hotspots(Fixture::new().with(Signal::Traces, &rows, state).await).await;
        assert_eq!(found["verdict"], "bottleneck", "{state:?} {found:#}");
        // What is consumed is no request.
        for side in ["window", "baseline"] {
            let edge = |name: &str| rfc3339(found[side][name].as_str().unwrap_or_default()).expect("a time");
            let entered = requests().map(|(_, start, _)| NOW - 60 * SECOND + start * MILLISECOND);
            let within = entered.filter(|at| (edge("start")..edge("end")).contains(at)).count();
            assert_eq!(found[side]["requests"], within, "{side} {state:?}");
        }
        let first = &found["hotspots"][0];
        let named = [&first["service"], &first["operation"], &first["span_kind"], &first["category"], &first["peer"]];
        assert_eq!(named, ["mail", "orders.placed process", "CONSUMER", "messaging", "orders.placed"], "{first:#}");
        assert_eq!((&first["off_path"], &first["callers"]), (&json!(true), &json!([["shop", "orders.placed send"]])));
        let worse = &found["worse"][0];
        assert_eq!((&worse["measure"], &worse["entry"]), (&json!("wait"), &json!(["mail", "orders.placed process"])));
        assert_eq!(worse["baseline"].as_f64().map(f64::round), Some(20e6), "{worse}");
        assert!(worse["window"].as_f64().is_some_and(|wait| (wait / 3e9 - 1.0).abs() < 0.05), "{worse}");
        // Those of the last three seconds were sent and not taken within the window, less what has not settled.
        let sentence = first["explanation"]["en"].as_str().unwrap_or_default();
        let (said, said_zh) = match linked {
            true => ("messages of topic orders.placed at kafka-1 wait 3.0", "kafka-1 上主题 orders.placed 的消息在"),
            false => ("messages of topic orders.placed wait 3.0", "主题 orders.placed 的消息在"),
        };
        assert!(sentence.contains(said) && sentence.contains("not taken"), "{sentence}");
        let sentence = first["explanation"]["zh"].as_str().unwrap_or_default();
        assert!(sentence.starts_with(said_zh), "{sentence}");
        assert_eq!(first["exemplars"].as_array().map(Vec::len), Some(5), "{first:#}");
        let traces: Vec<&str> = first["exemplars"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let of_consumers = |id: &&str| u64::from_str_radix(&id[16..], 16).is_ok_and(|n| (n > 1_000_000) == linked);
        assert!(traces.iter().all(of_consumers), "{traces:?}");
    }
}

/// The same operation sends to another topic as well, which nobody takes in time.
#[tokio::test]
async fn a_consumer_is_not_charged_with_messages_of_another_topic() {
    let rows = published(true);
    let mut with_others = rows.clone();
    for (trace, start, _) in requests() {
        let topic =
            json!({ "messaging_system": "kafka", "messaging_destination_name": "audit", "server_address": "kafka-1" });
        let (send, take) = (("shop", "orders.placed send", "PRODUCER"), ("audit", "audit process", "CONSUMER"));
        let (sent, taken) = (2_000_000 + trace * 2, start + 400_000);
        with_others.push(and(span(trace, sent, trace * 4 + 1, send, start + 20, start + 25), topic.clone()));
        with_others.push(and(span(trace, sent + 1, sent, take, taken, taken + 8), topic));
    }
    let said = async |rows: &[Value]| {
        let found = hotspots(Fixture::new().with(Signal::Traces, rows, State::Memory).await).await;
        let spots = found["hotspots"].as_array().into_iter().flatten();
        let of_mail = spots.filter(|spot| spot["service"] == "mail").map(|spot| spot["explanation"]["en"].clone());
        of_mail.collect::<Vec<Value>>()
    };
    let alone = said(&rows).await;
    assert_eq!(alone.len(), 1);
    assert_eq!(said(&with_others).await, alone);
}

/// A service whose statement is slow for the orders of one region at the second level; the region stands on the SERVER
/// span around the statement only.
fn slow_region() -> Vec<Value> {
    let mut rows = Vec::new();
    for (trace, start, later) in requests() {
        let far = trace % 5 == 0;
        let call = if far && later { 90 } else { 10 } + (trace as i64 * 7) % 5;
        let attributes = json!({ "app.region": if far { "shenzhen" } else { "hangzhou" } }).to_string();
        let server = ("stock", "POST /reserve", "SERVER");
        rows.push(and(
            span(trace, trace * 4 + 1, 0, server, start, start + 10 + call),
            json!({ "attributes": attributes }),
        ));
        rows.push(and(
            span(trace, trace * 4 + 2, trace * 4 + 1, ("stock", "UPDATE stock", "CLIENT"), start + 5, start + 5 + call),
            json!({ "peer_service": "stock-db", "db_system_name": "postgresql" }),
        ));
    }
    rows
}

/// The pool of the service: 12 of 64 connections used, all 64 at the second level.
fn pool() -> Vec<Value> {
    let mut rows = Vec::new();
    for second in (-540..0).step_by(10) {
        let used = if second < -240 { 12 } else { 64 };
        for (state, value) in [("used", used), ("idle", 64 - used)] {
            let attributes =
                json!({ "db.client.connection.pool.name": "stock-db", "db.client.connection.state": state });
            rows.push(json!({
                "name": "db.client.connection.count", "type": "SUM", "unit": "{connection}",
                "temporality": "CUMULATIVE", "is_monotonic": false,
                "service_name": "stock", "instance_id": "stock-1",
                "time_unix_nano": NOW - 60_000_000_000 + second * 1_000_000_000,
                "value": f64::from(value), "value_int": value,
                "attributes": attributes.to_string(), "resource_attributes": "{}",
            }));
        }
    }
    rows
}

#[tokio::test]
async fn the_value_is_named_that_stands_on_the_span_around_the_slow_call() {
    let fixture = Fixture::new().with(Signal::Traces, &slow_region(), State::Mixed).await;
    let fixture = fixture.with(Signal::Metrics, &pool(), State::Mixed).await;
    let found = hotspots(fixture).await;
    let first = &found["hotspots"][0];
    assert_eq!((&found["verdict"], &first["operation"]), (&json!("bottleneck"), &json!("UPDATE stock")), "{found:#}");
    // All slow ones are of the region, and none of the others of the later level.
    let region = json!({ "key": "app.region", "value": "shenzhen", "share": 1.0, "share_of_others": 0.0 });
    assert_eq!(first["attribute"], region, "{first:#}");
    let sentence = |language: &str| first["explanation"][language].as_str().unwrap_or_default().to_owned();
    assert!(
        sentence("en").ends_with("100 % of the slow calls have app.region = shenzhen, 0 % of the others."),
        "{first:#}"
    );
    assert!(sentence("zh").ends_with("慢调用中 100% 的 app.region = shenzhen，其他调用中为 0%。"), "{first:#}");
    // A fifth of the requests takes 80 ms longer.
    let change = first["change_ns_per_request"].as_f64().expect("compared");
    let interval: Vec<f64> = first["interval_ns"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    assert!((change - 16e6).abs() < 1e6, "{first:#}");
    assert!(interval.len() == 2 && interval[0] < change && change < interval[1], "{interval:?}");
    assert!(interval[0] > 8e6 && interval[1] < 24e6, "{interval:?}");
    the_full_pool_is_evidence(&first["vitals"]);
}

fn the_full_pool_is_evidence(vitals: &Value) {
    assert_eq!(vitals.as_array().map(Vec::len), Some(1), "{vitals:#}");
    let vital = &vitals[0];
    let figures = [&vital["window"], &vital["baseline"], &vital["limit"]].map(Value::as_f64);
    assert_eq!((&vital["sign"], figures), (&json!("saturated"), [Some(64.0), Some(12.0), Some(64.0)]));
    let sentence = vital["explanation"]["en"].as_str().unwrap_or_default();
    // The second level begins 300 s before the time of the fixture.
    assert!(sentence.contains(": 64 of 64 from 22:08:") && sentence.ends_with("; 12 in the baseline."), "{sentence}");
}

/// A page that asks two services, one after the other; at the second level both take longer, the stock more so.
fn two_slower_services() -> Vec<Value> {
    let mut rows = Vec::new();
    for (trace, start, later) in requests() {
        let jitter = (trace as i64 * 7) % 5;
        let (stock, price) = if later { (40 + jitter, 22 + jitter) } else { (10 + jitter, 10 + jitter) };
        let whole = 5 + stock + price;
        rows.push(span(trace, trace * 4 + 1, 0, ("web", "GET /page", "SERVER"), start, start + whole));
        rows.push(span(
            trace,
            trace * 4 + 2,
            trace * 4 + 1,
            ("stock", "GET /stock", "SERVER"),
            start + 2,
            start + 2 + stock,
        ));
        let from = start + 3 + stock;
        rows.push(span(trace, trace * 4 + 3, trace * 4 + 1, ("price", "GET /price", "SERVER"), from, from + price));
    }
    rows
}

/// The share of its CPU that the price service uses: all of it at the second level.
fn cpu() -> Vec<Value> {
    let point = |second: i64| {
        json!({
            "name": "process.cpu.utilization", "type": "GAUGE", "unit": "1",
            "service_name": "price", "instance_id": "price-1",
            "time_unix_nano": NOW - 60_000_000_000 + second * 1_000_000_000,
            "value": if second < -240 { 0.3 } else { 0.97 },
            "attributes": "{}", "resource_attributes": "{}",
        })
    };
    (-540..0).step_by(10).map(point).collect()
}

#[tokio::test]
async fn a_service_that_has_no_cpu_left_comes_first() {
    let spans = two_slower_services();
    let first = |found: &Value| found["hotspots"][0]["service"].clone();
    let without = hotspots(Fixture::new().with(Signal::Traces, &spans, State::Mixed).await).await;
    assert_eq!(first(&without), "stock", "{without:#}");
    let fixture = Fixture::new().with(Signal::Traces, &spans, State::Mixed).await;
    let with = hotspots(fixture.with(Signal::Metrics, &cpu(), State::Mixed).await).await;
    assert_eq!(first(&with), "price", "{with:#}");
    assert_eq!(with["hotspots"][0]["vitals"][0]["sign"], "high", "{with:#}");
    assert_eq!(with["hotspots"][1]["service"], "stock", "{with:#}");
}

/// A shop that asks its stock through a gateway which sends no spans: what the stock does names parents that are not
/// there. At the second level its statement is slow, or a third of its answers are errors.
fn behind_a_hole(slow: bool) -> Vec<Value> {
    let mut rows = Vec::new();
    for (trace, start, later) in requests() {
        let [server, call, unknown, stock, statement] = [1, 2, 3, 4, 5].map(|n| trace * 8 + n);
        let more = if slow && later { 100 } else { 0 };
        let failed = !slow && later && trace % 3 == 0;
        let mut put = |id, parent, what, from: i64, to: i64, members: Value| {
            let status = json!({ "status_code": if failed { "ERROR" } else { "UNSET" } });
            rows.push(and(and(span(trace, id, parent, what, start + from, start + to), status), members));
        };
        put(server, 0, ("shop", "GET /", "SERVER"), 0, 60 + more, json!({}));
        put(call, server, ("shop", "GET", "CLIENT"), 5, 55 + more, json!({}));
        put(stock, unknown, ("stock", "GET /stock", "SERVER"), 15, 45 + more, json!({}));
        let of_database = json!({ "db_system_name": "postgresql", "status_code": "UNSET" });
        put(statement, stock, ("stock", "SELECT stock", "CLIENT"), 20, 40 + more, of_database);
    }
    rows
}

#[tokio::test]
async fn what_is_behind_a_service_without_spans_is_told_from_the_call_to_it() {
    for (slow, named) in [(true, ["stock", "SELECT stock", "database"]), (false, ["stock", "GET /stock", "error"])] {
        for state in [State::Memory, State::Files] {
            let found = hotspots(Fixture::new().with(Signal::Traces, &behind_a_hole(slow), state).await).await;
            let first = &found["hotspots"][0];
            assert_eq!([&first["service"], &first["operation"], &first["category"]], named, "{state:?} {found:#}");
        }
    }
}

/// Orders whose stock is reserved by another service, spans alike at both levels. At the second level a
/// part of the reservations ends early, which only the log shows: a line is missing, and the caller says that it got
/// nothing. `one_in`: how many of them; 0 for none.
fn reserved(one_in: u64) -> (Vec<Value>, Vec<Value>) {
    let (mut spans, mut lines) = (Vec::new(), Vec::new());
    for (trace, start, later) in requests() {
        let (server, call, reserve) = (trace * 4 + 1, trace * 4 + 2, trace * 4 + 3);
        spans.push(span(trace, server, 0, ("shop", "POST /order", "SERVER"), start, start + 30));
        let peer = json!({ "peer_service": "stock" });
        spans.push(and(span(trace, call, server, ("shop", "POST /reserve", "CLIENT"), start + 5, start + 25), peer));
        spans.push(span(trace, reserve, call, ("stock", "POST /reserve", "SERVER"), start + 6, start + 24));
        let mut say = |service: &str, span: u64, ms: i64, severity: i64, body: String| {
            lines.push(json!({
                "time_unix_nano": NOW - 60_000_000_000 + (start + ms) * 1_000_000, "severity_number": severity,
                "body": body, "service_name": service, "attributes": "{}", "resource_attributes": "{}",
                "trace_id": format!("{trace:032x}"), "span_id": format!("{span:016x}"),
            }));
        };
        let ends_early = later && one_in > 0 && trace % one_in == 0;
        say("stock", reserve, 7, 9, format!("reserving order {trace}"));
        if ends_early {
            say("shop", server, 26, 17, format!("order {trace} has no reservation"));
        } else {
            say("stock", reserve, 20, 9, format!("reserved order {trace} in {} ms", trace % 9));
        }
        // What is only said at times, and to which no span belongs.
        if trace % 400 == 0 {
            say("stock", 0, 21, 9, format!("cache refreshed, {trace} entries"));
        }
    }
    (spans, lines)
}

#[tokio::test]
async fn a_line_that_is_missing_names_the_operation_that_ends_early() {
    for (one_in, state) in [(1, State::Memory), (1, State::Files), (10, State::Mixed)] {
        let (spans, lines) = reserved(one_in);
        let fixture = Fixture::new().with(Signal::Traces, &spans, state).await.with(Signal::Logs, &lines, state).await;
        let found = hotspots(fixture).await;
        assert_eq!(found["verdict"], "behaviour_changed", "{state:?} {found:#}");
        let said: Vec<[&Value; 4]> = found["hotspots"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|spot| [&spot["service"], &spot["operation"], &spot["category"], &spot["logs"][0]["pattern"]])
            .collect();
        let caller = ["shop", "POST /order", "error", "order * has no reservation"];
        if one_in > 1 {
            // The line is still written, less often: how often it is may depend on the orders. The error is new.
            assert_eq!(said, [caller], "{found:#}");
        } else {
            assert_eq!(
                said,
                [["stock", "POST /reserve", "structure", "reserved order * in * ms"], caller],
                "{found:#}"
            );
            let sentence = found["hotspots"][0]["explanation"]["en"].as_str().unwrap_or_default();
            let expected =
                "no longer says \"reserved order * in * ms\" in its log: 0.00 lines per call, 1.00 in the baseline";
            assert!(sentence.contains(expected), "{sentence}");
        }
        let error = found["hotspots"].as_array().and_then(|spots| spots.last()).map(|spot| &spot["logs"][0]);
        let (error, share) = (error.expect("named"), 1.0 / one_in as f64);
        assert_eq!((&error["severity"], &error["baseline_per_call"]), (&json!("error"), &json!(0.0)), "{error}");
        assert!(error["per_call"].as_f64().is_some_and(|lines| (lines / share - 1.0).abs() < 0.1), "{error}");
    }
}

#[tokio::test]
async fn the_same_lines_at_another_load_are_no_change() {
    let (spans, lines) = reserved(0);
    let fixture = Fixture::new().with(Signal::Traces, &spans, State::Memory).await;
    let found = hotspots(fixture.with(Signal::Logs, &lines, State::Mixed).await).await;
    assert_eq!(found["verdict"], "no_significant_change", "{found:#}");
    assert!(found["hotspots"].as_array().into_iter().flatten().all(|spot| spot["logs"] == json!([])), "{found:#}");
}

/// A service on three pods, the third of them on a node of its own, of which a pod or a tenant fails at the second level.
fn failing(fails: impl Fn(u64, u64) -> bool) -> Vec<Value> {
    let mut rows = Vec::new();
    for (trace, start, later) in requests() {
        let (pod, tenant) = (trace % 3, trace % 7);
        let status = if later && fails(pod, tenant) { "ERROR" } else { "UNSET" };
        let attributes = json!({ "app.tenant": format!("tenant-{tenant}") }).to_string();
        let resource = json!({ "service.name": "pay", "k8s.node.name": format!("node-{}", pod / 2) }).to_string();
        rows.push(and(
            span(trace, trace * 2 + 1, 0, ("pay", "POST /charge", "SERVER"), start, start + 20),
            json!({ "attributes": attributes, "resource_attributes": resource, "instance_id": format!("pay-{pod}"),
                "status_code": status }),
        ));
    }
    rows
}

#[tokio::test]
async fn errors_are_confined_to_a_value_or_to_an_instance() {
    let found = async |rows: &[Value]| {
        let found = hotspots(Fixture::new().with(Signal::Traces, rows, State::Mixed).await).await;
        assert_eq!(found["verdict"], "behaviour_changed", "{found:#}");
        assert_eq!(found["hotspots"][0]["category"], "error", "{found:#}");
        found["hotspots"][0].clone()
    };
    let of_tenant = found(&failing(|_, tenant| tenant == 4)).await;
    let named = [&of_tenant["attribute"]["key"], &of_tenant["attribute"]["value"], &of_tenant["instance"]];
    assert_eq!(named, [&json!("app.tenant"), &json!("tenant-4"), &Value::Null], "{of_tenant:#}");
    let sentence = of_tenant["explanation"]["en"].as_str().unwrap_or_default();
    assert!(sentence.contains("100 % of the failed calls have app.tenant = tenant-4"), "{sentence}");
    let of_pod = found(&failing(|pod, tenant| pod == 1 && tenant < 5)).await;
    assert_eq!((&of_pod["attribute"], &of_pod["instance"]), (&Value::Null, &json!("pay-1")), "{of_pod:#}");
    let of_all = found(&failing(|pod, tenant| (pod + tenant) % 3 == 0)).await;
    assert_eq!((&of_all["attribute"], &of_all["instance"]), (&Value::Null, &Value::Null), "{of_all:#}");
}

/// A service whose pods on one of three nodes get slow, two of six.
#[tokio::test]
async fn what_is_slow_on_the_pods_of_one_node_is_put_down_to_the_node() {
    let mut rows = Vec::new();
    for (trace, start, later) in requests() {
        let pod = trace % 6;
        let took = if later && pod / 2 == 1 { 120 } else { 20 } + (trace as i64 * 7) % 5;
        let resource = json!({ "service.name": "pay", "k8s.node.name": format!("node-{}", pod / 2),
            "k8s.pod.name": format!("pay-{pod}") });
        rows.push(and(
            span(trace, trace * 2 + 1, 0, ("pay", "POST /charge", "SERVER"), start, start + took),
            json!({ "resource_attributes": resource.to_string(), "instance_id": format!("pay-{pod}") }),
        ));
    }
    let found = hotspots(Fixture::new().with(Signal::Traces, &rows, State::Mixed).await).await;
    let first = &found["hotspots"][0];
    let named = [&first["attribute"]["key"], &first["attribute"]["value"], &first["instance"]];
    assert_eq!(named, [&json!("k8s.node.name"), &json!("node-1"), &Value::Null], "{found:#}");
}

/// What is asked of requests with an attribute, or that met an instance, is answered from those alone.
#[tokio::test]
async fn attributes_and_instances_choose_requests() {
    let engine = Fixture::new().with(Signal::Traces, &slow_region(), State::Mixed).await.engine();
    let of_window = |seconds: std::ops::Range<i64>, far: bool| {
        let chosen = requests().filter(|(trace, start, _)| {
            (seconds.start * 1_000..seconds.end * 1_000).contains(start) && (!far || trace % 5 == 0)
        });
        chosen.count()
    };
    // A minute before the end of the fixture's time, which is one before now.
    let window = [("start", "now-180s"), ("end", "now-120s")];
    let ask = async |analysis: &str, more: &[(&str, &str)]| {
        let parameters: Vec<_> = window.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        analysis::run(&engine, &Tenant::default(), analysis, &parameters).await.unwrap_or_else(|e| panic!("{e:?}"))
    };
    let far = ("attr", "app.region=shenzhen");
    for (more, expected) in [
        (vec![], of_window(-120..-60, false)),
        (vec![far], of_window(-120..-60, true)),
        (vec![far, ("instance", "stock-1")], of_window(-120..-60, true)),
        (vec![("instance", "stock-2")], 0),
    ] {
        for (analysis, requests) in [("hotspots", "/window/requests"), ("flame", "/requests"), ("hidden", "/requests")]
        {
            let found = ask(analysis, &more).await;
            let counted = found.pointer(requests).and_then(Value::as_u64);
            assert_eq!(counted, Some(expected as u64), "{analysis} {more:?}: {found:#}");
        }
    }
}
