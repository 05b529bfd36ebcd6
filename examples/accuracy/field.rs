//! The diagnosis on labelled faults of real systems ([`super::public`]): is the true service named, and at which place.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use model::time::SECOND;
use model::{Nanos, Signal, Tenant};
use prost::Message;
use query::{Engine, analysis};
use serde_json::Value;

use crate::memory::{self, failed};
use crate::plain;
use crate::public::{self, Case, Spans};
use crate::trial::is_alarm;

/// How long before the spans metrics are read, and how long after them: a point says what was in the minute before it.
const METRICS_BEFORE: Nanos = 600 * SECOND;
const METRICS_AFTER: Nanos = 60 * SECOND;

/// What was said about one case.
struct Said {
    verdict: String,
    /// Places of the true service, from 0.
    place: Option<usize>,
    by_p99: Option<usize>,
    by_self_time: Option<usize>,
    ranking: String,
}

/// Runs all cases of one half and prints a table and the misses.
pub async fn run(folder: &Path, half: &str, only: Option<&str>, verbose: bool) -> Result<()> {
    let mut rows: BTreeMap<String, [usize; 6]> = BTreeMap::new();
    let mut missed = Vec::new();
    let wanted = |case: &Case| match half {
        "tuning" => case.is_for_tuning(),
        "reporting" => !case.is_for_tuning(),
        _ => true,
    };
    for case in public::cases(folder)?.iter().filter(|case| wanted(case)) {
        if only.is_some_and(|only| !case.name().contains(only)) {
            continue;
        }
        let said = judge(case, verbose).await.with_context(|| case.name())?;
        let alarm = is_alarm(&said.verdict);
        let within = |place: Option<usize>, n: usize| usize::from(place.is_some_and(|place| place < n));
        let counts = [
            1,
            usize::from(alarm),
            within(said.place, 1),
            within(said.place, 3),
            within(said.by_p99, 1),
            within(said.by_self_time, 1),
        ];
        for name in [case.fault.clone(), "~all".to_owned()] {
            rows.entry(name).or_default().iter_mut().zip(counts).for_each(|(sum, more)| *sum += more);
        }
        if verbose || said.place != Some(0) {
            missed.push(format!("- {}: {}", case.name(), said.ranking));
        }
    }
    println!("| fault | alarm | service first | within 3 | first by p99 | first by self time |");
    println!("|---|---|---|---|---|---|");
    for (name, [of, alarm, first, three, p99, own]) in rows {
        let name = if name == "~all" { "**all**" } else { &name };
        println!("| {name} | {alarm}/{of} | {first}/{of} | {three}/{of} | {p99}/{of} | {own}/{of} |");
    }
    println!();
    missed.iter().for_each(|line| println!("{line}"));
    Ok(())
}

async fn judge(case: &Case, verbose: bool) -> Result<Said> {
    let Spans { exports, window, baseline } = public::spans(case)?;
    let (first, last) = (window.0.min(baseline.0), window.1.max(baseline.1));
    let metrics = public::metrics(case, first - METRICS_BEFORE, last + METRICS_AFTER)?;
    let now = last + 60 * SECOND;
    let spans = exports.iter().map(|export| (Signal::Traces, export.encode_to_vec()));
    let points = metrics.iter().map(|export| (Signal::Metrics, export.encode_to_vec()));
    let logs = public::logs(case)?;
    let lines = logs.iter().map(|export| (Signal::Logs, export.encode_to_vec()));
    let engine = memory::engine(spans.chain(points).chain(lines).collect(), now - 45 * SECOND, now)?;
    let seconds = |ns: Nanos| format!("{}", ns as f64 / 1e9);
    let asked = [
        ("start", seconds(window.0)),
        ("end", seconds(window.1 + SECOND)),
        ("baseline_start", seconds(baseline.0)),
        ("baseline_end", seconds(baseline.1 + SECOND)),
    ]
    .map(|(k, v)| (k.to_owned(), v));
    let answer = analysis::run(&engine, &Tenant::default(), "hotspots", &asked).await.map_err(failed)?;
    if verbose {
        println!("{}\n{:#}", case.name(), answer);
    }
    let spots = answer["hotspots"].as_array().context("hot spots")?;
    let place = spots.iter().position(|spot| names(spot, case.service()));
    let described = spots.iter().take(3).map(|spot| {
        let text = |name: &str| spot[name].as_str().unwrap_or("-").to_owned();
        let change = spot["change_ns_per_request"].as_f64().unwrap_or(0.0) / 1e6;
        format!(
            "{}/{} {} {change:+.2} ms {:.3}",
            text("service"),
            text("operation"),
            text("category"),
            spot["confidence"]
        )
    });
    let verdict = answer["verdict"].as_str().unwrap_or_default().to_owned();
    let ranking = format!("{verdict} ({place:?}): {}", described.collect::<Vec<_>>().join("; "));
    Ok(Said {
        verdict,
        place,
        by_p99: by_rise(&engine, plain::P99, case.service(), [window, baseline]).await?,
        by_self_time: by_rise(&engine, plain::SELF_TIME, case.service(), [window, baseline]).await?,
        ranking,
    })
}

/// A hot spot names a service when it is that service's.
fn names(spot: &Value, service: &str) -> bool {
    spot["service"] == service
}

/// The place of the true service among all, in a plain ranking of operations.
async fn by_rise(engine: &Engine, figure: &str, service: &str, sides: [(Nanos, Nanos); 2]) -> Result<Option<usize>> {
    let [after, before] = sides.map(|(from, to)| {
        format!("start_time >= to_timestamp_nanos({from}) AND start_time <= to_timestamp_nanos({to})")
    });
    let mut services: Vec<String> = Vec::new();
    for (named, _) in plain::ranking(engine, figure, &after, &before).await? {
        if !services.contains(&named) {
            services.push(named);
        }
    }
    Ok(services.iter().position(|named| named == service))
}
