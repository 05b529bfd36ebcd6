//! A reader of Delta tables written from the protocol, not from hotspan: the newest checkpoint, the commits after it, and
//! the Parquet files that they leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build());
    let reader = reader.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    reader.map(|batch| batch.unwrap_or_else(|e| panic!("{}: {e}", path.display()))).collect()
}

/// The files of a checkpoint: the paths of its `add` actions.
fn checkpoint(path: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for batch in batches(path) {
        let adds = batch.column_by_name("add").expect("a checkpoint has it").as_struct();
        let paths = adds.column_by_name("path").expect("an add has it").as_string::<i32>();
        let there = (0..adds.len()).filter(|row| adds.is_valid(*row) && paths.is_valid(*row));
        files.extend(there.map(|row| paths.value(row).to_owned()));
    }
    files
}

/// The files that the table's newest version consists of.
fn files(table: &Path) -> BTreeSet<String> {
    let log = table.join("_delta_log");
    let last = fs::read_to_string(log.join("_last_checkpoint")).ok();
    let last =
        last.map(|text| serde_json::from_str::<Value>(&text).expect("JSON")["version"].as_u64().expect("a number"));
    let mut files = last.map(|v| checkpoint(&log.join(format!("{v:020}.checkpoint.parquet")))).unwrap_or_default();
    let mut version = last.map_or(0, |v| v + 1);
    while let Ok(text) = fs::read_to_string(log.join(format!("{version:020}.json"))) {
        for action in text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an action is JSON")) {
            if let Some(path) = action["remove"]["path"].as_str() {
                files.remove(path);
            }
            if let Some(path) = action["add"]["path"].as_str() {
                files.insert(path.to_owned());
            }
        }
        version += 1;
    }
    assert!(version > 0, "{} is a table without a commit", table.display());
    files
}

/// How often each value of a column is there, as text; binary ids as hex. A table that does not exist is empty.
pub fn counts(table: &Path, column: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    if !table.join("_delta_log").exists() {
        return found;
    }
    for file in files(table) {
        for batch in batches(&table.join(file)) {
            let values = batch.column_by_name(column).expect("a column of the table");
            for row in 0..values.len() {
                let text = match values.as_fixed_size_binary_opt() {
                    Some(ids) => ids.value(row).iter().map(|byte| format!("{byte:02x}")).collect(),
                    None => text_of(values, row),
                };
                *found.entry(text).or_default() += 1;
            }
        }
    }
    found
}

fn text_of(values: &dyn Array, row: usize) -> String {
    match (values.as_string_view_opt(), values.as_string_opt::<i32>()) {
        (Some(texts), _) => texts.value(row).to_owned(),
        (None, Some(texts)) => texts.value(row).to_owned(),
        (None, None) => arrow::util::display::array_value_to_string(values, row).expect("a text"),
    }
}
