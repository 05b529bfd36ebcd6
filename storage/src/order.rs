//! The order of rows within a file, over the rows of many batches, without copying them.
//!
//! Sits before encoding. Text is compared once for each distinct value: values get ranks, and rows are sorted by
//! small integers. [`crate::packed::gather`] then makes batches of any stretch of that order, so that a file is written
//! slice by slice and its rows are never in memory twice.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use model::schema::sort_columns;
use model::{Error, Result, Signal};

/// A row of one of several batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub batch: u32,
    pub row: u32,
}

/// What a row is sorted by: two ranks of text and a time, then its place, so that equal rows keep their order.
type Key = (u32, u32, i64, u32, u32);

/// The places of all rows in the order of the signal's files: by `sort_columns`, nulls first.
pub fn sorted(signal: Signal, batches: &[RecordBatch]) -> Result<Vec<Place>> {
    let names = sort_columns(signal);
    let (time, texts) = names.split_last().ok_or_else(|| Error::internal("a file has an order"))?;
    let ranks = texts.iter().map(|name| ranks(batches, name)).collect::<Result<Vec<_>>>()?;
    let mut keys: Vec<Key> = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (at, batch) in batches.iter().enumerate() {
        let times = batch.column_by_name(time).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let times = times.ok_or_else(|| Error::internal(format!("rows without {time}")))?;
        let rank = |level: usize, row: usize| ranks.get(level).map_or(0, |ranks| ranks[at][row]);
        for row in 0..batch.num_rows() {
            let time = if times.is_null(row) { i64::MIN } else { times.value(row) };
            keys.push((rank(0, row), rank(1, row), time, at as u32, row as u32));
        }
    }
    keys.sort_unstable();
    Ok(keys.into_iter().map(|(_, _, _, batch, row)| Place { batch, row }).collect())
}

/// For each row of each batch the rank of its text among all distinct ones; 0 is null.
fn ranks(batches: &[RecordBatch], name: &str) -> Result<Vec<Vec<u32>>> {
    let mut columns = Vec::with_capacity(batches.len());
    for batch in batches {
        let column = batch.column_by_name(name).and_then(|c| c.as_string_view_opt());
        columns.push(column.ok_or_else(|| Error::internal(format!("rows without {name}")))?);
    }
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut coded: Vec<Vec<u32>> = Vec::with_capacity(columns.len());
    for column in &columns {
        // Neighbouring rows often have the same text, a view into the same buffer.
        let mut last: Option<(u128, u32)> = None;
        let views = column.views();
        let code = |row: usize| {
            if column.is_null(row) {
                return 0;
            }
            match last {
                Some((view, code)) if view == views[row] => code,
                _ => {
                    let next = numbers.len() as u32 + 1;
                    let code = *numbers.entry(column.value(row)).or_insert(next);
                    last = Some((views[row], code));
                    code
                }
            }
        };
        coded.push((0..column.len()).map(code).collect());
    }
    let mut distinct: Vec<(&str, u32)> = numbers.into_iter().collect();
    distinct.sort_unstable();
    let mut rank_of = vec![0; distinct.len() + 1];
    for (rank, (_, code)) in distinct.iter().enumerate() {
        rank_of[*code as usize] = rank as u32 + 1;
    }
    for code in coded.iter_mut().flatten() {
        *code = rank_of[*code as usize];
    }
    Ok(coded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::{Packed, gather};
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringViewArray, new_null_array};
    use arrow::datatypes::DataType;
    use model::schema::{column, schema};

    fn batch(rows: &[(Option<&str>, &str, i64)]) -> RecordBatch {
        let schema = schema(Signal::Traces);
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                column::SERVICE_NAME => Arc::new(rows.iter().map(|r| r.0).collect::<StringViewArray>()),
                column::NAME => Arc::new(rows.iter().map(|r| Some(r.1)).collect::<StringViewArray>()),
                column::START => Arc::new(rows.iter().map(|r| Some(r.2)).collect::<Int64Array>()),
                _ if field.is_nullable() => new_null_array(field.data_type(), rows.len()),
                _ => {
                    let DataType::FixedSizeBinary(size) = field.data_type() else { panic!("ids are fixed") };
                    let ids = rows.iter().map(|_| vec![1u8; *size as usize]);
                    Arc::new(arrow::array::FixedSizeBinaryArray::try_from_iter(ids).expect("ids"))
                }
            }
        });
        RecordBatch::try_new(schema.clone(), columns.collect()).expect("the physical schema")
    }

    #[test]
    fn rows_of_many_batches_are_in_the_order_of_service_name_and_start() {
        let long = "a service whose name does not fit into a view";
        let batches = [
            batch(&[(Some("b"), "x", 3), (Some("a"), "y", 9), (None, "z", 5)]),
            batch(&[(Some(long), "x", 1), (Some("a"), "x", 7), (Some("b"), "x", 3)]),
        ];
        let order = sorted(Signal::Traces, &batches).expect("sorts");
        // By hand: null, then "a" (x, y), then the long name, then "b" twice, the first batch's first.
        let by_hand = [(0, 2), (1, 4 - 3), (0, 1), (1, 0), (0, 0), (1, 2)];
        let found: Vec<(u32, u32)> = order.iter().map(|p| (p.batch, p.row)).collect();
        assert_eq!(found, by_hand);
        let all = gather(&batches.map(Packed::plain), &order).expect("gathers");
        let services = all.column_by_name(column::SERVICE_NAME).expect("there").as_string_view();
        let services: Vec<Option<&str>> = services.iter().collect();
        assert_eq!(services, [None, Some("a"), Some("a"), Some(long), Some("b"), Some("b")]);
        assert_eq!(all.column_by_name("http_route").expect("there").null_count(), 6);
    }
}
