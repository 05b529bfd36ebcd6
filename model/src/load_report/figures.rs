//! What a load generator says it saw. A run keeps it beside its own times; it is data of the HTTP API too.

use serde::{Deserialize, Serialize};

use crate::{Error, Nanos, Result};

/// Names of requests whose figures are kept: those with the most requests.
pub const MOST_NAMED: usize = 200;
const MOST_TEXT: usize = 200;
const MOST_NOTES: usize = 20;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// `k6`, `jmeter`, `gatling`, or another.
    pub tool: String,
    #[serde(default)]
    pub version: Option<String>,
    /// The kind of file that the figures come from, as the registry names it.
    #[serde(default)]
    pub format: Option<String>,
    #[serde(default)]
    pub total: Figures,
    #[serde(default)]
    pub named: Vec<Named>,
    /// What a reader of the figures has to know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What is not known is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    pub requests: Option<u64>,
    pub errors: Option<u64>,
    /// Requests per second.
    pub rate: Option<f64>,
    pub mean_ns: Option<Nanos>,
    pub p50_ns: Option<Nanos>,
    pub p90_ns: Option<Nanos>,
    pub p95_ns: Option<Nanos>,
    pub p99_ns: Option<Nanos>,
    pub max_ns: Option<Nanos>,
}

/// What figures belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Requests of one name.
    #[default]
    Request,
    /// Several requests after each other, which are counted on their own as well.
    Transaction,
    /// Requests chosen by their tags, which are counted on their own as well.
    Selection,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    #[serde(default)]
    pub what: What,
    #[serde(flatten)]
    pub figures: Figures,
}

impl Generator {
    /// That it may be kept: bounded, and numbers that can be.
    pub fn validate(&self) -> Result<()> {
        if self.tool.trim().is_empty() {
            return Err(Error::invalid("the generator needs its tool").hint("for example k6"));
        }
        if self.named.len() > MOST_NAMED || self.notes.len() > MOST_NOTES {
            return Err(Error::invalid(format!(
                "{} names and {} notes, at most {MOST_NAMED} and {MOST_NOTES} are kept of a generator",
                self.named.len(),
                self.notes.len(),
            )));
        }
        let texts = [Some(&self.tool), self.version.as_ref(), self.format.as_ref()].into_iter().flatten();
        for text in texts.chain(self.named.iter().map(|n| &n.name)).chain(&self.notes) {
            if text.len() > MOST_TEXT {
                return Err(Error::invalid(format!("a text of {} bytes, at most {MOST_TEXT} are kept", text.len())));
            }
        }
        self.named.iter().try_for_each(|named| named.figures.validate(&named.name))?;
        self.total.validate("the total")
    }
}

impl Figures {
    fn validate(&self, of: &str) -> Result<()> {
        let times = [self.mean_ns, self.p50_ns, self.p90_ns, self.p95_ns, self.p99_ns, self.max_ns];
        let is_rate = self.rate.is_none_or(|rate| rate.is_finite() && rate >= 0.0);
        if !is_rate || times.into_iter().flatten().any(|time| time < 0) {
            return Err(Error::invalid(format!("a figure of {of} is below 0")));
        }
        match (self.requests, self.errors) {
            (Some(requests), Some(errors)) if errors > requests => {
                Err(Error::invalid(format!("{of} has {errors} errors of {requests} requests")))
            }
            _ => Ok(()),
        }
    }
}

/// A name, cut to what is kept.
pub(super) fn short(name: &str) -> String {
    let name = name.trim();
    if name.len() <= MOST_TEXT {
        return name.to_owned();
    }
    let mut end = MOST_TEXT - '…'.len_utf8();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &name[..end])
}

/// The names with the most requests first, cut to what is kept. True when some were left out.
pub(super) fn most(mut named: Vec<Named>) -> (Vec<Named>, bool) {
    let requests = |named: &Named| named.figures.requests.unwrap_or(0);
    named.sort_by(|a, b| (requests(b), &a.name).cmp(&(requests(a), &b.name)));
    let is_cut = named.len() > MOST_NAMED;
    named.truncate(MOST_NAMED);
    (named, is_cut)
}
