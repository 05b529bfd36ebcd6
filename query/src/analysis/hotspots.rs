//! Hot spots: which operation limits the system, with evidence. The window is the current load level unless one is
//! given, the baseline the level before it; [`super::ranking`] decides, this gathers and looks up examples.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use model::Result;
use model::time::MINUTE;
use serde_json::{Value, json};

use super::observe::{learn, observe};
use super::ranking::{self, Attribute, FactBook, Hotspot, Operation, Ranking, Settings};
use super::report::{Report, rfc3339};
use super::rows::read;
use super::scope::{Scope, Window, quoted, started_in};
use super::timeline::{Timeline, settled};
use super::{Analysis, Parameter, Running, compare};
use crate::query::Query;

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
const EXEMPLARS: i64 = 5;
const EXEMPLIFIED: usize = 5;
/// Hot spots for which the attributes of slow spans are compared.
const NARROWED: usize = 3;

fn schema() -> SchemaRef {
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let float = |name: &str| Field::new(name, DataType::Float64, true);
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![int("rank")];
    fields.extend(["service", "operation", "span_kind", "category", "peer", "instance", "attribute"].map(text));
    fields.extend([int("critical_path_ns_per_request"), float("share_of_latency"), int("change_ns_per_request")]);
    fields.extend([float("confidence"), text("callers"), text("explanation"), text("exemplars")]);
    Arc::new(Schema::new(fields))
}

/// What is compared with what.
struct Sides {
    window: Window,
    baseline: Option<Window>,
}

/// The given window and baseline, else those that the load levels suggest.
async fn sides(query: &Query, scope: &Scope) -> Result<Sides> {
    let window = settled(scope.window, query.now());
    if let Some(baseline) = scope.baseline {
        return Ok(Sides { window, baseline: Some(baseline) });
    }
    let from = if scope.window_given { window.start - LOOK_BACK } else { window.start };
    let all = scope.without_filters();
    let timeline = Timeline::read(query, &all, Window { start: from, end: window.end }).await?;
    let (current, baseline) = timeline.current_and_baseline(scope.window_given.then_some(window));
    let window = current.map_or(window, |level| timeline.window_of(&level));
    Ok(Sides { window, baseline: baseline.map(|level| timeline.window_of(&level)) })
}

async fn run(query: Query, scope: Scope) -> Result<Report> {
    let sides = sides(&query, &scope).await?;
    let settings = Settings { limit: scope.number("limit", 10, 1, 100)? as usize, ..Settings::default() };
    let window = observe(&query, &scope, sides.window).await?;
    let mut facts = FactBook::new();
    learn(&query, &scope, sides.window, false, &mut facts).await?;
    let baseline = match sides.baseline {
        Some(range) => {
            learn(&query, &scope, range, true, &mut facts).await?;
            Some(observe(&query, &scope, range).await?)
        }
        None => None,
    };
    let mut ranking = ranking::rank(&window, baseline.as_ref(), &facts, &settings);
    for (at, spot) in ranking.hotspots.iter_mut().enumerate() {
        if at < EXEMPLIFIED {
            spot.exemplars = exemplars(&query, sides.window, &spot.evidence, spot.instance.as_deref()).await?;
        }
        if at < NARROWED && spot.instance.is_none() {
            spot.attribute = confined_to(&query, &sides, &spot.evidence).await?;
        }
    }
    let unsettled = unsettled(&query, scope.window).await?;
    let mut report = Report::new("hotspots", answer(&sides, &ranking)?);
    report.unsettled = unsettled;
    Ok(report)
}

