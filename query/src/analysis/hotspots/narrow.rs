//! Narrows a hot spot to the attribute value to which it is confined, if there is one: nearly all slow spans have it, and
//! few of the others. Slow is what lies beyond nearly all of the baseline's.
//!
//! ```text
//! how long it took on both sides (files say it) ─▶ are more of its spans slow? ─▶ a part of either kind, by attribute
//!        └─ the same of the span around it, in its service ◀──────── no value ───────────┘
//! ```

use model::Result;
use model::schema::column;
use model::time::{MILLISECOND, SECOND};
use serde_json::Value;

use super::super::compare::{self, Question};
use super::super::heatmap;
use super::super::histogram::{Histogram, middle};
use super::super::ranking::{Attribute, FactBook, Hotspot, Operation};
use super::super::rates::Bins;
use super::super::report::rfc3339;
use super::super::scope::{Scope, Window, started_in};
use super::Sides;
use crate::query::Query;

/// Operations that are looked at above a hot spot for an attribute: a call of a database often says little of what it
/// was made for, the SERVER span around it does.
const CALLERS: usize = 4;
/// Slow is what lies beyond the baseline's p99 by this part of it: else one in a hundred of the others is among them, as
/// many as a rare value has spans.
const BEYOND: i64 = 10;
/// Shares that make a value the place of a problem rather than a hint.
const MOST_OF_SLOW: f64 = 0.8;
const FEW_OF_OTHERS: f64 = 0.35;
/// Slow spans that tell.
const LEAST_SLOW: u64 = 10;
/// As large a share of its spans has to be slow as before, at least so many times, for a value to be looked for. Where a value
/// is the place of what is new, it is twice and more; a value that was slow before may only have become more common.
const SLOWER: f64 = 1.3;
/// About so many spans of either kind are compared. Of more, those of a part of the window: a share among so many is known to
/// half a hundredth.
const COMPARED: u64 = 100_000;
/// A window is taken in so many pieces at least, and those are a second at most.
const LEAST_PIECES: i64 = 20;

/// The attribute value to which a hot spot is confined: by its own spans, else by those around them in its service.
pub(super) async fn narrowed(
    query: &Query,
    sides: &Sides,
    scope: &Scope,
    facts: &FactBook,
    spot: &Hotspot,
) -> Result<Option<Attribute>> {
    let Some(baseline) = sides.baseline.filter(|_| spot.instance.is_none() && !spot.off_path) else { return Ok(None) };
    let mut operation = &spot.evidence;
    for _ in 0..CALLERS {
        let found = confined_to(query, [sides.window, baseline], scope, operation, COMPARED).await?;
        let parent = facts.get(operation).and_then(|facts| facts.parent.as_ref());
        match parent.filter(|parent| found.is_none() && parent.service == operation.service) {
            Some(parent) => operation = parent,
            None => return Ok(found),
        }
    }
    Ok(None)
}

async fn confined_to(
    query: &Query,
    [window, baseline]: [Window; 2],
    asked: &Scope,
    operation: &Operation,
    compared: u64,
) -> Result<Option<Attribute>> {
    let (before, now) =
        tokio::try_join!(took(query, asked, (baseline, 1), operation), took(query, asked, (window, 0), operation))?;
    let Some(slow) = slow_from(&before) else { return Ok(None) };
    let count = now.count();
    let found = if is_slower(&before, &now, slow) { slower_than(&now, slow) } else { 0 };
    if found < LEAST_SLOW {
        return Ok(None);
    }
    let selected = format!("duration_ns >= {slow}{}", thinned(window, found, compared));
    let others = format!("duration_ns < {slow}{}", thinned(window, count - found, compared));
    let conditions = scope_of(query, asked, (window, 0), operation)?.conditions();
    let spans = format!("{} AND {conditions} AND (({selected}) OR ({others}))", started_in(window));
    let report = compare::answer(query, &Question { spans, selected }, compare::MOST_DIFFERENCES as usize).await?;
    Ok(report.json["differences"].as_array().into_iter().flatten().find_map(confining))
}

