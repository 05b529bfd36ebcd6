//! Turns of some milliseconds: queries that run at once take turns on a lane's threads.
//!
//! A thread goes on with a query until that gives way. DataFusion's own operators do so after 128 batches, which are
//! seconds where each batch costs a regular expression over a few megabytes of text; somebody's quick question would wait
//! for them. [`Slices`] stands above what a plan reads and above what makes more rows than it reads, and gives way when its
//! turn is over; where it is another's turn, it also waits.

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
use super::meter;
use super::running::Seat;
use super::through::{Pass, Through};

/// A turn. Shorter: others wait less; each end of a turn costs some microseconds.
const TURN: Duration = Duration::from_millis(10);

/// So long work that cannot give way sleeps after each turn, for another thread to take its place among the lane's.
const HANDS_OVER: Duration = Duration::from_micros(500);

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
    pause: Option<Pause>,
}

/// From the end of a turn to the next.
struct Pause {
    since: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Pause {
    /// `None`: the next turn may begin at `now`.
    fn of(seat: &Seat, now: Instant, since: Instant) -> Option<Pause> {
        seat.gives_way(now, since, breath::is_crowded())
            .map(|pause| Pause { since, sleep: Box::pin(tokio::time::sleep(pause)) })
    }
}

impl Stream for Turns {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(pause) = &mut self.pause {
            ready!(pause.sleep.as_mut().poll(context));
            let since = pause.since;
            self.pause = Pause::of(self.interrupt.seat(), Instant::now(), since);
        }
        breath::take();
        let (now, since) = (Instant::now(), self.since);
        let since = *self.since.insert(since.unwrap_or(now));
        if now.saturating_duration_since(since) >= TURN {
            self.since = None;
            self.pause = Pause::of(self.interrupt.seat(), now, now);
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

/// For work that cannot give way by itself: when its turn is over, others go on in its place on the lane's threads. It goes
/// on beside them, on a thread of its own, and waits where a stream would.
pub fn within(interrupt: &Interrupt) {
    if !meter::has_worked(TURN) {
        return;
    }
    let since = Instant::now();
    tokio::task::block_in_place(|| {
        std::thread::sleep(HANDS_OVER);
        let pause = || interrupt.seat().gives_way(Instant::now(), since, breath::is_crowded());
        while let Some(pause) = pause().filter(|_| !interrupt.is_set()) {
            std::thread::sleep(pause);
        }
    });
}

impl RecordBatchStream for Turns {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}
