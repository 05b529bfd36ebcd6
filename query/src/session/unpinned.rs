//! The few rows that a scan found are copied out of the pages they were found in.
//!
//! Texts are views into decoded pages, and the reader makes room for 8,192 values in each column. Where a condition leaves
//! a dozen rows of each file, those would keep all that, megabytes of it, for as long as a sort, an aggregate or an answer
//! has the rows: a trace in twenty files took more memory than a query may have. *Invariant:* the rows are the same.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray, UInt64Array};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use super::through::{Pass, Through};

/// A column is copied when what it keeps is this many times as large. A batch of most of its pages' rows stays as it is.
const SPARSE: usize = 4;
/// Bytes that a column may keep whatever is used of them.
const LITTLE: usize = 1 << 10;

/// The rule that puts [`Unpinned`] over each scan of files.
#[derive(Debug)]
pub struct LetGoOfPages;

impl PhysicalOptimizerRule for LetGoOfPages {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let reads = plan.downcast_ref::<DataSourceExec>().is_some();
            Ok(if reads { Transformed::yes(Through::over(plan, Unpinned)) } else { Transformed::no(plan) })
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &'static str {
        "let_go_of_pages"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same rows, without the pages they stood in.
#[derive(Debug)]
struct Unpinned;

impl Pass for Unpinned {
    const NAME: &'static str = "Unpinned";

    fn anew(&self) -> Self {
        Unpinned
    }

    fn hand_on(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        Box::pin(RecordBatchStreamAdapter::new(schema, rows.map(|batch| batch.and_then(unpinned))))
    }
}

/// The same rows, copied where they keep much more than they are.
pub fn unpinned(batch: RecordBatch) -> Result<RecordBatch> {
    let (schema, columns, rows) = batch.into_parts();
    let columns = columns.iter().map(copied).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(DataFusionError::from)
}

/// The same array, copied where its values are a small part of what it keeps.
fn copied(array: &ArrayRef) -> Result<ArrayRef> {
    let keeps_more_than = |needed: usize| array.get_array_memory_size() > LITTLE + SPARSE * needed;
    Ok(match array.data_type() {
        DataType::Utf8View => {
            let texts = array.as_string_view();
            let views = size_of_val(texts.views().as_ref());
            let is_sparse = keeps_more_than(views) && keeps_more_than(views + texts.total_buffer_bytes_used());
            if is_sparse { Arc::new(texts.gc()) } else { Arc::clone(array) }
        }
        DataType::List(field) => {
            let lists = array.as_list::<i32>();
            let values = copied(lists.values())?;
            Arc::new(ListArray::try_new(Arc::clone(field), lists.offsets().clone(), values, lists.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let parts = array.as_struct();
            let columns = parts.columns().iter().map(copied).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, parts.nulls().cloned(), parts.len())?)
        }
        ty if width(ty).is_some_and(|width| keeps_more_than(array.len() * width)) => {
            let all = UInt64Array::from_iter_values(0..array.len() as u64);
            arrow::compute::take(array, &all, None)?
        }
        _ => Arc::clone(array),
    })
}

/// Bytes of a value, where all have as many.
fn width(ty: &DataType) -> Option<usize> {
    match ty {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok(),
        other => other.primitive_width(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{FixedSizeBinaryBuilder, Int64Builder, StringViewArray, StringViewBuilder};
    use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
    use arrow::datatypes::Field;

    use super::*;

    fn text(at: usize) -> String {
        format!("a text that does not fit into its view {at:060}")
    }

    /// `found` of a page of 4,000 texts of 100 bytes, with a null behind them.
    fn texts(found: std::ops::Range<usize>) -> StringViewArray {
        let mut page = StringViewBuilder::new().with_fixed_block_size(1 << 20);
        (0..4_000).for_each(|at| page.append_value(text(at)));
        page.append_null();
        let rows: Vec<u32> = found.map(|at| at as u32).chain([4_000]).collect();
        let rows = arrow::array::UInt32Array::from(rows);
        arrow::compute::take(&page.finish(), &rows, None).expect("takes").as_string_view().clone()
    }

    #[test]
    fn few_texts_are_copied_out_of_their_page_and_many_are_not() {
        let few: ArrayRef = Arc::new(texts(7..10));
        let many: ArrayRef = Arc::new(texts(0..3_000));
        assert!(few.get_array_memory_size() > 400_000, "the page is kept");
        let after = copied(&few).expect("copies");
        assert!(after.get_array_memory_size() < 2_000, "{}", after.get_array_memory_size());
        let expected = [Some(text(7)), Some(text(8)), Some(text(9)), None];
        assert_eq!(after.as_string_view().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>(), expected);
        let same = copied(&many).expect("copies");
        assert_eq!(same.as_string_view().views().as_ptr(), many.as_string_view().views().as_ptr());
    }

    #[test]
    fn room_that_was_made_for_more_rows_is_given_back() {
        let mut ids = FixedSizeBinaryBuilder::with_capacity(8_192, 16);
        let mut times = Int64Builder::with_capacity(8_192);
        for at in 0..3u8 {
            ids.append_value([at; 16]).expect("16 bytes");
            times.append_option((at != 1).then_some(i64::from(at)));
        }
        for array in [Arc::new(ids.finish()) as ArrayRef, Arc::new(times.finish())] {
            assert!(array.get_array_memory_size() > 60_000, "the room is kept");
            let after = copied(&array).expect("copies");
            assert_eq!(&after, &array);
            assert!(after.get_array_memory_size() < 1_000, "{}", after.get_array_memory_size());
        }
    }

    #[test]
    fn texts_in_lists_are_copied_too() {
        let name = Arc::new(Field::new("name", DataType::Utf8View, true));
        let texts: ArrayRef = Arc::new(texts(1..3));
        let events: ArrayRef = Arc::new(StructArray::new(vec![name].into(), vec![texts], None));
        let item = Arc::new(Field::new("item", events.data_type().clone(), true));
        // [first, second], null, [null]: as events of three spans are.
        let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 2, 3]));
        let nulls = NullBuffer::from(vec![true, false, true]);
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, events, Some(nulls)));
        let after = copied(&lists).expect("copies");
        assert_eq!(&after, &lists);
        assert!(lists.get_array_memory_size() > 400_000 && after.get_array_memory_size() < 4_000);
    }

    #[test]
    fn rows_without_columns_are_still_rows() {
        let options = RecordBatchOptions::new().with_row_count(Some(9));
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        let rows = RecordBatch::try_new_with_options(schema, Vec::new(), &options).expect("rows");
        assert_eq!(unpinned(rows).expect("the same").num_rows(), 9);
    }
}
