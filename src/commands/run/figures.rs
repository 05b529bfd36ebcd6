//! A run as text: what the load generator saw, and beside it what hotspan saw in the same time, its stages and load levels
//! too.

use serde_json::{Value, json};

use super::which::to_the_second;

/// The key of the figure that is shown only where requests tell when they were meant to be sent.
pub const FROM_INTENDED: &str = "p99_intended_ns";

const COLUMNS: [(&str, &str); 12] = [
    ("requests", "requests"),
    ("errors", "errors"),
    ("rate", "per s"),
    ("concurrency", "at once"),
    ("mean_ns", "mean"),
    ("p50_ns", "p50"),
    ("p90_ns", "p90"),
    ("p95_ns", "p95"),
    ("p99_ns", "p99"),
    ("p999_ns", "p99.9"),
    ("max_ns", "max"),
    (FROM_INTENDED, "p99 meant"),
];
/// Names of requests that are printed; `--json` has all.
const MOST_NAMES: usize = 20;
const WIDEST: usize = 48;

/// What hotspan saw in the time of a run.
pub struct Seen {
    pub total: Value,
    /// The names of stages with their totals.
    pub stages: Vec<(String, Value)>,
    /// Load levels, as the analysis `steps` has them.
    pub levels: Vec<Value>,
    /// From when latencies count, as `coordinated-omission` says it.
    pub clock: Value,
}

impl Seen {
    pub fn json(&self) -> Value {
        let stage = |(name, total): &(String, Value)| {
            let mut stage = total.clone();
            stage["name"] = json!(name);
            stage
        };
        let stages: Vec<Value> = self.stages.iter().map(stage).collect();
        json!({"seen": self.total, "stages": stages, "levels": self.levels, "clock": self.clock})
    }

    fn rows(&self) -> Vec<(String, Value)> {
        let mut rows = vec![("hotspan saw".to_owned(), self.total.clone())];
        rows.extend(
            self.stages.iter().map(|(name, total)| (format!("  stage {}", cut(name, WIDEST - 8)), total.clone())),
        );
        let is_level = |level: &&Value| level["transition"] != true && level["requests"].as_u64() > Some(0);
        rows.extend(self.levels.iter().filter(is_level).map(|level| {
            let mut row = level.clone();
            row["rate"] = level["qps"].clone();
            (format!("  level from {}", to_the_second(text(&level["start"]))), row)
        }));
        rows
    }
}

