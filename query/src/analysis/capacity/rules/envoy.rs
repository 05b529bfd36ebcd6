//! Envoy's local rate limit as YAML: per service a filter whose token bucket holds for all routes, and routes with
//! buckets of their own. The remarks say what each number rests on.
//!
//! A bucket is one Envoy process': that is a sidecar beside an instance, or with `per=cluster` one gateway in front of
//! all instances. A route's own bucket replaces the filter's for that route. Buckets hold what a second or a little longer
//! lets in, so that a burst is no larger.

use std::fmt::Write;

use percent_encoding::{AsciiSet, utf8_percent_encode};
use serde_json::Value;

use super::{Per, Reason, Rule, Rules};

const FILTER: &str = "envoy.filters.http.local_ratelimit";
const TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
/// Seconds between fills, the first of them in which whole tokens lose little.
const INTERVALS: [u64; 5] = [1, 2, 5, 10, 60];
const LEAST_KEPT: f64 = 0.95;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

pub fn yaml(mut rules: Rules) -> String {
    rules.leave_out(|rule| {
        if tokens(rule.rate).is_none() {
            return Some(Reason::new("less than a request per minute would be let in", "每分钟不足一个请求"));
        }
        let name = rule.operation.as_deref()?;
        let no_route = || {
            Reason::new("its name is neither an HTTP route nor a gRPC method", "名称既不是 HTTP 路由也不是 gRPC 方法")
        };
        route(name).is_none().then(no_route)
    });
    let mut out = String::new();
    remark(&mut out, "", "Envoy local rate limits from the capacity that hotspan measured");
    remark(&mut out, "", &format!("from {} to {}.", rules.window.0, rules.window.1));
    remark(
        &mut out,
        "",
        &format!("Margin: {:.0} %, below the limit that was given or the knee.", rules.asked.margin * 100.0),
    );
    remark(
        &mut out,
        "",
        match rules.asked.per {
            Per::Instance => "Per instance: for the Envoy beside each instance (sidecar).",
            Per::Cluster => {
                "Per cluster: for one Envoy process in front of all instances. With several, divide by their number."
            }
        },
    );
    for left in &rules.left_out {
        let text = |name: &str| left[name].as_str().unwrap_or_default().to_owned();
        let name = [text("service"), text("operation"), text("peer")].into_iter().filter(|part| !part.is_empty());
        let name = name.collect::<Vec<_>>().join(" ");
        remark(&mut out, "", &format!("Left out: {} {name}: {}", text("node"), text("en")));
    }
    if rules.rules.is_empty() {
        out += "services: []\n";
        return out;
    }
    out += "services:\n";
    for group in rules.rules.chunk_by(|a, b| a.service == b.service) {
        service(&mut out, group);
    }
    out
}

fn service(out: &mut String, rules: &[Rule]) {
    let name = &rules[0].service;
    let _ = writeln!(out, "- service: {}", quoted(name));
    let (whole, routes): (Vec<&Rule>, Vec<&Rule>) = rules.iter().partition(|rule| rule.operation.is_none());
    out.push_str("  # Among the http_filters, before the router.\n  http_filters:\n");
    let _ = writeln!(out, "  - name: {FILTER}\n    typed_config:");
    match whole.first() {
        Some(rule) => bucket(out, "      ", rule),
        // Without a bucket the filter lets everything pass but on routes with one.
        None => {
            let _ = writeln!(out, "      \"@type\": {TYPE}\n      stat_prefix: {}", stat_prefix(name, None));
        }
    }
    if routes.is_empty() {
        return;
    }
    out.push_str("  # Before other routes of the virtual host; the cluster's name is yours.\n  routes:\n");
    for rule in routes {
        let Some((method, path)) = rule.operation.as_deref().and_then(route) else { continue };
        let _ = writeln!(out, "  - match:\n      {}", path_match(path));
        if let Some(method) = method {
            let _ =
                writeln!(out, "      headers:\n      - name: \":method\"\n        string_match: {{exact: {method}}}");
        }
        let _ = writeln!(out, "    route: {{cluster: {}}}", quoted(name));
        let _ = writeln!(out, "    typed_per_filter_config:\n      {FILTER}:");
        bucket(out, "        ", rule);
    }
}

