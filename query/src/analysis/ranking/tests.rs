//! Shops with a known fault, and shops without one.

pub(super) mod shop;

use model::trace::SpanKind::{Client, Server};

use super::*;
use shop::{ITEM, MS, ORDER, Shop, operation};

fn compared(window: &Shop, facts: &FactBook) -> Ranking {
    rank(&window.observe(2), Some(&Shop::healthy().observe(1)), facts, &Settings::default())
}

fn found(window: &Shop) -> Ranking {
    compared(window, &FactBook::new())
}

#[track_caller]
fn assert_first(ranking: &Ranking, service: &str, operation: &str, category: Category) {
    let list: Vec<_> =
        ranking.hotspots.iter().map(|h| (&h.service, &h.operation, h.category, h.change_ns_per_request)).collect();
    let first = ranking.hotspots.first().expect("has hot spots");
    assert_eq!(
        (first.service.as_str(), first.operation.as_str(), first.category),
        (service, operation, category),
        "{list:?}"
    );
}

#[test]
fn a_slow_database_is_named_with_its_figures() {
    let window = Shop::healthy().with("UPDATE stock", Client, |s| s.mean = 45.0 * MS);
    let ranking = found(&window);
    assert_eq!(ranking.verdict, Verdict::Bottleneck);
    assert_first(&ranking, "inventory", "UPDATE stock", Category::Database);
    let first = &ranking.hotspots[0];
    // Half of the requests are orders, each 40 ms slower; all take 14 ms on average besides the database's 45 ms.
    let change = first.change_ns_per_request.expect("compared") as f64;
    assert!((change / (20.0 * MS) - 1.0).abs() < 0.1, "{change}");
    assert!((first.critical_path_ns_per_request as f64 / (22.5 * MS) - 1.0).abs() < 0.1);
    assert!((first.share_of_latency - 22.5 / (22.5 + 7.75 + 3.75)).abs() < 0.05, "{}", first.share_of_latency);
    assert!(first.confidence.expect("compared") >= 0.99);
    assert_eq!((first.rank, first.span_kind, first.peer.as_deref()), (1, "CLIENT", Some("inventory-db")));
    assert_eq!(first.callers, [Place { service: "gateway".into(), operation: ORDER.into() }]);
    assert!(ranking.worse.iter().all(|change| change.entry.operation == ORDER && change.window > change.baseline));
}

#[test]
fn nothing_but_more_load_is_no_significant_change() {
    let ranking = found(&Shop::healthy().at_load(5.0));
    assert_eq!((ranking.verdict, ranking.worse.len()), (Verdict::NoSignificantChange, 0));
    assert_first(&ranking, "gateway", "POST /charge", Category::External);
}

#[test]
fn a_change_of_mix_moves_nothing() {
    let mut window = Shop::healthy();
    window.rates = vec![(ORDER, 50.0), (ITEM, 10.0)];
    let ranking = found(&window);
    assert_eq!(ranking.verdict, Verdict::NoSignificantChange);
    for spot in &ranking.hotspots {
        let (change, all) = (spot.change_ns_per_request.expect("compared"), spot.critical_path_ns_per_request);
        assert!(change.abs() as f64 <= 0.1 * all as f64 + 0.1 * MS, "{} moved by {change}", spot.operation);
    }
}

#[test]
fn equal_windows_raise_no_alarm() {
    let alarms = (0..200).filter(|&seed| {
        let (before, after) = (Shop::healthy().observe(2 * seed), Shop::healthy().observe(2 * seed + 1));
        let settings = Settings { seed, resamples: 200, ..Settings::default() };
        rank(&after, Some(&before), &FactBook::new(), &settings).verdict != Verdict::NoSignificantChange
    });
    assert!(alarms.count() <= 2);
}

