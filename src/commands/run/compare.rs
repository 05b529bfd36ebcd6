//! `hotspan run compare A B`: every operation of two runs at matched load, as text, JSON or Markdown, with an exit code
//! for pipelines.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::which::path;
use crate::client::{Remote, pairs};
use crate::streams;

/// Compare run B with the earlier run A, operation by operation, at the loads that both had: the same request rate, or as
/// many requests at once
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hotspan run compare round-2 round-3\n  \
    hotspan run compare round-3 round-4 --stages   # each marked stage of the same name\n  \
    hotspan run compare round-3@8k round-4@16k     # any two, from one mark to the next\n  \
    hotspan run compare main $CI_COMMIT --fail-on worse-or-unknown --format markdown > report.md\n\n\
    Exit code 1 when --fail-on is met.")]
pub struct Compare {
    /// The earlier run, by id or name
    a: String,
    /// The later run
    b: String,
    /// Compare this stage of both, from its mark to the next; may be repeated
    #[arg(long, value_name = "MARK")]
    stage: Vec<String>,
    /// Compare each stage that both have, by its name
    #[arg(long, conflicts_with = "stage")]
    stages: bool,
    /// End with exit code 1 when an operation got worse
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Other parameters of the analysis as NAME=VALUE, e.g. material_ratio=0.1 or service=payment
    #[arg(long, value_name = "NAME=VALUE")]
    with: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum FailOn {
    /// An operation got worse
    Worse,
    /// An operation got worse, or nothing could be compared
    WorseOrUnknown,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
}

/// Two runs, or a stage of each, with the server's answer.
struct Compared {
    /// Where stages are compared.
    stage: Option<String>,
    a: String,
    b: String,
    answer: Value,
}

impl Compare {
    pub fn run(&self, remote: &Remote) -> Result<ExitCode> {
        let stages = if self.stages { self.common_stages(remote)? } else { self.stage.clone() };
        let all: Vec<Compared> = match stages.is_empty() {
            true => vec![self.compared(remote, None)?],
            false => stages.into_iter().map(|stage| self.compared(remote, Some(stage))).collect::<Result<_>>()?,
        };
        streams::printed(streams::stdout().write_all(self.written(&all)?.as_bytes()).map_err(Into::into))?;
        let failed = all.iter().any(|compared| self.is_failure(&compared.answer));
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn compared(&self, remote: &Remote, stage: Option<String>) -> Result<Compared> {
        let of = |run: &str| stage.as_ref().map_or(run.to_owned(), |stage| format!("{run}@{stage}"));
        let (a, b) = (of(&self.a), of(&self.b));
        let mut parameters = vec![("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())];
        parameters.extend(pairs(&self.with, "NAME=VALUE")?);
        let answer = remote.get("/api/v1/runs/compare", &parameters)?;
        Ok(Compared { stage, a, b, answer })
    }

    /// The names of stages that both runs have, in the order of the later one.
    fn common_stages(&self, remote: &Remote) -> Result<Vec<String>> {
        let [a, b] = [&self.a, &self.b].map(|run| remote.get(&path(run, ""), &[]));
        let common = common(&a?, &b?);
        if common.is_empty() {
            bail!(
                model::Error::invalid(format!("{} and {} have no stage of the same name", self.a, self.b))
                    .hint("hotspan run show RUN lists a run's stages; hotspan run mark NAME begins one")
            );
        }
        Ok(common)
    }

    fn written(&self, all: &[Compared]) -> Result<String> {
        let joined = |of: fn(&Compared) -> String| all.iter().map(of).collect::<Vec<_>>().join("\n");
        Ok(match self.format {
            Format::Json => serde_json::to_string_pretty(&as_json(all))? + "\n",
            Format::Text => joined(Compared::text),
            Format::Markdown => joined(Compared::markdown),
        })
    }

    fn is_failure(&self, answer: &Value) -> bool {
        match (self.fail_on, answer["verdict"].as_str()) {
            (Some(_), Some("worse")) => true,
            (Some(FailOn::WorseOrUnknown), verdict) => verdict == Some("not_enough_data"),
            _ => false,
        }
    }
}

fn common(a: &Value, b: &Value) -> Vec<String> {
    let names = |run: &Value| -> Vec<String> {
        let marks = run["marks"].as_array().into_iter().flatten();
        marks.filter_map(|mark| mark["name"].as_str().map(str::to_owned)).collect()
    };
    let of_a = names(a);
    let mut common: Vec<String> = Vec::new();
    for name in names(b) {
        // A name that was marked twice means its first stage.
        if of_a.contains(&name) && !common.contains(&name) {
            common.push(name);
        }
    }
    common
}

/// The server's answer; of stages a list of them, each with its name.
fn as_json(all: &[Compared]) -> Value {
    if let [Compared { stage: None, answer, .. }] = all {
        return answer.clone();
    }
    let named = |compared: &Compared| {
        let mut answer = compared.answer.clone();
        answer["stage"] = json!(compared.stage);
        answer
    };
    json!({"stages": all.iter().map(named).collect::<Vec<_>>()})
}

impl Compared {
    fn text(&self) -> String {
        let answer = &self.answer;
        let mut out = format!("{} against {}: {}\n", self.b, self.a, verdict(answer));
        for line in self.head() {
            out += &format!("  {line}\n");
        }
        let changed = rows(answer);
        let widths = (0..4).map(|at| changed.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
        let widths: Vec<usize> = widths.collect();
        for row in &changed {
            let cells = row.iter().enumerate().map(|(at, cell)| match widths.get(at) {
                Some(&width) => format!("{cell:<width$}"),
                None => cell.clone(),
            });
            out += &format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        out + &rest(answer) + "\n"
    }

    fn markdown(&self) -> String {
        let answer = &self.answer;
        let cell = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
        let mut out = format!("### {} against {}: {}\n\n", cell(&self.b), cell(&self.a), verdict(answer));
        for line in self.head() {
            out += &format!("- {line}\n");
        }
        let changed = rows(answer);
        if !changed.is_empty() {
            out += "\n| outcome | service | operation | measure | before → after | 95 % interval of the change |\n";
            out += "|---|---|---|---|---|---|\n";
        }
        for row in &changed {
            out += &format!("| {} |\n", row.iter().map(|text| cell(text)).collect::<Vec<_>>().join(" | "));
        }
        out + "\n" + &rest(answer) + "\n"
    }

    /// How each run went, and at which loads they are compared.
    fn head(&self) -> Vec<String> {
        let answer = &self.answer;
        let band = |band: &Value| {
            let number = |key: &str| band[key].as_f64().unwrap_or(0.0);
            let at = format!(
                "{:.0}/s and {:.0}/s for {:.0} s and {:.0} s",
                number("qps_a"),
                number("qps_b"),
                number("seconds_a"),
                number("seconds_b")
            );
            match band["matched_by"] == "concurrency" {
                true => format!(
                    "equal concurrency ({:.1} and {:.1} at once): {at}",
                    number("concurrency_a"),
                    number("concurrency_b")
                ),
                false => at,
            }
        };
        let bands: Vec<String> = answer["matched"].as_array().into_iter().flatten().map(band).collect();
        let matched = match bands.is_empty() {
            true => "no load in common, so nothing was compared".to_owned(),
            false => format!("compared at {}", bands.join("; ")),
        };
        let clock = answer["clock"]["en"].as_str().map(|text| text.trim_end_matches('.').to_owned());
        let sides = [side(&self.a, &answer["a"]), side(&self.b, &answer["b"]), matched];
        sides.into_iter().chain(clock).chain([limits(&answer["limits"])]).collect()
    }
}

/// How one run went.
fn side(name: &str, side: &Value) -> String {
    let ms = |value: &Value| value.as_f64().map_or("-".to_owned(), milliseconds);
    let (p50, p99) = (ms(&side["p50_ns"]), ms(&side["p99_ns"]));
    let mut out = format!("{name}: {} requests, {} failed, p50 {p50}, p99 {p99}", side["requests"], side["errors"]);
    let intended = &side["intended"];
    if intended.is_object() {
        out += &format!(
            "; from the intended start p50 {}, p99 {}",
            ms(&intended["p50_intended_ns"]),
            ms(&intended["p99_intended_ns"])
        );
    }
    out
}

/// What counts as a change.
fn limits(limits: &Value) -> String {
    let number = |key: &str| limits[key].as_f64().unwrap_or(0.0);
    let percent = |share: f64| format!("{} %", (share * 1e4).round() / 100.0);
    format!(
        "a change counts from {} on and {} of a latency, {} of an error rate",
        percent(number("ratio")),
        milliseconds(number("latency_ns")),
        percent(number("error_rate"))
    )
}

fn verdict(answer: &Value) -> &'static str {
    match answer["verdict"].as_str() {
        Some("worse") => "worse",
        Some("better") => "better",
        Some("same") => "the same, as far as it counts",
        Some("no_evidence") => "no evidence of a change",
        _ => "not enough data",
    }
}

/// What changed: throughput at equal concurrency, then operations.
fn rows(answer: &Value) -> Vec<[String; 6]> {
    throughput(answer).into_iter().chain(changed(answer)).collect()
}

/// As [`changed`], of throughput where loads are matched by concurrency.
fn throughput(answer: &Value) -> Vec<[String; 6]> {
    let bands = answer["matched"].as_array().into_iter().flatten();
    let row = |band: &Value| {
        let figure = &band["throughput"];
        let outcome = figure["outcome"].as_str().filter(|outcome| ["worse", "better"].contains(outcome))?;
        let value = |key: &str| format!("{:.0}/s", figure[key].as_f64().unwrap_or(0.0));
        Some([
            outcome.to_owned(),
            "all requests".to_owned(),
            format!("{:.1} at once", band["concurrency_a"].as_f64().unwrap_or(0.0)),
            "throughput".to_owned(),
            format!("{} → {}", value("before"), value("after")),
            format!("{} to {}", value("low"), value("high")),
        ])
    };
    bands.filter_map(row).collect()
}

/// Outcome, service, operation, measure, before and after, and interval of each operation that changed.
fn changed(answer: &Value) -> Vec<[String; 6]> {
    let operations = answer["operations"].as_array().into_iter().flatten();
    let changed = operations.filter(|o| o["outcome"] == "worse" || o["outcome"] == "better");
    let row = |operation: &Value| {
        let text = |key: &str| operation[key].as_str().unwrap_or_default().to_owned();
        let is_rate = operation["measure"] == "error_rate";
        let value = |key: &str| {
            let value = operation[key].as_f64().unwrap_or(0.0);
            if is_rate { format!("{:.2} %", value * 100.0) } else { milliseconds(value) }
        };
        let name = match operation["peer"].as_str() {
            Some(peer) => format!("{} ({peer})", text("operation")),
            None => text("operation"),
        };
        let measure = match operation["measure"].as_str() {
            Some("error_rate") => "errors".to_owned(),
            Some(other) => match other.strip_suffix("_intended_ns") {
                Some(measure) => format!("{measure} from the intended start"),
                None => other.trim_end_matches("_ns").to_owned(),
            },
            None => String::new(),
        };
        let values = format!("{} → {}", value("before"), value("after"));
        [text("outcome"), text("service"), name, measure, values, format!("{} to {}", value("low"), value("high"))]
    };
    changed.map(row).collect()
}

/// The operations that did not change, in numbers.
fn rest(answer: &Value) -> String {
    let count = |name: &str| answer[name].as_u64().unwrap_or(0);
    let listed = answer["operations"].as_array().map_or(0, |operations| {
        operations.iter().filter(|o| o["outcome"] == "worse" || o["outcome"] == "better").count() as u64
    });
    let changed = count("worse") + count("better");
    let found = count("found");
    let mut out = format!("{found} operation{}: ", if found == 1 { "" } else { "s" });
    if changed > 0 {
        out += &format!("{} worse, {} better, ", count("worse"), count("better"));
    }
    out += &format!(
        "{} the same, {} without evidence either way, {} with too few calls to tell, {} gone, {} new",
        count("same"),
        count("no_evidence"),
        count("too_few_calls"),
        count("only_in_a"),
        count("only_in_b")
    );
    if changed > listed {
        out += &format!("\n{} that changed are not listed (--with limit={})", changed - listed, changed);
    }
    out
}

fn milliseconds(ns: f64) -> String {
    let ms = ns / 1e6;
    if ms.abs() < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compared(stage: Option<&str>, answer: Value) -> Compared {
        Compared { stage: stage.map(str::to_owned), a: "one".into(), b: "two".into(), answer }
    }

    #[test]
    fn stages_of_the_same_name_are_compared_each_once() {
        let run = |names: &[&str]| json!({"marks": names.iter().map(|n| json!({"name": n})).collect::<Vec<_>>()});
        let (a, b) = (run(&["8k", "24k", "warm up"]), run(&["24k", "8k", "40k", "8k"]));
        assert_eq!(common(&a, &b), ["24k", "8k"]);
        assert!(common(&a, &run(&[])).is_empty());
        let [worse, same] = ["worse", "same"].map(|verdict| json!({"verdict": verdict}));
        let both = [compared(Some("24k"), worse.clone()), compared(Some("8k"), same)];
        let shown = as_json(&both);
        assert_eq!(shown["stages"][0], json!({"verdict": "worse", "stage": "24k"}));
        assert_eq!(shown["stages"][1]["stage"], "8k");
        assert_eq!(as_json(&[compared(None, worse.clone())]), worse, "of runs the answer alone, as ever");
    }

    /// Clocks as the server tells them.
    #[test]
    fn the_clock_of_the_latencies_is_said() {
        let plain = json!({"requests": 10, "errors": 0, "p50_ns": 1e8, "p99_ns": 2e8, "intended": null});
        let mut told = plain.clone();
        told["intended"] = json!({"p50_intended_ns": 1.5e8, "p99_intended_ns": 2.4e9});
        let operation = json!({"service": "shop", "operation": "pay", "outcome": "worse", "measure": "p99_intended_ns",
            "before": 1e8, "after": 1.3e9, "low": 1.1e9, "high": 1.4e9});
        let answer =
            json!({"a": plain, "b": told, "operations": [operation], "clock": {"en": "Latency counts from then."}});
        let text = compared(None, answer).text();
        for line in [
            "  one: 10 requests, 0 failed, p50 100 ms, p99 200 ms",
            "  two: 10 requests, 0 failed, p50 100 ms, p99 200 ms; from the intended start p50 150 ms, p99 2400 ms",
            "  Latency counts from then",
        ] {
            assert!(text.lines().any(|shown| shown == line), "no {line:?} in\n{text}");
        }
        assert!(text.contains("p99 from the intended start  100 ms → 1300 ms"), "{text}");
    }

    /// Two closed loops; of three operations that got worse one is listed.
    #[test]
    fn what_is_compared_at_equal_concurrency_and_what_is_not_listed_is_said() {
        let side = json!({"requests": 6000, "errors": 0, "p50_ns": 1e8, "p99_ns": 2e8});
        let throughput = json!({"measure": "throughput", "before": 1000.0, "after": 769.2, "change": -230.8, "low": -240.2,
            "high": -221.0, "material": 200.0, "q": 0.0, "outcome": "worse"});
        let operation = json!({"service": "shop", "operation": "pay", "peer": null, "outcome": "worse", "reason": null,
            "measure": "mean_ns", "before": 1e8, "after": 1.3e8, "low": 2.9e7, "high": 3.1e7});
        let answer = json!({
            "verdict": "worse", "worse": 3, "better": 0, "same": 4, "no_evidence": 1, "too_few_calls": 2, "only_in_a": 1,
            "only_in_b": 0, "found": 11, "a": side, "b": side, "operations": [operation],
            "matched": [
                {"matched_by": "concurrency", "qps_a": 1000.0, "qps_b": 769.2, "concurrency_a": 100.0, "concurrency_b": 100.2,
                 "seconds_a": 60.0, "seconds_b": 58.0, "throughput": throughput},
                {"matched_by": "rate", "qps_a": 9.0, "qps_b": 9.6, "seconds_a": 8.0, "seconds_b": 7.0, "throughput": null},
            ],
        });
        let compare = compared(None, answer);
        let text = compare.text();
        for line in [
            "  compared at equal concurrency (100.0 and 100.2 at once): 1000/s and 769/s for 60 s and 58 s; 9/s and 10/s for 8 s and 7 s",
            "worse  all requests  100.0 at once  throughput  1000/s → 769/s    -240/s to -221/s",
            "worse  shop          pay            mean        100 ms → 130 ms   29 ms to 31 ms",
            "11 operations: 3 worse, 0 better, 4 the same, 1 without evidence either way, 2 with too few calls to tell, 1 gone, 0 new",
            "2 that changed are not listed (--with limit=3)",
        ] {
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.lines().any(|shown| squeezed(shown) == squeezed(line)), "no {line:?} in\n{text}");
        }
        let markdown = compare.markdown();
        assert!(
            markdown.contains("| worse | all requests | 100.0 at once | throughput | 1000/s → 769/s |"),
            "{markdown}"
        );
    }
}
