//! The side of a nested-loop join that is held in memory is read once.
//!
//! DataFusion 55 has a second way for it when memory is short: it runs the side's plan again and goes over the other side
//! several times. That gives rows twice for outer joins with several partitions (a note in its code says so), and panics
//! where the plan redistributes rows. With [`Once`] between the two, such a query is told that it needs too much memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;

use super::through::{Pass, Through};

/// The same rows, for who asks first.
#[derive(Debug, Default)]
pub struct Once {
    asked: AtomicBool,
}

impl Once {
    pub fn of(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Through::over(input, Once::default())
    }
}

impl Pass for Once {
    const NAME: &'static str = "Once";

    fn anew(&self) -> Self {
        Once::default()
    }

    /// The side has one partition.
    fn may_begin(&self) -> Result<()> {
        if self.asked.swap(true, Ordering::Relaxed) {
            return Err(DataFusionError::ResourcesExhausted("one side of a join does not fit into memory".to_owned()));
        }
        Ok(())
    }
}
