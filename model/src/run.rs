//! Stress-test runs: what they are, and the port through which they are kept. A run has a name, a beginning and an
//! end, and perhaps marks where its stages begin and what the load generator saw.
//!
//! *Invariants:* a run's id names an object in the store, so it is of our making and never changes; a run ends after it
//! starts; texts are bounded, so that a list of runs stays small.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ingest::Pending;
use crate::load_report::Generator;
use crate::{Error, Nanos, Result, Tenant};

const MOST_NAME: usize = 200;
const MOST_NOTES: usize = 64 << 10;
const MOST_LABELS: usize = 64;
const MOST_LABEL: usize = 1 << 10;
const MOST_MARKS: usize = 1_000;

/// The attribute of a span or its resource that puts a trace into a run, with the run's id or name.
pub const RUN_ATTRIBUTE: &str = "test.run.id";

/// A stage begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    #[serde(rename = "time_unix_nano")]
    pub at: Nanos,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: String,
    pub name: String,
    #[serde(rename = "start_unix_nano")]
    pub start: Nanos,
    /// None while it is going on.
    #[serde(rename = "end_unix_nano")]
    pub end: Option<Nanos>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub notes: String,
    /// In order of time.
    #[serde(default)]
    pub marks: Vec<Mark>,
    /// What the load generator saw, where it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
}

/// What is to be different about a run; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub name: Option<String>,
    pub start: Option<Nanos>,
    pub end: Option<Nanos>,
    /// Replaces all of them.
    pub labels: Option<BTreeMap<String, String>>,
    pub notes: Option<String>,
    /// Are added.
    pub marks: Vec<Mark>,
    pub generator: Option<Generator>,
}

impl Run {
    /// A run that has begun and of which nothing else is known.
    pub fn begun(id: String, start: Nanos) -> Self {
        let labels = BTreeMap::new();
        Run { id, name: String::new(), start, end: None, labels, notes: String::new(), marks: vec![], generator: None }
    }

    /// The run with a change made, or why it may not be made.
    pub fn changed(&self, change: Change) -> Result<Run> {
        let mut run = self.clone();
        if let Some(name) = change.name {
            run.name = name.trim().to_owned();
        }
        run.start = change.start.unwrap_or(run.start);
        run.end = change.end.or(run.end);
        run.labels = change.labels.unwrap_or(run.labels);
        run.notes = change.notes.unwrap_or(run.notes);
        run.generator = change.generator.or(run.generator);
        for mark in change.marks {
            let at = run.marks.partition_point(|m| m.at <= mark.at);
            run.marks.insert(at, mark);
        }
        run.validate()?;
        Ok(run)
    }

    fn validate(&self) -> Result<()> {
        let long = |what: &str, bytes: usize, most: usize| match bytes > most {
            true => Err(Error::invalid(format!("{what} has {bytes} bytes, at most {most} are kept"))),
            false => Ok(()),
        };
        if self.name.is_empty() {
            return Err(Error::invalid("a run needs a name").hint("for example round-3"));
        }
        long("the name", self.name.len(), MOST_NAME)?;
        long("the notes", self.notes.len(), MOST_NOTES)?;
        if self.labels.len() > MOST_LABELS {
            return Err(Error::invalid(format!("{} labels, at most {MOST_LABELS} are kept", self.labels.len())));
        }
        for (key, value) in &self.labels {
            long("a label", key.len().max(value.len()), MOST_LABEL)?;
        }
        if self.marks.len() > MOST_MARKS {
            return Err(Error::invalid(format!("more than {MOST_MARKS} marks")));
        }
        for mark in &self.marks {
            long("a mark's name", mark.name.len(), MOST_NAME)?;
            if mark.name.is_empty() || mark.at < self.start {
                return Err(Error::invalid("a mark needs a name and a time after the run's start"));
            }
        }
        if self.end.is_some_and(|end| end <= self.start) {
            return Err(Error::invalid("the run ends before it starts").hint("end_time has to be after start_time"));
        }
        self.generator.as_ref().map_or(Ok(()), Generator::validate)
    }

    /// From the mark with this name to the next one, or to the run's end.
    pub fn stage(&self, name: &str) -> Option<(Nanos, Option<Nanos>)> {
        let at = self.marks.iter().position(|m| m.name == name)?;
        let end = self.marks.get(at + 1).map(|m| m.at).or(self.end);
        Some((self.marks[at].at, end))
    }
}

