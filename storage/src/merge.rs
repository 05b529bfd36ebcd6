//! Merges sorted files into one, slice by slice.
//!
//! ```text
//!   keys:    few columns of all rows ─▶ order ─▶ assembly
//!   merge:   order, slice by slice ◀─ the next rows of each file ─▶ gather ▸ assembled columns ▸ encode
//! ```
//! *Invariant:* each file is read once from front to back, so its rows must be in the order of files; a file that is
//! not (another program wrote it) is refused here and sorted by the caller's other way, [`unsorted`].

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use model::schema::sort_columns;
use model::{Error, Result, Signal};

use crate::assemble::{self, Assembly};
use crate::file_reader::FileReader;
use crate::order::{self, Place};
use crate::packed::{self, Packed};
use crate::parquet_file::{self, Encoded, FileWriter, SLICE_ROWS};
use crate::summary::{Expected, Guarded, Summarize};

/// Rows of one batch of keys.
pub const KEY_ROWS: usize = 64 * 1024;
/// Rows of all files together that are decoded and not yet written.
const WINDOW_ROWS: usize = 32 * 1024;

/// The columns that decide the order of all rows, and for spans the trees.
pub struct Keys {
    rows: Vec<RecordBatch>,
    /// The file of each batch.
    files: Vec<usize>,
}

impl Keys {
    pub fn rows(&self) -> &[RecordBatch] {
        &self.rows
    }
}

/// Reads the keys of all files.
pub fn keys(signal: Signal, inputs: &[bytes::Bytes]) -> Result<Keys> {
    let columns: &[&str] = if signal == Signal::Traces { &assemble::NEEDED } else { sort_columns(signal) };
    let mut keys = Keys { rows: Vec::new(), files: Vec::new() };
    for (file, bytes) in inputs.iter().enumerate() {
        for rows in FileReader::open(signal, bytes.clone(), Some(columns), KEY_ROWS)? {
            keys.rows.push(rows?);
            keys.files.push(file);
        }
    }
    Ok(keys)
}

/// Writes all rows of the files as one, with what `assembly` found for them.
pub fn merge(
    signal: Signal,
    inputs: &[bytes::Bytes],
    keys: &Keys,
    assembly: Option<&Assembly<'_>>,
    summarize: &dyn Summarize,
) -> Result<Encoded> {
    let order = order::sorted(signal, &keys.rows)?;
    if !files_are_sorted(&order, keys) {
        return unsorted(signal, inputs, keys, assembly, summarize);
    }
    let slice = (WINDOW_ROWS / inputs.len().max(1)).clamp(512, SLICE_ROWS);
    let open = |bytes: &bytes::Bytes| Window::open(signal, bytes.clone(), slice);
    let mut windows = inputs.iter().map(open).collect::<Result<Vec<_>>>()?;
    let summary = Guarded::begin(summarize, Expected::of(signal, &keys.rows));
    let mut writer = FileWriter::like(signal, order.len(), inputs, summary)?;
    for places in order.chunks(SLICE_ROWS) {
        let rows = next_rows(&mut windows, keys, places)?;
        writer.write(&match assembly {
            Some(assembly) => assembly.apply(&rows, places.iter().copied()),
            None => rows,
        })?;
    }
    writer.finish()
}

/// Whether the order takes each file's rows from front to back.
fn files_are_sorted(order: &[Place], keys: &Keys) -> bool {
    let mut last: Vec<Option<(u32, u32)>> = vec![None; keys.files.iter().max().map_or(0, |most| most + 1)];
    order.iter().all(|place| {
        let last = &mut last[keys.files[place.batch as usize]];
        let here = Some((place.batch, place.row));
        let rises = *last < here;
        *last = here;
        rises
    })
}

/// As [`merge`], for files whose rows are in any order: all rows are in memory at once.
fn unsorted(
    signal: Signal,
    inputs: &[bytes::Bytes],
    keys: &Keys,
    assembly: Option<&Assembly<'_>>,
    summarize: &dyn Summarize,
) -> Result<Encoded> {
    let mut batches = Vec::new();
    for bytes in inputs {
        batches.extend(FileReader::open(signal, bytes.clone(), None, KEY_ROWS)?.collect::<Result<Vec<_>>>()?);
    }
    let same = batches.len() == keys.rows.len()
        && batches.iter().zip(&keys.rows).all(|(batch, keys)| batch.num_rows() == keys.num_rows());
    if !same {
        return Err(Error::corrupt("a file gives other rows when it is read again"));
    }
    if let Some(assembly) = assembly {
        for (at, batch) in batches.iter_mut().enumerate() {
            let places = (0..batch.num_rows() as u32).map(|row| Place { batch: at as u32, row });
            *batch = assembly.apply(batch, places);
        }
    }
    let batches: Vec<Packed> = batches.into_iter().map(Packed::plain).collect();
    parquet_file::encode(signal, &batches, summarize)
}

/// The rows of one file that were read and not yet taken.
struct Window {
    reader: FileReader,
    batches: VecDeque<RecordBatch>,
    /// Rows of the first batch that were taken.
    taken: usize,
    /// Rows of all batches that were not.
    rows: usize,
}

impl Window {
    fn open(signal: Signal, bytes: bytes::Bytes, slice: usize) -> Result<Self> {
        let reader = FileReader::open(signal, bytes, None, slice)?;
        Ok(Window { reader, batches: VecDeque::new(), taken: 0, rows: 0 })
    }

    fn ensure(&mut self, rows: usize) -> Result<()> {
        while self.rows < rows {
            let batch = self.reader.next().ok_or_else(|| Error::corrupt("a file has fewer rows than its keys"))??;
            self.rows += batch.num_rows();
            self.batches.push_back(batch);
        }
        Ok(())
    }

    /// Forgets the rows that were taken.
    fn advance(&mut self, rows: usize) {
        self.rows -= rows;
        self.taken += rows;
        while let Some(first) = self.batches.front()
            && self.taken >= first.num_rows()
        {
            self.taken -= first.num_rows();
            self.batches.pop_front();
        }
    }
}

/// The next rows in the order of `places`, whatever their row numbers: each file's come from its front.
fn next_rows(windows: &mut [Window], keys: &Keys, places: &[Place]) -> Result<RecordBatch> {
    let mut wanted = vec![0; windows.len()];
    for place in places {
        wanted[keys.files[place.batch as usize]] += 1;
    }
    for (window, rows) in windows.iter_mut().zip(&wanted) {
        window.ensure(*rows)?;
    }
    // Where each file's next row is: its window's batches stand one after the other in `batches`.
    let mut batches: Vec<Packed> = Vec::new();
    let mut next: Vec<(usize, usize)> = Vec::with_capacity(windows.len());
    for window in windows.iter() {
        next.push((batches.len(), window.taken));
        batches.extend(window.batches.iter().cloned().map(Packed::plain));
    }
    let mut found = Vec::with_capacity(places.len());
    for place in places {
        let (batch, row) = &mut next[keys.files[place.batch as usize]];
        while *row >= batches[*batch].num_rows() {
            (*batch, *row) = (*batch + 1, 0);
        }
        found.push(Place { batch: *batch as u32, row: *row as u32 });
        *row += 1;
    }
    let rows = packed::gather(&batches, &found)?;
    for (window, rows) in windows.iter_mut().zip(wanted) {
        window.advance(rows);
    }
    Ok(rows)
}
