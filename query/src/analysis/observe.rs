//! Fills what the ranking is computed from: the cube of a window by SQL over all of its spans, and the facts that
//! sharpen a category from a part of its traces.

use std::collections::HashMap;

use model::Result;
use model::time::SECOND;
use model::trace::{SpanKind, flag};

use super::operations::PEER;
use super::ranking::{
    CellStat, Details, FactBook, Observed, Operation, OperationKey, Peer, PeerKind, Place, RequestStat,
};
use super::rows::{Rows, read, read_sketches};
use super::scope::{Scope, Window, entered_in, quoted, started_in};
use crate::query::Query;

/// The bootstrap needs bins, not many: this many at most.
const MOST_BINS: i64 = 120;
/// Spans whose relations are looked at for the facts of one side.
const FACT_SPANS: i64 = 60_000;

/// The columns that make an [`Operation`].
const OPERATION: &str = "service_name, name, kind, db, msg, peer";

fn selected() -> String {
    format!(
        "service_name, name, kind, coalesce(db_system_name, db_system) AS db, messaging_system AS msg, {PEER} AS peer"
    )
}

fn operation(rows: &Rows, row: usize) -> Operation {
    let kind = SpanKind::parse(rows.text("kind", row));
    let peer = rows.some_text("peer", row).map(|name| Peer {
        name: name.to_owned(),
        kind: PeerKind::of(rows.some_text("db", row), rows.some_text("msg", row)),
    });
    Operation {
        service: rows.text("service_name", row).to_owned(),
        operation: rows.text("name", row).to_owned(),
        kind,
        peer,
    }
}

fn entry(rows: &Rows, row: usize) -> Place {
    Place {
        service: rows.text("entry_service", row).to_owned(),
        operation: rows.text("entry_operation", row).to_owned(),
    }
}

/// The cube of a window. `service` and `operation` of the scope choose entry operations.
pub async fn observe(query: &Query, scope: &Scope, window: Window) -> Result<Observed> {
    let bin = ((window.end - window.start) / MOST_BINS).max(SECOND);
    let bins = ((window.end - window.start + bin - 1) / bin) as u32;
    let entries = entries(scope);
    let sql = format!(
        "SELECT entry_service, entry_operation, instance_id, {OPERATION}, b, count(*) AS n, \
                CAST(sum(critical_path_ns) AS DOUBLE) AS critical, CAST(sum(duration_ns) AS DOUBLE) AS duration, \
                sum(CASE WHEN status_code = 'ERROR' THEN 1 ELSE 0 END) AS errors \
         FROM (SELECT entry_service, entry_operation, instance_id, {}, critical_path_ns, duration_ns, status_code, \
                      (CAST(entry_start_time AS BIGINT) - {}) / {bin} AS b \
               FROM spans WHERE {}{entries}) \
         GROUP BY entry_service, entry_operation, instance_id, {OPERATION}, b",
        selected(),
        window.start,
        entered_in(window),
    );
    let mut observed = Observed { bins, bin_seconds: bin as f64 / SECOND as f64, ..Observed::default() };
    for rows in read(&query.rows(&sql, vec![]).await?)? {
        for row in 0..rows.len() {
            let instance = rows.text("instance_id", row).to_owned();
            observed.cells.push(CellStat {
                key: OperationKey { entry: entry(&rows, row), operation: operation(&rows, row), instance },
                bin: rows.int("b", row) as u32,
                spans: rows.int("n", row) as u64,
                critical_ns: rows.float("critical", row),
                errors: rows.int("errors", row) as u64,
                duration_ns: rows.float("duration", row),
            });
        }
    }
    let sql = format!(
        "SELECT entry_service, entry_operation, (CAST(start_time AS BIGINT) - {}) / {bin} AS b, \
                sketch(duration_ns) AS s, CAST(sum(duration_ns) AS DOUBLE) AS duration, \
                sum(CASE WHEN status_code = 'ERROR' THEN 1 ELSE 0 END) AS errors \
         FROM spans WHERE {} AND (tree_flags & {}) <> 0{entries} GROUP BY 1, 2, 3",
        window.start,
        started_in(window),
        flag::ENTRY,
    );
    for (rows, sketches) in read_sketches(&query.rows(&sql, vec![]).await?, "s")? {
        for (row, latency) in sketches.into_iter().enumerate() {
            observed.requests.push(RequestStat {
                entry: entry(&rows, row),
                bin: rows.int("b", row) as u32,
                latency,
                duration_ns: rows.float("duration", row),
                errors: rows.int("errors", row) as u64,
            });
        }
    }
    Ok(observed)
}

fn entries(scope: &Scope) -> String {
    let columns = [("entry_service", &scope.service), ("entry_operation", &scope.operation)];
    let given = columns.iter().filter_map(|(c, v)| v.as_ref().map(|v| format!(" AND {c} = {}", quoted(v))));
    given.chain(super::runs::membership(scope).map(|members| format!(" AND {members}"))).collect()
}

/// A span as far as the facts need it.
struct Seen {
    operation: Operation,
    parent: String,
    start: i64,
    end: i64,
    own: i64,
    failed: bool,
}

/// Sums of what [`Details`] are the means of.
#[derive(Default)]
struct Sums {
    own: Vec<i64>,
    waits: Vec<i64>,
    repeats: u64,
    runs: u64,
    parents: u64,
}

