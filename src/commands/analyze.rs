//! `hotspan analyze`: any registered analysis, as text or JSON.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use crate::client::{Remote, pairs};

/// Run an analysis on a server: hotspots, heatmap, compare, flame, operations, …
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hotspan analyze                       # lists the analyses\n  \
    hotspan analyze hotspots start=now-5m\n  hotspan analyze operations service=payment --json")]
pub struct Analyze {
    /// Name of the analysis; none lists them
    name: Option<String>,
    /// Parameters as NAME=VALUE
    parameters: Vec<String>,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Analyze {
    pub fn run(self) -> Result<ExitCode> {
        let Some(name) = &self.name else {
            for analysis in self.remote.get("/api/v1/analyses", &[])?.as_array().into_iter().flatten() {
                println!(
                    "{:<14} {}",
                    text(&analysis["name"]),
                    text(&analysis["doc"]).lines().next().unwrap_or_default()
                );
            }
            return Ok(ExitCode::SUCCESS);
        };
        let parameters = pairs(&self.parameters, "NAME=VALUE")?;
        let answer = self.remote.get(&format!("/api/v1/{name}"), &parameters)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&answer)?);
        } else if name == "hotspots" {
            print_hotspots(&answer);
        } else {
            print_table(&answer);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn print_hotspots(answer: &Value) {
    println!("verdict: {}", text(&answer["verdict"]));
    println!("requests: {} (baseline {})", answer["window"]["requests"], answer["baseline"]["requests"]);
    for spot in answer["hotspots"].as_array().into_iter().flatten() {
        println!("{:>3}. {}", text(&spot["rank"]), text(&spot["explanation"]["en"]));
    }
}

/// The first list of objects in the answer, as columns.
fn print_table(answer: &Value) {
    let lists = answer.as_object().into_iter().flatten().filter_map(|(_, v)| v.as_array());
    let Some(rows) = lists.into_iter().find(|rows| rows.first().is_some_and(Value::is_object)) else {
        println!("{answer:#}");
        return;
    };
    let names: Vec<&String> = rows[0]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, v)| !v.is_array() && !v.is_object())
        .map(|(k, _)| k)
        .collect();
    let width = |name: &String| {
        rows.iter()
            .map(|r| text(&r[name.as_str()]).chars().count())
            .chain([name.chars().count()])
            .max()
            .unwrap_or(0)
            .min(48)
    };
    let widths: Vec<usize> = names.iter().map(|n| width(n)).collect();
    let line = |cells: Vec<String>| {
        let cells = cells.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(names.iter().map(|n| n.to_string()).collect());
    for row in rows {
        line(names.iter().map(|n| text(&row[n.as_str()])).collect());
    }
}
