//! The hot spots for people: the verdict, what it rests on or what it would need, and a sentence for each place.

use serde_json::Value;

use super::figure::{self, Place};
use super::shown::notes;
use super::text;

pub fn hotspots(answer: &Value) -> String {
    let requests = &answer["window"]["requests"];
    let baseline = match &answer["baseline"]["requests"] {
        Value::Null => "no baseline".to_owned(),
        number => format!("baseline {number}"),
    };
    let mut out = format!("verdict: {}\nrequests: {requests} ({baseline})\n", text(&answer["verdict"]));
    for change in answer["worse"].as_array().into_iter().flatten() {
        out += &worse(change, answer);
    }
    if let Some(needed) = answer["needed"]["en"].as_str() {
        out += &format!("needed: {needed}\n");
    }
    for spot in answer["hotspots"].as_array().into_iter().flatten() {
        out += &format!("{:>3}. {}\n", text(&spot["rank"]), text(&spot["explanation"]["en"]));
    }
    out + &notes(answer)
}

/// An entry operation that got worse, from what to what.
fn worse(change: &Value, answer: &Value) -> String {
    let measure = text(&change["measure"]);
    let unit = if measure == "error_rate" { "error_rate" } else { "measure_ns" };
    let figure = |side: &str| figure::text(unit, &change[side], Place { row: change, answer });
    let entry: Vec<String> = change["entry"].as_array().into_iter().flatten().map(text).collect();
    let confidence = figure::text("share", &change["confidence"], Place { row: change, answer });
    let (before, now, entry) = (figure("baseline"), figure("window"), entry.join(" "));
    format!("worse: {} of {entry}: {before} before, {now} now, sure to {confidence}\n", measure.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_verdict_comes_with_what_it_rests_on() {
        let answer = json!({
            "verdict": "bottleneck", "window": {"requests": 1200}, "baseline": {"requests": 900}, "needed": null,
            "worse": [
                {"entry": ["gateway", "POST /order"], "measure": "p99", "baseline": 45e6, "window": 1.25e9, "confidence": 0.9999},
                {"entry": ["gateway", "GET /cart"], "measure": "error_rate", "baseline": 0.001, "window": 0.0425, "confidence": 0.98},
            ],
            "hotspots": [{"rank": 1, "explanation": {"en": "inventory waits for its pool.", "zh": "…"}}],
            "meta": {"notes": ["the metrics did not fit"]},
        });
        assert_eq!(
            hotspots(&answer),
            "verdict: bottleneck\nrequests: 1200 (baseline 900)\n\
             worse: p99 of gateway POST /order: 45 ms before, 1.25 s now, sure to 99.99 %\n\
             worse: error rate of gateway GET /cart: 0.1 % before, 4.25 % now, sure to 98 %\n  \
             1. inventory waits for its pool.\nnote: the metrics did not fit\n"
        );
    }

    #[test]
    fn too_little_data_says_how_much_would_do() {
        let answer = json!({
            "verdict": "not_enough_data", "window": {"requests": 7}, "baseline": null, "worse": [], "hotspots": [],
            "needed": {"requests": 30, "en": "at least 30 requests are needed", "zh": "…"}, "meta": {"notes": []},
        });
        assert_eq!(
            hotspots(&answer),
            "verdict: not_enough_data\nrequests: 7 (no baseline)\nneeded: at least 30 requests are needed\n"
        );
    }
}
