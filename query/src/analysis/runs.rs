//! Stress-test runs as the window and the baseline of an analysis: `run=round-3&baseline_run=round-2`.
//!
//! A run stands for the time from its start to its end; `round-3@40k` for its stage from the mark `40k` on. Where spans
//! in that time carry `test.run.id` with the run's id or name, only their traces take part; else all of that time do.
//! Spans, or their resources, may also name a run that nobody began ([`named`]): it is the time from the first of them to the
//! last.

pub mod named;

use model::run::{RUN_ATTRIBUTE, Run, find};
use model::time::{MINUTE, SECOND};
use model::{Error, Nanos, Result, Tenant};

use super::Analysis;
use super::report::rfc3339;
use super::rows::read;
use super::scope::{self, Scope, Window, quoted, started_in};
use super::sentence::Sentence;
use super::timeline::SETTLE;
use crate::query::Query;
use crate::session::Engine;

/// A run that was asked for.
#[derive(Debug, Clone)]
struct Asked {
    run: Run,
    window: Window,
}

/// Reads the parameters of an analysis, runs among them.
pub async fn scope(query: &Query, analysis: &Analysis, parameters: &[(String, String)]) -> Result<Scope> {
    let given = |name: &str| parameters.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str());
    let sides = [("run", "start", "end"), ("baseline_run", "baseline_start", "baseline_end")];
    let (mut asked, mut times) = ([None, None], Vec::new());
    check_names(analysis, parameters)?;
    for (at, (name, start, end)) in sides.into_iter().enumerate() {
        let Some(run) = given(name) else { continue };
        let found = look_up(query, run).await?;
        // A part of the run may be asked for, as the page does when one zooms in.
        let bounds = [(start, found.window.start), (end, found.window.end)];
        times.extend(bounds.into_iter().filter(|(name, _)| given(name).is_none()));
        asked[at] = Some(found);
    }
    let times = times.into_iter().map(|(name, time)| (name.to_owned(), rfc3339(time)));
    let parameters: Vec<(String, String)> = parameters.iter().cloned().chain(times).collect();
    let mut scope = Scope::parse(&parameters, query.now())?;
    scope.run_start = asked[0].as_ref().map(|asked| asked.window.start);
    scope.run_end = asked[0].as_ref().and_then(|asked| asked.run.end);
    for (at, asked) in asked.iter().enumerate() {
        let Some(asked) = asked else { continue };
        let side = if at == 0 { &mut scope.window } else { scope.baseline.get_or_insert(asked.window) };
        *side = within(*side, asked)?;
        scope.members[at] = tagged(query, asked).await?;
    }
    // Another level of the same run is made of the run's traces, too.
    if let ([Some(run), None], Some(baseline)) = (&asked, scope.baseline)
        && run.window.start <= baseline.start
        && baseline.end <= run.window.end
    {
        scope.members[1] = scope.members[0].clone();
    }
    if let ([Some(a), Some(b)], [Some(_), Some(_)]) = (&asked, &scope.members)
        && a.window.start < b.window.end
        && b.window.start < a.window.end
        && a.run.id != b.run.id
        && analysis.name != super::run_diff::NAME
    {
        return Err(Error::invalid(format!("{} and {} ran at the same time", a.run.name, b.run.name))
            .hint(format!("{} compares such runs; others take one of them", super::run_diff::NAME)));
    }
    Ok(scope)
}

/// Says that a run has only just ended: the traces of its last seconds are still on their way, and left out.
pub fn too_fresh(scope: &Scope, now: Nanos) -> Option<Sentence> {
    let end = scope.run_end?;
    let left = (end.min(scope.window.end) + SETTLE - now + SECOND - 1) / SECOND;
    (left > 0).then(|| {
        Sentence::new(
            format!(
                "the run has only just ended: the traces of its last {left} s are not assembled yet and left out; \
                 ask again in {left} s for all of it"
            ),
            format!("压测刚结束：最后 {left} 秒的调用链尚未组装，未计入；{left} 秒后再查询即为完整结果"),
        )
    })
}

/// Refuses parameters that the analysis does not have: a misspelt one would be taken for its default.
fn check_names(analysis: &Analysis, parameters: &[(String, String)]) -> Result<()> {
    let known = || scope::PARAMETERS.iter().chain(analysis.parameters).map(|parameter| parameter.name);
    // `format` says how the answer is written.
    let unknown = |name: &str| name != "format" && known().all(|known| known != name);
    match parameters.iter().find(|(name, _)| unknown(name)) {
        None => Ok(()),
        Some((name, _)) => Err(Error::invalid(format!("{} has no parameter {name:?}", analysis.name))
            .hint(format!("there are {}", known().collect::<Vec<_>>().join(", ")))),
    }
}

/// The part of a window that lies in its run.
fn within(asked: Window, Asked { run, window }: &Asked) -> Result<Window> {
    let part = Window { start: asked.start.max(window.start), end: asked.end.min(window.end) };
    if part.start < part.end {
        return Ok(part);
    }
    let [start, end] = [window.start, window.end].map(rfc3339);
    Err(Error::invalid(format!("start and end lie outside of {}, which went from {start} to {end}", run.name))
        .hint("leave them out to ask about all of it"))
}

