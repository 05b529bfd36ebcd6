//! Log lines counted by service, severity and pattern, by the second. A file's lines are counted once and kept
//! ([`Lines`] is a [`FromFile`]), since a body costs far more to read than its pattern to keep.
//!
//! Of each pattern a few lines are remembered by trace and span: those of the traces that any even part of all traces
//! holds the longest ([`super::super::sample`]), so that the spans they were written in are among those that
//! [`super::super::observe`] keeps.

use std::collections::{BTreeMap, HashMap};

use arrow::array::RecordBatch;
use model::schema::column;
use model::{Error, Nanos, Result, Signal};
use serde::Serialize;

use super::super::batch::{id, ids, int, ints, trace_id};
use super::super::names::{Names, TextColumn};
use super::super::partial::{FromFile, Pieces, split, whole_second};
use super::super::per_file::{PerFile, Size};
use super::super::sample::hash;
use super::super::scope::{Window, time_range};
use super::pattern::pattern;
use crate::fold::{Fold, Folded};
use crate::query::Query;

/// Patterns of one service that are told apart. What never repeats must not crowd out what does.
const MOST_PATTERNS: u32 = 2_000;
/// Lines of a pattern that are remembered.
const REMEMBERED: usize = 16;
/// Bytes of a line that are kept as an example.
const EXAMPLE: usize = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Debugging, information, or unknown.
    Info,
    Warn,
    Error,
}

impl Severity {
    /// By the number (OpenTelemetry, "Log and Event Record Definition"), else by the text, else by a word of the line:
    /// logs of files often come without either.
    fn of(number: i64, text: &str, pattern: &str) -> Self {
        match number {
            17.. => Severity::Error,
            13..=16 => Severity::Warn,
            1..=12 => Severity::Info,
            _ if !text.is_empty() => named(&text.to_ascii_uppercase()).unwrap_or(Severity::Info),
            _ => pattern.split(|c: char| !c.is_ascii_alphabetic()).find_map(named).unwrap_or(Severity::Info),
        }
    }
}

/// The severity that a word in capitals names.
fn named(word: &str) -> Option<Severity> {
    match word {
        "ERROR" | "FATAL" | "SEVERE" | "CRITICAL" => Some(Severity::Error),
        "WARN" | "WARNING" => Some(Severity::Warn),
        "INFO" | "DEBUG" | "TRACE" | "NOTICE" => Some(Severity::Info),
        _ => None,
    }
}

/// What is counted together, by the numbers of its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub service: u32,
    pub pattern: u32,
    pub severity: Severity,
}

/// The lines of one key.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// By side and second, Unix ns. Lines of a second that an edge cuts stand on the side they belong to.
    pub seconds: BTreeMap<(usize, Nanos), u64>,
    /// Sorted.
    pub remembered: Vec<Remembered>,
    /// The latest line and when it was written; empty where that of a file lies outside.
    pub example: (Nanos, String),
}

/// A line by where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remembered {
    /// Of the trace.
    hash: u64,
    pub trace: u128,
    pub span: u64,
}

impl Told {
    pub fn count(&self, side: usize) -> u64 {
        self.seconds.range((side, Nanos::MIN)..=(side, Nanos::MAX)).map(|(_, count)| count).sum()
    }

    /// The last second in which there was a line, Unix ns.
    pub fn last(&self) -> Nanos {
        self.seconds.keys().map(|(_, at)| *at).max().unwrap_or_default()
    }

    fn remember(&mut self, line: Remembered) {
        if self.remembered.len() == REMEMBERED && self.remembered.last().is_some_and(|last| *last <= line) {
            return;
        }
        if let Err(place) = self.remembered.binary_search(&line) {
            self.remembered.insert(place, line);
            self.remembered.truncate(REMEMBERED);
        }
    }

    fn exemplify(&mut self, at: Nanos, text: &str) {
        if self.example.1.is_empty() || at > self.example.0 {
            self.example = (at, text[..text.floor_char_boundary(EXAMPLE)].to_owned());
        }
    }
}

/// Lines of some windows.
#[derive(Default)]
pub struct Lines {
    pub names: Names,
    pub told: HashMap<Key, Told>,
    /// Lines of further patterns.
    pub left_out: u64,
    windows: Vec<Window>,
    /// Patterns by service.
    patterns: HashMap<u32, u32>,
    seconds: usize,
}

