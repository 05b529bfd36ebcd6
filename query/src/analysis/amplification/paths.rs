//! The paths that calls take from an entry through services, and what was counted on each.
//!
//! A call that a span of another service serves leads to that service, as often as it was served; one that nobody serves
//! leads to its peer. Spans within a service, and CLIENT spans around the attempts of a call, are passed through.

use std::collections::HashMap;

use model::time::SECOND;
use model::trace::{SpanKind, flag};

use super::super::called::Operations;
use super::super::names::NONE;
use super::super::parents::Parents;
use super::super::ranking::PeerKind;
use super::super::scope::Window;
use super::super::traces::SpanRecord;

/// Paths that are told apart; calls on further ones are left out.
pub const MOST_PATHS: usize = 2_000;
/// Tiers of a path. What lies deeper is a loop.
const DEEPEST: usize = 24;
/// Bins of a side, for the error of its figures, unless they would be shorter than a second.
const BINS: i64 = 240;

/// What a path ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Callee {
    /// The number of its name.
    pub name: u32,
    pub kind: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    /// Numbers of a service and of an operation.
    Entry(u32, u32),
    Below(usize, Callee),
}

/// All paths of both sides, by number. The one above is always the smaller.
#[derive(Default)]
pub struct Paths {
    numbers: HashMap<Key, usize>,
    keys: Vec<Key>,
    depths: Vec<usize>,
    /// The entry that each begins at.
    entries: Vec<usize>,
    pub is_cut: bool,
}

impl Paths {
    fn number(&mut self, key: Key) -> Option<usize> {
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        let depth = match key {
            Key::Entry(..) => 0,
            Key::Below(above, _) => self.depths[above] + 1,
        };
        if self.keys.len() >= MOST_PATHS || depth > DEEPEST {
            self.is_cut = true;
            return None;
        }
        let number = self.keys.len();
        let entry = match key {
            Key::Entry(..) => number,
            Key::Below(above, _) => self.entries[above],
        };
        self.numbers.insert(key, number);
        self.keys.push(key);
        self.depths.push(depth);
        self.entries.push(entry);
        Some(number)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// `None` for an entry.
    pub fn above(&self, path: usize) -> Option<usize> {
        match self.keys[path] {
            Key::Entry(..) => None,
            Key::Below(above, _) => Some(above),
        }
    }

    /// From the entry down to the path, both included.
    pub fn down_to(&self, path: usize) -> Vec<usize> {
        let mut all: Vec<usize> = std::iter::successors(Some(path), |path| self.above(*path)).collect();
        all.reverse();
        all
    }

    /// The path of the entry alone.
    pub fn entry(&self, path: usize) -> usize {
        self.entries[path]
    }

    /// Numbers of the entry's service and operation.
    pub fn entry_names(&self, path: usize) -> (u32, u32) {
        match self.keys[self.entries[path]] {
            Key::Entry(service, operation) => (service, operation),
            Key::Below(..) => (NONE, NONE),
        }
    }

    pub fn callee(&self, path: usize) -> Callee {
        match self.keys[path] {
            Key::Entry(name, _) => Callee { name, kind: "service" },
            Key::Below(_, callee) => callee,
        }
    }

    /// The names of the entry's service and of all callees down to the last.
    pub fn places(&self, operations: &Operations, path: usize) -> Vec<String> {
        self.down_to(path).into_iter().map(|path| operations.names.text(self.callee(path).name).to_owned()).collect()
    }
}

/// One path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Count {
    /// Of an entry its requests.
    pub calls: u64,
    /// Of them, those that repeat a failed one.
    pub repeats: u64,
    pub by_bin: Vec<u64>,
    /// The most of one request, and its trace.
    pub most: (u64, u128),
}

static NOTHING: Count = Count { calls: 0, repeats: 0, by_bin: Vec::new(), most: (0, 0) };

/// What was counted in one window.
pub struct Side {
    window: Window,
    bin: i64,
    requests: u64,
    counts: Vec<Count>,
}

impl Side {
    pub fn new(window: Window) -> Self {
        let bin = ((window.end - window.start) / BINS).max(SECOND);
        Side { window, bin, requests: 0, counts: Vec::new() }
    }

    pub fn count(&self, path: usize) -> &Count {
        self.counts.get(path).unwrap_or(&NOTHING)
    }

    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The spans of one tree, in order of start.
    pub fn look_at(&mut self, operations: &Operations, tree: &[SpanRecord], paths: &mut Paths) {
        let Some(entry) = tree.iter().position(SpanRecord::is_request) else { return };
        let (service, operation, _) = operations.names_of(tree[entry].operation);
        let Some(path) = paths.number(Key::Entry(service, operation)) else { return };
        let mut walk = Walk { operations, tree, paths, calls: HashMap::from([(path, (1, 0))]) };
        walk.from(entry, path);
        let calls = walk.calls;
        self.requests += 1;
        let bin = ((tree[entry].entry - self.window.start) / self.bin).clamp(0, BINS) as usize;
        if self.counts.len() < paths.len() {
            self.counts.resize(paths.len(), Count::default());
        }
        for (path, (calls, repeats)) in calls {
            let count = &mut self.counts[path];
            if count.by_bin.len() <= bin {
                count.by_bin.resize(bin + 1, 0);
            }
            count.calls += calls;
            count.repeats += repeats;
            count.by_bin[bin] += calls;
            count.most = count.most.max((calls, tree[entry].trace));
        }
    }
}

