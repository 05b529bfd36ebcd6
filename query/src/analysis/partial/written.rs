//! A piece as bytes, at the end of its file: a Protocol Buffers message of columns, whose small numbers take a byte or two.
//!
//! *Invariant:* as of rates ([`super::super::rates`]): bytes that are not such a message, or whose numbers point nowhere,
//! are refused, and the file's rows are read instead.

use std::collections::BTreeMap;

use model::time::SECOND;
use model::{Error, Nanos, Result};
use prost::Message;

use super::super::called::Operations;
use super::super::observe::{Cell, CellKey, Kept, Requests};
use super::super::rates::written::{Buckets, histogram};
use super::super::sample::Part;
use super::Piece;

/// What is written now. Readers refuse others.
const VERSION: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(uint32, tag = "1")]
    version: u32,
    /// The first second and the end of the last, Unix time. Seconds below count from the first.
    #[prost(int64, tag = "2")]
    first: i64,
    #[prost(int64, tag = "3")]
    end: i64,
    #[prost(string, repeated, tag = "4")]
    names: Vec<String>,
    /// Six for each operation, as in rates.
    #[prost(uint32, repeated, tag = "5")]
    operations: Vec<u32>,
    #[prost(message, repeated, tag = "6")]
    cells: Vec<Cells>,
    #[prost(message, repeated, tag = "7")]
    requests: Vec<EntrySecond>,
    #[prost(uint32, tag = "8")]
    halvings: u32,
    #[prost(message, repeated, tag = "9")]
    traces: Vec<Trace>,
}

/// The cells of one key: a column each of what they count. No errors stands for none in any of them.
#[derive(Clone, PartialEq, Message)]
struct Cells {
    /// Entry service, entry operation, operation, instance.
    #[prost(uint32, repeated, tag = "1")]
    key: Vec<u32>,
    #[prost(uint32, repeated, tag = "2")]
    seconds: Vec<u32>,
    #[prost(uint64, repeated, tag = "3")]
    spans: Vec<u64>,
    #[prost(uint64, repeated, tag = "4")]
    errors: Vec<u64>,
    #[prost(sint64, repeated, tag = "5")]
    critical: Vec<i64>,
    #[prost(sint64, repeated, tag = "6")]
    duration: Vec<i64>,
}

/// Requests of one entry in one second.
#[derive(Clone, PartialEq, Message)]
struct EntrySecond {
    #[prost(uint32, tag = "1")]
    service: u32,
    #[prost(uint32, tag = "2")]
    operation: u32,
    #[prost(uint32, tag = "3")]
    second: u32,
    #[prost(message, optional, tag = "4")]
    latency: Option<Buckets>,
    #[prost(sint64, tag = "5")]
    duration: i64,
    #[prost(uint64, tag = "6")]
    errors: u64,
    /// Files of before do not say it: there all count as requests.
    #[prost(uint64, tag = "7")]
    apart: u64,
}

/// The kept spans of one trace, column by column.
#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(fixed64, tag = "1")]
    high: u64,
    #[prost(fixed64, tag = "2")]
    low: u64,
    #[prost(fixed64, repeated, tag = "3")]
    span: Vec<u64>,
    #[prost(fixed64, repeated, tag = "4")]
    parent: Vec<u64>,
    #[prost(uint32, repeated, tag = "5")]
    operation: Vec<u32>,
    #[prost(uint32, repeated, tag = "6")]
    instance: Vec<u32>,
    /// When the first span's request entered, Unix ns.
    #[prost(int64, tag = "7")]
    at: i64,
    /// From there on, ns.
    #[prost(sint64, repeated, tag = "8")]
    entered: Vec<i64>,
    #[prost(sint64, repeated, tag = "9")]
    start: Vec<i64>,
    #[prost(sint64, repeated, tag = "10")]
    length: Vec<i64>,
    #[prost(sint64, repeated, tag = "11")]
    own: Vec<i64>,
    /// Places of those that failed.
    #[prost(uint32, repeated, tag = "12")]
    failed: Vec<u32>,
}

