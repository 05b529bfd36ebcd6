//! Hot spots: which operation limits the system, with evidence. The window is the current load level unless one is
//! given, the baseline the level before it, or of a level in which something changed only now its newest part beside the
//! rest; [`super::ranking`] decides, this gathers and looks up examples.

mod narrow;
mod newest;
mod whole;

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use model::time::{MINUTE, SECOND};
use model::trace::SpanKind;
use model::{Kind, Nanos, Result, Signal, TraceId};
use serde_json::{Value, json};
use storage::Backlog;

use super::alike::alike;
use super::columns::{self, float, int, text};
use super::learn::learn;
use super::messages::{Messages, messages};
use super::observe::{Seen, observe};
use super::ranking::{self, FactBook, Hotspot, Observed, Operation, Ranking, Settings, Verdict};
use super::report::{Report, rfc3339};
use super::rows::{number, read};
use super::sample::typical_of;
use super::scope::{Scope, Window, quoted, started_in};
use super::sentence::Sentence;
use super::timeline::Timeline;
use super::vitals::{self, Pressure, Vital};
use super::{Analysis, Parameter, Running, log_patterns};
use crate::fold::Folded;
use crate::query::Query;
use narrow::narrowed;
use whole::whole;

pub const ANALYSIS: Analysis = Analysis {
    name: "hotspots",
    title: ("Hot spots", "热点瓶颈"),
    doc: "The operations that limit the system, ranked by the rise of critical-path time per request over a baseline.",
    parameters: &[Parameter { name: "limit", doc: "hot spots at most (10)" }],
    schema,
    run: |query, scope| -> Running { Box::pin(run(query, scope)) },
};

/// How far before a given window the load is looked at to find a baseline.
const LOOK_BACK: i64 = 30 * MINUTE;
/// Example traces of a hot spot, and the hot spots that get some.
const EXEMPLARS: usize = 5;
const EXEMPLIFIED: usize = 5;
/// Spans that a 99th percentile needs to be told.
const LEAST_SPANS: u64 = 20;
/// Hot spots for which the attributes of slow or failed spans are compared.
const NARROWED: usize = 3;

fn schema() -> SchemaRef {
    let mut fields = vec![int("rank")];
    fields.extend(["service", "operation", "span_kind", "category", "peer", "instance", "attribute"].map(text));
    fields.extend([int("critical_path_ns_per_request"), float("share_of_latency"), int("change_ns_per_request")]);
    fields.extend([float("confidence"), text("callers"), text("explanation"), text("exemplars")]);
    columns::schema(fields)
}

/// What is compared with what.
struct Sides {
    window: Window,
    baseline: Option<Window>,
}

/// The given window and baseline, else those that the load levels suggest.
async fn sides(query: &Query, scope: &Scope) -> Result<Sides> {
    let window = whole(query, scope.window).await?;
    if let Some(baseline) = scope.baseline {
        return Ok(Sides { window, baseline: Some(baseline) });
    }
    let levels = async |from: Nanos| -> Result<Sides> {
        let all = scope.without_filters();
        let timeline = Timeline::read(query, &all, Window { start: from, end: window.end }).await?;
        let (current, baseline) = timeline.current_and_baseline(scope.window_given.then_some(window));
        let window = current.map_or(window, |level| timeline.window_of(&level));
        let baseline = baseline.map(|level| of_the_run(timeline.window_of(&level), scope));
        Ok(Sides { window, baseline })
    };
    // Of a longer time, the seconds at which a level begins are not told apart.
    let found = levels(window.start).await?;
    if !scope.window_given || found.baseline.is_some() {
        return Ok(found);
    }
    levels(window.start - LOOK_BACK).await
}

/// Of a level that reaches into a run from before it, the run's own part, where that is long enough to compare with; else
/// what came before.
fn of_the_run(baseline: Window, scope: &Scope) -> Window {
    match scope.run_start {
        Some(start) if baseline.start < start && start < baseline.end => {
            let own = Window { start, ..baseline };
            if own.end - own.start >= LEAST_OWN { own } else { Window { end: start, ..baseline } }
        }
        _ => baseline,
    }
}

