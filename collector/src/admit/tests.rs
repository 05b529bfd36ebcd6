//! Admission: room is charged, waited for and handed on fairly.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use proptest::prelude::*;

use super::*;

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("a tenant")
}

fn limited(limit: u64) -> Arc<Budget> {
    Arc::new(Budget::new(limit))
}

/// Of which newcomers may fill so many bytes, or one or two more.
fn budget(door: u64) -> Arc<Budget> {
    limited(door.div_ceil(3) * 4)
}

type Waiting = Pin<Box<dyn Future<Output = Result<Permit, NoRoom>> + Send>>;

/// Asks for room; the future has been polled once, so it is in the queue unless it was granted.
fn ask(budget: &Arc<Budget>, name: &str, bytes: u64) -> Waiting {
    bring(budget, name, bytes, 0)
}

/// The same with so many of the bytes in memory already.
fn bring(budget: &Arc<Budget>, name: &str, bytes: u64, brought: u64) -> Waiting {
    let (budget, tenant) = (budget.clone(), tenant(name));
    let mut waiting: Waiting = Box::pin(async move { budget.admit(&tenant, bytes, brought).await });
    match poll(&mut waiting) {
        None => waiting,
        Some(done) => Box::pin(std::future::ready(done)),
    }
}

fn poll(waiting: &mut Waiting) -> Option<Result<Permit, NoRoom>> {
    // A test is one task, of which Tokio would make more than a hundred futures wait although they are ready.
    match pin!(tokio::task::unconstrained(waiting)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_fits_is_granted_and_given_back() {
    let budget = budget(10_000);
    let permit = budget.admit(&tenant("a"), 5000, 0).await.expect("fits");
    assert_eq!(budget.used(), 5000 + OVERHEAD);
    let error = budget.admit(&tenant("a"), 5000, 0).await.expect_err("does not fit");
    assert_eq!(error, NoRoom::InTime { used: 5000 + OVERHEAD });
    drop(permit);
    assert_eq!((budget.used(), budget.waiting()), (0, 0));
    assert!(budget.state().shares.is_empty(), "tenants that hold nothing are forgotten");
}

#[tokio::test(start_paused = true)]
async fn freed_room_goes_to_the_tenant_that_holds_the_least() {
    let budget = budget(10 * (1000 + OVERHEAD));
    let mut held: Vec<_> =
        (0..10).map(|_| ask(&budget, "loud", 1000).now_or_never().expect("fits").expect("fits")).collect();
    let mut loud = ask(&budget, "loud", 1000);
    let mut quiet = ask(&budget, "quiet", 1000);
    held.pop();
    assert!(poll(&mut loud).is_none(), "it came first but holds more");
    let _quiet = poll(&mut quiet).expect("woken").expect("granted");
    held.pop();
    poll(&mut loud).expect("woken").expect("granted");
}

#[tokio::test(start_paused = true)]
async fn a_large_one_at_the_head_is_not_starved_by_small_ones() {
    let budget = budget(10_000);
    let half = budget.admit(&tenant("a"), 4000, 0).await.expect("fits");
    let mut large = ask(&budget, "b", 7000);
    let mut small = ask(&budget, "c", 100);
    assert!(poll(&mut small).is_none(), "it would fit, but the large one was there before");
    drop(half);
    let large = poll(&mut large).expect("woken").expect("granted");
    assert!(poll(&mut small).is_none());
    drop(large);
    poll(&mut small).expect("woken").expect("granted");
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_makes_way() {
    let budget = budget(10_000);
    let half = budget.admit(&tenant("a"), 4000, 0).await.expect("fits");
    let large = ask(&budget, "b", 7000);
    let mut small = ask(&budget, "c", 100);
    drop(large);
    poll(&mut small).expect("woken").expect("granted");
    drop(half);
    assert_eq!((budget.used(), budget.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_dropped_just_after_it_was_granted_gives_back() {
    let budget = budget(10_000);
    let half = budget.admit(&tenant("a"), 7000, 0).await.expect("fits");
    let waiting = ask(&budget, "b", 7000);
    drop(half);
    assert_eq!(budget.used(), 7000 + OVERHEAD, "granted, not yet told");
    drop(waiting);
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_grows_by_waiting_and_is_settled_without() {
    let budget = budget(20_000);
    let mut first = budget.admit(&tenant("a"), 4000, 0).await.expect("fits");
    let second = budget.admit(&tenant("a"), 8000, 0).await.expect("fits");
    first.grow(12_000).await.expect_err("does not fit");
    drop(second);
    first.grow(12_000).await.expect("fits");
    assert_eq!(budget.used(), 16_000 + OVERHEAD);
    first.settle(50_000);
    assert_eq!(budget.used(), 50_000 + OVERHEAD, "rows that are there already are counted, whatever the limit");
    first.settle(10);
    assert_eq!(budget.used(), 10 + OVERHEAD);
    drop(first);
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_export_of_the_whole_budget_is_admitted() {
    let budget = budget(10_000);
    budget.admit(&tenant("a"), 10_000, 0).await.expect("alone it fits");
}

/// A tenant's exports that wait, and how many of them have been told to go.
fn gone(waiting: &mut Vec<Waiting>) -> usize {
    let before = waiting.len();
    waiting.retain_mut(|one| match poll(one) {
        None => true,
        Some(told) => {
            assert_eq!(told.expect_err("no room"), NoRoom::ToWait { waiting: MAX_WAITING });
            false
        }
    });
    before - waiting.len()
}

#[tokio::test(start_paused = true)]
async fn every_tenant_has_its_share_of_the_places_to_wait() {
    let budget = budget(10_000);
    let held = budget.admit(&tenant("loud"), 10_000, 0).await.expect("alone it fits");
    let mut loud: Vec<_> = (0..MAX_WAITING + 100).map(|_| ask(&budget, "loud", 1000)).collect();
    assert_eq!(gone(&mut loud), 100, "those beyond the places");
    let mut quiet: Vec<_> = (0..MAX_WAITING).map(|_| ask(&budget, "quiet", 1000)).collect();
    assert_eq!((gone(&mut quiet), gone(&mut loud)), (MAX_WAITING / 2, MAX_WAITING / 2), "each has half of them");
    let mut third = vec![ask(&budget, "third", 1000)];
    assert_eq!((gone(&mut third), gone(&mut quiet) + gone(&mut loud)), (0, 1));
    assert_eq!(budget.waiting(), MAX_WAITING);
    drop((held, loud, quiet, third));
    assert_eq!((budget.used(), budget.waiting()), (0, 0));
    assert!(budget.state().shares.is_empty());
}

/// Names cost nothing where nobody asks for tokens: what they cost us is bounded.
#[tokio::test(start_paused = true)]
async fn tenants_that_are_made_up_take_no_more_than_the_places() {
    let budget = budget(10_000);
    let held = budget.admit(&tenant("a"), 10_000, 0).await.expect("alone it fits");
    let mut made_up: Vec<_> = (0..2 * MAX_WAITING).map(|at| ask(&budget, &format!("made-up-{at}"), 1000)).collect();
    assert_eq!(gone(&mut made_up), MAX_WAITING);
    assert_eq!(budget.waiting(), MAX_WAITING);
    drop((held, made_up));
    assert!(budget.state().shares.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_given_away_costs_no_bytes() {
    let budget = budget(10_000);
    let held = budget.admit(&tenant("loud"), 10_000, 0).await.expect("alone it fits");
    let mut loud: Vec<_> = (0..MAX_WAITING).map(|_| ask(&budget, "loud", 1000)).collect();
    let mut quiet = ask(&budget, "quiet", 1000);
    // Told to go, and dropped before it heard.
    loud.pop();
    drop(held);
    let quiet = poll(&mut quiet).expect("woken").expect("granted");
    drop((loud, quiet));
    assert_eq!((budget.used(), budget.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_fits_does_not_wait_for_the_large_one_of_a_tenant_that_holds_more() {
    let budget = budget(10_000);
    let _held = budget.admit(&tenant("loud"), 4000, 0).await.expect("fits");
    let mut large = ask(&budget, "loud", 7000);
    let mut quiet = ask(&budget, "quiet", 100);
    poll(&mut quiet).expect("at once").expect("granted");
    assert!(poll(&mut large).is_none());
}

#[tokio::test(start_paused = true)]
async fn those_inside_go_before_newcomers_who_came_first() {
    let budget = limited(100_000);
    let mut first = budget.admit(&tenant("a"), 30_000, 0).await.expect("fits");
    let mut second = budget.admit(&tenant("a"), 30_000, 0).await.expect("fits");
    let mut newcomer = ask(&budget, "quiet", 20_000);
    assert!(poll(&mut newcomer).is_none(), "three quarters are for newcomers");
    first.settle(60_000);
    // More than the whole is in use: the second has to wait until its rows may be made.
    second.settle(60_000);
    let mut third = Box::pin(second.within_limit());
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    third.as_mut().now_or_never().expect("woken").expect("the limit is kept again");
    assert!(poll(&mut newcomer).is_none(), "60,000 are in use, and 15,000 free at the door");
    drop(third);
    drop(second);
    poll(&mut newcomer).expect("woken").expect("granted");
}

#[tokio::test(start_paused = true)]
async fn the_last_quarter_is_kept_for_those_inside() {
    let budget = limited(100_000);
    let mut held = Vec::new();
    while let Some(admitted) = ask(&budget, "a", 10_000).now_or_never() {
        held.push(admitted.expect("fits"));
    }
    assert_eq!(held.len(), 6, "as many as fit into 75,000");
    held[0].grow(20_000).now_or_never().expect("at once").expect("it is inside");
    assert_eq!(budget.used(), 6 * (10_000 + OVERHEAD) + 20_000);
}

/// A gRPC message comes with its length: what waits has bytes in memory, of which there may be an eighth of the limit.
#[tokio::test(start_paused = true)]
async fn what_waits_at_the_door_holds_a_bounded_number_of_bytes() {
    let budget = limited(80_000);
    let held = budget.admit(&tenant("loud"), 58_000 - OVERHEAD, 0).await.expect("fits");
    let bring = |name: &str, brought: u64| bring(&budget, name, 5000, brought);
    let mut loud: Vec<_> = (0..3).map(|_| bring("loud", 4000)).collect();
    assert_eq!(loud.iter_mut().filter_map(poll).count(), 1, "two have 8,000 of the 10,000");
    assert_eq!(budget.waiting(), 2);
    let mut quiet = bring("quiet", 3000);
    assert!(poll(&mut quiet).is_none(), "a tenant below its share is let in");
    assert_eq!(budget.waiting(), 2, "one of the loud has gone for it");
    drop((held, loud, quiet));
    let held = budget.admit(&tenant("loud"), 58_000 - OVERHEAD, 0).await.expect("fits");
    let mut alone = bring("loud", 60_000);
    assert!(poll(&mut alone).is_none(), "one may wait, whatever it brought");
    drop((held, alone));
    assert_eq!((budget.used(), budget.waiting()), (0, 0));
    assert!(budget.state().shares.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Ask(usize, u64),
    Drop(usize),
    Settle(usize, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3usize, 0..6000u64).prop_map(|(tenant, bytes)| Step::Ask(tenant, bytes)),
        (0..20usize).prop_map(Step::Drop),
        (0..20usize, 0..9000u64).prop_map(|(at, bytes)| Step::Settle(at, bytes)),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// However permits come and go: what is used is what is held, and nothing that fits is left waiting.
    #[test]
    fn bytes_are_neither_lost_nor_made_up(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let _guard = runtime.enter();
        let budget = budget(20_000);
        let (mut held, mut waiting): (Vec<Permit>, Vec<Waiting>) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Ask(tenant, bytes) => waiting.push(ask(&budget, ["a", "b", "c"][tenant], bytes)),
                Step::Drop(at) if !held.is_empty() => drop(held.swap_remove(at % held.len())),
                Step::Drop(at) if !waiting.is_empty() => drop(waiting.swap_remove(at % waiting.len())),
                Step::Settle(at, bytes) if !held.is_empty() => {
                    let at = at % held.len();
                    held[at].settle(bytes);
                }
                Step::Drop(_) | Step::Settle(..) => {}
            }
            let mut still = Vec::new();
            for mut one in waiting {
                match poll(&mut one) {
                    Some(done) => held.push(done.expect("time stands still")),
                    None => still.push(one),
                }
            }
            waiting = still;
            prop_assert_eq!(budget.used(), held.iter().map(|permit| permit.bytes).sum::<u64>());
            prop_assert_eq!(budget.waiting(), waiting.len());
            prop_assert!(!held.is_empty() || waiting.is_empty(), "all is free and still one waits");
        }
        drop((held, waiting));
        prop_assert_eq!(budget.used(), 0);
        prop_assert!(budget.state().shares.is_empty());
    }
}
