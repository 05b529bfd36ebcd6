//! Makes export `n`: its head and pieces copied, with the ids, times and customers of `n` written over them.
//!
//! Nothing is allocated: the caller's buffer is filled from front to back, and what a send copies from fits into the
//! processor's nearest caches.

use std::time::Duration;

use bytes::BytesMut;

use super::Settings;
use super::content::{CONTENTS, INSTANCES, VARIANTS, Varying};
use super::layout::{Layout, SERVICES, position, slowed, span_id, trace_id};
use super::schedule::Schedule;
use super::template::{Piece, head, tail};
use crate::shop::mix;

/// How long before its export is due the last trace of a block begins; longer than any trace takes.
const LAG_NS: u64 = 1_500_000_000;
/// Duration of a trace before it is scaled.
const TRACE_NS: f64 = 40_000_000.0;
/// Scales durations: a log-normal body (e^-1 to e^1) and a tail of some per cent.
const SCALES: usize = 256;
/// How much later a span begins and sooner it ends than its position says, at most, as a share of the trace. Less
/// than half of what lies between a span and its parent.
const JITTER: f64 = 0.009;
const PRODUCTS: f64 = 20_000.0;
const USERS: u64 = 10_000_000;

pub struct Generator {
    layout: Layout,
    schedule: Schedule,
    slow_after: Duration,
    /// Real time of the schedule's start, in nanoseconds since the Unix epoch.
    epoch: u64,
    slots: Vec<Slot>,
    /// By content, then by variant.
    pieces: Vec<Piece>,
    tail: Vec<u8>,
    scales: Vec<f64>,
}

/// One of the exports of a block.
struct Slot {
    /// The positions that its service holds in each trace.
    positions: Vec<usize>,
    /// How many spans of its service stand in the slots before.
    first: usize,
    /// By instance.
    heads: Vec<Vec<u8>>,
    bytes: usize,
}

/// What the spans of one trace have in common.
struct Trace {
    key: u64,
    id: [u8; 16],
    begins: u64,
    lasts: f64,
    user: u64,
    product: u64,
    is_slowed: bool,
}

impl Generator {
    /// Encodes all templates (some milliseconds). `epoch` is the real time at which the run begins, in nanoseconds
    /// since the Unix epoch.
    pub fn new(settings: &Settings, epoch: u64) -> Self {
        let layout = settings.layout();
        let kinds = (0..CONTENTS).flat_map(|number| (0..VARIANTS).map(move |variant| (number, variant)));
        let pieces: Vec<Piece> = kinds.map(|(number, variant)| Piece::new(number, variant)).collect();
        let slots = (0..layout.spans_per_trace).map(|slot| Slot::new(&layout, slot, &pieces)).collect();
        Generator {
            layout,
            schedule: Schedule::new(settings),
            slow_after: settings.slow_after.unwrap_or(Duration::MAX),
            epoch,
            slots,
            pieces,
            tail: tail(),
            scales: (0..=SCALES).map(scale).collect(),
        }
    }

    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Appends the OTLP bytes of export `export`, an `ExportTraceServiceRequest`.
    pub fn write(&self, export: u64, out: &mut BytesMut) {
        let per_block = self.layout.exports_per_block();
        let block = export / per_block;
        let slot = &self.slots[(export % per_block) as usize];
        let head = &slot.heads[(block % slot.heads.len() as u64) as usize];
        out.reserve(head.len() + slot.bytes + self.tail.len());
        out.extend_from_slice(head);
        let (begins, lasts) = self.time_of_block(block);
        let is_slowed = self.schedule.due(block * per_block) >= self.slow_after;
        let spacing = (lasts / self.layout.spans_per_export as u64).max(1);
        let held = slot.positions.len();
        let (mut number, last) = (slot.first, slot.first + self.layout.spans_per_export);
        while number < last {
            let in_block = number / held;
            let trace = self.trace((block, in_block), begins + spacing * in_block as u64, spacing, is_slowed);
            let of_trace = last.min((in_block + 1) * held);
            for place in &slot.positions[number % held..][..of_trace - number] {
                self.write_span(&trace, *place, in_block, out);
            }
            number = of_trace;
        }
        out.extend_from_slice(&self.tail);
    }