/// The run with this id, else the one with this name that began last.
pub fn find<'a>(runs: &'a [Run], name: &str) -> Option<&'a Run> {
    let named = || runs.iter().filter(|r| r.name == name).max_by_key(|r| r.start);
    runs.iter().find(|r| r.id == name).or_else(named)
}

/// Where the runs of all tenants are kept. What returns `Ok` survives a power cut.
pub trait Runs: Send + Sync + 'static {
    /// The time by which runs begin and end.
    fn now(&self) -> Nanos;
    /// Of one tenant, in order of their start.
    fn list(&self, tenant: &Tenant) -> std::sync::Arc<[Run]>;
    /// A run that starts now, unless the change says when.
    fn begin<'a>(&'a self, tenant: &'a Tenant, change: Change) -> Pending<'a, Run>;
    /// Changes the run that [`find`] finds. `NotFound` when there is none.
    fn change<'a>(&'a self, tenant: &'a Tenant, name: &'a str, change: Change) -> Pending<'a, Run>;
    /// Forgets the run of this id, which is told once more; spans stay. `NotFound` when there is none.
    fn delete<'a>(&'a self, tenant: &'a Tenant, id: &'a str) -> Pending<'a, Run>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Change {
        Change { name: Some(name.to_owned()), ..Change::default() }
    }

    fn mark(name: &str, at: Nanos) -> Change {
        Change { marks: vec![Mark { at, name: name.to_owned() }], ..Change::default() }
    }

    #[test]
    fn a_run_is_changed_by_what_is_said_and_only_into_a_valid_one() {
        let run = Run::begun("a1".into(), 100).changed(named(" round-1 ")).expect("valid");
        assert_eq!((run.name.as_str(), run.end), ("round-1", None));
        let ended = run.changed(Change { end: Some(200), ..Change::default() }).expect("valid");
        assert_eq!((ended.start, ended.end, ended.name.as_str()), (100, Some(200), "round-1"));
        let wrong = [
            Change { end: Some(100), ..Change::default() },
            named(""),
            named(&"x".repeat(201)),
            mark("early", 99),
            Change { notes: Some("x".repeat(70_000)), ..Change::default() },
        ];
        for change in wrong {
            assert!(run.changed(change.clone()).is_err(), "{change:?}");
        }
    }

    #[test]
    fn a_run_that_was_kept_before_there_were_generators_is_read() {
        let kept =
            r#"{"id":"a1","name":"r","start_unix_nano":100,"end_unix_nano":200,"labels":{},"notes":"","marks":[]}"#;
        let run: Run = serde_json::from_str(kept).expect("a run");
        assert_eq!((run.generator.as_ref(), run.end), (None, Some(200)));
        assert_eq!(serde_json::to_string(&run).expect("JSON"), kept, "and is written as it was");
        let told =
            r#"{"tool":"k6","total":{"requests":600,"rate":5.0},"named":[{"name":"GET /","p99_ns":1}],"later":1}"#;
        let generator: Generator = serde_json::from_str(told).expect("a generator");
        let run = run.changed(Change { generator: Some(generator), ..Change::default() }).expect("valid");
        let again: Run = serde_json::from_str(&serde_json::to_string(&run).expect("JSON")).expect("a run");
        assert_eq!(again, run);
        let generator = again.generator.expect("a generator");
        assert_eq!((generator.total.requests, generator.named[0].figures.p99_ns), (Some(600), Some(1)));
    }

    #[test]
    fn a_stage_goes_from_its_mark_to_the_next() {
        let run = Run::begun("a1".into(), 100).changed(named("r")).expect("valid");
        let run = run.changed(mark("40k", 160)).and_then(|r| r.changed(mark("8k", 110))).expect("valid");
        assert_eq!((run.stage("8k"), run.stage("40k")), (Some((110, Some(160))), Some((160, None))));
        assert_eq!(run.stage("60k"), None);
    }

    #[test]
    fn an_id_wins_over_a_name_and_a_later_run_over_an_earlier_one() {
        let run = |id: &str, name: &str, start| Run::begun(id.into(), start).changed(named(name)).expect("valid");
        let runs = [run("a", "r", 1), run("b", "r", 2), run("c", "a", 3)];
        let found = |name: &str| find(&runs, name).map(|r| r.id.as_str());
        assert_eq!((found("r"), found("a"), found("x")), (Some("b"), Some("a"), None));
    }
}
