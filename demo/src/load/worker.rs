//! The run: workers take the next export that is due, send it, and pass on what became of it.
//!
//! The number of workers bounds what is on its way. When all are busy, exports wait for their turn as numbers, and
//! their latency counts the wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::generator::Generator;
use super::ledger::{Acknowledged, Ledger};
use super::report::{Report, Tally, count_reason, cpu_seconds};
use super::retry::{Attempt, RetryQueue, pause};
use super::send::{Answer, Sender};
use super::{Error, Settings};

/// Sends until the schedule is over, then gives refused exports the rest of their patience. When `shutdown` is called
/// it tries those once more and ends.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<Report, Error> {
    settings.validate()?;
    let senders = (0..settings.connections).map(|_| Sender::new(&settings)).collect::<Result<Vec<_>, _>>()?;
    let ledger = settings.ledger.as_deref().map(|path| Ledger::create(path, &settings.layout())).transpose()?;
    let cpu_before = cpu_seconds();
    let generator = Generator::new(&settings, unix_now());
    let run = Arc::new(Run {
        generator,
        began: Instant::now(),
        next: AtomicU64::new(0),
        retries: Mutex::new(RetryQueue::new(settings.retry_queue)),
        on_their_way: AtomicU64::new(0),
        patience: settings.patience,
        shutdown,
    });
    let (outcomes, inbox) = mpsc::unbounded_channel();
    let mut workers = tokio::task::JoinSet::new();
    for sender in &senders {
        for _ in 0..settings.in_flight {
            workers.spawn(run.clone().work(sender.clone(), outcomes.clone()));
        }
    }
    drop(outcomes);
    let mut summary = Summary::new(&settings, ledger);
    summary.collect(&run, inbox).await?;
    while workers.join_next().await.is_some() {}
    Ok(summary.report(&run, cpu_before))
}

#[allow(clippy::disallowed_methods, reason = "this crate knows no model::Clock; its clock starts here, once")]
fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What the workers share.
struct Run {
    generator: Generator,
    began: Instant,
    next: AtomicU64,
    retries: Mutex<RetryQueue>,
    /// Attempts that are being sent.
    on_their_way: AtomicU64,
    patience: Duration,
    shutdown: CancellationToken,
}

/// What became of one attempt.
struct Outcome {
    attempt: Attempt,
    latency: Duration,
    result: Result<Answered, String>,
}

enum Answered {
    Accepted {
        rejected: u64,
    },
    /// Refused, and it will be sent again.
    Refused(String),
    /// Refused, and it is given up.
    Lost(String),
}

/// What a worker does next.
enum Turn {
    Send(Attempt),
    WaitUntil(Duration),
    Over,
}

