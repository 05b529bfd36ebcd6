//! What the store writes at the end of each file of spans: its rates, its latencies and what hot spots are found by, each in
//! a form of its own.
//!
//! ```text
//! rows of a file ─┬─▶ OfFile (services, operations, steps, requests' heat map) ─▶ bytes ─┐
//!                 ├─▶ latencies::OfFile (a service's heat map, load steps) ─────▶ bytes ─┤
//!                 └─▶ Seen (hot spots) ────────────────────────────────────────▶ bytes ─┴─▶ Summary
//! ```
//! Each is left out where it would be too large for its file: at low rates each second of each operation has a span or
//! two, and the rows are read as fast.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use model::{Result, Signal};
use prost::Message;
use storage::{Expected, Summarize, Summary};

use super::observe::Seen;
use super::partial::{around, is_by_second, written};
use super::rates::latencies;
use super::rates::summary::OfFile;
use crate::fold::Fold;

/// Spans that are kept in whole traces: one in so many of the file's, so that they are a small part of it.
const ROWS_A_KEPT: usize = 250;
/// At least and at most so many.
const KEPT: std::ops::RangeInclusive<usize> = 500..=3_000;
/// Bytes that each part may take while a file is written. Names that never come again would take more.
const MOST_BYTES: usize = 24 << 20;

/// All parts, as one message.
#[derive(Clone, PartialEq, Message)]
struct Parts {
    #[prost(bytes = "bytes", optional, tag = "1")]
    rates: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    hot_spots: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    latencies: Option<Bytes>,
}

/// The part that [`super::rates`] reads.
pub fn rates(summary: Bytes) -> Option<Bytes> {
    Parts::decode(summary).ok()?.rates
}

/// The part that [`super::partial::Piece`] is read from.
pub fn hot_spots(summary: Bytes) -> Option<Bytes> {
    Parts::decode(summary).ok()?.hot_spots
}

/// The part that [`latencies`](super::rates::latencies) reads.
pub fn latencies(summary: Bytes) -> Option<Bytes> {
    Parts::decode(summary).ok()?.latencies
}

/// Sums up files of spans as they are written.
#[derive(Debug)]
struct Summing;

/// What the store calls for each file.
pub fn summaries() -> Arc<dyn Summarize> {
    Arc::new(Summing)
}

impl Summarize for Summing {
    fn begin(&self, file: Expected) -> Option<Box<dyn Summary>> {
        let times = file.times.filter(|_| file.signal == Signal::Traces)?;
        if !is_by_second(file.rows as u64, times) {
            return None;
        }
        let kept = (file.rows / ROWS_A_KEPT).clamp(*KEPT.start(), *KEPT.end());
        let seen = Some(Seen::by_the_second_keeping(around(times), kept));
        Some(Box::new(Sum { seen, ..Sum::of(file.rows) }))
    }

    fn begin_in_log(&self, rows: Expected) -> Option<(Vec<&'static str>, Box<dyn Summary>)> {
        // Hot spots are found in assembled traces.
        (rows.signal == Signal::Traces).then(|| (super::rates::columns(), Box::new(Sum::of(rows.rows)) as _))
    }
}

struct Sum {
    rows: usize,
    rates: Option<OfFile>,
    latencies: Option<latencies::OfFile>,
    seen: Option<Seen>,
}

impl Sum {
    fn of(rows: usize) -> Self {
        Sum { rows, rates: Some(OfFile::default()), latencies: Some(latencies::OfFile::default()), seen: None }
    }
}

/// Adds rows to a part, and gives it up when it has become too large.
fn add<F: Fold>(part: &mut Option<F>, rows: &RecordBatch) -> Result<()> {
    if let Some(fold) = part {
        fold.add(rows)?;
    }
    *part = part.take().filter(|fold| fold.size() <= MOST_BYTES);
    Ok(())
}

impl Summary for Sum {
    fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        add(&mut self.rates, rows)?;
        add(&mut self.latencies, rows)?;
        add(&mut self.seen, rows)
    }

    fn finish(self: Box<Self>) -> Option<Vec<u8>> {
        let rates = self.rates.and_then(|rates| rates.written()).map(Bytes::from);
        let piece = self.seen.and_then(Seen::into_piece);
        let hot_spots = piece.map(|piece| Bytes::from(written::write(&piece)));
        let hot_spots = hot_spots.filter(|bytes| bytes.len() <= self.rows);
        let latencies = self.latencies.and_then(|latencies| latencies.written()).map(Bytes::from);
        let parts = Parts { rates, hot_spots, latencies };
        (parts != Parts::default()).then(|| parts.encode_to_vec())
    }
}
