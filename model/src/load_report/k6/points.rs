//! k6's points, one per line as JSON or CSV: each has a metric, a time, a value and tags. A request is a point of
//! `http_reqs`, one of `http_req_failed` (0 or 1) and one of `http_req_duration` (milliseconds, at the request's end).

use std::borrow::Cow;
use std::io::BufRead;

use serde::Deserialize;

use super::super::counted::Counted;
use super::super::figures::What;
use super::super::stages::Levels;
use super::super::{LoadReport, Nanos, milliseconds, records};
use crate::time::{MICROSECOND, MILLISECOND, SECOND, rfc3339};
use crate::{Error, Result};

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    metric: Cow<'a, str>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
    value: Option<f64>,
    #[serde(borrow)]
    tags: Option<Tags<'a>>,
}

#[derive(Default, Deserialize)]
struct Tags<'a> {
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    scenario: Option<Cow<'a, str>>,
}

pub fn read_json(input: &mut dyn BufRead) -> Result<LoadReport> {
    let mut counted = counted();
    let cut = records::lines(input, |line| {
        let line: Line = serde_json::from_slice(line).map_err(|e| Error::invalid(format!("not a line of k6: {e}")))?;
        if line.kind != "Point" {
            return Ok(());
        }
        let (Some(time), Some(value)) = (line.data.time, line.data.value) else {
            return Err(Error::invalid("a point without time or value"));
        };
        let tags = line.data.tags.unwrap_or_default();
        let point = Point {
            at: rfc3339(&time).ok_or_else(|| not_a_time(&time))?,
            value,
            method: tags.method.as_deref().unwrap_or_default(),
            name: tags.name.as_deref().or(tags.url.as_deref()).unwrap_or_default(),
            scenario: tags.scenario.as_deref().unwrap_or_default(),
        };
        count(&mut counted, &line.metric, &point)
    })?;
    counted.notes.extend(cut);
    counted.report("k6", "k6-json", None)
}

pub fn read_csv(input: &mut dyn BufRead) -> Result<LoadReport> {
    let mut counted = counted();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    let head = reader.headers().map_err(|e| Error::invalid(format!("reading the file: {e}")))?.clone();
    let column = |name: &str| head.iter().position(|column| column == name);
    let (Some(metric), Some(time), Some(value)) = (column("metric_name"), column("timestamp"), column("metric_value"))
    else {
        return Err(Error::invalid("the columns metric_name, timestamp and metric_value are not all there"));
    };
    let [method, name, url, scenario] = ["method", "name", "url", "scenario"].map(column);
    let (mut in_seconds, columns) = (false, head.len());
    let cut = records::rows(&mut reader, |row| {
        if row.len() < columns {
            return Err(Error::invalid(format!("{} fields of {columns}", row.len())));
        }
        let text = |column: Option<usize>| String::from_utf8_lossy(column.and_then(|c| row.get(c)).unwrap_or_default());
        let (time, value) = (text(Some(time)), text(Some(value)));
        let (at, is_second) = csv_time(&time).ok_or_else(|| not_a_time(&time))?;
        in_seconds |= is_second;
        let value = value.parse().map_err(|_| Error::invalid(format!("{value:?} is not a number")))?;
        let (method, name, url, scenario) = (text(method), text(name), text(url), text(scenario));
        let name = if name.is_empty() { &url } else { &name };
        let point = Point { at, value, method: &method, name, scenario: &scenario };
        count(&mut counted, &text(Some(metric)), &point)
    })?;
    counted.notes.extend(cut);
    if in_seconds {
        // The times were cut to seconds, so that the last of them had not ended.
        counted.ended_within(SECOND);
        counted.notes.push("times of the file are whole seconds".to_owned());
    }
    counted.report("k6", "k6-csv", None)
}

fn counted() -> Counted {
    let mut counted = Counted::new(MICROSECOND);
    counted.levels = Levels::of("vus");
    counted
}

struct Point<'a> {
    at: Nanos,
    value: f64,
    method: &'a str,
    name: &'a str,
    scenario: &'a str,
}

fn count(counted: &mut Counted, metric: &str, point: &Point) -> Result<()> {
    let &Point { at, value, .. } = point;
    if !value.is_finite() {
        return Err(Error::invalid(format!("the value {value} is not a number")));
    }
    let request = || format!("{} {}", point.method, point.name).trim().to_owned();
    match metric {
        "http_reqs" => counted.requests(What::Request, &request(), value.max(0.0) as u64),
        "http_req_failed" => counted.judged(What::Request, &request(), value != 0.0),
        "http_req_duration" if value < 0.0 => return Err(Error::invalid(format!("a request of {value} ms"))),
        "http_req_duration" => {
            let start = at.saturating_sub((value * MILLISECOND as f64) as Nanos);
            counted.saw(start, at);
            counted.took(What::Request, &request(), value * 1e3);
            if !point.scenario.is_empty() {
                counted.phases.saw(point.scenario, start, at);
            }
        }
        "vus" => counted.levels.saw(at, value.max(0.0) as u64),
        _ => {}
    }
    Ok(())
}

/// The time of a row, and whether it is in whole seconds, as k6 writes it unless told otherwise.
fn csv_time(text: &str) -> Option<(Nanos, bool)> {
    if text.contains('T') {
        return Some((rfc3339(text)?, !text.contains('.')));
    }
    let number: i64 = text.parse().ok()?;
    match text.len() {
        10 => Some((number.checked_mul(SECOND)?, true)),
        13 => Some((milliseconds(text)?, false)),
        16 => Some((number.checked_mul(MICROSECOND)?, false)),
        19 => Some((number, false)),
        _ => None,
    }
}

fn not_a_time(text: &str) -> Error {
    Error::invalid(format!("{text:?} is not a time"))
}
