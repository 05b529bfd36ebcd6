//! A wall clock that jumps beside a steady one: what is stored stays until its time is really over.

use model::time::{HOUR, MINUTE};

use super::*;

/// A store, both of its clocks, and its folder.
struct Two {
    wall: Arc<ManualClock>,
    steady: Arc<ManualClock>,
    folder: tempfile::TempDir,
    store: Store,
}

impl Two {
    /// With files that were merged a moment ago, so that removed ones lie in the folder too.
    async fn new() -> Self {
        let (wall, steady) = (Arc::new(ManualClock::at(NOON)), Arc::new(ManualClock::at(5)));
        let folder = tempfile::tempdir().expect("a folder");
        let store = open_by(folder.path(), &wall, &steady, settings()).await.expect("opens");
        let two = Two { wall, steady, folder, store };
        for id in 1..=8 {
            two.send(id).await;
        }
        two.pass(MINUTE).await;
        assert_eq!((files(&two.store), two.on_disk()), (1, 9));
        two
    }

    /// A span, in a file.
    async fn send(&self, id: i64) {
        send(&self.store, &format!("{id} {id} 0 a b {id} {}", id + 1), self.wall.now()).await.expect("stored");
        self.store.flush().await.expect("flushed");
    }

    /// Both clocks go on by so much, and the store is tidied.
    async fn pass(&self, time: Nanos) {
        self.wall.advance(time);
        self.steady.advance(time);
        self.store.tidy().await.expect("tidied");
    }

    /// As every half minute of an hour and more would be, in larger steps.
    async fn pass_in_steps(&self, steps: i64) {
        for _ in 0..steps {
            self.pass(5 * MINUTE).await;
        }
    }

    fn jump(&self, by: Nanos) {
        self.wall.advance(by);
    }

    async fn reopened(self, rest: Nanos, jump: Nanos) -> Self {
        let Two { wall, steady, folder, store } = self;
        store.close().await.expect("closed");
        drop(store);
        wall.advance(rest + jump);
        // That of another process: it begins anywhere.
        steady.set(7);
        let store = open_by(folder.path(), &wall, &steady, settings()).await.expect("opens again");
        Two { wall, steady, folder, store }
    }

    fn version(&self) -> Option<u64> {
        self.store.shared.tables(&Tenant::default()).of(Signal::Traces).version()
    }

    fn on_disk(&self) -> usize {
        let folders = std::fs::read_dir(self.folder.path().join("tables/spans")).expect("there");
        let days = folders.map(|day| day.expect("a day").path()).filter(|day| !day.ends_with("_delta_log"));
        let names = days.flat_map(|day| std::fs::read_dir(day).expect("readable"));
        names.filter(|name| name.as_ref().expect("a name").path().extension().is_some_and(|e| e == "parquet")).count()
    }

    fn doubt(&self) -> Option<String> {
        self.store.stats().retention_waits
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_8_days_ahead_for_a_minute_deletes_nothing() {
    let two = Two::new().await;
    let version = two.version();
    two.jump(8 * DAY);
    two.pass(30 * SECOND).await;
    assert!(two.doubt().expect("a reason").contains("jumped forward by 691200 s"), "{:?}", two.doubt());
    two.pass(30 * SECOND).await;
    two.jump(-8 * DAY);
    two.pass(30 * SECOND).await;
    assert_eq!((two.version(), two.on_disk(), two.doubt()), (version, 9, None), "not even what was removed before");
    assert_eq!(ids(&two.store), (1..=8).collect::<Vec<_>>());
    two.pass_in_steps(3).await;
    assert_eq!((two.version(), two.on_disk()), (version, 1), "readers of the removed ones had their time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_that_stays_is_believed_after_an_hour() {
    let two = Two::new().await;
    two.jump(8 * DAY);
    two.pass_in_steps(12).await;
    assert_eq!((files(&two.store), two.on_disk()), (1, 9));
    two.send(9).await;
    two.pass_in_steps(1).await;
    assert_eq!((ids(&two.store), two.doubt()), (vec![9], None), "what came since is young");
    assert!(two.on_disk() > 9, "readers have their time");
    two.pass_in_steps(3).await;
    assert_eq!(two.on_disk(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_two_weeks_of_rest_an_hour_passes_before_anything_goes() {
    let two = Two::new().await.reopened(14 * DAY, 0).await;
    assert!(two.doubt().expect("a reason").contains("most of what is stored"));
    two.pass_in_steps(11).await;
    two.send(9).await;
    assert_eq!(ids(&two.store), (1..=9).collect::<Vec<_>>());
    two.pass_in_steps(1).await;
    assert_eq!((ids(&two.store), two.doubt()), (vec![9], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_opened_by_a_clock_that_is_ahead_loses_nothing_when_it_is_corrected() {
    let two = Two::new().await.reopened(HOUR, 8 * DAY).await;
    // Exports by the wrong clock make the rest no more plausible, nor does another start.
    two.send(9).await;
    two.pass_in_steps(2).await;
    let two = two.reopened(MINUTE, 0).await;
    two.pass_in_steps(2).await;
    two.jump(-8 * DAY);
    two.pass_in_steps(1).await;
    assert_eq!((ids(&two.store), two.doubt()), ((1..=9).collect(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_used_every_day_is_tidied_at_once() {
    let mut two = Two::new().await;
    for day in 1..=8 {
        two = two.reopened(DAY, 0).await;
        two.send(8 + day).await;
        two.pass(SECOND).await;
        assert_eq!(two.doubt(), None);
    }
    assert_eq!(ids(&two.store), (10..=16).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_back_deletes_nothing_and_brings_nothing_back() {
    let two = Two::new().await;
    two.pass(6 * DAY).await;
    two.send(9).await;
    two.pass(DAY).await;
    assert_eq!(ids(&two.store), [9], "of the rest the time was over");
    two.jump(-30 * DAY);
    two.pass_in_steps(30).await;
    assert_eq!((ids(&two.store), two.doubt()), (vec![9], None));
    two.jump(30 * DAY);
    two.pass_in_steps(30).await;
    assert_eq!((ids(&two.store), two.doubt()), (vec![9], None));
    two.pass(6 * DAY).await;
    assert_eq!(files(&two.store), 0);
}
