//! Flow-control rules from what a capacity report measured: how much of it an operation is let have, and which
//! operations get no rule and why. Pure; `sentinel` and `envoy` write the rules in their own forms.
//!
//! ```text
//!   where p99 or errors pass what was given,
//!   at most the limit's lower end; else the knee ─▶ less the margin ─▶ over the instances, unless for all of them together
//! ```
//! Who says which latency is still good has said where to stop, and the knee, from which on more requests mostly wait, is no
//! longer asked: of few servers it is well below what they can do.
//!
//! *Invariant:* no rule without a measured limit. What was refused as a capacity is named with the reason instead.

mod envoy;
mod sentinel;
#[cfg(test)]
mod tests;

use model::{Error, Result};
use serde_json::{Value, json};

/// Left to a service below the load that it can bear.
const MARGIN: f64 = 0.2;
const MOST_MARGIN: f64 = 0.9;

/// The rules of a report for a data source of Sentinel, as JSON.
pub fn as_sentinel(report: &Value, parameters: &[(String, String)]) -> Result<String> {
    Ok(sentinel::document(rules(report, Asked::parse(parameters)?)).to_string())
}

/// The rules of a report as parts of Envoy's configuration, in YAML.
pub fn as_envoy(report: &Value, parameters: &[(String, String)]) -> Result<String> {
    Ok(envoy::yaml(rules(report, Asked::parse(parameters)?)))
}

/// What a rule's number is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Per {
    /// One instance of the service, or the one proxy in front of it.
    Instance,
    /// All instances together.
    Cluster,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    margin: f64,
    per: Per,
    /// How many instances share the load, where that is known better than from the spans.
    instances: Option<u64>,
    /// Whether the method is a part of a resource's name.
    with_method: bool,
}

impl Asked {
    /// Reads the parameters of the request.
    fn parse(parameters: &[(String, String)]) -> Result<Asked> {
        let given = |name: &str| parameters.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str());
        let wrong = |name: &str, text: &str, hint: String| Error::invalid(format!("{name} {text:?}")).hint(hint);
        let margin = match given("margin") {
            None => MARGIN,
            Some(text) => {
                let margin = text.parse().ok().filter(|margin| (0.0..=MOST_MARGIN).contains(margin));
                margin.ok_or_else(|| wrong("margin", text, format!("a share from 0 to {MOST_MARGIN}, 0.2 for 20 %")))?
            }
        };
        let per = match given("per") {
            None | Some("instance") => Per::Instance,
            Some("cluster") => Per::Cluster,
            Some(text) => return Err(wrong("per", text, "instance or cluster".to_owned())),
        };
        let instances = match given("instances") {
            None => None,
            Some(text) => {
                let number = text.parse().ok().filter(|number: &u64| *number > 0);
                Some(number.ok_or_else(|| wrong("instances", text, "a number above 0".to_owned()))?)
            }
        };
        let with_method = match given("resource") {
            None | Some("path") => false,
            Some("method") => true,
            Some(text) => return Err(wrong("resource", text, "path or method".to_owned())),
        };
        Ok(Asked { margin, per, instances, with_method })
    }
}

/// A rule before it has a form.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    service: String,
    /// None: all that the service serves.
    operation: Option<String>,
    /// Requests per second that are let in.
    rate: f64,
    /// What the number rests on, as JSON and in words.
    basis: Value,
}

/// The rules of a report, by service, and what gets none.
#[derive(Debug, Clone)]
struct Rules {
    asked: Asked,
    rules: Vec<Rule>,
    left_out: Vec<Value>,
    /// The time that was measured.
    window: (String, String),
}