#[test]
fn noisy_and_rare_requests_raise_no_alarm() {
    let alarms = (0..200).filter(|&seed| {
        let mut shop = Shop::healthy().with("POST /charge", Client, |s| s.swings = 8.0);
        shop.rates = vec![(ORDER, 3.0), (ITEM, 1.0)];
        let settings = Settings { seed, resamples: 200, ..Settings::default() };
        let (before, after) = (shop.observe(2 * seed), shop.observe(2 * seed + 1));
        let verdict = rank(&after, Some(&before), &FactBook::new(), &settings).verdict;
        matches!(verdict, Verdict::Bottleneck | Verdict::BehaviourChanged)
    });
    assert!(alarms.count() <= 2);
}

/// Some seconds after a step, when three orders a second take much longer: that nothing changed is not what can be said.
#[test]
fn a_rise_that_so_few_requests_do_not_prove_is_not_called_none() {
    for seed in 0..40 {
        let mut before = Shop::healthy().with("POST /charge", Client, |s| s.swings = 8.0);
        before.rates = vec![(ORDER, 3.0), (ITEM, 30.0)];
        let mut after = before.clone().with("UPDATE stock", Client, |s| (s.mean, s.swings) = (60.0 * MS, 3.0));
        after.bins = 5;
        let settings = Settings { seed, resamples: 200, ..Settings::default() };
        let (before, after) = (before.observe(2 * seed), after.observe(2 * seed + 1));
        let ranking = rank(&after, Some(&before), &FactBook::new(), &settings);
        assert_ne!(ranking.verdict, Verdict::NoSignificantChange, "{seed}");
        assert!(!ranking.hotspots.is_empty(), "{seed}");
    }
}

/// A shop of which so many orders and items a second were looked at for as long, and the same where `share` of charges fail.
fn failing(orders: f64, bins: u32, before: f64, share: f64, seed: u64) -> Ranking {
    let shop = |fails| {
        let mut shop = Shop::healthy();
        if fails > 0.0 {
            shop = shop.with("POST /charge", Client, |s| s.fails = fails);
        }
        shop.rates = vec![(ORDER, orders), (ITEM, 5.0)];
        shop
    };
    let (before, after) = (Shop { bins: 120, ..shop(before) }, Shop { bins, ..shop(share) });
    let settings = Settings { seed, resamples: 200, ..Settings::default() };
    rank(&after.observe(2 * seed), Some(&before.observe(2 * seed + 1)), &FactBook::new(), &settings)
}

/// A tenth of so few orders: whoever asks is told that it may be so, and how many would tell.
#[test]
fn errors_that_so_few_requests_do_not_prove_are_not_called_none() {
    let mut told = 0;
    for seed in 0..40 {
        let ranking = failing(2.0, 12, 0.0, 0.1, seed);
        let errors = ranking.needed.as_ref().and_then(|needed| needed.seems.as_ref());
        match ranking.verdict {
            Verdict::NotEnoughData => {
                let change = errors.expect("it says of what");
                if change.measure == Measure::ErrorRate {
                    told += 1;
                    assert!(change.window > change.baseline && change.entry.operation == ORDER, "{change:?}");
                }
                let needed = ranking.needed.as_ref().expect("it says how many");
                assert!((13..2_000).contains(&needed.requests), "{needed:?}");
            }
            // Proven all the same, or none of them failed.
            Verdict::BehaviourChanged | Verdict::NoSignificantChange => assert!(ranking.needed.is_none()),
            Verdict::Bottleneck => panic!("{seed}: nothing is slower"),
        }
    }
    assert!(told >= 15, "{told} of 40");
    // With as many as are said to be needed it is proven.
    let proven = (0..40).filter(|&seed| failing(20.0, 40, 0.0, 0.1, seed).verdict == Verdict::BehaviourChanged);
    assert!(proven.count() >= 38);
}

