//! The trees of a window, one after the other, in bounded memory: for analyses that need whole ones and cannot be said in
//! SQL. A trace is one tree for each of its entries ([`model::trace`]): a message begins one where it is taken.
//!
//! ```text
//! spans by time of entry ─▶ slices of at most SLICE spans ─▶ buckets by trace ─▶ sort ─▶ one tree at a time
//! ```
//! All spans of a tree have the same entry time, so a slice of time holds whole trees, and files of other times stay
//! closed. A moment with more spans than a slice holds is read several times, for a part of its traces each.

use arrow::array::RecordBatch;
use model::Result;
use model::schema::column;
use model::trace::{SpanKind, flag};

use super::batch::{id, ids, int, ints, trace_id};
use super::called::{self, Called, Operations};
use super::names::{NONE, TextColumn};
use super::rows::read;
use super::sample::{Part, hash};
use super::scope::{Scope, Window, entered_in};
use super::statements::{STATEMENT, Shapes};
use crate::fold::Fold;
use crate::query::Query;

/// Spans held at once, about, where there is memory for them: 80 bytes each.
pub const SLICE: u64 = 1_500_000;
/// Bytes of a span that is held, with the room that lists leave to grow.
const HELD: u64 = 2 * size_of::<SpanRecord>() as u64;
/// Fewer at once would read files again and again for little.
const LEAST_SLICE: u64 = 5_000;
/// Bins in which spans are counted to cut slices.
const BINS: i64 = 512;
/// Sorting many small pieces is faster than sorting a large one, and only one is copied at a time.
const BUCKETS: usize = 64;

/// A span as far as trees need it.
#[derive(Debug, Clone, Copy)]
pub struct SpanRecord {
    pub trace: u128,
    pub span: u64,
    /// 0 for none: no span has that id.
    pub parent: u64,
    /// When its tree was entered: what tells trees of a trace apart.
    pub entry: i64,
    pub start: i64,
    pub end: i64,
    /// Self time and critical path, ns.
    pub own: i64,
    pub critical: i64,
    pub operation: u32,
    /// `model::trace::flag`.
    pub flags: u16,
    pub failed: bool,
}

impl SpanRecord {
    /// A request: the entry of a tree that is neither an orphan's nor a consumer's, and no copy.
    pub fn is_request(&self) -> bool {
        let not_one = flag::ORPHAN | flag::ASYNC_ROOT | flag::DUPLICATE;
        i64::from(self.flags) & (flag::ENTRY | not_one) == flag::ENTRY
    }
}

/// How trees are read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Spans held at once.
    pub slice: u64,
    /// Spans read in all; of more, an even part of the traces.
    pub most: u64,
}

/// Calls `visit` with the spans of each tree that was entered in the window, in order of start. `service` and
/// `operation` of the scope choose trees by their entry. Answers which part of the traces was read.
pub async fn each_tree(
    query: &Query,
    scope: &Scope,
    window: Window,
    limits: Limits,
    operations: &mut Operations,
    visit: &mut (dyn FnMut(&Operations, &[SpanRecord]) + Send),
) -> Result<Part> {
    each_tree_in((query, scope, window), limits, Detail::Operations, operations, visit).await
}

/// What the operation of a span is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    #[default]
    Operations,
    /// Of calls the operation narrowed to what is said to which server ([`Operations::narrowed`]).
    Calls,
}

