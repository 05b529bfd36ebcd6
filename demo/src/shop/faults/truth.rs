//! What there is to be found in a run.

use serde::{Deserialize, Serialize};

/// The truth about a run: what a good diagnosis names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    pub fault: String,
    pub does: String,
    /// Empty when there is no fault.
    pub service: String,
    /// The name of the spans that show it.
    pub operation: String,
    pub span_kind: String,
    pub category: String,
    /// Other categories that the telemetry cannot rule out.
    pub accepted_categories: Vec<String>,
    pub peer: Option<String>,
    /// The instance id, when only one instance is affected.
    pub instance: Option<String>,
    /// The attribute, when only requests with this value are affected.
    pub attribute: Option<Attribute>,
    /// Other spans, as service and operation, that show the same thing from another side.
    pub also: Vec<(String, String)>,
    /// Whether it is behind a topic, where no customer waits for it.
    #[serde(default)]
    pub behind_topic: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub key: String,
    pub value: String,
}

impl Truth {
    /// Whether there is nothing to be found.
    pub fn is_none(&self) -> bool {
        self.fault == super::NONE
    }

    pub(super) fn none() -> Self {
        Truth { fault: super::NONE.to_owned(), does: "nothing is wrong".to_owned(), ..Truth::at("", "", "", "", &[]) }
    }

    pub(super) fn at(service: &str, operation: &str, span_kind: &str, category: &str, accepted: &[&str]) -> Self {
        Truth {
            fault: String::new(),
            does: String::new(),
            service: service.to_owned(),
            operation: operation.to_owned(),
            span_kind: span_kind.to_owned(),
            category: category.to_owned(),
            accepted_categories: accepted.iter().map(|text| (*text).to_owned()).collect(),
            peer: None,
            instance: None,
            attribute: None,
            also: Vec::new(),
            behind_topic: false,
        }
    }

    pub(super) fn peer(self, peer: &str) -> Self {
        Truth { peer: Some(peer.to_owned()), ..self }
    }

    pub(super) fn also(mut self, service: &str, operation: &str) -> Self {
        self.also.push((service.to_owned(), operation.to_owned()));
        self
    }

    pub(super) fn also_all(self, others: &[(&str, &str)]) -> Self {
        others.iter().fold(self, |truth, (service, operation)| truth.also(service, operation))
    }

    pub(super) fn confined_to(self, key: &str, value: &str) -> Self {
        Truth { attribute: Some(Attribute { key: key.to_owned(), value: value.to_owned() }), ..self }
    }

    /// Whether naming this service and operation is right.
    pub fn names(&self, service: &str, operation: &str) -> bool {
        let is = |(s, o): (&str, &str)| s == service && o == operation;
        is((&self.service, &self.operation)) || self.also.iter().any(|(s, o)| is((s, o)))
    }

    /// Whether a category is right or cannot be ruled out.
    pub fn allows_category(&self, category: &str) -> bool {
        self.category == category || self.accepted_categories.iter().any(|accepted| accepted == category)
    }
}
