//! What somebody above wants to know of each file, found while its rows pass by on their way into it, and kept at the
//! file's end, behind its last row group. The store does not know what it says.
//!
//! ```text
//! rows ─┬─▶ Parquet ──────────┐
//!       └─▶ Summary ─ bytes ──┴─▶ file ─▶ Add action, tag `hotspan.summary`: where in the file
//! ```
//! Other readers of the table see neither: Parquet's footer names every byte that they read, and unknown tags are to be
//! ignored (Delta's PROTOCOL.md, "Add File"). A file without a summary (an older hotspan or another program wrote it) is
//! one that has to be read. *Invariant:* a summary is of exactly the rows of its file, and goes with it.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use bytes::Bytes;
use model::schema::time_column;
use model::{Error, Nanos, Result, Signal};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use xxhash_rust::xxh3::xxh3_64;

use crate::delta::DataFile;
use crate::parquet_file::widen;

/// Who wants to know something of each file.
pub trait Summarize: fmt::Debug + Send + Sync {
    /// Begins a file; `None` when nothing is to be known of such files.
    fn begin(&self, file: Expected) -> Option<Box<dyn Summary>>;

    /// The same of rows that are only in the log, with the columns that the summary reads. Their traces are not assembled.
    fn begin_in_log(&self, _rows: Expected) -> Option<(Vec<&'static str>, Box<dyn Summary>)> {
        None
    }
}

/// What is known of a file before its rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    pub signal: Signal,
    pub rows: usize,
    /// Least and greatest of the table's time column; `None` when nothing is known.
    pub times: Option<(Nanos, Nanos)>,
}

impl Expected {
    /// By the columns that decide the order of the file.
    pub(crate) fn of(signal: Signal, keys: &[RecordBatch]) -> Self {
        let mut times = None;
        keys.iter().for_each(|keys| widen(&mut times, keys, time_column(signal)));
        Expected { signal, rows: keys.iter().map(RecordBatch::num_rows).sum(), times }
    }
}

/// What is being found of one file.
pub trait Summary: Send {
    /// The next rows of the file, in the signal's physical schema.
    fn add(&mut self, rows: &RecordBatch) -> Result<()>;

    /// `None` when there is nothing worth keeping.
    fn finish(self: Box<Self>) -> Option<Vec<u8>>;
}

/// A summary, or none any more: one that fails or panics costs itself, never the rows, which are written without it.
pub(crate) struct Guarded(Option<Box<dyn Summary>>);

impl Guarded {
    pub fn begin(summarize: &dyn Summarize, file: Expected) -> Self {
        let begun = catch_unwind(AssertUnwindSafe(|| summarize.begin(file)));
        Guarded(begun.unwrap_or_else(|_| given_up("its beginning panicked")))
    }

    pub fn add(&mut self, rows: &RecordBatch) {
        let Some(mut summary) = self.0.take() else { return };
        let added = catch_unwind(AssertUnwindSafe(move || summary.add(rows).map(|()| summary)));
        self.0 = match added {
            Ok(Ok(summary)) => Some(summary),
            Ok(Err(error)) => given_up(&error.to_string()),
            Err(_) => given_up("adding rows panicked"),
        };
    }

    pub fn finish(self) -> Option<Vec<u8>> {
        let finished = catch_unwind(AssertUnwindSafe(|| self.0.and_then(|summary| summary.finish())));
        finished.unwrap_or_else(|_| given_up("its end panicked"))
    }
}

fn given_up<T>(why: &str) -> Option<T> {
    tracing::error!("a file goes without what it would say of its rows, which are then read instead: {why}");
    None
}

/// Nobody wants to know anything.
#[derive(Debug)]
pub struct NoSummaries;

impl Summarize for NoSummaries {
    fn begin(&self, _: Expected) -> Option<Box<dyn Summary>> {
        None
    }
}

/// Where in a file its summary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub bytes: Range<u64>,
    /// xxh3-64 of the summary.
    pub checksum: u64,
}

impl Place {
    /// Of a summary that begins at this byte.
    pub fn of(summary: &[u8], start: u64) -> Self {
        Place { bytes: start..start + summary.len() as u64, checksum: xxh3_64(summary) }
    }
}

/// As the tag says it: `START-END-CHECKSUM`, the last in hexadecimal.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:016x}", self.bytes.start, self.bytes.end, self.checksum)
    }
}

impl Place {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (start, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let checksum = u64::from_str_radix(parts.next()?, 16).ok()?;
        (start <= end && parts.next().is_none()).then_some(Place { bytes: start..end, checksum })
    }
}

/// Reads the summary of a file; `None` when it has none.
///
/// # Errors
/// When it cannot be read, or is not what was written: `Corrupt`. The rows may be sound all the same.
pub async fn read(objects: &dyn ObjectStore, file: &DataFile) -> Result<Option<Bytes>> {
    let Some(place) = &file.summary else { return Ok(None) };
    let wrong = |what: String| Error::corrupt(format!("the summary of {}: {what}", file.path));
    let bytes = objects.get_range(&Path::from(file.path.as_str()), place.bytes.clone()).await;
    let bytes = bytes.map_err(|error| wrong(error.to_string()))?;
    if xxh3_64(&bytes) != place.checksum {
        return Err(wrong("its bytes are not those that were written (checksum)".to_owned()));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_nothing_else_is() {
        let place = Place::of(b"what it says", 1_234);
        assert_eq!(place.bytes, 1_234..1_246);
        assert_eq!(Place::parse(&place.to_string()), Some(place));
        for wrong in ["", "1", "1-2", "2-1-0", "1-2-x", "1-2-0-0", "-1-2-0"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }
}
