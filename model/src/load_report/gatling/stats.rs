//! The statistics of Gatling's report: `stats.json`, a tree of groups and requests, or `global_stats.json`, which has
//! the total only. Older versions write numbers as text, and `-` for none. Neither says when the test was; its length is
//! the number of requests over their rate, which is rounded.
//!
//! The four percentiles have no names in it. They are 50, 75, 95 and 99 unless gatling.conf changed them.

use std::io::BufRead;

use serde_json::Value;

use super::super::figures::{Figures, Generator, Named, What, most, short};
use super::super::{LoadReport, records};
use crate::time::{MILLISECOND, SECOND};
use crate::{Error, Nanos, Result};

/// Groups within groups.
const DEEPEST: usize = 50;

pub fn read(input: &mut dyn BufRead) -> Result<LoadReport> {
    let report = records::document(input)?;
    let stats = if report["stats"].is_object() { &report["stats"] } else { &report };
    let total = figures(stats);
    if total.requests.is_none_or(|requests| requests == 0) {
        return Err(Error::invalid("the statistics have no requests"));
    }
    let mut named = Vec::new();
    requests(&report["contents"], "", 0, &mut named);
    let (named, _) = most(named);
    let length = total.requests.zip(total.rate).filter(|(_, rate)| *rate > 0.0);
    let duration = length.map(|(requests, rate)| (requests as f64 / rate * SECOND as f64).round() as Nanos);
    let generator = Generator {
        tool: "gatling".to_owned(),
        version: None,
        format: Some("gatling-stats".to_owned()),
        total,
        named,
        notes: vec![
            "percentiles are taken for Gatling's defaults, 50, 95 and 99; the file does not name them".to_owned(),
        ],
    };
    Ok(LoadReport { name: None, start: None, end: None, duration, marks: vec![], generator })
}

/// The requests below a group, named by their way.
fn requests(contents: &Value, above: &str, depth: usize, named: &mut Vec<Named>) {
    for node in contents.as_object().into_iter().flat_map(|contents| contents.values()) {
        let name = node["name"].as_str().unwrap_or_default();
        let way = if above.is_empty() { name.to_owned() } else { format!("{above} / {name}") };
        if node["type"] == "REQUEST" {
            named.push(Named { name: short(&way), what: What::Request, figures: figures(&node["stats"]) });
        } else if depth < DEEPEST {
            requests(&node["contents"], &way, depth + 1, named);
        }
    }
}

fn figures(stats: &Value) -> Figures {
    let number = |name: &str, of: &str| match &stats[name][of] {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse::<f64>().ok(),
        _ => None,
    };
    let number = |name: &str, of: &str| number(name, of).filter(|number| *number >= 0.0 && number.is_finite());
    let time = |name: &str| number(name, "total").map(|ms| (ms * MILLISECOND as f64).round() as Nanos);
    Figures {
        requests: number("numberOfRequests", "total").map(|number| number as u64),
        errors: number("numberOfRequests", "ko").map(|number| number as u64),
        rate: number("meanNumberOfRequestsPerSecond", "total"),
        mean_ns: time("meanResponseTime"),
        p50_ns: time("percentiles1"),
        p90_ns: None,
        p95_ns: time("percentiles3"),
        p99_ns: time("percentiles4"),
        max_ns: time("maxResponseTime"),
    }
}
