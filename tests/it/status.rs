//! The status is a promise to programs: docs/api.md names all that it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use reqwest::StatusCode;
use serde_json::Value;

use crate::otlp::{self, PROTOBUF};
use crate::server::Home;

/// What stands between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The table of the status: each field with the names that its row has.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let document = fs::read_to_string("docs/api.md").expect("tests run in the folder of their package");
    let table = document.split_once("`GET /api/v1/status` → an object with\n\n").expect("the status is described").1;
    let rows = table.lines().take_while(|line| line.starts_with('|')).filter_map(|row| row[1..].split_once('|'));
    rows.flat_map(|(fields, said)| quoted(fields).into_iter().map(move |field| (field, quoted(said)))).collect()
}

/// The names of all fields within a value.
fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, v)| names(v).into_iter().chain([name.clone()])).collect()
        }
        Value::Array(entries) => entries.iter().flat_map(names).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn every_field_of_the_status_is_documented() {
    let server = Home::new().start();
    // Lists have entries once something was stored, and something was not.
    otlp::send(&server, &otlp::export("shop", vec![otlp::span(1, 1, "checkout")]));
    let wrong = server.otlp("/v1/traces", PROTOBUF, b"\xff\xff not protobuf".to_vec()).send().expect("an answer");
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let status = server.json("/api/v1/status");
    let is_filled = |list: &str| status[list].as_array().is_some_and(|entries| !entries.is_empty());
    assert!(is_filled("tables") && is_filled("reasons"), "{status}");

    let (documented, fields) = (documented(), status.as_object().expect("an object"));
    let (told, answered): (BTreeSet<_>, BTreeSet<_>) = (documented.keys().collect(), fields.keys().collect());
    assert_eq!(told, answered);
    for (field, value) in fields {
        let missing: Vec<_> = names(value).difference(&documented[field]).cloned().collect();
        assert!(missing.is_empty(), "docs/api.md does not name {missing:?} of {field}");
    }
    server.stop();
}
