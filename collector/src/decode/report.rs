//! What was wrong with a request, in three forms: `anomalies` on the row it concerns, a sentence for the client, and
//! a reason for the metrics.
//!
//! The names are stable: they stand in the `anomalies` column on disk and in `hotspan_rejected_total{reason}`.

use model::{Decoded, Signal};

/// Why a row was refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reject {
    TraceId,
    SpanId,
    Time,
    Malformed,
    Buckets,
    EnumName,
    BadJson,
}

impl Reject {
    const ALL: [(Reject, &'static str, &'static str); 7] = [
        (Reject::TraceId, "invalid_trace_id", "trace_id must be 16 non-zero bytes"),
        (Reject::SpanId, "invalid_span_id", "span_id must be 8 non-zero bytes"),
        (Reject::Time, "time_out_of_range", "a time lies after the year 2262 (more than 9223372036854775807 ns)"),
        (Reject::Malformed, "malformed", "the bytes inside are not valid protobuf of this message"),
        (Reject::Buckets, "too_many_buckets", "a histogram has more buckets than the limit"),
        (Reject::EnumName, "enum_name", "OTLP/JSON enums are integers, not names"),
        (Reject::BadJson, "bad_json_value", "a JSON value does not fit its field"),
    ];
}

/// Oddities of a row that was kept, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Anomalies(u16);

impl Anomalies {
    pub const NONE: Anomalies = Anomalies(0);
    pub const TIME_INVERTED: Anomalies = Anomalies(1);
    pub const BAD_PARENT_ID: Anomalies = Anomalies(1 << 1);
    pub const BAD_TRACE_ID: Anomalies = Anomalies(1 << 2);
    pub const BAD_SPAN_ID: Anomalies = Anomalies(1 << 3);
    pub const BAD_LINK_ID: Anomalies = Anomalies(1 << 4);
    pub const UNKNOWN_ENUM: Anomalies = Anomalies(1 << 5);
    pub const DUPLICATE_KEY: Anomalies = Anomalies(1 << 6);
    pub const TRUNCATED: Anomalies = Anomalies(1 << 7);
    pub const DEEP_NESTING: Anomalies = Anomalies(1 << 8);
    pub const INVALID_UTF8: Anomalies = Anomalies(1 << 9);
    pub const SATURATED: Anomalies = Anomalies(1 << 10);
    pub const STRING_INDEX: Anomalies = Anomalies(1 << 11);

    /// In the order in which the `anomalies` column lists them.
    const ALL: [(Anomalies, &'static str, &'static str); 12] = [
        (Self::TIME_INVERTED, "time_inverted", "the end is before the start, duration_ns set to 0"),
        (Self::BAD_PARENT_ID, "bad_parent_id", "parent_span_id is not 8 bytes long and was left out"),
        (Self::BAD_TRACE_ID, "bad_trace_id", "a trace_id is not 16 bytes long and was left out"),
        (Self::BAD_SPAN_ID, "bad_span_id", "a span_id is not 8 bytes long and was left out"),
        (Self::BAD_LINK_ID, "bad_link_id", "a link without a valid trace_id or span_id"),
        (Self::UNKNOWN_ENUM, "unknown_enum", "an enum number that OTLP does not define"),
        (Self::DUPLICATE_KEY, "duplicate_key", "an attribute key is repeated, the last one was kept"),
        (Self::TRUNCATED, "truncated", "attributes beyond the limits were cut"),
        (Self::DEEP_NESTING, "deep_nesting", "an attribute is nested too deep, the deeper part was kept as bytes"),
        (Self::INVALID_UTF8, "invalid_utf8", "text is not UTF-8, the broken bytes were replaced by U+FFFD"),
        (Self::SATURATED, "saturated", "a number beyond int64 was set to 9223372036854775807"),
        (Self::STRING_INDEX, "string_index", "a string index of the profiling signal was taken as absent"),
    ];

    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    pub fn has(self, other: Anomalies) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub fn add(&mut self, other: Anomalies) {
        self.0 |= other.0;
    }

    /// Appends the names, separated by commas.
    pub fn write(self, out: &mut String) {
        for (anomaly, name, _) in Self::ALL {
            if self.has(anomaly) {
                if !out.is_empty() {
                    out.push(',');
                }
                out.push_str(name);
            }
        }
    }
}

/// Counts of one request's troubles.
#[derive(Debug, Default)]
pub(super) struct Report {
    rejected: [u64; Reject::ALL.len()],
    kept: [u64; Anomalies::ALL.len()],
    /// Anomalies of resources, scopes and metrics: told to the client, but no row is marked with them.
    origins: [u64; Anomalies::ALL.len()],
    unreadable_origins: u64,
}

impl Report {
    pub fn reject(&mut self, reason: Reject, rows: u64) {
        self.rejected[reason as usize] += rows;
    }

    #[inline]
    pub fn kept(&mut self, anomalies: Anomalies) {
        if !anomalies.is_empty() {
            count(&mut self.kept, anomalies);
        }
    }

    pub fn origin(&mut self, anomalies: Anomalies) {
        count(&mut self.origins, anomalies);
    }

    /// A resource, scope or metric of which only a part could be read; its rows were kept.
    pub fn unreadable_origin(&mut self) {
        self.unreadable_origins += 1;
    }

    /// Fills in what the client and the metrics are told.
    pub fn tell(&self, signal: Signal, decoded: &mut Decoded) {
        for ((_, name, why), &rows) in Reject::ALL.iter().zip(&self.rejected) {
            if rows > 0 {
                decoded.rejected += rows;
                decoded.reasons.push((name, rows));
                decoded.notes.push(format!("{} rejected: {why}", counted(rows, signal.row())));
            }
        }
        for ((_, _, what), &rows) in Anomalies::ALL.iter().zip(&self.kept) {
            if rows > 0 {
                decoded.notes.push(format!("{} kept: {what}", counted(rows, signal.row())));
            }
        }
        for ((_, _, what), &times) in Anomalies::ALL.iter().zip(&self.origins) {
            if times > 0 {
                decoded.notes.push(format!("{}: {what}", counted(times, "resource or scope")));
            }
        }
        if self.unreadable_origins > 0 {
            let origins = counted(self.unreadable_origins, "resource, scope or metric field");
            decoded.notes.push(format!("{origins} unreadable: the rows were kept without"));
        }
    }
}

fn count(counts: &mut [u64; Anomalies::ALL.len()], anomalies: Anomalies) {
    for ((anomaly, ..), count) in Anomalies::ALL.iter().zip(counts) {
        *count += u64::from(anomalies.has(*anomaly));
    }
}

fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_at_its_own_place() {
        for (index, (reason, ..)) in Reject::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        let mut seen = Anomalies::NONE;
        for (anomaly, ..) in Anomalies::ALL {
            assert!(!seen.has(anomaly));
            seen.add(anomaly);
        }
    }

    #[test]
    fn names_are_listed_with_commas() {
        let mut out = String::new();
        let mut both = Anomalies::TRUNCATED;
        both.add(Anomalies::TIME_INVERTED);
        both.write(&mut out);
        assert_eq!(out, "time_inverted,truncated");
    }
}
