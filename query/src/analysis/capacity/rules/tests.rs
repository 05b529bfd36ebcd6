//! Rules of reports made by hand, with the numbers computed by hand.

use serde_json::{Value, json};

use super::*;

/// A node of which nothing is known.
fn node(kind: &str, service: &str, operation: Option<&str>, verdict: &str) -> Value {
    json!({"node": kind, "service": service, "operation": operation, "peer": null, "instance": null, "verdict": verdict})
}

fn with(mut node: Value, more: Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        node[name] = value.clone();
    }
    node
}

/// A limit of 400 per second (380 to 430), a knee at 360, three instances.
fn fitted(kind: &str, operation: Option<&str>) -> Value {
    with(
        node(kind, "shop", operation, "fitted"),
        json!({"knee_qps": 360.0, "limit_qps": 400.0, "limit_low_qps": 380.0, "limit_high_qps": 430.0,
            "capacity_qps": 400.0, "capacity_by": "throughput", "instances": 3}),
    )
}

fn report(nodes: &[Value]) -> Value {
    json!({"window": {"start": "2026-11-11T12:00:00Z", "end": "2026-11-11T12:30:00Z"}, "nodes": nodes})
}

fn asked(parameters: &[(&str, &str)]) -> Asked {
    parse(parameters).expect("parameters")
}

fn parse(parameters: &[(&str, &str)]) -> Result<Asked> {
    Asked::parse(&parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>())
}

fn reasons(left_out: &Value) -> Vec<&str> {
    left_out.as_array().expect("a list").iter().filter_map(|left| left["en"].as_str()).collect()
}

#[test]
fn the_margin_is_below_the_knee_and_shared_by_the_instances() {
    let report = report(&[fitted("operation", Some("POST /order"))]);
    let document = sentinel::document(rules(&report, asked(&[])));
    // 360 less 20 % is 288, over three instances 96.
    let rule = json!({"resource": "/order", "limitApp": "default", "grade": 1, "count": 96.0, "strategy": 0,
        "controlBehavior": 0, "clusterMode": false});
    assert_eq!(
        document["services"],
        json!([{"service": "shop", "rules": [rule], "basis": document["services"][0]["basis"]}])
    );
    let basis = &document["services"][0]["basis"][0];
    let said = "96.00 per second and instance: 288.0 over 3 instances that share the load evenly, 20 % below the knee at \
                360.0 per second; measured limit 400.0 (380.0 to 430.0)";
    assert_eq!((&basis["en"], &basis["resource"]), (&json!(said), &json!("/order")));
    assert_eq!(
        (&basis["cluster_qps"], &basis["margin"], &basis["below"]),
        (&json!(288.0), &json!(0.2), &json!("knee"))
    );

    let cluster = asked(&[("margin", "0.5"), ("per", "cluster"), ("resource", "method")]);
    let document = sentinel::document(rules(&report, cluster));
    let rule = &document["services"][0]["rules"][0];
    assert_eq!((&rule["resource"], &rule["count"]), (&json!("POST:/order"), &json!(180.0)));
    assert_eq!((&rule["clusterMode"], &rule["clusterConfig"]["thresholdType"]), (&json!(true), &json!(1)));
    assert!(rule["clusterConfig"]["flowId"].as_u64().is_some_and(|id| id > 0 && id < 1 << 53), "{rule}");
    let more = sentinel::document(rules(&report, asked(&[("instances", "4")])));
    assert_eq!(more["services"][0]["rules"][0]["count"], 72.0, "given instances win");
}

#[test]
fn a_given_limit_counts_and_not_the_knee() {
    let p99 = json!({"p99_limit": {"is": "at", "qps": 300.0}, "p99_limit_qps": 300.0, "capacity_qps": 300.0,
        "capacity_by": "p99"});
    let errors = json!({"error_limit": {"is": "at", "qps": 250.0}, "error_limit_qps": 250.0});
    // Above the knee at 360 too, but not above 380, from which on the limit may be.
    let later = json!({"p99_limit": {"is": "at", "qps": 375.0}, "p99_limit_qps": 375.0});
    let last = json!({"p99_limit": {"is": "at", "qps": 390.0}, "p99_limit_qps": 390.0});
    let never = json!({"p99_limit": {"is": "beyond", "qps": 395.0}, "p99_limit_qps": null});
    let cases = [
        (p99.clone(), 80.0, "p99"),
        (errors.clone(), 66.66, "errors"),
        (with(last.clone(), errors), 66.66, "errors"),
        (later, 100.0, "p99"),
        (last, 101.33, "limit"),
        (never, 96.0, "knee"),
    ];
    for (limit, count, by) in cases {
        let report = report(&[with(fitted("operation", Some("POST /order")), limit)]);
        let document = sentinel::document(rules(&report, asked(&[])));
        assert_eq!(document["services"][0]["rules"][0]["count"], count);
        assert_eq!(document["services"][0]["basis"][0]["below"], by);
    }
    // Without a limit of throughput the given one is enough.
    let unsaturated = with(node("operation", "shop", Some("GET /cart"), "no_saturation"), p99);
    let document = sentinel::document(rules(&report(&[unsaturated]), asked(&[("instances", "1")])));
    assert_eq!(document["services"][0]["rules"][0]["count"], 240.0);
    let said = document["services"][0]["basis"][0]["en"].as_str().expect("words");
    assert!(said.contains("p99 passes its limit at 300.0") && said.contains("no interval"), "{said}");
}

