//! Until when the traces that there are can be compared: the newest seconds hold those that came soonest.
//!
//! ```text
//!  … ─ whole ───────────┤ T ├─ some are open ─┤ not sent yet ├─ now
//!      compared         └ at most one in a hundred before it is open
//! ```
//!
//! A trace counts once it is assembled: soon when it looks whole, else after a wait (`storage`). Were the window to end where
//! only some count, those would be the ones that call little and end soon: calls would seem to vanish. So it ends where nearly
//! all count, and not where spans that ended have not been sent yet. At the peak all wait, so nothing need be counted.

use model::schema::column;
use model::time::SECOND;
use model::{Nanos, Result, Signal};

use super::super::partial::whole_second;
use super::super::rows::read;
use super::super::scope::{Window, started_in};
use super::super::timeline::{SETTLE, settled};
use crate::query::Query;
use crate::tables::memory::quiet_before;

/// Looked at: all that waits has been assembled or never will be after this long, but for what came late.
const LOOKED_AT: i64 = 25;
/// Nothing is compared that began so short a time ago.
const SOONEST: Nanos = 3 * SECOND;
/// In so many seconds at most this part of the traces may be open. It is less than what counts as a change of calls
/// (`ranking/behaviour.rs`), so that what is missing makes none.
const TAIL: usize = 10;
const MOST_OPEN: f64 = 0.01;
/// Shorter tails say too little.
const LEAST_TAIL: usize = 5;

/// The traces that began in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Begun {
    open: f64,
    assembled: f64,
    /// From the end of a span to its coming, ns: nearly all came sooner.
    delay: Option<Nanos>,
}

/// The part of a window whose traces are whole.
pub async fn whole(query: &Query, window: Window) -> Result<Window> {
    let now = query.now();
    let from = whole_second(now) - LOOKED_AT * SECOND;
    if window.end <= from {
        return Ok(window);
    }
    if at_peak(query) {
        return Ok(of_whole_seconds(settled(window, now)));
    }
    let seconds = begun(query, Window { start: from, end: from + (LOOKED_AT + 1) * SECOND }).await?;
    Ok(match end_of_whole(&seconds, from, now) {
        Some(end) => Window { start: window.start, end: window.end.min(end).max(window.start + SECOND) },
        None => settled(window, now),
    })
}

/// The whole seconds of a window. What is known of rows is known by the second, and at the peak there are 100,000 in one that
/// is cut.
fn of_whole_seconds(Window { start, end }: Window) -> Window {
    let start = whole_second(start.saturating_add(SECOND - 1));
    Window { start, end: whole_second(end).max(start + SECOND) }
}

/// Whether so much came lately that traces which look whole wait as long as others. What would hurry then takes the cores
/// from those who ask.
fn at_peak(query: &Query) -> bool {
    let snapshot = query.snapshot();
    !snapshot.table(Signal::Traces).assembles_sooner(quiet_before(snapshot.taken))
}

/// What began in each second of a window, as far as it came.
async fn begun(query: &Query, window: Window) -> Result<Vec<Begun>> {
    let sql = format!(
        "SELECT ({start} - {from}) / {SECOND} AS s, \
                approx_distinct(CASE WHEN tree_flags IS NULL THEN arrow_cast(trace_id_bytes, 'Binary') END) AS open, \
                sum(CASE WHEN (tree_flags & 129) = 128 THEN 1 ELSE 0 END) AS assembled, \
                quantile({received} - {end}, 0.99) AS delay \
         FROM spans WHERE {within} GROUP BY 1",
        start = column::START,
        end = column::END,
        received = column::RECEIVED,
        from = window.start,
        within = started_in(window),
    );
    let mut seconds = vec![Begun::default(); ((window.end - window.start) / SECOND) as usize];
    for row in read(query, &sql).await?.iter() {
        if let Some(second) = seconds.get_mut(row.int("s") as usize) {
            let (open, assembled) = (row.float("open"), row.float("assembled"));
            *second = Begun { open, assembled, delay: Some(row.int("delay")) };
        }
    }
    Ok(seconds)
}

