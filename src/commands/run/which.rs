//! Which run a command means: by id, by name, or the one that is going on; and what is said where that is not plain.

use anyhow::{Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use super::figures::text;
use crate::client::Remote;

/// Runs of the same name that a warning lists.
const MOST_LISTED: usize = 3;

/// The path of a run. Names may hold any character.
pub fn path(run: &str, rest: &str) -> String {
    const SPECIAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    format!("/api/v1/runs/{}{rest}", utf8_percent_encode(run, SPECIAL))
}

/// The run that was named, else the only one that is going on.
pub fn id_of(remote: &Remote, named: Option<&str>) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let answer = remote.get("/api/v1/runs", &[("active".into(), "true".into())])?;
    the_only_one(answer["runs"].as_array().map(Vec::as_slice).unwrap_or_default())
}

/// As [`id_of`], but a run that has an end is refused: stopping it again would move that.
pub fn going_on(remote: &Remote, named: Option<&str>) -> Result<String> {
    let Some(name) = named else { return id_of(remote, None) };
    match remote.get(&path(name, ""), &[]) {
        Ok(run) => without_an_end(&run),
        // A token that may only write is told nothing, and may stop runs all the same; so is who asks while the server
        // is too busy to look. Whether there is such a run, the next request tells.
        Err(error) if error.is::<model::Error>() => Ok(name.to_owned()),
        Err(error) => Err(error),
    }
}

/// A warning where other runs have the name of one that has just begun.
pub fn namesakes(remote: &Remote, begun: &Value) -> Option<String> {
    // The table, unlike the list, costs no look at spans. Without an answer there is nothing to warn of: it has begun.
    let query = "SELECT id, start_time, end_time FROM runs WHERE name = $1 ORDER BY start_time DESC";
    let body = json!({"query": query, "params": [begun["name"]]});
    let answer = remote.send_json(Method::POST, "/api/v1/sql", &body).ok()?;
    others(answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default(), begun)
}

fn the_only_one(going_on: &[Value]) -> Result<String> {
    match going_on {
        [run] => Ok(text(&run["id"]).to_owned()),
        [] => bail!(model::Error::not_found("no run is going on").hint("begin one with: hotspan run start NAME")),
        several => {
            let since = |run: &Value| {
                format!(
                    "{} ({}, since {})",
                    text(&run["name"]),
                    text(&run["id"]),
                    to_the_second(text(&run["start_time"]))
                )
            };
            let all: Vec<String> = several.iter().map(since).collect();
            bail!(
                model::Error::invalid(format!("{} runs are going on: {}", several.len(), all.join(", ")))
                    .hint("say which one, by its id; a name means the one of that name that began last")
            )
        }
    }
}

fn without_an_end(run: &Value) -> Result<String> {
    let (id, name) = (text(&run["id"]), text(&run["name"]));
    let Some(end) = run["end_time"].as_str() else { return Ok(id.to_owned()) };
    bail!(
        model::Error::invalid(format!("{name} ({id}) ended at {} already, which stays its end", to_the_second(end)))
            .hint("hotspan run list shows what is going on; an earlier run of the same name is stopped by its id")
    )
}

/// `rows`: id, start and end of every run of the name, the newest first.
fn others(rows: &[Value], begun: &Value) -> Option<String> {
    let others: Vec<&Value> = rows.iter().filter(|row| row[0] != begun["id"]).collect();
    if others.is_empty() {
        return None;
    }
    let when = |run: &Value| match run[2].as_str() {
        Some(end) => format!("{} to {}", to_the_second(text(&run[1])), to_the_second(end)),
        None => format!("going on since {}", to_the_second(text(&run[1]))),
    };
    let listed = others.iter().take(MOST_LISTED).map(|run| format!("{} ({})", text(&run[0]), when(run)));
    let mut listed = listed.collect::<Vec<_>>().join(", ");
    if others.len() > MOST_LISTED {
        listed += &format!(" and {} more", others.len() - MOST_LISTED);
    }
    let name = text(&begun["name"]);
    Some(format!(
        "warning: {name} is also the name of {listed}; {name} now means the new run, the others go by their ids"
    ))
}

/// A time of the API without the fraction of its second; anything else as it is.
pub fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, fraction)) if fraction.ends_with('Z') => format!("{whole}Z"),
        _ => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "2026-11-11T13:00:00.250000000Z";
    const END: &str = "2026-11-11T13:07:44.123456789Z";

    fn run(id: &str, name: &str, end: Option<&str>) -> Value {
        json!({"id": id, "name": name, "start_time": START, "end_time": end})
    }

    fn refusal(result: Result<String>) -> String {
        let error = result.expect_err("refused");
        let hint = error.downcast_ref::<model::Error>().and_then(|e| e.hint.clone()).unwrap_or_default();
        format!("{error}; {hint}")
    }

    #[test]
    fn a_run_that_has_ended_keeps_its_end() {
        assert_eq!(without_an_end(&run("a1", "round-1", None)).expect("goes on"), "a1");
        let told = refusal(without_an_end(&run("a1", "round-1", Some(END))));
        assert!(told.starts_with("round-1 (a1) ended at 2026-11-11T13:07:44Z already"), "{told}");
    }

    #[test]
    fn several_runs_are_told_apart_by_id_and_start() {
        assert_eq!(the_only_one(&[run("a1", "round-1", None)]).expect("one"), "a1");
        assert!(refusal(the_only_one(&[])).contains("no run is going on; begin one"));
        let told = refusal(the_only_one(&[run("b2", "round-1", None), run("a1", "round-1", None)]));
        let each = "round-1 (b2, since 2026-11-11T13:00:00Z), round-1 (a1, since 2026-11-11T13:00:00Z)";
        assert!(told.starts_with(&format!("2 runs are going on: {each}")) && told.contains("by its id"), "{told}");
    }

    #[test]
    fn a_second_run_of_a_name_is_warned_of_with_the_ids_of_the_others() {
        let begun = run("c3", "round-1", None);
        let itself = json!(["c3", START, null]);
        assert_eq!(others(std::slice::from_ref(&itself), &begun), None);
        let told = others(&[itself, json!(["b2", START, null]), json!(["a1", START, END])], &begun).expect("a warning");
        let (going_on, over) =
            ("b2 (going on since 2026-11-11T13:00:00Z)", "a1 (2026-11-11T13:00:00Z to 2026-11-11T13:07:44Z)");
        assert!(told.starts_with(&format!("warning: round-1 is also the name of {going_on}, {over};")), "{told}");
        let many: Vec<Value> = (0..5).map(|n| json!([format!("r{n}"), START, END])).collect();
        assert!(others(&many, &begun).expect("a warning").contains("r2 ("));
        assert!(others(&many, &begun).expect("a warning").contains(" and 2 more;"));
    }

    #[test]
    fn a_time_says_that_it_is_utc() {
        assert_eq!(to_the_second(END), "2026-11-11T13:07:44Z");
        assert_eq!(to_the_second("2026-11-11T13:07:44Z"), "2026-11-11T13:07:44Z");
        assert_eq!(to_the_second("going on"), "going on");
    }
}
