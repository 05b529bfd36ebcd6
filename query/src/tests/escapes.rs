//! The escape list (reliability.md, 5.2): statements that write, define, reach out, or try to take the process down.
//! Each is refused with a message, or answers within limits; none aborts, and none shows a path of the machine.

use model::{Kind, Tenant};

use super::fixture::{Fixture, State, answer, shop, sql};
use crate::{Engine, Settings};

async fn store() -> Engine {
    Fixture::new().with(model::Signal::Traces, &shop(4), State::Mixed).await.engine()
}

/// Never a query that reads.
const REFUSED: &[&str] = &[
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3://bucket/x'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT * FROM spans",
    "CREATE OR REPLACE VIEW spans AS SELECT 1",
    "CREATE FUNCTION f(a INT) RETURNS INT RETURN a",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE INDEX i ON spans (name)",
    "DROP TABLE spans",
    "DROP VIEW spans",
    "DROP SCHEMA public CASCADE",
    "ALTER TABLE spans ADD COLUMN x INT",
    "TRUNCATE TABLE spans",
    "COPY spans TO '/tmp/out.parquet'",
    "COPY (SELECT * FROM spans) TO 'http://169.254.169.254/latest' STORED AS CSV",
    "COPY spans FROM '/etc/passwd'",
    "COPY spans TO PROGRAM 'sh'",
    "INSERT INTO spans SELECT * FROM spans",
    "INSERT INTO runs VALUES ('a','b',NULL,NULL,'{}','')",
    "INSERT OVERWRITE runs SELECT * FROM runs",
    "UPDATE spans SET name = 'x'",
    "DELETE FROM spans",
    "MERGE INTO spans USING logs ON true WHEN MATCHED THEN DELETE",
    "SET datafusion.catalog.location = '/etc'",
    "SET datafusion.execution.target_partitions = 1000",
    "SET datafusion.runtime.memory_limit = '100G'",
    "RESET datafusion.runtime.memory_limit",
    "SHOW ALL",
    "SHOW datafusion.execution.batch_size",
    "PREPARE p AS INSERT INTO runs VALUES (1)",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "EXPLAIN INSERT INTO runs SELECT * FROM runs",
    "EXPLAIN ANALYZE COPY spans TO '/tmp/x'",
    "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
    "EXPLAIN DROP TABLE spans",
    "SELECT 1; DROP TABLE spans",
    "SELECT 1; SELECT 2",
    "SELECT 1 /* ; */; COPY spans TO '/tmp/x' -- ",
    "SELECT * INTO t FROM spans",
    "SELECT * FROM spans FOR UPDATE",
    "WITH t AS (INSERT INTO runs VALUES (1) RETURNING *) SELECT * FROM t",
    "WITH t AS (DELETE FROM spans RETURNING *) SELECT * FROM t",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM t) SELECT count(*) FROM t",
    "BEGIN",
    "COMMIT",
    "START TRANSACTION",
    "GRANT ALL ON spans TO public",
    "VACUUM",
    "CALL f()",
    "DO $$ BEGIN END $$",
    "LOAD 'x.so'",
    "ATTACH DATABASE '/etc/passwd' AS x",
    "LISTEN x",
    "KILL 1",
    "USE other",
    "EXPLAIN EXPLAIN DROP TABLE spans",
    // Reaching files, the network, other tenants or the settings through a table name.
    "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"../../x.parquet\"",
    "SELECT * FROM 'x.csv'",
    "SELECT * FROM \"s3://bucket/x.parquet\"",
    "SELECT * FROM 'http://169.254.169.254/latest/meta-data'",
    "SELECT * FROM \"hotspan://snapshot/tables/spans/0.parquet\"",
    "SELECT * FROM U&\"\\0073pan\\0073x\"",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.df_settings",
    "SELECT * FROM hotspan.information_schema.columns",
    "SELECT * FROM other.public.spans",
    "SELECT * FROM tenants.other.spans",
    "SELECT * FROM physical.spans",
    "DESCRIBE physical.spans",
    "DESCRIBE information_schema.tables",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM metadata_cache()",
    "SELECT * FROM statistics_cache()",
    "SELECT * FROM list_files_cache()",
    "SELECT * FROM generate_series(1, 1000000000000)",
    "SELECT * FROM range(1, 1000000000000)",
    "SELECT range(1, 100000000000)",
    "SELECT generate_series(1, 100000000000)",
    "SELECT array_repeat(1, 1000000000)",
    "SELECT array_resize(make_array(1), 1000000000)",
    "SELECT repeat('x', 1000000000)",
    "SELECT lpad('x', 1000000000, 'y') FROM spans",
    "SELECT rpad('x', 9223372036854775807)",
    "SELECT input_file_name() FROM spans",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT load_extension('x')",
    "SELECT * FROM spans LIMIT 99999999999999999999",
    "SELECT current_setting('x')",
];