/// The rules that a capacity report allows.
fn rules(report: &Value, asked: Asked) -> Rules {
    let nodes = report["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found = Rules {
        asked,
        rules: Vec::new(),
        left_out: Vec::new(),
        window: (text(&report["window"]["start"]), text(&report["window"]["end"])),
    };
    for node in nodes {
        let is_same = |other: &&Value| other["service"] == node["service"] && other["operation"] == node["operation"];
        // An entry is one of the operations where those are measured: they count all calls.
        let is_twice =
            node["node"] == "entry" && nodes.iter().filter(is_same).any(|other| other["node"] == "operation");
        if is_twice || node["node"] == "instance" {
            continue;
        }
        match rule(node, asked) {
            Ok(rule) => found.rules.push(rule),
            Err(reason) => found.left_out.push(left_out(node, reason)),
        }
    }
    found.rules.sort_by(|a, b| (&a.service, &a.operation).cmp(&(&b.service, &b.operation)));
    found
}

impl Rules {
    /// Takes rules away from which a form can make nothing.
    fn leave_out(&mut self, reason: impl Fn(&Rule) -> Option<Reason>) {
        let (mut kept, rules) = (Vec::new(), std::mem::take(&mut self.rules));
        for rule in rules {
            match reason(&rule) {
                None => kept.push(rule),
                Some(reason) => {
                    let node =
                        json!({"node": rule.basis["node"], "service": rule.service, "operation": rule.operation});
                    self.left_out.push(left_out(&node, reason));
                }
            }
        }
        self.rules = kept;
    }
}

/// Why something gets no rule, in both languages.
struct Reason {
    en: String,
    zh: String,
}

impl Reason {
    fn new(en: impl Into<String>, zh: impl Into<String>) -> Reason {
        Reason { en: en.into(), zh: zh.into() }
    }
}

fn left_out(node: &Value, reason: Reason) -> Value {
    json!({
        "node": node["node"], "service": node["service"], "operation": node["operation"], "peer": node["peer"],
        "en": reason.en, "zh": reason.zh,
    })
}

fn rule(node: &Value, asked: Asked) -> Result<Rule, Reason> {
    let Some(service) = node["service"].as_str() else {
        return Err(Reason::new("a dependency is limited where it serves, not here", "依赖应在其自身处限流"));
    };
    let (at, by) = limit(node)?;
    let all = at * (1.0 - asked.margin);
    let instances = asked.instances.or(node["instances"].as_u64().filter(|number| *number > 0));
    let rate = match (asked.per, instances) {
        (Per::Cluster, _) => all,
        (Per::Instance, Some(instances)) => all / instances as f64,
        (Per::Instance, None) => {
            return Err(Reason::new(
                "its spans carry no service.instance.id, so the number of instances is not known; give instances",
                "跨度不带 service.instance.id，实例数未知；请给出 instances",
            ));
        }
    };
    let interval = [node["limit_low_qps"].as_f64(), node["limit_high_qps"].as_f64()];
    let is_above_interval = interval[0].is_some_and(|low| all > low);
    let (en, zh) = words(node, asked, Words { at, by, all, rate, instances, interval, is_above_interval });
    let basis = json!({
        "node": node["node"],
        "qps": rate,
        "per": match asked.per { Per::Instance => "instance", Per::Cluster => "cluster" },
        "instances": instances,
        "cluster_qps": all,
        "margin": asked.margin,
        "below_qps": at,
        "below": by,
        "knee_qps": node["knee_qps"],
        "capacity_qps": node["capacity_qps"],
        "capacity_by": node["capacity_by"],
        "limit_qps": node["limit_qps"],
        "limit_low_qps": node["limit_low_qps"],
        "limit_high_qps": node["limit_high_qps"],
        "above_interval": is_above_interval,
        "en": en,
        "zh": zh,
    });
    let operation = node["operation"].as_str().map(str::to_owned);
    Ok(Rule { service: service.to_owned(), operation, rate, basis })
}