/// An operation's spans of a window, of those that are asked for on that side.
fn scope_of(query: &Query, asked: &Scope, (window, side): (Window, usize), operation: &Operation) -> Result<Scope> {
    let parameters = [
        ("service", operation.service.clone()),
        ("operation", operation.operation.clone()),
        ("kind", operation.kind.name().to_owned()),
        ("start", rfc3339(window.start)),
        ("end", rfc3339(window.end)),
    ];
    let parameters: Vec<_> = parameters.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let mut scope = Scope::parse(&parameters, query.now())?;
    scope.members[0].clone_from(&asked.members[side]);
    Ok(scope)
}

/// How long an operation's spans of a window took, on that side. Where all traces take part, files say it.
async fn took(query: &Query, asked: &Scope, side: (Window, usize), operation: &Operation) -> Result<Histogram> {
    let scope = scope_of(query, asked, side, operation)?;
    let entries = heatmap::read(query, &scope, Bins::of(scope.window, 1)).await?.fold;
    let mut took = Histogram::default();
    entries.parts.values().flat_map(|part| [&part.requests.latency, &part.others]).for_each(|some| took.merge(some));
    Ok(took)
}

/// The least duration that is slow; `None` where nothing took any time before.
fn slow_from(before: &Histogram) -> Option<i64> {
    let p99 = before.quantile(0.99)?.round() as i64;
    (p99 > 0).then_some(p99 + p99 / BEYOND)
}

fn slower_than(took: &Histogram, slow: i64) -> u64 {
    took.iter().filter(|(bucket, _)| middle(*bucket) >= slow as f64).map(|(_, count)| count).sum()
}

fn is_slower(before: &Histogram, now: &Histogram, slow: i64) -> bool {
    let share = |took: &Histogram| slower_than(took, slow) as f64 / took.count().max(1) as f64;
    share(now) >= SLOWER * share(before)
}

/// The condition, with `AND` before it, that keeps about `compared` of so many spans, evenly over the window: those that
/// started in each so manieth of short pieces of it. Not at random: the rows of a piece stand together in files.
fn thinned(window: Window, spans: u64, compared: u64) -> String {
    let Some(part) = one_in(spans / compared) else { return String::new() };
    let piece = ((window.end - window.start) / (LEAST_PIECES * part)).clamp(MILLISECOND, SECOND);
    format!(" AND (({} - {}) / {piece}) % {part} = {}", column::START, window.start, part / 2)
}

/// Which part is kept of so many times too many. It has no divisor in common with ten, else all pieces might miss, or meet,
/// what is done every second.
fn one_in(times: u64) -> Option<i64> {
    let least = i64::try_from(times).unwrap_or(i64::MAX - 2) | 1;
    (least > 1).then(|| if least % 5 == 0 { least + 2 } else { least })
}

fn confining(difference: &Value) -> Option<Attribute> {
    let number = |name: &str| difference[name].as_f64().unwrap_or(0.0);
    let confined = number("selection_share") >= MOST_OF_SLOW
        && number("baseline_share") <= FEW_OF_OTHERS
        && number("selection_coverage") >= MOST_OF_SLOW
        && number("selection_count") >= LEAST_SLOW as f64;
    // What a span says of itself because it was slow or failed is no cause; nor is what `instance` stands for.
    let key = difference["key"].as_str()?;
    let effect =
        matches!(key, "status" | "instance" | "name" | "error.type" | "http.response.status_code" | "thread.name");
    let resource = difference["scope"] == "resource";
    (confined && !effect && !resource)
        .then(|| Attribute { key: key.to_owned(), value: difference["value"].as_str().unwrap_or_default().to_owned() })
}

#[cfg(test)]
mod tests {
    use model::{Signal, Tenant};
    use serde_json::json;

