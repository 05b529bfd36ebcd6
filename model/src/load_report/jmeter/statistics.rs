//! `statistics.json` of JMeter's dashboard: an object per label and one named `Total`, times in milliseconds. It does not
//! say when the test was; its length is the number of samples over their rate.
//!
//! The three percentiles have no names in it. They are 90, 95 and 99 unless `aggregate_rpt_pct1` to `3` were changed.

use std::io::BufRead;

use serde_json::Value;

use super::super::figures::{Figures, Generator, Named, What, most, short};
use super::super::{LoadReport, Nanos, records};
use crate::time::{MILLISECOND, SECOND};
use crate::{Error, Result};

const TOTAL: &str = "Total";

pub fn read(input: &mut dyn BufRead) -> Result<LoadReport> {
    let statistics = records::document(input)?;
    let labels = statistics.as_object().ok_or_else(|| Error::invalid("the statistics are not an object"))?;
    let Some(total) = labels.get(TOTAL).map(figures).filter(|total| total.requests > Some(0)) else {
        return Err(Error::invalid(format!("the statistics have no samples in {TOTAL:?}")));
    };
    let named = labels.iter().filter(|(label, value)| *label != TOTAL && value["sampleCount"].is_number());
    let one =
        |(label, value): (&String, &Value)| Named { name: short(label), what: What::Request, figures: figures(value) };
    let (named, _) = most(named.map(one).collect());
    let length = total.requests.zip(total.rate).filter(|(_, rate)| *rate > 0.0);
    let duration = length.map(|(requests, rate)| (requests as f64 / rate * SECOND as f64).round() as Nanos);
    let notes = vec![
        "percentiles are taken for JMeter's defaults, 90, 95 and 99; the file does not name them".to_owned(),
        "labels may be transactions, whose requests are counted as well".to_owned(),
    ];
    let generator = Generator {
        tool: "jmeter".to_owned(),
        version: None,
        format: Some("jmeter-statistics".to_owned()),
        total,
        named,
        notes,
    };
    Ok(LoadReport { name: None, start: None, end: None, duration, marks: vec![], generator })
}

fn figures(label: &Value) -> Figures {
    let time = |name: &str| {
        let ms = label[name].as_f64().filter(|ms| *ms >= 0.0);
        ms.map(|ms| (ms * MILLISECOND as f64).round() as Nanos)
    };
    Figures {
        requests: label["sampleCount"].as_u64(),
        errors: label["errorCount"].as_u64(),
        rate: label["throughput"].as_f64().filter(|rate| *rate >= 0.0),
        mean_ns: time("meanResTime"),
        p50_ns: time("medianResTime"),
        p90_ns: time("pct1ResTime"),
        p95_ns: time("pct2ResTime"),
        p99_ns: time("pct3ResTime"),
        max_ns: time("maxResTime"),
    }
}
