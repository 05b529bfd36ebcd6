//! How long the spans of each operation took, second by second: the heat map and the load steps of one service, whatever the
//! window.
//!
//! ```text
//! files, parts of the log, runs of rows in memory ─▶ FileLatencies: kept, of those that are small enough ─┐
//! the rest ──────────────────────────────────────────▶ folded row by row ─────────────────────────────────┴─▶ Entries
//! ```
//! Each operation of a file stands in bytes of its own, so that a question about one service reads no other's.
//! *Invariant:* a second is taken whole or not at all, and
//! all of its spans are the window's or none, so answers are those of a scan of all rows.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use bytes::Bytes;
use model::schema::column;
use model::time::SECOND;
use model::{Error, Nanos, Result, Signal};
use prost::Message;

use super::super::batch::{int, ints};
use super::super::called::{Called, Operations};
use super::super::names::TextColumn;
use super::super::observe::Requests;
use super::super::partial::{FromFile, Pieces, keeps_seconds_whole, split_by};
use super::super::per_file::{PerFile, Size};
use super::super::scope::{Scope, Window};
use super::super::summed;
use super::entries::{Entries, Part};
use super::written::{Buckets, histogram, span_of};
use super::{Bins, columns, select};
use crate::fold::Fold;
use crate::query::Query;

/// What is written now. Readers refuse others.
const VERSION: u32 = 1;
/// At most one byte for so many rows: at low rates each second of an operation has a span or two, and the rows are read as
/// fast.
const ROWS_A_BYTE: u64 = 2;

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(uint32, tag = "1")]
    version: u32,
    /// The first second with a span, in Unix time; others count from it.
    #[prost(int64, tag = "2")]
    first: i64,
    /// Seconds until the end of the last.
    #[prost(uint32, tag = "3")]
    seconds: u32,
    /// Service, name and kind of each operation.
    #[prost(string, repeated, tag = "4")]
    operations: Vec<String>,
    /// Of each an [`Operation`].
    #[prost(bytes = "bytes", repeated, tag = "5")]
    latencies: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(message, repeated, tag = "1")]
    seconds: Vec<Second>,
}

#[derive(Clone, PartialEq, Message)]
struct Second {
    #[prost(uint32, tag = "1")]
    at: u32,
    #[prost(message, optional, tag = "2")]
    all: Option<Buckets>,
    #[prost(message, optional, tag = "3")]
    failed: Option<Buckets>,
    #[prost(int64, tag = "4")]
    least_ns: i64,
    #[prost(int64, tag = "5")]
    greatest_ns: i64,
    /// Of all together.
    #[prost(int64, tag = "6")]
    total_ns: i64,
}

impl Second {
    fn part(&self) -> Result<Part> {
        let failed = histogram(&self.failed)?;
        let (latency, errors) = (histogram(&self.all)?, failed.count());
        let requests = Requests { latency, duration: self.total_ns, errors, apart: 0 };
        let bounds = Some((self.least_ns, self.greatest_ns));
        Ok(Part { requests, failed, bounds, ..Part::default() })
    }
}

/// What one file says, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLatencies {
    bytes: Bytes,
    /// The first second with a span, and the end of the last.
    span: (Nanos, Nanos),
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("what a file says of its latencies: {what}"))
}

impl FileLatencies {
    fn of_bytes(bytes: Bytes) -> Option<Self> {
        let file = File::decode(bytes.clone()).ok()?;
        let understood = file.version == VERSION && file.operations.len() == 3 * file.latencies.len();
        let span = span_of(file.first, file.seconds)?;
        understood.then_some(FileLatencies { bytes, span })
    }

    /// Adds the spans of the window of those operations, given by service, name and kind, that are asked for.
    fn add_to(&self, entries: &mut Entries, window: Window, is_asked: impl Fn([&str; 3]) -> bool) -> Result<()> {
        let file = File::decode(self.bytes.clone()).map_err(wrong)?;
        for (texts, operation) in file.operations.chunks_exact(3).zip(file.latencies) {
            if !is_asked([&texts[0], &texts[1], &texts[2]]) {
                continue;
            }
            for second in Operation::decode(operation).map_err(wrong)?.seconds {
                let at = file.first.saturating_add(i64::from(second.at)).saturating_mul(SECOND);
                // Where an edge cuts a second, all of its spans are known to be inside.
                if window.meets_second(at) {
                    entries.add_part(at, &second.part()?);
                }
            }
        }
        Ok(())
    }
}

