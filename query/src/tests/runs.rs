//! Stress-test runs as windows of analyses, and compared with one another.

use model::{Error, Signal, Tenant};
use serde_json::{Value, json};

use super::fixture::{Fixture, STATES, State, and, answer, span};
use crate::{Engine, analysis};

/// Every second a request of 10 ms; those of `tag` name it as their run.
fn requests(first: u64, from_s: i64, seconds: i64, place: (&str, &str, &str), tag: &str) -> Vec<Value> {
    let row = |n: i64| {
        let (id, at) = (first + n as u64, (from_s + n) * 1_000);
        let row = span(id, id, 0, place, at, at + 10);
        if tag.is_empty() { row } else { and(row, json!({ "test_run_id": tag })) }
    };
    (0..seconds).map(row).collect()
}

async fn run(engine: &Engine, name: &str, parameters: &[(&str, &str)]) -> Result<Value, Error> {
    let parameters: Vec<_> = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    analysis::run(engine, &Tenant::default(), name, &parameters).await
}

async fn count(engine: &Engine, parameters: &[(&str, &str)]) -> i64 {
    let found = run(engine, "operations", parameters).await.unwrap_or_else(|e| panic!("{parameters:?}: {e:?}"));
    found["operations"].as_array().expect("a list").iter().filter_map(|o| o["count"].as_i64()).sum()
}

const ORDER: (&str, &str, &str) = ("shop", "POST /order", "SERVER");

#[tokio::test]
async fn a_run_is_its_time_or_the_traces_that_name_it() {
    let mut rows = requests(1, 0, 30, ORDER, "");
    rows.extend(requests(100, 10, 10, ORDER, "tagged"));
    // A child without the attribute belongs to its trace.
    rows.push(span(100, 500, 100, ("shop", "pay", "CLIENT"), 10_002, 10_005));
    for state in STATES {
        let fixture = Fixture::new().with(Signal::Traces, &rows, state).await;
        let fixture = fixture.with_run("a1", "untagged", 0, 10_000).with_run("b2", "tagged", 10_000, 20_000);
        let engine = fixture.engine();
        assert_eq!(count(&engine, &[("run", "untagged")]).await, 10, "{state:?}: all of its time");
        assert_eq!(count(&engine, &[("run", "tagged")]).await, 11, "{state:?}: what names it, with its children");
        assert_eq!(count(&engine, &[("run", "b2"), ("service", "shop"), ("kind", "CLIENT")]).await, 1, "{state:?}");
        let half = [("run", "a1"), ("start", "1699999945")];
        assert_eq!(count(&engine, &half).await, 5, "{state:?}: a part of it");
        let wider = [("run", "a1"), ("start", "1699999930"), ("end", "1699999990")];
        assert_eq!(count(&engine, &wider).await, 10, "{state:?}: never more than it");
        let hotspots = run(&engine, "hotspots", &[("run", "tagged"), ("baseline_run", "untagged")]).await;
        let hotspots = hotspots.expect("an answer");
        let sides = [&hotspots["window"]["requests"], &hotspots["baseline"]["requests"]];
        assert_eq!(sides, [&json!(10), &json!(10)], "{state:?}");
        let levels = [("run", "tagged"), ("start", "1699999955"), ("end", "1699999960")];
        for (start, end, before) in [("1699999950", "1699999955", 5), ("1699999940", "1699999950", 10)] {
            let baseline = [("baseline_start", start), ("baseline_end", end)];
            let found = run(&engine, "hotspots", &[&levels[..], &baseline].concat()).await.expect("an answer");
            let sides = [&found["window"]["requests"], &found["baseline"]["requests"]];
            assert_eq!(
                sides,
                [&json!(5), &json!(before)],
                "{state:?}: another level of it, or all of a time before it"
            );
        }
        let rows = answer(&engine, "SELECT sum(count) FROM operations('run=tagged')").await;
        assert_eq!(rows, ["11"], "{state:?}: in SQL as well");
    }
}

