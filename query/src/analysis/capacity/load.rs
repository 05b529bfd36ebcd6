//! Load in short bins: arrivals, completions, the mean number in the system, errors and latency of every node, from
//! all spans of a window.
//!
//! A span occupies its node from its start to its end; each bin gets the part of that time that lies in it, so the
//! mean number in the system is exact, also for spans longer than a bin.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use arrow::array::RecordBatch;
use model::Result;
use model::schema::column;
use model::time::{MINUTE, SECOND};
use model::trace::{SpanKind, flag};

use super::super::batch::{int, ints};
use super::super::called::{self, Called, Operations};
use super::super::names::{NONE, TextColumn};
use super::super::scope::{Scope, Window, started_in};
use super::judge::{Bin, BinLoad, is_held_up};
use crate::fold::Fold;
use crate::query::Query;

/// Bins of a window, unless they would be longer than [`LONGEST`].
const BINS: i64 = 240;
/// Bins shorter than a second see chance, longer ones mix loads.
const LONGEST: i64 = 10 * SECOND;
/// Bins at most: above, they are longer after all.
const MOST_BINS: i64 = 1_000;
/// Nodes at most; further ones are left out.
pub const MOST_NODES: usize = 2_000;

/// Instances of all services that are told apart; with more, none are counted.
const MOST_INSTANCES: usize = 20_000;

/// What has a capacity of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// Requests by entry operation: numbers of its service and its name.
    Entry(u32, u32),
    /// What a service serves.
    Service(u32),
    /// A dependency without spans of its own, as its callers see it, by the peer's name.
    Dependency(u32),
    /// One operation that a service serves: numbers of its service and its name.
    Operation(u32, u32),
    /// What one instance serves: numbers of its service and its id.
    Instance(u32, u32),
}

/// The bins of a window.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    pub window: Window,
    pub bin: i64,
    pub bins: usize,
}

impl Grid {
    pub fn of(window: Window) -> Grid {
        let length = window.end - window.start;
        let bin = (length / BINS).clamp(SECOND, LONGEST).max(length / MOST_BINS);
        let bins = (length / bin).max(1);
        // Whole bins only: half a bin has half the load.
        Grid { window: Window { start: window.start, end: window.start + bins * bin }, bin, bins: bins as usize }
    }

    fn start_of(&self, bin: usize) -> i64 {
        self.window.start + bin as i64 * self.bin
    }

    fn bin_of(&self, at: i64) -> Option<usize> {
        (self.window.start <= at && at < self.window.end).then(|| ((at - self.window.start) / self.bin) as usize)
    }
}

pub struct Series {
    bins: Vec<Bin>,
    /// How many more spans than in the bin before occupy the whole bin.
    whole: Vec<i64>,
}

impl Series {
    pub fn new(grid: &Grid) -> Self {
        Series { bins: vec![Bin::default(); grid.bins], whole: vec![0; grid.bins + 1] }
    }

    pub fn add(&mut self, grid: &Grid, start: i64, end: i64, failed: bool) {
        let end = end.max(start);
        if let Some(bin) = grid.bin_of(start) {
            let bin = &mut self.bins[bin];
            bin.arrivals += 1;
            bin.errors += u64::from(failed);
            bin.latency.record(end - start);
        }
        if let Some(bin) = grid.bin_of(end) {
            self.bins[bin].completions += 1;
        }
        self.occupy(grid, start, end);
    }

    /// Only the time in the system, of what nothing else is asked about.
    fn occupy(&mut self, grid: &Grid, start: i64, end: i64) {
        let (from, to) = (start.max(grid.window.start), end.min(grid.window.end));
        if from >= to {
            return;
        }
        let (first, last) =
            (((from - grid.window.start) / grid.bin) as usize, ((to - 1 - grid.window.start) / grid.bin) as usize);
        if first == last {
            self.bins[first].occupied += (to - from) as f64;
            return;
        }
        self.bins[first].occupied += (grid.start_of(first + 1) - from) as f64;
        self.bins[last].occupied += (to - grid.start_of(last)) as f64;
        self.whole[first + 1] += 1;
        self.whole[last] -= 1;
    }

    pub fn merge(&mut self, other: Series) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.add(more);
        }
        self.whole.iter_mut().zip(other.whole).for_each(|(a, b)| *a += b);
    }

    /// The bins with all of their occupation.
    pub fn bins(mut self, grid: &Grid) -> Vec<Bin> {
        let occupied: Vec<f64> = self.loads(grid).map(|load| load.occupied).collect();
        self.bins.iter_mut().zip(occupied).for_each(|(bin, occupied)| bin.occupied = occupied);
        self.bins
    }

    /// What is known of each bin besides latency and errors.
    pub fn loads(&self, grid: &Grid) -> impl Iterator<Item = BinLoad> {
        let (mut through, whole_bin) = (0, grid.bin);
        self.bins.iter().zip(&self.whole).map(move |(bin, more)| {
            through += more;
            BinLoad { arrivals: bin.arrivals, occupied: bin.occupied + (through * whole_bin) as f64 }
        })
    }
}

