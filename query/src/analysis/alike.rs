//! Of calls that one span makes one after the other: which part of them say the same. The spans that hot spots are learnt
//! from know only their operation, and one operation may ask many questions; so where many calls of one follow each other,
//! what some of them said is looked up.
//!
//! ```text
//! kept spans ─doubtful─▶ families of an operation with long runs ─some of them, by trace─▶ statements, servers ─▶ part
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use model::trace::SpanKind;
use model::{Result, TraceId};

use super::called::Operations;
use super::learn::{LONG_RUN, longest_run};
use super::names::{NONE, Names};
use super::observe::Kept;
use super::parents::Parents;
use super::rows::read;
use super::scope::{Window, near, started_in};
use super::statements::{STATEMENT, Shapes};
use crate::query::Query;

/// Families of each operation that are looked at. Of so many a part is known within a sixth.
const FAMILIES: usize = 40;
/// Traces that are looked up for all operations of a side.
const MOST_TRACES: usize = 200;

/// Long runs of calls of one operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Runs {
    /// The part of them that say the same: 1 where nothing is known.
    pub alike: f64,
    /// What most of these say.
    pub statement: Option<String>,
}

/// By operation. Those without long runs are left out.
pub type Alike = HashMap<u32, Runs>;

/// Calls of one operation under one parent, in order of start.
struct Family {
    operation: u32,
    calls: Vec<Kept>,
}

/// What is looked up of the spans of one window, which are sorted by trace.
pub async fn alike(query: &Query, window: Window, spans: &[Kept], operations: &Operations) -> Result<Alike> {
    let families = doubtful(spans, operations);
    let Some(traces) = quoted_traces(&families) else { return Ok(Alike::new()) };
    let sql = format!(
        "SELECT trace_id, span_id, {STATEMENT} AS statement, coalesce(server_address, network_peer_address) AS server \
         FROM spans WHERE trace_id IN ({traces}) AND kind = 'CLIENT' AND {} AND {}",
        started_in(near(window)),
        "coalesce(db_query_text, db_statement, db_query_summary, server_address, network_peer_address) IS NOT NULL",
    );
    let (mut names, mut shapes, mut said) = (Names::default(), Shapes::default(), HashMap::new());
    for row in read(query, &sql).await?.iter() {
        let server = row.some_text("server").map_or(NONE, |server| names.number(server));
        let statement = shapes.number(row.some_text("statement"), &mut names);
        said.insert((row.text("trace_id").to_owned(), row.text("span_id").to_owned()), Said { statement, server });
    }
    Ok(parts(&families, &names, |call| said.get(&key(call)).copied().unwrap_or_default()))
}

/// Numbers of texts; [`NONE`] where nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Said {
    statement: u32,
    server: u32,
}

fn key(call: &Kept) -> (String, String) {
    (TraceId(call.trace.to_be_bytes()).to_string(), format!("{:016x}", call.span))
}

/// Some families of each operation that have long runs.
fn doubtful(spans: &[Kept], operations: &Operations) -> Vec<Family> {
    let mut found: Vec<Family> = Vec::new();
    let mut counts: HashMap<u32, usize> = HashMap::new();
    let mut traces = HashSet::new();
    for trace in spans.chunk_by(|a, b| a.trace == b.trace) {
        for family in families(trace, operations) {
            let count = counts.entry(family.operation).or_default();
            let is_new = !traces.contains(&trace[0].trace);
            if *count < FAMILIES && (!is_new || traces.len() < MOST_TRACES) {
                *count += 1;
                traces.insert(trace[0].trace);
                found.push(family);
            }
        }
    }
    found
}

/// Those of one trace with long runs.
fn families(trace: &[Kept], operations: &Operations) -> Vec<Family> {
    if trace.len() <= LONG_RUN {
        return Vec::new();
    }
    let kind = |span: &Kept| operations.kind(span.operation);
    let parents = Parents::of(trace.iter().map(|span| (span.span, kind(span))));
    let mut by_parent: HashMap<(usize, u32), Vec<Kept>> = HashMap::new();
    for (at, span) in trace.iter().enumerate().filter(|(_, span)| kind(span) == SpanKind::Client) {
        match parents.above(span.span, span.parent, kind(span)) {
            Some(parent) if parent != at => by_parent.entry((parent, span.operation)).or_default().push(*span),
            _ => {}
        }
    }
    let mut found: Vec<((usize, u32), Vec<Kept>)> =
        by_parent.into_iter().filter(|(_, calls)| calls.len() >= LONG_RUN).collect();
    found.sort_unstable_by_key(|(key, _)| *key);
    let family = |((_, operation), mut calls): ((usize, u32), Vec<Kept>)| {
        calls.sort_unstable_by_key(|call| (call.start, call.end));
        Family { operation, calls }
    };
    found.into_iter().map(family).filter(|family| run_of(family.calls.iter()) >= LONG_RUN).collect()
}

fn run_of<'a>(calls: impl Iterator<Item = &'a Kept>) -> usize {
    longest_run(&calls.collect::<Vec<_>>()) as usize
}

