//! `hotspan analyze`: any registered analysis, as text or JSON.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::client::{Remote, pairs};

/// Run an analysis on a server: hotspots, heatmap, compare, flame, operations, …
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hotspan analyze                       # lists the analyses\n  \
    hotspan analyze hotspots start=now-5m\n  hotspan analyze operations service=payment --json\n  \
    hotspan analyze capacity run=round-3 service=shop --format sentinel > flow-rules.json\n  \
    hotspan analyze capacity run=round-3 service=shop margin=0.3 --format envoy")]
pub struct Analyze {
    /// Name of the analysis; none lists them
    name: Option<String>,
    /// Parameters as NAME=VALUE
    parameters: Vec<String>,
    /// Print the whole answer as JSON
    #[arg(long)]
    json: bool,
    /// Another form of the answer; of capacity: sentinel or envoy, as rules of flow control
    #[arg(long, value_name = "NAME", conflicts_with = "json")]
    format: Option<String>,
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
        let mut parameters = pairs(&self.parameters, "NAME=VALUE")?;
        if let Some(format) = &self.format {
            parameters.push(("format".to_owned(), format.clone()));
            let text = self.remote.text(&format!("/api/v1/{name}"), &parameters)?;
            match format.as_str() {
                "sentinel" => print_flow_rules(&serde_json::from_str(&text).context("reading the rules")?)?,
                _ => print!("{text}"),
            }
            return Ok(ExitCode::SUCCESS);
        }
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

/// A list that a data source of Sentinel reads goes to standard output, what it rests on to standard error.
fn print_flow_rules(document: &Value) -> Result<()> {
    let services = document["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let [_, _, ..] = services {
        let names: Vec<String> = services.iter().map(|s| text(&s["service"])).collect();
        bail!(
            model::Error::invalid(format!("there are rules of {} services: {}", names.len(), names.join(", ")))
                .hint("a data source of Sentinel holds those of one: give service=NAME")
        );
    }
    let window = &document["window"];
    eprintln!("measured from {} to {}", text(&window["start"]), text(&window["end"]));
    for basis in services.iter().flat_map(|s| s["basis"].as_array().into_iter().flatten()) {
        eprintln!("{}: {}", text(&basis["resource"]), text(&basis["en"]));
    }
    for left in document["left_out"].as_array().into_iter().flatten() {
        let name = ["service", "operation", "peer"].map(|key| text(&left[key]));
        let name = name.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        eprintln!("left out: {} {name}: {}", text(&left["node"]), text(&left["en"]));
    }
    let rules = services.first().map_or_else(|| Value::Array(vec![]), |service| service["rules"].clone());
    println!("{}", serde_json::to_string_pretty(&rules)?);
    Ok(())
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
