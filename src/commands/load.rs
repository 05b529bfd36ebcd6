//! `hotspan load`: OTLP volume from parts encoded once, with steps, against any OTLP endpoint.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use demo::load::{Encoding, Protocol, Settings, Step};
use tokio_util::sync::CancellationToken;

use crate::config::time;
use crate::server::asked_to_stop;
use crate::streams;

const HELP: &str = "\
Examples:
  hotspan load --rate 2000 --duration 30s
  hotspan load --step 8000x30s,40000x60s,60000x10s --csv step.csv
  hotspan load --rate 0 --duration 20s --connections 16
  hotspan load --spans-per-export 10 --connections 256 --protocol http --endpoint http://127.0.0.1:4318
  hotspan load --encoding zstd --prepare 20000 --rate 8000
  hotspan load --retry --ids-file acknowledged.txt

Each step begins at full rate: there is no ramp. Latency counts from when an export was due, so a slow server cannot
hide by slowing the generator. What is compressed is compressed for each send, because ids and times differ; that CPU
time is in the report, and --prepare does it before the run.

Every line of the ids file is TRACE_ID SPANS REJECTED: how many spans of the trace one acknowledged export held, and
how many of the export's spans the server left out (0, or it is not known which).

Exit code 1 when spans were refused or failed.";

/// Send OTLP load: traces per second, in steps, and report what became of it
#[derive(Debug, Args)]
#[command(after_help = HELP)]
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
    /// Spans of each export, 1 to 5000; all from one instance of one service. Fewer where that would be less than one
    /// export a second
    #[arg(long, default_value_t = 490)]
    spans_per_export: usize,
    /// The same seed sends the same ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So long after the start "SELECT stock" of inventory begins to take four times as long, for hot spots to name
    #[arg(long, value_name = "TIME")]
    slow_after: Option<String>,
    /// How exports are compressed (gzip and zstd at level 1)
    #[arg(long, value_enum, default_value = "none")]
    encoding: EncodingName,
    /// Make so many of the first requests before the run, in memory
    #[arg(long, value_name = "EXPORTS", default_value_t = 0)]
    prepare: u64,
    /// Connections to send over
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Exports on their way at once on each gRPC connection; an HTTP connection carries one
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: String,
    /// Send again what is refused for a while or gets no answer, after the pause that the server asks for
    #[arg(long)]
    retry: bool,
    /// With --retry: exports that may wait to be sent again; further ones are given up
    #[arg(long, value_name = "EXPORTS", default_value_t = 4096)]
    retry_queue: usize,
    /// With --retry: how long after it was due an export is given up
    #[arg(long, value_name = "TIME", default_value = "60s")]
    patience: String,
    /// Bearer token
    #[arg(long, env = "HOTSPAN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Value of X-Scope-OrgID
    #[arg(long)]
    tenant: Option<String>,
    /// Append every trace id with acknowledged spans to this file, for checking what was stored
    #[arg(long, value_name = "FILE")]
    ids_file: Option<PathBuf>,
    /// Write a line for each second to this file: asked, sent, accepted, refused, latency
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
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
enum EncodingName {
    None,
    Gzip,
    Zstd,
}

impl Load {
    pub fn run(self) -> Result<ExitCode> {
        let settings = self.settings()?;
        let report = self.runtime()?.block_on(async {
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
        let text = if self.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
        streams::printed(writeln!(streams::stdout(), "{text}").map_err(Into::into))?;
        let all_taken = report.totals.refused == 0 && report.totals.failed == 0;
        Ok(if all_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// One thread sends some 2 million spans/s, and with one no time goes into waking others. Compressing needs more.
    fn runtime(&self) -> Result<tokio::runtime::Runtime> {
        let mut builder = match self.encoding {
            EncodingName::None => tokio::runtime::Builder::new_current_thread(),
            EncodingName::Gzip | EncodingName::Zstd => tokio::runtime::Builder::new_multi_thread(),
        };
        Ok(builder.enable_all().thread_name("load").build()?)
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
            slow_after: self.slow_after.as_deref().map(time).transpose()?,
            encoding: match self.encoding {
                EncodingName::None => Encoding::None,
                EncodingName::Gzip => Encoding::Gzip,
                EncodingName::Zstd => Encoding::Zstd,
            },
            prepare: self.prepare,
            connections: self.connections,
            in_flight: self.in_flight,
            timeout: time(&self.timeout)?,
            retry: self.retry,
            retry_queue: self.retry_queue,
            patience: time(&self.patience)?,
            authorization: self.token.as_ref().map(|token| format!("Bearer {token}")),
            tenant: self.tenant.clone(),
            ids_file: self.ids_file.clone(),
            csv: self.csv.clone(),
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
