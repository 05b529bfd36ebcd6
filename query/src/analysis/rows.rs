//! Reads the batches of an internal query row by row, by column name, for the small cubes that analyses work on.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use model::{Error, Result};

use super::histogram::Histogram;
use crate::functions::sketch::Sketch;

enum Column {
    Int(Int64Array),
    Float(Float64Array),
    Text(StringArray),
    Other(ArrayRef),
}

/// One batch with its columns in the types that analyses use.
pub struct Rows {
    columns: HashMap<String, Column>,
    len: usize,
}

/// The rows of all batches.
pub fn read(batches: &[RecordBatch]) -> Result<Vec<Rows>> {
    batches.iter().map(Rows::of).collect()
}

impl Rows {
    fn of(batch: &RecordBatch) -> Result<Rows> {
        let mut columns = HashMap::new();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            columns.insert(field.name().clone(), column(array)?);
        }
        Ok(Rows { columns, len: batch.num_rows() })
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// 0 for null or an unknown column.
    pub fn int(&self, name: &str, row: usize) -> i64 {
        match self.columns.get(name) {
            Some(Column::Int(values)) if !values.is_null(row) => values.value(row),
            Some(Column::Float(values)) if !values.is_null(row) => values.value(row) as i64,
            _ => 0,
        }
    }

    pub fn float(&self, name: &str, row: usize) -> f64 {
        match self.columns.get(name) {
            Some(Column::Float(values)) if !values.is_null(row) => values.value(row),
            Some(Column::Int(values)) if !values.is_null(row) => values.value(row) as f64,
            _ => 0.0,
        }
    }

    /// Empty for null or an unknown column.
    pub fn text(&self, name: &str, row: usize) -> &str {
        match self.columns.get(name) {
            Some(Column::Text(values)) if !values.is_null(row) => values.value(row),
            _ => "",
        }
    }

    /// `None` for null and for empty text.
    pub fn some_text(&self, name: &str, row: usize) -> Option<&str> {
        Some(self.text(name, row)).filter(|t| !t.is_empty())
    }

    /// The integers of a list column.
    pub fn ints(&self, name: &str, row: usize) -> Vec<i64> {
        let Some(Column::Other(array)) = self.columns.get(name) else { return Vec::new() };
        let Some(list) = array.as_list_opt::<i32>().filter(|l| !l.is_null(row)) else { return Vec::new() };
        let values = list.value(row);
        values.as_primitive_opt::<Int64Type>().map(|v| v.iter().flatten().collect()).unwrap_or_default()
    }
}

fn column(array: &ArrayRef) -> Result<Column> {
    let to = |ty: DataType| cast(array, &ty).map_err(|e| Error::internal(format!("rows of an analysis: {e}")));
    Ok(match array.data_type() {
        ty if ty.is_integer() => Column::Int(to(DataType::Int64)?.as_primitive::<Int64Type>().clone()),
        DataType::Timestamp(..) | DataType::Boolean => {
            Column::Int(to(DataType::Int64)?.as_primitive::<Int64Type>().clone())
        }
        ty if ty.is_floating() => Column::Float(to(DataType::Float64)?.as_primitive::<Float64Type>().clone()),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..) => {
            Column::Text(to(DataType::Utf8)?.as_string::<i32>().clone())
        }
        _ => Column::Other(array.clone()),
    })
}

/// Rows together with the histograms of a column of `sketch(…)`.
pub fn read_sketches(batches: &[RecordBatch], name: &str) -> Result<Vec<(Rows, Vec<Histogram>)>> {
    let mut out = Vec::new();
    for batch in batches {
        let column = batch.column_by_name(name).and_then(|c| c.as_binary_opt::<i32>());
        let column = column.ok_or_else(|| Error::internal(format!("{name} is not a column of sketches")))?;
        let sketch =
            |bytes: Option<&[u8]>| bytes.map(|b| Sketch::from_bytes(b).histogram().clone()).unwrap_or_default();
        out.push((Rows::of(batch)?, column.iter().map(sketch).collect()));
    }
    Ok(out)
}