/// Adds the facts of one side to the book.
pub async fn learn(query: &Query, scope: &Scope, window: Window, is_baseline: bool, book: &mut FactBook) -> Result<()> {
    let condition = format!("{}{}", entered_in(window), entries(scope));
    let count = format!("SELECT count(*) AS n FROM spans WHERE {condition}");
    let total: i64 =
        read(&query.rows(&count, vec![]).await?)?.iter().filter(|r| !r.is_empty()).map(|r| r.int("n", 0)).sum();
    let part = match total > FACT_SPANS {
        true => format!(" AND substr(trace_id, 29, 4) < '{:04x}'", (65_536 * FACT_SPANS / total).clamp(1, 65_535)),
        false => String::new(),
    };
    let sql = format!(
        "SELECT trace_id, span_id, parent_span_id, {}, CAST(start_time AS BIGINT) AS start, \
                CAST(end_time AS BIGINT) AS finish, self_time_ns, status_code \
         FROM spans WHERE {condition}{part} ORDER BY trace_id",
        selected()
    );
    let mut sums: HashMap<Operation, Sums> = HashMap::new();
    let mut relations: HashMap<(Operation, Operation), u64> = HashMap::new();
    let mut trace: HashMap<String, Seen> = HashMap::new();
    let mut current = String::new();
    for rows in read(&query.rows(&sql, vec![]).await?)? {
        for row in 0..rows.len() {
            let id = rows.text("trace_id", row);
            if id != current {
                look_at(&trace, &mut sums, &mut relations);
                trace.clear();
                id.clone_into(&mut current);
            }
            let seen = Seen {
                operation: operation(&rows, row),
                parent: rows.text("parent_span_id", row).to_owned(),
                start: rows.int("start", row),
                end: rows.int("finish", row),
                own: rows.int("self_time_ns", row),
                failed: rows.text("status_code", row) == "ERROR",
            };
            trace.insert(rows.text("span_id", row).to_owned(), seen);
        }
    }
    look_at(&trace, &mut sums, &mut relations);
    for (operation, sums) in sums {
        let facts = book.entry(operation).or_default();
        let details = if is_baseline { &mut facts.baseline } else { &mut facts.window };
        *details = sums.details();
    }
    // The most frequent relation of each operation; the window's, which is learnt first, wins over the baseline's.
    let mut relations: Vec<_> = relations.into_iter().collect();
    relations.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    for ((parent, child), _) in relations {
        if parent.kind == SpanKind::Client && child.kind == SpanKind::Server {
            let place = Place { service: child.service.clone(), operation: child.operation.clone() };
            book.entry(parent.clone()).or_default().callee.get_or_insert(place);
        }
        book.entry(child).or_default().parent.get_or_insert(parent);
    }
    Ok(())
}

impl Sums {
    fn details(mut self) -> Details {
        self.own.sort_unstable();
        let quantile =
            |q: f64| self.own.get(((self.own.len() as f64 * q) as usize).min(self.own.len().saturating_sub(1)));
        let mean = |sum: f64, n: usize| (n > 0).then(|| sum / n as f64);
        Details {
            wait_before_first_child_ns: mean(self.waits.iter().sum::<i64>() as f64, self.waits.len()),
            exclusive_p10_ns: quantile(0.1).map(|v| *v as f64),
            exclusive_p50_ns: quantile(0.5).map(|v| *v as f64),
            repeats_per_parent: mean(self.repeats as f64, self.parents as usize),
            sequential_siblings: mean(self.runs as f64, self.parents as usize),
        }
    }
}

/// Adds one trace's spans.
fn look_at(
    trace: &HashMap<String, Seen>,
    sums: &mut HashMap<Operation, Sums>,
    relations: &mut HashMap<(Operation, Operation), u64>,
) {
    let mut children: HashMap<&str, Vec<&Seen>> = HashMap::new();
    for span in trace.values() {
        sums.entry(span.operation.clone()).or_default().own.push(span.own);
        if let Some(parent) = trace.get(&span.parent) {
            children.entry(&span.parent).or_default().push(span);
            *relations.entry((parent.operation.clone(), span.operation.clone())).or_default() += 1;
        }
    }
    for (parent, mut children) in children {
        children.sort_by_key(|c| (c.start, c.end));
        let parent = &trace[parent];
        let wait = (children[0].start - parent.start).max(0);
        sums.entry(parent.operation.clone()).or_default().waits.push(wait);
        let mut like: HashMap<&Operation, Vec<&Seen>> = HashMap::new();
        for child in children {
            like.entry(&child.operation).or_default().push(child);
        }
        for (operation, siblings) in like {
            let sums = sums.entry(operation.clone()).or_default();
            sums.parents += 1;
            sums.repeats +=
                siblings.windows(2).filter(|pair| pair[0].failed && pair[1].start >= pair[0].end).count() as u64;
            sums.runs += longest_run(&siblings);
        }
    }
}

/// The longest run of siblings, in order of start, each of which starts when the one before has ended.
fn longest_run(siblings: &[&Seen]) -> u64 {
    let (mut longest, mut run) = (1, 1);
    for pair in siblings.windows(2) {
        run = if pair[1].start >= pair[0].end { run + 1 } else { 1 };
        longest = longest.max(run);
    }
    longest
}