/// One in a hundred fails before and after: among many requests that is no rise, and never an alarm.
#[test]
fn errors_that_were_there_before_raise_no_alarm() {
    let verdicts: Vec<Verdict> = (0..100).map(|seed| failing(40.0, 60, 0.01, 0.01, seed).verdict).collect();
    let of = |wanted: Verdict| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    assert!(of(Verdict::NoSignificantChange) >= 97, "{verdicts:?}");
    assert_eq!(of(Verdict::Bottleneck) + of(Verdict::BehaviourChanged), 0, "{verdicts:?}");
}

/// Three seconds are one block of the bootstrap, of which nothing is known of chance.
#[test]
fn seconds_that_say_nothing_of_chance_raise_no_alarm() {
    for seed in 0..40 {
        let mut shop = Shop::healthy().with("POST /charge", Client, |s| s.swings = 8.0);
        (shop.rates, shop.bins) = (vec![(ORDER, 10.0)], 3);
        let settings = Settings { seed, resamples: 200, ..Settings::default() };
        let (before, after) = (shop.observe(2 * seed), shop.observe(2 * seed + 1));
        let ranking = rank(&after, Some(&before), &FactBook::new(), &settings);
        assert!(!matches!(ranking.verdict, Verdict::Bottleneck | Verdict::BehaviourChanged), "{seed}: {ranking:?}");
        assert!(ranking.hotspots.iter().all(|spot| spot.interval_ns.is_none()), "{seed}: no interval is known");
    }
}

/// Four orders beside many items: that all of them take ten times as long, or fail, is not "nothing changed".
#[test]
fn entries_of_a_handful_of_requests_are_undecided_when_they_seem_worse() {
    let shop = |orders: f64, bins| {
        let mut shop = Shop::healthy();
        shop.rates = vec![(ORDER, orders), (ITEM, 30.0)];
        Shop { bins, ..shop }
    };
    let ranked =
        |after: Shop| rank(&after.observe(2), Some(&shop(2.0, 60).observe(1)), &FactBook::new(), &Settings::default());
    let slow = ranked(shop(1.0, 4).with("UPDATE stock", Client, |s| s.mean = 500.0 * MS));
    assert_eq!(slow.verdict, Verdict::NotEnoughData);
    let needed = slow.needed.as_ref().expect("it says how many");
    assert_eq!((needed.requests, needed.baseline_requests), (12, 120));
    let text = slow.needed_text().expect("in words");
    assert!(text.en.starts_with("requests of \"POST /order\" of gateway seem to take longer ("), "{}", text.en);
    assert!(text.en.ends_with("about 12 in the window and 120 in the baseline would tell"), "{}", text.en);
    assert!(text.zh.contains("窗口内约需 12 个，基线内约需 120 个"), "{}", text.zh);
    let failed = ranked(shop(1.0, 4).with("POST /charge", Client, |s| s.fails = 1.0));
    assert_eq!(failed.verdict, Verdict::NotEnoughData);
    let seems = failed.needed.and_then(|needed| needed.seems).expect("of orders");
    assert_eq!((seems.measure, seems.baseline, seems.window), (Measure::ErrorRate, 0.0, 1.0));
    let same = ranked(shop(1.0, 4));
    assert_eq!((same.verdict, same.needed), (Verdict::NoSignificantChange, None));
}

/// Of 3,600 orders so many are charged, for this long.
fn seldom_charged(orders: f64, mean_ms: f64) -> Shop {
    let calls = orders / 3_600.0;
    let shop = Shop::healthy().with("POST /charge", Client, |s| (s.calls, s.mean) = (calls, mean_ms * MS));
    Shop { bins: 120, ..shop }
}