/// Shorter, a run's first level has only just begun when its load rises.
const LEAST_OWN: i64 = 5 * SECOND;

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let settings = Settings { limit: scope.number("limit", 10, 1, 100)? as usize, ..Settings::default() };
    let (query, waiting) = (query.without_backlog(), waiting(&query, scope.window));
    let sides = sides(&query, &scope).await?;
    let (mut found, unsettled) =
        tokio::try_join!(compare(&query, &scope, sides, &settings), unsettled(&query, &scope))?;
    if !found.ranking.verdict.is_alarm()
        && let Some(newest) = changed_now(&query, &scope, &found, &settings).await?
    {
        found = newest;
    }
    let Compared { evidence, mut ranking } = found;
    let Evidence { sides, seen, facts, .. } = &evidence;
    // Without a change there is nothing that could be confined to a value, and looking takes longest of all.
    let is_as_before = ranking.verdict == Verdict::NoSignificantChange;
    let spots = ranking.hotspots.iter().take(if is_as_before { 0 } else { NARROWED });
    let narrow: Vec<_> = spots.map(|spot| narrowed(&query, sides, &scope, facts, spot)).collect();
    let attributes = futures::future::try_join_all(narrow).await?;
    for (spot, attribute) in ranking.hotspots.iter_mut().zip(attributes) {
        attribute.into_iter().for_each(|attribute| spot.confine(attribute));
    }
    illustrate(&query, &scope, &evidence, &mut ranking.hotspots).await?;
    let mut report = Report::new("hotspots", answer(sides, &ranking, &seen.fold)?);
    report.unsettled = unsettled;
    report.notes.extend(waiting.into_iter().chain(evidence.left_out));
    Ok(report)
}

/// What spans, metrics and logs say of both sides, and what that means.
struct Compared {
    evidence: Evidence,
    ranking: Ranking,
}

async fn compare(query: &Query, scope: &Scope, sides: Sides, settings: &Settings) -> Result<Compared> {
    let evidence = gather(query, scope, sides).await?;
    let ranking = ranking::rank(&evidence.now, evidence.then.as_ref(), &evidence.facts, settings);
    Ok(Compared { evidence, ranking })
}

/// The newest part of a level that is not as the rest, if there is one: of several the one with the largest rise, which has
/// least of what was before in it.
async fn changed_now(query: &Query, scope: &Scope, of: &Compared, settings: &Settings) -> Result<Option<Compared>> {
    if of.ranking.window_requests == 0 {
        return Ok(None);
    }
    let level = of.evidence.sides.window;
    let (looks, settings) = newest::looks(level, scope, query.now(), settings);
    let rise = |found: &Compared| found.ranking.hotspots.first().and_then(|spot| spot.change_ns_per_request);
    let mut changed: Option<Compared> = None;
    for sides in looks {
        let found = compare(query, scope, sides, &settings).await?;
        let is_larger = changed.as_ref().is_none_or(|known| rise(known) < rise(&found));
        if found.ranking.verdict.is_alarm() && is_larger {
            changed = Some(found);
        }
    }
    Ok(changed)
}

/// What spans, metrics and logs say of both sides.
struct Evidence {
    sides: Sides,
    windows: Vec<Window>,
    seen: Folded<Seen>,
    /// `None` where nothing is consumed, and where some requests are asked about, to which no message belongs.
    messages: Option<Folded<Messages>>,
    facts: FactBook,
    now: Observed,
    then: Option<Observed>,
    /// Why log lines or metrics are not among it.
    left_out: Vec<Sentence>,
}

async fn gather(query: &Query, scope: &Scope, sides: Sides) -> Result<Evidence> {
    let windows: Vec<Window> = std::iter::once(sides.window).chain(sides.baseline).collect();
    let (mut seen, pressure, (said, unsaid)) =
        tokio::try_join!(observe(query, scope, &windows), pressure(query, &windows), said(query, scope, &windows))?;
    let (pressure, unweighed) = pressure;
    let mut facts = FactBook::new();
    for (side, window) in windows.iter().enumerate() {
        seen.fold.sort_kept(side);
        let (kept, operations) = (seen.fold.kept(side), &seen.fold.operations);
        let alike = alike(query, *window, kept, operations).await?;
        learn(kept, operations, alike, side > 0, &mut facts);
    }
    let (mut now, mut then) = (seen.fold.cube(0), sides.baseline.map(|_| seen.fold.cube(1)));
    now.exhausted = pressure.exhausted;
    let consumers = seen.fold.operations.has(SpanKind::Consumer);
    let messages = if consumers && !scope.has_filters() { Some(messages(query, &windows).await?) } else { None };
    if let Some(messages) = &messages {
        messages.fold.add_to(&mut now, sides.window);
        then.iter_mut().zip(sides.baseline).for_each(|(then, window)| messages.fold.add_to(then, window));
        now.piled = pressure.piled;
    }
    if let (Some(said), Some(then)) = (said, &mut then) {
        log_patterns::place(&said.fold, &seen.fold, &windows, &mut now, then);
    }
    let left_out = unsaid.into_iter().chain(unweighed).collect();
    Ok(Evidence { sides, windows, seen, messages, facts, now, then, left_out })
}

