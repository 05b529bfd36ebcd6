//! A scan of rows that are only in the write-ahead log: under a burst beyond what encoding can follow, "acknowledged means
//! visible" holds by decoding them again. Slower than memory or files, and gone when the burst is.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use model::Error;
use storage::Backlog;

/// Exports decoded ahead of whoever consumes them, for each partition.
const AHEAD: usize = 2;

/// The scan of `pieces`, one partition each; `None` when there are none.
pub fn scan(
    schema: SchemaRef,
    pieces: Vec<Backlog>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if pieces.is_empty() {
        return Ok(None);
    }
    let partition = |backlog| -> Arc<dyn PartitionStream> { Arc::new(Piece { schema: schema.clone(), backlog }) };
    let partitions = pieces.into_iter().map(partition).collect();
    let plan = StreamingTableExec::try_new(schema.clone(), partitions, projection, None, false, limit)?;
    Ok(Some(Arc::new(plan)))
}

#[derive(Debug)]
struct Piece {
    schema: SchemaRef,
    backlog: Backlog,
}

impl PartitionStream for Piece {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), AHEAD);
        let (rows, backlog) = (builder.tx(), self.backlog.clone());
        builder.spawn_blocking(move || {
            let mut send = |batch| {
                rows.blocking_send(Ok(batch)).map_err(|_| Error::unavailable("nobody waits for the rows any more"))
            };
            backlog.read(&mut send).map_err(|e| DataFusionError::External(Box::new(e)))
        });
        builder.build()
    }
}