#[test]
fn an_operation_that_holds_up_the_few_requests_that_reach_it_is_named() {
    let of = |before: f64, after: f64| {
        rank(
            &seldom_charged(36.0, after).observe(2),
            Some(&seldom_charged(36.0, before).observe(1)),
            &FactBook::new(),
            &Settings::default(),
        )
    };
    let ranking = of(10.0, 60.0);
    assert_eq!(ranking.verdict, Verdict::Bottleneck);
    assert_first(&ranking, "gateway", "POST /charge", Category::External);
    let [worse] = &ranking.worse[..] else {
        panic!("an order takes 11 ms, on average half of one more: {:?}", ranking.worse)
    };
    assert_eq!((worse.entry.operation.as_str(), worse.measure), ("POST /charge", Measure::Mean));
    assert!((worse.baseline / (10.0 * MS) - 1.0).abs() < 0.4, "{}", worse.baseline);
    assert!((worse.window / (60.0 * MS) - 1.0).abs() < 0.4, "{}", worse.window);
    // It took long before: more by a fifth of an order's 11 ms, but not of its own time.
    assert_eq!(of(60.0, 66.0).verdict, Verdict::NoSignificantChange);
}

#[test]
fn operations_that_few_requests_reach_raise_no_alarm_by_chance() {
    for orders in [7.0, 36.0] {
        let shop = seldom_charged(orders, 40.0);
        let alarms = (0..200).filter(|&seed| {
            let (before, after) = (shop.observe(2 * seed), shop.observe(2 * seed + 1));
            let settings = Settings { seed, resamples: 200, ..Settings::default() };
            rank(&after, Some(&before), &FactBook::new(), &settings).verdict != Verdict::NoSignificantChange
        });
        assert!(alarms.count() <= 2, "of 200, with about {orders} calls");
    }
}

#[test]
fn faster_failures_are_a_change_of_behaviour() {
    let window = Shop::healthy().with("POST /charge", Client, |s| (s.fails, s.mean) = (0.3, 4.0 * MS));
    let ranking = found(&window);
    assert_eq!(ranking.verdict, Verdict::BehaviourChanged);
    assert_first(&ranking, "gateway", "POST /charge", Category::Error);
    let first = &ranking.hotspots[0];
    assert_eq!(first.peer.as_deref(), Some("bank"));
    assert!(first.explanation.en.contains("to bank fails in"), "{}", first.explanation.en);
}

/// Two orders a second among 300 items: a hundred-and-fiftieth of the requests, of which this share fails.
fn seldom_ordered(share: f64, seed: u64) -> Ranking {
    let shop = |fails: f64| {
        let mut shop = Shop::healthy();
        if fails > 0.0 {
            shop = shop.with("POST /charge", Client, |s| s.fails = fails);
        }
        shop.rates = vec![(ORDER, 2.0), (ITEM, 300.0)];
        Shop { bins: 550, ..shop }
    };
    let settings = Settings { seed, resamples: 200, ..Settings::default() };
    rank(&shop(share).observe(2 * seed), Some(&shop(0.002).observe(2 * seed + 1)), &FactBook::new(), &settings)
}

#[test]
fn a_seldom_entry_that_fails_is_named() {
    for share in [1.0, 0.2] {
        let ranking = seldom_ordered(share, 1);
        assert_eq!(ranking.verdict, Verdict::BehaviourChanged, "{share}");
        assert_first(&ranking, "gateway", "POST /charge", Category::Error);
        let of_entry = |change: &&EntryChange| change.measure == Measure::ErrorRate && change.entry.operation == ORDER;
        let change = ranking.worse.iter().find(of_entry).expect("of the entry");
        assert!((change.window - share).abs() < 0.05 && change.baseline < 0.01, "{change:?}");
    }
    for seed in 0..5 {
        assert_eq!(seldom_ordered(0.002, seed).verdict, Verdict::NoSignificantChange, "{seed}");
    }
}

#[test]
fn failures_are_followed_down_to_where_they_began() {
    let window = Shop::healthy().with("SELECT stock", Client, |s| s.fails = 0.2);
    let ranking = found(&window);
    assert_eq!(ranking.verdict, Verdict::BehaviourChanged);
    assert_first(&ranking, "inventory", "SELECT stock", Category::Error);
    assert_eq!(ranking.hotspots.len(), 1, "those above only pass it on");
}

