//! What a file says of rates, as bytes: written at its end when it is made ([`summed`]), or worked out when it is first
//! asked.
//!
//! A file that covers a long time at a low rate has none: its seconds would be almost as many as its spans, and it is read
//! as fast. Nor has one of few rows, which will be merged soon.

use arrow::array::RecordBatch;
use bytes::Bytes;
use model::time::SECOND;
use model::{Nanos, Result, Signal};

use super::super::partial::{FromFile, Pieces, keeps_seconds_whole};
use super::super::per_file::{PerFile, Size};
use super::super::scope::Window;
use super::super::summed;
use super::entries::{Entries, is_entry};
use super::written;
use super::{Bins, Rates, columns, select};
use crate::fold::Fold;

/// What one file says, by the second, as [`written`] writes it: that is a tenth of what it takes when it is added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRates {
    bytes: Bytes,
    /// The first second with a span, and the end of the last.
    span: (Nanos, Nanos),
}

impl FileRates {
    pub(super) fn of_bytes(bytes: Bytes) -> Option<Self> {
        let span = written::span(&bytes)?;
        Some(FileRates { bytes, span })
    }

    /// What several say, as one. `None` of none.
    pub fn of_all<'a>(all: impl Iterator<Item = &'a FileRates>) -> Result<Option<Self>> {
        let (mut sum, mut span) = (OfFile::default(), None::<(Nanos, Nanos)>);
        for one in all {
            sum.rates.merge(one.rates()?);
            sum.entries.merge(one.entries()?);
            let (start, end) = span.unwrap_or(one.span);
            span = Some((start.min(one.span.0), end.max(one.span.1)));
        }
        let Some((start, end)) = span else { return Ok(None) };
        let seconds = (start.div_euclid(SECOND), end.div_euclid(SECOND));
        Ok(FileRates::of_bytes(written::write(&sum.rates, &sum.entries, seconds).into()))
    }

    pub fn span(&self) -> (Nanos, Nanos) {
        self.span
    }

    pub fn rates(&self) -> Result<Rates> {
        written::rates(&self.bytes)
    }

    pub fn entries(&self) -> Result<Entries> {
        written::entries(&self.bytes)
    }
}

impl Size for FileRates {
    fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl FromFile for FileRates {
    const SIGNAL: Signal = Signal::Traces;
    type Folded = OfFile;

    fn kept(pieces: &Pieces) -> &PerFile<Self> {
        &pieces.rates
    }

    fn sql() -> String {
        select()
    }

    fn empty(_: Window) -> OfFile {
        OfFile::default()
    }

    fn made_of(folded: OfFile) -> Option<Self> {
        FileRates::of_bytes(folded.written()?.into())
    }

    fn fits(&self, window: Window) -> bool {
        keeps_seconds_whole(window, self.span)
    }

    fn of_memory() -> Option<Vec<&'static str>> {
        Some(columns())
    }

    fn of_summary(bytes: Bytes) -> Option<Self> {
        // A part of the bytes would keep all of them.
        FileRates::of_bytes(Bytes::copy_from_slice(&summed::rates(bytes)?))
    }
}

/// The rows of one file, by the second.
#[derive(Clone)]
pub struct OfFile {
    rows: u64,
    rates: Rates,
    entries: Entries,
}

impl Default for OfFile {
    fn default() -> Self {
        OfFile { rows: 0, rates: Rates::new(Bins::SECONDS), entries: Entries::new(Bins::SECONDS) }
    }
}

impl OfFile {
    /// `None` when it is not worth keeping.
    pub fn written(&self) -> Option<Vec<u8>> {
        let seconds = || self.rates.figures.iter().flat_map(|figures| figures.times.iter().map(|(bin, _)| bin));
        let (first, last) = seconds().min().zip(seconds().max())?;
        if self.rates.is_too_long {
            return None;
        }
        let bytes = written::write(&self.rates, &self.entries, (first, last + 1));
        // As many bytes as spans: names that never come again.
        (bytes.len() as u64 <= self.rows).then_some(bytes)
    }
}

impl Fold for OfFile {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.rates.add(batch)?;
        // What is too long will not be written; a part of time for each row would only take memory.
        if self.rates.is_too_long { Ok(()) } else { self.entries.add_rows(batch, is_entry) }
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.rates.merge(other.rates);
        self.entries.merge(other.entries);
    }

    fn size(&self) -> usize {
        self.rates.size() + self.entries.size()
    }
}
