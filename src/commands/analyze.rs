//! `hotspan analyze`: any registered analysis, as text or JSON.

mod figure;
mod hotspots;
mod shown;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::client::{Remote, pairs};
use crate::streams;
use hotspots::hotspots;
use shown::shown;

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
    /// Another form of the answer: json for all of it; of capacity: sentinel or envoy, as rules of flow control
    #[arg(long, value_name = "NAME", conflicts_with = "json")]
    format: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Analyze {
    pub fn run(self) -> Result<ExitCode> {
        match &self.name {
            None => self.list()?,
            Some(name) => self.ask(name)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn list(&self) -> Result<()> {
        let analyses = self.remote.get("/api/v1/analyses", &[])?;
        let mut out = streams::stdout();
        for analysis in analyses.as_array().into_iter().flatten() {
            let doc = text(&analysis["doc"]);
            writeln!(out, "{:<20} {}", text(&analysis["name"]), doc.lines().next().unwrap_or_default())?;
        }
        Ok(())
    }

    fn ask(&self, name: &str) -> Result<()> {
        let (path, mut parameters) = (format!("/api/v1/{name}"), pairs(&self.parameters, "NAME=VALUE")?);
        if let Some(format) = self.format.as_deref().filter(|format| *format != "json") {
            parameters.push(("format".to_owned(), format.to_owned()));
            let text = self.remote.text(&path, &parameters)?;
            if format == "sentinel" {
                return print_flow_rules(&serde_json::from_str(&text).context("reading the rules")?);
            }
            streams::stdout().write_all(text.as_bytes())?;
            return Ok(());
        }
        let answer = self.remote.get(&path, &parameters)?;
        let mut out = streams::stdout();
        if self.json || self.format.is_some() {
            writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
            return Ok(());
        }
        match name {
            "hotspots" => write!(out, "{}", hotspots(&answer))?,
            _ => write!(out, "{}", shown(name, &answer))?,
        }
        out.flush()?;
        streams::note("this is the part for people; --format json has everything");
        Ok(())
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
    streams::note(format_args!("measured from {} to {}", text(&window["start"]), text(&window["end"])));
    for basis in services.iter().flat_map(|s| s["basis"].as_array().into_iter().flatten()) {
        streams::note(format_args!("{}: {}", text(&basis["resource"]), text(&basis["en"])));
    }
    for left in document["left_out"].as_array().into_iter().flatten() {
        let name = ["service", "operation", "peer"].map(|key| text(&left[key]));
        let name = name.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        streams::note(format_args!("left out: {} {name}: {}", text(&left["node"]), text(&left["en"])));
    }
    let rules = services.first().map_or_else(|| Value::Array(vec![]), |service| service["rules"].clone());
    writeln!(streams::stdout(), "{}", serde_json::to_string_pretty(&rules)?)?;
    Ok(())
}
