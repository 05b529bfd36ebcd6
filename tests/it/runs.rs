//! Stress-test runs from end to end: begun, marked and stopped by commands and over HTTP, imported, kept over `kill -9`, a
//! table, the window of analyses, and compared with an exit code.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::otlp;
use crate::server::{Ended, Home, Server, answer, run, until};

fn runs(server: &Server, arguments: &[&str]) -> Ended {
    let url = server.url("");
    run(["run"].iter().chain(arguments).chain(&["--server", url.as_str()]))
}

fn send(server: &Server, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    answer(server.client.request(method, server.url(path)).json(body))
}

#[test]
fn a_run_is_begun_marked_stopped_and_kept() {
    let server = Home::new().start();
    let started = runs(&server, &["start", "round-1", "--label", "commit=4bf92f3", "--notes", "pool of 64"]).success();
    assert!(started.text().starts_with("started round-1 ("), "{}", started.text());
    runs(&server, &["mark", "40k"]).success();
    let going_on = server.json("/api/v1/runs?active=true");
    let id = going_on["runs"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(going_on["runs"][0]["end_time"], Value::Null);
    runs(&server, &["stop"]).success();
    runs(&server, &["stop"]).refused(&["no run is going on", "hotspan run start"]);
    for name in ["round-2", "round-3"] {
        runs(&server, &["start", name]).success();
    }
    runs(&server, &["stop"]).refused(&["2 runs are going on", "round-2", "round-3"]);
    runs(&server, &["stop", "round-2"]).success();
    let ended = server.json("/api/v1/runs/round-2");
    runs(&server, &["stop", "round-2"]).refused(&["round-2 (", "ended at", "already"]);
    assert_eq!(server.json("/api/v1/runs/round-2"), ended, "a run that has ended keeps its end");

    // Acknowledged is kept.
    let server = server.kill().start();
    let run = server.json("/api/v1/runs/round-1");
    assert_eq!((&run["id"], &run["labels"]), (&json!(id), &json!({"commit": "4bf92f3"})), "{run}");
    assert_eq!((&run["notes"], &run["marks"][0]["name"]), (&json!("pool of 64"), &json!("40k")), "{run}");
    assert!(run["end_time"].is_string(), "{run}");
    assert_eq!(server.json(&format!("/api/v1/runs/{id}")), run, "by id as by name");
    let list = runs(&server, &["list"]).success().text();
    assert!(list.contains("commit=4bf92f3") && list.lines().count() == 4 && list.contains("going on"), "{list}");
    let rows = "SELECT name, end_time IS NULL FROM runs ORDER BY start_time";
    assert_eq!(json!(server.sql(rows)), json!([["round-1", false], ["round-2", false], ["round-3", true]]));
    let home = server.stop();
    let names: Vec<Vec<String>> = home.sql_on_folder("SELECT name FROM runs ORDER BY start_time");
    assert_eq!(names.concat(), ["round-1", "round-2", "round-3"], "in the folder, without a server");
}

#[test]
fn a_second_run_of_a_name_is_warned_of_and_told_apart_by_ids() {
    let server = Home::new().start();
    let first = runs(&server, &["start", "round-1"]).success();
    assert!(!first.stderr.contains("warning"), "{}", first.stderr);
    let run = server.json("/api/v1/runs/round-1");
    let id = run["id"].as_str().expect("an id");
    let second = runs(&server, &["start", "round-1"]).success();
    assert!(second.stderr.contains("warning: round-1 is also the name of") && second.stderr.contains(id), "{second:?}");
    runs(&server, &["stop"]).refused(&["2 runs are going on", id, "by its id"]);
    runs(&server, &["stop", id]).success();
    runs(&server, &["stop"]).success();
    let list = runs(&server, &["list"]).success().text();
    let times = list.lines().skip(1).flat_map(|line| line.split_whitespace().skip(2).take(2));
    assert!(times.clone().count() == 4 && times.clone().all(|time| time.ends_with('Z')), "{list}");
    server.stop();
}

#[test]
fn a_deleted_run_stays_deleted_and_its_spans_stay() {
    let server = Home::new().start();
    for name in ["round-1", "round-1", "round-2"] {
        runs(&server, &["start", name]).success();
    }
    let named = |server: &Server| server.sql("SELECT name FROM runs ORDER BY start_time");
    let mut span = otlp::span(1, 1, "POST /order");
    span.attributes = vec![otlp::text("test.run.id", "round-2")];
    otlp::send(&server, &otlp::export("shop", vec![span]));
    runs(&server, &["delete", "round-1"]).refused(&["2 runs are named", "give the id"]);
    let first = server.json("/api/v1/runs")["runs"][2]["id"].as_str().expect("an id").to_owned();
    let deleted = runs(&server, &["delete", &first]).success();
    assert_eq!(deleted.text().trim(), format!("deleted round-1 ({first})"));
    let (status, told) = answer(server.client.delete(server.url("/api/v1/runs/round-2")));
    assert_eq!((status, &told["name"]), (StatusCode::OK, &json!("round-2")), "{told}");
    assert_eq!(json!(named(&server)), json!([["round-1"]]));

    // What is gone is gone, also for a server that was killed.
    let server = server.kill().start();
    assert_eq!(json!(named(&server)), json!([["round-1"]]));
    let (status, told) = answer(server.client.delete(server.url(&format!("/api/v1/runs/{first}"))));
    assert_eq!((status, &told["error"]["kind"]), (StatusCode::NOT_FOUND, &json!("not_found")), "{told}");
    // A run that only its spans tell of is listed and cannot be deleted.
    assert_eq!(json!(server.sql("SELECT count(*) FROM spans")), json!([[1]]));
    assert_eq!(server.json("/api/v1/runs/round-2")["id"], "round-2");
    let (status, told) = answer(server.client.delete(server.url("/api/v1/runs/round-2")));
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(told["error"]["message"].as_str().is_some_and(|m| m.contains("only spans tell of")), "{told}");
    server.stop();
}

/// A service whose environment names the run, as OTEL_RESOURCE_ATTRIBUTES=test.run.id=nightly does.
#[test]
fn a_resource_that_names_a_run_begins_it() {
    let server = Home::new().start();
    let spans = (1..=3_u64).map(|n| {
        let mut span = otlp::span(u128::from(n), n, "POST /order");
        span.start_time_unix_nano += n * SECOND;
        span.end_time_unix_nano += n * SECOND;
        span
    });
    let mut export = otlp::export("shop", spans.collect());
    let resource = export.resource_spans[0].resource.as_mut().expect("a resource");
    resource.attributes.push(otlp::text("test.run.id", "nightly"));
    otlp::send(&server, &export);
    otlp::send(&server, &otlp::export("shop", vec![otlp::span(9, 9, "POST /order")]));
    let is_listed = |server: &Server| {
        let run = server.json("/api/v1/runs")["runs"][0].clone();
        assert_eq!((&run["id"], &run["name"]), (&json!("nightly"), &json!("nightly")), "{run}");
        assert_eq!(run["start_time"], "2026-01-01T00:00:01.000000000Z", "{run}");
        assert_eq!(run["end_time"], "2026-01-01T00:00:03.001000001Z", "{run}");
    };
    is_listed(&server);
    // Also of what is in files only: a clean stop writes all of it.
    let server = server.stop().start();
    is_listed(&server);
    let counted = |path: &str| {
        let found = server.json(path);
        found["operations"].as_array().into_iter().flatten().filter_map(|o| o["count"].as_i64()).sum::<i64>()
    };
    assert_eq!(counted("/api/v1/operations?run=nightly"), 3, "the one of another resource is not its");
    // Marked, it is one that is kept.
    let marked = json!({"name": "40k", "time": "2026-01-01T00:00:02Z"});
    assert_eq!(send(&server, Method::POST, "/api/v1/runs/nightly/marks", &marked).0, StatusCode::CREATED);
    assert_eq!(json!(server.sql("SELECT name FROM runs")), json!([["nightly"]]));
    assert_eq!(server.json("/api/v1/runs")["runs"].as_array().map(Vec::len), Some(1));
    let shown = runs(&server, &["show", "nightly"]).success().text();
    assert!(shown.contains("stage 40k") && shown.contains("clock: Latency counts from the start of spans"), "{shown}");
    server.stop();
}

#[test]
fn wrong_requests_say_what_is_wrong() {
    let server = Home::new().start();
    let (status, begun) = send(&server, Method::POST, "/api/v1/runs", &json!({"name": "r", "start_time": "now-10m"}));
    assert_eq!(status, StatusCode::CREATED, "{begun}");
    let refused = |method: Method, path: &str, body: Value, word: &str| {
        let (status, answer) = send(&server, method, path, &body);
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|m| m.contains(word)), "no {word:?} in {answer}");
    };
    refused(Method::POST, "/api/v1/runs", json!({}), "name");
    refused(Method::POST, "/api/v1/runs", json!({"name": "r", "nmae": "s"}), "nmae");
    refused(Method::POST, "/api/v1/runs", json!({"name": "r", "start_time": "soon"}), "start_time");
    refused(Method::PATCH, "/api/v1/runs/r", json!({"end_time": "now-20m"}), "ends before it starts");
    refused(Method::POST, "/api/v1/runs/r/marks", json!({"name": "m", "time": "now-20m"}), "mark");
    let (status, _) = send(&server, Method::PATCH, "/api/v1/runs/s", &json!({"end_time": "now"}));
    assert_eq!(status, StatusCode::NOT_FOUND);
    // What a form of another site could send.
    let form =
        server.client.post(server.url("/api/v1/runs")).header("content-type", "text/plain").body("{\"name\":\"x\"}");
    assert_eq!(answer(form).0, StatusCode::BAD_REQUEST);
    assert_eq!(server.get("/api/v1/runs/compare?a=r").0, StatusCode::BAD_REQUEST);
    assert_eq!(server.get("/api/v1/operations?run=s").0, StatusCode::NOT_FOUND);
    let (status, changed) = send(&server, Method::PATCH, "/api/v1/runs/r", &json!({"notes": "a", "end_time": "now"}));
    assert_eq!((status, &changed["notes"], &changed["name"]), (StatusCode::OK, &json!("a"), &json!("r")));
    server.stop();
}