/// The run of this id or name, or the stage after its `@`.
async fn look_up(query: &Query, name: &str) -> Result<Asked> {
    let runs = &query.snapshot().runs;
    let until = |end: Option<i64>| end.unwrap_or(query.now());
    let window = |start, end| match end > start {
        true => Ok(Window { start, end }),
        false => Err(Error::invalid(format!("{name:?} has not begun yet"))),
    };
    let staged = name.rsplit_once('@').and_then(|(run, stage)| Some((find(runs, run)?, stage)));
    let named = match find(runs, name) {
        Some(run) => Some(run.clone()),
        // What was marked is known without a look at spans.
        None if staged.is_some_and(|(run, stage)| run.stage(stage).is_some()) => None,
        None => named_by_spans(query, Some(name)).await?.pop(),
    };
    if let Some(run) = named {
        return Ok(Asked { window: window(run.start, until(run.end))?, run });
    }
    let Some((run, stage)) = staged else {
        return Err(Error::not_found(format!("there is no run {name:?}"))
            .hint("GET /api/v1/runs lists them; a stage of a run is RUN@MARK"));
    };
    let Some((start, end)) = run.stage(stage) else {
        let marks: Vec<&str> = run.marks.iter().map(|m| m.name.as_str()).collect();
        return Err(Error::not_found(format!("the run {:?} has no mark {stage:?}", run.name))
            .hint(format!("its marks: {}", marks.join(", "))));
    };
    Ok(Asked { run: run.clone(), window: window(start, until(end))? })
}

/// Runs that spans name and nobody began, the latest ones.
const MOST_NAMED: usize = 1_000;
/// A run whose last span is older than this is over.
const SILENCE: Nanos = MINUTE;

/// The runs that only spans tell of, the latest if there are very many; or the one of an id.
async fn named_by_spans(query: &Query, id: Option<&str>) -> Result<Vec<Run>> {
    let known = &query.snapshot().runs;
    let run = |(id, (start, end)): (String, (Nanos, Nanos))| {
        let end = end.saturating_add(1);
        let over = query.now().saturating_sub(end) > SILENCE;
        Run { name: id.clone(), end: over.then_some(end), ..Run::begun(id, start) }
    };
    let found = named::named(query, id).await?.all().map(run);
    let mut found: Vec<Run> = found.filter(|run| find(known, &run.id).is_none()).collect();
    found.sort_by_key(|run| std::cmp::Reverse(run.start));
    found.truncate(MOST_NAMED);
    Ok(found)
}

/// All runs of a tenant in order of their start: those that were begun, and those that only spans tell of.
pub async fn all(engine: &Engine, tenant: &Tenant) -> Result<Vec<Run>> {
    let work = engine.run(tenant, |query| async move {
        let mut runs = query.snapshot().runs.to_vec();
        runs.extend(named_by_spans(&query, None).await?);
        runs.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
        Ok(runs)
    });
    work.await
}

/// The condition for spans that name the run, if there are any in its time.
async fn tagged(query: &Query, Asked { run, window }: &Asked) -> Result<Option<String>> {
    let names = format!("({}, {})", quoted(&run.id), quoted(&run.name));
    // Text has a column of its own; other values are in the JSON. Looking for the bytes first spares most spans its
    // reading.
    let names_it =
        |column: &str| format!("({column} LIKE '%\"{RUN_ATTRIBUTE}\"%' AND {column}->>'{RUN_ATTRIBUTE}' IN {names})");
    let (other, resource) = (names_it("other_attributes"), names_it("resource_attributes"));
    let carries = format!("(test_run_id IN {names} OR {other} OR {resource})");
    let sql = format!("SELECT 1 AS n FROM spans WHERE {} AND {carries} LIMIT 1", started_in(*window));
    let any = read(query, &sql).await?.iter().next().is_some();
    // Spans of a trace start about when its request does.
    let near = Window { start: window.start - MINUTE, end: window.end + 10 * MINUTE };
    Ok(any.then(|| format!("({} AND {carries})", started_in(near))))
}

/// The condition on spans that their trace takes part; `None` when all do.
pub fn membership(scope: &Scope) -> Option<String> {
    let [window, baseline] = &scope.members;
    let sides = match (window, baseline, scope.baseline) {
        (None, None, _) => return None,
        (Some(members), None, None) => vec![members.clone()],
        (window, baseline, range) => {
            // A side without members of its own is all of its time.
            let all = |range: Window| format!("({})", started_in(range));
            let window = window.clone().unwrap_or_else(|| all(scope.window));
            vec![window, baseline.clone().unwrap_or_else(|| range.map_or("FALSE".to_owned(), all))]
        }
    };
    Some(format!("trace_id IN (SELECT trace_id FROM spans WHERE {})", sides.join(" OR ")))
}

/// The question about one side alone, the baseline's window being the window.
pub fn side(scope: &Scope, is_baseline: bool) -> Option<Scope> {
    let mut side = scope.clone();
    side.window = if is_baseline { scope.baseline? } else { scope.window };
    side.members = [scope.members[usize::from(is_baseline)].clone(), None];
    side.baseline = None;
    Some(side)
}
