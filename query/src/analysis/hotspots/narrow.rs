//! Narrows a hot spot to the attribute value to which it is confined, if there is one: nearly all slow spans have it, and
//! few of the others. Slow is what lies beyond nearly all of the baseline's; where a hot spot is of errors, failed spans are
//! looked at instead.
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
use super::super::ranking::{Attribute, Category, FactBook, Hotspot, Operation};
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
        let place = Place { query, asked: scope, operation, compared: COMPARED };
        let found = match spot.category {
            Category::Error => place.of_failed(sides.window).await?,
            _ => place.of_slow([sides.window, baseline]).await?,
        };
        let parent = facts.get(operation).and_then(|facts| facts.parent.as_ref());
        match parent.filter(|parent| found.is_none() && parent.service == operation.service) {
            Some(parent) => operation = parent,
            None => return Ok(found),
        }
    }
    Ok(None)
}

/// An operation, of whose spans those of some traces may be asked about.
struct Place<'a> {
    query: &'a Query,
    asked: &'a Scope,
    operation: &'a Operation,
    compared: u64,
}

/// How long spans took: all of them, and those that failed.
#[derive(Default)]
struct Took {
    all: Histogram,
    failed: Histogram,
}

impl Place<'_> {
    /// The value to which slow spans of the first window are confined.
    async fn of_slow(&self, [window, baseline]: [Window; 2]) -> Result<Option<Attribute>> {
        let (before, now) = tokio::try_join!(self.took((baseline, 1)), self.took((window, 0)))?;
        let Some(slow) = slow_from(&before.all) else { return Ok(None) };
        let found = if is_slower(&before.all, &now.all, slow) { slower_than(&now.all, slow) } else { 0 };
        let others = now.all.count() - found;
        let kinds = [(format!("duration_ns >= {slow}"), found), (format!("duration_ns < {slow}"), others)];
        // A slow instance has been looked for by what it adds to requests ([`super::super::ranking`]).
        self.most_common(window, kinds, &["instance"]).await
    }

    /// The value, or the instance, to which failed spans are confined.
    async fn of_failed(&self, window: Window) -> Result<Option<Attribute>> {
        let Took { all, failed } = self.took((window, 0)).await?;
        let (found, others) = (failed.count(), all.count().saturating_sub(failed.count()));
        let status = |is: &str| format!("status_code {is} 'ERROR'");
        self.most_common(window, [(status("="), found), (status("<>"), others)], &[]).await
    }

    /// The value that nearly all spans of the first kind have and few of the second: a condition on either kind, and about how
    /// many there are. Keys in `besides` are not taken.
    async fn most_common(
        &self,
        window: Window,
        kinds: [(String, u64); 2],
        besides: &[&str],
    ) -> Result<Option<Attribute>> {
        if kinds[0].1 < LEAST_SLOW {
            return Ok(None);
        }
        let [selected, others] =
            kinds.map(|(which, spans)| format!("{which}{}", thinned(window, spans, self.compared)));
        let conditions = self.scope((window, 0))?.conditions();
        let spans = format!("{} AND {conditions} AND (({selected}) OR ({others}))", started_in(window));
        let question = Question { spans, selected };
        let report = compare::answer(self.query, &question, compare::MOST_DIFFERENCES as usize).await?;
        let mut found = report.json["differences"].as_array().into_iter().flatten().filter_map(confining);
        Ok(found.find(|attribute| !besides.contains(&attribute.key.as_str())))
    }

    /// The operation's spans of a window, of those that are asked for on that side.
    fn scope(&self, (window, side): (Window, usize)) -> Result<Scope> {
        let parameters = [
            ("service", self.operation.service.clone()),
            ("operation", self.operation.operation.clone()),
            ("kind", self.operation.kind.name().to_owned()),
            ("start", rfc3339(window.start)),
            ("end", rfc3339(window.end)),
        ];
        let parameters: Vec<_> = parameters.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let mut scope = Scope::parse(&parameters, self.query.now())?;
        // A baseline that was not asked for is of the window's run.
        let side = if self.asked.baseline.is_none() { 0 } else { side };
        scope.members[0].clone_from(&self.asked.members[side]);
        Ok(scope)
    }

    /// How long the spans of a window took, on that side. Where all traces take part, files say it.
    async fn took(&self, side: (Window, usize)) -> Result<Took> {
        let scope = self.scope(side)?;
        let entries = heatmap::read(self.query, &scope, Bins::of(scope.window, 1)).await?.fold;
        let mut took = Took::default();
        for part in entries.parts.values() {
            [&part.requests.latency, &part.others].into_iter().for_each(|some| took.all.merge(some));
            took.failed.merge(&part.failed);
        }
        Ok(took)
    }
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

/// Keys of what a span says of itself because it was slow or failed, which is no cause.
const EFFECTS: [&str; 8] = [
    "status",
    "name",
    "error.type",
    "http.response.status_code",
    "http.status_code",
    "rpc.grpc.status_code",
    "db.response.status_code",
    "thread.name",
];
/// What resources say of one process, for which `instance` stands, or of the service. Where a process runs is another matter: its
/// node, its zone, its version.
const OF_A_PROCESS: [&str; 8] =
    ["service.", "process.", "telemetry.", "container.id", "k8s.pod.", "host.id", "host.ip", "host.mac"];

fn confining(difference: &Value) -> Option<Attribute> {
    let number = |name: &str| difference[name].as_f64().unwrap_or(0.0);
    let confined = number("selection_share") >= MOST_OF_SLOW
        && number("baseline_share") <= FEW_OF_OTHERS
        && number("selection_coverage") >= MOST_OF_SLOW
        && number("selection_count") >= LEAST_SLOW as f64;
    let key = difference["key"].as_str()?;
    let no_cause = if difference["scope"] == "resource" {
        OF_A_PROCESS.iter().any(|prefix| key.starts_with(prefix))
    } else {
        EFFECTS.contains(&key)
    };
    (confined && !no_cause).then(|| Attribute {
        key: key.to_owned(),
        value: difference["value"].as_str().unwrap_or_default().to_owned(),
        share: number("selection_share"),
        share_of_others: number("baseline_share"),
    })
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
                let place = Place { query: &query, asked: &asked, operation: &operation, compared };
                place.of_slow([window(20, 40), window(0, 20)]).await
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
