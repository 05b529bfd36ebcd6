//! Answers in every format, by the rules of interface.md.

use super::*;
use std::time::Duration;

use arrow::array::*;
use arrow::datatypes::Int32Type;

fn result(columns: Vec<(&str, ArrayRef)>) -> QueryResult {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    QueryResult {
        schema: batch.schema(),
        batches: vec![batch],
        cut: None,
        bytes: 0,
        elapsed: Duration::ZERO,
        rows_scanned: 0,
    }
}

fn rows(columns: Vec<(&str, ArrayRef)>) -> String {
    let answer: serde_json::Value = serde_json::from_slice(&json::answer(&result(columns))).expect("valid JSON");
    answer["rows"].to_string()
}

#[test]
fn json_follows_the_rules_of_the_interface() {
    let time = TimestampNanosecondArray::from(vec![1_700_000_000_000_000_001]).with_timezone("UTC");
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
    let shown = rows(vec![
        ("int", Arc::new(Int64Array::from(vec![9_007_199_254_740_993])) as ArrayRef),
        ("time", Arc::new(time)),
        ("nan", Arc::new(Float64Array::from(vec![f64::NAN]))),
        ("inf", Arc::new(Float64Array::from(vec![f64::NEG_INFINITY]))),
        ("double", Arc::new(Float64Array::from(vec![1.0]))),
        ("json", Arc::new(StringArray::from(vec![r#"{"a":1}"#]))),
        ("bytes", Arc::new(BinaryArray::from_vec(vec![&[0xAB, 1]]))),
        ("list", Arc::new(list)),
        ("none", Arc::new(NullArray::new(1))),
    ]);
    assert_eq!(
        shown,
        r#"[[9007199254740993,"2023-11-14T22:13:20.000000001Z","NaN","-Infinity",1.0,"{\"a\":1}","ab01",[1,null],null]]"#
    );
}

#[test]
fn days_of_any_year_are_shown() {
    let shown = |days: Vec<i32>| rows(vec![("day", Arc::new(Date32Array::from(days)) as ArrayRef)]);
    // The last and the first day as Java's LocalDate.ofEpochDay has them.
    assert_eq!(shown(vec![i32::MAX, i32::MIN]), r#"[["+5881580-07-11"],["-5877641-06-23"]]"#);
    for day in (-1_000_000..3_000_000).step_by(97).chain(-1_000..1_000) {
        let date = arrow::datatypes::Date32Type::to_naive_date_opt(day).expect("chrono has that year");
        assert_eq!(shown(vec![day]), format!(r#"[["{date}"]]"#));
    }
}

#[test]
fn structs_become_objects() {
    let inner = StructArray::from(vec![(
        Arc::new(Field::new("a", DataType::Boolean, true)),
        Arc::new(BooleanArray::from(vec![true])) as ArrayRef,
    )]);
    assert_eq!(rows(vec![("s", Arc::new(inner))]), r#"[[{"a":true}]]"#);
}

#[test]
fn every_format_holds_the_rows() {
    let result = result(vec![
        ("name", Arc::new(StringViewArray::from(vec!["a,b", "c"])) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![1, 2]))),
    ]);
    let text = |format| String::from_utf8(write(&result, format).expect("writes")).expect("text");
    assert_eq!(text(Format::Csv), "name,n\n\"a,b\",1\nc,2\n");
    assert!(text(Format::Table).contains("| a,b  | 1 |"));
    let stream = write(&result, Format::Arrow).expect("writes");
    let read = arrow::ipc::reader::StreamReader::try_new(stream.as_slice(), None).expect("a stream");
    assert_eq!(read.map(|b| b.expect("a batch").num_rows()).sum::<usize>(), 2);
    let file = bytes::Bytes::from(write(&result, Format::Parquet).expect("writes"));
    let read = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 10).expect("a file");
    assert_eq!(read.map(|b| b.expect("a batch").num_rows()).sum::<usize>(), 2);
}

#[test]
fn what_parquet_cannot_hold_is_told_to_whoever_asked() {
    let intervals = IntervalMonthDayNanoArray::from(vec![arrow::datatypes::IntervalMonthDayNano::new(0, 0, 1)]);
    let result = result(vec![("gap", Arc::new(intervals) as ArrayRef)]);
    let error = write(&result, Format::Parquet).expect_err("no such type");
    assert_eq!(error.kind, model::Kind::Invalid, "{error:?}");
    assert!(write(&result, Format::Csv).is_ok() && write(&result, Format::Arrow).is_ok());
}

#[test]
fn the_accept_header_picks_the_format() {
    assert_eq!(Format::accepted(None), Format::Json);
    assert_eq!(Format::accepted(Some("text/html, text/csv;q=0.9")), Format::Csv);
    assert_eq!(Format::accepted(Some("*/*")), Format::Json);
}
