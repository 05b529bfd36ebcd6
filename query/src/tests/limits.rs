//! Answers that are cut, and queries that are refused, ended or cancelled.

use std::time::Duration;

use futures::future::select_all;
use model::Tenant;
use serde_json::json;

use super::fixture::{Fixture, State, and, lines, shop, span, sql};
use crate::Settings;
use crate::output::Cut;

#[tokio::test]
async fn a_long_answer_is_cut_and_says_so() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(40), State::Mixed).await;
    let engine = fixture.engine_with(Settings { threads: 2, max_rows: 7, ..Settings::default() });
    let result = sql(&engine, "SELECT name FROM spans").await.expect("answers");
    assert_eq!((result.rows(), result.cut), (7, Some(Cut::Rows(7))));
    let result = sql(&engine, "SELECT name FROM spans LIMIT 7").await.expect("answers");
    assert_eq!((result.rows(), result.cut), (7, None));
}

#[tokio::test]
async fn parameters_are_values_and_never_text_of_the_statement() {
    let engine = Fixture::new().with(model::Signal::Traces, &shop(4), State::Memory).await.engine();
    let params = [serde_json::json!("POST /order"), serde_json::json!(1)];
    let text = "SELECT count(*) FROM spans WHERE name = $1 AND duration_ns > $2";
    let result = engine.sql(&Tenant::default(), text, &params).await.expect("answers");
    assert_eq!(lines(&result), ["4"]);
    let params = [serde_json::json!("' OR '1'='1"), serde_json::json!(1)];
    let result = engine.sql(&Tenant::default(), text, &params).await.expect("answers");
    assert_eq!(lines(&result), ["0"]);
    let error = engine.sql(&Tenant::default(), text, &params[..1]).await.expect_err("one is missing");
    assert_eq!(error.kind, model::Kind::Invalid, "{error:?}");
}

#[tokio::test]
async fn a_wrong_name_gets_the_nearest_ones() {
    let engine = Fixture::new().engine();
    let error = sql(&engine, "SELECT servce_name FROM spans").await.expect_err("no such column");
    assert_eq!(error.message, "no column \"servce_name\"");
    assert!(error.hint.as_deref().is_some_and(|h| h.contains("service_name")), "{:?}", error.hint);
    let error = sql(&engine, "SELECT * FROM span").await.expect_err("no such table");
    assert_eq!(error.message, "no table \"span\"");
}

#[tokio::test]
async fn a_join_of_everything_with_everything_ends_with_its_time() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(2_000), State::Mixed).await;
    let engine = fixture.engine_with(Settings { threads: 1, timeout_seconds: 3.0, ..Settings::default() });
    // 6,000 rows three times are 2 * 10^11 comparisons, hours of work, of which none gives a row. Of the first one side
    // does not fit into memory; of the last one, 36 million searches through two texts ten times over, both do.
    for all in [
        "spans a, spans b, spans c WHERE a.duration_ns + b.duration_ns < c.duration_ns - 1000000000000",
        "spans a, spans b, spans c WHERE a.name = b.name AND b.name = c.name",
        "spans a, spans b WHERE repeat(a.resource_attributes || b.resource_attributes, 10) ~ '(a|b|c)*d.*(e|f)+[0-9]{9,}x'",
    ] {
        let all = format!("SELECT count(*) FROM {all}");
        let error = sql(&engine, &all).await.expect_err("takes too long");
        assert_eq!(error.kind, model::Kind::Limit, "{error:?}");
        // There is one thread, and it is free again.
        let after = sql(&engine, "SELECT count(*) FROM spans").await.expect("answers");
        assert_eq!(lines(&after), ["6000"]);
    }
}