pub fn write(piece: &Piece) -> Vec<u8> {
    let first = piece.span.0.div_euclid(SECOND);
    let second = |at: Nanos| u32::try_from(at.div_euclid(SECOND) - first).unwrap_or(0);
    let mut by_key: BTreeMap<[u32; 4], Vec<(u32, &Cell)>> = BTreeMap::new();
    for (key, at, cell) in &piece.cells {
        by_key.entry([key.entry.0, key.entry.1, key.operation, key.instance]).or_default().push((second(*at), cell));
    }
    let cells = by_key.into_iter().map(|(key, cells)| Cells {
        key: key.to_vec(),
        seconds: cells.iter().map(|(second, _)| *second).collect(),
        spans: cells.iter().map(|(_, cell)| cell.spans).collect(),
        errors: match cells.iter().all(|(_, cell)| cell.errors == 0) {
            true => Vec::new(),
            false => cells.iter().map(|(_, cell)| cell.errors).collect(),
        },
        critical: cells.iter().map(|(_, cell)| cell.critical).collect(),
        duration: cells.iter().map(|(_, cell)| cell.duration).collect(),
    });
    let requests = piece.requests.iter().map(|((service, operation), at, requests)| EntrySecond {
        service: *service,
        operation: *operation,
        second: second(*at),
        latency: Buckets::of(&requests.latency),
        duration: requests.duration,
        errors: requests.errors,
        apart: requests.apart,
    });
    let mut traces: BTreeMap<u128, Vec<&Kept>> = BTreeMap::new();
    piece.kept.iter().for_each(|span| traces.entry(span.trace).or_default().push(span));
    let (names, keys) = piece.operations.parts();
    let file = File {
        version: VERSION,
        first,
        end: piece.span.1.div_euclid(SECOND),
        names: names.map(str::to_owned).collect(),
        operations: keys.flatten().collect(),
        cells: cells.collect(),
        requests: requests.collect(),
        halvings: piece.part.halvings(),
        traces: traces.into_iter().map(|(id, spans)| trace(id, &spans)).collect(),
    };
    file.encode_to_vec()
}

fn trace(id: u128, spans: &[&Kept]) -> Trace {
    let at = spans.first().map_or(0, |span| span.entered);
    Trace {
        high: (id >> 64) as u64,
        low: id as u64,
        span: spans.iter().map(|span| span.span).collect(),
        parent: spans.iter().map(|span| span.parent).collect(),
        operation: spans.iter().map(|span| span.operation).collect(),
        instance: spans.iter().map(|span| span.instance).collect(),
        at,
        entered: spans.iter().map(|span| span.entered - at).collect(),
        start: spans.iter().map(|span| span.start - at).collect(),
        length: spans.iter().map(|span| span.end - span.start).collect(),
        own: spans.iter().map(|span| span.own).collect(),
        failed: (0..).zip(spans).filter(|(_, span)| span.failed).map(|(place, _)| place).collect(),
    }
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("what a file says of hot spots: {what}"))
}

/// What [`write`] was given.
///
/// # Errors
/// `Corrupt` when these are other bytes, or of another version.
pub fn piece(bytes: &[u8]) -> Result<Piece> {
    let file = File::decode(bytes).map_err(wrong)?;
    if file.version != VERSION {
        return Err(wrong(format_args!("it is of version {}, not {VERSION}", file.version)));
    }
    let nowhere = || wrong("a number that points nowhere");
    let (keys, rest) = file.operations.as_chunks::<6>();
    let operations = Operations::of_parts(&file.names, keys).filter(|_| rest.is_empty()).ok_or_else(nowhere)?;
    let limits = Limits { names: file.names.len(), operations: operations.len() };
    let second = |number: u32| file.first.saturating_add(i64::from(number)).saturating_mul(SECOND);
    let mut cells = Vec::new();
    for of_key in &file.cells {
        let key = limits.key(&of_key.key).ok_or_else(nowhere)?;
        let columns = of_key.seconds.iter().zip(&of_key.spans).zip(&of_key.critical).zip(&of_key.duration);
        for (row, (((at, spans), critical), duration)) in columns.enumerate() {
            let errors = of_key.errors.get(row).copied().unwrap_or(0);
            cells.push((key, second(*at), Cell { spans: *spans, errors, critical: *critical, duration: *duration }));
        }
    }
    let mut requests = Vec::with_capacity(file.requests.len());
    for of in &file.requests {
        let entry = limits.entry((of.service, of.operation)).ok_or_else(nowhere)?;
        let latency = histogram(&of.latency)?;
        let of_second = Requests { latency, duration: of.duration, errors: of.errors, apart: of.apart };
        requests.push((entry, second(of.second), of_second));
    }
    let mut kept = Vec::new();
    for trace in &file.traces {
        limits.keep(trace, &mut kept).ok_or_else(nowhere)?;
    }
    let span = (file.first.saturating_mul(SECOND), file.end.saturating_mul(SECOND));
    Ok(Piece { operations, cells, requests, part: Part::of(file.halvings), kept, span })
}

/// How many names and operations there are to point at.
struct Limits {
    names: usize,
    operations: usize,
}

impl Limits {
    fn name(&self, number: u32) -> Option<u32> {
        (number as usize <= self.names).then_some(number)
    }

    fn operation(&self, number: u32) -> Option<u32> {
        ((number as usize) < self.operations).then_some(number)
    }

    fn entry(&self, (service, operation): (u32, u32)) -> Option<(u32, u32)> {
        Some((self.name(service)?, self.name(operation)?))
    }

