//! Stored rows as JSON, and their comparison with what the collection expects (testdata/malformed/README.md).

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Fields, Float64Type, Int32Type, Int64Type};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::support::RECEIVED;

const RECEIVED_COLUMN: &str = "received_time_unix_nano";

/// The rows of a batch without null columns. The receive time, which all share, is checked and left out.
pub fn rows(batch: &RecordBatch) -> Vec<Value> {
    let row = |row| {
        let mut columns = fields(batch.schema().fields(), batch.columns(), row);
        assert_eq!(columns.remove(RECEIVED_COLUMN), Some(json!(RECEIVED)));
        Value::Object(columns)
    };
    (0..batch.num_rows()).map(row).collect()
}

fn fields(fields: &Fields, columns: &[ArrayRef], row: usize) -> Map<String, Value> {
    let cells = fields.iter().zip(columns).filter(|(_, column)| column.is_valid(row));
    cells.map(|(field, column)| (field.name().clone(), cell(column.as_ref(), row))).collect()
}

fn cell(column: &dyn Array, row: usize) -> Value {
    match column.data_type() {
        DataType::Utf8View => json!(column.as_string_view().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Float64 => double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(column.as_boolean().value(row)),
        DataType::FixedSizeBinary(_) => json!(faster_hex::hex_string(column.as_fixed_size_binary().value(row))),
        DataType::List(_) => {
            let elements = column.as_list::<i32>().value(row);
            (0..elements.len()).map(|at| element(elements.as_ref(), at)).collect()
        }
        other => panic!("no column is known to be {other}"),
    }
}

fn element(elements: &dyn Array, at: usize) -> Value {
    match elements.data_type() {
        DataType::Struct(names) => Value::Object(fields(names, elements.as_struct().columns(), at)),
        _ => cell(elements, at),
    }
}

fn double(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else if value == 0.0 && value.is_sign_negative() {
        json!("-0.0")
    } else {
        json!(value)
    }
}

/// An expected row with all its columns: a name, or changes to the row it is `like`.
pub fn resolved(row: &Value, named: &Value) -> Value {
    let Value::Object(changes) = row else {
        return named[row.as_str().expect("a row's name")].clone();
    };
    let mut columns = named[changes["like"].as_str().expect("a row's name")].as_object().expect("a row").clone();
    for (column, value) in changes.iter().filter(|(column, _)| *column != "like") {
        match value {
            Value::Null => drop(columns.remove(column)),
            value => drop(columns.insert(column.clone(), value.clone())),
        }
    }
    Value::Object(columns)
}

/// What differs, a line for each column.
pub fn differences(expected: &[Value], stored: &[Value]) -> Vec<String> {
    if expected.len() != stored.len() {
        return vec![format!("{} rows are stored, not {}", stored.len(), expected.len())];
    }
    let mut wrong = Vec::new();
    for (at, (expected, stored)) in expected.iter().zip(stored).enumerate() {
        let (expected, stored) = (expected.as_object().expect("a row"), stored.as_object().expect("a row"));
        for (column, value) in expected {
            match stored.get(column) {
                Some(found) if fits(value, found) => {}
                found => wrong.push(format!("row {at}, {column}: {} instead of {}", shown(found), shown(Some(value)))),
            }
        }
        for (column, value) in stored.iter().filter(|(column, _)| !expected.contains_key(*column)) {
            wrong.push(format!("row {at}, {column}: {} instead of null", shown(Some(value))));
        }
    }
    wrong
}

/// Whether a stored value is what is expected, which may be a description of it.
fn fits(expected: &Value, stored: &Value) -> bool {
    match expected {
        Value::Object(described) => {
            if let (Some(start), Some(text)) = (described.get("starts"), stored.as_str()) {
                return start.as_str().is_some_and(|start| text.starts_with(start));
            }
            if let (Some(digest), Some(text)) = (described.get("sha256"), stored.as_str()) {
                let found = faster_hex::hex_string(&Sha256::digest(text));
                return described["bytes"] == text.len() && *digest == found;
            }
            if let (Some(times), Some(list)) = (described.get("times"), stored.as_array()) {
                return *times == list.len() && list.iter().all(|element| fits(&described["of"], element));
            }
            let Some(stored) = stored.as_object() else { return false };
            let same_keys = described.len() == stored.len();
            same_keys && described.iter().all(|(key, value)| stored.get(key).is_some_and(|found| fits(value, found)))
        }
        Value::Array(elements) => stored.as_array().is_some_and(|stored| {
            elements.len() == stored.len() && elements.iter().zip(stored).all(|(value, found)| fits(value, found))
        }),
        scalar => scalar == stored,
    }
}

/// The first characters of a value.
fn shown(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "null".to_owned(), Value::to_string);
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}
