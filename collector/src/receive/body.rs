//! Reading a body under a size limit and a lowest rate.
//!
//! *Invariants:* what is buffered here never exceeds what the export's permit was charged with. A body that promises
//! much and sends little holds little, and nothing while others wait.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep_until};

use crate::admit::{Budget, Permit};
use crate::answer::Refusal;
use crate::receive::too_large;

/// A body may be this late before its rate counts.
const GRACE: Duration = Duration::from_secs(10);

/// Slower bodies are cut, in bytes per second.
const MIN_RATE: u64 = 1024;

/// No body takes longer, whatever its rate: it holds room that others wait for.
const LONGEST: Duration = Duration::from_secs(60);

/// While others wait for room, a body that was slower than this for a second gives up its own.
const PRESSED_RATE: u64 = 64 << 10;
const PRESSED_GRACE: Duration = Duration::from_secs(1);

/// How long the rest of a refused body is read and thrown away.
const LINGER: Duration = Duration::from_secs(2);

/// Charged for a body of unknown length before its first byte.
const FIRST_CHARGE: u64 = 64 << 10;

/// Charged, at most, for a body of known length before its first byte: enough for nearly every export.
const DECLARED_CHARGE: u64 = 256 << 10;

/// What to charge for a body before its first byte.
pub(super) fn first_charge(declared: Option<u64>, limit: u64) -> u64 {
    declared.map_or(FIRST_CHARGE, |length| length.min(DECLARED_CHARGE)).min(limit)
}

pub(super) struct Reader {
    body: Body,
    budget: Arc<Budget>,
    started: Instant,
    received: u64,
    /// Since when, and from how many bytes on, it was too slow for others to wait; moves on while it is not.
    slow_since: (Instant, u64),
    /// Read but not handed out yet.
    held: Bytes,
}

impl Reader {
    pub fn new(body: Body, budget: Arc<Budget>) -> Self {
        let started = Instant::now();
        Reader { body, budget, started, received: 0, slow_since: (started, 0), held: Bytes::new() }
    }

    /// Bytes that came so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that came behind what was asked for and wait in memory.
    pub fn held(&self) -> u64 {
        self.held.len() as u64
    }

    /// The next bytes; None at the end. Never empty.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        if !self.held.is_empty() {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        loop {
            let due = (GRACE + Duration::from_secs(self.received / MIN_RATE)).min(LONGEST);
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = self.budget.pressed() => {
                    if self.is_slow() {
                        let bytes = self.received;
                        return Err(Refusal::body(format!("others wait, and the body is slow: {bytes} bytes so far")));
                    }
                    continue;
                }
                () = sleep_until(self.started + due) => {
                    let (bytes, seconds) = (self.received, due.as_secs());
                    return Err(Refusal::body(format!("the body is too slow: {bytes} bytes in {seconds} s")));
                }
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Refusal::body(format!("the body broke off: {error}"))),
                // Trailers of a request mean nothing to OTLP.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.received += data.len() as u64;
                        if !self.is_slow() && self.slow_since.0.elapsed() >= PRESSED_GRACE {
                            self.slow_since = (Instant::now(), self.received);
                        }
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Whether it has been slower than others may expect for long enough.
    fn is_slow(&self) -> bool {
        let (since, from) = self.slow_since;
        let elapsed = since.elapsed();
        elapsed >= PRESSED_GRACE && ((self.received - from) as f64) < PRESSED_RATE as f64 * elapsed.as_secs_f64()
    }

    /// Exactly `N` bytes, for which nothing is charged; None when the body ends before the first of them.
    pub async fn prefix<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Refusal> {
        let mut prefix = [0; N];
        let mut filled = 0;
        while filled < N {
            let Some(mut chunk) = self.chunk().await? else {
                return if filled == 0 { Ok(None) } else { Err(ends_after(filled, N)) };
            };
            let taken = chunk.split_to(chunk.len().min(N - filled));
            prefix[filled..filled + taken.len()].copy_from_slice(&taken);
            filled += taken.len();
            self.held = chunk;
        }
        Ok(Some(prefix))
    }

    /// Exactly `count` bytes; `charge` covers every byte before it is kept. None when the body ends before the first
    /// of them.
    pub async fn exactly(&mut self, count: usize, mut charge: Charge<'_>) -> Result<Option<Bytes>, Refusal> {
        if count == 0 {
            return Ok(Some(Bytes::new()));
        }
        let Some(mut first) = self.chunk().await? else { return Ok(None) };
        if first.len() >= count {
            self.held = first.split_off(count);
            return Ok(Some(first));
        }
        let mut all = BytesMut::with_capacity(usize::try_from(charge.paid).unwrap_or(0));
        all.extend_from_slice(&first);
        while all.len() < count {
            let Some(mut chunk) = self.chunk().await? else { return Err(ends_after(all.len(), count)) };
            if chunk.len() > count - all.len() {
                self.held = chunk.split_off(count - all.len());
            }
            charge.cover((all.len() + chunk.len()) as u64).await?;
            all.extend_from_slice(&chunk);
        }
        Ok(Some(all.freeze()))
    }

    /// Whether nothing follows.
    pub async fn is_at_end(&mut self) -> Result<bool, Refusal> {
        match self.chunk().await? {
            None => Ok(true),
            Some(rest) => {
                self.held = rest;
                Ok(false)
            }
        }
    }

    /// Reads on without keeping anything, so that the client gets to reading its answer.
    pub fn discard_rest(mut self, limit: u64) {
        let end = self.received.saturating_add(limit);
        let discarding = async move { while self.received < end && matches!(self.chunk().await, Ok(Some(_))) {} };
        tokio::spawn(tokio::time::timeout(LINGER, discarding));
    }

    /// The whole body; `charge` covers every byte before it is kept.
    pub async fn whole(&mut self, mut charge: Charge<'_>) -> Result<Bytes, Refusal> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        charge.cover(self.received).await?;
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut all = BytesMut::with_capacity(usize::try_from(charge.paid).unwrap_or(0));
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            charge.cover(self.received).await?;
            all.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(all.freeze())
    }
}

fn ends_after(received: usize, count: usize) -> Refusal {
    model::Error::invalid(format!("the body ends after {received} of {count} bytes")).into()
}

/// What a body has been charged for so far, and how far that may grow.
pub(super) struct Charge<'a> {
    pub permit: &'a mut Permit,
    pub paid: u64,
    /// What the body is declared to have, else the limit.
    pub most: u64,
    pub limit: u64,
}

impl Charge<'_> {
    async fn cover(&mut self, received: u64) -> Result<(), Refusal> {
        if received > self.limit {
            return Err(too_large(received, self.limit));
        }
        if received > self.paid {
            // At least doubled, so that a long body does not queue for each of its chunks.
            let wanted = (self.paid * 2).min(self.most).max(received);
            self.permit.grow(wanted - self.paid).await?;
            self.paid = wanted;
        }
        Ok(())
    }
}
