//! One run of the shop and what is said about it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use collector::decode::OtlpDecoder;
use demo::shop::{self, Truth};
use model::time::SECOND;
use model::{Decoder, Encoding, Format, ManualClock, Nanos, Payload, Signal, Tenant};
use object_store::memory::InMemory;
use prost::Message;
use query::{Engine, analysis};
use serde_json::Value;
use storage::{Snapshot, Source, TableSnapshot};

/// When the simulation begins, Unix seconds.
const EPOCH: i64 = 1_700_000_000;
/// A minute at the low load, two at the high one.
const STEP_AFTER: Duration = Duration::from_secs(60);
const DURATION: Duration = Duration::from_secs(180);

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

pub async fn run(fault: &str, place: usize, seed: u64) -> anyhow::Result<Trial> {
    let settings = shop::Settings {
        seed,
        fault: fault.to_owned(),
        place: Some(place),
        step_after: STEP_AFTER,
        duration: DURATION,
        ..shop::Settings::default()
    };
    let truth = shop::truth(&settings).ok_or_else(|| anyhow!("there is no fault {fault}"))?;
    let end = (EPOCH + DURATION.as_secs() as i64) * SECOND;
    let engine = engine(&settings, end)?;
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
    Ok(Trial {
        verdict: answer["verdict"].as_str().unwrap_or_default().to_owned(),
        place: named,
        by_p99: plain(&engine, "quantile(duration_ns, 0.99)", &truth).await?,
        by_self_time: plain(&engine, "avg(self_time_ns)", &truth).await?,
        category: spot["category"].as_str().is_some_and(|category| truth.allows_category(category)),
        instance: confined(&spot["instance"], truth.instance.as_ref()),
        attribute: confined(&spot["attribute"]["value"], value),
        truth,
        answer,
    })
}

/// The place of the true operation when operations are ranked by the rise of one figure.
async fn plain(engine: &Engine, figure: &str, truth: &Truth) -> anyhow::Result<Option<usize>> {
    let step = EPOCH + STEP_AFTER.as_secs() as i64;
    let side = |comparison: &str| {
        format!(
            "SELECT service_name, name, {figure} AS f FROM spans \
             WHERE start_time {comparison} to_timestamp_seconds({step}) GROUP BY 1, 2"
        )
    };
    let sql = format!(
        "SELECT a.service_name, a.name FROM ({}) a JOIN ({}) b ON a.service_name = b.service_name AND a.name = b.name \
         ORDER BY a.f - b.f DESC",
        side(">="),
        side("<"),
    );
    let found = engine.sql(&Tenant::default(), &sql, &[]).await.map_err(failed)?;
    let written = query::output::write(&found, query::output::Format::Csv).map_err(failed)?;
    let text = String::from_utf8(written)?;
    let is_named =
        |line: &str| line.split_once(',').is_some_and(|(service, name)| truth.names(service, name.trim_matches('"')));
    Ok(text.lines().skip(1).position(is_named))
}

fn failed(error: model::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

/// An engine over all spans of the run, in memory.
fn engine(settings: &shop::Settings, end: Nanos) -> anyhow::Result<Engine> {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH as u64);
    let decoder = OtlpDecoder::default();
    let mut batches = Vec::new();
    for request in shop::to_otlp(&shop::simulate(settings), epoch, 4_000) {
        let payload = Payload {
            tenant: Tenant::default(),
            signal: Signal::Traces,
            format: Format::Protobuf,
            encoding: Encoding::Identity,
            received: end,
            body: Bytes::from(request.encode_to_vec()),
        };
        batches.push(decoder.decode(&payload).map_err(failed)?.rows);
    }
    let now = end + 30 * SECOND;
    let table = |signal: Signal| match signal {
        Signal::Traces => TableSnapshot::new(signal, &batches, Arc::new([]), None),
        Signal::Metrics | Signal::Logs => TableSnapshot::new(signal, &[], Arc::new([]), None),
    };
    let snapshot = Snapshot {
        tenant: Tenant::default(),
        taken: now,
        objects: Arc::new(InMemory::new()),
        tables: Signal::ALL.map(table),
        runs: Arc::new([]),
    };
    Engine::new(query::Settings::default(), Arc::new(Fixed(snapshot)), Arc::new(ManualClock::at(now))).map_err(failed)
}

/// A source that has one snapshot.
struct Fixed(Snapshot);

impl Source for Fixed {
    fn snapshot(&self, _tenant: &Tenant) -> model::Result<Snapshot> {
        Ok(self.0.clone())
    }
}

impl Trial {
    pub fn is_healthy(&self) -> bool {
        self.truth.service.is_empty()
    }

    /// Something is said to have changed.
    pub fn alarms(&self) -> bool {
        matches!(self.verdict.as_str(), "bottleneck" | "behaviour_changed")
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
