//! hotspan watches itself as it watches others: spans of its requests, questions, start and maintenance, and its
//! figures, over OTLP to `--self-endpoint`, which may be this very server.
//!
//! ```text
//!   spans of src, ui and storage ─▶ batches ─┐
//!   measures.rs, once a minute ──────────────┴─▶ OTLP/gRPC
//! ```
//! *Invariant:* sending to itself does not feed on itself: receiving an export makes no span, nor does writing one of
//! hotspan's own to files (`storage/src/traced.rs`). The SDK's variables hold, e.g. `OTEL_EXPORTER_OTLP_HEADERS` for a
//! token and `OTEL_BSP_SCHEDULE_DELAY`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{FutureExt, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::Health;
use super::measures::{Form, Measure, Samples};

const NAME: &str = "hotspan";
/// How long the last batch may take: the endpoint may be this very server, which is gone by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where hotspan's own telemetry goes. Ends when dropped: what is still queued is sent.
pub struct Own {
    endpoint: String,
    resource: Resource,
    tracers: SdkTracerProvider,
    meters: Option<SdkMeterProvider>,
}

impl Own {
    /// Within a Tokio runtime, which drives the connection. Nothing connects before there is something to send.
    pub fn start(endpoint: &str) -> Result<Own> {
        let resource = Resource::builder()
            .with_service_name(NAME)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", std::process::id().to_string()))
            .build();
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
        let exporter = anyhow::Context::with_context(exporter, || format!("self-endpoint {endpoint:?}"))?;
        let tracers =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.clone()).build();
        global::set_tracer_provider(tracers.clone());
        Ok(Own { endpoint: endpoint.to_owned(), resource, tracers, meters: None })
    }

    /// Sends the server's figures from now on.
    pub fn measure(&mut self, health: &Arc<Health>) -> Result<()> {
        let exporter = MetricExporter::builder().with_tonic().with_endpoint(&self.endpoint).build();
        let exporter = anyhow::Context::with_context(exporter, || format!("self-endpoint {:?}", self.endpoint))?;
        let reader = PeriodicReader::builder(exporter).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).with_resource(self.resource.clone()).build();
        let meter = meters.meter(NAME);
        let reading = Arc::new(Reading::default());
        for Measure { name, form, help, .. } in health.measures() {
            let (health, reading) = (health.clone(), reading.clone());
            let samples = move || {
                let samples = reading.take(name, || health.measures()).into_iter();
                samples.map(|(labels, value)| {
                    (value, labels.into_iter().map(|(k, v)| KeyValue::new(k, v)).collect::<Vec<_>>())
                })
            };
            match form {
                Form::Gauge => {
                    let gauge = meter.f64_observable_gauge(name).with_description(help);
                    gauge
                        .with_callback(move |seen| samples().for_each(|(value, labels)| seen.observe(value, &labels)))
                        .build();
                }
                Form::Counter => {
                    let counter = meter.f64_observable_counter(name).with_description(help);
                    counter
                        .with_callback(move |seen| samples().for_each(|(value, labels)| seen.observe(value, &labels)))
                        .build();
                }
            }
        }
        self.meters = Some(meters);
        Ok(())
    }

    /// Sends what is queued now, while the endpoint is known to be there.
    pub fn flush(&self) {
        // What cannot be sent is counted by the SDK's own warnings.
        let _ = self.tracers.force_flush();
        if let Some(meters) = &self.meters {
            let _ = meters.force_flush();
        }
    }
}

/// One reading for all instruments: the SDK asks each of them once per collection. Each takes its measure out, so the
/// first that finds none begins the next collection, and reads anew.
#[derive(Default)]
struct Reading(Mutex<BTreeMap<&'static str, Samples>>);

impl Reading {
    fn take(&self, name: &'static str, read: impl FnOnce() -> Vec<Measure>) -> Samples {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !left.contains_key(name) {
            *left = read().into_iter().map(|measure| (measure.name, measure.samples)).collect();
        }
        left.remove(name).unwrap_or_default()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(meters) = self.meters.take() {
            let _ = meters.shutdown_with_timeout(PATIENCE);
        }
        let _ = self.tracers.shutdown_with_timeout(PATIENCE);
    }
}

/// Does a step of the program within a span, with the attributes that its outcome has.
pub async fn step<T, E: std::fmt::Display>(
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
    attributes: impl FnOnce(&T) -> Vec<KeyValue>,
) -> Result<T, E> {
    let tracer = global::tracer(NAME);
    let context = Context::current_with_span(tracer.start(name));
    let outcome = work.with_context(context.clone()).await;
    match &outcome {
        Ok(done) => attributes(done).into_iter().for_each(|found| context.span().set_attribute(found)),
        Err(error) => context.span().set_status(Status::error(error.to_string())),
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_collection_takes_one_reading_and_the_next_a_fresh_one() {
        let (reading, count) = (Reading::default(), Cell::new(0));
        let read = || {
            count.set(count.get() + 1);
            let samples = || vec![(Vec::new(), f64::from(count.get()))];
            let measure = |name| Measure { name, form: Form::Gauge, help: "", samples: samples() };
            vec![measure("rows"), measure("bytes")]
        };
        for collection in 1..=3 {
            for name in ["rows", "bytes"] {
                assert_eq!(reading.take(name, read), [(Vec::new(), f64::from(collection))], "{name}");
            }
            assert_eq!(count.get(), collection);
        }
    }
}
