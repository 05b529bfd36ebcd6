//! Who calls whom in a generated plan: operations and the operations below them, without what they do themselves.
//!
//! Services are numbered, the gateway is 0, and everything points from a lower number to a higher one: that is why no
//! plan has a cycle.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::graph::Graph;

/// Operations one service may have.
const MOST_OPERATIONS: usize = 3;

pub struct Skeleton {
    pub operations: Vec<Node>,
    /// Operations of the gateway.
    pub entries: Vec<usize>,
    /// Which services consume a topic.
    pub consumers: Vec<bool>,
}

/// An operation of a service.
#[derive(Debug, Default)]
pub struct Node {
    pub service: usize,
    pub calls: Vec<Below>,
    /// Whether the calls are made at once.
    pub at_once: bool,
    /// Operations that consume what this one publishes.
    pub publishes: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
pub struct Below {
    pub operation: usize,
    pub manner: Manner,
}

/// How a call is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manner {
    Always,
    /// The caller goes on without the answer.
    Optional,
    /// With this probability.
    Sometimes(f64),
}

/// Draws the operations of the services of a graph, so that each service is reached.
pub fn draw(graph: &Graph, chance: &mut StdRng) -> Skeleton {
    let mut drawing =
        Drawing { graph, chance, operations: Vec::new(), of_service: vec![Vec::new(); graph.below.len()] };
    let least = drawing.chance.random_range(2..=4);
    let entries = graph.roots.len().max(least);
    let entries = (0..entries).map(|entry| drawing.entry(graph.roots[entry % graph.roots.len()])).collect();
    let mut consumers = vec![false; graph.below.len()];
    graph.fed.iter().flatten().for_each(|consumer| consumers[*consumer] = true);
    Skeleton { operations: drawing.operations, entries, consumers }
}

struct Drawing<'g, 'c> {
    graph: &'g Graph,
    chance: &'c mut StdRng,
    operations: Vec<Node>,
    of_service: Vec<Vec<usize>>,
}

impl Drawing<'_, '_> {
    fn entry(&mut self, root: usize) -> usize {
        let operation = self.operation(root);
        let calls = vec![Below { operation, manner: Manner::Always }];
        self.add(Node { calls, ..Node::default() })
    }

    fn add(&mut self, node: Node) -> usize {
        self.operations.push(node);
        self.operations.len() - 1
    }

    /// An operation of a service for one more caller: one that is there, or another one.
    fn operation(&mut self, service: usize) -> usize {
        let there = &self.of_service[service];
        if there.len() >= MOST_OPERATIONS || (!there.is_empty() && self.chance.random_bool(0.5)) {
            return there.choose(self.chance).copied().expect("it is not empty");
        }
        // The first one uses everything below its service, so that each service is in use.
        let all = there.is_empty();
        let graph = self.graph;
        let mut node = Node { service, at_once: self.chance.random_bool(graph.at_once), ..Node::default() };
        for below in &graph.below[service] {
            if all || self.chance.random_bool(0.6) {
                node.calls.push(Below { operation: self.operation(*below), manner: self.manner() });
            }
        }
        for beside in &graph.beside[service] {
            if all || self.chance.random_bool(0.6) {
                node.calls.push(Below { operation: self.operation(*beside), manner: Manner::Always });
            }
        }
        for consumer in &graph.fed[service] {
            if all || self.chance.random_bool(0.4) {
                node.publishes.push(self.consumer(*consumer));
            }
        }
        let operation = self.add(node);
        self.of_service[service].push(operation);
        operation
    }

    /// The operation with which a service consumes its topic; there is one.
    fn consumer(&mut self, service: usize) -> usize {
        match self.of_service[service].first() {
            Some(operation) => *operation,
            None => self.operation(service),
        }
    }

    fn manner(&mut self) -> Manner {
        match self.chance.random_range(0..10) {
            0 => Manner::Optional,
            1 => Manner::Sometimes(self.chance.random_range(0.4..0.9)),
            _ => Manner::Always,
        }
    }
}
