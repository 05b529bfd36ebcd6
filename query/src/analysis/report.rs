//! What an analysis answers: JSON for the page, rows for SQL.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
pub use model::time::to_rfc3339 as rfc3339;
use model::{Error, Result};
use serde_json::{Value, json};

use super::scope::Window;
use super::sentence::Sentence;

pub struct Report {
    /// An object; `meta` is added at the end.
    pub json: Value,
    /// Key of the list in `json` whose objects are the rows for SQL.
    pub rows: &'static str,
    /// Traces of the window that are not assembled yet and were left out.
    pub unsettled: u64,
    /// What cut the answer short, in words.
    pub notes: Vec<Sentence>,
}

impl Report {
    pub fn new(rows: &'static str, json: Value) -> Self {
        Report { json, rows, unsettled: 0, notes: Vec::new() }
    }

    pub(super) fn finish(&mut self, window: Window, elapsed: Duration) {
        let rows = self.json[self.rows].as_array().map_or(0, Vec::len);
        let (en, zh): (Vec<&str>, Vec<&str>) =
            self.notes.iter().map(|note| (note.en.as_str(), note.zh.as_str())).unzip();
        self.json["meta"] = json!({
            "start": rfc3339(window.start),
            "end": rfc3339(window.end),
            "elapsed_ms": elapsed.as_secs_f64() * 1e3,
            "rows": rows,
            "partial": !self.notes.is_empty(),
            "unsettled_traces": self.unsettled,
            "notes": en,
            "notes_zh": zh,
        });
    }

    /// The rows in the schema that the analysis declared; nested values as JSON text.
    pub fn batch(&self, schema: SchemaRef) -> Result<RecordBatch> {
        let trouble = |e: arrow::error::ArrowError| Error::internal(format!("rows of an analysis: {e}"));
        let empty = Vec::new();
        let rows = self.json[self.rows].as_array().unwrap_or(&empty);
        let flat: Vec<Value> = rows.iter().map(flatten).collect();
        let mut decoder = arrow::json::ReaderBuilder::new(schema.clone())
            .with_batch_size(flat.len().max(1))
            .with_coerce_primitive(true)
            .build_decoder()
            .map_err(trouble)?;
        decoder.serialize(&flat).map_err(trouble)?;
        Ok(decoder.flush().map_err(trouble)?.unwrap_or_else(|| RecordBatch::new_empty(schema)))
    }
}

fn flatten(row: &Value) -> Value {
    let mut row = row.clone();
    for value in row.as_object_mut().into_iter().flat_map(|o| o.values_mut()) {
        if value.is_array() || value.is_object() {
            *value = Value::String(value.to_string());
        }
    }
    row
}