#[test]
fn writing_takes_the_scope_ingest_and_tenants_are_apart() {
    let (reader, writer, other) = ("reader-0123456789abcdef", "writer-0123456789abcdef", "others-0123456789abcdef");
    let home = Home::new();
    let lines = format!("a read shop {reader}\nb ingest shop {writer}\nc ingest,read staging {other}\n");
    let server = home.start_with(&["--tokens-file", &home.file("tokens", &lines)]);
    let ask = |token: &str, method: Method, path: &str, body: Option<Value>| {
        let request = server.client.request(method, server.url(path)).bearer_auth(token);
        answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
    };
    let begin = |token: &str, name: &str| ask(token, Method::POST, "/api/v1/runs", Some(json!({"name": name}))).0;
    assert_eq!(begin(reader, "no"), StatusCode::FORBIDDEN);
    assert_eq!(begin("nobody-0123456789abcdef", "no"), StatusCode::UNAUTHORIZED);
    assert_eq!(begin(writer, "ours"), StatusCode::CREATED);
    assert_eq!(begin(other, "theirs"), StatusCode::CREATED);
    assert_eq!(ask(writer, Method::GET, "/api/v1/runs", None).0, StatusCode::FORBIDDEN, "ingest alone may not read");
    let names = |token: &str| ask(token, Method::GET, "/api/v1/runs", None).1["runs"].clone();
    assert_eq!((&names(reader)[0]["name"], names(reader).as_array().map(Vec::len)), (&json!("ours"), Some(1)));
    assert_eq!(names(other)[0]["name"], "theirs");
    assert_eq!(ask(other, Method::GET, "/api/v1/runs/ours", None).0, StatusCode::NOT_FOUND);
    assert_eq!(ask(other, Method::DELETE, "/api/v1/runs/ours", None).0, StatusCode::NOT_FOUND);
    assert_eq!(ask(reader, Method::DELETE, "/api/v1/runs/ours", None).0, StatusCode::FORBIDDEN);
    // The cookie of the page does from the page itself, and from no other.
    let by_cookie = |site: &str| {
        let request = server.client.post(server.url("/api/v1/runs")).header("sec-fetch-site", site);
        answer(request.header("cookie", format!("hotspan_token={writer}")).json(&json!({"name": "by-cookie"}))).0
    };
    assert_eq!(by_cookie("cross-site"), StatusCode::FORBIDDEN);
    assert_eq!(by_cookie("same-origin"), StatusCode::CREATED);
}