#[test]
fn calls_that_vanish_are_a_change_of_behaviour() {
    let window = Shop::healthy().with("POST /stock", Client, |s| s.calls = 0.4);
    let ranking = found(&window);
    assert_eq!(ranking.verdict, Verdict::BehaviourChanged);
    assert_first(&ranking, "gateway", ORDER, Category::Structure);
    assert_eq!(ranking.hotspots.len(), 1, "what is below the vanished call is not listed");
    assert!(ranking.hotspots[0].explanation.en.contains("\"POST /stock\""));
}

#[test]
fn one_slow_instance_is_named() {
    let window = Shop::healthy().with("GET /stock", Server, |s| s.first_instance = 8.0);
    let ranking = found(&window);
    assert_first(&ranking, "inventory", "GET /stock", Category::Instance);
    assert_eq!(ranking.hotspots[0].instance.as_deref(), Some("inventory-0"));
    // All three slower: none is named.
    let all = found(&Shop::healthy().with("GET /stock", Server, |s| s.mean *= 5.0));
    assert_first(&all, "inventory", "GET /stock", Category::Own);
    assert_eq!(all.hotspots[0].instance, None);
    // All three wait longer, one of them most: what they wait for is the same.
    let most = found(&Shop::healthy().with("GET /stock", Server, |s| (s.mean, s.first_instance) = (2.5 * s.mean, 8.0)));
    assert_first(&most, "inventory", "GET /stock", Category::Own);
    assert_eq!(most.hotspots[0].instance, None);
}

#[test]
fn one_slow_instance_stands_out_without_a_baseline() {
    let window = Shop::healthy().with("GET /stock", Server, |s| s.first_instance = 8.0);
    let ranking = rank(&window.observe(3), None, &FactBook::new(), &Settings::default());
    let named: Vec<_> =
        ranking.hotspots.iter().filter_map(|h| Some((h.operation.as_str(), h.instance.as_deref()?))).collect();
    assert_eq!(named, [("GET /stock", "inventory-0")]);
}

#[test]
fn without_a_baseline_the_ranking_is_by_share_and_says_so() {
    let window = Shop::healthy().with("UPDATE stock", Client, |s| s.mean = 45.0 * MS);
    let ranking = rank(&window.observe(1), None, &FactBook::new(), &Settings::default());
    assert_eq!((ranking.verdict, ranking.baseline_requests), (Verdict::NotEnoughData, None));
    assert_first(&ranking, "inventory", "UPDATE stock", Category::Database);
    assert!(ranking.hotspots.iter().all(|h| h.change_ns_per_request.is_none() && h.confidence.is_none()));
    let shares: Vec<f64> = ranking.hotspots.iter().map(|h| h.share_of_latency).collect();
    assert!(shares.windows(2).all(|w| w[0] >= w[1]));
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-6);
}

#[test]
fn too_few_requests_are_not_judged() {
    let mut few = Shop::healthy().with("UPDATE stock", Client, |s| s.mean = 500.0 * MS);
    few.bins = 1;
    few.rates = vec![(ORDER, 6.0)];
    assert_eq!(found(&few).verdict, Verdict::NotEnoughData);
    let nothing = rank(&Observed::default(), Some(&Observed::default()), &FactBook::new(), &Settings::default());
    assert_eq!((nothing.verdict, nothing.hotspots.len()), (Verdict::NotEnoughData, 0));
    let text = nothing.needed_text().expect("there is a baseline, which is empty");
    assert!(text.en.contains("at least 12 requests"), "{}", text.en);
}

#[test]
fn an_entry_that_is_new_is_not_a_change() {
    let mut before = Shop::healthy();
    before.rates = vec![(ITEM, 60.0)];
    let ranking = rank(&Shop::healthy().observe(2), Some(&before.observe(1)), &FactBook::new(), &Settings::default());
    assert_eq!(ranking.verdict, Verdict::NoSignificantChange);
    assert_first(&ranking, "gateway", "POST /charge", Category::External);
}