#[tokio::test]
async fn a_call_that_compares_all_with_all_is_refused_rather_than_left_to_hold_its_thread() {
    let engine = Fixture::new().with(model::Signal::Traces, &shop(2_000), State::Mixed).await.engine();
    for call in [
        "levenshtein(repeat(trace_id, 100), repeat(span_id, 200))",
        "strpos(repeat('a', 10000) || trace_id, repeat('a', 8000))",
    ] {
        let text = format!("SELECT max({call}) FROM spans");
        let error = sql(&engine, &text).await.expect_err("ten million pairs a row");
        assert_eq!(error.kind, model::Kind::Invalid, "{error:?}");
        assert!(error.message.contains("pairs of letters at once, at most"), "{error:?}");
    }
    let text = "SELECT levenshtein('kitten', 'sitting'), strpos('Thomas', 'om'), max(levenshtein(name, 'POST /ordre')), \
                max(strpos(resource_attributes, 'nowhere')) FROM spans WHERE name = 'POST /order'";
    assert_eq!(lines(&sql(&engine, text).await.expect("answers")), ["3\t3\t2\t0"]);
}

#[tokio::test]
async fn a_long_delimiter_is_refused_wherever_it_comes_from() {
    let engine = Fixture::new().with(model::Signal::Traces, &shop(2), State::Memory).await.engine();
    for text in [
        "SELECT string_agg(name, repeat('x', 1025)) FROM spans",
        "SELECT (SELECT max(length(t)) FROM (SELECT string_agg(name, repeat('x', 1025)) AS t FROM spans) a)",
        "SELECT string_agg(name, repeat('x', 1025)) OVER (ORDER BY start_time) FROM spans",
    ] {
        let error = sql(&engine, text).await.expect_err("too long");
        assert_eq!(error.message, "string_agg's delimiter has 1025 bytes, at most 1024 are allowed", "{text}");
    }
    let text = "SELECT string_agg(DISTINCT service_name, ' + ' ORDER BY service_name) FROM spans";
    let found = lines(&sql(&engine, text).await.expect("answers"));
    assert!(found[0].contains(" + "), "{found:?}");
}

#[tokio::test]
async fn a_wrong_pattern_is_told_in_one_line() {
    let store = |state| async move { Fixture::new().with(model::Signal::Traces, &shop(2), state).await.engine() };
    // Conditions on rows in files fail within their scan, which tells it in other words.
    let engines = [store(State::Memory).await, store(State::Files).await];
    for (condition, why) in [
        ("name ~ '(unclosed'", "unclosed group"),
        ("name ~ ('x' || '(')", "unclosed group"),
        ("regexp_like(name, concat('x', '('))", "unclosed group"),
        ("name !~* '[z-a]'", "invalid character class range, the start must be <= the end"),
        ("name ~ '(((a{1,100}){1,100}){1,100})'", "it is too large when its repetitions are written out"),
        ("regexp_like(name, '(((a{1,100}){1,100}){1,100})')", "it is too large when its repetitions are written out"),
        (
            "regexp_count(name, '(((a{1,100}){1,100}){1,100})') > 0",
            "it cannot be parsed, or is too large when its repetitions are written out",
        ),
    ] {
        let text = format!("SELECT count(*) FROM spans WHERE {condition}");
        let expected = format!("the regular expression cannot be used: {why}");
        for engine in &engines {
            let error = sql(engine, &text).await.expect_err("no pattern");
            assert_eq!((error.kind, error.message.as_str()), (model::Kind::Invalid, expected.as_str()), "{condition}");
        }
    }
}

const FOR_EVER: Duration = Duration::from_secs(3_600);
/// 144 million pairs of 12,000 spans, each a search through two texts five times over; one side fits into memory.
const ENDLESS: &str = "SELECT count(*) FROM spans a, spans b \
                       WHERE repeat(a.resource_attributes || b.resource_attributes, 5) ~ '(a|b|c)*d.*(e|f)+[0-9]{9,}x'";

#[tokio::test]
async fn a_quick_statement_waits_for_none_that_cost_much() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(4_000), State::Mixed).await;
    let engine = fixture.engine_with(Settings {
        threads: 1,
        concurrency: 2,
        timeout_seconds: 600.0,
        patience: FOR_EVER,
        ..Settings::default()
    });
    // Two go on, one stands still, and there is a place for a quick one.
    let ask = |text| Box::pin(sql(&engine, text));
    let mut asked = vec![ask(ENDLESS), ask(ENDLESS), ask(ENDLESS)];
    for _ in 0..5 {
        asked.push(ask("SELECT count(*) FROM spans"));
        let (answer, _, others) = select_all(asked).await;
        assert_eq!(lines(&answer.expect("answers")), ["12000"], "before any of the others ends");
        asked = others;
    }
}

