//! A file's rates as bytes: a Protocol Buffers message, so that later versions can say more and older ones still read it.
//! Histograms are lists of buckets, each as its distance from the one before, and of counts: two or three bytes a bucket.
//!
//! *Invariant:* bytes that are not such a message, or of another version, are as none: whoever asked reads the file's rows
//! instead ([`span`]). Where only the operations' numbers point nowhere, though the file's checksum holds, a program wrote them
//! wrong, and the question fails.

use model::{Error, Nanos, Result};
use prost::Message;

use super::super::called::Operations;
use super::super::histogram::Histogram;
use super::super::observe::Requests;
use super::entries::{Entries, Part};
use super::{Bins, Figures, Rates, Times};
use crate::functions::sketch::Sketch;
use model::time::SECOND;

/// What is written now. Readers refuse others.
const VERSION: u32 = 1;

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
    /// Texts, numbered from 1 on; 0 is none.
    #[prost(string, repeated, tag = "4")]
    names: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    operations: Vec<Operation>,
    #[prost(message, repeated, tag = "6")]
    entries: Vec<Second>,
}

/// The same but for the operations, which are most of the bytes and need not be read for the entries.
#[derive(Clone, PartialEq, Message)]
struct OnlyEntries {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(int64, tag = "2")]
    first: i64,
    #[prost(uint32, tag = "3")]
    seconds: u32,
    #[prost(message, repeated, tag = "6")]
    entries: Vec<Second>,
}

#[derive(Clone, PartialEq, Message)]
struct Operation {
    /// Service, name, kind, database system, messaging system, peer.
    #[prost(uint32, repeated, tag = "1")]
    texts: Vec<u32>,
    #[prost(uint32, repeated, tag = "2")]
    instances: Vec<u32>,
    #[prost(uint64, tag = "3")]
    errors: u64,
    #[prost(sint64, tag = "4")]
    self_ns: i64,
    #[prost(sint64, tag = "5")]
    critical_ns: i64,
    #[prost(int64, tag = "6")]
    least_ns: i64,
    #[prost(int64, tag = "7")]
    greatest_ns: i64,
    #[prost(message, optional, tag = "8")]
    latency: Option<Buckets>,
    /// Spans by second, from this one on.
    #[prost(uint32, tag = "9")]
    from: u32,
    #[prost(uint64, repeated, tag = "10")]
    by_second: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Second {
    #[prost(uint32, tag = "1")]
    at: u32,
    #[prost(message, optional, tag = "2")]
    requests: Option<Buckets>,
    #[prost(int64, tag = "3")]
    request_ns: i64,
    #[prost(uint64, tag = "4")]
    request_errors: u64,
    #[prost(message, optional, tag = "5")]
    others: Option<Buckets>,
    #[prost(message, optional, tag = "6")]
    failed: Option<Buckets>,
    #[prost(int64, tag = "7")]
    least_ns: i64,
    #[prost(int64, tag = "8")]
    greatest_ns: i64,
}

/// A histogram ([`super::super::histogram`]).
#[derive(Clone, PartialEq, Message)]
pub struct Buckets {
    /// How much further than the one before.
    #[prost(uint32, repeated, tag = "1")]
    steps: Vec<u32>,
    #[prost(uint64, repeated, tag = "2")]
    counts: Vec<u64>,
}

impl Buckets {
    /// `None` of nothing.
    pub fn of(histogram: &Histogram) -> Option<Self> {
        let mut last = 0;
        let buckets = histogram.iter().map(|(bucket, count)| {
            let step = u32::from(bucket) - last;
            last = u32::from(bucket);
            (step, count)
        });
        let (steps, counts): (Vec<_>, Vec<_>) = buckets.unzip();
        (!steps.is_empty()).then_some(Buckets { steps, counts })
    }

    fn histogram(&self) -> Result<Histogram> {
        let mut histogram = Histogram::default();
        let mut bucket = 0_u32;
        for (step, count) in self.steps.iter().zip(&self.counts) {
            bucket = bucket.saturating_add(*step);
            let bucket = u16::try_from(bucket).ok().filter(|bucket| *bucket < Histogram::BUCKETS);
            histogram.add(bucket.ok_or_else(|| wrong("a bucket that there is not"))?, *count);
        }
        Ok(histogram)
    }
}

/// Empty for none.
pub fn histogram(buckets: &Option<Buckets>) -> Result<Histogram> {
    buckets.as_ref().map_or_else(|| Ok(Histogram::default()), Buckets::histogram)
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("what a file says of its rates: {what}"))
}

