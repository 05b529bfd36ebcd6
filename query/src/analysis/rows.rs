//! Asks an internal query and reads its answer row by row, by column name, for the small cubes that analyses work on.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use model::{Error, Result};

use super::histogram::Histogram;
use crate::functions::sketch::Sketch;
use crate::query::Query;

/// The rows that a statement answers.
pub async fn read(query: &Query, sql: &str) -> Result<Found> {
    let batches = query.rows(sql, vec![]).await?;
    Ok(Found(batches.iter().map(Batch::of).collect::<Result<_>>()?))
}

/// The one whole number that a statement answers; 0 when it is null.
pub async fn number(query: &Query, sql: &str) -> Result<i64> {
    let batches = query.rows(sql, vec![]).await?;
    let first = batches.iter().find(|batch| batch.num_rows() > 0 && batch.num_columns() > 0);
    Ok(match first.map(|batch| column(batch.column(0))).transpose()? {
        Some(Column::Int(values)) if !values.is_null(0) => values.value(0),
        _ => 0,
    })
}

pub struct Found(Vec<Batch>);

impl Found {
    pub fn rows(&self) -> usize {
        self.0.iter().map(|batch| batch.len).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> + Clone {
        self.0.iter().flat_map(|batch| (0..batch.len).map(move |at| Row { batch, at }))
    }
}

/// One batch with its columns in the types that analyses use.
struct Batch {
    columns: HashMap<String, Column>,
    len: usize,
}

enum Column {
    Int(Int64Array),
    Float(Float64Array),
    Text(StringArray),
    Other(ArrayRef),
}

impl Batch {
    fn of(batch: &RecordBatch) -> Result<Batch> {
        let mut columns = HashMap::new();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            columns.insert(field.name().clone(), column(array)?);
        }
        Ok(Batch { columns, len: batch.num_rows() })
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

/// One row of an answer.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    batch: &'a Batch,
    at: usize,
}

impl<'a> Row<'a> {
    /// 0 for null or an unknown column.
    pub fn int(&self, name: &str) -> i64 {
        match self.batch.columns.get(name) {
            Some(Column::Int(values)) if !values.is_null(self.at) => values.value(self.at),
            Some(Column::Float(values)) if !values.is_null(self.at) => values.value(self.at) as i64,
            _ => 0,
        }
    }

    pub fn float(&self, name: &str) -> f64 {
        match self.batch.columns.get(name) {
            Some(Column::Float(values)) if !values.is_null(self.at) => values.value(self.at),
            Some(Column::Int(values)) if !values.is_null(self.at) => values.value(self.at) as f64,
            _ => 0.0,
        }
    }

    /// Empty for null or an unknown column.
    pub fn text(&self, name: &str) -> &'a str {
        match self.batch.columns.get(name) {
            Some(Column::Text(values)) if !values.is_null(self.at) => values.value(self.at),
            _ => "",
        }
    }

    /// `None` for null and for empty text.
    pub fn some_text(&self, name: &str) -> Option<&'a str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The histogram of a column `sketch(…)`; empty for null.
    pub fn histogram(&self, name: &str) -> Histogram {
        let Some(Column::Other(array)) = self.batch.columns.get(name) else { return Histogram::default() };
        let bytes = array.as_binary_opt::<i32>().filter(|bytes| !bytes.is_null(self.at));
        bytes.map(|bytes| Sketch::from_bytes(bytes.value(self.at)).histogram().clone()).unwrap_or_default()
    }
}
