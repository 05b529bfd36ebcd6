//! Wrong and hostile requests are answered with a kind and a hint, counted, and cost nobody else anything.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::otlp::{self, PROTOBUF};
use crate::server::{Home, Server, answer};

#[test]
fn bad_requests_are_answered_and_the_server_lives_on() {
    let server = Home::new().start();
    otlp::send(&server, &otlp::export("shop", vec![otlp::span(1, 1, "checkout"), otlp::span(1, 2, "pay")]));
    paths_that_are_not_there(&server);
    names_that_are_not_ours(&server);
    sql_that_may_not_run(&server);
    exports_that_are_wrong(&server);
    the_ledger_adds_up(&server);
    assert_eq!(server.number("SELECT count(*) FROM spans"), 5, "what was right is there, once");
    server.stop();
}

fn error_of(status: StatusCode, answer: &Value, expected: StatusCode, kind: &str) {
    assert_eq!(status, expected, "{answer}");
    let error = &answer["error"];
    assert_eq!(error["kind"], kind, "{answer}");
    assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{answer}");
}

fn paths_that_are_not_there(server: &Server) {
    let get = |path: &str, expected: StatusCode, kind: &str| {
        let (status, answer) = server.get(path);
        error_of(status, &answer, expected, kind);
        answer["error"]["hint"].as_str().unwrap_or_default().to_owned()
    };
    assert!(get("/api/v1/no/such", StatusCode::NOT_FOUND, "not_found").contains("openapi"));
    get("/api/v2/status", StatusCode::NOT_FOUND, "not_found");
    assert!(get("/api/v1/hotspot", StatusCode::NOT_FOUND, "not_found").contains("hotspots"), "names the analyses");
    get("/api/v1/traces/xyz", StatusCode::BAD_REQUEST, "invalid");
    get(&format!("/api/v1/traces/{:032x}", 404), StatusCode::NOT_FOUND, "not_found");
    get("/api/v1/services?start=yesterday", StatusCode::BAD_REQUEST, "invalid");
    get("/api/v1/services?start=now&end=now-1h", StatusCode::BAD_REQUEST, "invalid");
    for unbuilt in ["/jaeger/api/services", "/tempo/api/search", "/prometheus/api/v1/query"] {
        get(unbuilt, StatusCode::NOT_IMPLEMENTED, "unimplemented");
    }
    let put = || server.client.put(server.url("/api/v1/sql"));
    let refused = put().send().expect("an answer");
    assert_eq!(refused.headers()["allow"], "POST");
    assert_eq!(refused.headers()["cache-control"], "no-store");
    let (status, answer) = answer(put());
    error_of(status, &answer, StatusCode::METHOD_NOT_ALLOWED, "invalid");
    let document = server.json("/api/v1/openapi.json");
    assert!(document["paths"].as_object().is_some_and(|p| p.contains_key("/api/v1/sql")), "{document}");
}

/// A foreign site whose name was made to mean 127.0.0.1 must not read.
fn names_that_are_not_ours(server: &Server) {
    let ask = |host: &str| answer(server.client.get(server.url("/api/v1/status")).header("host", host));
    let (status, refused) = ask("evil.example:4320");
    error_of(status, &refused, StatusCode::FORBIDDEN, "forbidden");
    assert_eq!(ask("localhost:4320").0, StatusCode::OK);
}

fn sql_that_may_not_run(server: &Server) {
    let statements = [
        ("SELEC 1", "invalid"),
        ("SELECT no_such_column FROM spans", "invalid"),
        ("SELECT * FROM no_such_table", "invalid"),
        ("SELECT no_such_function(1)", "invalid"),
        ("", "invalid"),
        ("SELECT 1; SELECT 2", "invalid"),
        ("DROP TABLE spans", "invalid"),
        ("INSERT INTO spans SELECT * FROM spans", "invalid"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "invalid"),
        ("COPY (SELECT 1) TO '/tmp/hotspan-it.csv'", "invalid"),
        ("SELECT * FROM '/etc/passwd'", "invalid"),
        ("SET datafusion.execution.batch_size = 1", "invalid"),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t", "invalid"),
    ];
    for (statement, kind) in statements {
        let (status, answer) = server.try_sql(statement);
        error_of(status, &answer, StatusCode::BAD_REQUEST, kind);
        assert!(answer["error"]["hint"].as_str().is_some_and(|h| !h.is_empty()), "no hint for {statement:?}: {answer}");
    }
    // This one would overflow the stack of whoever parses it.
    let deep = format!("SELECT 1{}", "+1".repeat(5_000));
    let (status, answer) = server.try_sql(&deep);
    error_of(status, &answer, StatusCode::UNPROCESSABLE_ENTITY, "limit");
    let (status, answer) = answer_to_text(server, "{\"query\": 1}");
    error_of(status, &answer, StatusCode::BAD_REQUEST, "invalid");
    assert_eq!(server.sql("SELECT 1"), [[json!(1)]]);
}

