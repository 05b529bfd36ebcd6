//! `hotspan run import FILE`: a test that a load generator has driven becomes a run, with the generator's own figures.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat};
use clap::Args;
use flate2::bufread::MultiGzDecoder;
use model::load_report::{self, Kind, LoadReport};
use model::run::Mark;
use model::time::{SECOND, to_rfc3339};
use model::{Clock, Nanos, SystemClock};
use query::analysis::scope::parse_time;
use reqwest::Method;
use serde_json::{Value, json};

use super::figures;
use crate::client::{Remote, pairs};
use crate::streams;

/// How a file that gzip packed begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 256 << 10;
/// By how much clocks of machines may differ without a word.
const AHEAD: Nanos = 2 * SECOND;

/// Make a run of what k6, JMeter or Gatling wrote about a test
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hotspan run import results.jtl --name round-3\n  \
    k6 run --out json=points.json shop.js; hotspan run import points.json\n  \
    hotspan run import summary.json --end 2026-11-11T20:30:00+08:00      # a summary has no times\n\n\
    A log of requests (k6 --out json or csv, a JTL, Gatling's simulation.log) has times, a summary mostly has not:\n\
    its end is --end, else when the file was written, and its start follows from its length, else it is --start.")]
pub struct Import {
    file: PathBuf,
    /// Name of the run [default: what the file calls the test, else the file's name]
    #[arg(long)]
    name: Option<String>,
    /// What the file is [default: seen from its first bytes]
    #[arg(long, value_parser = format_named)]
    format: Option<&'static Kind>,
    /// When the test began: RFC 3339, unix seconds, or like now-15m
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// When the test ended
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// KEY=VALUE; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// What is different this time
    #[arg(long, default_value = "", hide_default_value = true)]
    notes: String,
    /// Print the run as JSON
    #[arg(long)]
    json: bool,
}

fn format_named(name: &str) -> std::result::Result<&'static Kind, String> {
    load_report::find(name).map_err(|e| format!("{e}; {}", e.hint.as_deref().unwrap_or_default()))
}

impl Import {
    pub fn run(&self, remote: &Remote) -> Result<()> {
        let now = SystemClock.now();
        let (body, end) = self.body(now).with_context(|| format!("importing {}", self.file.display()))?;
        let run = remote.send_json(Method::POST, "/api/v1/runs", &body)?;
        if let Some(warning) = in_the_future(end, now) {
            streams::note(warning);
        }
        let mut out = streams::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&run)?)?;
            return Ok(());
        }
        super::tell("imported", &run)?;
        write!(out, "{}", figures::described(&run, None))?;
        writeln!(out, "hotspan run show {} puts beside it what hotspan saw", run["id"].as_str().unwrap_or_default())?;
        Ok(())
    }

    /// What the server is sent, and when the run ends.
    fn body(&self, now: Nanos) -> Result<(Value, Nanos)> {
        let time = |given: &Option<String>, name: &str| {
            let read = |text: &String| parse_time(text, now).map_err(|e| e.context(name));
            given.as_ref().map(read).transpose()
        };
        let (start, end) = (time(&self.start, "--start")?, time(&self.end, "--end")?);
        let labels: serde_json::Map<String, Value> =
            pairs(&self.label, "KEY=VALUE")?.into_iter().map(|(key, value)| (key, value.into())).collect();
        let (mut report, modified) = self.read()?;
        let times = report.times(start, end, modified)?;
        report.generator.notes.extend(times.note.clone());
        let mark = |mark: &Mark| json!({"name": mark.name, "time": to_rfc3339(mark.at)});
        let body = json!({
            "name": self.name.clone().or(report.name.clone()).unwrap_or_else(|| stem(&self.file)),
            "start_time": to_rfc3339(times.start),
            "end_time": to_rfc3339(times.end),
            "labels": labels,
            "notes": self.notes,
            "marks": report.marks_within(&times).iter().map(mark).collect::<Vec<_>>(),
            "generator": report.generator,
        });
        Ok((body, times.end))
    }

    fn read(&self) -> Result<(LoadReport, Option<Nanos>)> {
        let file = File::open(&self.file)?;
        let written = file.metadata().ok().and_then(|about| about.modified().ok());
        let since = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified = since.and_then(|since| Nanos::try_from(since.as_nanos()).ok());
        let mut input = BufReader::with_capacity(BUFFER, file);
        let is_packed = input.fill_buf()?.starts_with(&GZIP);
        let report = match is_packed {
            true => load_report::read(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input)), self.format),
            false => load_report::read(input, self.format),
        };
        Ok((report?, modified))
    }
}

/// A warning where a run that is over would end later than now.
fn in_the_future(end: Nanos, now: Nanos) -> Option<String> {
    if end - now < AHEAD {
        return None;
    }
    let ahead = humantime::format_duration(Duration::from_secs((end - now).unsigned_abs() / SECOND.unsigned_abs()));
    let end = DateTime::from_timestamp_nanos(end).to_rfc3339_opts(SecondsFormat::Secs, true);
    Some(format!(
        "warning: the run ends in the future, at {end}, {ahead} from now: compare the clocks of this machine and of the \
         one that drove the load, and the zone of --start and --end (2026-11-11T20:30:00+08:00, or Z for UTC)"
    ))
}

/// The file's name without its endings.
fn stem(file: &Path) -> String {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').find(|part| !part.is_empty()).unwrap_or("imported").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_in_the_future_is_warned_of() {
        let now = 1_794_400_200 * SECOND;
        assert_eq!(in_the_future(now - SECOND, now), None);
        assert_eq!(in_the_future(now + SECOND, now), None, "clocks differ a little");
        // A log whose times are Shanghai's, read as UTC.
        let told = in_the_future(now + 8 * 3600 * SECOND, now).expect("a warning");
        assert!(
            told.starts_with("warning: the run ends in the future, at 2026-11-11T20:30:00Z, 8h from now:"),
            "{told}"
        );
        assert!(told.contains("clocks") && told.contains("zone"), "{told}");
    }

    #[test]
    fn a_summary_takes_the_end_that_is_given_for_it() {
        let now = 1_794_400_200 * SECOND;
        let import = Import {
            file: "testdata/load-reports/k6-summary-export.json".into(),
            name: None,
            format: None,
            start: None,
            end: Some("now+8h".to_owned()),
            label: Vec::new(),
            notes: String::new(),
            json: false,
        };
        let (body, end) = import.body(now).expect("reads");
        assert_eq!(end, now + 8 * 3600 * SECOND);
        assert_eq!(body["end_time"], "2026-11-11T20:30:00.000000000Z");
        assert!(in_the_future(end, now).is_some());
    }
}
