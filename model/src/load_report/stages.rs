//! Stages of a test, where its log shows them beyond doubt: scenarios that follow each other, or a number of threads or
//! users that stays for a while.

use std::collections::{BTreeMap, HashMap};

use super::{Mark, Nanos};
use crate::time::SECOND;

/// A number has to stay this long to be a stage, and this part of the test.
const LEAST_SECONDS: i64 = 10;
const LEAST_PART: i64 = 20;
/// Shorter than this, a change between two stages is no stage of its own.
const BRIEF: i64 = 3;
/// More are a slope, not stages.
const MOST_STAGES: usize = 50;
/// Seconds that are kept: eleven days.
const MOST_SECONDS: usize = 1_000_000;
const MOST_PHASES: usize = 100;

/// How many threads or users there were, by second.
#[derive(Default)]
pub struct Levels {
    word: &'static str,
    by_second: BTreeMap<i64, u64>,
    /// The numbers are not those of the whole test.
    is_partial: bool,
}

struct Stay {
    number: u64,
    from: i64,
    to: i64,
}

impl Levels {
    pub fn of(word: &'static str) -> Self {
        Levels { word, ..Levels::default() }
    }

    pub fn saw(&mut self, at: Nanos, number: u64) {
        if self.by_second.len() >= MOST_SECONDS {
            self.is_partial = true;
            return;
        }
        let most = self.by_second.entry(at.div_euclid(SECOND)).or_default();
        *most = (*most).max(number);
    }

    pub fn are_partial(&mut self) {
        self.is_partial = true;
    }

    /// Where the number begins to stay, named after it, and where it begins to change for longer than a moment.
    pub fn marks(&self, end: Nanos) -> Vec<Mark> {
        let (Some((&first, _)), false) = (self.by_second.first_key_value(), self.is_partial) else { return vec![] };
        let last = end.div_euclid(SECOND).max(first + 1);
        let stays = self.stays(first, last);
        let is_all = |stay: &Stay| stay.from <= first + BRIEF && stay.to >= last - BRIEF;
        if stays.is_empty() || stays.len() > MOST_STAGES || (stays.len() == 1 && is_all(&stays[0])) {
            return vec![];
        }
        let (mut marks, mut names) = (Vec::new(), HashMap::new());
        let mut mark = |at: i64, name: String| {
            let times = names.entry(name.clone()).or_insert(0);
            *times += 1;
            let name = if *times == 1 { name } else { format!("{name}-{times}") };
            marks.push(Mark { at: at * SECOND, name });
        };
        for (index, stay) in stays.iter().enumerate() {
            mark(stay.from, format!("{}-{}", stay.number, self.word));
            let next = stays.get(index + 1).map_or(last, |next| next.from);
            if next - stay.to > BRIEF {
                mark(stay.to, "ramp".to_owned());
            }
        }
        marks
    }

    /// The times in which the number is the same for long enough.
    fn stays(&self, first: i64, last: i64) -> Vec<Stay> {
        let least = LEAST_SECONDS.max((last - first) / LEAST_PART);
        let mut all: Vec<Stay> = Vec::new();
        for (&second, &number) in &self.by_second {
            match all.last_mut() {
                Some(stay) if stay.number == number => {}
                before => {
                    if let Some(stay) = before {
                        stay.to = second;
                    }
                    all.push(Stay { number, from: second, to: last });
                }
            }
        }
        all.retain(|stay| stay.number > 0 && stay.to - stay.from >= least);
        let mut joined: Vec<Stay> = Vec::new();
        for stay in all {
            match joined.last_mut() {
                Some(before) if before.number == stay.number && stay.from - before.to <= BRIEF => before.to = stay.to,
                _ => joined.push(stay),
            }
        }
        joined
    }
}

/// From when to when each scenario had users.
#[derive(Default)]
pub struct Phases {
    by_name: HashMap<String, (Nanos, Nanos)>,
    are_too_many: bool,
}

impl Phases {
    pub fn saw(&mut self, name: &str, start: Nanos, end: Nanos) {
        if let Some((first, last)) = self.by_name.get_mut(name) {
            (*first, *last) = ((*first).min(start), (*last).max(end));
        } else if self.by_name.len() < MOST_PHASES {
            self.by_name.insert(name.to_owned(), (start, end));
        } else {
            self.are_too_many = true;
        }
    }

    /// Scenarios are stages when there are several and none begins before the one before it has ended.
    pub fn marks(&self) -> Vec<Mark> {
        let mut phases: Vec<_> = self.by_name.iter().map(|(name, &(start, end))| (start, end, name)).collect();
        phases.sort();
        let follow = phases.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        if phases.len() < 2 || !follow || self.are_too_many {
            return vec![];
        }
        phases.into_iter().map(|(start, _, name)| Mark { at: start, name: super::figures::short(name) }).collect()
    }
}
