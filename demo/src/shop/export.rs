//! The OpenTelemetry SDKs of the shop's processes: one tracer, meter and logger provider for each instance.
//!
//! A finished span of the simulation goes through the SDK like any other: the tracer starts it (with the ids that the
//! simulation gave it), it ends, and the batch processor of its own process exports it. *Invariant:* the caller hands
//! over a span at or after the real moment of its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::Context;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{BatchLogProcessor, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator, SdkTracer, SdkTracerProvider, SpanData,
};
use opentelemetry_sdk::{Resource, logs};
use tonic::transport::{Channel, Endpoint};

use super::metrics::{METRIC_INTERVAL, Vitals};
use super::run::Error;
use super::said::said;
use super::span::{Process, SimSpan, real_time};

/// How long finished spans wait for company. Short, so that the page is live.
const SPAN_DELAY: Duration = Duration::from_secs(1);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// Spans that one process keeps while the server does not answer. The SDK reserves the room at once.
const QUEUE: usize = 4_096;

/// What all exporters together have done.
#[derive(Debug, Default)]
pub struct Counters {
    pub spans: AtomicU64,
    pub failed_spans: AtomicU64,
    pub errors: AtomicU64,
}

/// The SDK of one process.
pub struct Agent {
    pub vitals: Vitals,
    ids: RecordedIds,
    tracer: SdkTracer,
    logger: SdkLogger,
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    loggers: SdkLoggerProvider,
}

impl Agent {
    /// Starts the SDK of a process. Must be called within a Tokio runtime, which drives the connection.
    pub fn start(process: &Process, endpoint: &Endpoint, counters: &Arc<Counters>) -> Result<Self, Error> {
        let channel = endpoint.connect_lazy();
        let resource = process.resource();
        let ids = RecordedIds::default();
        let tracers = tracer_provider(&channel, &resource, ids.clone(), counters)?;
        let meters = meter_provider(&channel, &resource)?;
        let loggers = logger_provider(&channel, &resource)?;
        let scope = process.scope();
        Ok(Agent {
            vitals: Vitals::new(&meters.meter_with_scope(scope.clone()), process),
            ids,
            tracer: tracers.tracer_with_scope(scope.clone()),
            logger: loggers.logger_with_scope(scope),
            tracers,
            meters,
            loggers,
        })
    }

    /// Hands a finished span to the SDK. `epoch` is the real time at which the simulation began.
    pub fn record(&self, span: SimSpan, epoch: SystemTime) {
        self.vitals.record(&span);
        self.log(&span, epoch);
        self.ids.set(span.trace_id, span.span_id);
        let builder = SpanBuilder::from_name(span.name.clone())
            .with_kind(span.kind.clone())
            .with_start_time(real_time(epoch, span.start))
            .with_events(span.sdk_events(epoch))
            .with_links(span.sdk_links());
        let parent = parent_context(&span);
        let end = real_time(epoch, span.end);
        let mut recorded = self.tracer.build_with_context(builder.with_attributes(span.attributes), &parent);
        recorded.set_status(span.status);
        recorded.end_with_timestamp(end);
    }

    /// Writes what the process would have logged about a span.
    fn log(&self, span: &SimSpan, epoch: SystemTime) {
        let Some(said) = said(span) else { return };
        let mut record = self.logger.create_log_record();
        record.set_timestamp(real_time(epoch, span.end));
        record.set_observed_timestamp(real_time(epoch, span.end));
        record.set_severity_number(said.severity);
        record.set_severity_text(said.text);
        record.set_trace_context(span.trace_id, span.span_id, Some(TraceFlags::SAMPLED));
        record.set_body(AnyValue::from(said.body));
        for attribute in said.attributes {
            record.add_attribute(attribute.key, attribute.value.to_string());
        }
        self.logger.emit(record);
    }

    /// Sends what is left and stops. Errors are counted already.
    pub fn stop(&self, patience: Duration) {
        let _ = self.tracers.shutdown_with_timeout(patience);
        let _ = self.loggers.shutdown_with_timeout(patience);
        let _ = self.meters.shutdown_with_timeout(patience);
    }
}

fn parent_context(span: &SimSpan) -> Context {
    let Some(parent) = span.parent else { return Context::new() };
    let context = SpanContext::new(span.trace_id, parent.span_id, TraceFlags::SAMPLED, parent.remote, TraceState::NONE);
    Context::new().with_remote_span_context(context)
}

fn tracer_provider(
    channel: &Channel,
    resource: &Resource,
    ids: RecordedIds,
    counters: &Arc<Counters>,
) -> Result<SdkTracerProvider, Error> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_channel(channel.clone())
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(Error::exporter)?;
    let exporter = Counted { exporter, counters: counters.clone() };
    let batch = BatchConfigBuilder::default().with_scheduled_delay(SPAN_DELAY).with_max_queue_size(QUEUE).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    let builder = SdkTracerProvider::builder().with_span_processor(processor).with_id_generator(ids);
    Ok(builder.with_resource(resource.clone()).build())
}

fn meter_provider(channel: &Channel, resource: &Resource) -> Result<SdkMeterProvider, Error> {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_channel(channel.clone())
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(Error::exporter)?;
    let reader = PeriodicReader::builder(exporter).with_interval(METRIC_INTERVAL).build();
    Ok(SdkMeterProvider::builder().with_reader(reader).with_resource(resource.clone()).build())
}

fn logger_provider(channel: &Channel, resource: &Resource) -> Result<SdkLoggerProvider, Error> {
    let exporter = LogExporter::builder()
        .with_tonic()
        .with_channel(channel.clone())
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(Error::exporter)?;
    let batch = logs::BatchConfigBuilder::default().with_scheduled_delay(SPAN_DELAY).build();
    let processor = BatchLogProcessor::builder(exporter).with_batch_config(batch).build();
    Ok(SdkLoggerProvider::builder().with_log_processor(processor).with_resource(resource.clone()).build())
}

/// Gives the next span the ids that the simulation chose for it.
#[derive(Debug, Clone)]
struct RecordedIds(Arc<Mutex<(TraceId, SpanId)>>);

impl Default for RecordedIds {
    fn default() -> Self {
        RecordedIds(Arc::new(Mutex::new((TraceId::INVALID, SpanId::INVALID))))
    }
}

impl RecordedIds {
    fn set(&self, trace_id: TraceId, span_id: SpanId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (trace_id, span_id);
    }

    fn get(&self) -> (TraceId, SpanId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdGenerator for RecordedIds {
    fn new_trace_id(&self) -> TraceId {
        self.get().0
    }

    fn new_span_id(&self) -> SpanId {
        self.get().1
    }
}

/// An exporter that counts what became of its spans.
#[derive(Debug)]
struct Counted {
    exporter: SpanExporter,
    counters: Arc<Counters>,
}

impl opentelemetry_sdk::trace::SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        if result.is_ok() {
            self.counters.spans.fetch_add(spans, Ordering::Relaxed);
        } else {
            self.counters.failed_spans.fetch_add(spans, Ordering::Relaxed);
            self.counters.errors.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