fn load_report(name: &str) -> String {
    format!("testdata/load-reports/{name}")
}

#[test]
fn what_a_load_generator_wrote_becomes_a_run() {
    let home = Home::new();
    let server = home.start();
    let file = load_report("jmeter.csv");
    let told = runs(&server, &["import", &file, "--name", "round-1", "--label", "commit=4bf92f3"]).success().text();
    assert!(told.starts_with("imported round-1 (") && told.contains("jmeter saw"), "{told}");
    runs(&server, &["import", &load_report("gatling-3.9.log")]).success();
    let ahead = runs(&server, &["import", &file, "--name", "ahead", "--end", "now+8h"]).success();
    assert!(ahead.stderr.contains("warning: the run ends in the future"), "{}", ahead.stderr);
    let summary = load_report("k6-summary-export.json");
    runs(&server, &["import", &summary, "--end", "2026-11-11T20:10:00+08:00"]).success();

    let server = server.kill().start();
    let run = server.json("/api/v1/runs/round-1");
    assert_eq!(run["start_time"], "2023-11-14T22:13:20.000000000Z", "{run}");
    assert_eq!(run["end_time"], "2023-11-14T22:13:25.000000000Z", "{run}");
    assert_eq!(run["labels"]["commit"], "4bf92f3");
    let total = &run["generator"]["total"];
    assert_eq!((&total["requests"], &total["errors"], &total["p50_ns"]), (&json!(4), &json!(1), &json!(120_000_000)));
    assert_eq!(run["generator"]["named"].as_array().map(Vec::len), Some(3));
    let gatling = server.json("/api/v1/runs/checkout");
    assert_eq!((&gatling["generator"]["tool"], &gatling["generator"]["version"]), (&json!("gatling"), &json!("3.9.5")));
    let k6 = server.json("/api/v1/runs/k6-summary-export");
    assert_eq!(k6["start_time"], "2026-11-11T12:08:00.000000000Z", "two minutes before the end: {k6}");
    // A list holds the totals only.
    let list = server.json("/api/v1/runs");
    let of =
        |name: &str| list["runs"].as_array().expect("runs").iter().find(|r| r["name"] == name).expect("listed").clone();
    assert_eq!((&of("round-1")["generator"]["named"], &of("round-1")["generator"]["total"]), (&Value::Null, total));

    // Beside what hotspan saw in that time.
    let mut span = otlp::span(1, 1, "POST /order");
    span.start_time_unix_nano = 1_700_000_001 * SECOND;
    span.end_time_unix_nano = span.start_time_unix_nano + 50_000_000;
    otlp::send(&server, &otlp::export("shop", vec![span]));
    let seen = json!({"requests": 1, "errors": 0, "rate": 0.2});
    // Requests are known once their traces have been quiet for a while.
    let shown = until("the request", || {
        let shown = runs(&server, &["show", "round-1", "--json"]).success().text();
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        (shown["seen"]["requests"] == 1).then_some(shown)
    });
    for (key, value) in seen.as_object().expect("an object") {
        assert_eq!(&shown["seen"][key], value, "{key} of {}", shown["seen"]);
    }
    let text = runs(&server, &["show", "round-1"]).success().text();
    assert!(text.contains("hotspan saw") && text.contains("Flow (transaction)"), "{text}");
    server.stop();
}