    use super::super::super::histogram::bucket_of;
    use super::*;
    use crate::tests::fixture::{Fixture, State, and, span};

    /// So many spans of each duration, in ms.
    fn took(spans: &[(i64, u64)]) -> Histogram {
        let mut took = Histogram::default();
        spans.iter().for_each(|(ms, count)| took.add(bucket_of(ms * 1_000_000), *count));
        took
    }

    #[test]
    fn an_operation_is_slower_where_a_value_may_have_most_of_its_slow_spans() {
        let before = took(&[(10, 990), (100, 10)]);
        let slow = slow_from(&before).expect("some took time");
        assert!((10_800_000..11_200_000).contains(&slow), "a tenth beyond the p99 of 10 ms: {slow}");
        // Ten times the load: the same share of slow spans, a fifth more, and a value with 3 % of them all.
        for (now, slower) in [
            (took(&[(10, 9_900), (100, 100)]), false),
            (took(&[(10, 9_880), (100, 120)]), false),
            (took(&[(10, 9_600), (100, 100), (50, 300)]), true),
        ] {
            assert_eq!(is_slower(&before, &now, slow), slower);
        }
        assert_eq!(slower_than(&took(&[(10, 9_600), (100, 100), (50, 300)]), slow), 400);
        assert_eq!(slow_from(&took(&[(0, 50)])), None);
        assert_eq!(slow_from(&took(&[])), None);
    }

    #[tokio::test]
    async fn a_value_is_found_in_even_parts_of_a_window_as_in_all_of_it() {
        // A call every 10 ms for 40 s; every fourth is for gold, and is slow in the last 10 s.
        let call = |n: i64| {
            let gold = n % 4 == 0;
            let lasts = if gold && n >= 3_000 { 400 } else { 20 + n % 7 };
            let place = ("shop", "pay", "SERVER");
            let row = span(n as u64 + 1, n as u64 + 1, 0, place, n * 10, n * 10 + lasts);
            let tier = if gold { "gold" } else { "silver" };
            and(row, json!({"attributes": json!({"app.tier": tier, "app.call": n % 50}).to_string()}))
        };
        let rows: Vec<_> = (0..4_000).map(call).collect();
        let engine = Fixture::new().with(Signal::Traces, &rows, State::Mixed).await.engine();
        for compared in [COMPARED, 50] {
            let job = move |query: Query| async move {
                let at = |seconds: i64| query.now() - (60 - seconds) * SECOND;
                let window = |from, to| Window { start: at(from), end: at(to) };
                let kind = model::trace::SpanKind::Server;
                let operation = Operation { service: "shop".into(), operation: "pay".into(), kind, peer: None };
                let asked = Scope::parse(&[], query.now())?;
                confined_to(&query, [window(20, 40), window(0, 20)], &asked, &operation, compared).await
            };
            let found = engine.run(&Tenant::default(), job).await.expect("an answer").expect("a value");
            assert_eq!((found.key.as_str(), found.value.as_str()), ("app.tier", "gold"), "of {compared}");
        }
    }

    #[test]
    fn of_many_spans_an_even_part_is_compared() {
        let window = Window { start: 1_000 * SECOND, end: 1_090 * SECOND };
        assert_eq!([0, 1, 2, 5, 40, 44].map(one_in), [None, None, Some(3), Some(7), Some(41), Some(47)]);
        assert_eq!(thinned(window, 199, 100), "");
        // Pieces of a second, though 90 s in 20 * 3 would be longer, and of a millisecond.
        let start = column::START;
        let expected = format!(" AND (({start} - 1000000000000) / 1000000000) % 3 = 1");
        assert_eq!(thinned(window, 200, 100), expected);
        let short = Window { start: 0, end: SECOND };
        assert_eq!(thinned(short, 6_000, 100), format!(" AND (({start} - 0) / 1000000) % 61 = 30"));
    }
}
