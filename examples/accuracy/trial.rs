//! One run of the shop, or of another system, and what is said about it.

use std::fmt;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use demo::shop::{self, Topology, Truth, Wear};
use model::time::SECOND;
use model::{Nanos, Signal, Tenant};
use prost::Message;
use query::{Engine, analysis};
use serde_json::Value;

use crate::memory::{self, failed};
use crate::plain;

/// When the simulation begins, Unix seconds.
pub const EPOCH: i64 = 1_700_000_000;
/// A minute at the low load, two at the high one.
pub const STEP_AFTER: Duration = Duration::from_secs(60);
const DURATION: Duration = Duration::from_secs(180);
/// Requests per second before and after the step, and the most spans that a run is to have: where requests make many,
/// there are fewer of them.
const LOAD: (f64, f64) = (20.0, 100.0);
const MOST_SPANS: f64 = 200_000.0;

/// What to run.
pub struct Setup<'a> {
    pub fault: &'a str,
    /// `None`: the seed chooses.
    pub place: Option<usize>,
    pub seed: u64,
    pub topology: Topology,
    /// Requests per second before and after the step, when they are given.
    pub load: Option<(f64, f64)>,
    pub wear: Wear,
    /// Metrics and logs are not looked at.
    pub spans_only: bool,
}

impl Setup<'_> {
    pub fn settings(&self) -> shop::Settings {
        let (base_rate, peak_rate) = self.load.unwrap_or_else(|| self.bearable_load());
        shop::Settings {
            seed: self.seed,
            topology: self.topology,
            fault: self.fault.to_owned(),
            place: self.place,
            base_rate,
            peak_rate,
            step_after: STEP_AFTER,
            duration: DURATION,
            ..shop::Settings::default()
        }
    }

    fn bearable_load(&self) -> (f64, f64) {
        let requests = LOAD.0 * STEP_AFTER.as_secs_f64() + LOAD.1 * (DURATION - STEP_AFTER).as_secs_f64();
        let spans = requests * self.topology.plan(self.seed).spans_per_request();
        let share = (MOST_SPANS / spans).min(1.0);
        (LOAD.0 * share, LOAD.1 * share)
    }
}

impl fmt::Display for Setup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fault)?;
        if let Some(place) = self.place {
            write!(f, " {place}")?;
        }
        if self.topology != Topology::Shop {
            write!(f, " in {}", self.topology)?;
        }
        write!(f, ", seed {}", self.seed)
    }
}

pub struct Trial {
    pub truth: Truth,
    pub verdict: String,
    /// Places of the true operation (from 0) in our ranking and in the plain ones.
    pub place: Option<usize>,
    pub by_p99: Option<usize>,
    pub by_self_time: Option<usize>,
    /// Of the hot spot that names the truth.
    pub category: bool,
    pub instance: bool,
    pub attribute: bool,
    answer: Value,
}

/// `None` when the fault has no place in the system.
pub async fn run(setup: &Setup<'_>) -> anyhow::Result<Option<Trial>> {
    let settings = setup.settings();
    let Some(truth) = shop::truth(&settings) else { return Ok(None) };
    let end = (EPOCH + DURATION.as_secs() as i64) * SECOND;
    let signals = setup.wear.apply_to_all(shop::simulate_signals(&settings), setup.seed, &[truth.service.as_str()]);
    let engine = engine(&signals, end, setup.spans_only)?;
    let window = [("start", "now-210s"), ("end", "now")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let answer = analysis::run(&engine, &Tenant::default(), "hotspots", &window).await.map_err(failed)?;
    let spots = answer["hotspots"].as_array().context("hot spots")?;
    let names = |spot: &Value| match (spot["service"].as_str(), spot["operation"].as_str()) {
        (Some(service), Some(operation)) => truth.names(service, operation),
        _ => false,
    };
    let named = spots.iter().position(names);
    let spot = named.map_or(&Value::Null, |place| &spots[place]);
    let confined = |found: &Value, wanted: Option<&String>| wanted.is_none_or(|wanted| found == wanted.as_str());
    let value = truth.attribute.as_ref().map(|attribute| &attribute.value);
    Ok(Some(Trial {
        verdict: answer["verdict"].as_str().unwrap_or_default().to_owned(),
        place: named,
        by_p99: by_rise(&engine, plain::P99, &truth).await?,
        by_self_time: by_rise(&engine, plain::SELF_TIME, &truth).await?,
        category: spot["category"].as_str().is_some_and(|category| truth.allows_category(category)),
        instance: confined(&spot["instance"], truth.instance.as_ref()),
        attribute: confined(&spot["attribute"]["value"], value),
        truth,
        answer,
    }))
}

/// The place of the true operation in a plain ranking.
async fn by_rise(engine: &Engine, figure: &str, truth: &Truth) -> anyhow::Result<Option<usize>> {
    let step = EPOCH + STEP_AFTER.as_secs() as i64;
    let side = |comparison: &str| format!("start_time {comparison} to_timestamp_seconds({step})");
    let ranked = plain::ranking(engine, figure, &side(">="), &side("<")).await?;
    Ok(ranked.iter().position(|(service, name)| truth.names(service, name)))
}

/// An engine over all signals of the run, or its spans only, in memory.
fn engine(signals: &shop::Signals, end: Nanos, spans_only: bool) -> anyhow::Result<Engine> {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH as u64);
    let (readings, logs) = match spans_only {
        true => (Default::default(), Vec::new()),
        false => (signals.readings.as_slice(), shop::logs_to_otlp(&signals.spans, epoch)),
    };
    let spans = shop::to_otlp(&signals.spans, epoch, 4_000);
    let spans = spans.iter().map(|export| (Signal::Traces, export.encode_to_vec()));
    let metrics = readings.iter().map(|reading| (Signal::Metrics, reading.to_otlp(epoch).encode_to_vec()));
    let logs = logs.iter().map(|export| (Signal::Logs, export.encode_to_vec()));
    memory::engine(spans.chain(metrics).chain(logs).collect(), end, end + 30 * SECOND)
}

/// Whether a verdict says that something changed.
pub fn is_alarm(verdict: &str) -> bool {
    matches!(verdict, "bottleneck" | "behaviour_changed")
}

impl Trial {
    pub fn is_healthy(&self) -> bool {
        self.truth.service.is_empty()
    }

    /// Something is said to have changed.
    pub fn alarms(&self) -> bool {
        is_alarm(&self.verdict)
    }

    /// What was said, in a line.
    pub fn ranking(&self) -> String {
        let spot = |spot: &Value| {
            let text = |name: &str| spot[name].as_str().unwrap_or("-").to_owned();
            let change = spot["change_ns_per_request"].as_f64().unwrap_or(0.0) / 1e6;
            let attribute = spot["attribute"]["value"].as_str().map_or(String::new(), |value| format!(" [{value}]"));
            format!("{}/{} {}{attribute} {change:+.1} ms", text("service"), text("operation"), text("category"))
        };
        let spots = self.answer["hotspots"].as_array().into_iter().flatten().take(3).map(spot);
        format!("{}: {}", self.verdict, spots.collect::<Vec<_>>().join("; "))
    }
}
