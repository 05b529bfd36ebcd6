//! `hotspan sql`: one query, or a prompt when none is given; against a server or directly on a data folder.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use model::{SystemClock, Tenant};
use query::output;
use serde_json::json;

use super::serve::runtime;
use crate::client::Remote;

/// Run SQL over spans, metrics and logs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hotspan sql \"select service_name, name, approx_percentile_cont(duration_ns, 0.99) p99 from spans group by 1, 2\"\n  \
    hotspan sql --data ./hotspan-data --format csv 'select count(*) from spans'\n  \
    hotspan sql                # a prompt; end a statement with ; and leave with Ctrl-D")]
pub struct Sql {
    /// The statement; `-` reads it from standard input; none: a prompt
    query: Option<String>,
    /// How to print the answer
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Read this data folder directly, without a server (what its Delta tables hold)
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
    Arrow,
    Parquet,
}

impl From<Format> for output::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => output::Format::Table,
            Format::Json => output::Format::Json,
            Format::Csv => output::Format::Csv,
            Format::Arrow => output::Format::Arrow,
            Format::Parquet => output::Format::Parquet,
        }
    }
}

impl Sql {
    pub fn run(self) -> Result<ExitCode> {
        match &self.query {
            Some(text) if text == "-" => {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).context("reading standard input")?;
                self.answer(&text)?;
            }
            Some(text) => self.answer(text)?,
            None if io::stdin().is_terminal() => self.prompt()?,
            None => {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).context("reading standard input")?;
                for statement in text.split(';').filter(|s| !s.trim().is_empty()) {
                    self.answer(statement)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn answer(&self, text: &str) -> Result<()> {
        let format = output::Format::from(self.format);
        let bytes = match &self.data {
            Some(folder) => self.on_folder(folder, text, format)?,
            None => self.remote.post("/api/v1/sql", &json!({"query": text}), format.media_type())?,
        };
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        if matches!(self.format, Format::Table | Format::Json) && !bytes.ends_with(b"\n") {
            writeln!(out)?;
        }
        Ok(())
    }

    fn on_folder(&self, folder: &std::path::Path, text: &str, format: output::Format) -> Result<Vec<u8>> {
        let tenant = self.remote.tenant.as_deref().map(Tenant::new).transpose()?.unwrap_or_default();
        let clock = Arc::new(SystemClock);
        runtime()?.block_on(async {
            let source = storage::ReadOnly::open(folder, clock.clone()).await?;
            let engine = query::Engine::new(query::Settings::default(), Arc::new(source), clock)?;
            let result = engine.sql(&tenant, text, &[]).await?;
            Ok(output::write(&result, format)?)
        })
    }

    fn prompt(&self) -> Result<()> {
        let mut editor = rustyline::DefaultEditor::new()?;
        println!("tables: spans, metrics, logs, runs; end a statement with ; and leave with Ctrl-D");
        let mut statement = String::new();
        loop {
            let sign = if statement.is_empty() { "hotspan> " } else { "    ...> " };
            match editor.readline(sign) {
                Ok(line) => {
                    statement.push_str(&line);
                    statement.push('\n');
                    if !line.trim_end().ends_with(';') {
                        continue;
                    }
                    let text = std::mem::take(&mut statement);
                    let _ = editor.add_history_entry(text.trim());
                    if let Err(error) = self.answer(text.trim_end().trim_end_matches(';')) {
                        eprintln!("error: {error:#}");
                    }
                }
                Err(rustyline::error::ReadlineError::Interrupted) => statement.clear(),
                Err(rustyline::error::ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
