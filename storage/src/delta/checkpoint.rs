//! Checkpoints: the whole state of a table in one Parquet file, so that nobody has to read a long log
//! (PROTOCOL.md, "Checkpoints", classic V1 naming).
//!
//! Rows go through Arrow's JSON reader and writer, so the actions have one definition (`action`).

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use bytes::Bytes;
use model::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::action::Action;

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn long(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn flag(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

fn map(name: &str) -> Field {
    let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), text("value")]);
    let entries = Field::new("key_value", DataType::Struct(entry), false);
    Field::new(name, DataType::Map(Arc::new(entries), false), true)
}

fn group(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, DataType::Struct(fields.into()), true)
}

fn schema() -> SchemaRef {
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    let partition_columns = Field::new("element", DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        group("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        group(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                flag("dataChange"),
                map("tags"),
                text("stats"),
            ],
        ),
        group(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                flag("dataChange"),
                flag("extendedFileMetadata"),
                map("partitionValues"),
                long("size"),
            ],
        ),
        group(
            "metaData",
            vec![
                text("id"),
                text("name"),
                group("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                Field::new("partitionColumns", DataType::List(Arc::new(partition_columns)), true),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        group("protocol", vec![int("minReaderVersion"), int("minWriterVersion")]),
    ]))
}

fn trouble(what: &str, error: impl std::fmt::Display) -> Error {
    Error::internal(format!("{what} a checkpoint: {error}"))
}

/// The Parquet bytes of a checkpoint holding these actions.
pub fn encode(actions: &[Action]) -> Result<Vec<u8>> {
    let mut decoder = arrow::json::ReaderBuilder::new(schema())
        .with_batch_size(actions.len().max(1))
        .build_decoder()
        .map_err(|e| trouble("encoding", e))?;
    decoder.serialize(actions).map_err(|e| trouble("encoding", e))?;
    let batch = decoder.flush().map_err(|e| trouble("encoding", e))?;
    let batch = batch.unwrap_or_else(|| RecordBatch::new_empty(schema()));
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, schema(), Some(properties)).map_err(|e| trouble("encoding", e))?;
    writer.write(&batch).map_err(|e| trouble("encoding", e))?;
    writer.close().map_err(|e| trouble("encoding", e))?;
    Ok(out)
}

/// The actions of a checkpoint file.
pub fn decode(file: Bytes) -> Result<Vec<Action>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(|e| trouble("reading", e))?;
    let mut actions = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| trouble("reading", e))?;
        let mut lines = Vec::new();
        let mut writer = arrow::json::LineDelimitedWriter::new(&mut lines);
        writer.write(&batch).map_err(|e| trouble("reading", e))?;
        writer.finish().map_err(|e| trouble("reading", e))?;
        for line in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            actions.push(serde_json::from_slice(line).map_err(|e| trouble("reading", e))?);
        }
    }
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use super::super::action::{Add, Format, Metadata, Protocol, Remove, Txn};
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn actions_come_back_as_written() {
        let partition = BTreeMap::from([("received_date".to_owned(), Some("2026-11-22".to_owned()))]);
        let actions: Vec<Action> = vec![
            Action { protocol: Some(Protocol { min_reader_version: 1, min_writer_version: 2 }), ..Action::default() },
            Action {
                meta_data: Some(Metadata {
                    id: "x".into(),
                    name: None,
                    format: Format { provider: "parquet".into(), options: BTreeMap::new() },
                    schema_string: "{}".into(),
                    partition_columns: vec!["received_date".into()],
                    configuration: BTreeMap::from([("a".into(), "b".into())]),
                    created_time: Some(1),
                }),
                ..Action::default()
            },
            Txn { app_id: "hotspan".into(), version: 7, last_updated: Some(5) }.into(),
            Add {
                path: "received_date=2026-11-22/a.parquet".into(),
                partition_values: partition.clone(),
                size: 10,
                modification_time: 3,
                data_change: true,
                stats: Some(r#"{"numRecords":1}"#.into()),
                tags: Some(BTreeMap::from([("hotspan.level".into(), Some("0".into()))])),
            }
            .into(),
            Remove {
                path: "b.parquet".into(),
                deletion_timestamp: Some(9),
                data_change: false,
                extended_file_metadata: Some(true),
                partition_values: Some(partition),
                size: Some(4),
            }
            .into(),
        ];
        let file = Bytes::from(encode(&actions).expect("encodes"));
        assert_eq!(decode(file).expect("decodes"), actions);
    }
}
