//! k6's summary as JSON. `--summary-export` has the figures of a metric at the metric itself, `handleSummary` under
//! `values`, and the structured form of either in a list (`structured.rs`); times are milliseconds. Of percentiles there
//! are those that the test's `summaryTrendStats` names, and in the structured form 90 and 95 of them at most.
//!
//! Only the structured form says when the test was, by the time at which it was made; it and `handleSummary` say how long
//! the test took, and in the others a counter's rate does.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde_json::{Map, Value};

use super::super::figures::{Figures, Generator, Named, What, most, short};
use super::super::{LoadReport, Nanos, records};
use super::structured;
use crate::time::{MILLISECOND, SECOND};
use crate::{Error, Result};

const REQUESTS: &str = "http_reqs";
const FAILED: &str = "http_req_failed";
const DURATION: &str = "http_req_duration";

pub fn read(input: &mut dyn BufRead) -> Result<LoadReport> {
    let summary = records::document(input)?;
    if structured::looks_like(&summary) {
        return of_structured(&structured::read(&summary)?);
    }
    let Some(metrics) = summary["metrics"].as_object() else {
        return Err(Error::invalid("the file has no \"metrics\", so it is no summary of k6"));
    };
    let told = summary["state"]["testRunDurationMs"].as_f64().map(nanos);
    report(metrics, told, "the summary has no p(99); summaryTrendStats of the test asks for it")
}

fn of_structured(summary: &structured::Structured) -> Result<LoadReport> {
    let no_p99 = "this form of k6's summary has no p(99); k6 run --out json=points.json has all times";
    let mut report = report(&summary.metrics, summary.duration, no_p99)?;
    report.end = summary.made;
    report.generator.version = summary.version.clone();
    if report.end.is_some() {
        report.generator.notes.push("the end is the time at which k6 made the summary".to_owned());
    }
    Ok(report)
}

/// What the metrics say of a test that is told to have taken so long.
fn report(metrics: &Map<String, Value>, told: Option<Nanos>, no_p99: &str) -> Result<LoadReport> {
    let total = figures(metrics, "");
    if total.requests.is_none_or(|requests| requests == 0) {
        return Err(Error::invalid(format!("the summary has no HTTP requests ({REQUESTS})"))
            .hint("tests of other protocols cannot be imported"));
    }
    let (named, _) = most(selections(metrics));
    let notes = if total.p99_ns.is_none() { vec![no_p99.to_owned()] } else { vec![] };
    let duration = told.or_else(|| duration(&total)).filter(|duration| *duration > 0);
    let generator =
        Generator { tool: "k6".to_owned(), version: None, format: Some("k6-summary".to_owned()), total, named, notes };
    Ok(LoadReport { name: None, start: None, end: None, duration, marks: vec![], generator })
}

/// k6 divides a counter by the time of the whole test.
fn duration(total: &Figures) -> Option<Nanos> {
    let (requests, rate) = total.requests.zip(total.rate)?;
    (rate > 0.0).then(|| (requests as f64 / rate * SECOND as f64).round() as Nanos)
}

/// What thresholds on tags make k6 report: `http_req_duration{name:checkout}` and its sisters.
fn selections(metrics: &Map<String, Value>) -> Vec<Named> {
    let mut tags = BTreeMap::new();
    for metric in metrics.keys() {
        let Some((base, rest)) = metric.split_once('{') else { continue };
        if [REQUESTS, FAILED, DURATION].contains(&base) {
            tags.insert(rest.trim_end_matches('}').to_owned(), ());
        }
    }
    let named = |tags: &String| {
        let name = tags.strip_prefix("name:").filter(|name| !name.contains(','));
        Named {
            name: short(name.unwrap_or(tags)),
            what: if name.is_some() { What::Request } else { What::Selection },
            figures: figures(metrics, &format!("{{{tags}}}")),
        }
    };
    tags.keys().map(named).collect()
}

/// The figures of the metrics with these tags.
fn figures(metrics: &Map<String, Value>, tags: &str) -> Figures {
    let values = |name: &str| {
        let metric = metrics.get(&format!("{name}{tags}")).unwrap_or(&Value::Null);
        if metric["values"].is_object() { &metric["values"] } else { metric }
    };
    let (requests, failed, times) = (values(REQUESTS), values(FAILED), values(DURATION));
    let time = |name: &str| times[name].as_f64().filter(|ms| *ms >= 0.0).map(nanos);
    Figures {
        requests: whole(&requests["count"]),
        // The rate counts what is true of it, so that a failed request is one that "passes".
        errors: whole(&failed["passes"]),
        rate: requests["rate"].as_f64().filter(|rate| *rate >= 0.0),
        mean_ns: time("avg"),
        p50_ns: time("med").or_else(|| time("p(50)")),
        p90_ns: time("p(90)"),
        p95_ns: time("p(95)"),
        p99_ns: time("p(99)"),
        max_ns: time("max"),
    }
}

fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64))
}

fn nanos(ms: f64) -> Nanos {
    (ms * MILLISECOND as f64).round() as Nanos
}