    fn trace(&self, (block, in_block): (u64, usize), begins: u64, spacing: u64, is_slowed: bool) -> Trace {
        let key = self.layout.trace_key(block, in_block);
        let (when, what) = (mix(key ^ 0x5ca1e), mix(key ^ 0x75e2));
        // Few products are bought often.
        let rank = PRODUCTS * share(what).powi(3);
        Trace {
            key,
            id: trace_id(key),
            begins: begins + when % spacing,
            lasts: TRACE_NS * self.scale_of(when),
            user: what % USERS,
            product: 100_000 + mix(rank as u64) % 900_000,
            is_slowed,
        }
    }

    fn write_span(&self, trace: &Trace, number: usize, in_block: usize, out: &mut BytesMut) {
        let piece = &self.pieces[number.min(CONTENTS - 1) * VARIANTS + in_block % VARIANTS];
        let at = out.len();
        out.extend_from_slice(&piece.bytes);
        let bytes = &mut out[at..];
        let place = position(number);
        let id = span_id(trace.key, number);
        put(bytes, piece.trace_id, &trace.id);
        put(bytes, piece.span_id, &id);
        if let Some(at) = piece.parent_id {
            put(bytes, at, &span_id(trace.key, place.parent));
        }
        let chance = u64::from_be_bytes(id);
        let jitter = JITTER.min(0.2 * (place.ends - place.begins));
        let starts = place.begins + jitter * share(chance);
        let ends = place.ends - jitter * share(chance << 32);
        for (at, moment) in [(piece.start, starts), (piece.end, ends)] {
            let moment = if trace.is_slowed { slowed(moment) } else { moment };
            put(bytes, at, &(trace.begins + (trace.lasts * moment) as u64).to_le_bytes());
        }
        for (index, (at, varying)) in piece.varying.iter().enumerate() {
            match varying {
                Varying::User => put(bytes, *at, &digits::<10>(trace.user)),
                Varying::Product => put(bytes, *at, &digits::<6>(trace.product)),
                Varying::Thread => put(bytes, *at, &digits::<2>((chance >> 8) % 100)),
                Varying::Octet => put(bytes, *at, &digits::<3>(100 + mix(trace.user << 8 | index as u64) % 150)),
            }
        }
    }

    /// When the traces of a block begin, in nanoseconds since the Unix epoch, and over how long.
    fn time_of_block(&self, block: u64) -> (u64, u64) {
        let per_block = self.layout.exports_per_block();
        let due = self.schedule.due(block * per_block).as_nanos() as u64;
        let next = self.schedule.due((block + 1) * per_block).as_nanos() as u64;
        let lasts = next.saturating_sub(due).min(LAG_NS);
        (self.epoch.saturating_add(due).saturating_sub(LAG_NS + lasts), lasts)
    }

    fn scale_of(&self, chance: u64) -> f64 {
        let place = share(chance) * SCALES as f64;
        let (below, above) = (self.scales[place as usize], self.scales[place as usize + 1]);
        below + (above - below) * place.fract()
    }
}

impl Slot {
    fn new(layout: &Layout, slot: usize, pieces: &[Piece]) -> Self {
        let (service, chunk) = layout.service_of(slot);
        let positions = layout.positions_of(service);
        let first = chunk * layout.spans_per_export;
        let size_of = |number: usize| {
            let content = positions[number % positions.len()].min(CONTENTS - 1);
            pieces[content * VARIANTS + number / positions.len() % VARIANTS].bytes.len()
        };
        let bytes = (first..first + layout.spans_per_export).map(size_of).sum();
        let heads = (0..INSTANCES[service % SERVICES]).map(|instance| head(service, instance, bytes)).collect();
        Slot { positions, first, heads, bytes }
    }
}

/// A number from 0 to below 1 from the upper half of a hash.
fn share(hash: u64) -> f64 {
    (hash >> 32) as f64 / (1_u64 << 32) as f64
}

fn scale(number: usize) -> f64 {
    let share = (number as f64 / SCALES as f64).min(0.999);
    let tail = if share > 0.96 { 4.0 } else { 1.0 };
    ((share - 0.5) * 2.0).exp() * tail
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn digits<const WIDTH: usize>(mut number: u64) -> [u8; WIDTH] {
    let mut text = [b'0'; WIDTH];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text
}