/// Which nodes are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// Services as a whole.
    pub services: bool,
    /// Operations and instances too.
    pub parts: bool,
}

pub struct Loads {
    pub grid: Grid,
    detail: Detail,
    pub operations: Operations,
    roles: Vec<Role>,
    pub nodes: HashMap<Node, Series>,
    /// How busy each service keeps what it calls, of services as a whole.
    calls: HashMap<u32, Series>,
    /// Service and instance of spans that serve.
    instances: HashSet<(u32, u32)>,
    /// There were more nodes than are looked at.
    pub is_cut: bool,
}

/// What the spans of an operation mean to nodes.
#[derive(Clone, Copy)]
struct Role {
    service: u32,
    name: u32,
    serves: bool,
    calls: bool,
    /// Who is called, where that is known.
    peer: Option<u32>,
}

/// Reads the load of the nodes that match the scope.
pub async fn read(query: &Query, scope: &Scope, grid: Grid, detail: Detail) -> Result<Loads> {
    // Long spans that are still running when the window begins belong to its load.
    let from = Window { start: grid.window.start - MINUTE, end: grid.window.end };
    let sql = format!(
        "SELECT {}, instance_id, {}, {}, status_code, tree_flags FROM spans \
         WHERE {} AND (kind IN ('SERVER', 'CONSUMER', 'CLIENT') OR (tree_flags & {}) <> 0) AND {}",
        called::columns(),
        column::START,
        column::END,
        started_in(from),
        flag::ENTRY,
        scope.conditions(),
    );
    let empty = || Loads {
        grid,
        detail,
        operations: Operations::default(),
        roles: Vec::new(),
        nodes: HashMap::new(),
        calls: HashMap::new(),
        instances: HashSet::new(),
        is_cut: false,
    };
    Ok(query.fold(&sql, empty).await?.fold)
}

impl Loads {
    fn role(&mut self, operation: u32) -> Role {
        while self.roles.len() < self.operations.len() {
            let number = self.roles.len() as u32;
            let kind = self.operations.kind(number);
            let (service, name, peer) = self.operations.names_of(number);
            self.roles.push(Role {
                service,
                name,
                serves: matches!(kind, SpanKind::Server | SpanKind::Consumer),
                calls: kind == SpanKind::Client,
                peer: peer.filter(|_| kind == SpanKind::Client),
            });
        }
        self.roles[operation as usize]
    }

    /// How many instances of each service there were; those without ids are not in it.
    pub fn instances(&self) -> HashMap<u32, usize> {
        let mut counts = HashMap::new();
        if self.instances.len() < MOST_INSTANCES {
            self.instances.iter().for_each(|(service, _)| *counts.entry(*service).or_default() += 1);
        }
        counts
    }

    /// Services that take longer at higher load since what they call does.
    pub fn held_up(&self) -> HashSet<u32> {
        let of = |(service, calls): (&u32, &Series)| {
            let served = self.nodes.get(&Node::Service(*service))?;
            let [served, calls] = [served, calls].map(|series| series.loads(&self.grid).collect::<Vec<_>>());
            is_held_up(&served, &calls).then_some(*service)
        };
        self.calls.iter().filter_map(of).collect()
    }

    fn saw_instance(&mut self, service: u32, instance: u32) {
        if instance != NONE && self.instances.len() < MOST_INSTANCES {
            self.instances.insert((service, instance));
        }
    }

    fn series(&mut self, node: Node) -> Option<&mut Series> {
        let found = place(&mut self.nodes, node, &self.grid);
        self.is_cut |= found.is_none();
        found
    }

    fn count(&mut self, nodes: impl IntoIterator<Item = Node>, start: i64, end: i64, failed: bool) {
        let grid = self.grid;
        for node in nodes {
            if let Some(series) = self.series(node) {
                series.add(&grid, start, end, failed);
            }
        }
    }
}

/// The series of a key; `None` when there are too many already.
fn place<'a, K: Hash + Eq>(all: &'a mut HashMap<K, Series>, key: K, grid: &Grid) -> Option<&'a mut Series> {
    let is_full = all.len() >= MOST_NODES && !all.contains_key(&key);
    (!is_full).then(|| all.entry(key).or_insert_with(|| Series::new(grid)))
}

