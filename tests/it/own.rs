//! hotspan watches itself: what it sends of its own to `--self-endpoint`, here itself, and that this does not feed on
//! itself.

use std::process::Command;

use serde_json::{Value, json};

use crate::otlp;
use crate::server::{Home, Server, until};

/// Written to files at once, so that flushes are part of what may feed on itself.
const SETTINGS: &str = "[storage]\nhold_seconds = 0.1\nflush_seconds = 0.1\n";
const STORED: &str = "hotspan_ledger_rows{table=\"spans\",account=\"stored\"}";

/// A server on a port that is known before it starts, so that it can be told to send to itself.
fn watching_itself(home: &Home) -> Server {
    let settings = home.file("own.toml", SETTINGS);
    until("a server on a port chosen before", || {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
        let (grpc, endpoint) = (format!("--otlp-grpc={free}"), format!("--self-endpoint=http://{free}"));
        let mut command: Command = home.serve(&["--config", &settings, &grpc, &endpoint]);
        command.env("OTEL_BSP_SCHEDULE_DELAY", "100").env("OTEL_METRIC_EXPORT_INTERVAL", "600000");
        let mut server = Server::spawn(home.clone(), command);
        // Another program may have taken the port meanwhile.
        server.is_ready_or_gone().then(|| server.ready())
    })
}

/// Spans stored so far, when all of them are in files. Asking for metrics makes no span.
fn settled(server: &Server) -> f64 {
    until("everything in files", || {
        let before = server.metric(STORED);
        let in_memory = server.metric("hotspan_memory_rows");
        (before > 0.0 && in_memory == 0.0 && server.metric(STORED) == before).then_some(before)
    })
}

#[test]
fn it_sees_its_own_requests_and_steps_and_does_not_feed_on_them() {
    let home = Home::new();
    let server = watching_itself(&home);
    let named = |name: &str| {
        let found = format!("SELECT * FROM spans WHERE service_name = 'hotspan' AND name = '{name}'");
        until(name, || server.objects(&found).into_iter().next())
    };
    assert_eq!(named("open store")["parent_span_id"], named("start")["span_id"], "replay is a part of the start");

    // Another program's export is no span, writing it to files is one.
    otlp::send(&server, &otlp::export("shop", vec![otlp::span(1, 1, "checkout"), otlp::span(1, 2, "pay")]));
    let flush = named("flush");
    let of = |span: &Value, key: &str| -> Value {
        let attributes: Value = serde_json::from_str(span["attributes"].as_str().unwrap_or("{}")).expect("JSON");
        attributes[key].clone()
    };
    // Its own spans may have been written with them.
    assert!(of(&flush, "rows").as_i64() >= Some(2) && of(&flush, "exports").as_i64() >= Some(1), "{flush}");

    let asked = server.sql("SELECT name FROM spans WHERE service_name = 'shop'");
    assert_eq!(asked.len(), 2);
    let request = named("POST /api/v1/sql");
    assert_eq!((&request["kind"], of(&request, "http.response.status_code")), (&json!("SERVER"), json!(200)));
    let question = named("sql");
    assert_eq!(of(&question, "hotspan.tenant"), "default", "{question}");
    assert!(of(&question, "hotspan.rows").is_u64(), "{question}");
    let (status, _) = server.get("/api/v1/services?start=yesterday");
    assert_eq!(status, 400);
    let wrong = named("analysis services");
    assert_eq!((&wrong["status_code"], of(&wrong, "error.type")), (&json!("ERROR"), json!("invalid")), "{wrong}");
    let ours = "SELECT count(*) FROM spans WHERE service_name = 'hotspan' AND name ILIKE '%export%'";
    assert_eq!(server.number(ours), 0, "receiving makes no span");

    // A request makes spans that are stored in turn. Were their storing seen as well, each round would make a flush more,
    // and that one another. (Files with the other program's spans may be merged meanwhile, which is seen, but seldom.)
    const ROUNDS: u32 = 5;
    let steps = |name: &str| {
        server.number(&format!("SELECT count(*) FROM spans WHERE service_name = 'hotspan' AND name = '{name}'"))
    };
    let (flushes, merges) = (steps("flush"), steps("compact"));
    let mut before = settled(&server);
    for _ in 0..ROUNDS {
        server.sql("SELECT 1");
        before = until("the spans of one request", || {
            let after = settled(&server);
            (after > before).then_some(after)
        });
    }
    assert_eq!(steps("flush"), flushes, "writing its own spans to files makes no span");
    assert!(steps("compact") - merges < i64::from(ROUNDS), "{merges} merges, then {}", steps("compact"));
    server.stop();
}

#[test]
fn its_figures_come_as_metrics() {
    let home = Home::new();
    let server = watching_itself(&home);
    otlp::send(&server, &otlp::export("shop", vec![otlp::span(1, 1, "checkout")]));
    // They are sent once a minute, and when it stops.
    let home = server.stop();
    let query = "SELECT value FROM metrics WHERE service_name = 'hotspan' AND name = 'hotspan_ledger_rows' \
                 AND attributes->>'table' = 'spans' AND attributes->>'account' = 'stored'";
    let value: f64 = home.sql_on_folder(query)[0][0].parse().expect("a number");
    assert!(value >= 1.0, "{value}");
}
