//! `hotspan sql`: one query, or a prompt when none is given; against a server or directly on a data folder.

use std::fmt;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use model::{SystemClock, Tenant};
use query::output;
use serde_json::json;

use super::serve::runtime;
use crate::client::{Posted, Remote};
use crate::streams;

/// Run SQL over spans, metrics and logs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hotspan sql \"select service_name, name, approx_percentile_cont(duration_ns, 0.99) p99 from spans group by 1, 2\"\n  \
    hotspan sql --data ./hotspan-data --format csv 'select count(*) from spans'\n  \
    hotspan sql                # a prompt; end a statement with ; and leave with Ctrl-D\n\n\
    An answer of more rows than are given at once is cut; standard error says so.")]
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
        let (bytes, cut) = match &self.data {
            Some(folder) => self.on_folder(folder, text, format)?,
            None => self.on_server(text, format)?,
        };
        let mut out = streams::stdout();
        out.write_all(&bytes)?;
        if matches!(self.format, Format::Table | Format::Json) && !bytes.ends_with(b"\n") {
            writeln!(out)?;
        }
        out.flush()?;
        // After the rows, where it is seen, and not among them.
        if let Some(cut) = cut {
            streams::note(cut);
        }
        Ok(())
    }

    fn on_server(&self, text: &str, format: output::Format) -> Result<(Vec<u8>, Option<Cut>)> {
        let Posted { bytes, truncated, rows } =
            self.remote.post("/api/v1/sql", &json!({"query": text}), format.media_type())?;
        let cut = truncated.then_some(Cut { rows, by: "the server" });
        Ok((bytes, cut))
    }

    fn on_folder(&self, folder: &Path, text: &str, format: output::Format) -> Result<(Vec<u8>, Option<Cut>)> {
        let tenant = self.remote.tenant.as_deref().map(Tenant::new).transpose()?.unwrap_or_default();
        let clock = Arc::new(SystemClock);
        runtime()?.block_on(async {
            let source = storage::ReadOnly::open(folder, clock.clone()).await?;
            let engine = query::Engine::new(query::Settings::default(), Arc::new(source), clock)?;
            let result = engine.sql(&tenant, text, &[]).await?;
            let cut = result.cut.map(|_| Cut { rows: Some(result.rows() as u64), by: "this command" });
            Ok((output::write(&result, format)?, cut))
        })
    }

    fn prompt(&self) -> Result<()> {
        let mut editor = rustyline::DefaultEditor::new()?;
        writeln!(
            streams::stdout(),
            "tables: spans, metrics, logs, runs; end a statement with ; and leave with Ctrl-D"
        )?;
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
                        streams::note(format_args!("error: {error:#}"));
                    }
                }
                Err(rustyline::error::ReadlineError::Interrupted) => statement.clear(),
                Err(rustyline::error::ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// An answer that is not all there is.
#[derive(Debug, PartialEq)]
struct Cut {
    /// How many rows there are, where the answer tells.
    rows: Option<u64>,
    by: &'static str,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cut { rows, by } = self;
        match rows {
            Some(rows) => write!(f, "warning: {by} cut the answer at {rows} rows")?,
            None => {
                write!(f, "warning: {by} cut the answer where its settings say (max_rows and max_bytes of [query])")?
            }
        }
        write!(f, ", there are more; {}", output::CUT_HINT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_says_at_how_many_rows() {
        let told = Cut { rows: Some(2), by: "the server" }.to_string();
        assert!(told.starts_with("warning: the server cut the answer at 2 rows, there are more"), "{told}");
        let told = Cut { rows: None, by: "the server" }.to_string();
        assert!(told.contains("max_rows") && told.contains("there are more") && told.contains("LIMIT"), "{told}");
    }
}
