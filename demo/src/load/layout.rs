//! Which span stands where: from the number of an export and an index in it to a trace, a position and the ids.
//!
//! Traces come in blocks of as many traces as an export has spans, so a block fills as many exports as a trace has
//! spans. A service that holds `p` of a trace's positions sends `p` exports of each block; its spans follow each other
//! trace by trace. So each export comes from one instance of one service, as from a real SDK, and every trace is
//! complete when its block is.

use crate::shop::mix;

/// Longest trace that the generator makes.
pub const MOST_SPANS_PER_TRACE: usize = 1_000;

/// What determines all ids of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Layout {
    pub seed: u64,
    pub spans_per_trace: usize,
    pub spans_per_export: usize,
}

/// The place of one span in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub block: u64,
    /// The trace within the block.
    pub trace: usize,
    /// The position within the trace; 0 is the root.
    pub position: usize,
}

/// The services, by the number of the place they have in the skeleton.
pub const SERVICES: usize = 5;

/// One position of the skeleton: the service, the parent's position, and when it begins and ends, as shares of the
/// root's time.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    pub service: usize,
    pub parent: usize,
    pub begins: f64,
    pub ends: f64,
}

const fn at(service: usize, parent: usize, begins: f64, ends: f64) -> Position {
    Position { service, parent, begins, ends }
}

/// Gateway (0), web-bff (1), then catalog (2), pricing (3) and inventory (4) with one dependency each.
const SKELETON: [Position; 12] = [
    at(0, 0, 0.0, 1.0),
    at(0, 0, 0.02, 0.98),
    at(1, 1, 0.04, 0.96),
    at(1, 2, 0.08, 0.52),
    at(2, 3, 0.1, 0.5),
    at(2, 4, 0.16, 0.44),
    at(1, 2, 0.54, 0.72),
    at(3, 6, 0.56, 0.7),
    at(3, 7, 0.58, 0.66),
    at(1, 2, 0.74, 0.92),
    at(4, 9, 0.76, 0.9),
    at(4, 10, 0.78, 0.88),
];

/// The position of the skeleton; beyond it, further queries of the catalog, one after the other.
pub fn position(number: usize) -> Position {
    match SKELETON.get(number) {
        Some(position) => *position,
        None => {
            let further = (number - SKELETON.len()) as f64 / (MOST_SPANS_PER_TRACE - SKELETON.len()) as f64;
            let begins = 0.44 + 0.05 * further;
            at(2, 4, begins, begins + 0.000_04)
        }
    }
}

/// Spans of a trace that has the query of [`slowed`].
pub const SPANS_WITH_SLOWED: usize = SKELETON.len();
/// A moment within the inventory's query, and how much longer than usual that takes then.
const SLOWED_AT: f64 = 0.83;
const SLOWED_BY: f64 = 0.3;

/// The moment of a trace, as a share of its usual time, when the inventory's query takes four times as long. What waits for it
/// takes as much longer.
pub fn slowed(moment: f64) -> f64 {
    if moment > SLOWED_AT { moment + SLOWED_BY } else { moment }
}

impl Layout {
    /// How many exports a block has.
    pub fn exports_per_block(&self) -> u64 {
        self.spans_per_trace as u64
    }

    /// The positions that a service holds in each trace.
    pub fn positions_of(&self, service: usize) -> Vec<usize> {
        (0..self.spans_per_trace).filter(|number| position(*number).service == service).collect()
    }

    /// The service that sends export `slot` of a block, and the how manieth of its exports that is.
    pub fn service_of(&self, slot: usize) -> (usize, usize) {
        let mut before = 0;
        for service in 0..SERVICES {
            let held = self.positions_of(service).len();
            if slot < before + held {
                return (service, slot - before);
            }
            before += held;
        }
        (0, 0)
    }

    /// Where the span at `index` of export `export` stands.
    pub fn place(&self, export: u64, index: usize) -> Place {
        let slot = (export % self.exports_per_block()) as usize;
        let (service, chunk) = self.service_of(slot);
        let positions = self.positions_of(service);
        let number = chunk * self.spans_per_export + index;
        Place {
            block: export / self.exports_per_block(),
            trace: number / positions.len(),
            position: positions[number % positions.len()],
        }
    }

    /// The trace id and span id at `index` of export `export`.
    pub fn ids(&self, export: u64, index: usize) -> ([u8; 16], [u8; 8]) {
        let place = self.place(export, index);
        let key = self.trace_key(place.block, place.trace);
        (trace_id(key), span_id(key, place.position))
    }

    /// The traces of export `export` in order, and how many spans of each it holds.
    pub fn traces(&self, export: u64) -> Vec<([u8; 16], u64)> {
        let mut traces: Vec<([u8; 16], u64)> = Vec::new();
        let first = self.place(export, 0);
        let held = self.positions_of(position(first.position).service).len();
        let last = self.place(export, self.spans_per_export - 1).trace;
        let mut left = self.spans_per_export;
        let mut of_first = held - self.positions_before(first.position);
        for trace in first.trace..=last {
            let spans = of_first.min(left);
            traces.push((trace_id(self.trace_key(first.block, trace)), spans as u64));
            left -= spans;
            of_first = held;
        }
        traces
    }

    /// How many positions the service of a position holds before it.
    fn positions_before(&self, number: usize) -> usize {
        let service = position(number).service;
        (0..number).filter(|other| position(*other).service == service).count()
    }

    /// A number that stands for one trace and is different for each.
    pub fn trace_key(&self, block: u64, trace: usize) -> u64 {
        let number = block * self.spans_per_export as u64 + trace as u64;
        mix(mix(self.seed) ^ number)
    }
}

pub fn trace_id(key: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&key.to_be_bytes());
    id[8..].copy_from_slice(&(mix(key) | 1).to_be_bytes());
    id
}

pub fn span_id(key: u64, position: usize) -> [u8; 8] {
    (mix(key.rotate_left(17) ^ position as u64) | 1).to_be_bytes()
}
