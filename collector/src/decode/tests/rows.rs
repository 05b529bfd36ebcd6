//! Rows of a batch as plain values, null columns left out, so that tests can say what they expect.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Int(i64),
    /// As bits, so that NaN equals NaN.
    Double(u64),
    Bool(bool),
    Bytes(Vec<u8>),
    List(Vec<Row>),
}

/// By column; null columns are left out. A list's plain elements are in a column named "".
pub(super) type Row = BTreeMap<String, Cell>;

pub(super) fn rows(batch: &RecordBatch) -> Vec<Row> {
    (0..batch.num_rows()).map(|row| fields(batch.schema().fields(), batch.columns(), row)).collect()
}

fn fields(fields: &arrow::datatypes::Fields, columns: &[arrow::array::ArrayRef], row: usize) -> Row {
    let cell = |(field, column): (&arrow::datatypes::FieldRef, &arrow::array::ArrayRef)| {
        Some((field.name().clone(), cell(column.as_ref(), row)?))
    };
    fields.iter().zip(columns).filter_map(cell).collect()
}

fn cell(column: &dyn Array, row: usize) -> Option<Cell> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Utf8View => Cell::Text(column.as_string_view().value(row).to_owned()),
        DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(row)),
        DataType::Int32 => Cell::Int(i64::from(column.as_primitive::<Int32Type>().value(row))),
        DataType::Float64 => Cell::Double(column.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Boolean => Cell::Bool(column.as_boolean().value(row)),
        DataType::FixedSizeBinary(_) => Cell::Bytes(column.as_fixed_size_binary().value(row).to_vec()),
        DataType::List(_) => Cell::List(elements(column.as_list::<i32>().value(row).as_ref())),
        other => panic!("no test knows {other}"),
    })
}

fn elements(values: &dyn Array) -> Vec<Row> {
    let element = |row| match values.data_type() {
        DataType::Struct(names) => fields(names, values.as_struct().columns(), row),
        _ => cell(values, row).map(|cell| (String::new(), cell)).into_iter().collect(),
    };
    (0..values.len()).map(element).collect()
}

/// Builds the row that a test expects.
#[derive(Debug, Default)]
pub(super) struct Expected(Row);

impl Expected {
    pub fn cell(mut self, column: &str, cell: Cell) -> Self {
        self.0.insert(column.into(), cell);
        self
    }

    pub fn text(self, column: &str, value: &str) -> Self {
        self.cell(column, Cell::Text(value.into()))
    }

    /// Empty text is null.
    pub fn non_empty(self, column: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.text(column, value) }
    }

    pub fn text_if(self, column: &str, value: Option<String>) -> Self {
        value.map_or_else(Expected::default, |value| Expected::default().text(column, &value)).join(self)
    }

    pub fn int(self, column: &str, value: impl Into<i64>) -> Self {
        self.cell(column, Cell::Int(value.into()))
    }

    pub fn double(self, column: &str, value: f64) -> Self {
        self.cell(column, Cell::Double(value.to_bits()))
    }

    pub fn double_if(self, column: &str, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.double(column, value),
            None => self,
        }
    }

    pub fn bool(self, column: &str, value: bool) -> Self {
        self.cell(column, Cell::Bool(value))
    }

    /// Empty bytes are null.
    pub fn id(self, column: &str, value: &[u8]) -> Self {
        if value.is_empty() { self } else { self.cell(column, Cell::Bytes(value.to_vec())) }
    }

    /// An empty list is null.
    pub fn list(self, column: &str, values: Vec<Row>) -> Self {
        if values.is_empty() { self } else { self.cell(column, Cell::List(values)) }
    }

    pub fn ints(self, column: &str, values: &[i64]) -> Self {
        let values = values.iter().map(|value| Expected::default().int("", *value).row()).collect();
        self.list(column, values)
    }

    pub fn doubles(self, column: &str, values: &[f64]) -> Self {
        let values = values.iter().map(|value| Expected::default().double("", *value).row()).collect();
        self.list(column, values)
    }

    pub fn join(mut self, other: Expected) -> Self {
        self.0.extend(other.0);
        self
    }

    pub fn row(self) -> Row {
        self.0
    }
}

/// Compares rows column by column, so that a failure names the column.
#[track_caller]
pub(super) fn assert_rows(actual: &RecordBatch, expected: &[Row]) {
    let actual = rows(actual);
    assert_eq!(actual.len(), expected.len(), "number of rows");
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        for column in actual.keys().chain(expected.keys()) {
            assert_eq!(actual.get(column), expected.get(column), "row {index}, column {column}");
        }
    }
}

/// The text in `column` of a row.
pub(super) fn text<'r>(row: &'r Row, column: &str) -> Option<&'r str> {
    match row.get(column) {
        Some(Cell::Text(text)) => Some(text),
        _ => None,
    }
}
