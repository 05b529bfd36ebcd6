//! The side of a nested-loop join that is held in memory is read once.
//!
//! DataFusion 55 has a second way for it when memory is short: it runs the side's plan again and goes over the other side
//! several times. That gives rows twice for outer joins with several partitions (a note in its code says so), and panics
//! where the plan redistributes rows. With [`Once`] between the two, such a query is told that it needs too much memory.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// The same rows, for who asks first.
#[derive(Debug)]
pub struct Once {
    input: Arc<dyn ExecutionPlan>,
    asked: AtomicBool,
}

impl Once {
    pub fn of(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Once { input, asked: AtomicBool::new(false) })
    }
}

impl DisplayAs for Once {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Once")
    }
}

impl ExecutionPlan for Once {
    fn name(&self) -> &'static str {
        "Once"
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
            Some(input) => Ok(Once::of(input)),
            None => Err(DataFusionError::Internal("once of nothing".to_owned())),
        }
    }

    /// The side has one partition.
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.asked.swap(true, Ordering::Relaxed) {
            return Err(DataFusionError::ResourcesExhausted("one side of a join does not fit into memory".to_owned()));
        }
        self.input.execute(partition, context)
    }
}
