//! The answer of an analysis for people: what it comes to, then its lists as tables.
//!
//! [`CHOICES`] has a line for each analysis of which a part is to be shown, or in an order of its own; any other shows
//! the values and lists at the top of its answer. The unit of a figure follows from its name as in docs/api.md: `_ns` is
//! a time, a `share` is of a whole.

use serde_json::Value;

use super::figure::{self, Place};

/// An analysis; the values that come first; its lists, each with its columns. Names are separated by blanks, and a dot
/// leads into an object. Columns without a value are left out.
type Choice = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

#[rustfmt::skip]
const CHOICES: &[Choice] = &[
    ("steps", "baseline_step current_step total", &[("steps", "index start end qps concurrency requests errors p50_ns p90_ns p95_ns p99_ns p999_ns transition")]),
    ("compare", "selection baseline", &[("differences", "key scope value selection_share baseline_share selection_count baseline_count score")]),
    ("flame", "requests baseline_requests", &[("nodes", "id parent service operation kind peer calls critical_ns self_ns total_ns errors base_calls base_critical_ns")]),
    ("critical-path", "trace_id duration_ns", &[("pieces", "from_ns to_ns share service operation span_kind instance status_code")]),
    ("capacity", "forecast.target_qps forecast.now_qps forecast.first forecast.unknown", &[("nodes", "node service operation peer instance gives_way load_at_target needed_qps qps capacity_qps capacity_by headroom knee_qps at_least_qps limit_qps limit_low_qps limit_high_qps law servers p99_limit_qps error_limit_qps p99_ns error_rate verdict needed.en")]),
    ("what-if", "service operation kind faster parallel spans requests", &[("entries", "service operation requests touched mean_ns new_mean_ns p50_ns new_p50_ns p90_ns new_p90_ns p99_ns new_p99_ns saved_share"), ("assumptions", "en")]),
    ("hidden", "requests baseline_requests found", &[("rows", "pattern service operation peer caller_service caller_operation count calls per_request time_ns_per_request baseline_time_ns_per_request share_of_latency p50_ns p99_ns statement")]),
    ("queueing", "requests grows found", &[("rows", "verdict caller_service service calls quiet_rate busy_rate quiet_mean_ns busy_mean_ns quiet_p99_ns busy_p99_ns grows_from_rate time_ns_per_request explanation.en")]),
    ("amplification", "requests baseline_requests amplified found", &[("rows", "verdict entry_service entry_operation path calls_per_request baseline_calls_per_request retry_factor baseline_retry_factor multiplied_by multiplied_calls_of most")]),
    ("statements", "found", &[("statements", "service peer system count rate errors mean_ns p50_ns p99_ns total_ns critical_share statement")]),
    ("exceptions", "found", &[("exceptions", "service operation type count rate baseline_rate last_seen place message")]),
    ("log-patterns", "found", &[("patterns", "change severity service count rate baseline_rate last_seen pattern")]),
    ("instance-skew", "verdict summary.en found", &[("rows", "kind service operation peer instance calls ratio mean_ns siblings_mean_ns p99_ns siblings_p99_ns error_rate siblings_error_rate lost_ns_per_minute")]),
    ("cold-starts", "summary.en found", &[("rows", "kind service operation started slow warm slow_for_ns calls mean_ns later_mean_ns ratio lost_ns")]),
    ("coordinated-omission", "known requests with_intended_start closed_loops_suspected hint.en found", &[("entries", "service operation requests with_intended_start p50_ns p50_intended_ns p99_ns p99_intended_ns worst_delay_ns late_share closed_loop_suspected")]),
    ("service-map", "", &[("nodes", "name type requests rate error_rate p50_ns p99_ns critical_share instances"), ("edges", "from to calls rate errors p50_ns p99_ns critical_share gap_ns")]),
    ("services", "", &[("services", "service instances operations spans rate errors error_rate p50_ns p90_ns p99_ns critical_share")]),
    ("operations", "", &[("operations", "service operation kind peer count rate errors error_rate p50_ns p90_ns p99_ns max_ns self_ns critical_share")]),
    ("search", "", &[("traces", "start_us service operation duration_ns spans services errors status_code trace_id")]),
    ("run-diff", "verdict found worse better same no_evidence too_few_calls only_in_a only_in_b limits", &[("operations", "outcome reason service operation kind peer measure before after change low high material calls_a calls_b"), ("matched", "matched_by qps_a qps_b concurrency_a concurrency_b throughput.outcome throughput.low throughput.high seconds_a seconds_b")]),
];

