//! Flow rules of Sentinel as its data sources read them: a list of `FlowRule` per service. Such a list has no place for
//! remarks, so what each number rests on stands beside it.
//!
//! A resource is named as Sentinel's adapters name it: the path of an HTTP route, or `METHOD:path` where
//! `spring.cloud.sentinel.http-method-specify` is set (`resource=method`); another operation by its own name.

use serde_json::{Value, json};

use super::envoy::route;
use super::{Per, Reason, Rule, Rules};

/// Queries per second, not threads.
const GRADE_QPS: u8 = 1;
/// The resource itself, not one that is related to it.
const STRATEGY_DIRECT: u8 = 0;
/// Requests beyond the rate are refused at once.
const BEHAVIOR_REJECT: u8 = 0;
/// The number is for all instances together.
const THRESHOLD_GLOBAL: u8 = 1;

pub fn document(mut rules: Rules) -> Value {
    rules.leave_out(|rule| {
        let whole = || {
            Reason::new(
                "Sentinel has flow rules for resources, not for a whole service",
                "Sentinel 的流控规则针对资源，而不是整个服务",
            )
        };
        rule.operation.is_none().then(whole)
    });
    let with_method = rules.asked.with_method;
    let all = rules.rules.clone();
    rules.leave_out(|rule| {
        let is_other = |other: &&Rule| other.service == rule.service && other.operation != rule.operation;
        let name = resource(rule, with_method);
        let shared = all.iter().filter(is_other).find(|other| resource(other, with_method) == name)?;
        let other = shared.operation.as_deref().unwrap_or_default();
        Some(Reason::new(
            format!("it shares the resource {name} with {other:?}; ask for resource=method (http-method-specify)"),
            format!("与 {other:?} 共用资源 {name}；请用 resource=method（http-method-specify）"),
        ))
    });
    // After that: what is left out here still shares its resource with others.
    rules.leave_out(|rule| {
        let too_few = || {
            Reason::new(
                "Sentinel lets whole requests per second in, and none at less than one",
                "Sentinel 每秒只放行整数个请求，不足一个时全部拒绝",
            )
        };
        (count(rule) < 1.0).then(too_few)
    });
    let mut services: Vec<Value> = Vec::new();
    for group in rules.rules.chunk_by(|a, b| a.service == b.service) {
        let written: Vec<Value> = group.iter().map(|rule| flow_rule(rule, &rules)).collect();
        let basis = group.iter().map(|rule| {
            let mut basis = rule.basis.clone();
            basis["resource"] = json!(resource(rule, with_method));
            basis["operation"] = json!(rule.operation);
            basis
        });
        services.push(json!({
            "service": group[0].service,
            "rules": written,
            "basis": basis.collect::<Vec<_>>(),
        }));
    }
    json!({
        "format": "sentinel",
        "window": {"start": rules.window.0, "end": rules.window.1},
        "margin": rules.asked.margin,
        "per": match rules.asked.per { Per::Instance => "instance", Per::Cluster => "cluster" },
        "services": services,
        "left_out": rules.left_out,
    })
}

fn flow_rule(rule: &Rule, rules: &Rules) -> Value {
    let mut written = json!({
        "resource": resource(rule, rules.asked.with_method),
        "limitApp": "default",
        "grade": GRADE_QPS,
        "count": count(rule),
        "strategy": STRATEGY_DIRECT,
        "controlBehavior": BEHAVIOR_REJECT,
        "clusterMode": rules.asked.per == Per::Cluster,
    });
    if rules.asked.per == Per::Cluster {
        written["clusterConfig"] = json!({
            "flowId": flow_id(rule),
            "thresholdType": THRESHOLD_GLOBAL,
            "fallbackToLocalWhenFail": true,
        });
    }
    written
}

/// Requests per second in hundredths, never above what was measured.
fn count(rule: &Rule) -> f64 {
    (rule.rate * 100.0 + 1e-6).floor() / 100.0
}

fn resource(rule: &Rule, with_method: bool) -> String {
    let name = rule.operation.as_deref().unwrap_or_default();
    match route(name) {
        Some((Some(method), path)) if with_method => format!("{method}:{path}"),
        Some((Some(_), path)) => path.to_owned(),
        _ => name.to_owned(),
    }
}

/// A number that stays the same for an operation; JavaScript reads it exactly. FNV-1a.
fn flow_id(rule: &Rule) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let operation = rule.operation.as_deref().unwrap_or_default();
    for byte in rule.service.bytes().chain([0]).chain(operation.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash >> 11).max(1)
}