impl Fold for Loads {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut called = Called::of(batch)?;
        let mut instances = TextColumn::of(batch, column::INSTANCE_ID)?;
        let status = TextColumn::of(batch, column::STATUS_CODE)?;
        let (start, end) = (ints(batch, column::START)?, ints(batch, column::END)?);
        let flags = ints(batch, column::TREE_FLAGS)?;
        for row in 0..batch.num_rows() {
            let operation = called.number(row, &mut self.operations);
            let role = self.role(operation);
            let is_request = int(flags, row) & (flag::ENTRY | flag::ORPHAN | flag::ASYNC_ROOT) == flag::ENTRY;
            let parts = role.serves && self.detail.parts;
            let instance =
                if role.serves || is_request { instances.number(row, &mut self.operations.names) } else { NONE };
            self.saw_instance(role.service, instance);
            let nodes = [
                is_request.then_some(Node::Entry(role.service, role.name)),
                (role.serves && self.detail.services).then_some(Node::Service(role.service)),
                role.peer.map(Node::Dependency),
                parts.then_some(Node::Operation(role.service, role.name)),
                (parts && instance != NONE).then_some(Node::Instance(role.service, instance)),
            ];
            let failed = status.text(row) == Some("ERROR");
            let (start, end) = (int(start, row), int(end, row));
            self.count(nodes.into_iter().flatten(), start, end, failed);
            if role.calls
                && self.detail.services
                && let Some(calls) = place(&mut self.calls, role.service, &self.grid)
            {
                calls.occupy(&self.grid, start, end);
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let (names, _) = self.operations.take_in(&other.operations);
        self.is_cut |= other.is_cut;
        let here = |number: u32| names[number as usize];
        other.instances.iter().for_each(|(service, instance)| self.saw_instance(here(*service), here(*instance)));
        for (service, series) in other.calls {
            if let Some(mine) = place(&mut self.calls, here(service), &self.grid) {
                mine.merge(series);
            }
        }
        for (node, series) in other.nodes {
            let node = match node {
                Node::Entry(service, name) => Node::Entry(here(service), here(name)),
                Node::Service(service) => Node::Service(here(service)),
                Node::Dependency(peer) => Node::Dependency(here(peer)),
                Node::Operation(service, name) => Node::Operation(here(service), here(name)),
                Node::Instance(service, instance) => Node::Instance(here(service), here(instance)),
            };
            if let Some(mine) = self.series(node) {
                mine.merge(series);
            }
        }
    }

    fn size(&self) -> usize {
        // A bin's histogram has some hundred buckets.
        let bin = size_of::<Bin>() + size_of::<i64>();
        self.operations.size()
            + self.instances.len() * 16
            + (self.nodes.len() * (bin + 600) + self.calls.len() * bin) * self.grid.bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_one_to_ten_seconds_and_whole() {
        let grid = |seconds: i64| Grid::of(Window { start: 0, end: seconds * SECOND + SECOND / 2 });
        let shape = |grid: Grid| (grid.bin / SECOND, grid.bins, grid.window.end / SECOND);
        assert_eq!(shape(grid(60)), (1, 60, 60));
        assert_eq!(grid(15 * 60).bin, (15 * 60 * SECOND + SECOND / 2) / BINS);
        assert_eq!(shape(grid(3_600)), (10, 360, 3_600));
        assert!(grid(86_400).bins <= MOST_BINS as usize);
    }

    #[test]
    fn a_span_occupies_every_bin_it_lies_in() {
        let grid = Grid::of(Window { start: 100 * SECOND, end: 110 * SECOND });
        let mut series = Series::new(&grid);
        let half = SECOND / 2;
        // From before the window into it; within a bin; over three bins; out of the window.
        series.add(&grid, 99 * SECOND, 100 * SECOND + half, false);
        series.add(&grid, 102 * SECOND, 102 * SECOND + half, true);
        series.add(&grid, 103 * SECOND + half, 106 * SECOND + half, false);
        series.add(&grid, 109 * SECOND, 115 * SECOND, false);
        let loads: Vec<(u64, f64)> = series.loads(&grid).map(|load| (load.arrivals, load.occupied)).collect();
        let bins = series.bins(&grid);
        assert_eq!(loads, bins.iter().map(|bin| (bin.arrivals, bin.occupied)).collect::<Vec<_>>());
        let occupied: Vec<f64> = bins.iter().map(|bin| bin.occupied / SECOND as f64).collect();
        assert_eq!(occupied, [0.5, 0.0, 0.5, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0, 1.0]);
        let arrivals: Vec<u64> = bins.iter().map(|bin| bin.arrivals).collect();
        assert_eq!(arrivals, [0, 0, 1, 1, 0, 0, 0, 0, 0, 1]);
        let completions: Vec<u64> = bins.iter().map(|bin| bin.completions).collect();
        assert_eq!(completions, [1, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bins[2].errors, 1);
    }
}
