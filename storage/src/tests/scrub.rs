//! Files that a disk has lost or changed are found before anybody asks for them.

use model::time::HOUR;
use object_store::ObjectStoreExt;

use super::*;
use crate::simulation::bug::Bug;
use crate::simulation::world::World;

/// A week and some hours, in the steps of a store that has something else to do most of the time.
async fn a_week(world: &World, store: &Store) -> Vec<String> {
    for _ in 0..7 * 24 + 8 {
        world.clock.advance(HOUR);
        store.maintenance.scrub_once().await;
    }
    store.stats().damage
}

#[tokio::test]
async fn within_a_week_each_damaged_file_is_named_and_no_other() {
    let world = World::new(1, Bug::None);
    let store = world.try_open().await.expect("opens");
    for id in 1..=6 {
        send(&store, &format!("{id} {id} 0 a b 1 2"), world.clock.now()).await.expect("stored");
        store.flush().await.expect("flushed");
    }
    assert_eq!(a_week(&world, &store).await, Vec::<String>::new());

    let snapshot = store.snapshot(&Tenant::default()).expect("a snapshot");
    let mut paths: Vec<String> = snapshot.table(Signal::Traces).files.iter().map(|file| file.path.clone()).collect();
    paths.sort();
    let objects = world.objects.objects();
    let read =
        async |path: &str| objects.get(&path.into()).await.expect("there").bytes().await.expect("bytes").to_vec();
    let mut changed = read(&paths[0]).await;
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let mut longer = read(&paths[1]).await;
    longer.push(0);
    objects.put(&paths[0].as_str().into(), changed.into()).await.expect("written");
    objects.put(&paths[1].as_str().into(), longer.into()).await.expect("written");
    objects.delete(&paths[2].as_str().into()).await.expect("deleted");
    for _ in 0..2 {
        let mut told = a_week(&world, &store).await;
        told.sort();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().zip(&paths).all(|(text, path)| text.starts_with(path.as_str())), "{told:?}");
    }
}
