//! What a scan sees of the rows in memory, and which it leaves packed: exports come from one instance of one service each,
//! so most of their columns have a few values, and conditions on those say of nine in ten exports that no row of them is wanted.
//!
//! What an export's columns hold goes to DataFusion's own pruning ([`PruningPredicate`]), as the statistics of row groups
//! do. *Invariant:* rows are left out only when none of them can satisfy the conditions; what is not understood keeps all.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringViewArray, UInt64Array};
use arrow::compute::{max, max_string_view, min, min_string_view};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use model::Nanos;
use model::time::SECOND;
use storage::{TableSnapshot, Timed};

/// Of fewer exports all are read.
const LEAST: usize = 8;

/// A trace in memory is assembled once nothing of it has arrived for this long. SDKs export every 5 s.
const QUIET: Nanos = 10 * SECOND;

/// Until when traces are quiet for a snapshot of that moment.
pub fn quiet_before(taken: Nanos) -> Nanos {
    taken.saturating_sub(QUIET)
}

/// The spans in memory with what is found of their traces. Assembling many traces takes a while, so it happens on a thread
/// of its own.
pub async fn assembled(table: &TableSnapshot, taken: Nanos) -> Result<Vec<Timed>> {
    let table = table.clone();
    let assembled = SpawnedTask::spawn_blocking(move || table.assembled_memory(quiet_before(taken))).await;
    assembled.map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))
}

/// The exports that may have a row which satisfies all of `filters`. `time` is the name of the table's time column.
pub fn wanted(state: &dyn Session, schema: &SchemaRef, time: &str, filters: &[Expr], memory: Vec<Timed>) -> Vec<Timed> {
    if memory.len() < LEAST {
        return memory;
    }
    let Some(predicate) = predicate(state, schema, filters) else { return memory };
    let Ok(kept) = predicate.prune(&Exports { memory: &memory, schema, time }) else { return memory };
    memory.into_iter().zip(kept).filter(|(_, is_kept)| *is_kept).map(|(part, _)| part).collect()
}

/// `None` where nothing can be told from the conditions.
fn predicate(state: &dyn Session, schema: &SchemaRef, filters: &[Expr]) -> Option<PruningPredicate> {
    let all = conjunction(filters.to_vec())?;
    let named = DFSchema::try_from(schema.clone()).ok()?;
    let predicate = state.create_physical_expr(all, &named).ok()?;
    let predicate = PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(predicate).ok()?;
    (!predicate.always_true()).then_some(predicate)
}

/// Each export is what Parquet calls a row group.
struct Exports<'a> {
    memory: &'a [Timed],
    schema: &'a SchemaRef,
    time: &'a str,
}

impl Exports<'_> {
    fn place(&self, column: &Column) -> Option<usize> {
        self.schema.index_of(&column.name).ok()
    }

    /// The values of a column in each export, where they are few.
    fn distinct(&self, place: usize) -> impl Iterator<Item = Option<&ArrayRef>> {
        self.memory.iter().map(move |part| part.rows.distinct(place))
    }

    fn extremes(
        &self,
        column: &Column,
        time: impl Fn(&Timed) -> i64,
        number: impl Fn(&Int64Array) -> Option<i64>,
        text: impl Fn(&StringViewArray) -> Option<&str>,
    ) -> Option<ArrayRef> {
        let place = self.place(column)?;
        if column.name == self.time {
            return Some(Arc::new(self.memory.iter().map(|part| Some(time(part))).collect::<Int64Array>()));
        }
        match self.schema.field(place).data_type() {
            DataType::Utf8View => {
                let texts = self.distinct(place).map(|values| text(values?.as_string_view()));
                Some(Arc::new(texts.collect::<StringViewArray>()))
            }
            DataType::Int64 => {
                let numbers = self.distinct(place).map(|values| number(values?.as_primitive::<Int64Type>()));
                Some(Arc::new(numbers.collect::<Int64Array>()))
            }
            _ => None,
        }
    }
}

