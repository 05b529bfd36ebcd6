//! Rows to a Parquet file: sorted for "one operation over time", with bloom filters for "one trace".
//!
//! The order, the encodings and the sizes follow measurements (design.md, section 3): sorted by service, name and
//! start; zstd 1; delta encoding for times; no dictionary for ids; pages of 20,000 rows so that the page index prunes.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use model::schema::{column, sort_columns, time_column};
use model::{Error, Nanos, Result, Signal};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

const PAGE_ROWS: usize = 20_000;
const ROW_GROUP_ROWS: usize = 1_000_000;
const DICTIONARY_BYTES: usize = 4 << 20;
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// An encoded file and what its Add action will say.
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub rows: u64,
    pub times: (Nanos, Nanos),
    pub received: (Nanos, Nanos),
    pub services: Option<(String, String)>,
    pub unsettled: u64,
    pub checksum: u64,
}

fn trouble(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("encoding a parquet file: {error}"))
}

/// Concatenates, sorts and encodes the batches, which must be in the signal's physical schema and hold a row.
pub fn encode(signal: Signal, batches: &[RecordBatch]) -> Result<Encoded> {
    let schema = model::schema::schema(signal);
    let rows = concat_batches(&schema, batches).map_err(trouble)?;
    let rows = sort(signal, &rows)?;
    let mut bytes = Vec::with_capacity(rows.num_rows() * 64);
    let properties = properties(signal, &schema, rows.num_rows())?;
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, Some(properties)).map_err(trouble)?;
    writer.write(&rows).map_err(trouble)?;
    writer.close().map_err(trouble)?;
    Ok(Encoded {
        rows: rows.num_rows() as u64,
        times: bounds(&rows, time_column(signal)),
        received: bounds(&rows, column::RECEIVED),
        services: services(&rows),
        unsettled: if signal == Signal::Traces { crate::assemble::unsettled(&rows) } else { 0 },
        checksum: xxhash_rust::xxh3::xxh3_64(&bytes),
        bytes,
    })
}

fn sort(signal: Signal, rows: &RecordBatch) -> Result<RecordBatch> {
    let key =
        |name: &&str| rows.column_by_name(name).map(|values| SortColumn { values: values.clone(), options: None });
    let keys: Vec<SortColumn> = sort_columns(signal).iter().filter_map(key).collect();
    let order: UInt32Array = lexsort_to_indices(&keys, None).map_err(trouble)?;
    take_record_batch(rows, &order).map_err(trouble)
}

fn properties(signal: Signal, schema: &SchemaRef, rows: usize) -> Result<WriterProperties> {
    let sorting = sort_columns(signal).iter().filter_map(|name| schema.index_of(name).ok());
    let sorting =
        sorting.map(|at| SortingColumn { column_idx: leaf(schema, at), descending: false, nulls_first: true });
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(trouble)?))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting.collect()))
        .set_created_by(concat!("hotspan version ", env!("CARGO_PKG_VERSION")).to_owned());
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        let name = field.name().as_str();
        builder = match field.data_type() {
            DataType::FixedSizeBinary(_) => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path, EnabledStatistics::None),
            DataType::Int64 if name.ends_with("_unix_nano") || name.ends_with("_ns") => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            DataType::Utf8View if name == column::ATTRIBUTES => {
                builder.set_column_statistics_enabled(path, EnabledStatistics::None)
            }
            _ => builder,
        };
        if name == column::TRACE_ID {
            let path = ColumnPath::from(name);
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(path, rows.clamp(1_000, ROW_GROUP_ROWS) as u64);
        }
    }
    Ok(builder.build())
}

/// The position of a top-level column among the Parquet leaves.
fn leaf(schema: &Schema, at: usize) -> i32 {
    fn leaves(ty: &DataType) -> i32 {
        match ty {
            DataType::List(item) => leaves(item.data_type()),
            DataType::Struct(fields) => fields.iter().map(|f| leaves(f.data_type())).sum(),
            _ => 1,
        }
    }
    schema.fields()[..at].iter().map(|f| leaves(f.data_type())).sum()
}

fn bounds(rows: &RecordBatch, name: &str) -> (Nanos, Nanos) {
    let column = rows.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
    let least = column.and_then(arrow::compute::min);
    let greatest = column.and_then(arrow::compute::max);
    (least.unwrap_or(0), greatest.unwrap_or(0))
}

fn services(rows: &RecordBatch) -> Option<(String, String)> {
    let names = rows.column_by_name(column::SERVICE_NAME)?.as_string_view_opt()?;
    if names.null_count() > 0 {
        return None;
    }
    let least = arrow::compute::min_string_view(names)?;
    let greatest = arrow::compute::max_string_view(names)?;
    Some((least.to_owned(), greatest.to_owned()))
}

/// Reads a file of ours back whole, in the signal's physical schema: columns it lacks (written by an older hotspan)
/// are null, columns nobody knows are left out.
pub fn decode(signal: Signal, bytes: bytes::Bytes) -> Result<Vec<RecordBatch>> {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let broken = |e: &dyn std::fmt::Display| Error::corrupt(format!("reading a parquet file: {e}"));
    let schema = model::schema::schema(signal);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| broken(&e))?;
    let reader = reader.with_batch_size(64 * 1024).build().map_err(|e| broken(&e))?;
    let mut out = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| broken(&e))?;
        let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
            Some(column) => arrow::compute::cast(column, field.data_type()).map_err(|e| broken(&e)),
            None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        out.push(RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|e| broken(&e))?);
    }
    Ok(out)
}