#[tokio::test]
async fn what_is_no_query_that_reads_is_refused() {
    let engine = store().await;
    assert!(REFUSED.len() >= 60);
    for text in REFUSED {
        let error = match sql(&engine, text).await {
            Err(error) => error,
            Ok(result) => panic!("{text} answered {:?}", super::fixture::lines(&result)),
        };
        assert!(matches!(error.kind, Kind::Invalid | Kind::Limit), "{text}: {error:?}");
        let said = format!("{} {}", error.message, error.hint.unwrap_or_default());
        assert!(!said.contains(env!("CARGO_MANIFEST_DIR")) && !said.contains(".rs:"), "{text}: {said}");
    }
    assert_eq!(answer(&engine, "SELECT count(*) FROM spans").await, ["12"], "nothing was changed");
}

/// Text that tries to exhaust stack, memory or time.
fn oversized() -> Vec<(&'static str, String)> {
    let many = |what: &str, n: usize| what.repeat(n);
    let doubling: String = (0..40).map(|n| format!(", t{} AS (SELECT a.n FROM t{n} a, t{n} b)", n + 1)).collect();
    vec![
        ("additions", format!("SELECT 1{}", many("+1", 2_000))),
        ("very many additions", format!("SELECT 1{}", many("+1", 20_000))),
        ("alternatives", format!("SELECT * FROM spans WHERE duration_ns=1{}", many(" OR duration_ns=1", 10_000))),
        ("brackets", format!("SELECT {}1{}", many("(", 5_000), many(")", 5_000))),
        ("unclosed brackets", format!("SELECT {}", many("(", 5_000))),
        ("lists", format!("SELECT {}1{}", many("[", 3_000), many("]", 3_000))),
        ("a long list", format!("SELECT * FROM spans WHERE duration_ns IN (1{})", many(",1", 500_000))),
        ("a list above its limit", format!("SELECT * FROM spans WHERE duration_ns IN (1{})", many(",1", 10_001))),
        ("negations", format!("SELECT {}true", many("NOT ", 3_000))),
        ("signs", format!("SELECT {}1", many("- ", 3_000))),
        ("casts", format!("SELECT 1{}", many("::int", 3_000))),
        ("null tests", format!("SELECT 1{}", many(" IS NULL", 3_000))),
        ("arrows", format!("SELECT attributes{} FROM spans", many("->'a'", 3_000))),
        ("unions", format!("SELECT 1{}", many(" UNION ALL SELECT 1", 3_000))),
        ("joins", format!("SELECT 1 FROM spans{}", many(" CROSS JOIN spans", 500))),
        ("commas as joins", format!("SELECT 1 FROM spans{}", many(", spans", 2_000))),
        ("subqueries", format!("SELECT {}1{}", many("(SELECT ", 1_000), many(")", 1_000))),
        ("eleven queries", format!("{}1{}", many("SELECT (", 11), many(")", 11))),
        ("cases", format!("SELECT {}1{}", many("CASE WHEN true THEN ", 1_000), many(" END", 1_000))),
        ("time zones", format!("SELECT now(){}", many(" AT TIME ZONE 'UTC'", 3_000))),
        ("concatenations", format!("SELECT 'a'{}", many("||'a'", 3_000))),
        ("names that double", format!("WITH t0 AS (SELECT 1 AS n){doubling} SELECT count(*) FROM t40")),
        ("a megabyte", format!("SELECT '{}'", many("x", 1 << 20))),
        ("explained additions", format!("EXPLAIN ANALYZE SELECT 1{}", many("+1", 5_000))),
        ("nested explains", format!("{} SELECT 1", many("EXPLAIN ", 3_000))),
        ("collations", format!("SELECT 'a'{}", many(" COLLATE \"C\"", 3_000))),
        ("betweens", format!("SELECT 1{}", many(" BETWEEN 1 AND 2", 2_000))),
        ("subscripts", format!("SELECT make_array(1){}", many("[1]", 5_000))),
        ("functions", format!("SELECT {}1{}", many("abs(", 3_000), many(")", 3_000))),
        ("comments", format!("SELECT 1 {}", many("/*", 100_000))),
    ]
}

