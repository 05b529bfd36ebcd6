//! Answers as bytes: JSON by interface.md's rules, CSV, Arrow IPC, Parquet and a table of text.
//!
//! JSON: int64 as numbers, timestamps as RFC 3339 with nanoseconds, NaN and infinities as text, lists and structs as
//! JSON, columns of JSON text as text, binary as lower-case hex.

mod cut;
pub mod json;
pub(crate) mod size;
mod table;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use model::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use crate::session::QueryResult;
pub use cut::{Cut, HINT as CUT_HINT};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    Arrow,
    Parquet,
    Table,
}

impl Format {
    /// By the name that `hotspan sql --format` takes.
    pub fn parse(name: &str) -> Result<Format> {
        Ok(match name {
            "json" => Format::Json,
            "csv" => Format::Csv,
            "arrow" => Format::Arrow,
            "parquet" => Format::Parquet,
            "table" => Format::Table,
            other => {
                return Err(Error::invalid(format!("{other:?} is not a format"))
                    .hint("formats are table, json, csv, arrow and parquet"));
            }
        })
    }

    /// By an `Accept` header: the first type we know, JSON when there is none.
    pub fn accepted(header: Option<&str>) -> Format {
        let types = header.unwrap_or_default().split(',').map(|t| t.split(';').next().unwrap_or_default().trim());
        types
            .filter_map(|ty| match ty {
                "application/json" => Some(Format::Json),
                "text/csv" => Some(Format::Csv),
                "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
                "application/vnd.apache.parquet" => Some(Format::Parquet),
                "text/plain" => Some(Format::Table),
                _ => None,
            })
            .next()
            .unwrap_or(Format::Json)
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Arrow => "application/vnd.apache.arrow.stream",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Table => "text/plain; charset=utf-8",
        }
    }
}

/// The whole answer in one of the formats.
pub fn write(result: &QueryResult, format: Format) -> Result<Vec<u8>> {
    let trouble = |e: &dyn std::fmt::Display| Error::internal(format!("writing the answer: {e}"));
    let (schema, batches) = (&result.schema, &result.batches);
    match format {
        Format::Json => Ok(json::answer(result)),
        Format::Csv => csv(schema, batches).map_err(|e| trouble(&e)),
        Format::Arrow => ipc(schema, batches).map_err(|e| trouble(&e)),
        Format::Parquet => columns(schema, batches),
        Format::Table => table(result).map(String::into_bytes),
    }
}

fn csv(schema: &SchemaRef, batches: &[RecordBatch]) -> arrow::error::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut out);
    let shown = flat_schema(schema);
    if batches.is_empty() {
        writer.write(&RecordBatch::new_empty(shown.clone()))?;
    }
    for batch in batches {
        let columns = batch.columns().iter().map(flat).collect();
        writer.write(&RecordBatch::try_new(shown.clone(), columns)?)?;
    }
    drop(writer);
    Ok(out)
}

fn flat_schema(schema: &SchemaRef) -> SchemaRef {
    let field = |f: &Arc<Field>| {
        Field::new(f.name(), if plain(f.data_type()) { f.data_type().clone() } else { DataType::Utf8 }, true)
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// What CSV can say of a value by itself.
fn plain(ty: &DataType) -> bool {
    ty.is_numeric() || ty.is_string() || matches!(ty, DataType::Boolean)
}

/// Anything else as the text that JSON would show.
fn flat(array: &ArrayRef) -> ArrayRef {
    if plain(array.data_type()) {
        return array.clone();
    }
    Arc::new(json::texts(array))
}

fn ipc(schema: &SchemaRef, batches: &[RecordBatch]) -> arrow::error::Result<Vec<u8>> {
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.into_inner()
}

fn columns(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let unfit = |e: ParquetError| {
        Error::invalid(format!("the answer cannot be written as Parquet: {e}"))
            .hint("cast the column to text, or ask for another format")
    };
    // Which types Parquet has, intervals not among them, is known when it begins or at the first batch.
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), None).map_err(unfit)?;
    for batch in batches {
        writer.write(batch).map_err(unfit)?;
    }
    writer.into_inner().map_err(|e| Error::internal(format!("writing the answer: {e}")))
}

fn table(result: &QueryResult) -> Result<String> {
    let trouble = |e: arrow::error::ArrowError| Error::internal(format!("writing the answer: {e}"));
    let shown = flat_schema(&result.schema);
    let mut batches = Vec::with_capacity(result.batches.len());
    for batch in &result.batches {
        let columns = batch.columns().iter().map(flat).collect();
        batches.push(RecordBatch::try_new(shown.clone(), columns).map_err(trouble)?);
    }
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(shown));
    }
    table::table(&batches[0].schema(), &batches)
}

#[cfg(test)]
mod tests;
