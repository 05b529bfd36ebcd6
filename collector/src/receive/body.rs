//! Reading a body under a size limit and a lowest rate.
//!
//! *Invariant:* what is buffered here never exceeds what the export's permit was charged with.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::admit::Permit;
use crate::answer::Refusal;
use crate::receive::too_large;

/// A body may be this late before its rate counts.
const GRACE: Duration = Duration::from_secs(10);

/// Slower bodies are cut, in bytes per second.
const MIN_RATE: u64 = 1024;

/// No body takes longer, whatever its rate: it holds room that others wait for.
const LONGEST: Duration = Duration::from_secs(60);

/// How long the rest of a refused body is read and thrown away.
const LINGER: Duration = Duration::from_secs(2);

/// Charged for a body of unknown length before its first byte.
pub(super) const FIRST_CHARGE: u64 = 64 << 10;

pub(super) struct Reader {
    body: Body,
    started: Instant,
    received: u64,
    /// Read but not handed out yet.
    held: Bytes,
}

impl Reader {
    pub fn new(body: Body) -> Self {
        Reader { body, started: Instant::now(), received: 0, held: Bytes::new() }
    }

    /// Bytes that came so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next bytes; None at the end. Never empty.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        if !self.held.is_empty() {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        loop {
            let due = (GRACE + Duration::from_secs(self.received / MIN_RATE)).min(LONGEST);
            match timeout_at(self.started + due, self.body.frame()).await {
                Err(_) => {
                    let (bytes, seconds) = (self.received, due.as_secs());
                    return Err(Refusal::body(format!("the body is too slow: {bytes} bytes in {seconds} s")));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Refusal::body(format!("the body broke off: {error}"))),
                Ok(Some(Ok(frame))) => {
                    // Trailers of a request mean nothing to OTLP.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.received += data.len() as u64;
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Exactly `count` bytes; None when the body ends before the first of them. The caller has charged for them.
    pub async fn exactly(&mut self, count: usize) -> Result<Option<Bytes>, Refusal> {
        if count == 0 {
            return Ok(Some(Bytes::new()));
        }
        let Some(mut first) = self.chunk().await? else { return Ok(None) };
        if first.len() >= count {
            self.held = first.split_off(count);
            return Ok(Some(first));
        }
        let mut all = BytesMut::with_capacity(count);
        all.extend_from_slice(&first);
        while all.len() < count {
            let Some(mut chunk) = self.chunk().await? else {
                return Err(model::Error::invalid(format!("the body ends after {} of {count} bytes", all.len())).into());
            };
            if chunk.len() > count - all.len() {
                self.held = chunk.split_off(count - all.len());
            }
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

/// What a body has been charged for so far, and how far that may grow.
pub(super) struct Charge<'a> {
    pub permit: &'a mut Permit,
    pub paid: u64,
    pub limit: u64,
}

impl Charge<'_> {
    async fn cover(&mut self, received: u64) -> Result<(), Refusal> {
        if received > self.limit {
            return Err(too_large(received, self.limit));
        }
        if received > self.paid {
            // At least doubled, so that a long body does not queue for each of its chunks.
            let wanted = received.max(self.paid * 2).min(self.limit);
            self.permit.grow(wanted - self.paid).await?;
            self.paid = wanted;
        }
        Ok(())
    }
}
