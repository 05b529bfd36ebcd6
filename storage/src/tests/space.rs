//! A disk that is full by a quota: `statvfs` shows free space all the while.

use wal::sim::{Errno, Op as DiskOp};

use super::*;
use crate::maintain::check_limits;
use crate::simulation::bug::Bug;
use crate::simulation::faulty::{Fault, Op};
use crate::simulation::world::World;

async fn begin() -> (World, Store) {
    let world = World::new(1, Bug::None);
    let store = world.try_open().await.expect("opens");
    (world, store)
}

fn refusing(store: &Store) -> Option<String> {
    check_limits(&store.shared);
    store.refusing()
}

async fn send_span(store: &Store, id: i64) -> Result<bool> {
    send(store, &format!("{id} {id} 0 a b 1 2"), store.shared.clock.now()).await
}

#[tokio::test]
async fn a_log_without_space_is_told_as_the_reason_until_it_takes_something() {
    let (world, store) = begin().await;
    send_span(&store, 1).await.expect("stored");
    world.disk.fail(DiskOp::Write, 1, Errno::Quota);
    let error = send_span(&store, 2).await.expect_err("there is no space");
    assert!(error.kind == Kind::Unavailable && error.message.contains("no space left"), "{error}");
    for _ in 0..2 {
        let told = refusing(&store).expect("a reason");
        assert!(told.contains("no space left while"), "{told}");
    }
    assert!(!send_span(&store, 2).await.expect("asked all the same, and stored"));
    assert_eq!(refusing(&store), None);
    assert_eq!(ids(&store), [1, 2]);
}

#[tokio::test]
async fn a_log_without_space_that_is_trimmed_is_the_reason_no_longer() {
    let (world, store) = begin().await;
    for id in 1..=40 {
        send_span(&store, id).await.expect("stored");
    }
    world.disk.fail(DiskOp::Write, 1, Errno::Quota);
    send_span(&store, 41).await.expect_err("there is no space");
    assert!(refusing(&store).is_some());
    store.flush().await.expect("written and trimmed");
    assert_eq!(refusing(&store), None);
}

/// Rows are in files, and the log may go. It was kept for good, since what was seen had to be written into it before.
#[tokio::test]
async fn a_log_without_space_is_trimmed_at_last() {
    let (world, store) = begin().await;
    let mut id = 1;
    world.disk.capacity(Some(6_000));
    while send_span(&store, id).await.is_ok() {
        id += 1;
    }
    let kept = store.stats().wal.bytes;
    store.flush().await.expect_err("what was seen has no space");
    assert_eq!(store.stats().wal.bytes, kept, "exports may come again, and have to be known also after a crash");
    world.clock.advance(16 * 60 * SECOND);
    store.flush().await.expect("trimmed");
    assert!(store.stats().wal.bytes < kept / 2);
    send_span(&store, id).await.expect("there is space again");
    assert_eq!(ids(&store), (1..=id).collect::<Vec<_>>());
}

#[tokio::test]
async fn rows_that_have_no_space_in_files_are_a_reason_to_refuse_until_they_are_written() {
    for op in [Op::Put, Op::Create] {
        let (world, store) = begin().await;
        send_span(&store, 1).await.expect("stored");
        world.objects.script(&[(op, Fault::Error)]);
        store.flush().await.expect_err("an error of another kind");
        assert_eq!(refusing(&store), None, "the log takes exports meanwhile");
        send_span(&store, 2).await.expect("stored");

        world.objects.script(&[(op, Fault::Full)]);
        store.flush().await.expect_err("no space");
        let told = refusing(&store).expect("a reason");
        assert!(told.starts_with("the data disk has no space left: ") && told.contains("tables/spans"), "{told}");
        let error = send_span(&store, 3).await.expect_err("refused");
        assert_eq!((error.kind, error.message.as_str()), (Kind::Unavailable, told.as_str()));

        store.flush().await.expect("there is space");
        assert_eq!(refusing(&store), None);
        assert!(!send_span(&store, 3).await.expect("stored"));
        assert_eq!(ids(&store), [1, 2, 3]);
    }
}
