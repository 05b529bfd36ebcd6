//! A public data set with labelled faults: Nezha (FSE 2023), two real shops on Kubernetes, OnlineBoutique and
//! TrainTicket, with spans and logs of each minute, metrics of each pod, and the pod into which a fault was injected.
//!
//! The spans have no kind, no status and no attributes; [`kind`] reads the kind from who calls whom, and a call gets the
//! `server.address` that instrumentation gives it, the name of the service that it reaches. A case is a fault
//! with spans from after its injection; the baseline is the data without a fault that the authors give for the day (for
//! 2022-08-22, whose file the mirror lacks, those of the next day). One half of the days is for tuning, the other for
//! reporting.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span::SpanKind};
use serde_json::Value as Json;

/// Minutes of spans that are taken after the one of the injection.
const MINUTES_AFTER: i64 = 3;

/// A labelled fault.
pub struct Case {
    pub day: String,
    pub injected: DateTime<Utc>,
    pub pod: String,
    pub fault: String,
    spans: Vec<PathBuf>,
    healthy: PathBuf,
    /// Of the minutes of the spans; for one day all of them are there, for another one or none.
    logs: Vec<PathBuf>,
    healthy_logs: Option<PathBuf>,
    metrics: PathBuf,
}

impl Case {
    pub fn name(&self) -> String {
        format!("{} {} {}", self.injected.format("%Y-%m-%d %H:%M:%S"), service_of(&self.pod), self.fault)
    }

    pub fn service(&self) -> &str {
        service_of(&self.pod)
    }

    /// Two of the four days are for tuning, one of each shop.
    pub fn is_for_tuning(&self) -> bool {
        matches!(self.day.as_str(), "2022-08-22" | "2023-01-29")
    }
}

/// All cases under the folder that have spans of some minute after the injection.
pub fn cases(folder: &Path) -> Result<Vec<Case>> {
    let mut found = Vec::new();
    let mut days: Vec<PathBuf> = fs::read_dir(folder.join("rca_data"))?.flatten().map(|entry| entry.path()).collect();
    days.sort();
    for day in days {
        let name = day.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let list: Json = serde_json::from_slice(&fs::read(day.join(format!("{name}-fault_list.json")))?)?;
        for fault in list.as_object().context("hours")?.values().filter_map(Json::as_array).flatten() {
            found.extend(case(folder, &day, &name, fault)?);
        }
    }
    Ok(found)
}

fn case(folder: &Path, day: &Path, name: &str, fault: &Json) -> Result<Option<Case>> {
    let text = |key: &str| fault[key].as_str().map(str::to_owned).with_context(|| format!("{key} of {fault}"));
    let injected = NaiveDateTime::parse_from_str(&text("inject_time")?, "%Y-%m-%d %H:%M:%S")?.and_utc();
    // A file holds the spans that started in the minute before its name.
    let files = |what: &str| -> Vec<PathBuf> {
        let at = (1..=MINUTES_AFTER).map(|minutes| (injected + Duration::minutes(minutes)).format("%H_%M").to_string());
        at.map(|at| day.join(what).join(format!("{at}_{what}.csv"))).filter(|path| path.exists()).collect()
    };
    let spans = files("trace");
    let healthy_of =
        |what| [name, "2022-08-23"].iter().find_map(|day| healthy(&folder.join("construct_data").join(day).join(what)));
    let healthy = healthy_of("trace");
    let Some(healthy) = healthy.filter(|_| !spans.is_empty()) else { return Ok(None) };
    Ok(Some(Case {
        day: name.to_owned(),
        injected,
        pod: text("inject_pod")?,
        fault: text("inject_type")?,
        spans,
        healthy,
        logs: files("log"),
        healthy_logs: healthy_of("log"),
        metrics: day.join("metric"),
    }))
}

/// The file of the day without a fault.
fn healthy(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).next()
}

/// The service of a pod: its name without the ids of replica set and pod.
fn service_of(pod: &str) -> &str {
    let mut parts = pod.rsplitn(3, '-');
    let (_, _, service) = (parts.next(), parts.next(), parts.next());
    service.unwrap_or(pod)
}

struct Row<'a> {
    trace: &'a str,
    span: &'a str,
    parent: &'a str,
    pod: &'a str,
    operation: &'a str,
    start: u64,
    end: u64,
}