    fn key(&self, key: &[u32]) -> Option<CellKey> {
        let [service, operation, called, instance] = *<&[u32; 4]>::try_from(key).ok()?;
        Some(CellKey {
            entry: self.entry((service, operation))?,
            operation: self.operation(called)?,
            instance: self.name(instance)?,
        })
    }

    /// `None` when the columns are not of one length.
    fn keep(&self, trace: &Trace, kept: &mut Vec<Kept>) -> Option<()> {
        let id = u128::from(trace.high) << 64 | u128::from(trace.low);
        for (place, span) in trace.span.iter().enumerate() {
            let from = |column: &[i64]| Some(trace.at.wrapping_add(*column.get(place)?));
            let start = from(&trace.start)?;
            kept.push(Kept {
                trace: id,
                span: *span,
                parent: *trace.parent.get(place)?,
                operation: self.operation(*trace.operation.get(place)?)?,
                instance: self.name(*trace.instance.get(place)?)?,
                entered: from(&trace.entered)?,
                start,
                end: start.wrapping_add(*trace.length.get(place)?),
                own: *trace.own.get(place)?,
                failed: trace.failed.contains(&(place as u32)),
            });
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two operations of two services, seen by hand.
    fn operations() -> Operations {
        let names = ["shop", "GET /item", "SERVER", "SELECT stock", "CLIENT", "db", "pod-1"].map(str::to_owned);
        Operations::of_parts(&names, &[[1, 2, 3, 0, 0, 0], [1, 4, 5, 6, 0, 6]]).expect("numbers that point somewhere")
    }

    fn pieces() -> impl Strategy<Value = Piece> {
        let number = || -5_000_000_000_i64..5_000_000_000;
        let cell = (0..2_u32, 0..20_i64, 1..900_u64, 0..3_u64, number(), number());
        let requests = (0..20_i64, prop::collection::vec(0..3_000_000_000_i64, 1..20), 0..3_u64);
        let kept = (0..4_u64, any::<u64>(), any::<u64>(), 0..2_u32, number(), 0..9_000_000_i64, any::<bool>());
        let lists = (
            prop::collection::vec(cell, 0..20),
            prop::collection::vec(requests, 0..9),
            prop::collection::vec(kept, 0..20),
            0..9_u32,
        );
        lists.prop_map(|(cells, requests, kept, halvings)| {
            let at = |second: i64| (1_700_000_000 + second) * SECOND;
            let cell = |(operation, second, spans, errors, critical, duration)| {
                let key = CellKey { entry: (1, 2), operation, instance: 7 };
                (key, at(second), Cell { spans, errors, critical, duration })
            };
            let request = |(second, durations, errors): (i64, Vec<i64>, u64)| {
                let mut requests = Requests { errors, apart: errors / 2, ..Requests::default() };
                durations.iter().for_each(|duration| requests.count(*duration, false));
                ((1, 2), at(second), requests)
            };
            let span = |(trace, span, parent, operation, start, length, failed)| Kept {
                trace: u128::from(trace) << 64 | 7,
                span,
                parent,
                operation,
                instance: 7,
                entered: at(3) + start / 7,
                start: at(3) + start,
                end: at(3) + start + length,
                own: length / 2,
                failed,
            };
            Piece {
                operations: operations(),
                cells: cells.into_iter().map(cell).collect(),
                requests: requests.into_iter().map(request).collect(),
                part: Part::of(halvings),
                kept: kept.into_iter().map(span).collect(),
                span: (at(0), at(20)),
            }
        })
    }

    /// All of a piece, in an order that does not depend on how it was kept.
    fn told(piece: &Piece) -> String {
        let (names, keys) = piece.operations.parts();
        let mut cells = piece.cells.clone();
        cells.sort_by_key(|(key, at, cell)| (key.operation, *at, cell.spans, cell.critical, cell.duration));
        let mut kept = piece.kept.clone();
        kept.sort_by_key(|span| span.trace);
        let names: Vec<&str> = names.collect();
        let keys: Vec<[u32; 6]> = keys.collect();
        format!("{names:?} {keys:?} {cells:?} {:?} {:?} {kept:?} {:?}", piece.requests, piece.part, piece.span)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(written in pieces()) {
            prop_assert_eq!(told(&piece(&write(&written)).expect("readable")), told(&written));
        }

        #[test]
        fn bytes_that_are_something_else_are_refused_or_read_but_never_a_panic(
            written in pieces(), at in any::<prop::sample::Index>(), value in any::<u8>()
        ) {
            let mut bytes = write(&written);
            let at = at.index(bytes.len());
            bytes[at] = value;
            for bytes in [&bytes[..], &bytes[..at]] {
                let _ = piece(bytes);
            }
        }
    }
}
