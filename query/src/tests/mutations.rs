//! Statements that nobody would write: those of the scripts, cut, doubled, nested and filled with others' parts, by chance
//! with a known seed. Each answers or is refused; none panics, none takes the process with it, and none leaves the engine
//! unable to answer the next. `HOTSPAN_SQL_MUTATIONS=20000 HOTSPAN_SQL_SEED=7 cargo test --workspace mutations` for more.

use model::{Kind, Signal};

use super::fixture::{Fixture, State, answer, shop, sql};
use super::scripts;
use crate::analysis::significance::Random;
use crate::{Engine, Settings};

/// Words at which statements end differently than one thinks.
const WORDS: &[&str] = &[
    "NULL",
    "9223372036854775807",
    "-1",
    "0",
    "1e308",
    "''",
    "'\u{0}'",
    "'é\u{202e}'",
    "'[1,2'",
    "(",
    ")",
    ",",
    "*",
    ";",
    "--",
    "/*",
    "$1",
    "::",
    "->",
    "->>",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "~",
    "IS NOT DISTINCT FROM",
    "BETWEEN",
    "CASE WHEN",
    "END",
    "OVER ()",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "UNION ALL",
    "INTERSECT",
    "EXCEPT",
    "CROSS JOIN",
    "LATERAL",
    "WITH RECURSIVE",
    "EXISTS",
    "ARRAY[1, NULL]",
    "INTERVAL '1 month'",
    "CAST(NULL AS TIMESTAMP)",
    "make_array",
    "unnest",
    "generate_series",
    "quantile",
    "json_as_text",
    "spans",
    "metrics",
    "logs",
    "runs",
    "attributes",
    "events",
    "duration_ns",
    "start_time",
    "trace_id",
    "EXPLAIN",
];

fn corpus() -> Vec<String> {
    let mut all = scripts::statements();
    all.extend(crate::analysis::table_function_docs().map(|doc| doc.example.to_owned()));
    all.extend(crate::functions::OURS.iter().map(|doc| doc.example.to_owned()));
    all
}

fn tokens(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = None;
    for c in text.chars() {
        let kind = if c.is_alphanumeric() || c == '_' {
            'w'
        } else if c.is_whitespace() {
            ' '
        } else {
            c
        };
        match out.last_mut() {
            Some(token) if last == Some(kind) && (kind == 'w' || kind == ' ') => token.push(c),
            _ => out.push(c.to_string()),
        }
        last = Some(kind);
    }
    out
}

fn mutated(corpus: &[Vec<String>], random: &mut Random) -> String {
    let mut text = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(text.len().max(1)).min(text.len());
        let until = (at + 1 + random.below(6)).min(text.len());
        match random.below(7) {
            0 => drop(text.drain(at..until)),
            1 => {
                let part = text[at..until].to_vec();
                text.splice(at..at, part);
            }
            2 => text.insert(at, format!(" {} ", WORDS[random.below(WORDS.len())])),
            3 if at < text.len() => text[at] = format!(" {} ", WORDS[random.below(WORDS.len())]),
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len().max(1)).min(other.len());
                text.truncate(at);
                text.extend_from_slice(&other[from..]);
            }
            5 => {
                let times = 1 + random.below(60);
                let part = text[at..until].concat();
                text.splice(at..until, [format!("{}{part}{}", "(".repeat(times), ")".repeat(times))]);
            }
            _ => {
                let whole = text.concat();
                text = vec![format!("SELECT * FROM ({whole}) AS a, ({whole}) AS b")];
            }
        }
    }
    text.concat()
}

async fn store() -> Engine {
    let fixture = Fixture::new().with(Signal::Traces, &shop(12), State::Mixed).await;
    fixture.engine_with(Settings { threads: 2, timeout_seconds: 2.0, memory_bytes: 64 << 20, ..Settings::default() })
}

#[tokio::test]
async fn no_statement_takes_the_engine_with_it() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |n| n.parse().expect("a number"));
    let (rounds, seed) = (number("HOTSPAN_SQL_MUTATIONS", 1_500), number("HOTSPAN_SQL_SEED", 1));
    let (engine, mut random) = (store().await, Random::seeded(seed));
    let corpus: Vec<Vec<String>> = corpus().iter().map(|text| tokens(text)).collect();
    assert!(corpus.len() > 100, "{}", corpus.len());
    let (mut answered, mut failed) = (0, Vec::new());
    for round in 0..rounds {
        let text = mutated(&corpus, &mut random);
        match sql(&engine, &text).await {
            Ok(_) => answered += 1,
            Err(error) if matches!(error.kind, Kind::Invalid | Kind::NotFound | Kind::Limit) => {}
            Err(error) => failed.push(format!("{round}: {text}\n  {error:?}")),
        }
    }
    assert_eq!(answer(&engine, "SELECT count(*) FROM spans").await, ["36"]);
    assert!(answered > rounds / 20, "{answered} of {rounds}: they would all be refused before they are planned");
    assert!(failed.is_empty(), "{} of {rounds} failed by our fault:\n{}", failed.len(), failed.join("\n"));
}