#[tokio::test]
async fn a_run_that_only_spans_name_is_the_time_of_these_spans() {
    let mut rows = requests(1, 0, 30, ORDER, "");
    rows.extend(requests(100, -100, 10, ORDER, "nightly"));
    rows.extend(requests(200, 50, 9, ORDER, "going on"));
    for state in STATES {
        let fixture = Fixture::new().with(Signal::Traces, &rows, state).await.with_run("a1", "round-1", 0, 10_000);
        let engine = fixture.engine();
        assert_eq!(count(&engine, &[("run", "nightly")]).await, 10, "{state:?}");
        let runs = analysis::runs::all(&engine, &Tenant::default()).await.expect("runs");
        let shown: Vec<_> = runs.iter().map(|run| (run.name.as_str(), run.end.map(|end| end - run.start))).collect();
        // The last of ten requests began nine seconds after the first and took 10 ms; the other's end was just now.
        let expected = [("nightly", Some(9_010_000_001)), ("round-1", Some(10_000_000_000)), ("going on", None)];
        assert_eq!(shown, expected, "{state:?}");
    }
}

/// Requests whose resource names a run, as an SDK's environment sets it.
fn of_resource(rows: Vec<Value>, run: &Value) -> Vec<Value> {
    let resource = json!({ "service.name": "shop", "test.run.id": run }).to_string();
    rows.into_iter().map(|row| and(row, json!({ "resource_attributes": resource }))).collect()
}

