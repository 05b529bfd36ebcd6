//! Turns of some milliseconds: queries that run at once take turns on a lane's threads.
//!
//! A thread goes on with a query until that gives way. DataFusion's own operators do so after 128 batches, which are
//! seconds where each batch costs a regular expression over a few megabytes of text; somebody's quick question would wait
//! for them. [`Slices`] stands above what a plan reads and above what makes more rows than it reads, and gives way when its
//! turn is over; where it is another's turn, it also waits a little.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::ExecutionPlan;
use futures::{Stream, StreamExt, ready};
use tokio::time::Sleep;

use super::breath;
use super::interrupt::Interrupt;
use super::through::{Pass, Through};

/// A turn. Shorter: others wait less; each end of a turn costs some microseconds.
const TURN: Duration = Duration::from_millis(10);

/// The same rows in the same order, in turns.
#[derive(Debug)]
pub struct Slices(Interrupt);

impl Slices {
    pub fn of(input: Arc<dyn ExecutionPlan>, interrupt: Interrupt) -> Arc<dyn ExecutionPlan> {
        Through::over(input, Slices(interrupt))
    }
}

impl Pass for Slices {
    const NAME: &'static str = "Slices";

    fn anew(&self) -> Self {
        Slices(self.0.clone())
    }

    fn hand_on(&self, inner: SendableRecordBatchStream) -> SendableRecordBatchStream {
        Box::pin(Turns { inner, interrupt: self.0.clone(), since: None, pause: None })
    }
}

struct Turns {
    inner: SendableRecordBatchStream,
    interrupt: Interrupt,
    /// When the turn began.
    since: Option<Instant>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stream for Turns {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        breath::take();
        let (now, since) = (Instant::now(), self.since);
        let since = *self.since.insert(since.unwrap_or(now));
        if now.saturating_duration_since(since) >= TURN {
            self.since = None;
            self.pause = self.interrupt.seat().gives_way(now).map(|pause| Box::pin(tokio::time::sleep(pause)));
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
