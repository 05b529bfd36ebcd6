//! `hotspan run`: stress-test runs against a server.

mod compare;
mod figures;
mod import;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Remote, pairs};
use compare::Compare;
use import::Import;

/// Mark stress-test runs on a server: start, stop, mark stages, import, list, show, compare
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

/// End a run now
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

/// Show a run: its stages, what the load generator saw, and what hotspan saw
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan run show round-3")]
struct Show {
    /// Id or name
    run: String,
    /// Print the run and hotspan's figures as JSON
    #[arg(long)]
    json: bool,
}

impl Run {
    pub fn run(self) -> Result<ExitCode> {
        let remote = &self.remote;
        match &self.action {
            Action::Start(start) => start.run(remote)?,
            Action::Stop(Stop { run }) => {
                let run = id_of(remote, run.as_deref())?;
                tell("stopped", &remote.send_json(Method::PATCH, &path(&run, ""), &json!({"end_time": "now"}))?);
            }
            Action::Mark(Mark { stage, run }) => {
                let run = id_of(remote, run.as_deref())?;
                tell("marked", &remote.send_json(Method::POST, &path(&run, "/marks"), &json!({"name": stage}))?);
            }
            Action::Import(import) => import.run(remote)?,
            Action::List(list) => list.run(remote)?,
            Action::Show(show) => show.run(remote)?,
            Action::Compare(compare) => return compare.run(remote),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Start {
    fn run(&self, remote: &Remote) -> Result<()> {
        let labels: BTreeMap<_, _> = pairs(&self.label, "KEY=VALUE")?.into_iter().collect();
        let body = json!({"name": self.name, "labels": labels, "notes": self.notes});
        tell("started", &remote.send_json(Method::POST, "/api/v1/runs", &body)?);
        Ok(())
    }
}

impl List {
    fn run(&self, remote: &Remote) -> Result<()> {
        let answer = remote.get("/api/v1/runs", &[])?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&answer)?);
            return Ok(());
        }
        println!("{:<12}  {:<24}  {:<20}  {:<20}  labels", "id", "name", "start", "end");
        for run in answer["runs"].as_array().into_iter().flatten() {
            let text = |key: &str| run[key].as_str().unwrap_or("going on").to_owned();
            let second = |key: &str| text(key).split('.').next().unwrap_or_default().to_owned();
            let labels = run["labels"].as_object().into_iter().flatten();
            let labels: Vec<String> = labels.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
            let (start, end) = (second("start_time"), second("end_time"));
            let line =
                format!("{:<12}  {:<24}  {start:<20}  {end:<20}  {}", text("id"), text("name"), labels.join(" "));
            println!("{}", line.trim_end());
        }
        Ok(())
    }
}

impl Show {
    fn run(&self, remote: &Remote) -> Result<()> {
        let run = remote.get(&path(&self.run, ""), &[])?;
        let id = run["id"].as_str().unwrap_or_default().to_owned();
        let seen = remote.get("/api/v1/steps", &[("run".to_owned(), id)])?["total"].take();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&json!({"run": run, "seen": seen}))?);
            return Ok(());
        }
        println!("{}", run["name"].as_str().unwrap_or_default());
        print!("{}", figures::described(&run, Some(&seen)));
        Ok(())
    }
}

fn tell(done: &str, run: &Value) {
    let text = |key: &str| run[key].as_str().unwrap_or_default();
    println!("{done} {} ({})", text("name"), text("id"));
}

/// The path of a run. Names may hold any character.
fn path(run: &str, rest: &str) -> String {
    const SPECIAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    format!("/api/v1/runs/{}{rest}", utf8_percent_encode(run, SPECIAL))
}

/// The run that was named, else the only one that is going on.
fn id_of(remote: &Remote, named: Option<&str>) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let answer = remote.get("/api/v1/runs", &[("active".into(), "true".into())])?;
    let text = |run: &Value, key: &str| run[key].as_str().unwrap_or_default().to_owned();
    match answer["runs"].as_array().map(Vec::as_slice).unwrap_or_default() {
        [run] => Ok(text(run, "id")),
        [] => bail!(model::Error::not_found("no run is going on").hint("begin one with: hotspan run start NAME")),
        several => {
            let names: Vec<String> = several.iter().map(|run| text(run, "name")).collect();
            bail!(
                model::Error::invalid(format!("{} runs are going on: {}", several.len(), names.join(", ")))
                    .hint("say which one, by id or name")
            )
        }
    }
}
