//! What a replay holds follows the budget of memory, not the number of records in the log.

use super::*;
use crate::flush::Reason;
use crate::simulation::bug::Bug;
use crate::simulation::world::World;

/// Exports of each table, and rows of each.
const EACH: i64 = 5_000;
const ROWS: i64 = 10;

async fn send_to(store: &Store, signal: Signal, number: i64) {
    let ids = (number - 1) * ROWS + 1..=number * ROWS;
    let payload = Payload {
        tenant: Tenant::default(),
        signal,
        format: Format::Protobuf,
        encoding: Encoding::Identity,
        received: NOON,
        body: ids.map(|id| format!("{id} {id} 0 a b {id} {}\n", id + 1)).collect::<String>().into(),
    };
    let Decoded { rows, hash, .. } = LineDecoder.decode(&payload).expect("decodes");
    store.append(Batch { payload, rows, hash }).await.expect("stored");
}

fn pieces(store: &Store) -> usize {
    store.shared.all_tables().iter().map(|(_, table)| table.pieces()).sum()
}

fn logs_of(store: &Store) -> u64 {
    store.snapshot(&Tenant::default()).expect("a snapshot").table(Signal::Logs).rows()
}

#[tokio::test]
async fn many_small_records_become_few_pieces_of_which_some_can_be_written_alone() {
    let mut world = World::new(1, Bug::None);
    world.settings.memory_bytes = 8 << 20;
    let store = world.try_open().await.expect("opens");
    for number in 1..=EACH {
        send_to(&store, Signal::Traces, number).await;
        send_to(&store, Signal::Logs, number).await;
    }
    assert_eq!(pieces(&store) as i64, 2 * EACH, "nobody joins them in this store");
    drop(store);

    let store = world.try_open().await.expect("opens again");
    let stats = store.stats();
    assert!((10..EACH / 20).contains(&(pieces(&store) as i64)), "{} pieces", pieces(&store));
    assert!(stats.memory_bytes <= 8 << 20, "{stats:?}");
    let (all, rows): (Vec<i64>, u64) = ((1..=EACH * ROWS).collect(), (EACH * ROWS) as u64);
    assert_eq!((ids(&store), logs_of(&store)), (all.clone(), rows));
    let counted = |signal| store.ledger().of(signal).since_creation().stored;
    assert_eq!((counted(Signal::Traces), counted(Signal::Logs)), (rows, rows));

    // A part of them is written, not all because each piece overlaps with one of the other table.
    let pieces_before = pieces(&store);
    assert!(store.maintenance.flush_once(Reason::Pressure).await.expect("written"));
    let left = pieces(&store);
    assert!(0 < left && left < pieces_before, "{left} of {pieces_before} pieces are left");
    store.flush().await.expect("flushed");
    assert_eq!((pieces(&store), ids(&store), logs_of(&store)), (0, all, rows));
}
