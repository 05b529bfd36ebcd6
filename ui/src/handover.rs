//! Large answers on their way to clients: how much of them there may be at once, and how long one waits to be read.
//!
//! ```text
//! answer ─▶ room for it? ─▶ encoded ─▶ pieces ─▶ a channel of a few ─▶ the connection
//! ```
//! A finished answer belongs to no query any more, and a client that does not read it would keep it for ever.
//! *Invariant:* the room of an answer is given back when the last of it has been taken, when nobody has taken any for
//! [`STALL`], or after [`LONGEST`]; then the connection is broken, so that what arrived does not pass for the whole.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::Stream;
use model::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

/// Bytes of a piece. Each is a copy, so that those that wait in a connection do not keep the whole.
const PIECE: usize = 64 << 10;
/// Pieces that wait for the connection.
const AHEAD: usize = 2;
/// Longest that one waits to be taken.
const STALL: Duration = Duration::from_secs(30);
/// Longest that all of one takes, however steadily it is read.
const LONGEST: Duration = Duration::from_secs(300);
/// Longest that an answer waits for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers that wait for it.
const WAITING: usize = 2;
/// Smaller ones take no room, and wait for none.
const SMALL: usize = 1 << 20;

/// The room for answers.
#[derive(Clone)]
pub struct Handover {
    room: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// In KiB.
    all: u32,
}

/// The room of one answer.
pub struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Handover {
    pub fn new(bytes: usize) -> Self {
        let all = u32::try_from(bytes >> 10).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4);
        let (room, waiting) = (Semaphore::new(all as usize), Semaphore::new(WAITING));
        Handover { room: Arc::new(room), waiting: Arc::new(waiting), all }
    }

    /// Room for an answer of so many bytes, about; one that is larger than all room is let in alone. Errors: `Overloaded`
    /// when others, which their clients do not read, leave none.
    pub async fn room_for(&self, bytes: usize) -> Result<Room> {
        if bytes <= SMALL {
            return Ok(Room { _permit: None });
        }
        let wanted = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1).min(self.all);
        if let Ok(permit) = self.room.clone().try_acquire_many_owned(wanted) {
            return Ok(Room { _permit: Some(permit) });
        }
        // Who waits has an answer in memory as well.
        let Ok(_turn) = self.waiting.try_acquire() else { return Err(no_room()) };
        match timeout(PATIENCE, self.room.clone().acquire_many_owned(wanted)).await {
            Ok(Ok(permit)) => Ok(Room { _permit: Some(permit) }),
            _ => Err(no_room()),
        }
    }

    /// Hands an answer to a connection, piece by piece.
    pub fn body(&self, answer: Vec<u8>, room: Room) -> Body {
        if answer.len() <= SMALL {
            return Body::from(answer);
        }
        let (give, take) = mpsc::channel(AHEAD);
        let is_whole = Arc::new(AtomicBool::new(false));
        tokio::spawn(hand_over(answer, room, give, is_whole.clone()));
        Body::from_stream(taken(take, is_whole))
    }
}

fn no_room() -> Error {
    let why = "answers that their clients have not read yet leave no room for another";
    Error::overloaded(why.to_owned(), Duration::from_secs(5))
}

async fn hand_over(answer: Vec<u8>, room: Room, give: mpsc::Sender<Bytes>, is_whole: Arc<AtomicBool>) {
    let end = Instant::now() + LONGEST;
    for piece in answer.chunks(PIECE) {
        let patience = STALL.min(end.saturating_duration_since(Instant::now()));
        match timeout(patience, give.send(Bytes::copy_from_slice(piece))).await {
            Ok(Ok(())) => {}
            // The client is gone, or does not read.
            _ => return,
        }
    }
    is_whole.store(true, Ordering::Release);
    drop(room);
}

fn taken(take: mpsc::Receiver<Bytes>, is_whole: Arc<AtomicBool>) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::unfold(Some((take, is_whole)), |state| async {
        let (mut take, is_whole) = state?;
        match take.recv().await {
            Some(piece) => Some((Ok(piece), Some((take, is_whole)))),
            None if is_whole.load(Ordering::Acquire) => None,
            None => {
                let why = "the answer was not read in time";
                Some((Err(io::Error::new(io::ErrorKind::TimedOut, why)), None))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use model::Kind;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_arrives_whole_and_gives_its_room_back() {
        let handover = Handover::new(2 << 20);
        let answer: Vec<u8> = (0..1_700_000_u32).map(|n| n as u8).collect();
        for _ in 0..3 {
            let room = handover.room_for(answer.len()).await.expect("room");
            let body = handover.body(answer.clone(), room);
            assert_eq!(body.collect().await.expect("whole").to_bytes(), answer);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_nobody_reads_gives_its_room_back_and_is_never_taken_for_the_whole() {
        let handover = Handover::new(3 << 20);
        let room = handover.room_for(2 << 20).await.expect("room");
        let unread = handover.body(vec![7; 2 << 20], room);
        let large = || handover.room_for(2 << 20);
        let (a, b, c) = tokio::join!(large(), large(), large());
        let refused = [a, b, c].map(|refused| refused.err().expect("no room for 10 s, and two may wait").kind);
        assert!(refused.iter().all(|kind| matches!(kind, Kind::Overloaded { .. })), "{refused:?}");
        handover.room_for(SMALL).await.expect("small ones need none");
        tokio::time::sleep(STALL).await;
        large().await.expect("room again");
        unread.collect().await.expect_err("broken off");
    }

    #[tokio::test(start_paused = true)]
    async fn one_larger_than_all_room_is_let_in_alone() {
        let handover = Handover::new(3 << 20);
        let room = handover.room_for(50 << 20).await.expect("room");
        assert!(handover.room_for(2 << 20).await.is_err());
        drop(room);
        handover.room_for(2 << 20).await.expect("room");
    }
}