fn bucket(out: &mut String, indent: &str, rule: &Rule) {
    remark(out, indent, rule.basis["en"].as_str().unwrap_or_default());
    let (tokens, seconds) = tokens(rule.rate).unwrap_or((1, 60));
    let prefix = stat_prefix(&rule.service, rule.operation.as_deref());
    let all = "{numerator: 100, denominator: HUNDRED}";
    let lines = [
        format!("\"@type\": {TYPE}"),
        format!("stat_prefix: {prefix}"),
        format!("token_bucket: {{max_tokens: {tokens}, tokens_per_fill: {tokens}, fill_interval: {seconds}s}}"),
        format!("filter_enabled: {{default_value: {all}}}"),
        format!("filter_enforced: {{default_value: {all}}}"),
    ];
    for line in lines {
        let _ = writeln!(out, "{indent}{line}");
    }
}

/// Whole tokens and the seconds in which they are filled in; never more than the rate. `None` when there is none.
fn tokens(rate: f64) -> Option<(u64, u64)> {
    let of = |seconds: &u64| ((rate * *seconds as f64 + 1e-6).floor() as u64, *seconds);
    let is_near = |(tokens, seconds): &(u64, u64)| *tokens as f64 >= LEAST_KEPT * rate * *seconds as f64;
    let fills: Vec<(u64, u64)> = INTERVALS.iter().map(of).filter(|(tokens, _)| *tokens > 0).collect();
    fills.iter().copied().find(is_near).or(fills.last().copied())
}

/// Method and path of an operation that is named after a route: `GET /cart/{id}`, `/cart`, `shop.Cart/Add` of gRPC.
pub fn route(name: &str) -> Option<(Option<&str>, &str)> {
    let (method, path) = match name.split_once(' ') {
        Some((method, path)) if METHODS.contains(&method) => (Some(method), path),
        Some(_) => return None,
        None => (None, name),
    };
    if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let is_grpc = || {
        path.split_once('/')
            .is_some_and(|(service, method)| service.contains('.') && !method.contains('/') && !method.is_empty())
    };
    (path.starts_with('/') || (method.is_none() && is_grpc())).then_some((method, path))
}

/// A route's parameters, `{id}` or `:id`, are one part of a path each; `*` and `**` at its end are any rest.
fn path_match(path: &str) -> String {
    let path = percent_encoded(path);
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let is_parameter = |part: &str| part.contains(['{', '*']) || part.starts_with([':', '<']);
    if !path.split('/').any(is_parameter) {
        return format!("path: {}", quoted(&path));
    }
    let parts = path.split('/').map(|part| match part {
        "*" | "**" => ".*".to_owned(),
        part if is_parameter(part) => "[^/]+".to_owned(),
        part => escaped(part),
    });
    format!("safe_regex: {{regex: {}}}", quoted(&parts.collect::<Vec<_>>().join("/")))
}

/// As a request carries it and Envoy compares it: what is not ASCII as the bytes of its UTF-8.
fn percent_encoded(path: &str) -> String {
    utf8_percent_encode(path, &AsciiSet::EMPTY).to_string()
}

/// For RE2, which knows no escape of what is not ASCII: nothing else comes here.
fn escaped(part: &str) -> String {
    let mut out = String::new();
    for c in part.chars() {
        if !c.is_alphanumeric() && c != '-' && c != '_' && c != '%' {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn stat_prefix(service: &str, operation: Option<&str>) -> String {
    let plain = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("_").to_lowercase()
    };
    let parts = [Some("hotspan".to_owned()), Some(plain(service)), operation.map(plain)];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// A scalar that no value can leave: JSON's texts are YAML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A line of remarks; a name in it cannot begin another line.
fn remark(out: &mut String, indent: &str, text: &str) {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(out, "{indent}# {text}");
}
