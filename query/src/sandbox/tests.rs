//! What the sandbox lets through, and what it refuses before planning.

use super::*;

fn message(text: &str) -> String {
    check(text).expect_err(text).message
}

#[test]
fn queries_that_read_may_run() {
    for text in [
        "SELECT 1",
        "select * from spans;",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "VALUES (1)",
        "SELECT * FROM spans WHERE name IN ('a','b') ORDER BY 1 LIMIT 5",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE VERBOSE SELECT 1",
        "DESCRIBE spans",
        "SELECT attributes->>'a' FROM spans WHERE attributes ? 'b'",
    ] {
        assert!(matches!(check(text), Ok(Permitted::Statement(_))), "{text}");
    }
    assert!(matches!(check("SHOW TABLES"), Ok(Permitted::ShowTables)));
}

/// Found by changing statements by chance: the planner panicked.
#[test]
fn a_subquery_names_a_column() {
    for text in ["SELECT (SELECT FROM spans)", "SELECT 1 WHERE 1 IN ((SELECT FROM spans) UNION SELECT 1)"] {
        assert_eq!(message(text), "a subquery selects no column", "{text}");
    }
    check("SELECT FROM spans").expect("rows without columns are PostgreSQL's");
    check("SELECT 1 WHERE EXISTS (SELECT FROM spans)").expect("rows are asked for, not columns");
}

#[test]
fn messages_say_what_is_refused() {
    assert_eq!(message("DROP TABLE spans"), "DROP TABLE is refused: only queries that read are allowed");
    assert_eq!(
        message("EXPLAIN DELETE FROM spans"),
        "EXPLAIN DELETE FROM is refused: only queries that read are allowed"
    );
    assert_eq!(message("SELECT 1; SELECT 2"), "2 statements at once");
    assert_eq!(message(""), "the statement is empty");
    assert!(message("WITH RECURSIVE t AS (SELECT 1) SELECT * FROM t").starts_with("WITH RECURSIVE is refused"));
}

#[test]
fn limits_are_told_with_the_numbers() {
    let text = format!("SELECT 1{}", "+1".repeat(MAX_OPERATORS + 1));
    assert_eq!(
        message(&text),
        format!("the statement has {} operators, at most {MAX_OPERATORS} are allowed", MAX_OPERATORS + 1)
    );
    let list = format!("SELECT 1 WHERE 1 IN (1{})", ",1".repeat(MAX_LIST));
    assert_eq!(
        message(&list),
        format!("the statement has {} values in one IN list, at most {MAX_LIST} are allowed", MAX_LIST + 1)
    );
    check(&format!("SELECT 1 WHERE 1 IN (1{})", ",1".repeat(MAX_LIST - 1))).expect("a list at its limit");
}

#[test]
fn names_that_double_are_counted_where_they_are_used() {
    let steps = |n: usize| -> String {
        let steps: String = (0..n).map(|n| format!(", t{} AS (SELECT 1 FROM t{n} a, t{n} b)", n + 1)).collect();
        format!("WITH t0 AS (SELECT 1 FROM spans){steps} SELECT * FROM t{n}")
    };
    check(&steps(8)).expect("256 tables");
    assert!(message(&steps(9)).contains("reads 512 tables"));
    // A name of the same text in a subquery of its own counts at least as much.
    check("SELECT (WITH a AS (SELECT 1) SELECT count(*) FROM a), (WITH a AS (SELECT 2) SELECT count(*) FROM a)")
        .expect("small");
}

#[test]
fn columns_that_double_are_counted_through_nested_queries() {
    let steps = |n: usize| -> String {
        let steps: String =
            (0..n).map(|n| format!(", t{} AS (SELECT a || b AS a, b || a AS b FROM t{n})", n + 1)).collect();
        format!("WITH t0 AS (SELECT name AS a, kind AS b FROM spans){steps} SELECT a FROM t{n}")
    };
    check(&steps(13)).expect("8,192 columns");
    assert!(message(&steps(14)).contains("grow 16384 times"));
    check("SELECT a FROM (SELECT name AS a FROM (SELECT * FROM spans) x WHERE kind = 'SERVER' AND name <> '') y")
        .expect("small");
}

#[test]
fn what_makes_plans_wide_is_counted() {
    let list = |n: usize, of: &dyn Fn(usize) -> String| (0..n).map(of).collect::<Vec<_>>().join(", ");
    let keys = |n: usize| list(n, &|i| format!("substr(name, {i})"));
    let cases = [
        (format!("SELECT {} FROM spans", list(1_001, &|i| format!("name a{i}"))), "1001 columns in one SELECT"),
        (format!("SELECT 1 FROM {}", list(66, &|i| format!("spans r{i}"))), "66 tables"),
        (format!("SELECT name FROM spans ORDER BY {}", keys(65)), "65 sort keys"),
        (format!("SELECT 1 FROM spans GROUP BY {}", keys(65)), "65 grouping keys"),
        (format!("SELECT array_agg(name ORDER BY {}) FROM spans", keys(65)), "65 sort keys"),
        (format!("SELECT 1 FROM spans GROUP BY CUBE({})", keys(16)), "65536 grouping sets"),
        (format!("SELECT 1 FROM spans GROUP BY CUBE({}), CUBE({})", keys(4), keys(4)), "256 grouping sets"),
        (format!("SELECT {} FROM spans", list(65, &|i| format!("sum(1) OVER (ORDER BY name, {i}) w{i}"))), "65 window"),
        (format!("SELECT sum(1) OVER (PARTITION BY {}) FROM spans", keys(65)), "65 partition keys"),
    ];
    for (text, part) in cases {
        assert!(message(&text).contains(part), "{part}: {}", message(&text));
    }
    let frame =
        "SELECT sum(1) OVER (ORDER BY name ROWS BETWEEN 1 PRECEDING AND 18446744073709551615 FOLLOWING) FROM spans";
    assert!(message(frame).contains("reaches 18446744073709551615 rows"), "{}", message(frame));
    assert!(message("SELECT count(*) FROM spans TABLESAMPLE (10)").contains("TABLESAMPLE is refused"));
    for text in [
        "SELECT service_name, name, count(*) FROM spans GROUP BY CUBE(service_name, name)",
        "SELECT sum(1) OVER (ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND 10 FOLLOWING) FROM spans",
        "SELECT sum(1) OVER (ORDER BY duration_ns RANGE BETWEEN 60000000000 PRECEDING AND CURRENT ROW) FROM spans",
        "SELECT sum(1) OVER (ORDER BY start_time RANGE BETWEEN INTERVAL '1 minute' PRECEDING AND CURRENT ROW) FROM spans",
    ] {
        check(text).expect(text);
    }
}