/// The same with so much detail.
pub async fn each_tree_in(
    (query, scope, window): (&Query, &Scope, Window),
    limits: Limits,
    detail: Detail,
    operations: &mut Operations,
    visit: &mut (dyn FnMut(&Operations, &[SpanRecord]) + Send),
) -> Result<Part> {
    let counts = counts(query, scope, window).await?;
    let total: u64 = counts.iter().map(|(_, n)| n).sum();
    let mut part = Part::ALL;
    while total / part.one_in() > limits.most {
        part = part.halved();
    }
    let most = room(query.settings().analyses_bytes() as u64, limits.slice);
    for slice in slices(&counts, most.saturating_mul(part.one_in())) {
        for share in 0..slice.shares {
            let sql = sql(scope, slice.window, detail);
            let empty = || Slice { part, detail, shares: slice.shares, share, ..Slice::default() };
            let mut folded = query.fold(&sql, empty).await?;
            let (_, numbers) = operations.take_in(&folded.fold.operations);
            for bucket in &mut folded.fold.buckets {
                let mut spans = std::mem::take(bucket).concat();
                spans.sort_unstable_by_key(|span| (span.trace, span.entry, span.start, span.span));
                spans.iter_mut().for_each(|span| span.operation = numbers[span.operation as usize]);
                let trees = spans.chunk_by(|a, b| (a.trace, a.entry) == (b.trace, b.entry));
                trees.for_each(|tree| visit(operations, tree));
                // A query that nobody waits for any more ends here.
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(part)
}

/// So many spans at once that another question like this has room beside it in what analyses may take.
fn room(analyses_bytes: u64, most: u64) -> u64 {
    most.min((analyses_bytes / 2 / HELD).max(LEAST_SLICE))
}

fn sql(scope: &Scope, window: Window, detail: Detail) -> String {
    let statement = if detail == Detail::Calls { format!(", {STATEMENT} AS statement") } else { String::new() };
    format!(
        "SELECT trace_id_bytes, span_id_bytes, parent_span_id_bytes, {}, {}, {}, {}, self_time_ns, \
                critical_path_ns, status_code, tree_flags{statement} \
         FROM spans WHERE {}{}",
        called::columns(),
        column::START,
        column::END,
        column::ENTRY_START,
        entered_in(window),
        scope.entries(&[window]),
    )
}

/// Spans by time of entry: bins with how many entered in each, in order.
async fn counts(query: &Query, scope: &Scope, window: Window) -> Result<Vec<(Window, u64)>> {
    let bin = ((window.end - window.start) / BINS + 1).max(1);
    let sql = format!(
        "SELECT ({} - {}) / {bin} AS b, count(*) AS n FROM spans WHERE {}{} GROUP BY 1 ORDER BY 1",
        column::ENTRY_START,
        window.start,
        entered_in(window),
        scope.entries(&[window]),
    );
    let found = read(query, &sql).await?;
    let counted = |row: super::rows::Row| {
        let start = window.start + row.int("b") * bin;
        (Window { start, end: (start + bin).min(window.end) }, row.int("n") as u64)
    };
    Ok(found.iter().map(counted).collect())
}

/// A piece of the window, read `shares` times for a share of its traces each.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    window: Window,
    shares: u64,
}

fn slices(counts: &[(Window, u64)], most: u64) -> Vec<Piece> {
    let mut slices: Vec<(Window, u64)> = Vec::new();
    for &(window, n) in counts {
        match slices.last_mut() {
            Some((slice, held)) if *held + n <= most => {
                slice.end = window.end;
                *held += n;
            }
            _ => slices.push((window, n)),
        }
    }
    slices.into_iter().map(|(window, n)| Piece { window, shares: n.div_ceil(most.max(1)).max(1) }).collect()
}

/// The spans of one slice.
#[derive(Default)]
struct Slice {
    part: Part,
    detail: Detail,
    shares: u64,
    share: u64,
    operations: Operations,
    shapes: Shapes,
    /// Pieces of each bucket, from each partition of the scan.
    buckets: Vec<Vec<Vec<SpanRecord>>>,
}

impl Slice {
    /// The last piece of each bucket; there is one in each while rows are added.
    fn open(&mut self) {
        if self.buckets.is_empty() {
            self.buckets = vec![vec![Vec::new()]; BUCKETS];
        }
    }
}

/// What calls said to which servers, in one batch.
struct Said<'a> {
    statement: TextColumn<'a>,
    /// Those that name a server, the best first.
    servers: [TextColumn<'a>; 2],
}

impl<'a> Said<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let [statement, address, network] =
            ["statement", "server_address", "network_peer_address"].map(|name| TextColumn::of(batch, name));
        Ok(Said { statement: statement?, servers: [address?, network?] })
    }

    /// The operation of a row, narrowed where it is a call.
    fn narrowed(&mut self, row: usize, operation: u32, operations: &mut Operations, shapes: &mut Shapes) -> u32 {
        if operations.kind(operation) != SpanKind::Client {
            return operation;
        }
        let names = &mut operations.names;
        let mut servers = self.servers.iter_mut().map(|column| column.number(row, names));
        let server = servers.find(|number| *number != NONE).unwrap_or(NONE);
        let statement = shapes.number(self.statement.text(row), names);
        operations.narrowed(operation, statement, server)
    }
}

