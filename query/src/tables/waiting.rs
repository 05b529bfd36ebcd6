//! A scan of rows in memory: unpacked batch by batch, only the columns that are asked for.
//!
//! A question that takes long must not keep the rows of the moment at which it was asked: they would stay in memory
//! beside those that came since. So a scan gives each batch away as it reads it, and what it has not read yet is lent, for
//! whoever ends the question to take. *Invariant:* it is read once; a plan that would read it twice is told so (what could
//! ask for that is refused or done otherwise: recursive statements in `sandbox`, joins that spill in `session::once`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err, internal_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use storage::{Lease, Leased, Packed};

/// The scan of batches in the schema, in as many partitions as they are given.
pub fn scan(
    schema: &SchemaRef,
    partitions: Vec<Vec<Packed>>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
    lease: &Lease,
) -> Result<Arc<dyn ExecutionPlan>> {
    let columns: Arc<[usize]> = match projection {
        Some(columns) => columns.as_slice().into(),
        None => (0..schema.fields().len()).collect(),
    };
    let schema = Arc::new(schema.project(&columns)?);
    let partition = |rows: Vec<Packed>| -> Arc<dyn PartitionStream> {
        let rows = Mutex::new(Some(lease.lend(VecDeque::from(rows))));
        Arc::new(Rows { schema: schema.clone(), columns: columns.clone(), rows })
    };
    let partitions = partitions.into_iter().map(partition).collect();
    Ok(Arc::new(StreamingTableExec::try_new(schema.clone(), partitions, None, None, false, limit)?))
}

#[derive(Debug)]
struct Rows {
    /// Of the columns that are asked for.
    schema: SchemaRef,
    columns: Arc<[usize]>,
    /// Until they are read.
    rows: Mutex<Option<Leased<VecDeque<Packed>>>>,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let Some(rows) = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            let again = internal_datafusion_err!("rows in memory are read once");
            let stream = futures::stream::iter([Err(again)]);
            return Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream));
        };
        let (columns, mut rows) = (self.columns.clone(), Some(rows));
        let unpacked = std::iter::from_fn(move || match rows.as_ref()?.with(VecDeque::pop_front) {
            Some(Some(next)) => Some(next.project(&columns).map_err(|e| DataFusionError::External(Box::new(e)))),
            Some(None) => {
                rows = None;
                None
            }
            None => Some(Err(exec_datafusion_err!("the query is no longer wanted"))),
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(unpacked)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};
    use futures::StreamExt;

    use super::*;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
    }

    /// A scan of two batches, and what tells whether anybody has them still.
    fn two(lease: &Lease) -> (Arc<dyn ExecutionPlan>, [Weak<dyn Array>; 2]) {
        let arrays = [0, 1].map(|n| Arc::new(Int64Array::from(vec![n; 3])) as ArrayRef);
        let alive = arrays.each_ref().map(Arc::downgrade);
        let batch = |array| Packed::plain(RecordBatch::try_new(schema(), vec![array]).expect("a batch"));
        (scan(&schema(), vec![arrays.into_iter().map(batch).collect()], None, None, lease).expect("a plan"), alive)
    }

    #[tokio::test]
    async fn rows_are_given_away_as_they_are_read_and_read_once() {
        let (plan, alive) = two(&Lease::default());
        let task = Arc::new(TaskContext::default());
        let mut rows = plan.execute(0, task.clone()).expect("begins");
        assert_eq!(rows.next().await.expect("a batch").expect("unpacks").num_rows(), 3);
        assert_eq!(alive.each_ref().map(Weak::strong_count), [0, 1]);
        assert_eq!(rows.next().await.expect("a batch").expect("unpacks").num_rows(), 3);
        assert!(rows.next().await.is_none() && alive[1].strong_count() == 0);
        let again = plan.execute(0, task).expect("begins").next().await.expect("an answer");
        assert!(again.expect_err("not twice").to_string().contains("read once"));
    }

    #[tokio::test]
    async fn rows_are_taken_from_a_question_that_ended_wherever_it_is() {
        for is_read in [false, true] {
            let lease = Lease::default();
            let (plan, alive) = two(&lease);
            let mut rows = plan.execute(0, Arc::new(TaskContext::default())).expect("begins");
            if is_read {
                rows.next().await.expect("a batch").expect("unpacks");
            }
            lease.end();
            assert_eq!(alive.each_ref().map(Weak::strong_count), [0, 0]);
            let next = rows.next().await.expect("no end").expect_err("not as if there were no more rows");
            assert!(next.to_string().contains("no longer wanted"), "{next}");
        }
    }
}