#[tokio::test]
async fn who_asks_for_too_much_makes_room_when_others_wait() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(4_000), State::Mixed).await;
    let patience = Duration::from_millis(500);
    let settings = Settings { threads: 1, concurrency: 1, timeout_seconds: 600.0, patience, ..Settings::default() };
    let engine = fixture.engine_with(settings);
    let ask = |text| Box::pin(sql(&engine, text));
    let (ended, _, other) = select_all([ask(ENDLESS), ask(ENDLESS)]).await;
    let error = ended.expect_err("ended");
    assert!(error.kind == model::Kind::Limit && error.message.contains("others wait"), "{error:?}");
    // Whoever goes away makes room as well: there is one place.
    drop(other);
    let answer = ask("SELECT count(*) FROM spans").await.expect("answers");
    assert_eq!(lines(&answer), ["12000"]);
}

#[tokio::test]
async fn a_join_whose_side_does_not_fit_into_memory_says_so_at_once() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(2_000), State::Mixed).await;
    let engine = fixture.engine_with(Settings { threads: 2, ..Settings::default() });
    // 36 million pairs on one side. DataFusion's own way out reads the side again, which panics or gives rows twice.
    let all = "SELECT count(*) FROM spans a, spans b, spans c WHERE a.duration_ns + b.duration_ns < c.duration_ns - 7";
    let error = sql(&engine, all).await.expect_err("too much");
    assert!(error.kind == model::Kind::Limit && error.message.contains("query.memory_bytes"), "{error:?}");
}

#[tokio::test]
async fn what_needs_more_room_on_disk_than_there_is_for_it_is_told_so() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(8_000), State::Files).await;
    let settings = Settings { threads: 2, memory_bytes: 8 << 20, spill_bytes: 64 << 10, ..Settings::default() };
    let engine = fixture.engine_with(settings);
    let all = "SELECT count(*) FROM (SELECT DISTINCT trace_id || span_id || resource_attributes || repeat('x', 400) FROM spans)";
    let error = sql(&engine, all).await.expect_err("does not fit");
    assert_eq!(error.kind, model::Kind::Limit, "{error:?}");
    assert!(error.message.contains("query.spill_bytes") || error.message.contains("query.memory_bytes"), "{error:?}");
}

#[tokio::test]
async fn a_trace_in_many_files_needs_little_memory() {
    // Of each file one span is the trace's, beside 400 with texts of 5 kB in the same pages: 40 MB in all.
    let rows = |file: u64| -> Vec<_> {
        let row = |n: u64| {
            let id = file * 1_000 + n;
            let trace = if n == 200 { 7 } else { id + 100 };
            let row =
                span(trace, id + 1, 0, ("stream", "poll", "CONSUMER"), file as i64 * 1_000, file as i64 * 1_000 + 1);
            and(row, json!({ "url_path": format!("/{id}{}", "x".repeat(5_000)) }))
        };
        (0..400).map(row).collect()
    };
    let files: Vec<_> = (0..20).map(rows).collect();
    let fixture = Fixture::new().with_files(model::Signal::Traces, &files, 1_000).await;
    let engine = fixture.engine_with(Settings { threads: 2, memory_bytes: 64 << 20, ..Settings::default() });
    let trace = engine.trace(&Tenant::default(), model::TraceId(7u128.to_be_bytes()), 100).await.expect("a trace");
    assert_eq!(trace["spans"].as_array().map(Vec::len), Some(20));
    let text = format!("SELECT url_path FROM spans WHERE trace_id = '{:032x}' ORDER BY start_time LIMIT 30", 7);
    let found = lines(&sql(&engine, &text).await.expect("answers"));
    assert_eq!(found, (0..20).map(|file| format!("/{}{}", file * 1_000 + 200, "x".repeat(5_000))).collect::<Vec<_>>());
}

