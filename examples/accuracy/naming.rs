//! How long after the load rose, and the fault with it began to bite, its name is at the top of the page: the page is asked at
//! moments after that, each time about what had come by then ([`Sending`]), metrics and logs as well. Or how long after the
//! fault began, in a system that had been well under the same load: then requests before that are of a run without it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use demo::shop::{self, Sending, Signals, Truth};
use model::time::SECOND;
use model::{Nanos, Signal, Tenant};
use prost::Message;
use query::analysis;
use serde_json::Value;

use crate::memory::{self, Export, Rows, failed};
use crate::trial::{EPOCH, STEP_AFTER, Setup, is_alarm};

/// From the reading of metrics to their coming.
const DELIVERY: Nanos = 5 * SECOND;
/// Seconds after the step at which the page is asked.
const ASKED: [i64; 14] = [8, 10, 12, 14, 16, 18, 20, 25, 30, 40, 50, 60, 75, 90];
/// What is wanted (`shared/goals.md`).
const WANTED: i64 = 30;

/// How what there is comes to the page.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    pub sending: Sending,
    /// From the rise of the load to the beginning of the fault; with none it is there from the start.
    pub onset: Option<Duration>,
}

/// What the page said of a system.
pub struct Named {
    /// When the fault was at the top, from then on at each moment; `None`: not at the last of them.
    since: Option<i64>,
    /// Moments at which something else was, with an alarm; where there is no fault, all alarms.
    wrongly: usize,
}

/// `None` when the fault has no place in the system.
pub async fn run(setup: &Setup<'_>, condition: Condition, verbose: bool) -> anyhow::Result<Option<Named>> {
    let begins = STEP_AFTER + condition.onset.unwrap_or_default();
    let last = Duration::from_secs(ASKED[ASKED.len() - 1] as u64);
    let mut settings = setup.settings();
    settings.duration = settings.duration.max(begins + last);
    let Some(truth) = shop::truth(&settings) else { return Ok(None) };
    let mut signals = shop::simulate_signals(&settings);
    if condition.onset.is_some() {
        let healthy = shop::Settings { fault: "none".to_owned(), place: None, salt: 1, ..settings };
        signals = joined(shop::simulate_signals(&healthy), signals, begins.as_nanos() as u64);
    }
    let signals = setup.wear.apply_to_all(signals, setup.seed, &[truth.service.as_str()]);
    let rows = memory::decode(exports(signals, Sending { seed: setup.seed, ..condition.sending }))?;
    let mut named = Named { since: None, wrongly: 0 };
    for after in ASKED {
        let now = (EPOCH + begins.as_secs() as i64 + after) * SECOND;
        let come: Vec<Rows> = rows.iter().filter(|rows| rows.received <= now).cloned().collect();
        let answer = ask(&come, now).await?;
        let is_alarm = answer["verdict"].as_str().is_some_and(is_alarm);
        let is_true = names(&answer["hotspots"][0], &truth);
        named.since = if is_alarm && is_true { named.since.or(Some(after)) } else { None };
        named.wrongly += usize::from(is_alarm && !is_true);
        if verbose {
            println!("{setup}, {after} s: {}", told(&answer, is_true));
        }
    }
    Ok(Some(named))
}

/// One run up to a moment and another from then on: the traces that began before or after, and what was measured.
fn joined(before: Signals, after: Signals, at: u64) -> Signals {
    let part = |signals: Signals, is_after: bool| {
        let mut begun: HashMap<_, u64> = HashMap::new();
        for span in &signals.spans {
            begun.entry(span.trace_id).and_modify(|least| *least = span.start.min(*least)).or_insert(span.start);
        }
        let Signals { mut spans, mut readings } = signals;
        spans.retain(|span| (begun[&span.trace_id] >= at) == is_after);
        readings.retain(|reading| (reading.at >= at) == is_after);
        Signals { spans, readings }
    };
    let (mut joined, after) = (part(before, false), part(after, true));
    joined.spans.extend(after.spans);
    joined.readings.extend(after.readings);
    joined
}

