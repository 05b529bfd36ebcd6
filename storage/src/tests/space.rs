//! A disk that is full: by a quota, of which `statvfs` knows nothing, or as it shows.

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

const LEAST: u64 = 256 << 20;

/// What the store says of a table whose rows are kept in the log.
fn hindered(store: &Store) -> Option<String> {
    store.stats().tables.into_iter().find_map(|table| table.hindered).map(|hindered| hindered.why)
}

async fn with_little_allowed(wal_bytes: u64) -> (World, Store) {
    let mut world = World::new(1, Bug::None);
    (world.settings.min_free_bytes, world.settings.wal_bytes) = (LEAST, wal_bytes);
    world.settings.retention_seconds = 7_200.0;
    let store = world.try_open().await.expect("opens");
    for id in 1..=8 {
        send_span(&store, id).await.expect("stored");
        store.flush().await.expect("flushed");
    }
    world.clock.advance(60 * SECOND);
    (world, store)
}

#[tokio::test]
async fn a_full_data_disk_stops_files_and_merges_while_a_log_on_its_own_disk_takes_exports() {
    let (world, store) = with_little_allowed(20 << 30).await;
    world.disks.set(LEAST - 1, Some(LEAST));
    assert_eq!(refusing(&store), None);
    for id in 9..=20 {
        send_span(&store, id).await.expect("the log has room");
    }
    let error = store.flush().await.expect_err("what is left is needed to make room");
    assert!(error.message.contains("the data disk has less than 256 MiB free"), "{error}");
    assert_eq!((refusing(&store), hindered(&store)), (None, Some(error.message)));
    store.tidy().await.expect("nothing is merged");
    assert_eq!((files(&store), ids(&store)), (8, (1..=20).collect()));

    // What is too old goes all the same.
    world.clock.advance(7_200 * SECOND);
    store.tidy().await.expect("expired");
    assert_eq!(files(&store), 0);

    world.disks.set(LEAST - 1, Some(LEAST - 1));
    let told = refusing(&store).expect("a reason");
    assert!(told.starts_with("the disk of the write-ahead log has 255 MiB free"), "{told}");
    assert_eq!(send_span(&store, 21).await.expect_err("refused").kind, Kind::Unavailable);

    world.disks.set(LEAST, Some(LEAST));
    assert_eq!(refusing(&store), None);
    assert!(!send_span(&store, 21).await.expect("stored"));
    store.flush().await.expect("written");
    assert_eq!((hindered(&store), ids(&store)), (None, (9..=21).collect()));
}

#[tokio::test]
async fn with_a_full_data_disk_exports_are_refused_when_the_log_is_as_large_as_it_may_be() {
    let (world, store) = with_little_allowed(6_000).await;
    world.disks.set(0, Some(LEAST));
    let mut id = 9;
    let error = loop {
        match send_span(&store, id).await {
            Ok(_) => id += 1,
            Err(error) => break error,
        }
    };
    assert!(id > 20 && matches!(error.kind, Kind::Overloaded { .. }), "{id}: {error}");
    assert!(refusing(&store).expect("a reason").contains("log is full"));
    world.disks.set(LEAST, Some(LEAST));
    store.flush().await.expect("written and trimmed");
    assert_eq!(refusing(&store), None);
    assert_eq!(ids(&store), (1..id).collect::<Vec<_>>());
}

#[tokio::test]
async fn with_one_disk_for_all_exports_and_merges_stop_and_rows_are_still_written() {
    let (world, store) = with_little_allowed(20 << 30).await;
    send_span(&store, 9).await.expect("stored");
    world.disks.set(LEAST - 1, None);
    let told = refusing(&store).expect("a reason");
    assert!(told.starts_with("the data disk has 255 MiB free"), "{told}");
    assert_eq!(send_span(&store, 10).await.expect_err("refused").kind, Kind::Unavailable);
    store.flush().await.expect("the log is emptied by it");
    store.tidy().await.expect("nothing is merged");
    assert_eq!((files(&store), refusing(&store)), (9, Some(told)));
    world.disks.set(LEAST, None);
    assert_eq!(refusing(&store), None);
    store.tidy().await.expect("merged");
    assert_eq!((files(&store), ids(&store)), (2, (1..=9).collect()));
}