/// Gives the first hot spots example traces, and what metrics say beside them.
async fn illustrate(query: &Query, scope: &Scope, evidence: &Evidence, spots: &mut [Hotspot]) -> Result<()> {
    let Evidence { sides, windows, seen, messages, .. } = evidence;
    // Several hot spots of a service have the same metrics beside them.
    let mut told: HashMap<(String, Option<String>), Vec<Vital>> = HashMap::new();
    for spot in spots.iter_mut().take(EXEMPLIFIED) {
        let waited = messages.as_ref().filter(|_| spot.off_path);
        let found = match waited {
            Some(messages) => hex(messages.fold.typical(&spot.evidence, sides.window, EXEMPLARS)),
            None => typical(&seen.fold, spot),
        };
        let place = (spot.service.clone(), spot.instance.clone());
        spot.vitals = match told.get(&place) {
            Some(vitals) => vitals.clone(),
            None => told.entry(place).or_insert(vitals_of(query, windows, sides, spot).await?).clone(),
        };
        spot.exemplars = match found {
            found if found.len() == EXEMPLARS => found,
            _ => exemplars(query, sides.window, scope, spot).await?,
        };
    }
    Ok(())
}

/// What was found, or nothing and a note where it needs more memory than there is: spans say most.
fn if_it_fits<T: Default>(found: Result<T>, [en, zh]: [&str; 2]) -> Result<(T, Option<Sentence>)> {
    match found {
        Err(e) if e.kind == Kind::Limit => {
            let en = format!("{en} were left out, since they need more memory than there is: {}", e.message);
            Ok((T::default(), Some(Sentence::new(en, format!("{zh}因内存不足未计入")))))
        }
        found => Ok((found?, None)),
    }
}

/// What metrics say of both sides.
async fn pressure(query: &Query, windows: &[Window]) -> Result<(Pressure, Option<Sentence>)> {
    if_it_fits(vitals::pressure(query, windows).await, ["metrics", "指标"])
}

/// The log lines of both sides; `None` without a baseline, and where some requests are asked about, to which lines belong
/// only by their spans.
async fn said(
    query: &Query,
    scope: &Scope,
    windows: &[Window],
) -> Result<(Option<Folded<log_patterns::Lines>>, Option<Sentence>)> {
    if windows.len() < 2 || scope.has_filters() {
        return Ok((None, None));
    }
    if_it_fits(log_patterns::lines(query, windows).await.map(Some), ["log lines", "日志行"])
}

fn answer(sides: &Sides, ranking: &Ranking, seen: &Seen) -> Result<Value> {
    // Entries of consumers' trees and of orphans are compared too, and are no requests.
    let side = |window: Window, entries: Option<u64>, number: usize| {
        let requests = entries.map(|entries| entries.saturating_sub(seen.apart(number)));
        json!({"start": rfc3339(window.start), "end": rfc3339(window.end), "requests": requests})
    };
    let spot = |spot: &Hotspot| -> Result<Value> {
        let written = serde_json::to_value(spot);
        let mut row = written.map_err(|e| model::Error::internal(format!("writing a hot spot: {e}")))?;
        describe(&mut row, spot, ranking, seen);
        Ok(row)
    };
    let spots = ranking.hotspots.iter().map(spot).collect::<Result<Vec<Value>>>()?;
    Ok(json!({
        "window": side(sides.window, Some(ranking.window_requests), 0),
        "baseline": sides.baseline.map(|window| side(window, ranking.baseline_requests, 1)),
        "verdict": ranking.verdict,
        "worse": ranking.worse,
        "needed": needed(ranking),
        "hotspots": spots,
    }))
}

/// How many requests would tell what these do not.
fn needed(ranking: &Ranking) -> Option<Value> {
    let (needed, text) = (ranking.needed.as_ref()?, ranking.needed_text()?);
    let seems = needed.seems.as_ref();
    Some(json!({
        "requests": needed.requests,
        "baseline_requests": needed.baseline_requests,
        "entry": seems.map(|seems| &seems.entry),
        "measure": seems.map(|seems| seems.measure),
        "en": text.en,
        "zh": text.zh,
    }))
}

/// Adds what is known of the spans that hold a hot spot's time.
fn describe(row: &mut Value, spot: &Hotspot, ranking: &Ranking, seen: &Seen) {
    let change = spot.change_ns_per_request;
    row["baseline_critical_path_ns_per_request"] = json!(change.map(|c| spot.critical_path_ns_per_request - c));
    let Some(operation) = seen.operations.find(&spot.evidence) else { return };
    let p99 = |side: usize| {
        let latency = seen.figures(side, operation).latency;
        latency.quantile(0.99).filter(|_| latency.count() >= LEAST_SPANS).map(|ns| ns as i64)
    };
    let now = seen.figures(0, operation);
    let per_request = |n: u64| n as f64 / ranking.window_requests.max(1) as f64;
    row["calls_per_request"] = json!(per_request(now.spans));
    row["errors_per_request"] = json!(per_request(now.errors));
    row["p99_ns"] = json!(p99(0));
    row["baseline_p99_ns"] = json!(ranking.baseline_requests.and_then(|_| p99(1)));
}