impl Size for FileLatencies {
    fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl FromFile for FileLatencies {
    const SIGNAL: Signal = Signal::Traces;
    /// To read all operations of files for one service's heat map takes longer than to read that service's.
    const TOLD_WHERE_WORTH: bool = true;
    type Folded = OfFile;

    fn kept(pieces: &Pieces) -> &PerFile<Self> {
        &pieces.latencies
    }

    fn sql() -> String {
        select()
    }

    fn empty(_: Window) -> OfFile {
        OfFile::default()
    }

    fn made_of(folded: OfFile) -> Option<Self> {
        FileLatencies::of_bytes(folded.written()?.into())
    }

    fn fits(&self, window: Window) -> bool {
        keeps_seconds_whole(window, self.span)
    }

    fn of_memory() -> Option<Vec<&'static str>> {
        Some(columns())
    }

    fn of_summary(bytes: Bytes) -> Option<Self> {
        // A part of the bytes would keep all of them.
        FileLatencies::of_bytes(Bytes::copy_from_slice(&summed::latencies(bytes)?))
    }
}

/// The rows of one file, by operation and second.
#[derive(Debug, Clone, Default)]
pub struct OfFile {
    rows: u64,
    operations: Operations,
    /// Numbers of an operation and of a second, and where their spans are counted.
    places: HashMap<Cell, usize, foldhash::fast::RandomState>,
    parts: Vec<Part>,
}

type Cell = (u32, i64);

impl OfFile {
    fn part(&mut self, cell: Cell) -> usize {
        let next = self.parts.len();
        let place = *self.places.entry(cell).or_insert(next);
        if place == next {
            self.parts.push(Part::default());
        }
        place
    }

    /// `None` when it is not worth keeping.
    pub fn written(&self) -> Option<Vec<u8>> {
        self.encoded().filter(|bytes| bytes.len() as u64 * ROWS_A_BYTE <= self.rows)
    }

    fn encoded(&self) -> Option<Vec<u8>> {
        let mut cells: Vec<(Cell, &Part)> = self.places.iter().map(|(cell, at)| (*cell, &self.parts[*at])).collect();
        cells.sort_unstable_by_key(|(cell, _)| *cell);
        let seconds = || cells.iter().map(|((_, second), _)| *second);
        let (first, last) = seconds().min().zip(seconds().max())?;
        let mut file =
            File { version: VERSION, first, seconds: u32::try_from(last + 1 - first).ok()?, ..File::default() };
        let second = |((_, at), part): &(Cell, &Part)| {
            let (least_ns, greatest_ns) = part.bounds.unwrap_or_default();
            Second {
                at: u32::try_from(at - first).unwrap_or(0),
                all: Buckets::of(&part.requests.latency),
                failed: Buckets::of(&part.failed),
                least_ns,
                greatest_ns,
                total_ns: part.requests.duration,
            }
        };
        for of_one in cells.chunk_by(|a, b| a.0.0 == b.0.0) {
            let [service, name, kind, _] = self.operations.texts(of_one[0].0.0);
            file.operations.extend([service, name, kind].map(str::to_owned));
            file.latencies.push(Operation { seconds: of_one.iter().map(second).collect() }.encode_to_vec().into());
        }
        Some(file.encode_to_vec())
    }
}

impl Fold for OfFile {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut called = Called::of(batch)?;
        let status = TextColumn::of(batch, column::STATUS_CODE)?;
        let (start, duration) = (ints(batch, column::START)?, ints(batch, column::DURATION)?);
        self.rows += batch.num_rows() as u64;
        let mut last: Option<(Cell, usize)> = None;
        for row in 0..batch.num_rows() {
            let cell = (called.number(row, &mut self.operations), Bins::SECONDS.number(int(start, row)));
            // A file has an operation's rows in order of their start.
            let place = last.filter(|(known, _)| *known == cell).map_or_else(|| self.part(cell), |(_, place)| place);
            last = Some((cell, place));
            self.parts[place].add(int(duration, row), status.text(row) == Some("ERROR"), true);
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        let (_, operations) = self.operations.take_in(&other.operations);
        for ((operation, second), at) in &other.places {
            let place = self.part((operations[*operation as usize], *second));
            self.parts[place].merge(&other.parts[*at]);
        }
    }

    fn size(&self) -> usize {
        let buckets = self.parts.iter().map(|part| part.requests.latency.buckets().len() + part.failed.buckets().len());
        let parts = self.parts.len() * (size_of::<Part>() + 2 * size_of::<(Cell, usize)>());
        self.operations.size() + parts + buckets.sum::<usize>() * size_of::<u64>()
    }
}