#[tokio::test]
async fn a_run_that_only_a_resource_names_is_the_time_of_its_spans() {
    let mut rows = requests(1, 0, 30, ORDER, "");
    rows.extend(of_resource(requests(100, -100, 10, ORDER, ""), &json!("nightly")));
    // What does not name it belongs to its traces, and to no run of its own.
    rows.push(span(100, 500, 100, ("stock", "reserve", "SERVER"), -99_998, -99_995));
    // A number, as text; and a name that is on some spans and on the resource of later ones.
    rows.extend(of_resource(requests(200, -300, 5, ORDER, ""), &json!(7)));
    rows.extend(requests(300, -500, 10, ORDER, "both"));
    rows.extend(of_resource(requests(400, -490, 10, ORDER, ""), &json!("both")));
    rows.extend(of_resource(requests(450, 0, 10, ORDER, ""), &json!("round-1")));
    for state in STATES {
        let fixture = Fixture::new().with(Signal::Traces, &rows, state).await.with_run("a1", "round-1", 0, 10_000);
        let engine = fixture.engine();
        assert_eq!(count(&engine, &[("run", "nightly")]).await, 11, "{state:?}: ten requests and a child");
        assert_eq!(count(&engine, &[("run", "7")]).await, 5, "{state:?}");
        assert_eq!(count(&engine, &[("run", "both")]).await, 20, "{state:?}");
        assert_eq!(count(&engine, &[("run", "round-1")]).await, 10, "{state:?}: one that was begun");
        // Asked again, files are not read again, and the answer is the same.
        for _ in 0..2 {
            let runs = analysis::runs::all(&engine, &Tenant::default()).await.expect("runs");
            let shown: Vec<_> = runs.iter().map(|r| (r.name.as_str(), r.end.map(|end| end - r.start))).collect();
            let lasted = |seconds: i64| Some(seconds * 1_000_000_000 + 10_000_001);
            let expected =
                [("both", lasted(19)), ("7", lasted(4)), ("nightly", lasted(9)), ("round-1", Some(10_000_000_000))];
            assert_eq!(shown, expected, "{state:?}");
        }
    }
    let error = run(&Fixture::new().engine(), "operations", &[("run", "nightly")]).await.expect_err("none");
    assert!(error.message.contains("no run \"nightly\""), "{error:?}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_what_there_is() {
    let mut rows = requests(1, 0, 20, ORDER, "a");
    rows.extend(requests(100, 5, 10, ORDER, "b"));
    let fixture = Fixture::new().with(Signal::Traces, &rows, State::Mixed).await;
    let engine = fixture.with_run("a1", "a", 0, 20_000).with_run("b1", "b", 5_000, 15_000).engine();
    let refused = async |name: &str, parameters: &[(&str, &str)]| {
        let error = run(&engine, name, parameters).await.expect_err("refused");
        format!("{} {}", error.message, error.hint.unwrap_or_default())
    };
    assert!(refused("operations", &[("run", "c")]).await.contains("no run \"c\""));
    assert!(refused("operations", &[("run", "a@40k")]).await.contains("no mark \"40k\""));
    let outside = [("run", "a"), ("start", "1699999990"), ("end", "1700000000")];
    assert!(refused("operations", &outside).await.contains("outside of a"));
    let misspelt = refused("hotspots", &[("run", "a"), ("sevice", "shop")]).await;
    assert!(misspelt.contains("no parameter \"sevice\"") && misspelt.contains("service"), "{misspelt}");
    let both = [("run", "b"), ("baseline_run", "a")];
    assert!(refused("hotspots", &both).await.contains("at the same time"));
    let alone = run(&engine, "run-diff", &[("run", "a")]).await.expect("an answer");
    assert_eq!((&alone["verdict"], &alone["operations"]), (&json!("not_enough_data"), &json!([])));
    assert!(alone["meta"]["notes"][0].as_str().is_some_and(|note| note.contains("baseline_run")), "{alone}");
    let compared = run(&engine, "run-diff", &both).await.expect("told apart by what names them");
    assert_eq!([&compared["a"]["requests"], &compared["b"]["requests"]], [&json!(20), &json!(10)], "{compared:#}");
}

/// The load did not change when the run began: its quiet level is compared from its start on, as its page does.
#[tokio::test]
async fn what_came_before_a_run_is_no_part_of_its_baseline() {
    let every = |first: u64, from_s: i64, seconds: i64, each: u64| {
        let copies = (0..each).flat_map(move |n| requests(first + 1_000 * n, from_s, seconds, ORDER, ""));
        copies.collect::<Vec<Value>>()
    };
    let mut rows = every(1, -60, 90, 5);
    rows.extend(every(10_000, 30, 25, 30));
    let fixture = Fixture::new().with(Signal::Traces, &rows, State::Mixed).await;
    let engine = fixture.with_run("a1", "steps", 0, 55_000).engine();
    let found = run(&engine, "hotspots", &[("run", "steps")]).await.expect("an answer");
    assert_eq!(found["baseline"]["start"], json!("2023-11-14T22:12:20.000000000Z"), "{found:#}");
    assert_eq!(found["baseline"]["requests"], json!(150));
}

#[tokio::test]
async fn a_run_that_has_only_just_ended_says_what_is_left_out() {
    let rows = requests(1, 0, 60, ORDER, "");
    let fixture = Fixture::new().with(Signal::Traces, &rows, State::Mixed).await;
    let engine = fixture.with_run("a1", "fresh", 0, 56_000).with_run("b1", "old", 0, 40_000).engine();
    let notes = async |name: &str| {
        let found = run(&engine, "hotspots", &[("run", name)]).await.expect("an answer");
        found["meta"]["notes"].to_string()
    };
    let told = notes("fresh").await;
    assert!(told.contains("last 8 s") && told.contains("ask again in 8 s"), "ended 4 s ago, and 12 are needed: {told}");
    assert!(!notes("old").await.contains("left out"));
}

#[tokio::test]
async fn runs_are_a_table() {
    let engine = Fixture::new().with_run("a1", "round-1", 0, 20_000).engine();
    let statement = "SELECT id, name, end_time - start_time = INTERVAL '20 seconds', labels, notes FROM runs";
    assert_eq!(answer(&engine, statement).await, ["a1\tround-1\ttrue\t{}\t"]);
}

/// A number of users each of whom asks again as soon as there is an answer, which takes about `ms`; a call to a database is
/// most of it. For a minute from `from_s` on.
fn closed_loop(first: u64, from_s: i64, users: u64, ms: i64) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut id = first;
    for user in 0..users {
        let mut at = from_s * 1_000 + user as i64 * ms / users as i64;
        while at < (from_s + 60) * 1_000 {
            // Up to a fifth more or less, without a pattern.
            let end = at + ms + (id * 7_919 % 101) as i64 * ms / 250 - ms / 5;
            rows.push(span(id, 2 * id, 0, ORDER, at, end));
            rows.push(span(id, 2 * id + 1, 2 * id, ("shop", "SELECT stock", "CLIENT"), at + 2, end - 2));
            (id, at) = (id + 1, end);
        }
    }
    rows
}