#[test]
fn a_program_may_import_over_http_and_wrong_files_and_figures_are_told() {
    let home = Home::new();
    let [cut, newer] =
        ["3.13.1", "4.13.1"].map(|version| home.file(&format!("{version}.log"), &format!("\0\0\0\0\u{6}{version}\0")));
    let locust = home.file("stats.csv", "Type,Name,Request Count\n");
    let server = home.start();
    runs(&server, &["import", &cut]).refused(&["ends within its first record"]);
    runs(&server, &["import", &newer]).refused(&["4.13.1", "a version that is known"]);
    runs(&server, &["import", &locust]).refused(&["none that can be imported", "gatling-stats"]);
    runs(&server, &["import", &load_report("jmeter.csv"), "--format", "k6-summary"]).refused(&["not JSON"]);
    runs(&server, &["import", &load_report("jmeter.csv"), "--end", "2023-11-14T00:00:00Z"])
        .refused(&["before it begins"]);
    let generator =
        json!({"tool": "locust", "total": {"requests": 10, "rate": 2.5}, "named": [{"name": "GET /", "p99_ns": 7}]});
    let body = |generator: &Value| {
        json!({"name": "round-9", "start_time": "2026-11-11T12:00:00Z", "end_time": "2026-11-11T12:10:00Z",
            "marks": [{"name": "40k", "time": "2026-11-11T12:05:00Z"}], "generator": generator})
    };
    let (status, run) = send(&server, Method::POST, "/api/v1/runs", &body(&generator));
    assert_eq!(status, StatusCode::CREATED, "{run}");
    assert_eq!(
        (&run["marks"][0]["name"], &run["generator"]["named"][0]["p99_ns"]),
        (&json!("40k"), &json!(7)),
        "{run}"
    );
    let typo = json!({"tool": "locust", "total": {"request": 10}});
    let impossible = json!({"tool": "locust", "total": {"requests": 1, "errors": 2}});
    for (generator, word) in [(typo, "request"), (impossible, "errors")] {
        let (status, answer) = send(&server, Method::POST, "/api/v1/runs", &body(&generator));
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|m| m.contains(word)), "{answer}");
    }
    server.stop();
}

