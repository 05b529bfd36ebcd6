//! An Arrow schema as a Delta schema (PROTOCOL.md, "Schema Serialization Format").

use arrow::datatypes::{DataType, Field, Schema};
use model::{Error, Result};
use serde_json::{Value, json};

/// The day of receipt, as which rows are partitioned.
pub const PARTITION: &str = "received_date";

/// The `schemaString` of a table: the physical columns and the partition column.
pub fn schema_string(schema: &Schema) -> Result<String> {
    let mut fields = schema.fields().iter().map(|f| field(f)).collect::<Result<Vec<_>>>()?;
    fields.push(json!({"name": PARTITION, "type": "date", "nullable": true, "metadata": {}}));
    Ok(json!({"type": "struct", "fields": fields}).to_string())
}

fn field(field: &Field) -> Result<Value> {
    Ok(json!({
        "name": field.name(),
        "type": data_type(field.data_type())?,
        // Delta checks "not null" only in tables that declare the feature; every column may be null to readers.
        "nullable": true,
        "metadata": {},
    }))
}

fn data_type(ty: &DataType) -> Result<Value> {
    Ok(match ty {
        DataType::Utf8 | DataType::Utf8View => json!("string"),
        DataType::Int64 => json!("long"),
        DataType::Int32 => json!("integer"),
        DataType::Float64 => json!("double"),
        DataType::Boolean => json!("boolean"),
        DataType::Binary | DataType::FixedSizeBinary(_) => json!("binary"),
        DataType::List(item) => {
            json!({"type": "array", "elementType": data_type(item.data_type())?, "containsNull": true})
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|f| self::field(f)).collect::<Result<Vec<_>>>()?;
            json!({"type": "struct", "fields": fields})
        }
        other => return Err(Error::internal(format!("arrow type {other} has no Delta type here"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_delta_schema() {
        for signal in model::Signal::ALL {
            let arrow = model::schema::schema(signal);
            let text = schema_string(&arrow).expect("all types are known to Delta");
            let json: Value = serde_json::from_str(&text).expect("JSON");
            let fields = json["fields"].as_array().expect("fields");
            assert_eq!(fields.len(), arrow.fields().len() + 1);
        }
    }

    #[test]
    fn ids_are_binary_and_events_a_list_of_structs() {
        let text = schema_string(&model::schema::schema(model::Signal::Traces)).expect("known");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let of = |name: &str| {
            json["fields"].as_array().expect("fields").iter().find(|f| f["name"] == name).expect(name)["type"].clone()
        };
        assert_eq!(of("trace_id"), "binary");
        assert_eq!(of("start_time_unix_nano"), "long");
        assert_eq!(of("events")["elementType"]["fields"][0]["name"], "time_unix_nano");
        assert_eq!(of(PARTITION), "date");
    }
}