/// What the page says at a moment.
async fn ask(come: &[Rows], now: Nanos) -> anyhow::Result<Value> {
    let engine = memory::engine_of(come, now)?;
    let window = [("start", "now-15m"), ("end", "now")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let answer = analysis::run(&engine, &Tenant::default(), "hotspots", &window).await.map_err(failed)?;
    answer["hotspots"].as_array().context("hot spots")?;
    Ok(answer)
}

fn names(spot: &Value, truth: &Truth) -> bool {
    let place = (spot["service"].as_str(), spot["operation"].as_str());
    matches!(place, (Some(service), Some(operation)) if truth.names(service, operation))
}

/// An answer in a line: the verdict, what it is of, and the first place with how sure that is.
fn told(answer: &Value, is_true: bool) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let spot = &answer["hotspots"][0];
    format!(
        "{} of {} requests from {} to {}, {} before: {}{}/{} {}",
        text(&answer["verdict"]),
        answer["window"]["requests"],
        text(&answer["window"]["start"]).get(14..19).unwrap_or("-"),
        text(&answer["window"]["end"]).get(14..19).unwrap_or("-"),
        answer["baseline"]["requests"],
        if is_true { "" } else { "not " },
        text(&spot["service"]),
        text(&spot["operation"]),
        spot["confidence"],
    )
}

/// What was sent, by when it came.
fn exports(signals: Signals, sending: Sending) -> Vec<Export> {
    let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH as u64);
    let mut out = Vec::new();
    for (come, spans) in sending.arrivals(signals.spans) {
        let received = EPOCH * SECOND + come as Nanos;
        let mut export = |signal, body| out.push(Export { signal, received, body });
        shop::to_otlp(&spans, epoch, 4_000).iter().for_each(|some| export(Signal::Traces, some.encode_to_vec()));
        shop::logs_to_otlp(&spans, epoch).iter().for_each(|some| export(Signal::Logs, some.encode_to_vec()));
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
    named: Vec<Named>,
}

impl Times {
    pub fn new(fault: &str) -> Self {
        Times { fault: fault.to_owned(), named: Vec::new() }
    }

    pub fn count(&mut self, named: Named) {
        self.named.push(named);
    }

    fn is_healthy(&self) -> bool {
        self.fault == "none"
    }
}

fn line<'n>(title: &str, named: impl Iterator<Item = &'n Named>) -> String {
    let named: Vec<&Named> = named.collect();
    let mut times: Vec<i64> = named.iter().filter_map(|named| named.since).collect();
    times.sort_unstable();
    let of = |n: usize| format!("{n}/{}", named.len());
    let seconds = |at: usize| times.get(at).map_or("-".to_owned(), |time| format!("{time} s"));
    let within = times.iter().filter(|time| **time <= WANTED).count();
    let (half, last) = (times.len().saturating_sub(1) / 2, times.len().saturating_sub(1));
    let wrongly: usize = named.iter().map(|named| named.wrongly).sum();
    let asked = named.len() * ASKED.len();
    format!(
        "| {title} | {} | {} | {} | {} | {wrongly}/{asked} |",
        of(within),
        of(times.len()),
        seconds(half),
        seconds(last)
    )
}

pub fn print(all: &[Times]) {
    let last = ASKED[ASKED.len() - 1];
    println!("\n| fault | first within {WANTED} s | within {last} s | median | slowest | another first |");
    println!("|---|---|---|---|---|---|");
    let faulty = || all.iter().filter(|times| !times.is_healthy());
    faulty().for_each(|times| println!("{}", line(&times.fault, times.named.iter())));
    println!("{}", line("**all faults**", faulty().flat_map(|times| &times.named)));
    for healthy in all.iter().filter(|times| times.is_healthy()) {
        let alarms: usize = healthy.named.iter().map(|named| named.wrongly).sum();
        let with = healthy.named.iter().filter(|named| named.wrongly > 0).count();
        let (systems, asked) = (healthy.named.len(), healthy.named.len() * ASKED.len());
        println!("\nWithout a fault: {alarms} alarms at {asked} moments, in {with} of {systems} systems.");
    }
}