/// Widest column but the last, in characters.
const WIDEST: usize = 48;

/// The text for an answer.
pub fn shown(analysis: &str, answer: &Value) -> String {
    let mut out = match CHOICES.iter().find(|(name, ..)| *name == analysis) {
        Some((_, values, lists)) => chosen(answer, values, lists),
        None => everything(answer),
    };
    out += &notes(answer);
    out
}

/// What the server says about its answer.
pub fn notes(answer: &Value) -> String {
    let notes = answer["meta"]["notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    notes.map(|note| format!("note: {note}\n")).collect()
}

fn chosen(answer: &Value, values: &str, lists: &[(&str, &str)]) -> String {
    let mut out: String = values.split_whitespace().map(|path| value_line(answer, path)).collect();
    for (list, columns) in lists {
        let columns: Vec<&str> = columns.split_whitespace().collect();
        out += &listed(answer, list, &columns, lists.len() > 1);
    }
    out
}

/// All values and lists of objects at the top; of an answer that has none, its JSON.
fn everything(answer: &Value) -> String {
    let members: Vec<(&String, &Value)> = answer.as_object().into_iter().flatten().collect();
    let is_list = |value: &Value| value.as_array().is_some_and(|rows| rows.first().is_some_and(Value::is_object));
    let lists: Vec<&String> = members.iter().filter(|(_, value)| is_list(value)).map(|(name, _)| *name).collect();
    if lists.is_empty() {
        return format!("{answer:#}\n");
    }
    let values = members.iter().filter(|(_, value)| is_plain(value));
    let mut out: String = values.map(|(name, _)| value_line(answer, name)).collect();
    for list in &lists {
        out += &listed(answer, list, &columns_of(&answer[list.as_str()][0]), lists.len() > 1);
    }
    out
}

/// The plain members of a row, names before figures.
fn columns_of(row: &Value) -> Vec<&str> {
    let members = row.as_object().into_iter().flatten().filter(|(_, value)| is_plain(value));
    let (names, figures): (Vec<_>, Vec<_>) = members.partition(|(_, value)| value.is_string());
    names.into_iter().chain(figures).map(|(name, _)| name.as_str()).collect()
}

fn is_plain(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// `name: value`, of an object its plain members, and nothing where there is none.
fn value_line(answer: &Value, path: &str) -> String {
    let place = Place { row: answer, answer };
    let text = match at(answer, path) {
        Value::Null => return String::new(),
        Value::Object(members) => {
            let plain = members.iter().filter(|(_, value)| is_plain(value) && !value.is_null());
            let said = plain.map(|(name, value)| format!("{} {}", title(name), figure::text(name, value, place)));
            said.collect::<Vec<_>>().join(", ")
        }
        value => figure::text(last(path), value, place),
    };
    format!("{}: {text}\n", title(path))
}

/// A list as a table, after its name where it is one of several.
fn listed(answer: &Value, list: &str, columns: &[&str], several: bool) -> String {
    let rows = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return format!("{list}: none\n");
    }
    let table = match columns {
        // Sentences need no head.
        ["en"] => rows.iter().map(|row| format!("- {}\n", row["en"].as_str().unwrap_or_default())).collect(),
        _ => table(answer, rows, columns),
    };
    if several { format!("\n{list}:\n{table}") } else { table }
}

fn table(answer: &Value, rows: &[Value], columns: &[&str]) -> String {
    let columns = columns.iter().filter(|path| rows.iter().any(|row| !at(row, path).is_null()));
    let columns: Vec<Column> = columns.map(|path| Column::new(answer, rows, path)).collect();
    let line = |cell_of: &dyn Fn(&Column) -> String| {
        let cells: Vec<String> = columns.iter().map(|column| column.aligned(&cell_of(column))).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let head = line(&|column| column.title.clone());
    let body = (0..rows.len()).map(|row| line(&|column| column.cells[row].clone()));
    head + &body.collect::<String>()
}

struct Column {
    title: String,
    cells: Vec<String>,
    width: usize,
    /// Whether it has figures, which end below each other.
    is_figures: bool,
}

impl Column {
    fn new(answer: &Value, rows: &[Value], path: &str) -> Column {
        let cells: Vec<String> =
            rows.iter().map(|row| figure::text(last(path), at(row, path), Place { row, answer })).collect();
        let title = title(path);
        let widths = cells.iter().map(|cell| cell.chars().count());
        let width = widths.max().unwrap_or(0).min(WIDEST).max(title.chars().count());
        let is_figures = rows.iter().map(|row| at(row, path)).all(|value| value.is_number() || value.is_null());
        Column { title, cells, width, is_figures }
    }

    fn aligned(&self, cell: &str) -> String {
        let width = self.width;
        if self.is_figures { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    }
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// A name as people read it: its unit stands beside the figure.
fn title(path: &str) -> String {
    path.trim_end_matches(".en").trim_end_matches("_us").replace("_ns", "").replace(['.', '_'], " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The lines of a text, their words one blank apart.
    fn lines(text: &str) -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn every_choice_is_of_an_analysis_and_of_columns_that_it_has() {
        for (name, _, lists) in CHOICES {
            let analysis = query::analysis::find(name).expect("registered");
            let schema = (analysis.schema)();
            let has = |path: &str| schema.column_with_name(path.split('.').next().unwrap_or_default()).is_some();
            // One of the lists is what SQL has as rows.
            let of_rows = lists.iter().any(|(_, columns)| columns.split_whitespace().all(has));
            assert!(of_rows, "{name} shows columns that it does not have");
        }
    }

    #[test]
    fn what_if_shows_the_entries_before_and_after() {
        let answer = json!({
            "assumptions": [{"en": "the load stays the same", "zh": "负载不变"}],
            "entries": [{"service": "gateway", "operation": "POST /order", "requests": 600, "touched": 580,
                "mean_ns": 120_456_789, "new_mean_ns": 80_000_000, "p50_ns": 100_000_000, "new_p50_ns": 61_000_000,
                "p90_ns": 300_000_000, "new_p90_ns": 200_000_000, "p99_ns": 1_500_000_000, "new_p99_ns": 900_000_000, "saved_share": 0.335812345}],
            "service": "inventory", "operation": "reserve", "kind": null, "faster": 2.0, "parallel": false, "spans": 580,
            "requests": 600, "meta": {"notes": ["one in 3 traces was replayed"]},
        });
        let text = shown("what-if", &answer);
        let lines = lines(&text);
        assert_eq!(lines[..3], ["service: inventory", "operation: reserve", "faster: 2"]);
        let entry = "gateway POST /order 600 580 120.5 ms 80 ms 100 ms 61 ms 300 ms 200 ms 1.5 s 900 ms 33.58 %";
        assert!(lines.contains(&entry.to_owned()), "{text}");
        assert!(lines.iter().any(|line| line.starts_with("service operation requests touched mean new mean p50")));
        assert!(text.contains("- the load stays the same\n") && text.ends_with("note: one in 3 traces was replayed\n"));
    }

    #[test]
    fn run_diff_shows_the_operations_with_verdict_and_change() {
        let operation = |outcome: &str, measure: Value, values: [Value; 3]| {
            let [before, after, change] = values;
            json!({"service": "shop", "operation": "reserve", "kind": "INTERNAL", "peer": null, "outcome": outcome,
                "reason": null, "measure": measure, "before": before, "after": after, "change": change, "calls_a": 800,
                "calls_b": 810, "measures": []})
        };
        let answer = json!({
            "verdict": "worse", "worse": 1, "better": 0, "same": 1, "no_evidence": 1,
            "limits": {"ratio": 0.2, "latency_ns": 2_000_000.0, "error_rate": 0.005},
            "matched": [{"qps_a": 20.0, "qps_b": 20.01234567, "seconds_a": 40.0, "seconds_b": 40.0, "times_a": []}],
            "operations": [
                operation("worse", json!("mean_ns"), [json!(30e6), json!(90.123456e6), json!(60.123456e6)]),
                operation("worse", json!("error_rate"), [json!(0.0), json!(0.0123456), json!(0.0123456)]),
                operation("no_evidence", Value::Null, [Value::Null, Value::Null, Value::Null]),
                operation("same", json!("p50_ns"), [json!(30e6), json!(30.5e6), json!(0.5e6)]),
            ],
        });
        let text = shown("run-diff", &answer);
        let lines = lines(&text);
        assert_eq!(lines[0], "verdict: worse");
        let limits = "limits: error rate 0.5 %, latency 2 ms, ratio 0.2".to_owned();
        assert!(lines.contains(&"same: 1".to_owned()) && lines.contains(&limits), "{text}");
        assert!(
            lines.contains(&"outcome service operation kind measure before after change calls a calls b".to_owned()),
            "{text}"
        );
        for row in [
            "worse shop reserve INTERNAL mean_ns 30 ms 90.12 ms 60.12 ms 800 810",
            "worse shop reserve INTERNAL error_rate 0 % 1.235 % 1.235 % 800 810",
            "no_evidence shop reserve INTERNAL - - - - 800 810",
            "same shop reserve INTERNAL p50_ns 30 ms 30.5 ms 0.5 ms 800 810",
            "20 20.01 40 40",
        ] {
            assert!(lines.contains(&row.to_owned()), "no {row:?} in\n{text}");
        }
    }

    #[test]
    fn capacity_shows_the_forecast_and_the_limits() {
        let answer = json!({
            "bin_s": 1.0, "window": {"start": "a", "end": "b"},
            "forecast": {"target_qps": 500.0, "now_qps": 98.7654321, "unknown": 2, "first": {"node": "service",
                "service": "inventory", "operation": null, "peer": null, "instance": null, "load_at_target": 1.3256789}},
            "nodes": [{"node": "service", "service": "inventory", "operation": null, "verdict": "fitted",
                "gives_way": true, "load_at_target": 1.3256789, "needed_qps": 1500.123456, "qps": 290.123456,
                "capacity_qps": 1131.6, "capacity_by": "throughput", "limit_qps": 1131.6, "p99_ns": 45_678_901,
                "needed": null, "lambda": 0.123456789012345, "points": [[1.0, 2.0]]}],
        });
        let text = shown("capacity", &answer);
        let lines = lines(&text);
        assert_eq!(lines[..2], ["forecast target qps: 500", "forecast now qps: 98.77"]);
        assert_eq!(lines[2], "forecast first: load at target 132.6 %, node service, service inventory");
        let head =
            "node service gives way load at target needed qps qps capacity qps capacity by limit qps p99 verdict";
        assert_eq!(lines[4], head);
        assert_eq!(lines[5], "service inventory yes 132.6 % 1500 290.1 1132 throughput 1132 45.68 ms fitted");
        assert!(!text.contains("lambda") && lines.len() == 6, "{text}");
    }

    #[test]
    fn an_analysis_without_a_choice_shows_its_values_and_lists() {
        let answer = json!({
            "total": 3, "t0": "1794400200000000000",
            "spikes": [{"share": 0.25, "name": "a\nb", "exemplars": ["x"]}, {"share": 0.5, "name": "c"}],
            "meta": {"notes": []},
        });
        assert_eq!(
            shown("spikes", &answer),
            "t0: 1794400200000000000\ntotal: 3\nname  share\na b    25 %\nc      50 %\n"
        );
        assert_eq!(shown("operations", &json!({"operations": []})), "operations: none\n");
        assert!(shown("heatmap", &json!({"counts": [1, 2]})).contains("\"counts\""));
    }
}
