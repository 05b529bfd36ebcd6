//! Parquet files of ours to rows, in the signal's physical schema whatever the file lacks or has besides.
//!
//! Files outlive versions of hotspan, so a column may be missing, be of a type that was used then, or be one that nobody
//! knows any more. *Invariant:* what is made of a file has the schema's columns in the schema's order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use model::schema::column;
use model::{Error, Result, Signal};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::schema::types::SchemaDescriptor;

pub(crate) fn broken(error: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("reading a parquet file: {error}"))
}

/// Start and duration of each span; `None` where the rows lack one of the two.
pub(crate) fn told_ends(rows: &RecordBatch) -> Result<Option<ArrayRef>> {
    let ints = |name: &str| rows.column_by_name(name).filter(|column| *column.data_type() == DataType::Int64);
    let both = ints(column::START).zip(ints(column::DURATION));
    both.map(|(start, duration)| arrow::compute::kernels::numeric::add_wrapping(start, duration).map_err(broken))
        .transpose()
}

/// Makes rows as they are in files what they are in the physical schema, or in some columns of it.
pub(crate) struct InSchema {
    schema: SchemaRef,
    /// What columns that the file lacks are views of.
    nulls: HashMap<DataType, ArrayRef>,
}

impl InSchema {
    /// Of the named columns or of all.
    pub fn of(signal: Signal, columns: Option<&[&str]>) -> Result<Self> {
        let all = model::schema::schema(signal);
        let schema = match columns {
            None => all,
            Some(names) => {
                let at: Vec<usize> = names.iter().filter_map(|name| all.index_of(name).ok()).collect();
                Arc::new(all.project(&at).map_err(broken)?)
            }
        };
        Ok(InSchema { schema, nulls: HashMap::new() })
    }

    /// What has to be read for these columns of a file with that schema.
    pub fn read(&self, file: &Schema, parquet: &SchemaDescriptor) -> ProjectionMask {
        let names = self.schema.fields().iter().map(|field| field.name().as_str());
        let ends = self.schema.index_of(column::END).is_ok() && file.index_of(column::END).is_err();
        let instead = [column::START, column::DURATION].into_iter().filter(|_| ends);
        ProjectionMask::columns(parquet, names.chain(instead))
    }

    pub fn rows(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = Arc::clone(&self.schema);
        let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => arrow::compute::cast(column, field.data_type()).map_err(broken),
            None if field.name() == column::END => {
                Ok(told_ends(batch)?.unwrap_or_else(|| self.nulls(field.data_type(), batch.num_rows())))
            }
            None => Ok(self.nulls(field.data_type(), batch.num_rows())),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(Arc::clone(&schema), columns).map_err(broken)
    }

    /// A column without a value. Most of the columns are, so all of a type share their memory.
    fn nulls(&mut self, ty: &DataType, rows: usize) -> ArrayRef {
        let made = || new_null_array(ty, rows);
        let known = self.nulls.entry(ty.clone()).or_insert_with(made);
        if known.len() < rows {
            *known = made();
        }
        known.slice(0, rows)
    }
}

/// Reads a file slice by slice, `columns` of it or all. Ends of spans that the file leaves out are those that follow from
/// the other columns.
pub struct FileReader {
    inner: ParquetRecordBatchReader,
    schema: InSchema,
}

impl FileReader {
    pub fn open(signal: Signal, bytes: bytes::Bytes, columns: Option<&[&str]>, slice: usize) -> Result<Self> {
        let schema = InSchema::of(signal, columns)?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(broken)?.with_batch_size(slice);
        let read = schema.read(builder.schema(), builder.parquet_schema());
        Ok(FileReader { inner: builder.with_projection(read).build().map_err(broken)?, schema })
    }
}

impl Iterator for FileReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.inner.next()?.map_err(broken).and_then(|batch| self.schema.rows(&batch)))
    }
}

/// Reads a file whole.
pub fn decode(signal: Signal, bytes: bytes::Bytes) -> Result<Vec<RecordBatch>> {
    FileReader::open(signal, bytes, None, 64 * 1024)?.collect()
}