/// Calls wait before inventory serves them, more in one second and less in the next, since more come.
fn queueing(shop: Shop, wait_ms: f64) -> Shop {
    let wait = |s: &mut shop::Step| (s.mean, s.swings) = (wait_ms * MS / 2.0, 3.0);
    shop.with("POST /stock", Client, wait).with("GET /stock", Client, wait)
}

#[test]
fn a_wait_before_a_busy_service_is_put_down_to_that_service() {
    let ranking = found(&queueing(Shop::healthy().at_load(5.0), 30.0));
    assert_eq!(ranking.verdict, Verdict::Bottleneck);
    let first = &ranking.hotspots[0];
    assert_eq!((first.service.as_str(), first.span_kind, first.category), ("inventory", "SERVER", Category::Queue));
    assert_eq!((first.evidence.service.as_str(), first.evidence.kind), ("gateway", Client));
    assert!(first.explanation.en.contains("requests of gateway queue before inventory"), "{}", first.explanation.en);
}

#[test]
fn a_delay_that_is_the_same_for_all_at_the_same_load_is_the_network() {
    let delay = |s: &mut shop::Step| s.delay = 20.0 * MS;
    let window = Shop::healthy().with("POST /stock", Client, delay).with("GET /stock", Client, delay);
    let ranking = found(&window);
    let first = &ranking.hotspots[0];
    assert_eq!((first.service.as_str(), first.category), ("inventory", Category::Network));
}

#[test]
fn a_queue_ranks_below_what_keeps_its_workers_busy() {
    // The database is five times as slow, so inventory's workers are held longer and calls queue for 100 ms.
    let slow = |s: &mut shop::Step| s.mean *= 5.0;
    let window = queueing(Shop::healthy(), 100.0).with("UPDATE stock", Client, slow).with("SELECT stock", Client, slow);
    let ranking = found(&window);
    assert_first(&ranking, "inventory", "UPDATE stock", Category::Database);
    // The queue has no rank of its own: it stands under what causes it.
    let victims: Vec<_> = ranking.hotspots[0].victims.iter().map(|place| place.service.as_str()).collect();
    assert!(victims.contains(&"inventory"), "{victims:?}");
    assert!(ranking.hotspots.iter().all(|h| h.category != Category::Queue));
    // With five times the load and a database that is hardly slower, the workers are too few.
    let slower = |s: &mut shop::Step| s.mean *= 1.4;
    let window = queueing(Shop::healthy().at_load(5.0), 100.0).with("UPDATE stock", Client, slower);
    assert_eq!(found(&window).hotspots[0].category, Category::Queue);
}

/// The ranking when metrics say that inventory ran out of CPU, or is paused by its collector.
fn with_exhausted(window: &Shop, is_paused: bool, facts: &FactBook) -> Ranking {
    let mut window = window.observe(2);
    window.exhausted = vec![Exhausted { service: "inventory".to_owned(), is_paused }];
    rank(&window, Some(&Shop::healthy().observe(1)), facts, &Settings::default())
}

#[test]
fn a_service_without_cpu_comes_before_what_takes_longer() {
    let window =
        Shop::healthy().with("POST /charge", Client, |s| s.mean = 30.0 * MS).with("POST /stock", Server, |s| {
            s.mean = 12.0 * MS;
        });
    assert_first(&found(&window), "gateway", "POST /charge", Category::External);
    let ranking = with_exhausted(&window, false, &FactBook::new());
    assert_first(&ranking, "inventory", "POST /stock", Category::Own);
    assert_eq!(ranking.hotspots[1].operation, "POST /charge");
}

