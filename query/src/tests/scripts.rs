//! Runs `tests/sql/*.slt` over every state of a store: the same questions, the same answers.
//!
//! A script is blocks of a statement, a line `----`, and the expected lines (values separated by tabs; an error as
//! `error <kind>: <message>`), separated by blank lines; `#` begins a comment. `cargo test -p
//! hotspan-query complete -- --ignored` writes the answers of the first state into the scripts.

use std::fs;
use std::path::PathBuf;

use model::Signal;
use serde_json::json;

use super::fixture::{Fixture, NOW, STATES, State, answer, shop};
use crate::Engine;

async fn store(state: State) -> Engine {
    let logs = [
        json!({"time_unix_nano": NOW - 1_000, "severity_text": "ERROR", "severity_number": 17, "body": "out of stock",
            "service_name": "inventory", "trace_id": format!("{:032x}", 1), "attributes": "{}"}),
        json!({"time_unix_nano": NOW - 2_000, "severity_text": "INFO", "severity_number": 9, "body": "ready",
            "service_name": "inventory", "attributes": "{}"}),
    ];
    let metrics = [json!({"name": "queue.length", "type": "GAUGE", "unit": "1", "service_name": "inventory",
            "time_unix_nano": NOW - 5_000, "value_int": 7, "value": 7.0, "attributes": "{}"})];
    let fixture = Fixture::new().with(Signal::Traces, &shop(40), state).await;
    fixture.with(Signal::Logs, &logs, state).await.with(Signal::Metrics, &metrics, state).await.engine()
}

struct Block {
    statement: String,
    expected: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut out = Vec::new();
    for part in text.split("\n\n") {
        let lines = part.lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>();
        let Some(rule) = lines.iter().position(|l| *l == "----") else { continue };
        let expected = lines[rule + 1..].iter().map(|l| (*l).to_owned()).collect();
        out.push(Block { statement: lines[..rule].join("\n"), expected });
    }
    out
}

fn scripts() -> Vec<PathBuf> {
    let folder = PathBuf::from("tests/sql");
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).expect("the folder of scripts").map(|f| f.expect("a script").path()).collect();
    found.sort();
    found
}

/// All statements of the scripts.
pub fn statements() -> Vec<String> {
    let texts = scripts().into_iter().map(|path| fs::read_to_string(path).expect("readable"));
    texts.flat_map(|text| blocks(&text)).map(|block| block.statement).collect()
}

#[tokio::test]
async fn every_script_answers_the_same_in_every_state() {
    let mut asked = 0;
    for state in STATES {
        let engine = store(state).await;
        for path in scripts() {
            let text = fs::read_to_string(&path).expect("readable");
            for block in blocks(&text) {
                let found = answer(&engine, &block.statement).await;
                assert_eq!(found, block.expected, "{} in {}, {state:?}", block.statement, path.display());
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "only {asked} questions were asked");
}

#[tokio::test]
#[ignore = "writes the answers of the first state into the scripts"]
async fn complete() {
    let engine = store(STATES[0]).await;
    for path in scripts() {
        let text = fs::read_to_string(&path).expect("readable");
        let mut parts = Vec::new();
        for part in text.trim_end().split("\n\n") {
            let Some((question, _)) = part.split_once("\n----") else {
                parts.push(part.to_owned());
                continue;
            };
            let statement: Vec<&str> = question.lines().filter(|l| !l.starts_with('#')).collect();
            let mut lines = vec![question.to_owned(), "----".to_owned()];
            lines.extend(answer(&engine, &statement.join("\n")).await);
            parts.push(lines.join("\n"));
        }
        fs::write(&path, parts.join("\n\n") + "\n").expect("writable");
    }
}
