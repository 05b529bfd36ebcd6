//! All that the processes of a run export, in virtual time: spans, metrics and logs.
//!
//! Metrics go through the SDK as in the live shop ([`super::export`]), with an exporter that keeps them; the SDK knows
//! real time only, so that their times are set here. *Invariant:* a run with its metrics is the same run as without.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::metrics::MeterProvider;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};

use super::Settings;
use super::kernel::Instant;
use super::metrics::{METRIC_INTERVAL, Vitals};
use super::said::said;
use super::simulation::{Simulation, default_duration, nanoseconds};
use super::span::{Process, SimSpan};

/// The SDK's own timer is not to fire.
const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a run left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signals {
    /// In the order in which they ended.
    pub spans: Vec<SimSpan>,
    pub readings: Vec<Reading>,
}

/// One process's metrics at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub process: Arc<Process>,
    pub at: Instant,
    pub metrics: ExportMetricsServiceRequest,
}

/// Runs the shop in virtual time, without a network, its instances' metrics read every 5 s while requests arrive.
pub fn simulate_signals(settings: &Settings) -> Signals {
    let simulation = Simulation::new(settings, default_duration(settings));
    let instances = || simulation.world.instances.values().flatten();
    let mut meters: BTreeMap<&str, Meter> =
        instances().map(|instance| (instance.process.instance.as_str(), Meter::start(&instance.process))).collect();
    let mut signals = Signals::default();
    let mut at = 0;
    while at < simulation.end {
        at = (at + nanoseconds(METRIC_INTERVAL)).min(simulation.end);
        simulation.run_until(at);
        for span in simulation.take_finished() {
            if let Some(meter) = meters.get(span.process.instance.as_str()) {
                meter.vitals.record(&span);
            }
            signals.spans.push(span);
        }
        for instance in instances() {
            if let Some(meter) = meters.get_mut(instance.process.instance.as_str()) {
                meter.vitals.sample(&simulation.world, instance);
                signals.readings.extend(meter.read(at));
            }
        }
    }
    drop(meters);
    simulation.drain();
    signals.spans.extend(simulation.take_finished());
    signals
}

impl Reading {
    /// The metrics as OTLP. `epoch` is the real time at which the simulation began.
    pub fn to_otlp(&self, epoch: SystemTime) -> ExportMetricsServiceRequest {
        let began = since_1970(epoch);
        let now = began + self.at;
        let mut metrics = self.metrics.clone();
        let scopes = metrics.resource_metrics.iter_mut().flat_map(|resource| &mut resource.scope_metrics);
        for data in scopes.flat_map(|scope| &mut scope.metrics).filter_map(|metric| metric.data.as_mut()) {
            // Five kinds of points, of which each has these two times.
            macro_rules! set_times {
                ($data:expr) => {
                    $data.data_points.iter_mut().for_each(|point| {
                        (point.start_time_unix_nano, point.time_unix_nano) = (began, now);
                    })
                };
            }
            match data {
                Data::Gauge(data) => set_times!(data),
                Data::Sum(data) => set_times!(data),
                Data::Histogram(data) => set_times!(data),
                Data::ExponentialHistogram(data) => set_times!(data),
                Data::Summary(data) => set_times!(data),
            }
        }
        metrics
    }
}

/// What the processes logged about these spans, a request for each process that has something to say.
pub fn logs_to_otlp(spans: &[SimSpan], epoch: SystemTime) -> Vec<ExportLogsServiceRequest> {
    let mut by_process: BTreeMap<&str, (&Process, Vec<_>)> = BTreeMap::new();
    for span in spans {
        if let Some(said) = said(span) {
            let (_, records) =
                by_process.entry(&span.process.instance).or_insert_with(|| (span.process.as_ref(), Vec::new()));
            records.push(said.to_otlp(span, epoch));
        }
    }
    let request = |(process, log_records): (&Process, Vec<_>)| {
        let resource = ResourceAttributesWithSchema::from(&process.resource());
        let scope = ScopeLogs { scope: Some((process.scope(), None).into()), log_records, ..ScopeLogs::default() };
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(Resource { attributes: resource.attributes.0, ..Resource::default() }),
                scope_logs: vec![scope],
                ..ResourceLogs::default()
            }],
        }
    };
    by_process.into_values().map(request).collect()
}

pub fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, nanoseconds)
}

/// The metrics part of one process's SDK.
struct Meter {
    process: Arc<Process>,
    vitals: Vitals,
    provider: SdkMeterProvider,
    kept: Kept,
}

impl Meter {
    fn start(process: &Arc<Process>) -> Self {
        let kept = Kept::default();
        let reader = PeriodicReader::builder(kept.clone()).with_interval(NEVER).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(process.resource()).build();
        let vitals = Vitals::new(&provider.meter_with_scope(process.scope()), process);
        Meter { process: process.clone(), vitals, provider, kept }
    }

    fn read(&self, at: Instant) -> Option<Reading> {
        // It only fails once it is shut down.
        let _ = self.provider.force_flush();
        let metrics = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Reading { process: self.process.clone(), at, metrics })
    }
}

/// An exporter that keeps the last export.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Option<ExportMetricsServiceRequest>>>);

impl PushMetricExporter for Kept {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(metrics.into());
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
