//! The run: hands each export to a free place on a connection when it is due, and adds up what becomes of it.
//!
//! One task decides and counts; each export is made and sent by a task of its own. The number of places bounds what is
//! on its way. When none is free, exports wait as numbers, and their latency counts the wait.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::acknowledged::IdsFile;
use super::body::Bodies;
use super::generator::Generator;
use super::report::{Report, Row, count_reason, cpu_seconds};
use super::retry::{Attempt, RetryQueue, pause};
use super::schedule::Schedule;
use super::seconds::Seconds;
use super::send::{Answer, Sender};
use super::tally::{Fate, Latencies, Tally};
use super::{Error, Settings};

/// How much longer exports may be begun that are overdue when the schedule ends.
const OVERTIME: Duration = Duration::from_secs(2);

/// Sends until the schedule is over, then gives exports that wait to be sent again the rest of their patience. When
/// `shutdown` is called it tries those once more and ends.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<Report, Error> {
    settings.validate()?;
    let places = places(&settings)?;
    let mut summary = Summary::new(&settings)?;
    let cpu_at_first = cpu_seconds();
    let bodies = prepared(&settings).await?;
    summary.prepared = bodies.prepared();
    summary.cpu_prepare = cpu_seconds().zip(cpu_at_first).map(|(after, before)| after - before);
    summary.cpu_before = cpu_seconds();
    let (outcomes, inbox) = mpsc::unbounded_channel();
    let run = Run {
        retries: RetryQueue::new(if settings.retry { settings.retry_queue } else { 0 }),
        settings,
        began: Instant::now(),
        bodies: Arc::new(bodies),
        next: 0,
        places,
        on_their_way: 0,
        stopping: false,
        outcomes,
        summary,
    };
    run.until_done(inbox, shutdown).await
}

/// Every connection as often as exports may be on their way on it, each connection's first place first.
fn places(settings: &Settings) -> Result<VecDeque<Sender>, Error> {
    let connections = (0..settings.connections).map(|_| Sender::new(settings)).collect::<Result<Vec<_>, _>>()?;
    Ok((0..settings.places_per_connection()).flat_map(|_| connections.iter().cloned()).collect())
}

async fn prepared(settings: &Settings) -> Result<Bodies, Error> {
    let mut bodies = Bodies::new(Generator::new(settings, unix_now()), settings);
    let count = settings.prepare;
    let made = tokio::task::spawn_blocking(move || bodies.prepare(count).map(|()| bodies)).await;
    made.map_err(std::io::Error::other).and_then(|made| made).map_err(Error::Compression)
}

#[allow(clippy::disallowed_methods, reason = "this crate knows no model::Clock; its clock starts here, once")]
fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

struct Run {
    settings: Settings,
    began: Instant,
    bodies: Arc<Bodies>,
    /// The next export of the schedule.
    next: u64,
    retries: RetryQueue,
    /// Places that are free, the one that is free longest first.
    places: VecDeque<Sender>,
    on_their_way: usize,
    /// Whether it was asked to end.
    stopping: bool,
    outcomes: mpsc::UnboundedSender<Outcome>,
    summary: Summary,
}

/// What came of one attempt, and the place that it leaves.
struct Outcome {
    attempt: Attempt,
    begun: Duration,
    ended: Duration,
    answer: Result<Answer, std::io::Error>,
    place: Sender,
}

