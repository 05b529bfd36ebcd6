//! The columns that an analysis has as a SQL table function. All may be null.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

pub fn int(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

pub fn float(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

pub fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

pub fn flag(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

pub fn schema(fields: impl IntoIterator<Item = Field>) -> SchemaRef {
    Arc::new(Schema::new(fields.into_iter().collect::<Vec<_>>()))
}
