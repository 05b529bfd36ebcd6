//! Ends the work of a query that nobody waits for any more, also where it would not end by itself.
//!
//! A task that is aborted ends when it next gives way. Scans give way, but a join of a few thousand rows with a few
//! million can compute for minutes between two rows of its answer, and a join with many rows in memory never asks a scan
//! again. Such a query would hold its thread, its memory and its place in the queue long after its time was over. So
//! plans get two things: scans and joins give way when their turn is over ([`Slices`]), and the condition of a join that
//! compares every row with every row looks whether it is still wanted, and gives its place on the lane's threads to others when
//! its turn is over.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use super::breath;
use super::once::Once;
use super::running::Seat;
use super::slices::{self, Slices};

/// Whether a query is no longer wanted, and whether it is another's turn. Clones are the same.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    unwanted: AtomicBool,
    seat: Seat,
}

impl Interrupt {
    pub fn of(seat: Seat) -> Self {
        Interrupt(Arc::new(Inner { unwanted: AtomicBool::new(false), seat }))
    }

    pub fn set(&self) {
        self.0.unwanted.store(true, Ordering::Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.unwanted.load(Ordering::Relaxed)
    }

    pub fn seat(&self) -> &Seat {
        &self.0.seat
    }
}

/// The rule that makes a plan take turns, and end by its [`Interrupt`].
#[derive(Debug)]
pub struct Interruptible(pub Interrupt);

impl PhysicalOptimizerRule for Interruptible {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let plan = match plan.downcast_ref::<NestedLoopJoinExec>() {
                Some(join) => self.watched(join)?,
                None => plan,
            };
            // What reads, and what makes more rows than it reads.
            let many = plan.children().is_empty() || plan.name().ends_with("JoinExec") || plan.name() == "UnnestExec";
            Ok(if many { Transformed::yes(Slices::of(plan, self.0.clone())) } else { Transformed::no(plan) })
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &'static str {
        "interruptible"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl Interruptible {
    /// The same join over a side that is read once, with a condition that looks whether the query is still wanted.
    fn watched(&self, join: &NestedLoopJoinExec) -> Result<Arc<dyn ExecutionPlan>> {
        let mut builder = NestedLoopJoinExecBuilder::from(join);
        if let Some(filter) = join.filter() {
            let condition = Watched { condition: Arc::clone(filter.expression()), interrupt: self.0.clone() };
            let columns = filter.column_indices().to_vec();
            let filter = JoinFilter::new(Arc::new(condition), columns, Arc::clone(filter.schema()));
            builder = builder.with_filter(Some(filter));
        }
        let sides = vec![Once::of(Arc::clone(join.left())), Arc::clone(join.right())];
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        Arc::new(builder.build()?).replace_children(sides, options)
    }
}

/// A condition that fails when the query is no longer wanted.
#[derive(Debug)]
struct Watched {
    condition: Arc<dyn PhysicalExpr>,
    interrupt: Interrupt,
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Watched {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.condition.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.condition.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.interrupt.is_set() {
            return Err(DataFusionError::Execution("the query is no longer wanted".to_owned()));
        }
        breath::take();
        slices::within(&self.interrupt);
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let condition = children.pop().unwrap_or_else(|| Arc::clone(&self.condition));
        Ok(Arc::new(Watched { condition, interrupt: self.interrupt.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
