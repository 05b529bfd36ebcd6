//! `hotspan config`: the effective configuration with the source of each value.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, Args, parser::ValueSource};

use crate::config::{self, Options};
use crate::streams;

/// Print the effective configuration and where each value comes from; secrets are hidden
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  HOTSPAN_RETENTION=30d hotspan config --config /etc/hotspan.toml")]
pub struct Config {
    /// TOML file of settings
    #[arg(long, env = "HOTSPAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

impl Config {
    pub fn run(self, used: &ArgMatches) -> Result<ExitCode> {
        let from_env = |name: &str| {
            let id = name.replace('-', "_");
            used.try_contains_id(&id).unwrap_or(false) && used.value_source(&id) == Some(ValueSource::EnvVariable)
        };
        let values = config::explain(&self.options, self.config.as_deref(), from_env)?;
        let mut out = streams::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&values)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        for value in values {
            writeln!(out, "{:<36} {:<30} # {}", value.name, value.value.to_string(), value.source)?;
        }
        // The same refusals that `serve` would make.
        config::Config::resolve(self.options, self.config.as_deref())?;
        Ok(ExitCode::SUCCESS)
    }
}
