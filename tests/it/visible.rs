//! What was acknowledged is visible: at once to SQL and the trace API of the server, soon to readers of the folder.

use arrow::ipc::reader::StreamReader;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};

use crate::otlp;
use crate::server::{Home, Server, rows_of_csv, until};

/// The statement of the project's description, over durations of 1 to 100 ms.
const PERCENTILES: &str =
    "select service_name, name, approx_percentile_cont(duration_ns, 0.99) as p99 from spans group by 1, 2";

const SPANS: u64 = 100;

#[test]
fn an_acknowledged_span_is_visible_everywhere() {
    let server = Home::new().start();
    every_export_is_visible_at_once(&server);
    commands_show_it_in_every_format(&server);
    media_types_are_those_asked_for(&server);
    let before = the_folder_shows_it_while_the_server_writes(&server);
    let home = server.stop();
    let after = home.sql_on_folder("SELECT count(*) FROM spans")[0][0].parse::<u64>().expect("a number");
    assert!(after > before, "a clean stop writes what was in memory: {after} after {before}");
    check_percentile(&home.sql_on_folder(PERCENTILES));
}

fn trace_id(at: u64) -> u128 {
    u128::from(at) << 64 | 1
}

/// One by one, and each is asked for as soon as its answer is there.
fn every_export_is_visible_at_once(server: &Server) {
    for at in 1..=SPANS {
        let mut span = otlp::span(trace_id(at), at, "checkout");
        span.end_time_unix_nano = span.start_time_unix_nano + at * 1_000_000;
        otlp::send(server, &otlp::export("shop", vec![span]));
        let seen = server.sql(&format!("SELECT duration_ns FROM spans WHERE trace_id = '{:032x}'", trace_id(at)));
        assert_eq!(seen, [[at * 1_000_000]], "span {at}");
    }
    assert_eq!(server.number("SELECT count(*) FROM spans"), SPANS as i64);
    let trace = server.json(&format!("/api/v1/traces/{:032x}", trace_id(5)));
    assert_eq!(trace["spans"][0]["span_id"], format!("{:016x}", 5));
    assert_eq!(trace["duration_ns"], 5_000_000);
}

fn check_percentile(rows: &[Vec<String>]) {
    let row = rows.iter().find(|row| row[1] == "checkout").expect("the operation");
    assert_eq!(row[0], "shop");
    let p99: f64 = row[2].parse().expect("a number");
    // Of 1, 2, …, 100 ms the 99th percentile is 99; the sketch may be off by a rank or so.
    assert!((98e6..=100e6).contains(&p99), "{p99}");
}

fn commands_show_it_in_every_format(server: &Server) {
    let answer = |format: &str, statement: &str| server.sql_command(&["--format", format, statement]).success();
    check_percentile(&rows_of_csv(&answer("csv", PERCENTILES).text()));

    let statement = "SELECT name, duration_ns FROM spans ORDER BY 2 LIMIT 2";
    let table = server.sql_command(&[statement]).success().text();
    assert!(table.contains("| name ") && table.contains("| checkout | 2000000 "), "{table}");
    let value: Value = serde_json::from_str(&answer("json", statement).text()).expect("JSON");
    assert_eq!(value["rows"], json!([["checkout", 1_000_000], ["checkout", 2_000_000]]));
    assert_eq!(answer("csv", statement).text(), "name,duration_ns\ncheckout,1000000\ncheckout,2000000\n");
    assert_eq!(arrow_durations(&answer("arrow", statement).stdout), [1_000_000, 2_000_000]);
    assert_eq!(parquet_durations(answer("parquet", statement).stdout), [1_000_000, 2_000_000]);

    // Statements from standard input, and a wrong one.
    let wrong = server.sql_command(&["SELECT nothing FROM spans"]);
    wrong.refused(&["nothing"]);
    let elsewhere = crate::server::run(["sql", "--server", "http://127.0.0.1:1", "SELECT 1"]);
    elsewhere.refused(&["127.0.0.1:1", "is the server running?"]);
}

fn arrow_durations(bytes: &[u8]) -> Vec<i64> {
    let batches = StreamReader::try_new(bytes, None).expect("an Arrow stream").map(|batch| batch.expect("a batch"));
    batches
        .flat_map(|batch| {
            let column = batch.column_by_name("duration_ns").expect("the column").clone();
            let column = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&column).clone();
            column.values().to_vec()
        })
        .collect()
}

fn parquet_durations(bytes: Vec<u8>) -> Vec<i64> {
    use parquet::record::RowAccessor;
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row"));
    rows.map(|row| row.get_long(1).expect("an int64")).collect()
}

fn media_types_are_those_asked_for(server: &Server) {
    let types = [
        ("application/json", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("*/*", "application/json"),
    ];
    for (asked, expected) in types {
        let response = server.post_sql("SELECT 1 AS one").header("accept", asked).send().expect("an answer");
        assert_eq!(response.status(), 200, "{asked}");
        assert_eq!(response.headers()["content-type"], expected, "{asked}");
    }
    let request = server.client.post(server.url("/api/v1/sql"));
    let body = json!({"query": "SELECT count(*) FROM spans WHERE name = $1", "params": ["checkout"]});
    let (status, value) = crate::server::answer(request.json(&body));
    assert_eq!((status.as_u16(), &value["rows"]), (200, &json!([[SPANS]])), "{value}");
}

/// A reader of the folder needs neither lock nor server. Returns how many spans it saw.
fn the_folder_shows_it_while_the_server_writes(server: &Server) -> u64 {
    let mut next = SPANS;
    until("the rows in the Delta tables", || {
        // The server goes on taking exports meanwhile.
        next += 1;
        otlp::send(server, &otlp::export("other", vec![otlp::span(trace_id(next), next, "later")]));
        let rows = server.home.sql_on_folder("SELECT count(*) FROM spans WHERE service_name = 'shop'");
        (rows == [[SPANS.to_string()]]).then_some(())
    });
    check_percentile(&server.home.sql_on_folder(PERCENTILES));
    let on_folder = server.home.sql_on_folder("SELECT count(*) FROM spans")[0][0].parse().expect("a number");
    assert_eq!(server.number("SELECT count(*) FROM spans"), next as i64, "the server still sees each once");
    on_folder
}
