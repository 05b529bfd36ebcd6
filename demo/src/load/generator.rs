//! Makes export `n`: a copy of its template with the ids, times and users of `n` written in.

use bytes::Bytes;

use super::Settings;
use super::layout::{Layout, SERVICES, position, span_id, trace_id};
use super::schedule::Schedule;
use super::template::{INSTANCES, Patch, Template, USER_DIGITS};
use crate::shop::mix;

/// How long before its export is due the last trace of a block begins; longer than any trace takes.
const LAG_NS: u64 = 1_500_000_000;
/// Duration of a trace before it is scaled.
const TRACE_NS: f64 = 40_000_000.0;
/// Scales durations by the hash of the trace: a log-normal body (e^-1 to e^1) and a tail of some per cent.
const SCALES: usize = 256;

pub struct Generator {
    layout: Layout,
    schedule: Schedule,
    /// Real time of the schedule's start, in nanoseconds since the Unix epoch.
    epoch: u64,
    /// By slot, then by instance.
    templates: Vec<Vec<Template>>,
    scales: Vec<f64>,
}

impl Generator {
    /// Encodes all templates (some milliseconds each). `epoch` is the real time at which the run begins, in
    /// nanoseconds since the Unix epoch.
    pub fn new(settings: &Settings, epoch: u64) -> Self {
        let layout = settings.layout();
        let of_slot = |slot: usize| {
            let (service, _) = layout.service_of(slot);
            (0..INSTANCES[service % SERVICES]).map(|instance| Template::new(&layout, slot, instance)).collect()
        };
        Generator {
            layout,
            schedule: Schedule::new(settings),
            epoch,
            templates: (0..layout.spans_per_trace).map(of_slot).collect(),
            scales: (0..SCALES).map(scale).collect(),
        }
    }

    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The OTLP bytes of export `export`, an `ExportTraceServiceRequest`.
    pub fn export(&self, export: u64) -> Bytes {
        let per_block = self.layout.exports_per_block();
        let block = export / per_block;
        let slot = &self.templates[(export % per_block) as usize];
        let template = &slot[(block % slot.len() as u64) as usize];
        let mut bytes = template.bytes.clone();
        let (begins, lasts) = self.time_of_block(block);
        let spacing = lasts / self.layout.spans_per_export as u64;
        for patch in &template.spans {
            let key = self.layout.trace_key(block, patch.trace);
            write(&mut bytes, patch, key, begins + spacing * patch.trace as u64, self.scale_of(key));
        }
        bytes.into()
    }

    /// When the traces of a block begin, in nanoseconds since the Unix epoch, and over how long.
    fn time_of_block(&self, block: u64) -> (u64, u64) {
        let per_block = self.layout.exports_per_block();
        let due = self.schedule.due(block * per_block).as_nanos() as u64;
        let next = self.schedule.due((block + 1) * per_block).as_nanos() as u64;
        let lasts = next.saturating_sub(due).min(LAG_NS);
        (self.epoch.saturating_add(due).saturating_sub(LAG_NS + lasts), lasts)
    }

    fn scale_of(&self, key: u64) -> f64 {
        self.scales[(mix(key ^ 0x5ca1e) % SCALES as u64) as usize]
    }
}

fn scale(number: usize) -> f64 {
    let share = (number as f64 + 0.5) / SCALES as f64;
    let tail = if share > 0.96 { 4.0 } else { 1.0 };
    ((share - 0.5) * 2.0).exp() * tail
}

fn write(bytes: &mut [u8], patch: &Patch, key: u64, begins: u64, scale: f64) {
    let position = position(patch.position);
    let lasts = TRACE_NS * scale;
    put(bytes, patch.trace_id, &trace_id(key));
    put(bytes, patch.span_id, &span_id(key, patch.position));
    if let Some(at) = patch.parent_id {
        put(bytes, at, &span_id(key, position.parent));
    }
    put(bytes, patch.start, &(begins + (lasts * position.begins) as u64).to_le_bytes());
    put(bytes, patch.end, &(begins + (lasts * position.ends) as u64).to_le_bytes());
    if let Some(at) = patch.user {
        put(bytes, at, &digits(mix(key ^ 0x75e2) % 10_000_000));
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn digits(mut number: u64) -> [u8; USER_DIGITS] {
    let mut text = [b'0'; USER_DIGITS];
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    text
}
