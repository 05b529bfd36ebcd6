//! A run as text: what the load generator saw, and beside it what hotspan saw in the same time.

use serde_json::Value;

const COLUMNS: [(&str, &str); 9] = [
    ("requests", "requests"),
    ("errors", "errors"),
    ("rate", "per s"),
    ("mean_ns", "mean"),
    ("p50_ns", "p50"),
    ("p90_ns", "p90"),
    ("p95_ns", "p95"),
    ("p99_ns", "p99"),
    ("max_ns", "max"),
];
/// Names of requests that are printed; `--json` has all.
const MOST_NAMES: usize = 20;
const WIDEST: usize = 48;

/// A run with its stages and figures. `seen` are hotspan's own of the same time.
pub fn described(run: &Value, seen: Option<&Value>) -> String {
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
    rows.extend(seen.map(|seen| ("hotspan saw".to_owned(), seen)));
    let named = generator["named"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.extend(named.iter().take(MOST_NAMES).map(|named| (name_of(named), named)));
    out += &table(&rows);
    if named.len() > MOST_NAMES {
        out += &format!("and {} names more (--json)\n", named.len() - MOST_NAMES);
    }
    for note in generator["notes"].as_array().into_iter().flatten() {
        out += &format!("note: {}\n", text(note));
    }
    out
}

fn name_of(named: &Value) -> String {
    let name: String = text(&named["name"]).chars().take(WIDEST - 15).collect();
    match named["what"].as_str() {
        Some("transaction") => format!("  {name} (transaction)"),
        Some("selection") => format!("  {name} (selection)"),
        _ => format!("  {name}"),
    }
}

fn table(rows: &[(String, &Value)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut out = format!("{:<width$}", "");
    for (_, head) in COLUMNS {
        out += &format!("  {head:>9}");
    }
    out.push('\n');
    for (name, figures) in rows {
        out += &format!("{name:<width$}");
        for (key, _) in COLUMNS {
            out += &format!("  {:>9}", cell(key, &figures[key]));
        }
        out.push('\n');
    }
    out
}

fn cell(key: &str, value: &Value) -> String {
    let Some(number) = value.as_f64() else { return "-".to_owned() };
    match key {
        "rate" => format!("{number:.1}"),
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
        let seen = json!({"requests": 598, "errors": 12, "rate": 4.98, "p50_ns": 118_000_000});
        let shown = described(&run, Some(&seen));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "2026-11-11T12:00:00Z to now");
        assert_eq!(lines[1], "stage 40k from 2026-11-11T12:01:00Z");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(words(lines[3]), "k6 saw 600 12 5.0 - 120.0 ms - - - -");
        assert_eq!(words(lines[4]), "hotspan saw 598 12 5.0 - 118.0 ms - - - -");
        assert_eq!(words(lines[5]), "Flow (transaction) 3 - - - - - - - -");
        assert_eq!(lines[6], "note: a note");
        assert!(described(&json!({"start_time": "a", "end_time": "b"}), None).lines().count() == 1);
    }
}
