//! A scan of rows in memory: unpacked batch by batch, only the columns that are asked for.
//!
//! A question that takes long must not keep the rows of the moment at which it was asked: they would stay in memory
//! beside those that came since. So a scan gives each batch away as it reads it. *Invariant:* it is read once; a plan that
//! would read it twice is told so (what could ask for that is refused or done otherwise: recursive statements in
//! `sandbox`, joins that spill in `session::once`).

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use storage::Packed;

/// The scan of batches in the schema, in as many partitions as they are given.
pub fn scan(
    schema: &SchemaRef,
    partitions: Vec<Vec<Packed>>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let columns: Arc<[usize]> = match projection {
        Some(columns) => columns.as_slice().into(),
        None => (0..schema.fields().len()).collect(),
    };
    let schema = Arc::new(schema.project(&columns)?);
    let partition = |rows: Vec<Packed>| -> Arc<dyn PartitionStream> {
        Arc::new(Rows { schema: schema.clone(), columns: columns.clone(), rows: Mutex::new(Some(rows)) })
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
    rows: Mutex<Option<Vec<Packed>>>,
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
        let columns = self.columns.clone();
        let unpacked = rows
            .into_iter()
            .map(move |rows| rows.project(&columns).map_err(|e| DataFusionError::External(Box::new(e))));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(unpacked)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn rows_are_given_away_as_they_are_read_and_read_once() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let arrays: Vec<ArrayRef> = (0..2).map(|n| Arc::new(Int64Array::from(vec![n; 3])) as ArrayRef).collect();
        let alive: Vec<_> = arrays.iter().map(Arc::downgrade).collect();
        let batch = |array| Packed::plain(RecordBatch::try_new(schema.clone(), vec![array]).expect("a batch"));
        let plan = scan(&schema, vec![arrays.into_iter().map(batch).collect()], None, None).expect("a plan");
        let task = Arc::new(TaskContext::default());
        let mut rows = plan.execute(0, task.clone()).expect("begins");
        assert_eq!(rows.next().await.expect("a batch").expect("unpacks").num_rows(), 3);
        assert_eq!(alive.iter().map(|array| array.strong_count()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(rows.next().await.expect("a batch").expect("unpacks").num_rows(), 3);
        assert!(rows.next().await.is_none() && alive[1].strong_count() == 0);
        let again = plan.execute(0, task).expect("begins").next().await.expect("an answer");
        assert!(again.expect_err("not twice").to_string().contains("read once"));
    }
}
