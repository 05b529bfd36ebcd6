//! Folds the rows of a scan in our own code, each partition on a task of its own: for what SQL cannot say, and where
//! grouping by many text columns would cost more than the scan.
//!
//! ```text
//! physical plan ─┬─ partition 0 ─▶ add, add, add ─┐
//!                └─ partition n ─▶ add, add, add ─┴─ merge ─▶ one fold
//! ```
//! *Invariants:* what a fold holds is charged to the memory pool of all queries, so it ends with `Limit` instead of
//! taking the machine's memory. Dropping the future ends the tasks.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::runtime::JoinSet;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use model::{Error, Result};
use tokio::task::JoinError;

use crate::error::from_datafusion;

/// What is made of rows, in any order and in parts.
pub trait Fold: Send + Sized + 'static {
    fn add(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Takes in what another part has seen.
    fn merge(&mut self, other: Self);

    /// Bytes held, about.
    fn size(&self) -> usize;
}

/// A fold and the memory that is charged for it, until it is dropped.
pub struct Folded<F> {
    pub fold: F,
    held: Vec<MemoryReservation>,
}

impl<F: Fold> Folded<F> {
    /// Takes in what was made elsewhere, and charges for what the fold has become.
    ///
    /// # Errors
    /// `Limit` when there is no more memory for it.
    pub fn take(&mut self, more: impl FnOnce(&mut F)) -> Result<()> {
        more(&mut self.fold);
        let held = self.held.iter().map(MemoryReservation::size).sum::<usize>();
        match self.held.last_mut() {
            Some(last) => last.try_grow(self.fold.size().saturating_sub(held)).map_err(from_datafusion),
            None => Ok(()),
        }
    }
}

pub async fn run<F: Fold>(
    plan: &Arc<dyn ExecutionPlan>,
    task: &Arc<TaskContext>,
    empty: impl Fn() -> F,
) -> Result<Folded<F>> {
    let pool = task.memory_pool();
    let mut parts = JoinSet::new();
    for part in 0..plan.output_partitioning().partition_count() {
        let stream = plan.execute(part, task.clone()).map_err(from_datafusion)?;
        parts.spawn(one(part, stream, empty(), pool.clone()));
    }
    let mut done = Vec::new();
    while let Some(part) = parts.join_next().await {
        done.push(part.map_err(ended)??);
    }
    // In the order of the plan, so that the same parts always merge the same way.
    done.sort_by_key(|(part, ..)| *part);
    let (mut whole, mut held) = (empty(), Vec::new());
    for (_, fold, reservation) in done {
        whole.merge(fold);
        held.push(reservation);
    }
    Ok(Folded { fold: whole, held })
}

/// A task panicked, or was ended with its runtime.
pub fn ended(error: JoinError) -> Error {
    Error::internal(format!("a part of a query ended: {error}"))
}

async fn one<F: Fold>(
    part: usize,
    mut rows: SendableRecordBatchStream,
    mut fold: F,
    pool: Arc<dyn MemoryPool>,
) -> Result<(usize, F, MemoryReservation)> {
    let held = MemoryConsumer::new("analysis").register(&pool);
    while let Some(batch) = rows.next().await {
        fold.add(&batch.map_err(from_datafusion)?)?;
        held.try_resize(fold.size()).map_err(from_datafusion)?;
    }
    Ok((part, fold, held))
}