impl Fold for Slice {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.open();
        let mut called = Called::of(batch)?;
        let status = TextColumn::of(batch, column::STATUS_CODE)?;
        let [traces, spans, parents] =
            ["trace_id_bytes", "span_id_bytes", "parent_span_id_bytes"].map(|name| ids(batch, name));
        let (traces, spans, parents) = (traces?, spans?, parents?);
        let [start, end, entry] = [column::START, column::END, column::ENTRY_START].map(|name| ints(batch, name));
        let (start, end, entry) = (start?, end?, entry?);
        let (own, critical) = (ints(batch, column::SELF_TIME)?, ints(batch, column::CRITICAL_PATH)?);
        let flags = ints(batch, column::TREE_FLAGS)?;
        let mut said = if self.detail == Detail::Calls { Some(Said::of(batch)?) } else { None };
        for row in 0..batch.num_rows() {
            let trace = trace_id(traces, row);
            let hash = hash(trace);
            // High bits choose the part, low ones the share, those between the bucket.
            if !self.part.holds(hash) || (hash & 0xffff) % self.shares != self.share {
                continue;
            }
            let mut operation = called.number(row, &mut self.operations);
            if let Some(said) = &mut said {
                operation = said.narrowed(row, operation, &mut self.operations, &mut self.shapes);
            }
            let record = SpanRecord {
                trace,
                span: id(spans, row),
                parent: id(parents, row),
                entry: int(entry, row),
                start: int(start, row),
                end: int(end, row),
                own: int(own, row),
                critical: int(critical, row),
                operation,
                flags: int(flags, row) as u16,
                failed: status.text(row) == Some("ERROR"),
            };
            self.buckets[(hash >> 16) as usize % BUCKETS][0].push(record);
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.open();
        let (_, operations) = self.operations.take_in(&other.operations);
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            for mut piece in more {
                piece.iter_mut().for_each(|span| span.operation = operations[span.operation as usize]);
                bucket.push(piece);
            }
        }
    }

    fn size(&self) -> usize {
        let spans: usize = self.buckets.iter().flatten().map(Vec::capacity).sum();
        self.operations.size() + self.shapes.size() + spans * size_of::<SpanRecord>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::time::MINUTE;
    use model::{Signal, Tenant};

    use super::*;
    use crate::tests::fixture::{Fixture, NOW, STATES, shop};

    /// How many spans of which trace were visited, each trace once.
    async fn visited(fixture: Fixture, limits: Limits) -> (Part, BTreeMap<u128, usize>) {
        let engine = fixture.engine();
        let job = move |query: Query| async move {
            let window = Window { start: NOW - MINUTE, end: NOW };
            let scope = Scope::parse(&[], NOW)?;
            let (mut operations, mut seen) = (Operations::default(), BTreeMap::new());
            let part = each_tree(&query, &scope, window, limits, &mut operations, &mut |operations, spans| {
                assert!(spans.iter().all(|span| span.operation < operations.len() as u32));
                assert!(spans.windows(2).all(|pair| pair[0].start <= pair[1].start));
                assert_eq!(seen.insert(spans[0].trace, spans.len()), None, "a trace comes once");
            })
            .await?;
            Ok((part, seen))
        };
        engine.run(&Tenant::default(), job).await.expect("traces")
    }

    #[tokio::test]
    async fn every_tree_comes_whole_and_once_however_small_the_slices() {
        for state in STATES {
            for slice in [2, 10, 1_000] {
                let fixture = Fixture::new().with(Signal::Traces, &shop(40), state).await;
                let (part, seen) = visited(fixture, Limits { slice, most: u64::MAX }).await;
                assert_eq!(part, Part::ALL);
                let whole: BTreeMap<u128, usize> = (1..=40).map(|trace| (trace, 3)).collect();
                assert_eq!(seen, whole, "{state:?}, {slice}");
            }
        }
    }

    #[tokio::test]
    async fn of_more_spans_than_wanted_an_even_part_of_the_traces_is_read() {
        let fixture = Fixture::new().with(Signal::Traces, &shop(400), STATES[2]).await;
        let (part, seen) = visited(fixture, Limits { slice: 100, most: 300 }).await;
        assert_eq!(part.one_in(), 4);
        assert!((70..130).contains(&seen.len()), "{}", seen.len());
        assert!(seen.values().all(|spans| *spans == 3));
    }

    #[test]
    fn slices_cover_every_bin_once_and_split_what_is_too_large() {
        let bin = |n: i64| Window { start: n * 10, end: n * 10 + 10 };
        let counts = [(bin(0), 40), (bin(1), 50), (bin(2), 20), (bin(5), 350), (bin(6), 100), (bin(9), 1)];
        let found = slices(&counts, 100);
        let piece = |start: i64, end: i64, shares: u64| Piece { window: Window { start, end }, shares };
        assert_eq!(found, [piece(0, 20, 1), piece(20, 30, 1), piece(50, 60, 4), piece(60, 70, 1), piece(90, 100, 1)]);
        assert!(slices(&[], 100).is_empty());
    }

    /// The default of a machine with 1 GiB for hotspan: 256 MiB for queries, 96 of them for analyses.
    #[test]
    fn what_is_held_at_once_fits_into_half_of_what_analyses_may_take() {
        let settings = crate::Settings { memory_bytes: 256 << 20, ..crate::Settings::default() };
        assert_eq!(settings.analyses_bytes(), 96 << 20);
        let held = room(96 << 20, SLICE);
        assert!(held < SLICE && held * 2 * size_of::<SpanRecord>() as u64 <= 48 << 20, "{held}");
        assert_eq!((room(0, SLICE), room(u64::MAX, SLICE), room(u64::MAX, 100)), (LEAST_SLICE, SLICE, 100));
    }
}
