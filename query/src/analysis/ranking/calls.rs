//! Who calls whom, among the operations of a cube: from the facts where there are any, else guessed from names.

use std::collections::{BTreeSet, HashMap};

use model::trace::SpanKind;

use super::cube::{Cube, PeerKind, Side};
use super::facts::FactBook;

pub(super) struct Calls {
    /// The usual parent of each operation.
    parent: Vec<Option<usize>>,
    /// For CLIENT operations: the SERVER operation that answers.
    callee: Vec<Option<usize>>,
    /// Services by the operations' numbers.
    service: Vec<usize>,
    /// Pairs of services, caller and callee.
    links: BTreeSet<(usize, usize)>,
}

impl Calls {
    pub fn new(cube: &Cube, facts: &FactBook) -> Self {
        let names = Names::new(cube);
        let callee: Vec<_> = (0..cube.operations.len()).map(|op| names.callee(op, facts)).collect();
        let parent = (0..cube.operations.len()).map(|op| names.parent(op, facts, &callee)).collect();
        let mut services = HashMap::new();
        let mut service = Vec::with_capacity(cube.operations.len());
        for operation in &cube.operations {
            let next = services.len();
            service.push(*services.entry(operation.service.as_str()).or_insert(next));
        }
        let link = |(caller, callee): (usize, &Option<usize>)| callee.map(|callee| (service[caller], service[callee]));
        let links = callee.iter().enumerate().filter_map(link).filter(|(a, b)| a != b).collect();
        Calls { parent, callee, service, links }
    }

    pub fn parent(&self, operation: usize) -> Option<usize> {
        self.parent[operation]
    }

    pub fn callee(&self, operation: usize) -> Option<usize> {
        self.callee[operation]
    }

    /// The number of an operation's service, below [`Self::services`].
    pub fn service(&self, operation: usize) -> usize {
        self.service[operation]
    }

    pub fn services(&self) -> usize {
        self.service.iter().max().map_or(0, |last| last + 1)
    }

    pub fn same_service(&self, a: usize, b: usize) -> bool {
        self.service[a] == self.service[b]
    }

    /// Whether work of `below`'s service is done for `above`'s service, directly or through others.
    pub fn reaches(&self, above: usize, below: usize) -> bool {
        let (from, to) = (self.service[above], self.service[below]);
        let mut seen = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(service) = next.pop() {
            for &(_, callee) in self.links.range((service, 0)..=(service, usize::MAX)) {
                if seen.insert(callee) {
                    next.push(callee);
                }
            }
        }
        from != to && seen.contains(&to)
    }
}

/// Operations by what can be known from a name.
struct Names<'a> {
    cube: &'a Cube,
    /// SERVER operations by service, the busiest first.
    servers: HashMap<&'a str, Vec<usize>>,
    /// Spans of each operation by entry, on both sides together.
    by_entry: Vec<Vec<f64>>,
}

impl<'a> Names<'a> {
    fn new(cube: &'a Cube) -> Self {
        let mut by_entry = vec![vec![0.0; cube.entries.len()]; cube.operations.len()];
        for (number, column) in cube.columns.iter().enumerate() {
            let of = |side: &Side| side.totals[number].spans;
            by_entry[column.operation][column.entry] += of(&cube.window) + cube.baseline.as_ref().map_or(0.0, of);
        }
        let mut servers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, operation) in cube.operations.iter().enumerate() {
            if operation.kind == SpanKind::Server {
                servers.entry(&operation.service).or_default().push(number);
            }
        }
        for list in servers.values_mut() {
            let spans = |operation: usize| by_entry[operation].iter().sum::<f64>();
            list.sort_by(|&a, &b| spans(b).total_cmp(&spans(a)));
        }
        Names { cube, servers, by_entry }
    }

    /// How many spans two operations can have in common, judged by the requests in which they appear.
    fn together(&self, a: usize, b: usize) -> f64 {
        self.by_entry[a].iter().zip(&self.by_entry[b]).map(|(a, b)| a.min(*b)).sum()
    }

    fn callee(&self, number: usize, facts: &FactBook) -> Option<usize> {
        let operation = &self.cube.operations[number];
        if operation.kind != SpanKind::Client {
            return None;
        }
        if let Some(place) = facts.get(operation).and_then(|f| f.callee.as_ref()) {
            let servers = self.servers.get(place.service.as_str())?;
            return servers.iter().copied().find(|&s| self.cube.operations[s].operation == place.operation);
        }
        let peer = operation.peer.as_ref().filter(|peer| peer.kind == PeerKind::Remote)?;
        let servers = self.servers.get(peer.name.as_str())?;
        let same_name = servers.iter().find(|&&s| self.cube.operations[s].operation == operation.operation);
        same_name.copied().or_else(|| self.most_together(number, servers))
    }

    /// The first of those candidates that share most spans with the operation.
    fn most_together(&self, number: usize, candidates: &[usize]) -> Option<usize> {
        let shared = |&&candidate: &&usize| self.together(number, candidate);
        candidates.iter().rev().max_by(|a, b| shared(a).total_cmp(&shared(b))).copied()
    }

    fn parent(&self, number: usize, facts: &FactBook, callee: &[Option<usize>]) -> Option<usize> {
        let operation = &self.cube.operations[number];
        if let Some(parent) = facts.get(operation).and_then(|f| f.parent.as_ref()) {
            return self.cube.operations.iter().position(|o| o == parent);
        }
        match operation.kind {
            SpanKind::Server => {
                let callers: Vec<_> = (0..callee.len()).filter(|&caller| callee[caller] == Some(number)).collect();
                self.most_together(number, &callers)
            }
            SpanKind::Consumer => None,
            _ => self.most_together(number, self.servers.get(operation.service.as_str())?),
        }
    }
}
