//! A scan of rows in memory: unpacked batch by batch, only the columns that are asked for.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
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
        Arc::new(Rows { schema: schema.clone(), columns: columns.clone(), rows: rows.into() })
    };
    let partitions = partitions.into_iter().map(partition).collect();
    Ok(Arc::new(StreamingTableExec::try_new(schema.clone(), partitions, None, None, false, limit)?))
}

#[derive(Debug)]
struct Rows {
    /// Of the columns that are asked for.
    schema: SchemaRef,
    columns: Arc<[usize]>,
    rows: Arc<[Packed]>,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (columns, rows) = (self.columns.clone(), self.rows.clone());
        let unpacked = (0..rows.len())
            .map(move |at| rows[at].project(&columns).map_err(|e| DataFusionError::External(Box::new(e))));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(unpacked)))
    }
}