/// Each of these took gigabytes, or the process with it, before anybody looked how much memory it has.
#[tokio::test]
async fn what_takes_memory_before_anybody_looks_is_refused_and_says_why() {
    let engine = Fixture::new().with(model::Signal::Traces, &shop(2), State::Memory).await.engine();
    let tower = format!("SELECT arrow_cast(1, '{}Int8{}')", "List(".repeat(6_000), ")".repeat(6_000));
    let literal = format!("SELECT '{}' AS r FROM spans", "x".repeat(17_000));
    let cases = [
        ("SELECT approx_percentile_cont(duration_ns, 0.5, 100000000000000) FROM spans", "centroids"),
        ("SELECT approx_percentile_cont(duration_ns, 0.5, 9223372036854775807) FROM spans", "centroids"),
        ("SELECT approx_percentile_cont_with_weight(duration_ns, 1, 0.5, 100000000000000) FROM spans", "centroids"),
        (
            "SELECT DISTINCT arrow_cast(NULL, 'FixedSizeList(2147483647, Int64)') s, span_id FROM spans",
            "a type of size",
        ),
        (
            "SELECT arrow_try_cast(NULL, 'FixedSizeBinary(2147483647)') s, count(*) FROM spans GROUP BY 1",
            "a type of size",
        ),
        (&tower, "levels deep"),
        (&literal, "a constant of"),
        ("SELECT repeat('x', 60000) AS r FROM spans", "a constant of"),
        ("SELECT sum(cardinality(a)) FROM (SELECT array_agg(span_id) OVER () a FROM spans)", "over a window"),
        ("SELECT string_agg(trace_id, ',') OVER (ORDER BY start_time) FROM spans", "over a window"),
        ("SELECT count(*) FROM spans WHERE name ~ ('\\w{60}' || duration_ns::text)", "has to be a constant"),
        ("SELECT regexp_like(name, span_id) FROM spans", "has to be a constant"),
        (
            "SELECT count(u) FROM (SELECT unnest(string_to_array(repeat(name || ',', 200000), ',')) u FROM spans)",
            "make",
        ),
        ("SELECT to_char(start_time, repeat('%+', 3500 + duration_ns % 3)) FROM spans", "a format of"),
    ];
    for (text, part) in cases {
        let error = sql(&engine, text).await.expect_err(part);
        assert!(error.message.contains(part) && error.message.len() < 300, "{part}: {error:?}");
        assert!(matches!(error.kind, model::Kind::Invalid | model::Kind::Limit), "{error:?}");
    }
    let text = "SELECT approx_percentile_cont(duration_ns, 0.5, 200) > 0, max(arrow_cast(duration_ns, 'Int32')) > 0, \
                max(cardinality(string_to_array(name, ' '))), count(*) FILTER (WHERE name ~ 'POST') > 0, \
                max(length(to_char(start_time, '%Y-%m-%d'))) FROM spans";
    assert_eq!(lines(&sql(&engine, text).await.expect("answers")), ["true\ttrue\t2\ttrue\t10"]);
}

#[tokio::test]
async fn an_answer_is_cut_by_what_is_written_not_by_what_its_rows_share() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(40), State::Mixed).await;
    let engine = fixture.engine_with(Settings { threads: 2, max_bytes: 100_000, ..Settings::default() });
    let result = sql(&engine, "SELECT repeat('x', 9996) AS r FROM spans").await.expect("answers");
    assert_eq!((result.rows(), result.cut, result.bytes), (10, Some(Cut::Bytes(100_000)), 100_000));
    let json = crate::output::write(&result, crate::output::Format::Json).expect("JSON");
    assert!((100_000..101_000).contains(&json.len()), "{}", json.len());
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(
        (&json["truncated"], &json["cut"]["setting"], &json["cut"]["most"]),
        (&json!(true), &json!("max_bytes"), &json!(100_000))
    );
}

#[tokio::test]
async fn a_table_that_its_longest_value_makes_too_wide_is_refused() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(200), State::Memory).await;
    let engine = fixture.engine();
    let text = "SELECT repeat(name, CASE WHEN span_id = (SELECT min(span_id) FROM spans) THEN 90000 ELSE 0 END) AS r FROM spans";
    let result = sql(&engine, text).await.expect("answers");
    let error = crate::output::write(&result, crate::output::Format::Table).expect_err("half a gigabyte of spaces");
    assert!(error.message.contains("too wide for a table"), "{error:?}");
    crate::output::write(&result, crate::output::Format::Csv).expect("CSV");
}