impl PruningStatistics for Exports<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.extremes(column, |part| part.times.0, min, min_string_view)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.extremes(column, |part| part.times.1, max, max_string_view)
    }

    fn num_containers(&self) -> usize {
        self.memory.len()
    }

    /// All rows or none; how many of several values are null is not known.
    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let place = self.place(column)?;
        let count = |(part, values): (&Timed, Option<&ArrayRef>)| match values {
            Some(values) if values.null_count() == values.len() => Some(part.rows.num_rows() as u64),
            Some(values) => (values.null_count() == 0).then_some(0),
            None => None,
        };
        Some(Arc::new(self.memory.iter().zip(self.distinct(place)).map(count).collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.memory.iter().map(|part| Some(part.rows.num_rows() as u64)).collect::<UInt64Array>()))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let place = self.place(column)?;
        if self.schema.field(place).data_type() != &DataType::Utf8View {
            return None;
        }
        let sought = values.iter().map(|value| value.try_as_str().flatten()).collect::<Option<HashSet<&str>>>()?;
        let only = |found: &ArrayRef| {
            let found = found.as_string_view();
            let (mut some, mut all) = (false, found.null_count() == 0);
            found.iter().flatten().for_each(|text| {
                let is_sought = sought.contains(text);
                some |= is_sought;
                all &= is_sought;
            });
            if all { Some(true) } else { (!some).then_some(false) }
        };
        Some(self.distinct(place).map(|found| only(found?)).collect())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{col, lit};
    use datafusion::prelude::SessionContext;
    use storage::Packed;

    use super::*;

    /// As the optimizer leaves it.
    fn text(value: &str) -> Expr {
        lit(ScalarValue::Utf8View(Some(value.to_owned())))
    }

    const TIME: &str = "start";

    fn schema() -> SchemaRef {
        let texts = ["service", "status", "note"].map(|name| Field::new(name, DataType::Utf8View, true));
        let numbers = [TIME, "code", "entry"].map(|name| Field::new(name, DataType::Int64, true));
        Arc::new(Schema::new(texts.into_iter().chain(numbers).collect::<Vec<_>>()))
    }

    /// Ten exports of forty rows. The n-th is of service `s{n}`, has an error in every fourth row if n is even, codes of
    /// 200 or, in the last two, of 500 as well and of null, begins at 100 n, and knows its entry if n is 7. Notes are all
    /// different.
    fn exports() -> Vec<Timed> {
        let export = |n: i64| {
            let status = |row: i64| if n % 2 == 0 && row % 4 == 0 { "ERROR" } else { "OK" };
            let code = |row: i64| match row % 3 {
                _ if n < 8 => Some(200),
                0 => Some(500),
                1 => None,
                _ => Some(200),
            };
            let columns: [ArrayRef; 6] = [
                Arc::new((0..40).map(|_| Some(format!("s{n}"))).collect::<StringViewArray>()),
                Arc::new((0..40).map(|row| Some(status(row))).collect::<StringViewArray>()),
                Arc::new((0..40).map(|row| Some(format!("note {n} {row}"))).collect::<StringViewArray>()),
                Arc::new((0..40).map(|row| Some(100 * n + row)).collect::<Int64Array>()),
                Arc::new((0..40).map(code).collect::<Int64Array>()),
                Arc::new((0..40).map(|row| (n == 7).then_some(row)).collect::<Int64Array>()),
            ];
            let rows = RecordBatch::try_new(schema(), columns.to_vec()).expect("a batch");
            Timed { times: (100 * n, 100 * n + 39), rows: Packed::of(rows) }
        };
        (0..10).map(export).collect()
    }

    #[tokio::test]
    async fn exports_of_which_no_row_is_wanted_stay_packed() {
        let context = SessionContext::new();
        let all: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        let cases: [(Expr, &[usize]); 14] = [
            (col("service").eq(text("s3")), &[3]),
            (col("service").in_list(vec![text("s1"), text("s9"), text("other")], false), &[1, 9]),
            (col("service").not_eq(text("s3")), &[0, 1, 2, 4, 5, 6, 7, 8, 9]),
            (col("status").eq(text("ERROR")), &[0, 2, 4, 6, 8]),
            // Between the least and the greatest of some, and in none.
            (col("status").eq(text("NO")), &[]),
            (col("status").not_eq(text("OK")), &[0, 2, 4, 6, 8]),
            (col("code").gt_eq(lit(500_i64)), &[8, 9]),
            (col("code").is_null(), &[8, 9]),
            (col("entry").is_not_null(), &[7]),
            (col("entry").gt_eq(lit(0_i64)), &[7]),
            (col(TIME).gt_eq(lit(340_i64)).and(col(TIME).lt(lit(500_i64))), &[4]),
            (col("service").eq(text("s4")).or(col("code").eq(lit(500_i64))), &[4, 8, 9]),
            // Nothing is known of columns with many values.
            (col("note").eq(text("note 5 7")), all),
            (col("service").like(text("%9")), all),
        ];
        for (condition, expected) in cases {
            let kept = wanted(&context.state(), &schema(), TIME, std::slice::from_ref(&condition), exports());
            let kept: Vec<usize> = kept.iter().map(|part| part.times.0 as usize / 100).collect();
            assert_eq!(kept, expected, "{condition}");
            // What DataFusion finds in each of them.
            for (n, part) in exports().into_iter().enumerate() {
                let rows = context.read_batch(part.rows.unpacked().expect("unpacks")).expect("a table");
                let count = rows.filter(condition.clone()).expect("a filter").count().await.expect("counts");
                assert!(count == 0 || kept.contains(&n), "{condition}: {count} rows of {n}");
            }
        }
    }

    #[test]
    fn several_conditions_are_one() {
        let conditions = [col("service").in_list(vec![text("s2"), text("s3")], false), col("status").eq(text("ERROR"))];
        let state = SessionContext::new().state();
        let kept = wanted(&state, &schema(), TIME, &conditions, exports());
        assert_eq!(kept.iter().map(|part| part.times).collect::<Vec<_>>(), [(200, 239)]);
        let kept = wanted(&state, &schema(), TIME, &conditions, exports()[..LEAST - 1].to_vec());
        assert_eq!(kept.len(), LEAST - 1, "so few are read");
    }
}