#[tokio::test]
async fn what_would_overflow_is_refused_before_it_is_parsed() {
    let engine = store().await;
    for (what, text) in oversized() {
        let error = sql(&engine, &text).await.expect_err(what);
        assert!(matches!(error.kind, Kind::Limit | Kind::Invalid), "{what}: {error:?}");
        assert!(!error.message.contains("took longer"), "{what} keeps a thread");
    }
}

#[tokio::test]
async fn the_largest_permitted_statements_do_not_abort() {
    let engine = store().await;
    let times = crate::sandbox::MAX_OPERATORS;
    let names = ["abs", "upper", "hex", "make_array", "to_timestamp", "coalesce", "round"];
    let nested = names.map(|name| {
        format!(
            "SELECT {}1{}",
            format!("{name}(").repeat(crate::sandbox::MAX_FUNCTIONS),
            ")".repeat(crate::sandbox::MAX_FUNCTIONS)
        )
    });
    let most = [
        format!("SELECT 1{}", "+1".repeat(times)),
        format!("SELECT 'a'{}", "||'a'".repeat(times)),
        format!("SELECT count(*) FROM spans WHERE name=''{}", " OR name='x'".repeat(times / 2 - 1)),
        format!("SELECT 1{}", "::int".repeat(times)),
        format!("SELECT 1{}", " IS NULL".repeat(times)),
        format!("SELECT {}true", "NOT ".repeat(100)),
        format!("SELECT {}1{}", "(".repeat(crate::sandbox::MAX_NESTING), ")".repeat(crate::sandbox::MAX_NESTING)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(60), " END".repeat(60)),
        format!(
            "{}1{}",
            "SELECT (".repeat(crate::sandbox::MAX_QUERIES - 1) + "SELECT ",
            ")".repeat(crate::sandbox::MAX_QUERIES - 1)
        ),
        format!(
            "{}spans{}",
            "SELECT name FROM (".repeat(crate::sandbox::MAX_QUERIES - 1) + "SELECT name FROM ",
            ") x".repeat(crate::sandbox::MAX_QUERIES - 1)
        ),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(crate::sandbox::MAX_RELATIONS)),
        format!("SELECT count(*) FROM spans WHERE duration_ns IN (1{})", ",2".repeat(crate::sandbox::MAX_LIST - 1)),
        format!(
            "SELECT count(*) FROM spans WHERE trace_id IN ('{:032x}'{})",
            1,
            ",'00000000000000000000000000000009'".repeat(5_000)
        ),
    ];
    for text in most.into_iter().chain(nested) {
        let found = sql(&engine, &text).await;
        let shown: String = text.chars().take(60).collect();
        let late = found.as_ref().is_err_and(|e| e.message.contains("took longer"));
        assert!(!late, "{shown} keeps a thread");
        // What matters is that the process is still there; some of them are wrong in other ways.
        if let Err(error) = found {
            assert!(matches!(error.kind, Kind::Invalid | Kind::Limit), "{shown}: {error:?}");
        }
    }
    assert_eq!(answer(&engine, "SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn odd_but_harmless_statements_answer() {
    let engine = store().await;
    for text in [
        "SELECT 'file:///etc/passwd'",
        "SELECT count(*) FROM spans WHERE name ~ '(a+)+$'",
        "SELECT count(*) FROM spans LIMIT 9223372036854775807",
        "SELECT interval '1000000 years' IS NULL",
        "VALUES (1), (2)",
        "SHOW TABLES",
        "DESCRIBE spans",
        "EXPLAIN SELECT * FROM spans",
        "EXPLAIN ANALYZE SELECT count(*) FROM spans",
        "SELECT repeat('ab', 3)",
        "SELECT 1 -- ; DROP TABLE spans",
    ] {
        sql(&engine, text).await.unwrap_or_else(|e| panic!("{text}: {e:?}"));
    }
}

#[tokio::test]
async fn text_and_lists_that_double_meet_a_limit() {
    let engine = store().await;
    for (seed, step) in [
        ("'xxxxxxxx'", "v || v"),
        ("'xxxxxxxx'", "concat(v, v, v)"),
        ("'xxxxxxxx'", "replace(v, 'x', v)"),
        ("'xxxxxxxx'", "regexp_replace(v, 'x', v, 'g')"),
        ("make_array(1, 2)", "array_concat(v, v)"),
        ("make_array(1, 2)", "v || v"),
        ("'x'", "encode(encode(CAST(v AS bytea), 'hex')::bytea, 'hex')"),
    ] {
        let steps: String = (0..40).map(|n| format!(", t{} AS (SELECT {step} AS v FROM t{n})", n + 1)).collect();
        let text =
            format!("WITH t0 AS (SELECT {seed} AS v FROM spans){steps} SELECT count(v) FROM t40 WHERE v IS NOT NULL");
        let error = sql(&engine, &text).await.expect_err(step);
        assert!(matches!(error.kind, Kind::Invalid | Kind::Limit), "{step}: {error:?}");
        assert!(!error.message.contains("took longer"), "{step} keeps a thread");
    }
}

#[tokio::test]
async fn a_tenant_sees_only_its_own_rows() {
    let engine = store().await;
    let other = Tenant::new("other").expect("a tenant");
    let result = engine.sql(&other, "SELECT * FROM spans", &[]).await.expect("answers");
    assert_eq!(result.rows(), 0);
}

#[tokio::test]
async fn an_endless_query_meets_its_time_limit_and_memory_its_pool() {
    let fixture = Fixture::new().with(model::Signal::Traces, &shop(100), State::Memory).await;
    let engine = fixture.engine_with(Settings { threads: 2, timeout_seconds: 0.5, ..Settings::default() });
    let product = "SELECT count(*) FROM spans a, spans b, spans c, spans d WHERE a.duration_ns + b.duration_ns + c.duration_ns < d.duration_ns";
    let error = sql(&engine, product).await.expect_err("10 billion rows");
    assert_eq!(error.kind, Kind::Limit, "{error:?}");
    assert!(error.hint.is_some());

    let fixture = Fixture::new().with(model::Signal::Traces, &shop(600), State::Memory).await;
    let engine = fixture.engine_with(Settings { threads: 2, memory_bytes: 8 << 20, ..Settings::default() });
    let large = "SELECT median(a.duration_ns + b.duration_ns) FROM spans a, spans b";
    let error = sql(&engine, large).await.expect_err("three million numbers");
    assert_eq!(error.kind, Kind::Limit, "{error:?}");
}

#[tokio::test]
#[ignore = "prints how long the largest statements take and how deep they may get"]
async fn measure() {
    for times in [8, 16, 32, 48, 64] {
        let steps: String = (0..times).map(|n| format!(", t{} AS (SELECT upper(v) AS v FROM t{n})", n + 1)).collect();
        let text = format!(
            "WITH t0 AS (SELECT name AS v FROM spans){steps} SELECT count(v) FROM t{times} WHERE v IS NOT NULL"
        );
        let nested = format!("SELECT {}name{} FROM spans", "upper(".repeat(times), ")".repeat(times));
        for (what, text) in [("steps", text), ("nested", nested)] {
            let started = std::time::Instant::now();
            let found = sql(&store().await, &text).await.map(|_| ()).map_err(|e| e.message);
            println!("{times:5} {what:12} {:8.3} s {found:?}", started.elapsed().as_secs_f64());
        }
    }
    for times in [125, 250] {
        for (what, head, part) in CHAINS {
            // A statement that takes too long keeps its thread.
            let engine = store().await;
            let text = format!("{head}{}", part.repeat(times));
            let started = std::time::Instant::now();
            let found = crate::sandbox::check(&text).map(|_| ()).map_err(|e| e.message);
            let checked = started.elapsed();
            let found = match found {
                Ok(()) => sql(&engine, &text).await.map(|_| ()).map_err(|e| e.message.chars().take(80).collect()),
                Err(message) => Err(message),
            };
            println!(
                "{times:5} {what:12} {:8.3} {:8.3} s {found:?}",
                checked.as_secs_f64(),
                started.elapsed().as_secs_f64()
            );
        }
    }
}

const CHAINS: &[(&str, &str, &str)] = &[
    ("additions", "SELECT 1", "+1"),
    ("on a column", "SELECT duration_ns FROM spans WHERE duration_ns = 1", "+duration_ns"),
    ("joined text", "SELECT 'a'", "||'a'"),
    ("alternatives", "SELECT count(*) FROM spans WHERE name = ''", " OR name = 'x'"),
    ("conjunctions", "SELECT count(*) FROM spans WHERE name <> ''", " AND name <> 'x'"),
    ("casts", "SELECT 1", "::int"),
    ("null tests", "SELECT 1", " IS NULL"),
    ("arrows", "SELECT '{}'", "->'a'"),
    ("lists", "SELECT make_array(1)", "||make_array(1)"),
    ("subscripts", "SELECT make_array(1)", "[1]"),
];
