//! What questions of about the same moment share of the rows in memory.

use super::*;
use crate::packed::Packed;
use crate::{Snapshot, TableSnapshot};

const QUIET: Nanos = 10 * SECOND;

/// The rows in memory as a question of now sees them, while it is being answered.
struct Asked {
    rows: Vec<Packed>,
    _snapshot: Snapshot,
}

fn asked(bench: &Bench) -> Asked {
    let snapshot = bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    let memory = snapshot.table(Signal::Traces).assembled_memory(snapshot.taken - QUIET);
    Asked { rows: memory.into_iter().map(|part| part.rows).collect(), _snapshot: snapshot }
}

fn assembles_sooner(bench: &Bench) -> bool {
    let snapshot = bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    snapshot.table(Signal::Traces).assembles_sooner(snapshot.taken - QUIET)
}

/// The self time of each row; nothing before its trace is assembled.
fn self_times(asked: &Asked) -> Vec<Option<i64>> {
    let of = |rows: &Packed| {
        let rows = rows.select(&[column::SELF_TIME]).expect("unpacks");
        rows.column(0).as_primitive::<Int64Type>().clone()
    };
    asked.rows.iter().flat_map(|rows| of(rows).iter().collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn questions_of_the_same_second_share_what_was_assembled() {
    let bench = Bench::new().await;
    bench.send("1 10 0 shop buy 100 400").await.expect("stored");
    bench.clock.advance(QUIET + SECOND);
    let first = asked(&bench);
    assert_eq!(self_times(&first), [Some(300)]);

    // Half a second later another trace is there: not assembled, and the first one is the one of before.
    bench.clock.advance(SECOND / 2);
    bench.send("2 20 0 shop buy 500 700").await.expect("stored");
    let second = asked(&bench);
    assert_eq!(self_times(&second), [Some(300), None]);
    assert!(first.rows[0].is_same(&second.rows[0]));
    assert_eq!(first.rows[0].number(), second.rows[0].number());

    // Its trace is quiet: assembled, and the first one is still shared.
    bench.clock.advance(QUIET + SECOND);
    let third = asked(&bench);
    assert_eq!(self_times(&third), [Some(300), Some(200)]);
    assert!(first.rows[0].is_same(&third.rows[0]));
}

#[tokio::test]
async fn a_span_that_comes_later_changes_what_was_shared() {
    let bench = Bench::new().await;
    bench.send("1 10 0 shop buy 100 400").await.expect("stored");
    bench.clock.advance(QUIET + SECOND);
    let before = asked(&bench);
    bench.send("1 11 10 stock take 150 250").await.expect("stored");
    bench.clock.advance(QUIET + SECOND);
    let after = asked(&bench);
    // The parent waited 100 for the child; who asked before keeps what they saw.
    assert_eq!(self_times(&after), [Some(200), Some(100)]);
    assert_eq!(self_times(&before), [Some(300)]);
    assert_ne!(before.rows[0].number(), after.rows[0].number(), "what was summed up of them is no longer true");
}

#[tokio::test]
async fn rows_can_be_left_out_by_their_numbers() {
    let bench = Bench::new().await;
    for trace in 1..=3 {
        bench.send(&format!("{trace} {trace}0 0 shop buy {trace}00 400")).await.expect("stored");
    }
    bench.clock.advance(QUIET + SECOND);
    let snapshot = bench.store.snapshot(&Tenant::default()).expect("a snapshot");
    let (table, quiet) = (snapshot.table(Signal::Traces), snapshot.taken - QUIET);
    let all = table.assembled_memory(quiet);
    let left = table.without_rows(quiet, &[all[1].rows.number(), u64::MAX].into());
    let kept =
        |table: &TableSnapshot| table.assembled_memory(quiet).iter().map(|part| part.rows.number()).collect::<Vec<_>>();
    assert_eq!(kept(&left), [all[0].rows.number(), all[2].rows.number()]);
    assert_eq!((left.batches(), left.rows_in_memory(), left.memory().len()), (2, 2, 2));
    assert_eq!(left.memory().iter().map(|part| part.times.0).collect::<Vec<_>>(), [100, 300]);
    assert_eq!(kept(table).len(), 3, "the snapshot itself has all of them");
}

#[tokio::test]
async fn rows_that_were_joined_meanwhile_are_assembled_again_at_once() {
    let bench = Bench::new().await;
    for trace in 1..=200 {
        bench.send(&format!("{trace} {trace} 0 shop buy 100 400")).await.expect("stored");
    }
    bench.clock.advance(QUIET + SECOND);
    let before = asked(&bench);
    assert_eq!(before.rows.len(), 200, "more small exports may come, so nothing is joined yet");
    // One that stands alone ends the run of small ones.
    let large: Vec<String> = (1_001..=1_300).map(|trace| format!("{trace} {trace} 0 shop buy 100 400")).collect();
    bench.send(&large.join("\n")).await.expect("stored");
    join_small(&bench.store);
    let after = asked(&bench);
    assert_eq!(after.rows.len(), 2);
    assert_eq!(self_times(&before), vec![Some(300); 200]);
    assert_eq!(self_times(&after)[..200], self_times(&before));
    assert_eq!(self_times(&after)[200..], vec![None; 300]);
}

#[tokio::test]
async fn what_is_shared_counts_as_memory_while_it_is_used() {
    let bench = Bench::new().await;
    bench.send("1 10 0 shop buy 100 400\n1 11 10 stock take 150 250").await.expect("stored");
    let used = || bench.store.shared.memory.used();
    let alone = used();
    bench.clock.advance(QUIET + SECOND);
    let one = asked(&bench);
    // Two rows, each with four numbers of 8 bytes at least.
    let with_one = used();
    assert!(with_one >= alone + 2 * 4 * 8, "{with_one} after {alone}");
    let another = asked(&bench);
    assert_eq!(used(), with_one, "a second question takes no more");
    drop((one, another));
    assert_eq!(used(), alone);
}

#[tokio::test]
async fn a_trace_that_became_quiet_is_assembled_although_nothing_else_happened() {
    let bench = Bench::new().await;
    bench.send("1 10 0 shop buy 100 400").await.expect("stored");
    assert_eq!(self_times(&asked(&bench)), [None]);
    bench.clock.advance(QUIET + SECOND);
    assert_eq!(self_times(&asked(&bench)), [Some(300)]);
}

/// By hand: the shop's span alone has 300; below the gateway it has all of its own, and the gateway the 100 before it.
#[tokio::test]
async fn a_trace_that_looks_whole_is_assembled_soon_and_corrected_by_what_comes_later() {
    let bench = Bench::new().await;
    bench.send("1 10 0 shop buy 100 400").await.expect("stored");
    // Of another trace the root has not come.
    bench.send("2 21 20 shop buy 100 400").await.expect("stored");
    bench.clock.advance(2 * SECOND);
    let soon = asked(&bench);
    assert_eq!(self_times(&soon), [Some(300), None], "the first looks whole");

    bench.send("2 20 0 gateway GET 0 400\n1 11 10 stock take 150 250").await.expect("stored");
    let at_once = asked(&bench);
    assert_eq!(self_times(&at_once), [Some(300), None, None, None], "what is new waits");
    bench.clock.advance(2 * SECOND);
    let corrected = asked(&bench);
    assert_eq!(self_times(&corrected), [Some(200), Some(300), Some(100), Some(100)]);
    assert_eq!(self_times(&soon), [Some(300), None], "who asked before keeps what they saw");
}

/// The kinds are all SERVER here: what a service has others do is learned of any kind.
#[tokio::test]
async fn a_span_whose_answer_usually_comes_waits_for_it() {
    let bench = Bench::new().await;
    for trace in 1..=5 {
        bench
            .send(&format!("{trace} {trace}0 0 shop buy 0 100\n{trace} {trace}1 {trace}0 stock take 20 60"))
            .await
            .expect("stored");
    }
    bench.clock.advance(2 * SECOND);
    assert_eq!(self_times(&asked(&bench)), [Some(60), Some(40)].repeat(5));
    bench.send("6 60 0 shop buy 0 100").await.expect("stored");
    bench.clock.advance(2 * SECOND);
    assert_eq!(self_times(&asked(&bench))[10..], [None], "the stock usually does something for it");
    bench.clock.advance(QUIET);
    assert_eq!(self_times(&asked(&bench))[10..], [Some(100)], "nothing came for so long");
}

/// At such a rate assembling the same seconds again each second would take the cores from those who ask.
#[tokio::test]
async fn where_many_rows_are_young_a_trace_that_looks_whole_waits_as_others_do() {
    let bench = Bench::new().await;
    bench.send("1 10 0 shop buy 100 400").await.expect("stored");
    let many: Vec<String> = (0..50_000).map(|n| format!("2 {} 1 shop buy 100 400", 100 + n)).collect();
    for lines in many.chunks(5_000) {
        bench.send(&lines.join("\n")).await.expect("stored");
    }
    bench.clock.advance(2 * SECOND);
    assert_eq!(self_times(&asked(&bench))[0], None, "50,001 rows");
    assert!(!assembles_sooner(&bench));
    bench.clock.advance(QUIET);
    assert_eq!(self_times(&asked(&bench))[0], Some(300));
    assert!(assembles_sooner(&bench), "none of them is young any more");
}