/// One tree.
struct Walk<'a> {
    operations: &'a Operations,
    tree: &'a [SpanRecord],
    paths: &'a mut Paths,
    /// Calls and repeats by path.
    calls: HashMap<usize, (u64, u64)>,
}

impl Walk<'_> {
    fn kind(&self, span: usize) -> SpanKind {
        self.operations.kind(self.tree[span].operation)
    }

    fn service(&self, span: usize) -> u32 {
        self.operations.names_of(self.tree[span].operation).0
    }

    /// Walks down from a span of the service that the path ends at.
    fn from(&mut self, entry: usize, path: usize) {
        let children = self.children();
        let mut open = vec![(entry, path)];
        while let Some((span, path)) = open.pop() {
            let below = children.get(&span).map_or(&[][..], Vec::as_slice);
            let repeats = self.repeats(below);
            for (child, is_repeat) in below.iter().copied().zip(repeats) {
                open.extend(self.step((span, child), is_repeat, path, &children));
            }
        }
    }

    fn children(&self) -> HashMap<usize, Vec<usize>> {
        let parents = Parents::of(self.tree.iter().map(|span| (span.span, self.operations.kind(span.operation))));
        let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, span) in self.tree.iter().enumerate() {
            let is_copy = i64::from(span.flags) & flag::DUPLICATE != 0;
            match parents.above(span.span, span.parent, self.kind(at)) {
                Some(parent) if parent != at && !is_copy => children.entry(parent).or_default().push(at),
                _ => {}
            }
        }
        children
    }

    /// Which of the children, in order of start, repeat the call before them that failed.
    fn repeats(&self, children: &[usize]) -> Vec<bool> {
        let mut before: HashMap<u32, &SpanRecord> = HashMap::new();
        let mut repeats = Vec::with_capacity(children.len());
        for &child in children {
            let span = &self.tree[child];
            let last = before.insert(self.operations.alike(span.operation), span);
            repeats.push(last.is_some_and(|last| last.failed && span.start >= last.end));
        }
        repeats
    }

    /// Counts a child, and answers where to go on from: the spans that are of the service at the end of a path.
    fn step(
        &mut self,
        (span, child): (usize, usize),
        is_repeat: bool,
        path: usize,
        children: &HashMap<usize, Vec<usize>>,
    ) -> Vec<(usize, usize)> {
        let below = children.get(&child).map_or(&[][..], Vec::as_slice);
        let served: Vec<usize> = below.iter().copied().filter(|&at| self.kind(at) == SpanKind::Server).collect();
        let is_around = below.iter().any(|&at| self.kind(at) == SpanKind::Client);
        match self.kind(child) {
            SpanKind::Client if !served.is_empty() => {
                let callee = Callee { name: self.service(served[0]), kind: "service" };
                let again = u64::from(is_repeat) + served.len() as u64 - 1;
                self.call(path, callee, (served.len() as u64, again))
                    .map_or_else(Vec::new, |path| served.into_iter().map(|served| (served, path)).collect())
            }
            // One around the attempts of a call.
            SpanKind::Client if is_around => vec![(child, path)],
            SpanKind::Client | SpanKind::Producer => {
                let callee = self.peer(child);
                self.call(path, callee, (1, u64::from(is_repeat)));
                Vec::new()
            }
            // Its caller has no span of the call.
            SpanKind::Server if self.service(child) != self.service(span) => {
                let callee = Callee { name: self.service(child), kind: "service" };
                self.call(path, callee, (1, 0)).map_or_else(Vec::new, |path| vec![(child, path)])
            }
            SpanKind::Consumer => Vec::new(),
            _ => vec![(child, path)],
        }
    }

    /// Whom a call that no span serves goes to.
    fn peer(&self, call: usize) -> Callee {
        let operation = self.tree[call].operation;
        let (_, name, peer) = self.operations.names_of(operation);
        let kind = match self.operations.peer_kind(operation) {
            PeerKind::Cache => "cache",
            PeerKind::Database => "database",
            PeerKind::Messaging => "messaging",
            PeerKind::Remote if self.kind(call) == SpanKind::Producer => "messaging",
            PeerKind::Remote => "external",
        };
        Callee { name: peer.unwrap_or(name), kind }
    }

    fn call(&mut self, above: usize, callee: Callee, (calls, repeats): (u64, u64)) -> Option<usize> {
        let path = self.paths.number(Key::Below(above, callee))?;
        let count = self.calls.entry(path).or_default();
        *count = (count.0 + calls, count.1 + repeats);
        Some(path)
    }
}
