//! How long after the load rose, and the fault with it began to bite, its name is at the top of the page: the page is asked at
//! moments after that, each time about what had come by then.
//!
//! Spans come when their SDK sends them, 5 s after they ended as with OpenTelemetry's defaults at the latest, and here all of
//! them so late; metrics and logs as well.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use demo::shop::{self, Signals, SimSpan, Truth};
use model::time::SECOND;
use model::{Nanos, Signal, Tenant};
use prost::Message;
use query::analysis;
use serde_json::Value;

use crate::memory::{self, Export, Rows, failed};
use crate::trial::{EPOCH, STEP_AFTER, Setup, is_alarm};

/// From the end of a span to its coming.
const DELIVERY: Nanos = 5 * SECOND;
/// Seconds after the step at which the page is asked.
const ASKED: [i64; 14] = [8, 10, 12, 14, 16, 18, 20, 25, 30, 40, 50, 60, 75, 90];
/// What is wanted (`shared/goals.md`).
const WANTED: i64 = 30;

/// When a fault was at the top, from then on at each moment; `None`: not at the last of them.
pub struct Named(Option<i64>);

/// `None` when the fault has no place in the system.
pub async fn run(setup: &Setup<'_>) -> anyhow::Result<Option<Named>> {
    let settings = setup.settings();
    let Some(truth) = shop::truth(&settings) else { return Ok(None) };
    let signals = setup.wear.apply_to_all(shop::simulate_signals(&settings), setup.seed, &[truth.service.as_str()]);
    let rows = memory::decode(exports(&signals))?;
    let mut since = None;
    for after in ASKED {
        let now = (EPOCH + STEP_AFTER.as_secs() as i64 + after) * SECOND;
        let come: Vec<Rows> = rows.iter().filter(|rows| rows.received <= now).cloned().collect();
        since = if is_named(&come, now, &truth).await? { since.or(Some(after)) } else { None };
    }
    Ok(Some(Named(since)))
}

/// Whether the page says at that moment that something is wrong, and names the fault first.
async fn is_named(come: &[Rows], now: Nanos, truth: &Truth) -> anyhow::Result<bool> {
    let engine = memory::engine_of(come, now)?;
    let window = [("start", "now-15m"), ("end", "now")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let answer = analysis::run(&engine, &Tenant::default(), "hotspots", &window).await.map_err(failed)?;
    let first = answer["hotspots"].as_array().context("hot spots")?.first().unwrap_or(&Value::Null);
    let place = (first["service"].as_str(), first["operation"].as_str());
    let is_true = matches!(place, (Some(service), Some(operation)) if truth.names(service, operation));
    Ok(is_true && answer["verdict"].as_str().is_some_and(is_alarm))
}

/// What was sent, an export for each second in which something ended.
fn exports(signals: &Signals) -> Vec<Export> {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH as u64);
    let second = |span: &SimSpan| span.end / SECOND as u64;
    let mut out = Vec::new();
    for spans in signals.spans.chunk_by(|a, b| second(a) == second(b)) {
        let received = (EPOCH + 1 + second(&spans[0]) as i64) * SECOND + DELIVERY;
        let mut export = |signal, body| out.push(Export { signal, received, body });
        shop::to_otlp(spans, epoch, 4_000).iter().for_each(|some| export(Signal::Traces, some.encode_to_vec()));
        shop::logs_to_otlp(spans, epoch).iter().for_each(|some| export(Signal::Logs, some.encode_to_vec()));
    }
    out.extend(signals.readings.iter().map(|reading| {
        let received = EPOCH * SECOND + reading.at as Nanos + DELIVERY;
        Export { signal: Signal::Metrics, received, body: reading.to_otlp(epoch).encode_to_vec() }
    }));
    out
}

/// The times of one fault.
pub struct Times {
    pub fault: String,
    named: Vec<Option<i64>>,
}

impl Times {
    pub fn new(fault: &str) -> Self {
        Times { fault: fault.to_owned(), named: Vec::new() }
    }

    pub fn count(&mut self, Named(since): &Named) {
        self.named.push(*since);
    }

    fn line(&self, title: &str) -> String {
        let mut times: Vec<i64> = self.named.iter().flatten().copied().collect();
        times.sort_unstable();
        let of = |n: usize| format!("{n}/{}", self.named.len());
        let seconds = |at: usize| times.get(at).map_or("-".to_owned(), |time| format!("{time} s"));
        let within = times.iter().filter(|time| **time <= WANTED).count();
        let (half, last) = (times.len().saturating_sub(1) / 2, times.len().saturating_sub(1));
        format!("| {title} | {} | {} | {} | {} |", of(within), of(times.len()), seconds(half), seconds(last))
    }
}

pub fn print(all: &[Times]) {
    let last = ASKED[ASKED.len() - 1];
    println!("\n| fault | first within {WANTED} s | within {last} s | median | slowest |\n|---|---|---|---|---|");
    all.iter().for_each(|times| println!("{}", times.line(&times.fault)));
    let named = all.iter().flat_map(|times| times.named.iter().copied()).collect();
    println!("{}", Times { fault: String::new(), named }.line("**all faults**"));
}
