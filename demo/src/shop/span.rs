//! Finished spans of the simulation and the processes that they come from, and both as OTLP.
//!
//! Times count from the start of the simulation; whoever sends spans says which moment of real time that was.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::kernel::Instant;
use super::plan::Language;

/// One instance of a service, as its telemetry describes it.
#[derive(Debug, PartialEq)]
pub struct Process {
    pub service: &'static str,
    pub version: &'static str,
    pub language: Language,
    /// `service.instance.id`.
    pub instance: String,
    pub pod: String,
    pub node: String,
    pub address: String,
}

/// A finished span, with everything that an instrumented application would have recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct SimSpan {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent: Option<Parent>,
    pub process: Arc<Process>,
    pub name: Cow<'static, str>,
    pub kind: SpanKind,
    pub start: Instant,
    pub end: Instant,
    pub attributes: Vec<KeyValue>,
    pub events: Vec<SimEvent>,
    pub links: Vec<(TraceId, SpanId)>,
    pub status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    pub span_id: SpanId,
    /// Whether the parent belongs to another process.
    pub remote: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SimEvent {
    pub name: &'static str,
    pub at: Instant,
    pub attributes: Vec<KeyValue>,
}

impl Process {
    /// The resource that the process's SDK would detect.
    pub fn resource(&self) -> Resource {
        let (language, sdk_version) = self.language.sdk();
        let text = |key: &'static str, value: &str| KeyValue::new(key, value.to_owned());
        Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", self.service),
                KeyValue::new("service.namespace", "shop"),
                KeyValue::new("service.version", self.version),
                text("service.instance.id", &self.instance),
                KeyValue::new("deployment.environment.name", "staging"),
                text("host.name", &self.node),
                KeyValue::new("k8s.cluster.name", "staging-1"),
                KeyValue::new("k8s.namespace.name", "shop"),
                KeyValue::new("k8s.deployment.name", self.service),
                text("k8s.pod.name", &self.pod),
                text("k8s.node.name", &self.node),
                KeyValue::new("telemetry.sdk.name", "opentelemetry"),
                KeyValue::new("telemetry.sdk.language", language),
                KeyValue::new("telemetry.sdk.version", sdk_version),
            ])
            .build()
    }

    /// The library that records this process's spans.
    pub fn scope(&self) -> InstrumentationScope {
        let (name, version) = self.language.instrumentation();
        InstrumentationScope::builder(name).with_version(version).build()
    }
}

impl Language {
    /// `telemetry.sdk.language` and `telemetry.sdk.version`.
    fn sdk(self) -> (&'static str, &'static str) {
        match self {
            Language::Java => ("java", "1.58.0"),
            Language::Go => ("go", "1.41.0"),
            Language::Node => ("nodejs", "2.4.0"),
            Language::Python => ("python", "1.40.0"),
            Language::Cpp => ("cpp", "1.24.0"),
        }
    }

    fn instrumentation(self) -> (&'static str, &'static str) {
        match self {
            Language::Java => ("io.opentelemetry.spring-webmvc-6.0", "2.24.0-alpha"),
            Language::Go => ("go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc", "0.66.0"),
            Language::Node => ("@opentelemetry/instrumentation-http", "0.211.0"),
            Language::Python => ("opentelemetry.instrumentation.flask", "0.61b0"),
            Language::Cpp => ("envoy", "1.37.0"),
        }
    }
}

impl SimSpan {
    pub fn duration(&self) -> Instant {
        self.end - self.start
    }

    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|found| found.key.as_str() == key).map(|found| &found.value)
    }

    pub fn failed(&self) -> bool {
        matches!(self.status, Status::Error { .. })
    }

    /// The span's own context, as its process knows it.
    pub fn context(&self) -> SpanContext {
        local_context(self.trace_id, self.span_id)
    }

    pub fn sdk_events(&self, epoch: SystemTime) -> Vec<Event> {
        let event = |event: &SimEvent| Event::new(event.name, real_time(epoch, event.at), event.attributes.clone(), 0);
        self.events.iter().map(event).collect()
    }

    pub fn sdk_links(&self) -> Vec<Link> {
        let remote = |&(trace, span): &(TraceId, SpanId)| {
            SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE)
        };
        self.links.iter().map(|link| Link::new(remote(link), Vec::new(), 0)).collect()
    }

    fn span_data(&self, epoch: SystemTime) -> SpanData {
        let mut events = SpanEvents::default();
        events.events = self.sdk_events(epoch);
        let mut links = SpanLinks::default();
        links.links = self.sdk_links();
        SpanData {
            span_context: self.context(),
            parent_span_id: self.parent.map_or(SpanId::INVALID, |parent| parent.span_id),
            parent_span_is_remote: self.parent.is_some_and(|parent| parent.remote),
            span_kind: self.kind.clone(),
            name: self.name.clone(),
            start_time: real_time(epoch, self.start),
            end_time: real_time(epoch, self.end),
            attributes: self.attributes.clone(),
            dropped_attributes_count: 0,
            events,
            links,
            status: self.status.clone(),
            instrumentation_scope: self.process.scope(),
        }
    }
}

pub fn local_context(trace_id: TraceId, span_id: SpanId) -> SpanContext {
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// The moment of real time that an instant of the simulation stands for.
pub fn real_time(epoch: SystemTime, at: Instant) -> SystemTime {
    epoch + Duration::from_nanos(at)
}

/// Spans as OTLP requests of at most `per_export` spans, each from one process, as the processes would have sent them.
/// `epoch` is the real time at which the simulation began.
pub fn to_otlp(spans: &[SimSpan], epoch: SystemTime, per_export: usize) -> Vec<ExportTraceServiceRequest> {
    let mut by_process: BTreeMap<&str, Vec<&SimSpan>> = BTreeMap::new();
    for span in spans {
        by_process.entry(&span.process.instance).or_default().push(span);
    }
    let mut requests = Vec::new();
    for spans in by_process.values() {
        let resource = ResourceAttributesWithSchema::from(&spans[0].process.resource());
        for chunk in spans.chunks(per_export.max(1)) {
            let data = chunk.iter().map(|span| span.span_data(epoch)).collect();
            requests
                .push(ExportTraceServiceRequest { resource_spans: group_spans_by_resource_and_scope(data, &resource) });
        }
    }
    requests
}