fn answer_to_text(server: &Server, body: &str) -> (StatusCode, Value) {
    answer(server.client.post(server.url("/api/v1/sql")).body(body.to_owned()))
}

fn exports_that_are_wrong(server: &Server) {
    let post = |path: &str, media_type: &str, body: &[u8]| {
        let response = server.otlp(path, media_type, body.to_vec()).send().expect("an answer");
        (response.status(), response.bytes().expect("a body"))
    };
    let status = |path: &str, media_type: &str, body: &[u8]| post(path, media_type, body).0;
    assert_eq!(status("/v1/traces", PROTOBUF, b"\xff\xff not protobuf"), StatusCode::BAD_REQUEST);
    assert_eq!(status("/v1/traces", "application/json", b"{\"resourceSpans\": [}"), StatusCode::BAD_REQUEST);
    assert_eq!(status("/v1/traces", "text/plain", b"hello"), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(status("/v1/spans", PROTOBUF, b""), StatusCode::NOT_FOUND);
    let unpacked = server.otlp("/v1/traces", PROTOBUF, vec![1, 2, 3]).header("content-encoding", "gzip");
    assert_eq!(unpacked.send().expect("an answer").status(), StatusCode::BAD_REQUEST);

    // One bad span does not cost its neighbours.
    let mut without_id = otlp::span(2, 3, "no id");
    without_id.trace_id = vec![0; 16];
    let mixed = otlp::export("shop", vec![otlp::span(2, 1, "good"), without_id, otlp::span(2, 2, "good")]);
    let (status, body) = post("/v1/traces", PROTOBUF, &mixed.encode_to_vec());
    assert_eq!(status, StatusCode::OK);
    let partial = ExportTraceServiceResponse::decode(body).expect("a message").partial_success.expect("told");
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("trace_id"), "{}", partial.error_message);
    // The same bytes again: taken, and not stored twice.
    let again = otlp::export("shop", vec![otlp::span(3, 1, "again")]);
    otlp::send(server, &again);
    otlp::send(server, &again);
}

/// `received = stored + rejected + refused + duplicates + in_flight`, here and in the metrics.
fn the_ledger_adds_up(server: &Server) {
    let status = server.json("/api/v1/status");
    let metrics = Samples::of(server);
    for table in ["spans", "metrics", "logs"] {
        let account =
            |name: &str| status["ledger"][table][name].as_u64().unwrap_or_else(|| panic!("no {table}.{name}"));
        let sum: u64 = ["stored", "rejected", "refused", "duplicates", "in_flight"].map(account).iter().sum();
        assert_eq!(account("received"), sum, "{table}: {}", status["ledger"]);
        for name in ["received", "stored", "rejected", "refused", "duplicates", "in_flight"] {
            let sample = format!("hotspan_ledger_rows{{table=\"{table}\",account=\"{name}\"}}");
            assert_eq!(metrics.value(&sample), account(name) as f64, "{sample}");
        }
    }
    let spans = &status["ledger"]["spans"];
    // Two, two of three, one; and that one again.
    assert_eq!((&spans["stored"], &spans["duplicates"], &spans["in_flight"]), (&json!(5), &json!(1), &json!(0)));
    assert_eq!(spans["rejected"], 1, "{spans}");
    assert_eq!(metrics.value("hotspan_rejected_total{signal=\"traces\",reason=\"invalid_trace_id\"}"), 1.0);
    assert_eq!(status["damage"], json!([]));
}

/// Prometheus' text format, read strictly.
struct Samples(Vec<(String, f64)>);

impl Samples {
    fn of(server: &Server) -> Self {
        let response = server.request("/metrics").send().expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        let text = response.text().expect("text");
        let (mut samples, mut typed) = (Vec::new(), std::collections::BTreeSet::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(typed.insert(name.to_owned()), "{name} is described twice");
            } else if !line.starts_with("# HELP ") {
                let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
                let name = sample.split('{').next().unwrap_or_default();
                let bare = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
                assert!(name.starts_with("hotspan_"), "{line}");
                assert!(typed.contains(name) || bare.is_some_and(|b| typed.contains(b)), "no type for {line}");
                samples.push((sample.to_owned(), value.parse().unwrap_or_else(|e| panic!("{line}: {e}"))));
            }
        }
        Samples(samples)
    }

    fn value(&self, sample: &str) -> f64 {
        let found = self.0.iter().find(|(name, _)| name == sample);
        found.unwrap_or_else(|| panic!("no sample {sample}")).1
    }
}