const SECOND: u64 = 1_000_000_000;
/// Requests per second, and for how long.
const RATE: u64 = 20;
const SECONDS: u64 = 40;

/// Orders at a constant rate: each reserves stock, which takes `reserve_ms` and a little, and pays.
fn orders(server: &Server, from: u64, reserve_ms: u64, tag: Option<&str>) {
    for second in 0..SECONDS {
        let mut spans = Vec::new();
        for n in 0..RATE {
            let number = from / SECOND % 100_000 * 1_000_000 + second * 1_000 + n;
            let start = from + second * SECOND + n * SECOND / RATE;
            // Between -25 % and +25 %, the same in every run.
            let vary = |ms: u64| ms * 1_000_000 * (75 + (second * 7 + n * 13) % 51) / 100;
            let mut part = |id: u64, parent: u64, name: &str, after: u64, takes: u64| {
                let mut span = otlp::span(u128::from(number), number << 4 | id, name);
                span.start_time_unix_nano = start + after;
                span.end_time_unix_nano = start + after + takes;
                if parent > 0 {
                    span.parent_span_id = (number << 4 | parent).to_be_bytes().to_vec();
                }
                span.attributes.extend(tag.map(|tag| otlp::text("test.run.id", tag)));
                spans.push(span);
                takes
            };
            let reserve = part(2, 1, "reserve", 1_000_000, vary(reserve_ms));
            let pay = part(3, 1, "pay", 1_000_000 + reserve, vary(20));
            part(1, 0, "POST /order", 0, 2_000_000 + reserve + pay);
        }
        otlp::send(server, &otlp::export("shop", spans));
    }
}