impl Run {
    async fn work(self: Arc<Self>, mut sender: Sender, outcomes: mpsc::UnboundedSender<Outcome>) {
        loop {
            match self.turn() {
                Turn::Over => return,
                Turn::WaitUntil(due) => self.wait_until(due).await,
                Turn::Send(attempt) => {
                    let outcome = self.attempt(&mut sender, attempt).await;
                    self.on_their_way.fetch_sub(1, Ordering::SeqCst);
                    // The collector outlives the workers, unless it failed and the run is over anyway.
                    let _ = outcomes.send(outcome);
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn retries(&self) -> MutexGuard<'_, RetryQueue> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refused exports first; then the next of the schedule; then wait for either.
    fn turn(&self) -> Turn {
        let now = self.now();
        let mut retries = self.retries();
        // Whoever is told to stop tries what is left once more and is done.
        let horizon = if self.shutdown.is_cancelled() { Duration::MAX } else { now };
        if let Some(attempt) = retries.pop_due(horizon) {
            return self.send(attempt);
        }
        if !self.is_closed(now)
            && let Some(turn) = self.scheduled(now, retries.next_due())
        {
            return turn;
        }
        match retries.next_due() {
            Some(due) => Turn::WaitUntil(due),
            // One that is still on its way may yet be refused.
            None if self.on_their_way.load(Ordering::SeqCst) > 0 => Turn::WaitUntil(now + Duration::from_millis(20)),
            None => Turn::Over,
        }
    }

    fn send(&self, attempt: Attempt) -> Turn {
        self.on_their_way.fetch_add(1, Ordering::SeqCst);
        Turn::Send(attempt)
    }

    /// Whether no new exports are begun. Those that are overdue at the end of the schedule get a little longer.
    fn is_closed(&self, now: Duration) -> bool {
        const OVERTIME: Duration = Duration::from_secs(2);
        self.shutdown.is_cancelled() || now >= self.generator.schedule().end() + OVERTIME
    }

    /// Takes the next export of the schedule when it is due. Called under the lock of the retry queue, so `next` has
    /// one writer at a time.
    fn scheduled(&self, now: Duration, retry: Option<Duration>) -> Option<Turn> {
        let schedule = self.generator.schedule();
        let export = schedule.skip_from(self.next.load(Ordering::SeqCst), now);
        self.next.store(export, Ordering::SeqCst);
        if export >= schedule.exports() {
            return None;
        }
        let due = schedule.due(export);
        if due > now {
            return Some(Turn::WaitUntil(retry.map_or(due, |retry| due.min(retry))));
        }
        self.next.store(export + 1, Ordering::SeqCst);
        let counted_from = if schedule.is_flat_out(export) { now } else { due };
        Some(self.send(Attempt { export, counted_from, refusals: 0 }))
    }

    async fn wait_until(&self, due: Duration) {
        const LOOK_AGAIN: Duration = Duration::from_millis(100);
        let until = due.min(self.now() + LOOK_AGAIN);
        tokio::time::sleep_until(self.began + until).await;
    }

    async fn attempt(&self, sender: &mut Sender, attempt: Attempt) -> Outcome {
        let answer = sender.send(self.generator.export(attempt.export)).await;
        let now = self.now();
        let result = match answer {
            Answer::Accepted { rejected } => Ok(Answered::Accepted { rejected }),
            Answer::Failed { why } => Err(why),
            Answer::Refused { pause: asked, why } => Ok(self.refused(attempt, now, asked, why)),
        };
        Outcome { attempt, latency: now.saturating_sub(attempt.counted_from), result }
    }

    fn refused(&self, attempt: Attempt, now: Duration, asked: Option<Duration>, why: String) -> Answered {
        let again = now + pause(asked, attempt.refusals);
        let too_late = again.saturating_sub(attempt.counted_from) > self.patience;
        let next = Attempt { refusals: attempt.refusals + 1, ..attempt };
        if too_late || self.shutdown.is_cancelled() || !self.retries().push(again, next) {
            return Answered::Lost(why);
        }
        Answered::Refused(why)
    }
}

/// Adds outcomes up.
struct Summary {
    spans_per_export: u64,
    all: Tally,
    steps: Vec<Tally>,
    seconds: BTreeMap<u64, Tally>,
    reasons: BTreeMap<String, u64>,
    ledger: Option<Ledger>,
}

impl Summary {
    fn new(settings: &Settings, ledger: Option<Ledger>) -> Self {
        Summary {
            spans_per_export: settings.spans_per_export as u64,
            all: Tally::new(3),
            steps: settings.levels().iter().map(|_| Tally::new(3)).collect(),
            seconds: BTreeMap::new(),
            reasons: BTreeMap::new(),
            ledger,
        }
    }

    async fn collect(&mut self, run: &Run, mut inbox: mpsc::UnboundedReceiver<Outcome>) -> Result<(), Error> {
        while let Some(outcome) = inbox.recv().await {
            if let (Some(ledger), Ok(Answered::Accepted { rejected })) = (&mut self.ledger, &outcome.result) {
                ledger.write(Acknowledged { export: outcome.attempt.export, rejected: *rejected })?;
            }
            self.add(run, outcome);
        }
        Ok(())
    }

    fn add(&mut self, run: &Run, outcome: Outcome) {
        let spans = self.spans_per_export;
        let step = run.generator.schedule().level_of(outcome.attempt.export);
        let second = self.seconds.entry(outcome.attempt.counted_from.as_secs()).or_insert_with(|| Tally::new(2));
        for tally in [Some(&mut self.all), self.steps.get_mut(step), Some(second)].into_iter().flatten() {
            count(tally, &outcome, spans);
        }
        if let Err(why) | Ok(Answered::Refused(why) | Answered::Lost(why)) = outcome.result {
            count_reason(&mut self.reasons, why);
        }
    }

    fn report(self, run: &Run, cpu_before: Option<f64>) -> Report {
        let schedule = run.generator.schedule();
        let ended = run.now().min(schedule.end());
        let overdue = schedule.overdue(run.next.load(Ordering::SeqCst), ended);
        let step = |(number, tally): (usize, &Tally)| {
            let (begins, ends) = schedule.bounds(number);
            tally.row(begins.as_secs_f64(), (ends - begins).as_secs_f64())
        };
        Report {
            seconds: ended.as_secs_f64(),
            totals: self.all.totals,
            unsent: overdue * self.spans_per_export,
            latency_ms: self.all.latency(),
            steps: self.steps.iter().enumerate().map(step).collect(),
            per_second: self.seconds.iter().map(|(second, tally)| tally.row(*second as f64, 1.0)).collect(),
            cpu_seconds: cpu_seconds().zip(cpu_before).map(|(after, before)| after - before),
            reasons: self.reasons,
        }
    }
}

fn count(tally: &mut Tally, outcome: &Outcome, spans: u64) {
    let totals = &mut tally.totals;
    if outcome.attempt.refusals == 0 {
        totals.exports += 1;
        totals.sent += spans;
    }
    match &outcome.result {
        Ok(Answered::Accepted { rejected }) => {
            let accepted = spans.saturating_sub(*rejected);
            totals.accepted += accepted;
            totals.rejected += spans - accepted;
            if outcome.attempt.refusals > 0 {
                totals.refused_then_accepted += accepted;
            }
            tally.record(outcome.latency);
        }
        Ok(Answered::Refused(_)) => totals.refusals += 1,
        Ok(Answered::Lost(_)) => {
            totals.refusals += 1;
            totals.lost += spans;
        }
        Err(_) => totals.failed += spans,
    }
}