impl Run {
    async fn until_done(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Outcome>,
        shutdown: CancellationToken,
    ) -> Result<Report, Error> {
        loop {
            let mut now = self.began.elapsed();
            while !self.places.is_empty()
                && let Some(attempt) = self.next_attempt(now)
            {
                self.begin(attempt, now);
                now = self.began.elapsed();
            }
            self.close_seconds(now)?;
            if self.on_their_way == 0 && self.retries.is_empty() && self.next_scheduled(now).is_none() {
                return self.summary.report(self.bodies.generator.schedule(), now);
            }
            let wake = self.began + self.wake_at(now);
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !self.stopping => self.stopping = true,
                Some(outcome) = inbox.recv() => self.end(outcome)?,
                () = tokio::time::sleep_until(wake) => {}
            }
            while let Ok(outcome) = inbox.try_recv() {
                self.end(outcome)?;
            }
        }
    }

    fn schedule(&self) -> &Schedule {
        self.bodies.generator.schedule()
    }

    /// What to send by now: what waited to be sent again first, then the schedule.
    fn next_attempt(&mut self, now: Duration) -> Option<Attempt> {
        // Whoever is told to stop tries what is left once more and is done.
        let horizon = if self.stopping { Duration::MAX } else { now };
        if let Some(attempt) = self.retries.pop_due(horizon) {
            return Some(attempt);
        }
        let export = self.next_scheduled(now)?;
        let due = self.schedule().due(export);
        if due > now {
            return None;
        }
        self.next = export + 1;
        let counted_from = if self.schedule().is_flat_out(export) { now } else { due };
        Some(Attempt { export, counted_from, number: 1 })
    }

    /// The export of the schedule that comes next, unless no more are begun.
    fn next_scheduled(&self, now: Duration) -> Option<u64> {
        if self.stopping || now >= self.schedule().end() + OVERTIME {
            return None;
        }
        let export = self.schedule().skip_from(self.next, now);
        (export < self.schedule().exports()).then_some(export)
    }

    /// When to look again, if no answer comes before.
    fn wake_at(&self, now: Duration) -> Duration {
        const LOOK_AGAIN: Duration = Duration::from_millis(500);
        let later = now + LOOK_AGAIN;
        if self.places.is_empty() {
            return later;
        }
        let scheduled = self.next_scheduled(now).map_or(later, |export| self.schedule().due(export));
        scheduled.min(self.retries.next_due().unwrap_or(later)).min(later)
    }

    fn begin(&mut self, attempt: Attempt, now: Duration) {
        let Some(mut place) = self.places.pop_front() else { return };
        if attempt.number == 1 {
            self.summary.begin(self.bodies.generator.schedule(), attempt);
        }
        self.on_their_way += 1;
        let (bodies, outcomes, began) = (self.bodies.clone(), self.outcomes.clone(), self.began);
        let timeout = self.settings.timeout;
        tokio::spawn(async move {
            let mut buffers = bodies.take_buffers();
            let answer = match bodies.of(attempt.export, &mut buffers) {
                Ok(body) => Ok(tokio::time::timeout(timeout, place.send(body)).await.unwrap_or_else(|_| {
                    Answer::None { begun: true, why: format!("no answer within {} s", timeout.as_secs_f64()) }
                })),
                Err(error) => Err(error),
            };
            bodies.give_back(buffers);
            // Nobody listens any more only when the run has failed.
            let _ = outcomes.send(Outcome { attempt, begun: now, ended: began.elapsed(), answer, place });
        });
    }

    fn end(&mut self, outcome: Outcome) -> Result<(), Error> {
        let Outcome { attempt, begun, ended, answer, place } = outcome;
        self.places.push_back(place);
        self.on_their_way -= 1;
        let fate = match answer.map_err(Error::Compression)? {
            Answer::Accepted { rejected } => Fate::Accepted { rejected },
            Answer::Refused { pause: asked, why } => {
                self.summary.reason(why);
                let again = self.try_again(attempt, ended, asked);
                if again { Fate::Later } else { Fate::Refused }
            }
            Answer::None { begun: sent, why } => {
                self.summary.reason(why);
                let again = self.try_again(attempt, ended, None);
                match (again, sent) {
                    (true, true) => Fate::Uncertain,
                    (true, false) => Fate::Again,
                    (false, _) => Fate::Failed,
                }
            }
            Answer::Failed { why } => {
                self.summary.reason(why);
                Fate::Failed
            }
        };
        if attempt.number == 1 {
            self.summary.late.record(begun.saturating_sub(attempt.counted_from));
        }
        self.summary.add(&self.bodies.generator, attempt, ended, &fate)
    }

    fn try_again(&mut self, attempt: Attempt, now: Duration, asked: Option<Duration>) -> bool {
        let at = now + pause(asked, attempt.number);
        let too_late = at.saturating_sub(attempt.counted_from) > self.settings.patience;
        let next = Attempt { number: attempt.number + 1, ..attempt };
        !too_late && !self.stopping && self.retries.push(at, next)
    }

    fn close_seconds(&mut self, now: Duration) -> Result<(), Error> {
        // The next export's due time bounds what was begun, but in a flat-out level, which counts from the sending.
        let next = self.next_scheduled(now).filter(|export| !self.schedule().is_flat_out(*export));
        let begun = next.map_or(now, |export| self.schedule().due(export).min(now));
        self.summary.seconds.close(self.bodies.generator.schedule(), begun)
    }
}