#[test]
fn a_service_without_cpu_is_a_bottleneck_though_requests_are_hardly_slower() {
    // 1.2 ms of 7 are below what counts as worse.
    let window = Shop::healthy().with("GET /stock", Server, |s| s.mean = 3.2 * MS);
    assert_eq!(found(&window).verdict, Verdict::NoSignificantChange);
    let ranking = with_exhausted(&window, false, &FactBook::new());
    assert_eq!(ranking.verdict, Verdict::Bottleneck);
    assert_first(&ranking, "inventory", "GET /stock", Category::Own);
    let worse = &ranking.worse[0];
    assert_eq!((worse.entry.operation.as_str(), worse.measure), ("GET /stock", Measure::Mean));
    assert!((worse.baseline / (2.0 * MS) - 1.0).abs() < 0.1 && (worse.window / (3.2 * MS) - 1.0).abs() < 0.1);
    // Where nothing takes longer, full use of a CPU is no problem.
    assert_eq!(with_exhausted(&Shop::healthy(), false, &FactBook::new()).verdict, Verdict::NoSignificantChange);
}

#[test]
fn what_a_paused_process_waits_for_is_not_to_blame() {
    let slower = |s: &mut shop::Step| s.mean *= 4.0;
    let served = |s: &mut shop::Step| s.mean *= 2.0;
    let window = Shop::healthy().with("GET /stock", Server, served).with("POST /stock", Server, served);
    let window = window.with("UPDATE stock", Client, slower).with("SELECT stock", Client, slower);
    // Half of the statements take as long as before, or all take longer.
    let ranking = |is_paused, median_ms: f64| {
        let details = |ms: f64| Details { exclusive_p50_ns: Some(ms * MS), ..Details::default() };
        let facts = Facts { window: details(median_ms), baseline: details(4.0), ..Facts::default() };
        let statement = |name| operation("inventory", name, Client, Some(("inventory-db", PeerKind::Database)));
        let book = ["UPDATE stock", "SELECT stock"].map(|name| (statement(name), facts.clone()));
        with_exhausted(&window, is_paused, &FactBook::from(book))
    };
    let is_statement = |spot: &Hotspot| spot.category == Category::Database;
    let paused = ranking(true, 4.1);
    assert_first(&paused, "inventory", "POST /stock", Category::Own);
    assert!(!paused.hotspots.iter().any(is_statement), "{:?}", paused.hotspots);
    for other in [ranking(true, 19.0), ranking(false, 4.1)] {
        assert!(other.hotspots.iter().any(is_statement), "{:?}", other.hotspots);
    }
}

fn bank() -> Operation {
    operation("gateway", "POST /charge", Client, Some(("bank", PeerKind::Remote)))
}

#[test]
fn retries_take_the_cost_of_repeats_and_pauses() {
    let window =
        Shop::healthy()
            .with("POST /charge", Client, |s| (s.calls, s.fails) = (2.5, 0.6))
            .with(ORDER, Server, |s| s.mean = 30.0 * MS);
    let details = |repeats| Details { repeats_per_parent: Some(repeats), ..Details::default() };
    let facts = FactBook::from([(bank(), Facts { window: details(1.5), baseline: details(0.0), ..Facts::default() })]);
    let ranking = compared(&window, &facts);
    assert_first(&ranking, "gateway", "POST /charge", Category::Retry);
    // Half of the requests: 1.5 more calls of 10 ms, and pauses of 28 ms.
    let change = ranking.hotspots[0].change_ns_per_request.expect("compared") as f64;
    assert!((change / (0.5 * 43.0 * MS) - 1.0).abs() < 0.1, "{change}");
}

#[test]
fn many_like_calls_in_sequence_are_an_n_plus_one() {
    let window = Shop::healthy().with("SELECT stock", Client, |s| s.calls = 12.0);
    let select = operation("inventory", "SELECT stock", Client, Some(("inventory-db", PeerKind::Database)));
    let details = |n| Details { sequential_siblings: Some(n), ..Details::default() };
    let facts = FactBook::from([(select, Facts { window: details(12.0), baseline: details(1.0), ..Facts::default() })]);
    assert_first(&compared(&window, &facts), "inventory", "SELECT stock", Category::NPlusOne);
    assert_first(&found(&window), "inventory", "SELECT stock", Category::Database);
}

