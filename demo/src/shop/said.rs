//! What a process logs about a span: a line for an exception, and one for an order that was placed.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::logs::Severity;
use opentelemetry::trace::SpanKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::signals::since_1970;
use super::span::SimSpan;

/// One line of a log, at the end of its span.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub severity: Severity,
    pub text: &'static str,
    pub body: String,
    pub attributes: Vec<KeyValue>,
}

pub fn said(span: &SimSpan) -> Option<Said> {
    if let Some(exception) = span.events.iter().find(|event| event.name == "exception") {
        let message = exception.attributes.iter().find(|found| found.key.as_str() == "exception.message");
        let message = message.map_or_else(String::new, |found| found.value.to_string());
        return Some(Said {
            severity: Severity::Error,
            text: "ERROR",
            body: format!("{} failed: {message}", span.name),
            attributes: exception.attributes.clone(),
        });
    }
    (span.kind == SpanKind::Producer).then(|| Said {
        severity: Severity::Info,
        text: "INFO",
        body: "order placed".to_owned(),
        attributes: Vec::new(),
    })
}

impl Said {
    /// `epoch` is the real time at which the simulation began.
    pub fn to_otlp(&self, span: &SimSpan, epoch: SystemTime) -> LogRecord {
        let at = since_1970(epoch) + span.end;
        LogRecord {
            time_unix_nano: at,
            observed_time_unix_nano: at,
            severity_number: self.severity as i32,
            severity_text: self.text.to_owned(),
            body: Some(AnyValue { value: Some(any_value::Value::StringValue(self.body.clone())) }),
            attributes: self.attributes.iter().map(Into::into).collect(),
            flags: 1,
            trace_id: span.trace_id.to_bytes().to_vec(),
            span_id: span.span_id.to_bytes().to_vec(),
            ..LogRecord::default()
        }
    }
}
