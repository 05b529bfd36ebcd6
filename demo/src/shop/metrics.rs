//! Metrics of one instance: what its runtime, its pools and its server would report, read from the simulation.
//!
//! The simulation writes [`Readings`] now and then; the SDK's reader asks for them from its own thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter};
use opentelemetry::trace::SpanKind;

use super::kernel::Instant;
use super::plan::Language;
use super::span::{Process, SimSpan};
use super::world::{Instance, World};

/// How often a process exports its metrics.
pub const METRIC_INTERVAL: Duration = Duration::from_secs(5);

/// The state of one instance at one moment.
#[derive(Default)]
struct Readings {
    cpu_utilisation: f64,
    memory_used: u64,
    memory_limit: u64,
    active_requests: u64,
    queued_requests: u64,
    pools: Vec<Pool>,
    /// Messages not yet taken from the topic that the instance consumes.
    lag: Option<(&'static str, u64)>,
}

struct Pool {
    name: &'static str,
    used: usize,
    max: usize,
    pending: usize,
}

/// Bounds that OpenTelemetry's conventions advise for durations of requests, s, and of collections.
const REQUEST_BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const PAUSE_BOUNDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// The instruments of one instance.
pub struct Vitals {
    readings: Arc<Mutex<Readings>>,
    http_duration: Histogram<f64>,
    rpc_duration: Histogram<f64>,
    /// Of languages whose runtime tells how long it collected garbage, with the collector's name.
    gc_duration: Option<(Histogram<f64>, KeyValue)>,
    /// CPU time used, and when, as of the last sample.
    cpu: (u64, Instant),
}

impl Vitals {
    pub fn new(meter: &Meter, process: &Process) -> Self {
        let readings = Arc::new(Mutex::new(Readings::default()));
        observe_runtime(meter, &readings, process.language);
        observe_pools(meter, &readings);
        observe_lag(meter, &readings);
        let seconds = |name: &'static str, bounds: &[f64]| {
            meter.f64_histogram(name).with_unit("s").with_boundaries(bounds.to_vec()).build()
        };
        Vitals {
            readings,
            http_duration: seconds("http.server.request.duration", &REQUEST_BOUNDS),
            rpc_duration: seconds("rpc.server.call.duration", &REQUEST_BOUNDS),
            gc_duration: collector(process.language).map(|(name, attribute)| (seconds(name, &PAUSE_BOUNDS), attribute)),
            cpu: (0, 0),
        }
    }

    /// Reads the instance's stations.
    pub fn sample(&mut self, world: &World, instance: &Instance) {
        let (now, busy) = (world.kernel.now(), instance.cpu.busy());
        let passed = now.saturating_sub(self.cpu.1).max(1) as f64 * instance.cpu.permits() as f64;
        let cpu_utilisation = busy.saturating_sub(self.cpu.0) as f64 / passed;
        self.cpu = (busy, now);
        let pool = |(name, station): (&'static str, std::rc::Rc<super::station::Station>)| Pool {
            name,
            used: station.in_use(),
            max: station.permits(),
            pending: station.waiting(),
        };
        *locked(&self.readings) = Readings {
            cpu_utilisation,
            memory_used: instance.memory.used_bytes(),
            memory_limit: instance.memory.size_bytes(),
            active_requests: instance.workers.in_use() as u64,
            queued_requests: instance.workers.waiting() as u64,
            pools: instance.pools().into_iter().map(pool).collect(),
            lag: consumed_topic(world, &instance.process).map(|topic| (topic, world.topic(topic).len() as u64)),
        };
        let pauses = instance.memory.take_pauses();
        if let Some((durations, collector)) = &self.gc_duration {
            pauses.iter().for_each(|pause| durations.record(*pause as f64 / 1e9, std::slice::from_ref(collector)));
        }
    }

    /// Counts a finished SERVER span in the duration histograms.
    pub fn record(&self, span: &SimSpan) {
        if span.kind != SpanKind::Server {
            return;
        }
        const KEYS: [&str; 7] = [
            "http.request.method",
            "http.route",
            "http.response.status_code",
            "rpc.system",
            "rpc.service",
            "rpc.method",
            "error.type",
        ];
        let kept = span.attributes.iter().filter(|found| KEYS.contains(&found.key.as_str()));
        let attributes: Vec<KeyValue> = kept.cloned().collect();
        let rpc = span.attribute("rpc.system").is_some();
        let histogram = if rpc { &self.rpc_duration } else { &self.http_duration };
        histogram.record(span.duration() as f64 / 1e9, &attributes);
    }
}

