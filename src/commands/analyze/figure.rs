//! One value of an analysis' answer as people read it: times in ms or s, shares in per cent, at most four significant
//! digits. Counts stay whole.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Number, Value};

/// Members of a row that are in the unit of its measure (`run-diff`).
const MEASURED: [&str; 6] = ["before", "after", "change", "low", "high", "material"];
/// Parts of a whole that are not called shares.
const PARTS: [&str; 2] = ["headroom", "load_at_target"];

/// Where a value stands.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub row: &'a Value,
    pub answer: &'a Value,
}

/// The text for the value of this name.
pub fn text(name: &str, value: &Value, place: Place<'_>) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => without_breaks(&to_the_millisecond(text)),
        Value::Number(number) => figure(name, number, place),
        nested => nested.to_string(),
    }
}

fn figure(name: &str, number: &Number, Place { row, answer }: Place<'_>) -> String {
    let Some(value) = number.as_f64() else { return number.to_string() };
    let name = if MEASURED.contains(&name) { row["measure"].as_str().unwrap_or(name) } else { name };
    if name.contains("_ns") {
        return time(value);
    }
    if let Some(since) = answer["t0"].as_str().and_then(|t0| t0.parse::<i64>().ok()).filter(|_| name.ends_with("_us")) {
        let at = since.saturating_add((value as i64).saturating_mul(1_000));
        return DateTime::from_timestamp_nanos(at).to_rfc3339_opts(SecondsFormat::Millis, true);
    }
    if name.contains("share") || name.contains("error_rate") || PARTS.contains(&name) {
        return format!("{} %", digits(value * 100.0));
    }
    if number.is_f64() { digits(value) } else { number.to_string() }
}

/// Nanoseconds in ms, or in s from a second on.
fn time(ns: f64) -> String {
    match ns.abs() < 1e9 {
        true => format!("{} ms", digits(ns / 1e6)),
        false => format!("{} s", digits(ns / 1e9)),
    }
}

/// A number with four significant digits at most, and no zeros at its end.
fn digits(value: f64) -> String {
    const SIGNIFICANT: i32 = 4;
    /// Below this nothing is left of a figure.
    const MOST_DECIMALS: i32 = 12;
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let decimals = SIGNIFICANT - 1 - value.abs().log10().floor() as i32;
    if decimals <= 0 {
        let unit = 10_f64.powi(-decimals);
        return format!("{:.0}", (value / unit).round() * unit);
    }
    let text = format!("{value:.*}", decimals.min(MOST_DECIMALS) as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time of the API with at most three decimals of its second; any other text as it is.
fn to_the_millisecond(text: &str) -> String {
    match model::time::rfc3339(text) {
        Some(_) if text.len() == "2026-11-11T13:00:00.000000000Z".len() && text.ends_with('Z') => {
            format!("{}Z", text[..text.len() - "000000Z".len()].trim_end_matches(".000"))
        }
        _ => text.to_owned(),
    }
}

/// A cell is one line.
fn without_breaks(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(name: &str, value: Value) -> String {
        let row = json!({"measure": "p95_ns"});
        text(name, &value, Place { row: &row, answer: &json!({"t0": "1794400200000000000"}) })
    }

    #[test]
    fn a_figure_has_the_unit_of_its_name_and_four_digits_at_most() {
        for (name, value, expected) in [
            ("p99_ns", json!(12_345_678), "12.35 ms"),
            ("new_mean_ns", json!(2_100_000_000), "2.1 s"),
            ("time_ns_per_request", json!(0), "0 ms"),
            ("change", json!(-1_234_567.89), "-1.235 ms"),
            ("saved_share", json!(0.123456789012345), "12.35 %"),
            ("error_rate", json!(0.5), "50 %"),
            ("qps", json!(123.456789012345), "123.5"),
            ("qps", json!(123456.7), "123500"),
            ("lambda", json!(0.000123456), "0.0001235"),
            ("score", json!(9.99999), "10"),
            ("requests", json!(1234567), "1234567"),
            ("gives_way", json!(true), "yes"),
            ("peer", Value::Null, "-"),
            ("start_us", json!(1_500_000), "2026-11-11T12:30:01.500Z"),
            ("start", json!("2026-11-11T12:30:00.000000000Z"), "2026-11-11T12:30:00Z"),
            ("last_seen", json!("2026-11-11T12:30:00.250000000Z"), "2026-11-11T12:30:00.250Z"),
            ("statement", json!("SELECT *\nFROM stock"), "SELECT * FROM stock"),
        ] {
            assert_eq!(shown(name, value), expected, "{name}");
        }
    }

    #[test]
    fn a_difference_is_in_the_unit_of_what_was_measured() {
        let row = json!({"measure": "error_rate"});
        assert_eq!(text("after", &json!(0.0125), Place { row: &row, answer: &json!({}) }), "1.25 %");
    }
}