impl Lines {
    fn of(windows: &[Window]) -> Self {
        Lines { windows: windows.to_vec(), ..Lines::default() }
    }

    /// Where so many lines are counted; `None` when the service has too many patterns already. Only then is a pattern
    /// given a number: texts that never come again would take memory without end.
    fn told(&mut self, service: u32, pattern: &str, severity: Severity, lines: u64) -> Option<&mut Told> {
        let known = self.names.find(pattern).map(|pattern| Key { service, pattern, severity });
        let key = match known.filter(|key| self.told.contains_key(key)) {
            Some(key) => key,
            None => {
                let patterns = self.patterns.entry(service).or_default();
                if *patterns >= MOST_PATTERNS {
                    self.left_out += lines;
                    return None;
                }
                *patterns += 1;
                Key { service, pattern: self.names.number(pattern), severity }
            }
        };
        Some(self.told.entry(key).or_default())
    }

    /// Takes in lines that were counted elsewhere; `sides_of` says on which sides of here a second of there is.
    fn take(&mut self, other: &Lines, sides_of: impl Fn(&[Window], usize, Nanos) -> Vec<usize>) {
        let windows = std::mem::take(&mut self.windows);
        self.left_out += other.left_out;
        // In order, so that the same parts give the same answer where a service has too many patterns.
        let mut others: Vec<(&Key, &Told)> = other.told.iter().collect();
        others.sort_unstable_by_key(|(key, _)| **key);
        for (key, more) in others {
            let here = |(&(side, at), count): (&(usize, Nanos), &u64)| {
                let count = *count;
                sides_of(&windows, side, at).into_iter().map(move |side| ((side, at), count))
            };
            let seconds: Vec<_> = more.seconds.iter().flat_map(here).collect();
            let lines = seconds.iter().map(|(_, count)| count).sum();
            if lines == 0 {
                continue;
            }
            let service = self.names.number_of(&other.names, key.service);
            let pattern = other.names.text(key.pattern);
            let Some(told) = self.told(service, pattern, key.severity, lines) else { continue };
            let before = told.seconds.len();
            seconds.into_iter().for_each(|(at, count)| *told.seconds.entry(at).or_default() += count);
            more.remembered.iter().for_each(|line| told.remember(*line));
            if told.seconds.keys().any(|(_, at)| *at == whole_second(more.example.0)) {
                told.exemplify(more.example.0, &more.example.1);
            }
            let added = told.seconds.len() - before;
            self.seconds += added;
        }
        self.windows = windows;
    }
}

impl Fold for Lines {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let text = |name| TextColumn::of(batch, name);
        let (mut services, severity_texts) = (text(column::SERVICE_NAME)?, text("severity_text")?);
        let (bodies, severities) = (text("body")?, ints(batch, "severity")?);
        let (times, traces) = (ints(batch, column::TIME)?, ids(batch, "trace_id_bytes")?);
        let spans = ids(batch, "span_id_bytes")?;
        for row in 0..batch.num_rows() {
            let at = int(times, row);
            let sides = sides_at(&self.windows, at);
            if sides.is_empty() {
                continue;
            }
            let body = bodies.text(row).unwrap_or_default();
            let pattern = pattern(body);
            if pattern.is_empty() {
                continue;
            }
            let severity = Severity::of(int(severities, row), severity_texts.text(row).unwrap_or_default(), &pattern);
            let service = services.number(row, &mut self.names);
            let Some(told) = self.told(service, &pattern, severity, 1) else { continue };
            let before = told.seconds.len();
            sides.into_iter().for_each(|side| *told.seconds.entry((side, whole_second(at))).or_default() += 1);
            let added = told.seconds.len() - before;
            let (trace, span) = (trace_id(traces, row), id(spans, row));
            if trace != 0 && span != 0 {
                told.remember(Remembered { hash: hash(trace), trace, span });
            }
            told.exemplify(at, body);
            self.seconds += added;
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.take(&other, |_, side, _| vec![side]);
    }

    fn size(&self) -> usize {
        let told = size_of::<(Key, Told)>() + REMEMBERED * size_of::<Remembered>() + EXAMPLE;
        self.names.size() + self.told.len() * told + self.seconds * 40
    }
}

impl Size for Lines {
    fn size(&self) -> usize {
        Fold::size(self)
    }
}

