//! A node of a plan that hands on the rows of the one below it as they are, in their order: what is done to a plan from
//! outside is a [`Pass`].

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// How rows are handed on.
pub trait Pass: fmt::Debug + Send + Sync + Sized + 'static {
    /// What `EXPLAIN` calls it.
    const NAME: &'static str;

    /// The same for another plan, of which nothing has run yet.
    fn anew(&self) -> Self;

    /// Asked before the plan below begins, for each partition.
    fn may_begin(&self) -> Result<()> {
        Ok(())
    }

    /// The rows of one partition.
    fn hand_on(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        rows
    }
}

#[derive(Debug)]
pub struct Through<P> {
    input: Arc<dyn ExecutionPlan>,
    pass: P,
}

impl<P: Pass> Through<P> {
    pub fn over(input: Arc<dyn ExecutionPlan>, pass: P) -> Arc<dyn ExecutionPlan> {
        Arc::new(Through { input, pass })
    }
}

impl<P: Pass> DisplayAs for Through<P> {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(P::NAME)
    }
}

impl<P: Pass> ExecutionPlan for Through<P> {
    fn name(&self) -> &'static str {
        P::NAME
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
            Some(input) => Ok(Through::over(input, self.pass.anew())),
            None => Err(DataFusionError::Internal(format!("{} of nothing", P::NAME))),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.pass.may_begin()?;
        Ok(self.pass.hand_on(self.input.execute(partition, context)?))
    }
}
