//! What a load generator wrote about a stress test, read into times, stages and figures.
//!
//! ```text
//!   bytes ─▶ kind (given, or seen from the first of them) ─▶ k6 | jmeter | gatling ─▶ LoadReport ─▶ a run
//! ```
//! *Invariants:* a function of the bytes alone. Logs of requests are counted while they pass, so memory does not follow
//! their size. What a file does not say stays `None`; nothing is guessed.

mod counted;
mod figures;
mod gatling;
mod jmeter;
mod k6;
mod kind;
mod records;
mod stages;
#[cfg(test)]
mod tests;

use std::io::{BufRead, Cursor, Read};

use crate::run::Mark;
use crate::time::MILLISECOND;
use crate::{Error, Nanos, Result};
pub use figures::{Figures, Generator, MOST_NAMED, Named, What};
pub use kind::{Kind, all, find};

/// How much of a file is looked at to see what it is.
const HEAD: u64 = 64 << 10;

#[derive(Debug, Clone)]
pub struct LoadReport {
    /// What the file calls the test.
    pub name: Option<String>,
    pub start: Option<Nanos>,
    pub end: Option<Nanos>,
    /// How long the test took, where the file says that but not when it was.
    pub duration: Option<Nanos>,
    /// Where stages begin, in order of time.
    pub marks: Vec<Mark>,
    pub generator: Generator,
}

/// Reads a file of the given kind, or of the kind that it looks like.
pub fn read(mut input: impl BufRead, kind: Option<&Kind>) -> Result<LoadReport> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD).read_to_end(&mut head).map_err(records::unreadable)?;
    let kind = match kind {
        Some(kind) => kind,
        None => kind::of(&head)?,
    };
    let mut whole = Cursor::new(head).chain(input);
    (kind.read)(&mut whole)
}

/// When a test was, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    pub start: Nanos,
    pub end: Nanos,
    pub note: Option<String>,
}

impl LoadReport {
    /// The time of the test: what was given wins over what the file says, and that over when it was last written.
    pub fn times(&self, start: Option<Nanos>, end: Option<Nanos>, modified: Option<Nanos>) -> Result<Times> {
        let after = start.zip(self.duration).map(|(start, duration)| start.saturating_add(duration));
        let known = end.or(self.end).or(after);
        let Some(end) = known.or(modified) else {
            return Err(Error::invalid("the file does not say when the test ended").hint("give --end"));
        };
        let Some(start) = start.or(self.start).or(self.duration.map(|duration| end.saturating_sub(duration))) else {
            return Err(Error::invalid("the file says neither when the test began nor how long it took")
                .hint("give --start, and --end where the test did not end when the file was written"));
        };
        if end <= start {
            return Err(Error::invalid("the test would end before it begins")
                .hint("compare --start and --end with the times of the file"));
        }
        let note = known.is_none().then(|| "the end is the time at which the file was last written".to_owned());
        Ok(Times { start, end, note })
    }

    /// The marks that lie in a time.
    pub fn marks_within(&self, times: &Times) -> Vec<Mark> {
        let inside = |mark: &&Mark| times.start <= mark.at && mark.at < times.end;
        self.marks.iter().filter(inside).cloned().collect()
    }
}

/// A time in milliseconds since 1970 as generators write it.
fn milliseconds(text: &str) -> Option<Nanos> {
    since_1970(text.trim().parse().ok()?)
}

/// The time so many milliseconds after 1970. Other units are told apart by their size: no test ran before 2001, and times
/// end in 2262.
fn since_1970(milliseconds: i64) -> Option<Nanos> {
    if milliseconds < 1_000_000_000_000 { None } else { milliseconds.checked_mul(MILLISECOND) }
}