fn row(line: &str) -> Option<Row<'_>> {
    let mut fields = line.split(',');
    let mut next = || fields.next();
    let row = Row {
        trace: next()?,
        span: next()?,
        parent: next()?,
        pod: next()?,
        operation: next()?,
        start: next()?.parse().ok()?,
        end: next()?.parse().ok()?,
    };
    Some(row)
}

/// The spans of a case as exports, one for each pod.
pub struct Spans {
    pub exports: Vec<ExportTraceServiceRequest>,
    /// The first and the last moment at which one started, Unix ns.
    pub window: (i64, i64),
    pub baseline: (i64, i64),
}

pub fn spans(case: &Case) -> Result<Spans> {
    let after = case.spans.iter().map(fs::read_to_string).collect::<std::io::Result<Vec<_>>>()?;
    let before = fs::read_to_string(&case.healthy)?;
    let injected = case.injected.timestamp_nanos_opt().context("a time")? as u64;
    let after = after.iter().flat_map(|text| text.lines()).filter_map(row).filter(|row| row.start >= injected);
    let after: Vec<Row<'_>> = after.collect();
    let before: Vec<Row<'_>> = before.lines().filter_map(row).collect();
    let range = |rows: &[Row<'_>]| {
        let starts = || rows.iter().map(|row| row.start as i64);
        starts().min().zip(starts().max()).context("no spans")
    };
    let (window, baseline) = (range(&after)?, range(&before)?);
    let exports = exports(before.into_iter().chain(after).collect())?;
    Ok(Spans { exports, window, baseline })
}

fn exports(mut rows: Vec<Row<'_>>) -> Result<Vec<ExportTraceServiceRequest>> {
    rows.sort_by_key(|row| (row.trace, row.span));
    rows.dedup_by_key(|row| (row.trace, row.span));
    let pods: HashMap<(&str, &str), &str> = rows.iter().map(|row| ((row.trace, row.span), row.pod)).collect();
    let mut children: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    rows.iter().for_each(|row| children.entry((row.trace, row.parent)).or_default().push(row.pod));
    let mut by_pod: HashMap<&str, Vec<Span>> = HashMap::new();
    for row in &rows {
        let parent = pods.get(&(row.trace, row.parent)).copied();
        let below = children.get(&(row.trace, row.span)).map_or(&[][..], Vec::as_slice);
        by_pod.entry(row.pod).or_default().push(Span {
            trace_id: bytes(row.trace)?,
            span_id: bytes(row.span)?,
            parent_span_id: if row.parent == "root" { Vec::new() } else { bytes(row.parent)? },
            name: row.operation.to_owned(),
            attributes: called(row.pod, below).map(|to| text("server.address", to)).into_iter().collect(),
            kind: kind(row.pod, parent, below) as i32,
            start_time_unix_nano: row.start,
            end_time_unix_nano: row.end,
            ..Span::default()
        });
    }
    let export = |(pod, spans): (&str, Vec<Span>)| ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(pod)),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    Ok(by_pod.into_iter().map(export).collect())
}

/// A span below another pod's, or below nothing, serves; one above another pod's calls; the others are internal.
fn kind(pod: &str, parent: Option<&str>, below: &[&str]) -> SpanKind {
    if parent != Some(pod) {
        SpanKind::Server
    } else if called(pod, below).is_some() {
        SpanKind::Client
    } else {
        SpanKind::Internal
    }
}

/// The service that a span calls.
fn called<'a>(pod: &str, below: &[&'a str]) -> Option<&'a str> {
    below.iter().find(|child| **child != pod).map(|child| service_of(child))
}

/// What the metrics of a pod are called by the Collector's kubeletstats receiver, by column, with unit and divisor.
const METRICS: [(&str, &str, &str, f64); 5] = [
    ("CpuUsage(m)", "k8s.pod.cpu.usage", "{cpu}", 1e3),
    ("CpuUsageRate(%)", "k8s.pod.cpu_limit_utilization", "1", 1e2),
    ("MemoryUsage(Mi)", "k8s.pod.memory.usage", "By", 1.0 / 1_048_576.0),
    ("MemoryUsageRate(%)", "k8s.pod.memory_limit_utilization", "1", 1e2),
    ("NodeCpuUsageRate(%)", "k8s.node.cpu.utilization", "1", 1e2),
];