fn answer(sides: &Sides, ranking: &Ranking) -> Result<Value> {
    let side = |window: Window, requests: Option<u64>| json!({"start": rfc3339(window.start), "end": rfc3339(window.end), "requests": requests});
    let spot = |spot: &Hotspot| {
        serde_json::to_value(spot).map_err(|e| model::Error::internal(format!("writing a hot spot: {e}")))
    };
    let spots = ranking.hotspots.iter().map(spot).collect::<Result<Vec<Value>>>()?;
    Ok(json!({
        "window": side(sides.window, Some(ranking.window_requests)),
        "baseline": sides.baseline.map(|window| side(window, ranking.baseline_requests)),
        "verdict": ranking.verdict,
        "worse": ranking.worse,
        "hotspots": spots,
    }))
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

/// Typical traces of the hot spot: those whose span is nearest to the median of the slow half.
async fn exemplars(
    query: &Query,
    window: Window,
    operation: &Operation,
    instance: Option<&str>,
) -> Result<Vec<String>> {
    let instance = instance.map_or(String::new(), |i| format!(" AND instance_id = {}", quoted(i)));
    let spans = format!("{} AND {}{instance}", started_in(window), spans_of(operation));
    let sql = format!("SELECT quantile(self_time_ns, 0.75) AS m FROM spans WHERE {spans}");
    let middle: i64 =
        read(&query.rows(&sql, vec![]).await?)?.iter().filter(|r| !r.is_empty()).map(|r| r.int("m", 0)).sum();
    let sql = format!(
        "SELECT trace_id FROM spans WHERE {spans} AND self_time_ns IS NOT NULL \
         ORDER BY abs(self_time_ns - {middle}), trace_id LIMIT {EXEMPLARS}"
    );
    let found = read(&query.rows(&sql, vec![]).await?)?;
    let ids = found.iter().flat_map(|rows| (0..rows.len()).map(move |row| rows.text("trace_id", row).to_owned()));
    Ok(ids.collect())
}

/// The attribute value to which the slow spans of an operation are confined, if there is one: nearly all slow spans
/// have it, and few of the others.
async fn confined_to(query: &Query, sides: &Sides, operation: &Operation) -> Result<Option<Attribute>> {
    let Some(baseline) = sides.baseline else { return Ok(None) };
    let sql = format!(
        "SELECT quantile(duration_ns, 0.99) AS p FROM spans WHERE {} AND {}",
        started_in(baseline),
        spans_of(operation)
    );
    let slow: i64 =
        read(&query.rows(&sql, vec![]).await?)?.iter().filter(|r| !r.is_empty()).map(|r| r.int("p", 0)).sum();
    if slow == 0 {
        return Ok(None);
    }
    let parameters = [
        ("service", operation.service.clone()),
        ("operation", operation.operation.clone()),
        ("kind", operation.kind.name().to_owned()),
        ("start", rfc3339(sides.window.start)),
        ("end", rfc3339(sides.window.end)),
        ("sel_min_ns", slow.to_string()),
    ];
    let parameters: Vec<_> = parameters.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    let scope = Scope::parse(&parameters, query.now())?;
    let report = compare::run(query.clone(), scope).await?;
    Ok(report.json["differences"].as_array().into_iter().flatten().find_map(confining))
}

/// Shares that make a value the place of a problem rather than a hint.
const MOST_OF_SLOW: f64 = 0.8;
const FEW_OF_OTHERS: f64 = 0.35;

fn confining(difference: &Value) -> Option<Attribute> {
    let number = |name: &str| difference[name].as_f64().unwrap_or(0.0);
    let confined = number("selection_share") >= MOST_OF_SLOW
        && number("baseline_share") <= FEW_OF_OTHERS
        && number("selection_coverage") >= MOST_OF_SLOW
        && number("selection_count") >= 10.0;
    // What a span says of itself because it was slow or failed is no cause; nor is what `instance` stands for.
    let key = difference["key"].as_str()?;
    let effect =
        matches!(key, "status" | "instance" | "name" | "error.type" | "http.response.status_code" | "thread.name");
    let resource = difference["scope"] == "resource";
    (confined && !effect && !resource)
        .then(|| Attribute { key: key.to_owned(), value: difference["value"].as_str().unwrap_or_default().to_owned() })
}

/// Traces of the window that are not assembled yet.
async fn unsettled(query: &Query, window: Window) -> Result<u64> {
    let sql =
        format!("SELECT count(DISTINCT trace_id) AS n FROM spans WHERE {} AND tree_flags IS NULL", started_in(window));
    Ok(read(&query.rows(&sql, vec![]).await?)?.iter().filter(|r| !r.is_empty()).map(|r| r.int("n", 0) as u64).sum())
}
