//! `hotspan run`: stress-test runs against a server.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::Remote;

/// Mark stress-test runs on a server: start, stop, list, compare
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan run start round-3 && k6 run shop.js; hotspan run stop")]
pub struct Run {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Begin a run now
    Start { name: String },
    /// End the run that is going on
    Stop,
    /// List the runs
    List,
    /// Compare two runs
    Compare { a: String, b: String },
}

impl Run {
    pub fn run(self) -> Result<ExitCode> {
        let post = |path: &str, body: Value| -> Result<Value> {
            Ok(serde_json::from_slice(&self.remote.post(path, &body, "application/json")?)?)
        };
        let answer = match &self.action {
            Action::Start { name } => post("/api/v1/runs", json!({"name": name}))?,
            Action::Stop => post("/api/v1/runs/stop", json!({}))?,
            Action::List => self.remote.get("/api/v1/runs", &[])?,
            Action::Compare { a, b } => {
                self.remote.get("/api/v1/runs/compare", &[("a".into(), a.clone()), ("b".into(), b.clone())])?
            }
        };
        println!("{}", serde_json::to_string_pretty(&answer)?);
        Ok(ExitCode::SUCCESS)
    }
}
