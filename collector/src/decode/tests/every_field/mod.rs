//! Every field of the three messages, set to a value of its own, comes back in its column.
//!
//! The structs are written without `..Default::default()` once each, so a field that a new version of OTLP brings
//! stops these files from compiling. The same requests stand as hand-written OTLP/JSON in `testdata/otlp/`.

mod logs;
mod metrics;
mod traces;

use model::Signal;
use model::schema::{ASSEMBLED, PROMOTED_SPAN, schema};
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use self::logs::expected_records;
use self::metrics::expected_points;
use self::traces::expected_span;
use super::RECEIVED;
use super::rows::Expected;

const TRACE_ID: [u8; 16] =
    [0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c];
const SPAN_ID: [u8; 8] = [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74];

const OTHER_TRACE_ID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

const OTHER_SPAN_ID: [u8; 8] = [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18];

fn bare_resource(attributes: Vec<KeyValue>) -> Option<Resource> {
    Some(Resource { attributes, ..Resource::default() })
}

fn bare_scope(name: &str) -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: name.into(), ..InstrumentationScope::default() })
}

fn bare_origin(service: &str, resource: &str, scope: &str) -> Expected {
    Expected::default()
        .text("service_name", service)
        .text("resource_attributes", resource)
        .int("resource_dropped_attributes_count", 0)
        .text("scope_name", scope)
        .int("scope_dropped_attributes_count", 0)
        .int("received_time_unix_nano", RECEIVED)
}

/// A column that these requests leave empty would be a field that no test sees.
#[test]
fn the_requests_above_fill_every_column() {
    let full = [
        (Signal::Traces, vec![expected_span()]),
        (Signal::Metrics, expected_points()),
        (Signal::Logs, expected_records()),
    ];
    let promoted = |name: &str| PROMOTED_SPAN.iter().any(|promoted| promoted.column == name);
    for (signal, rows) in full {
        for field in schema(signal).fields() {
            let name = field.name().as_str();
            let of_traces = expected_span().contains_key(name) && signal != Signal::Traces;
            let filled = rows.iter().any(|row| row.contains_key(name));
            let elsewhere = ASSEMBLED.contains(&name) || name == "anomalies" || promoted(name) || of_traces;
            assert!(filled || elsewhere, "{} of {}", name, signal.table());
        }
    }
}

#[test]
fn the_page_for_outsiders_lists_every_column() {
    let page = include_str!("../../../../../docs/format/tables.md");
    for signal in Signal::ALL {
        for field in schema(signal).fields() {
            assert!(page.contains(&format!("`{}`", field.name())), "{} of {}", field.name(), signal.table());
        }
    }
    for promoted in PROMOTED_SPAN {
        assert!(page.contains(&format!("| `{}` | `{}` |", promoted.key, promoted.column)), "{}", promoted.key);
    }
}
