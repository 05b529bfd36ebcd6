//! One finding as it is answered: the instance's figures beside those of its siblings.

use model::TraceId;
use model::trace::SpanKind;
use serde_json::{Value, json};

use super::super::histogram::Histogram;
use super::super::ranking::Operation;
use super::super::significance::median;
use super::siblings::{Cell, Comparison, Kind};
use super::{Tally, sentences};

/// The load of what serves is dealt out by somebody; that of a call is the caller's own.
pub fn serves(kind: SpanKind) -> bool {
    matches!(kind, SpanKind::Server | SpanKind::Consumer)
}

/// The instances of one operation.
pub struct Group {
    pub operation: Operation,
    instances: Vec<Instance>,
}

/// One of them, over the whole window.
struct Instance {
    name: String,
    sum: Cell,
    own: Histogram,
    slowest: u128,
}

impl Group {
    pub fn of(operation: Operation, instances: &[(&str, &Tally)]) -> Group {
        let sum = |tally: &Tally| {
            let mut sum = Cell::default();
            tally.cells.iter().for_each(|cell| sum.add(cell));
            sum
        };
        let instance = |(name, tally): &(&str, &Tally)| Instance {
            name: (*name).to_owned(),
            sum: sum(tally),
            own: tally.own.clone(),
            slowest: tally.slowest.1,
        };
        Group { operation, instances: instances.iter().map(instance).collect() }
    }

    /// The median over the other instances.
    fn siblings(&self, but: usize, of: impl Fn(&Instance) -> Option<f64>) -> Option<f64> {
        let others = self.instances.iter().enumerate().filter(|(at, _)| *at != but);
        let mut values: Vec<f64> = others.filter_map(|(_, instance)| of(instance)).collect();
        median(&mut values)
    }
}

/// A finding and what its row needs.
pub struct Row<'a> {
    pub group: &'a Group,
    pub comparison: &'a Comparison,
    pub q: f64,
    /// Of the window.
    pub minutes: f64,
}

impl Row<'_> {
    pub fn json(&self) -> Value {
        let Row { group, comparison, q, minutes } = self;
        let (operation, at) = (&group.operation, comparison.instance);
        let instance = &group.instances[at];
        let calls: u64 = group.instances.iter().map(|instance| instance.sum.calls).sum();
        let share = |instance: &Instance| instance.sum.calls as f64 / calls.max(1) as f64;
        let per_call = |of: i64, instance: &Instance| of as f64 / instance.sum.calls.max(1) as f64;
        let mean = |instance: &Instance| per_call(instance.sum.own, instance);
        let errors = |instance: &Instance| per_call(instance.sum.errors as i64, instance);
        let whole = |value: Option<f64>| value.map(|value| value.round() as i64);
        let quantile = |q: f64| instance.own.quantile(q);
        let of_siblings = |q: f64| group.siblings(at, |instance| instance.own.quantile(q));
        let is = |kind: Kind| comparison.kind == kind;
        // A figure that is compared is that of the time the two have in common.
        let (own_mean, siblings_mean) = match is(Kind::Slow) {
            true => (Some(comparison.value), Some(comparison.siblings)),
            false => (Some(mean(instance)), group.siblings(at, |instance| Some(mean(instance)))),
        };
        let siblings_errors = match is(Kind::Errors) {
            true => Some(comparison.siblings),
            false => group.siblings(at, |instance| Some(errors(instance))),
        };
        json!({
            "kind": comparison.kind.name(),
            "service": operation.service,
            "operation": operation.operation,
            "span_kind": operation.kind.name(),
            "peer": operation.peer.as_ref().map(|peer| peer.name.as_str()),
            "instance": instance.name,
            "instances": group.instances.len(),
            "calls": instance.sum.calls,
            "share_of_calls": share(instance),
            "siblings_share_of_calls": group.siblings(at, |instance| Some(share(instance))),
            "mean_ns": whole(own_mean),
            "p50_ns": whole(quantile(0.5)),
            "p99_ns": whole(quantile(0.99)),
            "siblings_mean_ns": whole(siblings_mean),
            "siblings_p50_ns": whole(of_siblings(0.5)),
            "siblings_p99_ns": whole(of_siblings(0.99)),
            "error_rate": errors(instance),
            "siblings_error_rate": siblings_errors,
            "ratio": (comparison.siblings > 0.0).then(|| comparison.value / comparison.siblings),
            "q": q,
            "lost_ns_per_minute": is(Kind::Slow).then(|| (comparison.extra / minutes).round() as i64),
            "exemplar": TraceId(instance.slowest.to_be_bytes()).to_string(),
            "explanation": sentences::found(operation, &instance.name, comparison, *minutes),
        })
    }
}
