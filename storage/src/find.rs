//! The spans of one trace in a file that may hold it, without looking at the other spans of the file.
//!
//! ```text
//! trace_id:  dictionary ─▶ the number that stands for the trace
//!            pages of numbers ─▶ the rows that have it
//! all other columns: these rows
//! ```
//! A trace is a dozen rows anywhere in a file, so to compare the ids of all rows costs more than to read a dozen of them
//! ([`numbers`]). *Invariant:* a file in which ids are written otherwise is searched all the same, id by id.

mod numbers;

use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use model::schema::column;
use model::{Result, Signal, TraceId};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::PageIndexPolicy;

use crate::file_reader::InSchema;
use crate::ranged::broken;
use numbers::{Chunk, Rows};

/// Reads a file, or parts of it.
pub type Reader = Box<dyn AsyncFileReader>;

/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;

/// Reads `columns` of the trace's spans, in the physical schema and in the order of the file; `None` when there are none.
/// `open` begins to read the file, and once more where its ids have to be compared.
///
/// # Errors
/// `Corrupt` where the file cannot be what its table says, `Unavailable` when it cannot be read now.
pub async fn spans_of(
    open: impl Fn() -> Result<Reader>,
    id: TraceId,
    columns: &[&str],
) -> Result<Option<BoxStream<'static, Result<RecordBatch>>>> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let mut reader = open()?;
    let metadata = reader.get_metadata(Some(&options)).await.map_err(|e| broken(&e))?;
    let file = ArrowReaderMetadata::try_new(metadata, options).map_err(|e| broken(&e))?;
    let rows = match rows_by_number(&mut reader, &file, id).await? {
        Some(rows) => rows,
        None => rows_by_id(open()?, &file, id).await?,
    };
    if rows.is_empty() {
        return Ok(None);
    }
    let total = usize::try_from(file.metadata().file_metadata().num_rows()).unwrap_or(0);
    let selection = RowSelection::from_consecutive_ranges(rows.into_iter(), total);
    read(reader, file, columns, Some(selection)).map(Some)
}

/// The rows of the file that have the trace; `None` where a group of rows does not number its ids.
async fn rows_by_number(
    reader: &mut Reader,
    file: &ArrowReaderMetadata,
    id: TraceId,
) -> Result<Option<Vec<Range<usize>>>> {
    let metadata = file.metadata();
    let columns = metadata.file_metadata().schema_descr().columns();
    let Some(at) = columns.iter().position(|column| column.path().string() == column::TRACE_ID) else {
        return Ok(Some(Vec::new()));
    };
    let mut rows = Rows::default();
    for group in metadata.row_groups() {
        let (start, length) = group.column(at).byte_range();
        // Of a local file, ranges take one turn of a thread, and one range takes two.
        let of_column = std::iter::once(start..start + length).collect();
        let bytes = reader.get_byte_ranges(of_column).await.map_err(|e| broken(&e))?;
        let chunk = Chunk { start, bytes: bytes.into_iter().next().unwrap_or_else(Bytes::new) };
        if numbers::find(chunk, group, at, &id.0, &mut rows).map_err(|e| broken(&e))?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(rows.found()))
}

/// The same by comparing the ids of all rows.
async fn rows_by_id(reader: Reader, file: &ArrowReaderMetadata, id: TraceId) -> Result<Vec<Range<usize>>> {
    let mut ids = read(reader, file.clone(), &[column::TRACE_ID], None)?;
    let mut rows = Rows::default();
    while let Some(batch) = ids.try_next().await? {
        let ids = batch.column(0).as_fixed_size_binary();
        for at in 0..ids.len() {
            rows.pass(1, ids.is_valid(at) && ids.value(at) == id.0);
        }
    }
    Ok(rows.found())
}

/// Some columns of the selected rows.
fn read(
    reader: Reader,
    file: ArrowReaderMetadata,
    columns: &[&str],
    selection: Option<RowSelection>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let mut schema = InSchema::of(Signal::Traces, Some(columns))?;
    let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, file).with_batch_size(BATCH_ROWS);
    let mask = schema.read(builder.schema(), builder.parquet_schema());
    let builder = builder.with_projection(mask);
    let builder = match selection {
        Some(selection) => builder.with_row_selection(selection),
        None => builder,
    };
    let rows = builder.build().map_err(|e| broken(&e))?;
    Ok(rows.map_err(|e| broken(&e)).and_then(move |batch| std::future::ready(schema.rows(&batch))).boxed())
}

#[cfg(test)]
mod tests;
