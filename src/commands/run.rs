//! `hotspan run`: stress-test runs against a server.

mod compare;
mod figures;
mod import;
mod which;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Remote, pairs};
use crate::streams;
use compare::Compare;
use figures::{FROM_INTENDED, Seen};
use import::Import;
use which::{going_on, id_of, namesakes, path, to_the_second};

/// Stages of a run that are asked about, each by a question of its own.
const MOST_STAGES: usize = 50;

/// Mark stress-test runs on a server: start, stop, mark, import, list, show, delete, compare
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hotspan run start round-3 && k6 run shop.js; hotspan run stop\n  \
    hotspan run compare round-2 round-3 --fail-on worse")]
pub struct Run {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Action {
    Start(Start),
    Stop(Stop),
    Mark(Mark),
    Import(Import),
    List(List),
    Show(Show),
    Delete(Delete),
    Compare(Compare),
}

/// Begin a run now
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan run start round-3 --label commit=4bf92f3 --notes 'pool of 64'")]
struct Start {
    name: String,
    /// KEY=VALUE; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// What is different this time
    #[arg(long, default_value = "", hide_default_value = true)]
    notes: String,
}

/// End a run now; one that has ended keeps its end
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hotspan run stop\n  hotspan run stop round-3")]
struct Stop {
    /// Id or name [default: the one that is going on]
    run: Option<String>,
}

/// Mark that a stage of a run begins now
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan run mark 40k        # then compare round-2@40k with round-3@40k")]
struct Mark {
    /// Name of the stage
    stage: String,
    /// Id or name [default: the one that is going on]
    #[arg(long)]
    run: Option<String>,
}

/// List the runs, the newest first
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan run list --json")]
struct List {
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
}

/// Show a run: what the load generator saw, and what hotspan saw, of each stage and load level too
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan run show round-3")]
struct Show {
    /// Id or name
    run: String,
    /// Print the run and hotspan's figures as JSON
    #[arg(long)]
    json: bool,
}

/// Forget a run, its marks and notes; its spans stay
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan run delete round-3")]
struct Delete {
    /// Id, or the name where no other run has it
    run: String,
}

impl Run {
    pub fn run(self) -> Result<ExitCode> {
        let remote = &self.remote;
        match &self.action {
            Action::Start(start) => start.run(remote)?,
            Action::Stop(Stop { run }) => {
                let run = going_on(remote, run.as_deref())?;
                tell("stopped", &remote.send_json(Method::PATCH, &path(&run, ""), &json!({"end_time": "now"}))?)?;
            }
            Action::Mark(Mark { stage, run }) => {
                let run = id_of(remote, run.as_deref())?;
                tell("marked", &remote.send_json(Method::POST, &path(&run, "/marks"), &json!({"name": stage}))?)?;
            }
            Action::Import(import) => import.run(remote)?,
            Action::List(list) => list.run(remote)?,
            Action::Show(show) => show.run(remote)?,
            Action::Delete(Delete { run }) => tell("deleted", &remote.delete(&path(run, ""))?)?,
            Action::Compare(compare) => return compare.run(remote),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Start {
    fn run(&self, remote: &Remote) -> Result<()> {
        let labels: BTreeMap<_, _> = pairs(&self.label, "KEY=VALUE")?.into_iter().collect();
        let body = json!({"name": self.name, "labels": labels, "notes": self.notes});
        let run = remote.send_json(Method::POST, "/api/v1/runs", &body)?;
        tell("started", &run)?;
        if let Some(warning) = namesakes(remote, &run) {
            streams::note(warning);
        }
        Ok(())
    }
}

impl List {
    fn run(&self, remote: &Remote) -> Result<()> {
        let answer = remote.get("/api/v1/runs", &[])?;
        let mut out = streams::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
            return Ok(());
        }
        writeln!(out, "{:<12}  {:<24}  {:<20}  {:<20}  labels", "id", "name", "start", "end")?;
        for run in answer["runs"].as_array().into_iter().flatten() {
            writeln!(out, "{}", listed(run))?;
        }
        Ok(())
    }
}

/// A run as a line of the list, with its times in UTC.
fn listed(run: &Value) -> String {
    let text = |key: &str| run[key].as_str().unwrap_or("going on").to_owned();
    let labels = run["labels"].as_object().into_iter().flatten();
    let labels: Vec<String> = labels.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    let (start, end) = (to_the_second(&text("start_time")), to_the_second(&text("end_time")));
    let line = format!("{:<12}  {:<24}  {start:<20}  {end:<20}  {}", text("id"), text("name"), labels.join(" "));
    line.trim_end().to_owned()
}

impl Show {
    fn run(&self, remote: &Remote) -> Result<()> {
        let run = remote.get(&path(&self.run, ""), &[])?;
        let seen = Self::seen(remote, &run)?;
        let mut out = streams::stdout();
        if self.json {
            let mut shown = seen.json();
            shown["run"] = run;
            writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
            return Ok(());
        }
        writeln!(out, "{}", run["name"].as_str().unwrap_or_default())?;
        write!(out, "{}", figures::described(&run, Some(&seen)))?;
        Ok(())
    }
}

impl Show {
    /// What hotspan saw in the time of a run, and in each of its stages.
    fn seen(remote: &Remote, run: &Value) -> Result<Seen> {
        let id = run["id"].as_str().unwrap_or_default();
        let mut whole = asked(remote, "steps", &[("run", id)])?;
        let mut omission = asked(remote, "coordinated-omission", &[("run", id)])?;
        let is_told = omission["known"] == true;
        whole["total"][FROM_INTENDED] = omission["total"][FROM_INTENDED].take();
        let marks = run["marks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut stages = Vec::new();
        for name in marks.iter().take(MOST_STAGES).filter_map(|mark| mark["name"].as_str()) {
            let of_stage = format!("{id}@{name}");
            // A stage that has only just begun has nothing to show.
            let Ok(mut answer) = asked(remote, "steps", &[("run", &of_stage)]) else { continue };
            if is_told {
                answer["total"][FROM_INTENDED] = from_intended(remote, &[("run", &of_stage)])?;
            }
            stages.push((name.to_owned(), answer["total"].take()));
        }
        let mut levels = whole["steps"].as_array_mut().map(std::mem::take).unwrap_or_default();
        for level in levels.iter_mut().filter(|_| is_told).take(MOST_STAGES) {
            let [start, end] = ["start", "end"].map(|key| level[key].as_str().unwrap_or_default().to_owned());
            level[FROM_INTENDED] = from_intended(remote, &[("run", id), ("start", &start), ("end", &end)])?;
        }
        Ok(Seen { total: whole["total"].take(), stages, levels, clock: omission["clock"].take() })
    }
}

fn asked(remote: &Remote, analysis: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    remote.get(&format!("/api/v1/{analysis}"), &parameters)
}

/// The 99th percentile from when requests were meant to be sent; null where none tells it.
fn from_intended(remote: &Remote, parameters: &[(&str, &str)]) -> Result<Value> {
    Ok(asked(remote, "coordinated-omission", parameters)?["total"][FROM_INTENDED].take())
}

fn tell(done: &str, run: &Value) -> Result<()> {
    let text = |key: &str| run[key].as_str().unwrap_or_default();
    writeln!(streams::stdout(), "{done} {} ({})", text("name"), text("id"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_that_its_times_are_utc() {
        let run = json!({
            "id": "a1", "name": "round-1", "labels": {"commit": "4bf92f3"},
            "start_time": "2026-11-11T13:00:00.250000000Z", "end_time": "2026-11-11T13:07:44.000000000Z",
        });
        let words: Vec<String> = listed(&run).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["a1", "round-1", "2026-11-11T13:00:00Z", "2026-11-11T13:07:44Z", "commit=4bf92f3"]);
        let going_on = json!({"id": "a1", "name": "round-1", "labels": {}, "start_time": "2026-11-11T13:00:00Z"});
        assert!(listed(&going_on).ends_with("2026-11-11T13:00:00Z  going on"), "{}", listed(&going_on));
    }
}