/// The spans of the scope's service, and operation and kind if it names them, that are of one of `kinds` or of any, as
/// requests by `bins` of whole seconds, as far as they are known of files; and the query over all the rest.
pub async fn known(query: &Query, scope: &Scope, bins: Bins, kinds: Option<&[&str]>) -> Result<(Entries, Query)> {
    let window = scope.window;
    let fits = |file: &FileLatencies, times| file.fits(window) || window.holds_all(times);
    let (files, rest) = split_by::<FileLatencies>(query, window, fits).await?;
    let is_asked = |texts: [&str; 3]| scope.asks_for(texts) && kinds.is_none_or(|kinds| kinds.contains(&texts[2]));
    let mut entries = Entries::new(bins);
    files.iter().try_for_each(|file| file.what.add_to(&mut entries, window, is_asked))?;
    Ok((entries, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{Row, batch, rows};
    use super::*;

    const ALWAYS: Window = Window { start: 0, end: i64::MAX };

    fn folded(rows: &[Row]) -> OfFile {
        let mut folded = OfFile::default();
        folded.add(&batch(rows)).expect("counts");
        folded
    }

    fn file(rows: &OfFile) -> FileLatencies {
        FileLatencies::of_bytes(rows.encoded().expect("seconds of this century").into()).expect("readable")
    }

    /// The spans of the window of one of [`batch`]'s operations, or of a service's both, as a scan counts them.
    fn scanned(rows: &[Row], bins: Bins, window: Window, wanted: impl Fn(usize) -> bool) -> Entries {
        let wanted = |row: &&Row| window.holds(row.0 * SECOND) && wanted(row.1);
        // All of them requests.
        let plain = |&(second, operation, instance, ms, failed, _): &Row| {
            (second, operation, instance, ms, failed, model::trace::flag::ENTRY)
        };
        let rows: Vec<Row> = rows.iter().filter(wanted).map(plain).collect();
        let mut entries = Entries::new(bins);
        entries.add_rows(&batch(&rows), |_| true).expect("counts");
        entries
    }

    proptest! {
        #[test]
        fn files_add_up_to_a_scan_of_what_is_asked_for(a in rows(), b in rows(), width in 1..20_i64, from in 0..40_i64) {
            let bins = Bins { start: 1_699_999_990 * SECOND, width: width * SECOND };
            let window = Window { start: (1_700_000_000 + from) * SECOND, end: 1_700_000_030 * SECOND };
            let both = [a.clone(), b.clone()].concat();
            let mut merged = folded(&a);
            merged.merge(folded(&b));
            let ways = [vec![file(&folded(&a)), file(&folded(&b))], vec![file(&folded(&both))], vec![file(&merged)]];
            for files in ways {
                let count = |asked: &dyn Fn([&str; 3]) -> bool, window: Window| {
                    let mut entries = Entries::new(bins);
                    files.iter().for_each(|file| file.add_to(&mut entries, window, asked).expect("readable"));
                    entries.parts
                };
                let of_shop = count(&|[service, ..]| service == "shop", window);
                prop_assert_eq!(of_shop, scanned(&both, bins, window, |operation| operation / 2 == 0).parts);
                let of_calls = count(&|texts| texts == ["pay", "SELECT stock", "CLIENT"], ALWAYS);
                prop_assert_eq!(of_calls, scanned(&both, bins, ALWAYS, |operation| operation == 3).parts);
            }
        }

        #[test]
        fn bytes_that_are_something_else_are_refused_or_read_but_never_a_panic(
            rows in rows(), at in any::<prop::sample::Index>(), value in any::<u8>()
        ) {
            let mut bytes = folded(&rows).encoded().expect("seconds of this century");
            let at = at.index(bytes.len());
            bytes[at] = value;
            for bytes in [bytes.clone(), bytes[..at].to_vec()] {
                let Some(file) = FileLatencies::of_bytes(bytes.into()) else { continue };
                let _ = file.add_to(&mut Entries::new(Bins::SECONDS), ALWAYS, |_| true);
            }
        }
    }

    #[test]
    fn what_is_as_large_as_its_rows_is_not_written_and_seconds_of_many_spans_are() {
        let apart: Vec<Row> = (0..40).map(|n| (1_700_000_000 + n, 0, 0, 10 * n, false, 0)).collect();
        assert!(folded(&apart).written().is_none());
        let together: Vec<Row> = (0..1_000).map(|n| (1_700_000_000 + n / 500, 0, 0, n % 3, false, 0)).collect();
        assert!(folded(&together).written().is_some_and(|bytes| bytes.len() < 300));
        // Years apart, and too many seconds to number.
        assert!(folded(&[(-9_000_000_000, 0, 0, 1, false, 0), (9_000_000_000, 0, 0, 1, false, 0)]).encoded().is_none());
    }
}
