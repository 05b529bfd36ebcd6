//! Copies of an export that come while the first one is under way, or after it.

use futures::FutureExt;

use super::*;
use crate::dedup::{self, Fate, Verdict};

/// So many rows that packing them takes a thread.
fn large(clock: &ManualClock) -> Batch {
    let lines: Vec<String> = (1..=5_000).map(|id| format!("{id} {id} 0 a b 1 2")).collect();
    let payload = Payload {
        tenant: Tenant::default(),
        signal: Signal::Traces,
        format: Format::Protobuf,
        encoding: Encoding::Identity,
        received: clock.now(),
        body: lines.join("\n").into(),
    };
    let Decoded { rows, hash, .. } = LineDecoder.decode(&payload).expect("decodes");
    Batch { payload, rows, hash }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_wait_for_the_first_one_keep_no_rows() {
    let bench = Bench::new().await;
    let batch = large(&bench.clock);
    let (key, received) = (dedup::key(&batch.payload, batch.hash), batch.payload.received);
    let Verdict::First(fate) = bench.store.shared.window().admit(key) else { panic!("the first") };
    let rows: Vec<_> = batch.rows.columns().iter().map(Arc::downgrade).collect();
    let mut copy = bench.store.append(batch);
    assert!((&mut copy).now_or_never().is_none(), "it waits");
    assert!(rows.iter().all(|column| column.upgrade().is_none()));
    bench.store.shared.window().stored(crate::record::Seen { received, key });
    fate.send(Fate::Stored).expect("it waits");
    assert!(copy.await.expect("known").duplicate);
}
