//! What is not read: proven by the metrics of `EXPLAIN ANALYZE`.

use model::Signal;
use serde_json::json;

use super::fixture::{Fixture, and, answer, span};
use crate::Engine;

/// Three files: two services with row groups of 8 spans each, and one file an hour older.
async fn store() -> Engine {
    let rows = |service: &str, first: u64, shift_ms: i64| -> Vec<_> {
        (0..64)
            .map(|n| {
                let at = shift_ms + n as i64 * 100;
                let row = span(first + n, first + n, 0, (service, &format!("op-{:02}", n / 8), "SERVER"), at, at + 10);
                and(row, json!({ "http_route": format!("/r{:02}", n / 8) }))
            })
            .collect()
    };
    let files = [rows("cart", 1, 0), rows("stock", 1_001, 0), rows("stock", 2_001, -3_600_000)];
    Fixture::new().with_files(Signal::Traces, &files, 8).await.engine()
}

/// The metric `name` of the only scan in the plan: what was pruned and how much there was (`64 total → 1 matched`).
async fn metric(engine: &Engine, query: &str, name: &str) -> (usize, usize) {
    let plan = answer(engine, &format!("EXPLAIN ANALYZE {query}")).await.join("\n");
    let text = plan.split(&format!("{name}=")).nth(1).unwrap_or_else(|| panic!("no {name} in {plan}"));
    let numbers: Vec<usize> = text
        .split([',', ']'])
        .next()
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect();
    (numbers[0], *numbers.get(1).unwrap_or(&numbers[0]))
}

async fn files_read(engine: &Engine, query: &str) -> usize {
    let plan = answer(engine, &format!("EXPLAIN {query}")).await.join("\n");
    plan.matches(".parquet").count()
}

#[tokio::test]
async fn one_trace_is_found_through_bloom_filters() {
    let engine = store().await;
    let query = format!("SELECT name FROM spans WHERE trace_id = '{:032x}'", 1_010);
    assert_eq!(answer(&engine, &query).await, ["op-01"]);
    assert_eq!(files_read(&engine, &query).await, 1, "of three files");
    let (total, matched) = metric(&engine, &query, "row_groups_pruned_bloom_filter").await;
    assert_eq!(total, 8, "all row groups of its file were asked");
    assert!(matched <= 2, "{matched} row groups matched");
}

#[tokio::test]
async fn no_trace_is_lost_between_the_blocks_of_filters() {
    let engine = store().await;
    let mut read = 0;
    for (trace, found) in (1..=64).chain(1_001..=1_064).chain(2_001..=2_064).map(|n| (n, "1")).chain([(9_999, "0")]) {
        let query = format!("SELECT count(*) FROM spans WHERE trace_id = '{trace:032x}'");
        assert_eq!(answer(&engine, &query).await, [found], "{trace}");
        read += files_read(&engine, &query).await;
    }
    // Each is in one file; a filter errs once in a hundred times for each of eight row groups.
    assert!((192..250).contains(&read), "{read} files were read for 193 traces");
}

#[tokio::test]
async fn a_list_of_traces_prunes_too() {
    let engine = store().await;
    let list = format!("SELECT name FROM spans WHERE trace_id IN ('{:032x}', '{:032x}', 'nonsense')", 5, 1_010);
    assert_eq!(answer(&engine, &list).await.len(), 2);
    let (_, matched) = metric(&engine, &list, "row_groups_pruned_bloom_filter").await;
    assert!(matched <= 4, "{matched} row groups matched");
}

#[tokio::test]
async fn a_join_on_ids_compares_what_is_stored() {
    let engine = store().await;
    let join =
        format!("SELECT b.name FROM spans a JOIN spans b ON a.trace_id = b.trace_id WHERE a.span_id = '{:016x}'", 5);
    assert_eq!(answer(&engine, &join).await, ["op-00"]);
    let plan = answer(&engine, &format!("EXPLAIN {join}")).await.join("\n");
    assert!(plan.contains("__stored_left_trace_id") && plan.contains("__stored_right_trace_id"), "{plan}");
}

#[tokio::test]
async fn text_that_is_no_id_matches_nothing_and_reads_nothing() {
    let engine = store().await;
    for text in ["xyz", "", "00", "zz000000000000000000000000000001", "0000000000000000000000000000000A"] {
        let query = format!("SELECT count(*) FROM spans WHERE trace_id = '{text}'");
        assert_eq!(answer(&engine, &query).await, ["0"], "{text:?}");
        assert_eq!(files_read(&engine, &query).await, 0, "{text:?}");
    }
}

#[tokio::test]
async fn the_newest_are_sorted_by_what_is_stored_so_that_older_files_can_be_skipped() {
    let engine = store().await;
    let newest = "SELECT name FROM spans WHERE service_name = 'stock' ORDER BY start_time DESC, span_id DESC LIMIT 3";
    let ids = "SELECT span_id FROM spans ORDER BY start_time DESC, duration_ns LIMIT 4 OFFSET 1";
    // Every 100 ms a span of either service starts; the last is the 64th of its eighth operation.
    assert_eq!(answer(&engine, newest).await, ["op-07"; 3]);
    let found = answer(&engine, ids).await;
    let two_of = |n: u64| [format!("{n:016x}"), format!("{:016x}", n + 1_000)];
    assert!(found[1..3].iter().all(|id| two_of(63).contains(id)), "{found:?}");
    let oldest = "SELECT span_id FROM spans ORDER BY start_time LIMIT 2";
    assert_eq!(answer(&engine, oldest).await, [format!("{:016x}", 2_001), format!("{:016x}", 2_002)]);
    for query in [ids, oldest] {
        let plan = answer(&engine, &format!("EXPLAIN {query}")).await.join("\n");
        assert!(plan.contains("TopK") && plan.contains("[start_time_unix_nano@"), "{plan}");
        let scan = plan.split("DataSourceExec").nth(1).expect("a scan of files");
        assert!(scan.contains("DynamicFilter"), "{plan}");
    }
    // Sorted by something else as well, which is not a column: as it was.
    let mixed = "SELECT span_id FROM spans ORDER BY start_time DESC, length(name) LIMIT 1";
    assert_eq!(answer(&engine, mixed).await.len(), 1);
}

