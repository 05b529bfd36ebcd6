//! The columns of a batch in the types that folds read.

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use model::{Error, Result};

pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::internal(format!("an internal query has no column {name}")))
}

/// 0 for null.
pub fn int(column: &Int64Array, row: usize) -> i64 {
    if column.is_null(row) { 0 } else { column.value(row) }
}

/// 0 for null.
pub fn id(column: &FixedSizeBinaryArray, row: usize) -> u64 {
    if column.is_null(row) { 0 } else { u64::from_be_bytes(column.value(row).try_into().unwrap_or_default()) }
}

pub fn trace_id(column: &FixedSizeBinaryArray, row: usize) -> u128 {
    u128::from_be_bytes(column.value(row).try_into().unwrap_or_default())
}

pub fn ints<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array> {
    let column = column(batch, name)?.as_primitive_opt::<Int64Type>();
    column.ok_or_else(|| Error::internal(format!("{name} is not a column of whole numbers")))
}

pub fn ids<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a FixedSizeBinaryArray> {
    let column = column(batch, name)?.as_fixed_size_binary_opt();
    column.ok_or_else(|| Error::internal(format!("{name} is not a column of ids")))
}