/// The last beginning of a second before which nearly all traces are assembled; `None` where there is none. The first of
/// the seconds begins at `from`.
fn end_of_whole(seconds: &[Begun], from: Nanos, now: Nanos) -> Option<Nanos> {
    let latest = now - usual_delay(seconds).clamp(SOONEST, SETTLE);
    let is_whole = |&end: &usize| {
        let tail = &seconds[end.saturating_sub(TAIL)..end];
        let sum = |of: fn(&Begun) -> f64| tail.iter().map(of).sum::<f64>();
        let (open, assembled) = (sum(|second| second.open), sum(|second| second.assembled));
        open <= MOST_OPEN * (open + assembled)
    };
    let last = (((latest - from) / SECOND).max(0) as usize).min(seconds.len());
    (LEAST_TAIL..=last).rev().find(is_whole).map(|end| from + end as i64 * SECOND)
}

/// How long spans take from their end to their coming, of those that had the time to come.
fn usual_delay(seconds: &[Begun]) -> Nanos {
    let had_time = seconds.len().saturating_sub((SETTLE / SECOND) as usize);
    let mut delays: Vec<Nanos> = seconds[..had_time].iter().filter_map(|second| second.delay).collect();
    delays.sort_unstable();
    delays.get(delays.len() / 2).copied().unwrap_or(SETTLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Nanos = 1_000 * SECOND + SECOND / 2;
    const FROM: Nanos = 975 * SECOND;

    /// Thirty requests a second, whose spans come 2 s after their end, of which so many are open in the last seconds.
    fn seconds(open: &[f64]) -> Vec<Begun> {
        let begun = |at: usize| {
            let open = (at + open.len()).checked_sub(26).map_or(0.0, |at| open[at]);
            Begun { open, assembled: 30.0 - open, delay: Some(2 * SECOND) }
        };
        (0..26).map(begun).collect()
    }

    fn end(seconds: &[Begun]) -> Option<i64> {
        end_of_whole(seconds, FROM, NOW).map(|end| (end - 1_000 * SECOND) / SECOND)
    }

    #[test]
    fn the_window_ends_where_traces_are_open() {
        assert_eq!(end(&seconds(&[])), Some(-3), "three seconds are the least");
        assert_eq!(end(&seconds(&[30.0; 5])), Some(-4), "those of -4 to 0 are open");
        // Of 300 requests three may be open, wherever they are.
        let mut some = [0.0; 12];
        some[3] = 3.0;
        assert_eq!(end(&seconds(&some)), Some(-3));
        some[3] = 4.0;
        assert_eq!(end(&seconds(&some)), Some(-8), "the second of -8 is left out");
    }

    #[test]
    fn it_ends_before_what_has_not_been_sent() {
        let late = |delay: Nanos| -> Vec<Begun> {
            seconds(&[]).into_iter().map(|second| Begun { delay: Some(delay), ..second }).collect()
        };
        assert_eq!(end(&late(5 * SECOND)), Some(-5));
        assert_eq!(end(&late(5 * SECOND + SECOND / 2)), Some(-5));
        assert_eq!(end(&late(5 * SECOND + SECOND / 2 + 1)), Some(-6));
        assert_eq!(end(&late(90 * SECOND)), Some(-12), "clocks that disagree by minutes");
        assert_eq!(end(&late(-90 * SECOND)), Some(-3));
        assert_eq!(end(&[Begun::default(); 26]), Some(-12), "nothing is known");
    }

    #[test]
    fn of_seconds_that_are_cut_nothing_is_left() {
        let of = |start, end| of_whole_seconds(Window { start, end });
        assert_eq!(of(SECOND, 9 * SECOND), Window { start: SECOND, end: 9 * SECOND });
        assert_eq!(of(SECOND + 1, 10 * SECOND - 1), Window { start: 2 * SECOND, end: 9 * SECOND });
        assert_eq!(of(SECOND + 1, SECOND + 2), Window { start: 2 * SECOND, end: 3 * SECOND }, "one at least");
    }

    #[test]
    fn where_many_stay_open_nothing_is_known() {
        assert_eq!(end(&seconds(&[1.0; 26])), None);
    }
}