/// The spans of an operation, as SQL over the view.
fn spans_of(operation: &Operation) -> String {
    format!(
        "service_name = {} AND name = {} AND kind = {}",
        quoted(&operation.service),
        quoted(&operation.operation),
        quoted(operation.kind.name())
    )
}

/// Typical traces of the hot spot among those that were kept: those whose span is nearest to the median of the slow
/// half. Fewer than [`EXEMPLARS`] when not enough were kept.
fn typical(seen: &Seen, spot: &Hotspot) -> Vec<String> {
    let operation = seen.operations.find(&spot.evidence);
    let on = |instance: u32| spot.instance.as_deref().is_none_or(|name| seen.operations.names.text(instance) == name);
    let spans = seen.kept(0).iter().filter(|span| Some(span.operation) == operation && on(span.instance));
    hex(typical_of(spans.map(|span| (span.own, span.trace)).collect(), EXEMPLARS))
}

fn hex(traces: Vec<u128>) -> Vec<String> {
    traces.into_iter().map(|trace| TraceId(trace.to_be_bytes()).to_string()).collect()
}

/// The same among all traces.
async fn exemplars(query: &Query, window: Window, scope: &Scope, spot: &Hotspot) -> Result<Vec<String>> {
    let instance = spot.instance.as_ref().map_or(String::new(), |i| format!(" AND instance_id = {}", quoted(i)));
    let members = members(scope, 0);
    let spans = format!("{} AND {}{instance}{members}", started_in(window), spans_of(&spot.evidence));
    let middle = number(query, &format!("SELECT quantile(self_time_ns, 0.75) FROM spans WHERE {spans}")).await?;
    let sql = format!(
        "SELECT trace_id FROM spans WHERE {spans} AND self_time_ns IS NOT NULL \
         ORDER BY abs(self_time_ns - {middle}), trace_id LIMIT {EXEMPLARS}"
    );
    Ok(read(query, &sql).await?.iter().map(|row| row.text("trace_id").to_owned()).collect())
}

/// What the metrics of its service say of a hot spot.
async fn vitals_of(query: &Query, windows: &[Window], sides: &Sides, spot: &Hotspot) -> Result<Vec<Vital>> {
    let series = vitals::gather(query, &spot.service, spot.instance.as_deref(), windows).await?;
    Ok(vitals::judge(&series, sides.window, sides.baseline))
}

/// The condition that keeps a side to the traces of its run, with `AND` before it.
fn members(scope: &Scope, side: usize) -> String {
    scope.members[side].as_ref().map_or(String::new(), |members| format!(" AND {members}"))
}

/// Traces of the window that are not assembled yet, about: in a burst there are millions.
async fn unsettled(query: &Query, scope: &Scope) -> Result<u64> {
    let unassembled = format!("{} AND tree_flags IS NULL{}", started_in(scope.window), members(scope, 0));
    let traces = format!("SELECT approx_distinct(arrow_cast(trace_id_bytes, 'Binary')) FROM spans WHERE {unassembled}");
    Ok(number(query, &traces).await? as u64)
}

/// What has to be said of spans that came faster than they could be written, and are only in the log.
fn waiting(query: &Query, window: Window) -> Option<Sentence> {
    let backlog = query.snapshot().table(Signal::Traces).backlog.as_ref()?;
    let rows: u64 = backlog.within(window.start, window.end - 1, 1).iter().map(Backlog::rows).sum();
    (rows > 0).then(|| {
        Sentence::new(
            format!(
                "{rows} spans wait to be written, since they come faster than that; they are taken in when they are"
            ),
            format!("{rows} 个 span 等待写入，因为到达速度更快；写入后即计入"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_reaches_into_a_run_is_cut_at_its_start() {
        let at = |seconds: i64| seconds * SECOND;
        let window = |start, end| Window { start: at(start), end: at(end) };
        let scope = |start: Option<i64>| {
            let parameters = [("start".to_owned(), "100".to_owned()), ("end".to_owned(), "200".to_owned())];
            let mut scope = Scope::parse(&parameters, at(300)).expect("a scope");
            scope.run_start = start.map(at);
            scope
        };
        assert_eq!(of_the_run(window(10, 130), &scope(Some(100))), window(100, 130), "its own part");
        assert_eq!(of_the_run(window(10, 104), &scope(Some(100))), window(10, 100), "which is too short here");
        assert_eq!(of_the_run(window(10, 90), &scope(Some(100))), window(10, 90), "before it");
        assert_eq!(of_the_run(window(10, 130), &scope(None)), window(10, 130), "no run");
    }
}