/// `seconds` are the first with a span and the end of the last; bins are seconds.
pub fn write(rates: &Rates, entries: &Entries, (first, end): (i64, i64)) -> Vec<u8> {
    let offset = |second: i64| u32::try_from(second - first).unwrap_or(0);
    let (names, keys) = rates.operations.parts();
    let instances = |operation: u32| {
        let ran = rates.instances.iter().filter(|(of, _)| *of == operation);
        let mut instances: Vec<u32> = ran.map(|(_, instance)| *instance).collect();
        instances.sort_unstable();
        instances
    };
    let operations = (0..).zip(keys).map(|(number, texts)| {
        let nothing = Figures::default();
        let figures = rates.figures.get(number as usize).unwrap_or(&nothing);
        let (least_ns, greatest_ns) = figures.latency.bounds().unwrap_or_default();
        Operation {
            texts: texts.to_vec(),
            instances: instances(number),
            errors: figures.errors,
            self_ns: figures.self_ns,
            critical_ns: figures.critical_ns,
            least_ns,
            greatest_ns,
            latency: Buckets::of(figures.latency.histogram()),
            from: offset(figures.times.first.max(first)),
            by_second: figures.times.counts.clone(),
        }
    });
    let second = |(at, part): (&i64, &Part)| {
        let (least_ns, greatest_ns) = part.bounds.unwrap_or_default();
        Second {
            at: offset(*at),
            requests: Buckets::of(&part.requests.latency),
            request_ns: part.requests.duration,
            request_errors: part.requests.errors,
            others: Buckets::of(&part.others),
            failed: Buckets::of(&part.failed),
            least_ns,
            greatest_ns,
        }
    };
    let file = File {
        version: VERSION,
        first,
        seconds: offset(end),
        names: names.map(str::to_owned).collect(),
        operations: operations.collect(),
        entries: entries.parts.iter().map(second).collect(),
    };
    file.encode_to_vec()
}

fn head(bytes: &[u8]) -> Result<OnlyEntries> {
    let file = OnlyEntries::decode(bytes).map_err(wrong)?;
    understood(file.version)?;
    Ok(file)
}

fn understood(version: u32) -> Result<()> {
    if version == VERSION { Ok(()) } else { Err(wrong(format_args!("it is of version {version}, not {VERSION}"))) }
}

/// The first second with a span and the end of the last, Unix ns; `None` when it cannot be read.
pub fn span(bytes: &[u8]) -> Option<(Nanos, Nanos)> {
    let file = head(bytes).ok()?;
    span_of(file.first, file.seconds)
}

/// So many seconds from one on, Unix ns; `None` when that is outside of time.
pub fn span_of(first: i64, seconds: u32) -> Option<(Nanos, Nanos)> {
    let second = |number: i64| number.checked_mul(SECOND);
    Some((second(first)?, second(first.checked_add(i64::from(seconds))?)?))
}

/// What [`write`] was given of entries.
pub fn entries(bytes: &[u8]) -> Result<Entries> {
    let file = head(bytes)?;
    let mut entries = Entries::new(Bins::SECONDS);
    for second in &file.entries {
        let requests = Requests {
            latency: histogram(&second.requests)?,
            duration: second.request_ns,
            errors: second.request_errors,
            apart: 0,
        };
        let part = Part {
            requests,
            others: histogram(&second.others)?,
            failed: histogram(&second.failed)?,
            bounds: Some((second.least_ns, second.greatest_ns)),
        };
        entries.parts.insert(file.first.saturating_add(i64::from(second.at)), part);
    }
    Ok(entries)
}

/// What [`write`] was given of operations.
pub fn rates(bytes: &[u8]) -> Result<Rates> {
    let file = File::decode(bytes).map_err(wrong)?;
    understood(file.version)?;
    let nowhere = || wrong("a number that points nowhere");
    let keys = file.operations.iter().map(|operation| <[u32; 6]>::try_from(operation.texts.as_slice()).ok());
    let keys: Vec<[u32; 6]> = keys.collect::<Option<_>>().ok_or_else(nowhere)?;
    let names = file.names.len() as u32;
    let mut rates = Rates::new(Bins::SECONDS);
    rates.operations = Operations::of_parts(&file.names, &keys).ok_or_else(nowhere)?;
    for (number, operation) in (0..).zip(&file.operations) {
        if operation.instances.iter().any(|instance| *instance > names) {
            return Err(nowhere());
        }
        rates.instances.extend(operation.instances.iter().map(|instance| (number, *instance)));
        *rates.of(number) = Figures {
            errors: operation.errors,
            self_ns: operation.self_ns,
            critical_ns: operation.critical_ns,
            latency: Sketch::of(histogram(&operation.latency)?, (operation.least_ns, operation.greatest_ns)),
            times: Times {
                first: file.first.saturating_add(i64::from(operation.from)),
                counts: operation.by_second.clone(),
            },
        };
    }
    Ok(rates)
}