/// The ids of their traces as SQL literals; `None` of none.
fn quoted_traces(families: &[Family]) -> Option<String> {
    let mut traces: Vec<u128> = families.iter().map(|family| family.calls[0].trace).collect();
    traces.sort_unstable();
    traces.dedup();
    let quoted = |trace: &u128| format!("'{}'", TraceId(trace.to_be_bytes()));
    (!traces.is_empty()).then(|| traces.iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// What was seen of the families of one operation.
#[derive(Default)]
struct Sums {
    /// The longest runs of calls that say the same, and of all.
    alike: usize,
    all: usize,
    by_statement: BTreeMap<u32, usize>,
}

/// Of each operation the longest runs of calls that say the same, as a part of its longest runs.
fn parts(families: &[Family], names: &Names, said: impl Fn(&Kept) -> Said) -> Alike {
    let mut sums: HashMap<u32, Sums> = HashMap::new();
    for Family { operation, calls } in families {
        let said: Vec<Said> = calls.iter().map(&said).collect();
        let statements: BTreeSet<u32> = said.iter().map(|said| said.statement).collect();
        let of_one = |statement: u32| {
            let same = || said.iter().zip(calls).filter(move |(said, _)| said.statement == statement);
            let servers: HashSet<u32> = same().map(|(said, _)| said.server).filter(|server| *server != NONE).collect();
            // Each to a server of its own: one question to many.
            if servers.len() > 1 && servers.len() == same().count() { 1 } else { run_of(same().map(|(_, call)| call)) }
        };
        let runs = statements.into_iter().map(|statement| (of_one(statement), statement));
        let (longest, statement) = runs.max().unwrap_or((1, NONE));
        let sum = sums.entry(*operation).or_default();
        sum.alike += longest;
        sum.all += run_of(calls.iter());
        *sum.by_statement.entry(statement).or_default() += longest;
    }
    let runs = |sum: Sums| Runs {
        alike: sum.alike as f64 / sum.all.max(1) as f64,
        statement: sum
            .by_statement
            .into_iter()
            .max_by_key(|(_, runs)| *runs)
            .and_then(|(statement, _)| names.some_text(statement).map(str::to_owned)),
    };
    sums.into_iter().map(|(operation, sum)| (operation, runs(sum))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty calls of 10 ns of operation 1 below operation 0, one after the other.
    fn trace(number: u128) -> Vec<Kept> {
        let span = |span: u64, parent: u64, operation: u32, start: i64, end: i64| Kept {
            trace: number,
            span,
            parent,
            operation,
            instance: NONE,
            entered: 0,
            start,
            end,
            own: 0,
            failed: false,
        };
        let call = |n: u64| span(n + 2, 1, 1, 10 * n as i64, 10 * n as i64 + 10);
        std::iter::once(span(1, 0, 0, 0, 300)).chain((0..20).map(call)).collect()
    }

    fn operations() -> Operations {
        let names = ["shop", "GET /item", "SERVER", "SELECT shop", "CLIENT", "db"].map(str::to_owned);
        Operations::of_parts(&names, &[[1, 2, 3, 0, 0, 0], [1, 4, 5, 6, 0, 6]]).expect("numbers that point somewhere")
    }

    fn part(said: impl Fn(&Kept) -> Said) -> f64 {
        runs(said).alike
    }

    fn runs(said: impl Fn(&Kept) -> Said) -> Runs {
        let spans: Vec<Kept> = (1..=100).flat_map(trace).collect();
        let families = doubtful(&spans, &operations());
        assert_eq!(families.len(), FAMILIES);
        let mut names = Names::default();
        ["select a", "select b"].iter().for_each(|text| assert_ne!(names.number(text), NONE));
        (3..30).for_each(|n| assert_eq!(names.number(&format!("select {n}")), n));
        let mut found = parts(&families, &names, said);
        assert_eq!(found.len(), 1);
        found.remove(&1).expect("the operation")
    }

    #[test]
    fn calls_that_say_the_same_are_told_from_those_that_do_not() {
        let nobody = NONE;
        assert_eq!(part(|_| Said::default()), 1.0, "nothing is known");
        assert_eq!(part(|_| Said { statement: 1, server: nobody }), 1.0);
        assert_eq!(part(|call| Said { statement: call.span as u32, server: nobody }), 1.0 / 20.0);
        // Two in turn: ten of each.
        assert_eq!(part(|call| Said { statement: 1 + call.span as u32 % 2, server: nobody }), 0.5);
        assert_eq!(part(|call| Said { statement: 1, server: call.span as u32 }), 1.0 / 20.0, "to twenty shards");
        assert_eq!(part(|call| Said { statement: 1, server: 1 + call.span as u32 % 3 }), 1.0, "to three replicas");
        let mostly = runs(|call| Said { statement: if call.span % 5 == 0 { 2 } else { 1 }, server: nobody });
        assert_eq!((mostly.alike, mostly.statement.as_deref()), (0.8, Some("select a")));
    }

    #[test]
    fn short_families_are_not_looked_up() {
        let few: Vec<Kept> = (1..=9).flat_map(|n| trace(n).into_iter().take(LONG_RUN)).collect();
        assert!(doubtful(&few, &operations()).is_empty());
        assert_eq!(quoted_traces(&[]), None);
    }
}
