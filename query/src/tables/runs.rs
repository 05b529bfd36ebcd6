//! The table `runs`: the stress-test runs of a snapshot.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use model::run::Run;
use serde_json::json;

use crate::functions::nested::timestamp;

/// The columns of interface.md, and the marks as JSON.
pub fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    let time = |name: &str| Field::new(name, timestamp(), true);
    let fields = vec![text("id"), text("name"), time("start_time"), time("end_time")];
    Arc::new(Schema::new([fields, ["labels", "notes", "marks"].map(text).to_vec()].concat()))
}

pub fn table(runs: &[Run]) -> Result<MemTable> {
    let text = |of: fn(&Run) -> String| -> ArrayRef {
        Arc::new(runs.iter().map(|run| Some(of(run))).collect::<StringViewArray>())
    };
    let time = |of: fn(&Run) -> Option<i64>| -> ArrayRef {
        Arc::new(runs.iter().map(of).collect::<TimestampNanosecondArray>().with_timezone("UTC"))
    };
    let columns = vec![
        text(|run| run.id.clone()),
        text(|run| run.name.clone()),
        time(|run| Some(run.start)),
        time(|run| run.end),
        text(|run| json!(run.labels).to_string()),
        text(|run| run.notes.clone()),
        text(|run| json!(run.marks).to_string()),
    ];
    MemTable::try_new(schema(), vec![vec![RecordBatch::try_new(schema(), columns)?]])
}