#[test]
fn what_was_not_measured_gets_no_rule_and_a_reason() {
    let needed = |text: &str| json!({"needed": {"qps": 100.0, "en": text, "zh": "…"}, "instances": 2});
    let flat = with(node("operation", "shop", Some("GET /a"), "not_enough_load_range"), needed("the load was flat"));
    // A crossing within a load that was refused is no measurement either.
    let flat = with(flat, json!({"p99_limit": {"is": "at", "qps": 10.0}, "p99_limit_qps": 10.0}));
    let few = with(node("operation", "shop", Some("GET /b"), "not_enough_data"), needed("too few requests"));
    let endless = with(node("operation", "shop", Some("GET /c"), "no_saturation"), needed("no limit shows"));
    let under = with(fitted("operation", Some("GET /d")), json!({"p99_limit": {"is": "under", "qps": 40.0}}));
    let nameless = with(fitted("operation", Some("GET /e")), json!({"instances": null}));
    let peer =
        with(node("dependency", "", None, "fitted"), json!({"service": null, "peer": "orders-db", "knee_qps": 9.0}));
    let whole = fitted("service", None);
    let instance = with(fitted("instance", None), json!({"instance": "shop-1"}));
    let report = report(&[flat, few, endless, under, nameless, peer, whole, instance]);
    let document = sentinel::document(rules(&report, asked(&[])));
    assert_eq!(document["services"], json!([]));
    let reasons = reasons(&document["left_out"]);
    let expected = [
        "was flat",
        "too few",
        "no limit shows",
        "lowest load seen, 40.0",
        "service.instance.id",
        "dependency",
        "whole",
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for (reason, words) in reasons.iter().zip(expected) {
        assert!(reason.contains(words), "{words:?} is not in {reason:?}");
    }
}

#[test]
fn resources_that_would_be_one_are_left_out_and_entries_are_not_counted_twice() {
    let nodes = [
        fitted("operation", Some("GET /order")),
        fitted("operation", Some("POST /order")),
        fitted("operation", Some("shop.Cart/Add")),
        fitted("entry", Some("POST /order")),
    ];
    let document = sentinel::document(rules(&report(&nodes), asked(&[])));
    let resources = |document: &Value| -> Vec<String> {
        let rules = document["services"][0]["rules"].as_array().expect("rules").clone();
        rules.iter().map(|rule| rule["resource"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(resources(&document), ["shop.Cart/Add"]);
    assert_eq!(reasons(&document["left_out"]).len(), 2, "{}", document["left_out"]);
    let apart = sentinel::document(rules(&report(&nodes), asked(&[("resource", "method")])));
    assert_eq!(resources(&apart), ["GET:/order", "POST:/order", "shop.Cart/Add"]);
}

#[test]
fn a_count_below_one_lets_nothing_in_and_is_no_rule_of_sentinel() {
    let report = report(&[fitted("operation", Some("GET /a"))]);
    // 288 over the instances.
    let one = sentinel::document(rules(&report, asked(&[("instances", "288")])));
    assert_eq!(one["services"][0]["rules"][0]["count"], 1.0);
    let less = sentinel::document(rules(&report, asked(&[("instances", "289")])));
    assert_eq!(less["services"], json!([]));
    let reasons = reasons(&less["left_out"]);
    assert!(matches!(reasons[..], [reason] if reason.contains("none at less than one")), "{reasons:?}");
}

#[test]
fn envoy_gets_a_filter_for_the_service_and_buckets_for_its_routes() {
    let nodes = [
        fitted("service", None),
        fitted("operation", Some("POST /order/{id}")),
        fitted("operation", Some("shop.Cart/Add")),
        fitted("operation", Some("nightly")),
    ];
    let yaml = envoy::yaml(rules(&report(&nodes), asked(&[])));
    let expected = r#"# Envoy local rate limits from the capacity that hotspan measured
# from 2026-11-11T12:00:00Z to 2026-11-11T12:30:00Z.
# Margin: 20 %, below the limit that was given or the knee.
# Per instance: for the Envoy beside each instance (sidecar).
# Left out: operation shop nightly: its name is neither an HTTP route nor a gRPC method
services:
- service: "shop"
  # Among the http_filters, before the router.
  http_filters:
  - name: envoy.filters.http.local_ratelimit
    typed_config:
      # REMARK
      "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
      stat_prefix: hotspan_shop
      token_bucket: {max_tokens: 96, tokens_per_fill: 96, fill_interval: 1s}
      filter_enabled: {default_value: {numerator: 100, denominator: HUNDRED}}
      filter_enforced: {default_value: {numerator: 100, denominator: HUNDRED}}
  # Before other routes of the virtual host; the cluster's name is yours.
  routes:
  - match:
      safe_regex: {regex: "/order/[^/]+"}
      headers:
      - name: ":method"
        string_match: {exact: POST}
    route: {cluster: "shop"}
    typed_per_filter_config:
      envoy.filters.http.local_ratelimit:
        # REMARK
        "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
        stat_prefix: hotspan_shop_post_order_id
        token_bucket: {max_tokens: 96, tokens_per_fill: 96, fill_interval: 1s}
        filter_enabled: {default_value: {numerator: 100, denominator: HUNDRED}}
        filter_enforced: {default_value: {numerator: 100, denominator: HUNDRED}}
  - match:
      path: "/shop.Cart/Add"
    route: {cluster: "shop"}
    typed_per_filter_config:
      envoy.filters.http.local_ratelimit:
        # REMARK
        "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
        stat_prefix: hotspan_shop_shop_cart_add
        token_bucket: {max_tokens: 96, tokens_per_fill: 96, fill_interval: 1s}
        filter_enabled: {default_value: {numerator: 100, denominator: HUNDRED}}
        filter_enforced: {default_value: {numerator: 100, denominator: HUNDRED}}
"#;
    let remark = "96.00 per second and instance: 288.0 over 3 instances that share the load evenly, 20 % below the knee \
                  at 360.0 per second; measured limit 400.0 (380.0 to 430.0)";
    assert_eq!(yaml, expected.replace("REMARK", remark));
}

#[test]
fn buckets_of_slow_operations_are_filled_less_often_and_never_hold_more() {
    let of = |knee: f64| {
        let slow = with(fitted("operation", Some("GET /a")), json!({"knee_qps": knee, "limit_low_qps": 99.0}));
        let asked = asked(&[("margin", "0"), ("instances", "1")]);
        let yaml = envoy::yaml(rules(&report(&[slow]), asked));
        let line = yaml.lines().find(|line| line.contains("tokens_per_fill")).unwrap_or_default().trim().to_owned();
        (line, yaml)
    };
    let bucket = |tokens: u64, seconds: u64| {
        format!("token_bucket: {{max_tokens: {tokens}, tokens_per_fill: {tokens}, fill_interval: {seconds}s}}")
    };
    assert_eq!(of(100.7).0, bucket(100, 1));
    // 1.5 a second: one a second would be a third too few.
    assert_eq!(of(1.5).0, bucket(3, 2));
    assert_eq!(of(0.05).0, bucket(3, 60));
    let (line, yaml) = of(0.01);
    assert!(line.is_empty() && yaml.ends_with("services: []\n") && yaml.contains("less than a request"), "{yaml}");
}

#[test]
fn envoy_compares_paths_as_requests_carry_them() {
    let nodes = [fitted("operation", Some("GET /v1.0/报告（新）/{id}")), fitted("operation", Some("POST /données"))];
    let yaml = envoy::yaml(rules(&report(&nodes), asked(&[])));
    let regex = r#"safe_regex: {regex: "/v1\\.0/%E6%8A%A5%E5%91%8A%EF%BC%88%E6%96%B0%EF%BC%89/[^/]+"}"#;
    assert!(yaml.contains(regex), "{yaml}");
    assert!(yaml.contains(r#"path: "/donn%C3%A9es""#), "{yaml}");
}

#[test]
fn a_name_cannot_leave_its_place_in_the_file() {
    let mut evil = fitted("operation", Some("GET /a\"b.c"));
    evil["service"] = json!("shop\n- service: \"x");
    let yaml = envoy::yaml(rules(&report(&[evil]), asked(&[])));
    assert!(yaml.contains(r#"- service: "shop\n- service: \"x""#), "{yaml}");
    assert!(yaml.contains(r#"path: "/a\"b.c""#), "{yaml}");
    let broken = with(node("operation", "shop\nservices:", Some("GET /b"), "not_enough_data"), json!({}));
    let yaml = envoy::yaml(rules(&report(&[broken]), asked(&[])));
    assert!(yaml.lines().filter(|line| !line.starts_with('#')).eq(["services: []"]), "{yaml}");
}

#[test]
fn a_rule_above_the_interval_says_so_and_wrong_parameters_are_refused() {
    let wide = with(fitted("operation", Some("GET /a")), json!({"limit_low_qps": 200.0, "limit_high_qps": null}));
    let document = sentinel::document(rules(&report(&[wide]), asked(&[])));
    let basis = &document["services"][0]["basis"][0];
    assert_eq!(basis["above_interval"], true);
    let said = basis["en"].as_str().expect("words");
    assert!(said.contains("(200.0 or more)") && said.contains("a larger margin is safer"), "{said}");
    for wrong in [("margin", "20"), ("margin", "-0.1"), ("per", "pod"), ("instances", "0"), ("resource", "name")] {
        assert!(parse(&[wrong]).is_err(), "{wrong:?}");
    }
}