/// The metric of collections, and the attribute that names the collector (OpenTelemetry's conventions for runtimes, which
/// have none for the others).
fn collector(language: Language) -> Option<(&'static str, KeyValue)> {
    match language {
        Language::Java => Some(("jvm.gc.duration", KeyValue::new("jvm.gc.name", "G1 Old Generation"))),
        Language::Node => Some(("v8js.gc.duration", KeyValue::new("v8js.gc.type", "major"))),
        Language::Go | Language::Python | Language::Cpp => None,
    }
}

fn consumed_topic(world: &World, process: &Process) -> Option<&'static str> {
    world.plan.service(process.service)?.operations.iter().find_map(|operation| operation.topic())
}

/// Readings are plain numbers, so a panic elsewhere leaves them usable.
fn locked(readings: &Mutex<Readings>) -> MutexGuard<'_, Readings> {
    readings.lock().unwrap_or_else(PoisonError::into_inner)
}

fn observe_runtime(meter: &Meter, readings: &Arc<Mutex<Readings>>, language: Language) {
    let source = readings.clone();
    meter
        .f64_observable_gauge("process.cpu.utilization")
        .with_unit("1")
        .with_callback(move |observer| observer.observe(locked(&source).cpu_utilisation, &[]))
        .build();
    let (used, limit, attributes) = match language {
        Language::Java => ("jvm.memory.used", "jvm.memory.limit", vec![KeyValue::new("jvm.memory.type", "heap")]),
        Language::Node => ("v8js.memory.heap.used", "v8js.memory.heap.limit", Vec::new()),
        _ => ("process.memory.usage", "process.memory.limit", Vec::new()),
    };
    gauge(meter, readings, used, "By", attributes.clone(), |now| now.memory_used);
    gauge(meter, readings, limit, "By", attributes, |now| now.memory_limit);
    gauge(meter, readings, "http.server.active_requests", "{request}", Vec::new(), |now| now.active_requests);
    gauge(meter, readings, "executor.queued", "{task}", Vec::new(), |now| now.queued_requests);
}

fn gauge(
    meter: &Meter,
    readings: &Arc<Mutex<Readings>>,
    name: &'static str,
    unit: &'static str,
    attributes: Vec<KeyValue>,
    value: fn(&Readings) -> u64,
) {
    let source = readings.clone();
    let observe = move |observer: &dyn AsyncInstrument<u64>| observer.observe(value(&locked(&source)), &attributes);
    meter.u64_observable_gauge(name).with_unit(unit).with_callback(observe).build();
}

fn observe_pools(meter: &Meter, readings: &Arc<Mutex<Readings>>) {
    let pool_name = |pool: &Pool| KeyValue::new("db.client.connection.pool.name", pool.name);
    let source = readings.clone();
    let count = move |observer: &dyn AsyncInstrument<u64>| {
        for pool in &locked(&source).pools {
            let state = |state: &'static str| [pool_name(pool), KeyValue::new("db.client.connection.state", state)];
            observer.observe(pool.used as u64, &state("used"));
            observer.observe((pool.max - pool.used) as u64, &state("idle"));
        }
    };
    meter.u64_observable_gauge("db.client.connection.count").with_unit("{connection}").with_callback(count).build();
    let source = readings.clone();
    let pending = move |observer: &dyn AsyncInstrument<u64>| {
        locked(&source).pools.iter().for_each(|pool| observer.observe(pool.pending as u64, &[pool_name(pool)]));
    };
    let name = "db.client.connection.pending_requests";
    meter.u64_observable_gauge(name).with_unit("{request}").with_callback(pending).build();
}

fn observe_lag(meter: &Meter, readings: &Arc<Mutex<Readings>>) {
    let source = readings.clone();
    let lag = move |observer: &dyn AsyncInstrument<u64>| {
        if let Some((topic, lag)) = locked(&source).lag {
            observer.observe(lag, &[KeyValue::new("topic", topic)]);
        }
    };
    meter.u64_observable_gauge("kafka.consumer.records_lag_max").with_unit("{record}").with_callback(lag).build();
}
