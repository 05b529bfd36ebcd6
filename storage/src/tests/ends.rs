//! Files leave out the ends of spans that follow from start and duration (docs/adr/0020); readers here find all.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use model::Signal;
use model::schema::column;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::spans;
use crate::file_reader::FileReader;
use crate::parquet_file;
use crate::summary::NoSummaries;
use crate::{Packed, merge};

/// Trace, span, parent, service, name, start, end.
const FOLLOW: &str = "1 1 0 shop pay 100 140\n1 2 1 shop pay 110 115";
/// The clock went back meanwhile: the duration is 0.
const INVERTED: &str = "2 3 0 shop pay 105 90\n2 4 3 shop pay 120 121";

fn file(lines: &str) -> Bytes {
    let rows: Vec<Vec<&str>> = lines.lines().map(|line| line.split_whitespace().collect()).collect();
    let batch = Packed::plain(spans(&rows, 1_000));
    parquet_file::encode(Signal::Traces, &[batch], &NoSummaries).expect("a file").bytes.into()
}

fn has_ends(file: &Bytes) -> bool {
    let reader = SerializedFileReader::new(file.clone()).expect("a Parquet file");
    let schema = reader.metadata().file_metadata().schema_descr();
    schema.columns().iter().any(|leaf| leaf.name() == column::END)
}

/// In the order of the file, that is of starts.
fn ends(file: &Bytes, columns: Option<&[&str]>) -> Vec<i64> {
    let batches = FileReader::open(Signal::Traces, file.clone(), columns, 10).expect("opens");
    let ends = |batch: arrow::array::RecordBatch| {
        let ends = batch.column_by_name(column::END).expect("there").as_primitive::<Int64Type>().clone();
        ends.iter().map(|end| end.expect("never null")).collect::<Vec<_>>()
    };
    batches.flat_map(|batch| ends(batch.expect("readable"))).collect()
}

#[test]
fn ends_that_follow_are_left_out_and_found_by_every_reader() {
    let file = file(FOLLOW);
    assert!(!has_ends(&file));
    assert_eq!(ends(&file, None), [140, 115]);
    assert_eq!(ends(&file, Some(&[column::TRACE_ID, column::END])), [140, 115]);
}

#[test]
fn one_end_that_does_not_follow_keeps_all_of_its_file_also_when_it_is_merged() {
    let inverted = file(INVERTED);
    assert!(has_ends(&inverted));
    assert_eq!(ends(&inverted, None), [90, 121]);
    let inputs = [file(FOLLOW), inverted];
    let keys = merge::keys(Signal::Traces, &inputs).expect("keys");
    let merged = merge::merge(Signal::Traces, &inputs, &keys, None, &NoSummaries).expect("merges");
    let merged = Bytes::from(merged.bytes);
    assert!(has_ends(&merged));
    assert_eq!(ends(&merged, None), [140, 90, 115, 121]);
}

#[test]
fn files_without_ends_are_merged_into_one_without() {
    let inputs = [file(FOLLOW), file("3 5 0 shop pay 104 204")];
    let keys = merge::keys(Signal::Traces, &inputs).expect("keys");
    let merged = Bytes::from(merge::merge(Signal::Traces, &inputs, &keys, None, &NoSummaries).expect("merges").bytes);
    assert!(!has_ends(&merged));
    assert_eq!(ends(&merged, Some(&[column::END])), [140, 204, 115]);
}
