//! A trace is found in files of any writer, as one finds it by looking at every row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryBuilder, Int64Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use proptest::prelude::*;

use super::*;
use crate::summary::NoSummaries;
use crate::{Packed, parquet_file};

/// Of so many spans each file is.
const SPANS: usize = 30_000;

fn id_of(trace: usize) -> TraceId {
    TraceId((trace as u128 + 1).to_be_bytes())
}

/// The traces of a file's spans: their places are far apart, or each trace's are together.
fn scattered(traces: usize) -> Vec<usize> {
    (0..SPANS).map(|span| (span * 7_919) % traces).collect()
}

fn together(traces: usize) -> Vec<usize> {
    let mut all = scattered(traces);
    all.sort_unstable();
    all
}

/// Span `n` starts at `n` and takes 5.
fn rows(traces: &[usize], nullable: bool) -> RecordBatch {
    let mut ids = FixedSizeBinaryBuilder::new(16);
    traces.iter().for_each(|trace| ids.append_value(id_of(*trace).0).expect("16 bytes"));
    let start: Int64Array = (0..traces.len() as i64).collect();
    let duration: Int64Array = traces.iter().map(|_| 5).collect();
    let schema = Schema::new(vec![
        Field::new(column::TRACE_ID, DataType::FixedSizeBinary(16), nullable),
        Field::new(column::START, DataType::Int64, true),
        Field::new(column::DURATION, DataType::Int64, true),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(ids.finish()), Arc::new(start), Arc::new(duration)];
    RecordBatch::try_new(Arc::new(schema), columns).expect("as described")
}

fn written(rows: &RecordBatch, properties: WriterPropertiesBuilder) -> Bytes {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), Some(properties.build())).expect("a writer");
    writer.write(rows).expect("written");
    writer.close().expect("ended");
    file.into()
}

/// Starts and ends of the trace's spans, as found.
async fn found(file: &Bytes, id: TraceId) -> Vec<(i64, i64)> {
    let open = || -> Result<Reader> { Ok(Box::new(std::io::Cursor::new(file.clone()))) };
    let columns = [column::START, column::END];
    let Some(spans) = spans_of(open, id, &columns).await.expect("readable") else { return Vec::new() };
    let batches: Vec<RecordBatch> = spans.try_collect().await.expect("readable");
    let mut found = Vec::new();
    for batch in batches {
        assert_eq!(batch.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), columns);
        let time = |at: usize| batch.column(at).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
        found.extend(time(0).into_iter().zip(time(1)));
    }
    found
}

async fn finds_all(what: &str, file: &Bytes, traces: &[usize]) {
    let mut expected: BTreeMap<usize, Vec<(i64, i64)>> = BTreeMap::new();
    (0..).zip(traces).for_each(|(span, trace)| expected.entry(*trace).or_default().push((span, span + 5)));
    let step = (expected.len() / 5).max(1);
    for (trace, spans) in expected.iter().step_by(step).chain(expected.last_key_value()) {
        assert_eq!(found(file, id_of(*trace)).await, *spans, "trace {trace}, {what}");
    }
    assert_eq!(found(file, id_of(SPANS + 1)).await, [], "a trace that is not there, {what}");
}

/// How a writer writes.
type With = fn(WriterPropertiesBuilder) -> WriterPropertiesBuilder;

fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()))
}

#[tokio::test]
async fn a_trace_is_found_whatever_wrote_the_file() {
    let second = || properties().set_writer_version(WriterVersion::PARQUET_2_0);
    let writers: [(&str, With); 5] = [
        ("a dictionary", |given| given),
        ("groups of rows", |given| given.set_max_row_group_row_count(Some(7_001))),
        ("a dictionary that becomes too large", |given| given.set_dictionary_page_size_limit(4_096)),
        ("plain ids", |given| given.set_dictionary_enabled(false)),
        ("prefixes of ids", |given| given.set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY)),
    ];
    // Numbers of 0, 1, 9 and 15 bits.
    for traces in [1, 2, 300, 29_989].into_iter().flat_map(|traces| [scattered(traces), together(traces)]) {
        for (what, with) in writers {
            for (version, given) in [("1.0", properties()), ("2.0", second())] {
                // Times have encodings of their own.
                let given = with(given.set_data_page_row_count_limit(4_000));
                let given = [column::START, column::DURATION]
                    .into_iter()
                    .fold(given, |given, name| given.set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED));
                let file = written(&rows(&traces, false), given);
                finds_all(&format!("{what}, version {version}"), &file, &traces).await;
            }
        }
    }
}

#[tokio::test]
async fn a_trace_is_found_where_ids_may_be_null_and_in_a_file_of_ours() {
    let traces = scattered(300);
    finds_all("ids that may be null", &written(&rows(&traces, true), properties()), &traces).await;
    let rows = rows(&traces, false);
    let schema = model::schema::schema(Signal::Traces);
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        column::SPAN_ID => crate::tests::zeros(8, SPANS),
        column::END => Arc::new((0..SPANS as i64).map(|start| start + 5).collect::<Int64Array>()),
        name => {
            rows.column_by_name(name).cloned().unwrap_or_else(|| arrow::array::new_null_array(field.data_type(), SPANS))
        }
    });
    let batch = Packed::of(RecordBatch::try_new(schema.clone(), columns.collect()).expect("the physical schema"));
    let file = parquet_file::encode(Signal::Traces, &[batch], &NoSummaries).expect("a file").bytes.into();
    finds_all("a file of ours", &file, &traces).await;
}

#[tokio::test]
async fn a_file_without_ids_has_no_trace_and_one_cut_short_is_damaged() {
    let rows = rows(&scattered(300), false);
    let without = rows.project(&[1, 2]).expect("columns");
    assert_eq!(found(&written(&without, properties()), id_of(1)).await, []);
    let file = written(&rows, properties());
    let cut = file.slice(file.len() / 2..);
    let open = || -> Result<Reader> { Ok(Box::new(std::io::Cursor::new(cut.clone()))) };
    let error = spans_of(open, id_of(1), &[column::START]).await.err().expect("its offsets lead nowhere");
    assert_eq!(error.kind, model::Kind::Corrupt);
}

proptest! {
    #[test]
    fn a_page_of_anything_passes_no_row_too_many(page in prop::collection::vec(any::<u8>(), 0..80), count in 0usize..500) {
        let mut rows = Rows::default();
        let understood = numbers::numbered(&page, count, Some(3), &mut rows).is_some();
        prop_assert!(rows.passed() <= count && (!understood || rows.passed() == count));
    }
}
