//! Turns of some milliseconds: queries that run at once take turns on a lane's threads.
//!
//! A thread goes on with a query until that gives way. DataFusion's own operators do so after 128 batches, which are
//! seconds where each batch costs a regular expression over a few megabytes of text; somebody's quick question would wait
//! for them. [`Slices`] stands above what a plan reads and above what makes more rows than it reads, and gives way when its
//! turn is over.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt};

/// A turn. Shorter: others wait less; each end of a turn costs some microseconds.
const TURN: Duration = Duration::from_millis(10);

/// The same rows in the same order, in turns.
#[derive(Debug)]
pub struct Slices {
    input: Arc<dyn ExecutionPlan>,
}

impl Slices {
    pub fn of(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Slices { input })
    }
}

impl DisplayAs for Slices {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slices")
    }
}

impl ExecutionPlan for Slices {
    fn name(&self) -> &'static str {
        "Slices"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.into_iter().next() {
            Some(input) => Ok(Slices::of(input)),
            None => Err(DataFusionError::Internal("turns of nothing".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let inner = self.input.execute(partition, context)?;
        Ok(Box::pin(Turns { inner, since: None }))
    }
}

struct Turns {
    inner: SendableRecordBatchStream,
    /// When the turn began.
    since: Option<Instant>,
}

impl Stream for Turns {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= TURN {
            self.since = None;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = self.inner.poll_next_unpin(context);
        if next.is_pending() {
            self.since = None;
        }
        next
    }
}

impl RecordBatchStream for Turns {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}