/// A run with its stages and figures. `seen` are hotspan's own of the same time.
pub fn described(run: &Value, seen: Option<&Seen>) -> String {
    let mut out = format!("{} to {}\n", text(&run["start_time"]), run["end_time"].as_str().unwrap_or("now"));
    for mark in run["marks"].as_array().into_iter().flatten() {
        out += &format!("stage {} from {}\n", text(&mark["name"]), text(&mark["time"]));
    }
    let generator = &run["generator"];
    let tool = text(&generator["tool"]);
    let mut rows: Vec<(String, &Value)> = Vec::new();
    if generator.is_object() {
        rows.push((format!("{tool} saw"), &generator["total"]));
    }
    let clock = seen.map(|seen| seen.clock.clone()).unwrap_or_default();
    let seen = seen.map(Seen::rows).unwrap_or_default();
    rows.extend(seen.iter().map(|(name, figures)| (name.clone(), figures)));
    let named = generator["named"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.extend(named.iter().take(MOST_NAMES).map(|named| (name_of(named), named)));
    let is_told = clock["known"] == true;
    out += &table(&rows, is_told);
    if let Some(text) = clock["en"].as_str() {
        out += &format!("clock: {text}{}\n", if is_told { " \"p99 meant\" is from the intended start." } else { "" });
    }
    if named.len() > MOST_NAMES {
        out += &format!("and {} names more (--json)\n", named.len() - MOST_NAMES);
    }
    for note in generator["notes"].as_array().into_iter().flatten() {
        out += &format!("note: {}\n", text(note));
    }
    out
}

fn name_of(named: &Value) -> String {
    let name = cut(text(&named["name"]), WIDEST - 15);
    match named["what"].as_str() {
        Some("transaction") => format!("  {name} (transaction)"),
        Some("selection") => format!("  {name} (selection)"),
        _ => format!("  {name}"),
    }
}

fn cut(name: &str, most: usize) -> String {
    name.chars().take(most).collect()
}

fn table(rows: &[(String, &Value)], with_intended: bool) -> String {
    let columns = || COLUMNS.into_iter().filter(|(key, _)| with_intended || *key != FROM_INTENDED);
    if rows.is_empty() {
        return String::new();
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut out = format!("{:<width$}", "");
    for (_, head) in columns() {
        out += &format!("  {head:>9}");
    }
    out.push('\n');
    for (name, figures) in rows {
        out += &format!("{name:<width$}");
        for (key, _) in columns() {
            out += &format!("  {:>9}", cell(key, &figures[key]));
        }
        out.push('\n');
    }
    out
}

fn cell(key: &str, value: &Value) -> String {
    let Some(number) = value.as_f64() else { return "-".to_owned() };
    match key {
        "rate" | "concurrency" => format!("{number:.1}"),
        _ if key.ends_with("_ns") => format!("{:.1} ms", number / 1e6),
        _ => value.to_string(),
    }
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_generator_stands_beside_what_hotspan_saw() {
        let run = json!({
            "start_time": "2026-11-11T12:00:00Z", "end_time": null, "marks": [{"name": "40k", "time": "2026-11-11T12:01:00Z"}],
            "generator": {"tool": "k6", "total": {"requests": 600, "errors": 12, "rate": 5.0, "p99_ns": null, "p50_ns": 120_000_000},
                "named": [{"name": "Flow", "what": "transaction", "requests": 3}], "notes": ["a note"]},
        });
        let total = json!({"requests": 598, "errors": 12, "rate": 4.98, "concurrency": 0.61, "p50_ns": 118_000_000});
        let level = json!({"start": "2026-11-11T12:01:00.5Z", "qps": 9.0, "concurrency": 1.26, "requests": 500, "errors": 2,
            "p50_ns": 120e6, "p90_ns": 150e6, "p95_ns": 170e6, "p99_ns": 200e6, "p999_ns": 250e6, "transition": false});
        let ramp = json!({"start": "b", "qps": 5.0, "requests": 50, "transition": true});
        let stage = json!({"requests": 498, "errors": 2, "rate": 8.8, "concurrency": 1.2, "p999_ns": 251e6});
        let stages = vec![("40k".to_owned(), stage)];
        let seen = Seen { total, stages, levels: vec![ramp, level], clock: Value::Null };
        let shown = described(&run, Some(&seen));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "2026-11-11T12:00:00Z to now");
        assert_eq!(lines[1], "stage 40k from 2026-11-11T12:01:00Z");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(words(lines[2]), "requests errors per s at once mean p50 p90 p95 p99 p99.9 max");
        assert_eq!(words(lines[3]), "k6 saw 600 12 5.0 - - 120.0 ms - - - - -");
        assert_eq!(words(lines[4]), "hotspan saw 598 12 5.0 0.6 - 118.0 ms - - - - -");
        assert_eq!(words(lines[5]), "stage 40k 498 2 8.8 1.2 - - - - - 251.0 ms -");
        let level = "level from 2026-11-11T12:01:00Z 500 2 9.0 1.3 - 120.0 ms 150.0 ms 170.0 ms 200.0 ms 250.0 ms -";
        assert_eq!(words(lines[6]), level);
        assert_eq!(words(lines[7]), "Flow (transaction) 3 - - - - - - - - - -");
        assert_eq!(lines[8], "note: a note");
        let json = seen.json();
        assert_eq!((&json["stages"][0]["name"], &json["seen"]["requests"]), (&json!("40k"), &json!(598)));
        assert!(described(&json!({"start_time": "a", "end_time": "b"}), None).lines().count() == 1);
        let Seen { mut total, stages, levels, .. } = seen;
        total[FROM_INTENDED] = json!(950e6);
        let told = Seen { total, stages, levels, clock: json!({"known": true, "en": "598 of 598 requests tell."}) };
        let shown = described(&run, Some(&told));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(words(lines[2]), "requests errors per s at once mean p50 p90 p95 p99 p99.9 max p99 meant");
        assert_eq!(words(lines[4]), "hotspan saw 598 12 5.0 0.6 - 118.0 ms - - - - - 950.0 ms");
        assert_eq!(lines[8], "clock: 598 of 598 requests tell. \"p99 meant\" is from the intended start.");
    }
}