#[test]
fn two_runs_are_compared_at_matched_load() {
    let server = Home::new().start();
    let (first, second) = (otlp::NEW_YEAR, otlp::NEW_YEAR + 600 * SECOND);
    orders(&server, first, 30, None);
    orders(&server, second, 90, Some("round-2"));
    let time = |at: u64| json!(at / SECOND);
    for (name, from) in [("round-1", first), ("round-2", second)] {
        let half = time(from + SECONDS / 2 * SECOND);
        let marks = json!([{"name": "first half", "time": time(from)}, {"name": "second half", "time": half}]);
        let end = time(from + SECONDS * SECOND);
        let body = json!({"name": name, "start_time": time(from), "end_time": end, "marks": marks});
        assert_eq!(send(&server, Method::POST, "/api/v1/runs", &body).0, StatusCode::CREATED);
    }
    let requests = RATE * SECONDS;
    // Requests are known once their traces have been quiet for a while.
    let found = until("all requests of both runs", || {
        let found = server.json("/api/v1/runs/compare?a=round-1&b=round-2");
        let all = found["a"]["requests"] == requests && found["b"]["requests"] == requests;
        all.then_some(found)
    });
    assert_eq!(found["verdict"], "worse", "{found:#}");
    let outcome = |name: &str| {
        let operations = found["operations"].as_array().into_iter().flatten();
        operations.clone().find(|o| o["operation"] == name).cloned().unwrap_or_else(|| panic!("no {name} in {found:#}"))
    };
    let (reserve, pay) = (outcome("reserve"), outcome("pay"));
    assert_eq!((&reserve["outcome"], &outcome("POST /order")["outcome"]), (&json!("worse"), &json!("worse")));
    // Whether half a percentage point of errors can be ruled out depends on where the levels begin and end.
    assert!(pay["outcome"] == "same" || pay["outcome"] == "no_evidence", "{pay:#}");
    assert_eq!(pay["reason"], Value::Null, "{pay:#}");
    assert_eq!(found["limits"], json!({"ratio": 0.2, "latency_ns": 2e6, "error_rate": 0.005}));
    let mean = &reserve["measures"][0];
    let (low, high) = (mean["low"].as_f64().expect("a number"), mean["high"].as_f64().expect("a number"));
    // 60 ms were added.
    assert!(mean["measure"] == "mean_ns" && low > 50e6 && high < 70e6, "{mean}");

    let compare = |arguments: &[&str]| runs(&server, &[&["compare"], arguments].concat());
    let text = compare(&["round-1", "round-2"]).success().text();
    assert!(text.starts_with("round-2 against round-1: worse\n") && text.contains("reserve"), "{text}");
    let failed = compare(&["round-1", "round-2", "--fail-on", "worse", "--format", "json"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert_eq!(serde_json::from_slice::<Value>(&failed.stdout).expect("JSON")["verdict"], "worse");
    let markdown = compare(&["round-2", "round-1", "--fail-on", "worse", "--format", "markdown"]).success().text();
    assert!(markdown.contains("| better | shop | reserve |"), "{markdown}");
    let same = compare(&["round-1", "round-1", "--fail-on", "worse"]).success().text();
    assert!(same.contains("no evidence of a change") || same.contains("the same, as far as it counts"), "{same}");
    assert!(same.contains("a change counts from 20 % on and 2.00 ms of a latency, 0.5 % of an error rate"), "{same}");

    assert!(text.contains("Latency counts from the start of spans"), "{text}");

    // Stages of the same name, each against its own.
    let stages = compare(&["round-1", "round-2", "--stages", "--fail-on", "worse"]);
    let text = String::from_utf8(stages.stdout).expect("text");
    assert_eq!(stages.code, Some(1), "{text}");
    for half in ["first half", "second half"] {
        let head = format!("round-2@{half} against round-1@{half}: worse");
        assert!(text.lines().any(|line| line == head), "no {head:?} in {text}");
    }
    let one = compare(&["round-1", "round-2", "--stage", "second half", "--format", "json"]).success().text();
    let one: Value = serde_json::from_str(&one).expect("JSON");
    let (stage, requests) = (&one["stages"][0]["stage"], &one["stages"][0]["b"]["requests"]);
    assert_eq!((stage, requests), (&json!("second half"), &json!(RATE * SECONDS / 2)), "{one:#}");
    compare(&["round-1", "nightly", "--stages"]).refused(&["no run"]);

    // The same by SQL, and as the window of other analyses.
    let query = "SELECT outcome FROM run_diff('baseline_run=round-1', 'run=round-2') WHERE operation = 'reserve'";
    assert_eq!(json!(server.sql(query)), json!([["worse"]]));
    let hotspots = server.json("/api/v1/hotspots?run=round-2&baseline_run=round-1");
    assert_eq!(hotspots["hotspots"][0]["operation"], "reserve", "{hotspots:#}");
    server.stop();
}
