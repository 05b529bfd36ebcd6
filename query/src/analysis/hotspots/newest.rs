//! A fault that began within a level of load: the newest part of the level beside what was just before.
//!
//! Compared with a level of less load, what began a quarter of a minute ago is lost among the minutes of the level, and where
//! the load never changed there is nothing to compare with. So where that comparison says nothing, and the question is about
//! now, the last 15, 30 and 60 s are looked at as well. *Invariant:* that is several looks at the same thing, so each has to be
//! surer by as much; a weak change needs the longer ones.

use model::Nanos;
use model::time::{MINUTE, SECOND};

use super::super::ranking::Settings;
use super::super::scope::{Scope, Window};
use super::Sides;

const PARTS: [Nanos; 3] = [15 * SECOND, 30 * SECOND, MINUTE];
/// What was before is looked at for so long, and for this long at least.
const BEFORE: Nanos = 4 * MINUTE;
const LEAST_BEFORE: Nanos = 45 * SECOND;
/// A window that ended so long ago is not about now.
const NOW: Nanos = MINUTE;

/// The newest parts of a level, each with what was before, and what makes a change of one of them.
pub fn looks(level: Window, scope: &Scope, now: Nanos, settings: &Settings) -> (Vec<Sides>, Settings) {
    let is_asked = scope.baseline.is_some() || scope.run_end.is_some();
    if is_asked || level.end < now - NOW {
        return (Vec::new(), *settings);
    }
    let look = |part: Nanos| {
        let begin = level.end - part;
        let before = Window { start: level.start.max(begin - BEFORE), end: begin };
        let is_long = before.end - before.start >= LEAST_BEFORE;
        is_long.then_some(Sides { window: Window { start: begin, end: level.end }, baseline: Some(before) })
    };
    let looks: Vec<Sides> = PARTS.into_iter().filter_map(look).collect();
    let doubt = (1.0 - settings.confidence) / (PARTS.len() + 1) as f64;
    (looks, Settings { confidence: 1.0 - doubt, ..*settings })
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Nanos = 10_000 * SECOND;

    fn looks_at(seconds: i64, ended: i64, parameters: &[(&str, &str)]) -> Vec<(i64, i64, i64)> {
        let owned: Vec<_> = parameters.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let scope = Scope::parse(&owned, END).expect("a scope");
        let level = Window { start: END - seconds * SECOND, end: END };
        let (looks, settings) = looks(level, &scope, END + ended * SECOND, &Settings::default());
        assert!(looks.is_empty() || (settings.confidence - 0.9875).abs() < 1e-12, "{}", settings.confidence);
        let back = |at: Nanos| (END - at) / SECOND;
        let of = |look: &Sides| {
            let before = look.baseline.expect("always one");
            (back(look.window.start), back(before.start), back(before.end))
        };
        looks.iter().map(of).collect()
    }

    #[test]
    fn the_newest_parts_are_beside_what_was_just_before() {
        assert_eq!(looks_at(600, 7, &[]), [(15, 255, 15), (30, 270, 30), (60, 300, 60)]);
        assert_eq!(looks_at(80, 7, &[]), [(15, 80, 15), (30, 80, 30)], "too little before the last minute");
        assert_eq!(looks_at(59, 7, &[]), []);
    }

    #[test]
    fn nothing_is_looked_at_that_was_not_asked() {
        assert_eq!(looks_at(600, 61, &[]), [], "long ago");
        assert_eq!(looks_at(600, 7, &[("baseline_start", "now-20m"), ("baseline_end", "now-15m")]), []);
    }
}
