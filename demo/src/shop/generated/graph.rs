//! The shapes: which service is below which.

use rand::Rng;
use rand::rngs::StdRng;

use crate::shop::topology::Shape;

/// Services by number; the gateway is 0 and has the roots below it.
pub struct Graph {
    /// The services right behind the gateway.
    pub roots: Vec<usize>,
    /// Services that a service calls; each is here once.
    pub below: Vec<Vec<usize>>,
    /// Services that a service calls besides, which others call too.
    pub beside: Vec<Vec<usize>>,
    /// Services that consume what a service publishes; each is here once.
    pub fed: Vec<Vec<usize>>,
    /// How probable it is that an operation makes its calls at once.
    pub at_once: f64,
}

/// Draws a graph of so many services, the gateway included.
pub fn draw(shape: Shape, services: usize, chance: &mut StdRng) -> Graph {
    let mut graph = Graph {
        roots: Vec::new(),
        below: vec![Vec::new(); services],
        beside: vec![Vec::new(); services],
        fed: vec![Vec::new(); services],
        at_once: 0.0,
    };
    match shape {
        Shape::Chain => graph.chains(chance),
        Shape::FanOut => graph.forks(chance),
        Shape::Shared => graph.shared(chance),
        Shape::Asynchronous => graph.asynchronous(chance),
        Shape::Random => graph.mixture(chance),
    }
    graph
}

impl Graph {
    fn chains(&mut self, chance: &mut StdRng) {
        let longest = chance.random_range(7..=10);
        for group in self.groups(self.below.len(), longest) {
            for service in &group[1..] {
                self.below[service - 1].push(*service);
            }
        }
    }

    fn forks(&mut self, chance: &mut StdRng) {
        self.at_once = 1.0;
        for group in self.groups(self.below.len(), 10) {
            let branches = chance.random_range(2..=4);
            self.tree(&group, branches);
        }
    }

    /// The last services are those that the others share.
    fn shared(&mut self, chance: &mut StdRng) {
        self.at_once = 0.3;
        let services = self.below.len();
        let hubs = 1 + services / 15;
        for group in self.groups(services - hubs, 6) {
            self.tree(&group, 2);
            for (number, service) in group[1..].iter().enumerate() {
                if number < 2 || chance.random_bool(0.7) {
                    self.beside[*service].push(services - 1 - chance.random_range(0..hubs));
                }
            }
        }
        for hub in services - hubs..services {
            // A hub that nobody happened to call hangs below the gateway's first neighbour.
            if !self.beside.iter().flatten().any(|found| *found == hub) {
                self.beside[1].push(hub);
            }
        }
    }

    fn asynchronous(&mut self, chance: &mut StdRng) {
        self.at_once = 0.3;
        for group in self.groups(self.below.len(), 8) {
            for (number, service) in group.iter().enumerate().skip(1) {
                let above = group[chance.random_range(number.saturating_sub(3)..number)];
                let by_topic = number == 1 || chance.random_bool(0.5);
                let list = if by_topic { &mut self.fed } else { &mut self.below };
                list[above].push(*service);
            }
        }
    }

    fn mixture(&mut self, chance: &mut StdRng) {
        self.at_once = 0.4;
        let services = self.below.len();
        let mut consumes = vec![false; services];
        for group in self.groups(services, 9) {
            for (number, service) in group.iter().enumerate().skip(1) {
                let above = group[chance.random_range(0..number)];
                consumes[*service] = chance.random_bool(0.2);
                let list = if consumes[*service] { &mut self.fed } else { &mut self.below };
                list[above].push(*service);
            }
        }
        for service in 1..services - 1 {
            let other = chance.random_range(service + 1..services);
            let is_small = self.below[other].len() + self.fed[other].len() <= 1 && !self.roots.contains(&other);
            let is_new = !consumes[other] && !self.below[service].contains(&other);
            if is_small && is_new && chance.random_bool(0.4) {
                self.beside[service].push(other);
            }
        }
    }

    /// Splits the services from 1 to `end` evenly into groups of at most `largest`; the first of each is a root.
    fn groups(&mut self, end: usize, largest: usize) -> Vec<Vec<usize>> {
        let count = (end - 1).div_ceil(largest);
        let start = |group: usize| 1 + group * (end - 1) / count;
        let groups: Vec<Vec<usize>> = (0..count).map(|group| (start(group)..start(group + 1)).collect()).collect();
        self.roots = groups.iter().map(|group| group[0]).collect();
        groups
    }

    /// Each service of a group has up to so many others below it.
    fn tree(&mut self, group: &[usize], branches: usize) {
        for (number, service) in group.iter().enumerate().skip(1) {
            self.below[group[(number - 1) / branches]].push(*service);
        }
    }
}