impl FromFile for Lines {
    const SIGNAL: Signal = Signal::Logs;
    type Folded = Lines;

    fn kept(pieces: &Pieces) -> &PerFile<Self> {
        &pieces.lines
    }

    fn sql() -> String {
        select()
    }

    fn empty(around: Window) -> Lines {
        Lines::of(&[around])
    }

    fn made_of(folded: Lines) -> Option<Self> {
        Some(folded)
    }

    fn fits(&self, window: Window) -> bool {
        let cut = |edge: Nanos| {
            let second = (0, whole_second(edge));
            edge != second.1 && self.told.values().any(|told| told.seconds.contains_key(&second))
        };
        !cut(window.start) && !cut(window.end)
    }
}

/// The windows that hold a time, by number: one may be a part of the other.
fn sides_at(windows: &[Window], at: Nanos) -> Vec<usize> {
    (0..windows.len()).filter(|&side| windows[side].holds(at)).collect()
}

fn select() -> String {
    format!(
        "SELECT {}, {}, CAST(severity_number AS BIGINT) AS severity, severity_text, body, trace_id_bytes, span_id_bytes \
         FROM logs",
        column::TIME,
        column::SERVICE_NAME,
    )
}

/// Counts the lines of all windows.
pub async fn lines(query: &Query, windows: &[Window]) -> Result<Folded<Lines>> {
    let whole = Window::around(windows).ok_or_else(|| Error::internal("no window for log lines"))?;
    let (pieces, rest) = split::<Lines>(query, whole, windows).await?;
    let either: Vec<String> = windows.iter().map(|window| format!("({})", time_range(column::TIME, *window))).collect();
    let sql = format!("{} WHERE {} AND ({})", select(), time_range(column::TIME, whole), either.join(" OR "));
    let mut folded = rest.fold(&sql, || Lines::of(windows)).await?;
    for piece in pieces {
        folded.take(|lines| {
            lines.take(&piece, |windows, _, at| sides_at(windows, at));
        })?;
    }
    Ok(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_come_from_numbers_words_and_lines() {
        for (number, text, line, expected) in [
            (17, "INFO", "", Severity::Error),
            (13, "", "", Severity::Warn),
            (9, "ERROR", "ERROR", Severity::Info),
            (0, "WARN", "ERROR", Severity::Warn),
            (0, "", "* ERROR f.s.X#245 not found", Severity::Error),
            (0, "warning", "", Severity::Warn),
            (0, "", "no error was found", Severity::Info),
            (0, "", "nothing was found", Severity::Info),
        ] {
            assert_eq!(Severity::of(number, text, line), expected, "{number} {text:?} {line:?}");
        }
    }

    #[test]
    fn the_same_lines_are_remembered_in_any_order() {
        let lines: Vec<Remembered> =
            (1..100_u64).map(|n| Remembered { hash: hash(u128::from(n)), trace: u128::from(n), span: n }).collect();
        let (mut forward, mut backward) = (Told::default(), Told::default());
        lines.iter().for_each(|line| forward.remember(*line));
        lines.iter().rev().chain(&lines).for_each(|line| backward.remember(*line));
        assert_eq!(forward.remembered, backward.remembered);
        assert_eq!(forward.remembered.len(), REMEMBERED);
        assert!(lines.iter().filter(|line| **line < forward.remembered[REMEMBERED - 1]).count() < REMEMBERED);
    }

    #[test]
    fn lines_that_never_come_again_take_no_memory_and_those_that_do_are_counted() {
        let mut lines = Lines::of(&[]);
        let service = lines.names.number("a");
        for n in 0..MOST_PATTERNS {
            assert!(lines.told(service, &format!("line {n}"), Severity::Info, 1).is_some());
        }
        let held = Fold::size(&lines);
        for n in MOST_PATTERNS..3 * MOST_PATTERNS {
            assert!(lines.told(service, &format!("line {n}"), Severity::Info, 1).is_none());
        }
        assert_eq!((Fold::size(&lines), lines.left_out), (held, 2 * u64::from(MOST_PATTERNS)));
        assert!(lines.told(service, "line 7", Severity::Info, 1).is_some());
        let other = lines.names.number("b");
        assert!(lines.told(other, "line 7", Severity::Info, 1).is_some(), "each service has its own");
    }
}