/// Adds fates up.
struct Summary {
    spans_per_export: u64,
    all: Tally,
    steps: Vec<Tally>,
    seconds: Seconds,
    late: Latencies,
    reasons: BTreeMap<String, u64>,
    ids_file: Option<IdsFile>,
    prepared: u64,
    cpu_prepare: Option<f64>,
    cpu_before: Option<f64>,
}

impl Summary {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let spans_per_export = settings.export_spans() as u64;
        Ok(Summary {
            spans_per_export,
            all: Tally::new(3),
            steps: settings.levels().iter().map(|_| Tally::new(3)).collect(),
            seconds: Seconds::new(spans_per_export, settings.csv.as_deref())?,
            late: Latencies::new(3),
            reasons: BTreeMap::new(),
            ids_file: settings.ids_file.as_deref().map(IdsFile::open).transpose()?,
            prepared: 0,
            cpu_prepare: None,
            cpu_before: None,
        })
    }

    fn reason(&mut self, why: String) {
        count_reason(&mut self.reasons, why);
    }

    fn parts(&mut self, schedule: &Schedule, attempt: Attempt) -> impl Iterator<Item = &mut Tally> {
        let step = self.steps.get_mut(schedule.level_of(attempt.export));
        [Some(&mut self.all), step, Some(self.seconds.of(attempt.counted_from))].into_iter().flatten()
    }

    fn begin(&mut self, schedule: &Schedule, attempt: Attempt) {
        let spans = self.spans_per_export;
        for tally in self.parts(schedule, attempt) {
            tally.begin(spans);
        }
    }

    fn add(&mut self, generator: &Generator, attempt: Attempt, ended: Duration, fate: &Fate) -> Result<(), Error> {
        if let (Some(file), Fate::Accepted { rejected }) = (&mut self.ids_file, fate) {
            file.write(generator.layout(), attempt.export, *rejected)?;
        }
        let (spans, latency) = (self.spans_per_export, ended.saturating_sub(attempt.counted_from));
        for tally in self.parts(generator.schedule(), attempt) {
            tally.add(fate, attempt.number, latency, spans);
        }
        Ok(())
    }

    fn report(self, schedule: &Schedule, now: Duration) -> Result<Report, Error> {
        let ended = now.min(schedule.end());
        let cpu_seconds = cpu_seconds().zip(self.cpu_before).map(|(after, before)| after - before);
        let step = |(number, tally): (usize, &Tally)| {
            let (begins, ends) = schedule.bounds(number);
            let due = schedule.due_before(ends.min(ended)) - schedule.due_before(begins.min(ended));
            let asked = if schedule.is_flat_out_at(begins) { tally.totals.exports } else { due };
            Row::new(begins, ends - begins, asked * self.spans_per_export, tally)
        };
        let steps: Vec<Row> = self.steps.iter().enumerate().map(step).collect();
        let asked = steps.iter().map(|row| row.asked).sum();
        Ok(Report {
            seconds: ended.as_secs_f64(),
            asked,
            totals: self.all.totals,
            unsent: asked.saturating_sub(self.all.totals.sent),
            latency_ms: self.all.latency(),
            begun_late_ms: self.late.summary(),
            steps,
            per_second: self.seconds.close_all(schedule, ended)?,
            cpu_seconds,
            prepared: self.prepared,
            prepare_cpu_seconds: self.cpu_prepare,
            reasons: self.reasons,
        })
    }
}
