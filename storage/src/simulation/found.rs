//! What the simulation found, as scripts of their own: a seed says something else as soon as the simulation changes.

use model::time::{MINUTE, SECOND};
use model::{Clock, Signal, Tenant};

use super::bug::Bug;
use super::faulty::{Fault, Op};
use super::world::{World, join_small};
use crate::tests::{ids, send};
use crate::{Source, Store};

/// A store without faults of its own accord.
async fn begin() -> (World, Store) {
    let world = World::new(1, Bug::None);
    let store = world.try_open().await.expect("opens");
    (world, store)
}

async fn reopened(world: &World, store: Store) -> Store {
    drop(store);
    world.try_open().await.expect("opens again")
}

/// Seeds 4, 13, 28 and 38 others of the first 200: the commit landed, its answer was lost, and the log could not be read
/// either. The next flush took the same rows and a few more.
#[tokio::test]
async fn a_commit_in_doubt_is_looked_for_before_its_rows_are_written_again() {
    let (world, store) = begin().await;
    send(&store, "1 11 0 a b 0 1", world.clock.now()).await.expect("stored");
    world.objects.script(&[(Op::Create, Fault::LostAnswer), (Op::List, Fault::Error)]);
    store.flush().await.expect_err("nobody knows what became of it");
    assert_eq!(ids(&store), [11]);
    send(&store, "2 21 0 a b 0 1", world.clock.now()).await.expect("stored");
    join_small(&store);
    world.objects.script(&[(Op::List, Fault::Error)]);
    store.flush().await.expect_err("the log cannot be read yet");
    assert_eq!(ids(&store), [11, 21]);
    store.flush().await.expect("written");
    assert_eq!(ids(&store), [11, 21]);
    assert_eq!(ids(&reopened(&world, store).await), [11, 21]);
}

/// Seeds 15, 30 and 109: the same, but the retry had the same rows, now assembled, and so the same name for other bytes.
#[tokio::test]
async fn a_file_that_is_committed_is_not_written_again_with_other_bytes() {
    let (world, store) = begin().await;
    send(&store, "1 12 11 shop read 10 60", world.clock.now()).await.expect("stored");
    world.objects.script(&[(Op::Create, Fault::OwnEarlierPut), (Op::List, Fault::Error)]);
    store.flush().await.expect_err("nobody knows what became of it");
    world.clock.advance(20 * SECOND);
    store.flush().await.expect("it was there");
    assert_eq!(ids(&store), [12]);
    let snapshot = store.snapshot(&Tenant::default()).expect("a snapshot");
    let (mut checker, objects) = (super::checker::Checker::default(), world.objects.objects());
    checker.rows_of(&snapshot, &objects).await.expect("the bytes are those that were committed");
}

/// A commit is done when its put is: what follows it may fail.
#[tokio::test]
async fn a_commit_whose_checkpoint_fails_is_done_all_the_same() {
    let (world, store) = begin().await;
    let mut expected = Vec::new();
    for id in 1..=12 {
        send(&store, &format!("{id} {id} 0 a b 0 1"), world.clock.now()).await.expect("stored");
        expected.push(id);
        // Every second put is a data file; a checkpoint is tried after it, at some of these.
        let version = store.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Traces).version;
        if version.is_some_and(|v| (v + 1).is_multiple_of(5)) {
            world.objects.script(&[(Op::Delete, Fault::Error), (Op::List, Fault::Error)]);
        }
        store.flush().await.expect("written");
        assert_eq!(ids(&store), expected);
    }
    assert_eq!(ids(&reopened(&world, store).await), expected);
}

/// Seeds 23, 75, 90 and 130: half a checkpoint kept a store from starting.
#[tokio::test]
async fn a_torn_checkpoint_is_left_out() {
    let (world, store) = begin().await;
    let mut expected = Vec::new();
    for id in 1..=7 {
        send(&store, &format!("{id} {id} 0 a b 0 1"), world.clock.now()).await.expect("stored");
        expected.push(id);
        store.flush().await.expect("written");
    }
    let objects = world.objects.objects();
    let path = object_store::path::Path::from("tables/spans/_delta_log/00000000000000000005.checkpoint.parquet");
    use object_store::ObjectStoreExt;
    let whole = objects.get(&path).await.expect("it is there").bytes().await.expect("bytes");
    objects.put(&path, whole.slice(..whole.len() / 2).into()).await.expect("torn");
    let store = reopened(&world, store).await;
    assert_eq!(ids(&store), expected);
}

/// Seeds 2 and 3: with two tenants the search for late spans had no end.
#[tokio::test]
async fn late_spans_of_two_tenants_are_looked_for_once() {
    let (world, store) = begin().await;
    for tenant in world.tenants.clone() {
        for (id, parent) in [(12, 11), (13, 12)] {
            world.send_as(&store, &tenant, &format!("1 {id} {parent} shop read 10 60")).await.expect("stored");
            world.clock.advance(20 * SECOND);
            store.flush().await.expect("flushed");
        }
    }
    world.clock.advance(5 * MINUTE);
    store.tidy().await.expect("it ends");
    store.tidy().await.expect("it ends again");
    assert_eq!(ids(&store), [12, 13]);
}
