//! `hotspan check`: verifies a store and names what is damaged.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use super::serve::runtime;
use crate::streams;

/// Verify a data folder: log frames, checksums, Delta logs against files, row counts
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hotspan check --data /var/lib/hotspan\n\n\
    Reads everything and changes nothing; safe beside a running server. Exit code 1 when something is damaged.")]
pub struct Check {
    /// Folder to verify
    #[arg(long, env = "HOTSPAN_DATA", value_name = "FOLDER", default_value = "./hotspan-data")]
    data: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn run(self) -> Result<ExitCode> {
        let findings = runtime()?.block_on(storage::check(&self.data, Arc::new(model::SystemClock)))?;
        let damaged = findings.iter().filter(|f| !f.ok).count();
        streams::printed(self.print(&findings, damaged))?;
        Ok(if damaged == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn print(&self, findings: &[storage::Finding], damaged: usize) -> Result<()> {
        let mut out = streams::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(findings)?)?;
            return Ok(());
        }
        for finding in findings {
            let state = if finding.ok { "ok     " } else { "DAMAGED" };
            writeln!(out, "{state} {}: {}", finding.what, finding.detail)?;
        }
        match damaged {
            0 => writeln!(out, "nothing is damaged")?,
            n => writeln!(out, "{n} damaged; restore these files from a backup, the rest stays readable")?,
        }
        Ok(())
    }
}