/// The metrics of all pods between two moments, Unix ns.
pub fn metrics(case: &Case, from: i64, to: i64) -> Result<Vec<ExportMetricsServiceRequest>> {
    let mut exports = Vec::new();
    for entry in fs::read_dir(&case.metrics)?.flatten() {
        let text = fs::read_to_string(entry.path())?;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let place = |name: &str| header.iter().position(|found| *found == name);
        let (Some(time), Some(pod)) = (place("TimeStamp"), place("PodName")) else { continue };
        let mut name = String::new();
        let mut points: Vec<Vec<NumberDataPoint>> = vec![Vec::new(); METRICS.len()];
        for line in lines {
            let fields: Vec<&str> = line.split(',').collect();
            let Some(at) = fields.get(time).and_then(|text| text.parse::<i64>().ok()).map(|s| s * 1_000_000_000) else {
                continue;
            };
            if at < from || at >= to {
                continue;
            }
            name = (*fields.get(pod).unwrap_or(&"")).to_owned();
            for ((column, _, _, divisor), points) in METRICS.iter().zip(&mut points) {
                let value = place(column).and_then(|place| fields.get(place)?.parse::<f64>().ok());
                if let Some(value) = value.filter(|value| value.is_finite()) {
                    points.push(NumberDataPoint {
                        time_unix_nano: at as u64,
                        value: Some(number_data_point::Value::AsDouble(value / divisor)),
                        ..NumberDataPoint::default()
                    });
                }
            }
        }
        let metric = |((_, name, unit, _), data_points): (&(&str, &str, &str, f64), Vec<NumberDataPoint>)| Metric {
            name: (*name).to_owned(),
            unit: (*unit).to_owned(),
            data: Some(Data::Gauge(Gauge { data_points })),
            ..Metric::default()
        };
        let metrics = METRICS.iter().zip(points).map(metric).collect();
        exports.push(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource(&name)),
                scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
                ..ResourceMetrics::default()
            }],
        });
    }
    Ok(exports)
}

/// The log lines of a case, as the Collector's receiver of container logs gives them, with the ids that stand beside them.
/// None where the mirror lacks those of either side.
pub fn logs(case: &Case) -> Result<Vec<ExportLogsServiceRequest>> {
    let Some(healthy) = case.healthy_logs.as_ref().filter(|_| !case.logs.is_empty()) else { return Ok(Vec::new()) };
    let injected = case.injected.timestamp_nanos_opt().context("a time")? as u64;
    let mut by_pod: HashMap<String, Vec<LogRecord>> = HashMap::new();
    for (path, from) in case.logs.iter().map(|path| (path, injected)).chain([(healthy, 0)]) {
        let text = fs::read_to_string(path)?;
        for (pod, record) in text.lines().skip(1).filter_map(line).filter(|(_, line)| line.time_unix_nano >= from) {
            by_pod.entry(pod).or_default().push(record);
        }
    }
    let export = |(pod, log_records): (String, Vec<LogRecord>)| ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource(&pod)),
            scope_logs: vec![ScopeLogs { log_records, ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    };
    Ok(by_pod.into_iter().map(export).collect())
}

/// Time, time in ns, node, pod, container, trace, span, and JSON in quotes.
fn line(line: &str) -> Option<(String, LogRecord)> {
    let fields: Vec<&str> = line.splitn(8, ',').collect();
    let &[_, time, _, pod, _, trace, span, written] = fields.as_slice() else { return None };
    let written = written.strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"");
    let written: Json = serde_json::from_str(&written).ok()?;
    let body = AnyValue { value: Some(Value::StringValue(written["log"].as_str()?.trim_end().to_owned())) };
    let record = LogRecord {
        time_unix_nano: time.parse().ok()?,
        trace_id: bytes(trace).unwrap_or_default(),
        span_id: bytes(span).unwrap_or_default(),
        body: Some(body),
        ..LogRecord::default()
    };
    Some((pod.to_owned(), record))
}

fn resource(pod: &str) -> Resource {
    let attributes =
        vec![text("service.name", service_of(pod)), text("service.instance.id", pod), text("k8s.pod.name", pod)];
    Resource { attributes, ..Resource::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let digits = |i: usize| hex.get(i..i + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    (0..hex.len()).step_by(2).map(|i| digits(i).ok_or_else(|| anyhow!("not hexadecimal: {hex:?}"))).collect()
}
