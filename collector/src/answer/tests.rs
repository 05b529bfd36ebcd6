//! Every kind of error, as gRPC and as HTTP tell it.

use super::*;

fn every_kind() -> Vec<Kind> {
    let retry_after = Duration::from_secs(1);
    vec![
        Kind::Invalid,
        Kind::NotFound,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::TooLarge,
        Kind::Overloaded { retry_after },
        Kind::Unavailable,
        Kind::Limit,
        Kind::Unimplemented,
        Kind::Corrupt,
        Kind::Internal,
    ]
}

#[test]
fn no_failure_of_ours_makes_an_exporter_drop_data_and_no_bad_export_comes_back() {
    // The retryable ones of OTLP's tables, for gRPC and for HTTP.
    let by_grpc =
        [Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::OutOfRange, Code::Unavailable, Code::DataLoss];
    let by_http = [429, 502, 503, 504];
    for kind in every_kind() {
        let refusal = Refusal::from(Error::new(kind, "why"));
        let ours =
            matches!(kind, Kind::Overloaded { .. } | Kind::Unavailable | Kind::Limit | Kind::Corrupt | Kind::Internal);
        assert_eq!(by_grpc.contains(&refusal.code), ours, "{kind:?}");
        assert_eq!(by_http.contains(&refusal.http.as_u16()), ours, "{kind:?}");
        assert_eq!(refusal.is_retryable(), ours, "{kind:?}");
        assert_eq!(refusal.retry_after.is_some(), ours, "{kind:?}");
    }
    let no_room = [NoRoom::InTime { used: 1 }, NoRoom::ToWait { waiting: 1 }].map(Refusal::from);
    for refusal in [Refusal::deadline("late"), Refusal::body("slow")].into_iter().chain(no_room) {
        assert!(refusal.is_retryable() && by_grpc.contains(&refusal.code) && by_http.contains(&refusal.http.as_u16()));
    }
}

#[test]
fn long_messages_are_cut_between_characters() {
    for start in 0..4 {
        let text = "x".repeat(start) + &"語".repeat(1000);
        let refusal = Refusal::from(Error::invalid(text.clone()));
        assert!(refusal.message.len() <= MAX_MESSAGE && refusal.message.ends_with('…'));
        assert!(text.starts_with(refusal.message.trim_end_matches('…')));
    }
}

#[test]
fn the_hint_is_told_too() {
    let refusal = Refusal::from(Error::invalid("\"a b\" is not a tenant").hint("take letters"));
    assert_eq!(refusal.message, "\"a b\" is not a tenant; take letters");
}

#[test]
fn retry_after_is_rounded_up_to_whole_seconds() {
    for (millis, seconds) in [(1000, "1"), (1001, "2"), (4999, "5")] {
        let mut headers = HeaderMap::new();
        Refusal::from(Error::overloaded("busy", Duration::from_millis(millis))).headers(&mut headers);
        assert_eq!(headers[header::RETRY_AFTER], seconds);
    }
}

/// Clients are asked to wait no shorter than needed, at most twice as long, and all of that about as often.
#[test]
fn pauses_are_spread_up_to_twice_as_long() {
    let chance = crate::chance::Chance::new(7);
    for (pause, seconds) in [(1000, 1..=2), (1200, 2..=3), (2500, 3..=5), (5000, 5..=10)] {
        let pause = Duration::from_millis(pause);
        let mut told = std::collections::BTreeMap::<u64, usize>::new();
        let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
        for _ in 0..1000 {
            let refusal = Refusal::from(Error::overloaded("busy", pause)).spread(chance.next());
            let exact = refusal.grpc().get_details_retry_info().and_then(|info| info.retry_delay).expect("told");
            (shortest, longest) = (shortest.min(exact), longest.max(exact));
            *told.entry(refusal.whole_seconds().expect("told")).or_default() += 1;
        }
        assert!(shortest >= pause && longest <= pause * 2, "{shortest:?} to {longest:?}");
        assert!(longest - shortest > pause.mul_f64(0.9), "{shortest:?} to {longest:?}");
        assert!(told.keys().copied().eq(seconds.clone()), "{told:?}");
        let even = 1000 / told.len();
        assert!(told.values().all(|times| (even / 2..even * 2).contains(times)), "{told:?}");
    }
}

#[test]
fn whoever_is_not_asked_to_come_back_is_not_asked_to_wait() {
    let refusal = Refusal::from(Error::invalid("no")).spread(0.5);
    assert_eq!((refusal.pause(), refusal.whole_seconds()), (None, None));
}

/// The SDKs of most languages give up after 10 s, the first try and all pauses counted (docs/reliability.md, "What real
/// exporters do"): one that is told 10 s does not come back.
#[test]
fn every_pause_leaves_time_to_come_back_to_an_exporter_that_gives_up_after_ten_seconds() {
    let errors = every_kind().into_iter().map(|kind| Refusal::from(Error::new(kind, "why")));
    let ours = [Refusal::body("slow"), NoRoom::InTime { used: 1 }.into()];
    for refusal in errors.chain(ours).filter(Refusal::is_retryable) {
        let refusal = refusal.spread(0.999);
        let told = refusal.whole_seconds().expect("a pause");
        assert!(told <= 8, "{told} s: {}", refusal.message);
        assert!(refusal.pause().expect("a pause") <= Duration::from_secs(8), "{}", refusal.message);
    }
}
