//! From when latency counts: what an answer with latencies says of that, since it may hide what requests waited for before
//! they were sent.

use arrow::array::RecordBatch;
use model::time::SECOND;
use model::trace::flag;
use model::{Result, schema::column};
use serde_json::{Value, json};

use super::super::names::TextColumn;
use super::super::scope::{Scope, Window, started_in};
use super::super::sentence::Sentence;
use super::intended::intended_start;
use super::sentences;
use crate::fold::Fold;
use crate::query::Query;

/// How many requests tell when they were meant to be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    pub requests: u64,
    pub told: u64,
}

impl Clock {
    pub fn is_known(self) -> bool {
        self.told > 0
    }

    pub fn json(self) -> Value {
        let Sentence { en, zh } = sentences::clock(self);
        let (known, requests, told) = (self.is_known(), self.requests, self.told);
        json!({"known": known, "requests": requests, "with_intended_start": told, "en": en, "zh": zh})
    }
}

/// Parts of a window that are looked at, and the whole ones that would be.
const LOOKS: i64 = 16;
const ONE_IN: i64 = 8;

/// Whether requests of a window tell it, from a part of its time: a load generator that tells it does so of all requests.
pub async fn is_told(query: &Query, scope: &Scope, window: Window) -> Result<bool> {
    let times: Vec<String> = looks(window).into_iter().map(|look| format!("({})", started_in(look))).collect();
    let sql = format!(
        "SELECT other_attributes FROM spans WHERE {} AND ({}) AND ({} & {}) <> 0{}",
        started_in(window),
        times.join(" OR "),
        column::TREE_FLAGS,
        flag::ROOT | flag::ENTRY,
        scope.entries(&[window]),
    );
    Ok(query.fold(&sql, Told::default).await?.fold.is_told)
}

/// Some stretches of a window, evenly over it; of a short one all of it.
fn looks(window: Window) -> Vec<Window> {
    let step = (window.end - window.start) / LOOKS;
    if step < ONE_IN * SECOND {
        return vec![window];
    }
    let look = |n: i64| {
        // In the middle of its piece: at its edges load generators begin and end.
        let start = window.start + n * step + step / 2;
        Window { start, end: start + step / ONE_IN }
    };
    (0..LOOKS).map(look).collect()
}

#[derive(Default)]
struct Told {
    is_told: bool,
}

impl Fold for Told {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        if !self.is_told {
            let attributes = TextColumn::of(batch, "other_attributes")?;
            let mut texts = (0..batch.num_rows()).filter_map(|row| attributes.text(row));
            self.is_told = texts.any(|text| intended_start(text).is_some());
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.is_told |= other.is_told;
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_window_is_looked_at_in_parts_that_lie_in_it() {
        let window = Window { start: 1_000 * SECOND, end: 2_600 * SECOND };
        let looks = looks(window);
        assert_eq!((looks.len(), looks[0].start, looks[0].end), (16, 1_050 * SECOND, 1_062 * SECOND + SECOND / 2));
        assert!(looks.iter().all(|look| window.holds(look.start) && window.holds(look.end)));
        assert!(looks.windows(2).all(|pair| pair[0].end < pair[1].start));
        let minute = Window { start: 0, end: 60 * SECOND };
        assert_eq!(super::looks(minute), [minute]);
    }
}
