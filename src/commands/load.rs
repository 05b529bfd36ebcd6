//! `hotspan load`: OTLP volume from requests encoded once, with steps, against any OTLP endpoint.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use demo::load::{Compression, Protocol, Settings, Step};
use tokio_util::sync::CancellationToken;

use super::serve::runtime;
use crate::config::time;
use crate::server::asked_to_stop;

/// Send OTLP load: traces per second, in steps, and report what became of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hotspan load --rate 2000 --duration 30s\n  \
    hotspan load --step 8000x30s,40000x60s --compression zstd\n\n\
    Latency counts from when an export was due, so a slow server cannot hide. Exit code 1 when exports were given up.")]
pub struct Load {
    /// Where to send to; for HTTP the path /v1/traces is added
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4317")]
    endpoint: String,
    /// Protocol of the endpoint
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: ProtocolName,
    /// Traces per second; 0 means as fast as the server answers
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// How long to send
    #[arg(long, value_name = "TIME", default_value = "30s")]
    duration: String,
    /// Load levels as RATExTIME, instead of --rate and --duration
    #[arg(long, value_name = "RATExTIME,…", value_delimiter = ',')]
    step: Vec<String>,
    /// Spans of each trace
    #[arg(long, default_value_t = 12)]
    spans_per_trace: usize,
    /// Spans of each export
    #[arg(long, default_value_t = 490)]
    spans_per_export: usize,
    /// The same seed sends the same ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How exports are compressed
    #[arg(long, value_enum, default_value = "none")]
    compression: CompressionName,
    /// Connections to send over
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Bearer token
    #[arg(long, env = "HOTSPAN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Value of X-Scope-OrgID
    #[arg(long)]
    tenant: Option<String>,
    /// Write a line for each acknowledged export to this file, for checking what was stored
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProtocolName {
    Grpc,
    Http,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CompressionName {
    None,
    Gzip,
    Zstd,
}

impl Load {
    pub fn run(self) -> Result<ExitCode> {
        let settings = self.settings()?;
        let report = runtime()?.block_on(async {
            let stop = CancellationToken::new();
            let asked = stop.clone();
            tokio::spawn(async move {
                // Ctrl-C ends the sending; the report of what was sent follows.
                if asked_to_stop().await.is_ok() {
                    asked.cancel();
                }
            });
            demo::load::run(settings, stop).await
        })?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        Ok(if report.totals.lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            endpoint: self.endpoint.clone(),
            protocol: match self.protocol {
                ProtocolName::Grpc => Protocol::Grpc,
                ProtocolName::Http => Protocol::Http,
            },
            rate: self.rate,
            duration: time(&self.duration)?,
            steps: self.step.iter().map(|text| step(text)).collect::<Result<_>>()?,
            spans_per_trace: self.spans_per_trace,
            spans_per_export: self.spans_per_export,
            seed: self.seed,
            compression: match self.compression {
                CompressionName::None => Compression::None,
                CompressionName::Gzip => Compression::Gzip,
                CompressionName::Zstd => Compression::Zstd,
            },
            connections: self.connections,
            authorization: self.token.as_ref().map(|token| format!("Bearer {token}")),
            tenant: self.tenant.clone(),
            ledger: self.ledger.clone(),
            ..Settings::default()
        })
    }
}

/// `8000x30s`
fn step(text: &str) -> Result<Step> {
    let Some((rate, lasts)) = text.split_once('x') else {
        bail!(model::Error::invalid(format!("{text:?} is not a step")).hint("a step is RATExTIME, e.g. 8000x30s"));
    };
    let Ok(rate) = rate.trim().parse() else {
        bail!(model::Error::invalid(format!("{rate:?} is not a rate")).hint("a step is RATExTIME, e.g. 8000x30s"));
    };
    Ok(Step { rate, duration: time(lasts)? })
}