/// The rate that the margin is taken from, and what it is: where p99 or errors pass what was given, or the least that the
/// limit can be where that comes first; the knee where nothing was given or what was given is never passed.
fn limit(node: &Value) -> Result<(f64, &'static str), Reason> {
    let verdict = node["verdict"].as_str().unwrap_or_default();
    let refused = || {
        let needed = |language: &str| node["needed"][language].as_str().map(str::to_owned);
        let en = needed("en").unwrap_or_else(|| "no limit was measured".to_owned());
        Reason::new(en, needed("zh").unwrap_or_else(|| "没有测得上限".to_owned()))
    };
    if !matches!(verdict, "fitted" | "no_saturation") {
        return Err(refused());
    }
    for (name, what, zh) in [("p99_limit", "p99", "p99"), ("error_limit", "the share of errors", "错误率")] {
        if node[name]["is"] == "under" {
            let rate = node[name]["qps"].as_f64().unwrap_or(0.0);
            return Err(Reason::new(
                format!("{what} is above its limit already at the lowest load seen, {rate:.1} per second"),
                format!("在测得的最低负载每秒 {rate:.1} 时，{zh} 已超过限值"),
            ));
        }
    }
    let rate = |name: &str| node[name].as_f64().filter(|rate| rate.is_finite() && *rate > 0.0);
    let lowest = |known: [(&str, &'static str); 2]| {
        let rates = known.into_iter().filter_map(|(name, by)| Some((rate(name)?, by)));
        rates.min_by(|a, b| a.0.total_cmp(&b.0))
    };
    match lowest([("p99_limit_qps", "p99"), ("error_limit_qps", "errors")]) {
        Some(given) => {
            Ok(rate("limit_low_qps").map_or(given, |low| if low < given.0 { (low, "limit") } else { given }))
        }
        None => rate("knee_qps").map(|knee| (knee, "knee")).ok_or_else(refused),
    }
}

struct Words {
    at: f64,
    by: &'static str,
    all: f64,
    rate: f64,
    instances: Option<u64>,
    interval: [Option<f64>; 2],
    is_above_interval: bool,
}

fn words(node: &Value, asked: Asked, w: Words) -> (String, String) {
    let (percent, at, all, rate) = (asked.margin * 100.0, w.at, w.all, w.rate);
    let (by, by_zh) = match w.by {
        "p99" => ("the rate at which p99 passes its limit", "p99 越过限值的速率"),
        "errors" => ("the rate at which errors pass their limit", "错误率越过限值的速率"),
        "limit" => (
            "the lower end of the measured limit, which comes before the one that was given",
            "测得上限的区间下端（低于给定的限值）",
        ),
        _ => ("the knee", "拐点"),
    };
    let (mut en, mut zh) = match (asked.per, w.instances) {
        (Per::Instance, Some(instances)) => (
            format!(
                "{rate:.2} per second and instance: {all:.1} over {instances} instances that share the load evenly"
            ),
            format!("每实例每秒 {rate:.2}：每秒 {all:.1} 由 {instances} 个实例均分"),
        ),
        _ => (format!("{rate:.2} per second for all instances together"), format!("所有实例合计每秒 {rate:.2}")),
    };
    en += &format!(", {percent:.0} % below {by} at {at:.1} per second");
    zh += &format!("，比{by_zh}（每秒 {at:.1}）低 {percent:.0}%");
    match (node["limit_qps"].as_f64(), w.interval) {
        (Some(limit), [Some(low), Some(high)]) => {
            en += &format!("; measured limit {limit:.1} ({low:.1} to {high:.1})");
            zh += &format!("；测得上限 {limit:.1}（{low:.1} 到 {high:.1}）");
        }
        (Some(limit), [Some(low), None]) => {
            en += &format!("; measured limit {limit:.1} ({low:.1} or more)");
            zh += &format!("；测得上限 {limit:.1}（不低于 {low:.1}）");
        }
        _ => {
            en += "; no limit of throughput was measured, so there is no interval";
            zh += "；未测得吞吐上限，因此没有区间";
        }
    }
    if w.is_above_interval {
        en += "; this is above the lower end of the interval, a larger margin is safer";
        zh += "；该值高于区间下端，余量宜更大";
    }
    (en, zh)
}