#[tokio::test]
async fn files_outside_the_time_are_not_opened() {
    let engine = store().await;
    for query in [
        "SELECT count(*) FROM spans WHERE start_time >= '2023-11-14T22:10:00Z' AND name <> ''",
        "SELECT count(*) FROM spans WHERE start_time > now() - interval '10 minutes' AND name <> ''",
        "SELECT count(*) FROM spans WHERE start_time BETWEEN '2023-11-14T22:10:00Z' AND '2023-11-14T22:30:00Z' AND name <> ''",
    ] {
        assert_eq!(answer(&engine, query).await, ["128"], "{query}");
        assert_eq!(files_read(&engine, query).await, 2, "{query}");
    }
}

#[tokio::test]
async fn service_and_operation_prune_files_and_row_groups() {
    let engine = store().await;
    let query = "SELECT count(*) FROM spans WHERE service_name = 'cart' AND name = 'op-03'";
    assert_eq!(answer(&engine, query).await, ["8"]);
    assert_eq!(files_read(&engine, query).await, 1);
    assert_eq!(metric(&engine, query, "row_groups_pruned_statistics").await, (8, 1));
}

#[tokio::test]
async fn a_promoted_attribute_prunes_by_statistics() {
    let engine = store().await;
    for query in [
        "SELECT count(*) FROM spans WHERE attributes->>'http.route' = '/r03'",
        "SELECT count(*) FROM spans s WHERE s.attributes->>'http.route' = '/r03'",
        "SELECT count(*) FROM spans WHERE http_route = '/r03'",
    ] {
        assert_eq!(answer(&engine, query).await, ["24"], "{query}");
        assert_eq!(metric(&engine, query, "row_groups_pruned_statistics").await, (24, 3), "{query}");
    }
}

/// Two files of 64 spans; each second span has a user, one of them a number, which stays in the JSON text.
async fn users() -> Engine {
    let rows = |first: u64| -> Vec<_> {
        let row = |n: u64| {
            let at = n as i64 * 100;
            let row = span(first + n, first + n, 0, ("cart", &format!("op-{:02}", n / 8), "SERVER"), at, at + 10);
            match n {
                7 => and(row, json!({ "attributes": "{\"user.id\":42}" })),
                n if n % 2 == 0 => and(row, json!({ "user_id": format!("u-{}", first + n) })),
                _ => row,
            }
        };
        (0..64).map(row).collect()
    };
    Fixture::new().with_files(Signal::Traces, &[rows(1_000), rows(2_000)], 8).await.engine()
}

#[tokio::test]
async fn one_user_is_found_through_bloom_filters() {
    let engine = users().await;
    for query in [
        "SELECT count(*) FROM spans WHERE attributes->>'user.id' = 'u-2010'",
        "SELECT count(*) FROM spans s WHERE 'u-2010' = s.attributes->>'user.id' AND s.duration_ns > 0",
        "SELECT count(*) FROM spans WHERE user_id = 'u-2010'",
    ] {
        assert_eq!(answer(&engine, query).await, ["1"], "{query}");
        assert_eq!(files_read(&engine, query).await, 1, "{query}: of two files");
        let (_, matched) = metric(&engine, query, "row_groups_pruned_bloom_filter").await;
        let (_, by_statistics) = metric(&engine, query, "row_groups_pruned_statistics").await;
        assert!(matched.min(by_statistics) <= 3, "{query}: {matched} and {by_statistics} of 16 row groups");
    }
}

#[tokio::test]
async fn a_user_that_is_a_number_and_users_that_are_not_wanted_are_found_as_before() {
    let engine = users().await;
    for (condition, found) in [
        ("attributes->>'user.id' = '42'", "2"),
        // All but this user's, and not those without a user: what is unknown is not unequal.
        ("NOT (attributes->>'user.id' = 'u-2010')", "65"),
        ("attributes->>'user.id' <> 'u-2010'", "65"),
        ("attributes->>'user.id' = 'u-2010' OR attributes->>'user.id' = '42'", "3"),
        ("(attributes->>'user.id' = 'u-2010') IS NULL", "62"),
    ] {
        assert_eq!(
            answer(&engine, &format!("SELECT count(*) FROM spans WHERE {condition}")).await,
            [found],
            "{condition}"
        );
    }
}

#[tokio::test]
async fn the_newest_spans_are_found_without_reading_old_files() {
    let engine = store().await;
    let query = "SELECT name FROM spans ORDER BY start_time DESC LIMIT 2";
    assert_eq!(answer(&engine, query).await, ["op-07", "op-07"]);
}

#[tokio::test]
async fn counting_reads_no_rows() {
    let engine = store().await;
    assert_eq!(answer(&engine, "SELECT count(*) FROM spans").await, ["192"]);
    assert_eq!(files_read(&engine, "SELECT count(*) FROM spans").await, 0);
}

#[tokio::test]
#[ignore = "prints the answer to HOTSPAN_SQL over the store of these tests"]
async fn ask() {
    let text = std::env::var("HOTSPAN_SQL").expect("HOTSPAN_SQL is set");
    println!("{}", answer(&store().await, &text).await.join("\n"));
}