/// Ten users: 100 per second at 100 ms each, 71 at 140. The runs have no rate in common, and the same number of requests
/// in the system.
#[tokio::test]
async fn closed_loops_without_a_common_rate_are_compared_at_equal_concurrency() {
    let mut rows = closed_loop(1, -400, 10, 100);
    rows.extend(closed_loop(100_000, -200, 10, 140));
    let fixture = Fixture::new().with(Signal::Traces, &rows, State::Mixed).await;
    let fixture = fixture.with_run("a1", "round-1", -400_000, -340_000).with_run("b1", "round-2", -200_000, -140_000);
    let engine = fixture.engine();
    let found = run(&engine, "run-diff", &[("run", "round-2"), ("baseline_run", "round-1")]).await.expect("an answer");
    assert_eq!(found["verdict"], "worse", "{found:#}");
    let matched = found["matched"].as_array().expect("a list");
    assert_eq!((matched.len(), &matched[0]["matched_by"]), (1, &json!("concurrency")), "{matched:#?}");
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} in {found:#}"));
    for side in ["concurrency_a", "concurrency_b"] {
        assert!((number(&matched[0][side]) - 10.0).abs() < 0.5, "{matched:#?}");
    }
    let throughput = &matched[0]["throughput"];
    assert_eq!((&throughput["measure"], &throughput["outcome"]), (&json!("throughput"), &json!("worse")));
    let truth = 10.0 / 0.14 - 10.0 / 0.1;
    assert!(number(&throughput["low"]) < truth && truth < number(&throughput["high"]), "{throughput}");
    assert!(number(&throughput["high"]) < -20.0, "{throughput}");
    for operation in found["operations"].as_array().expect("a list") {
        assert_eq!(operation["outcome"], "worse", "{operation:#}");
        let mean = &operation["measures"][0];
        assert!(number(&mean["low"]) > 30e6 && number(&mean["high"]) < 50e6, "{mean}");
    }
    // The same rate is the same load, as before; and a run is as good as itself.
    let itself = run(&engine, "run-diff", &[("run", "round-2"), ("baseline_run", "round-2")]).await.expect("an answer");
    let matched = &itself["matched"][0];
    assert_eq!((&matched["matched_by"], &matched["throughput"]), (&json!("rate"), &Value::Null), "{itself:#}");
    assert_ne!(itself["verdict"], "worse");
}

/// 20 orders per second that take the same time, and two returns that take 60 instead of 20 ms.
#[tokio::test]
async fn the_limit_cuts_the_list_and_not_the_verdict() {
    let every = |first: u64, from_s: i64, each: u64, place: (&'static str, &'static str, &'static str), ms: i64| {
        (0..40 * each).map(move |n| {
            let (id, at) = (first + n, from_s * 1_000 + (n * 1_000 / each) as i64);
            span(id, id, 0, place, at, at + ms + (n % 3) as i64)
        })
    };
    let returns = ("shop", "POST /return", "SERVER");
    let mut rows: Vec<Value> = every(1, -400, 20, ORDER, 10).collect();
    rows.extend(every(10_000, -400, 2, returns, 20));
    rows.extend(every(20_000, -200, 20, ORDER, 10));
    rows.extend(every(30_000, -200, 2, returns, 60));
    rows.extend(every(40_000, -200, 1, ("shop", "GET /new", "SERVER"), 5));
    let fixture = Fixture::new().with(Signal::Traces, &rows, State::Mixed).await;
    let fixture = fixture.with_run("a1", "round-1", -400_000, -360_000).with_run("b1", "round-2", -200_000, -160_000);
    let engine = fixture.engine();
    let runs = [("run", "round-2"), ("baseline_run", "round-1")];
    let all = run(&engine, "run-diff", &runs).await.expect("an answer");
    let first = run(&engine, "run-diff", &[runs[0], runs[1], ("limit", "1")]).await.expect("an answer");
    let names = |found: &Value| -> Vec<String> {
        let listed = found["operations"].as_array().expect("a list").iter();
        listed.map(|o| o["operation"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!((names(&all).len(), names(&first)), (3, vec!["POST /return".to_owned()]), "{first:#}");
    for found in [&all, &first] {
        assert_eq!(found["verdict"], "worse", "{found:#}");
        let counts = ["found", "worse", "better", "same", "no_evidence", "too_few_calls", "only_in_a", "only_in_b"];
        let told = found["same"].as_i64().unwrap_or(-1) + found["no_evidence"].as_i64().unwrap_or(-1);
        assert_eq!((&found["found"], &found["worse"], &found["only_in_b"], told), (&json!(3), &json!(1), &json!(1), 1));
        assert!(counts.into_iter().all(|name| found[name] == all[name]), "{found:#}");
    }
    assert_eq!(first["operations"][0], all["operations"][0], "judged among all of them");
}