#[test]
fn own_time_is_told_apart_by_how_it_is_spread() {
    let window = Shop::healthy().with("POST /stock", Server, |s| s.mean = 43.0 * MS);
    let stock = operation("inventory", "POST /stock", Server, None);
    let category = |now: Details| {
        let facts = FactBook::from([(stock.clone(), Facts { window: now, ..Facts::default() })]);
        compared(&window, &facts).hotspots[0].category
    };
    let spread = |p10: f64, p50: f64| Details {
        exclusive_p10_ns: Some(p10 * MS),
        exclusive_p50_ns: Some(p50 * MS),
        ..Details::default()
    };
    assert_eq!(category(spread(30.0, 40.0)), Category::Own, "all take longer: the code does more");
    assert_eq!(category(spread(3.0, 35.0)), Category::Lock, "most wait, some do not");
    assert_eq!(category(spread(2.0, 3.0)), Category::Own, "few are hit: pauses");
    let waits = Details { wait_before_first_child_ns: Some(35.0 * MS), ..Details::default() };
    assert_eq!(category(waits), Category::Queue);
}

/// Whatever got slower and at whatever load, the operation that did is the first to be named.
#[test]
fn every_slow_operation_is_first_at_every_seed() {
    for number in 0..Shop::healthy().steps.len() {
        for seed in 0..12 {
            let mut window = Shop::healthy().at_load([1.0, 3.0][seed as usize % 2]);
            window.steps[number].mean += (6.0 + 5.0 * seed as f64) * MS;
            let slow = &window.steps[number].operation;
            // A call of a service with spans of its own stands for the way there.
            let (service, kind) = match &slow.peer {
                Some(peer) if peer.name == "inventory" => ("inventory", "SERVER"),
                _ => (slow.service.as_str(), slow.kind.name()),
            };
            let before = Shop::healthy().observe(1000 + seed);
            let ranking = rank(&window.observe(seed), Some(&before), &FactBook::new(), &Settings::default());
            let first = &ranking.hotspots[0];
            assert_eq!(ranking.verdict, Verdict::Bottleneck, "{slow:?}, seed {seed}");
            let named = (first.service.as_str(), first.operation.as_str(), first.span_kind);
            assert_eq!(named, (service, slow.operation.as_str(), kind), "seed {seed}");
        }
    }
}

#[test]
fn a_dozen_seconds_after_the_step_are_enough() {
    for seed in 0..30 {
        let mut window = Shop::healthy().at_load(3.0).with("UPDATE stock", Client, |s| s.mean = 30.0 * MS);
        let mut before = Shop::healthy();
        (window.bins, before.bins) = (12, 20);
        let ranking =
            rank(&window.observe(seed), Some(&before.observe(seed + 500)), &FactBook::new(), &Settings::default());
        assert_eq!(ranking.verdict, Verdict::Bottleneck, "seed {seed}");
        assert_first(&ranking, "inventory", "UPDATE stock", Category::Database);
    }
}

#[test]
fn the_json_is_that_of_the_interface() {
    let window = Shop::healthy().with("UPDATE stock", Client, |s| s.mean = 45.0 * MS);
    let json = serde_json::to_value(found(&window)).expect("serialises");
    assert_eq!(json["verdict"], "bottleneck");
    let first = &json["hotspots"][0];
    assert_eq!(first["callers"], serde_json::json!([["gateway", "POST /order"]]));
    assert_eq!((&first["span_kind"], &first["category"]), (&"CLIENT".into(), &"database".into()));
    assert!(first["critical_path_ns_per_request"].is_i64() && first["instance"].is_null());
    let keys: Vec<&String> = first.as_object().expect("object").keys().collect();
    assert_eq!(keys.len(), 20, "{keys:?}");
}

#[test]
fn the_same_question_has_the_same_answer() {
    let window = queueing(Shop::healthy(), 30.0);
    let text = || serde_json::to_string(&found(&window)).expect("serialises");
    assert_eq!(text(), text());
}
