//! What is written of rates is read again, and bytes that are not that are refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringViewArray};
use proptest::prelude::*;

use super::joined::{LONGEST, Member, groups, joined};
use super::*;
use crate::analysis::partial::Said;
use crate::analysis::per_file::PerFile;
use entries::{Entries, is_entry};

/// A span: second, operation, instance, duration in ms, whether it failed, and its flags.
pub type Row = (i64, usize, usize, i64, bool, i64);

pub fn batch(rows: &[Row]) -> RecordBatch {
    let text = |of: &dyn Fn(&Row) -> Option<&'static str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringViewArray>())
    };
    let int = |of: &dyn Fn(&Row) -> i64| -> ArrayRef { Arc::new(rows.iter().map(of).collect::<Int64Array>()) };
    let none = |_: &Row| None;
    RecordBatch::try_from_iter([
        ("service_name", text(&|row| Some(["shop", "pay"][row.1 / 2]))),
        ("name", text(&|row| Some(["GET /item with a long name", "SELECT stock"][row.1 % 2]))),
        ("kind", text(&|row| Some(["SERVER", "CLIENT"][row.1 % 2]))),
        ("db_system_name", text(&|row| (row.1 % 2 == 1).then_some("postgresql"))),
        ("db_system", text(&none)),
        ("messaging_system", text(&none)),
        ("peer_service", text(&none)),
        ("server_address", text(&|row| (row.1 % 2 == 1).then_some("db.shop.svc.cluster.local"))),
        ("messaging_destination_name", text(&none)),
        ("db_namespace", text(&none)),
        ("rpc_service", text(&none)),
        ("network_peer_address", text(&none)),
        ("instance_id", text(&|row| ["a", "b"].get(row.2).copied())),
        ("status_code", text(&|row| Some(if row.4 { "ERROR" } else { "OK" }))),
        (column::START, int(&|row| row.0 * SECOND + 17)),
        (column::DURATION, int(&|row| row.3 * 1_000_000)),
        (column::SELF_TIME, int(&|row| row.3)),
        (column::CRITICAL_PATH, int(&|row| -row.3)),
        (column::TREE_FLAGS, int(&|row| row.5)),
    ])
    .expect("a batch")
}

fn of(rows: &[Row]) -> (Rates, Entries) {
    let (mut rates, mut entries) = (Rates::new(Bins::SECONDS), Entries::new(Bins::SECONDS));
    rates.add(&batch(rows)).expect("counts");
    entries.add_rows(&batch(rows), is_entry).expect("counts");
    (rates, entries)
}

/// Service, operation, peer, figures and instances, in order.
fn told(rates: &Rates) -> Vec<(String, String, String, Figures, Vec<String>)> {
    let mut told: Vec<_> = rates
        .iter()
        .map(|rated| {
            let ran = rates.instances().filter(|(number, _)| *number == rated.number);
            let mut instances: Vec<String> = ran.map(|(_, name)| name.to_owned()).collect();
            instances.sort();
            let texts = [rated.service, rated.operation, rated.peer].map(str::to_owned);
            let [service, operation, peer] = texts;
            (service, operation, peer, rated.figures.clone(), instances)
        })
        .collect();
    told.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    told
}

fn written(rows: &[Row]) -> Vec<u8> {
    let seconds = || rows.iter().map(|row| row.0);
    let span = (seconds().min().expect("rows"), seconds().max().expect("rows") + 1);
    let (rates, entries) = of(rows);
    written::write(&rates, &entries, span)
}

fn file(rows: &[Row]) -> FileRates {
    FileRates::of_bytes(written(rows).into()).expect("readable")
}

pub fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (1_700_000_000..1_700_000_040_i64, 0..4_usize, 0..3_usize, 0..90_000_i64, any::<bool>(), 0..256_i64);
    prop::collection::vec(row, 1..60)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(rows in rows()) {
        let (rates, entries) = of(&rows);
        let bytes = written(&rows);
        prop_assert_eq!(told(&written::rates(&bytes).expect("readable")), told(&rates));
        prop_assert_eq!(written::entries(&bytes).expect("readable").parts, entries.parts);
        let seconds = || rows.iter().map(|row| row.0 * SECOND);
        let span = (seconds().min().expect("rows"), seconds().max().expect("rows") + SECOND);
        prop_assert_eq!(written::span(&bytes), Some(span));
    }

    /// In two files or in one, and by seconds or by the bins of the question.
    #[test]
    fn files_add_up(a in rows(), b in rows(), width in 1..20_i64) {
        let both = [a.clone(), b.clone()].concat();
        let bins = Bins { start: 1_699_999_990 * SECOND, width: width * SECOND };
        let (mut rates, mut entries) = (Rates::new(bins), Entries::new(bins));
        let all = Window { start: 0, end: i64::MAX };
        for part in [&a, &b].map(|rows| written(rows)) {
            rates.take(&written::rates(&part).expect("readable"), |_| true);
            entries.take(&written::entries(&part).expect("readable"), all);
        }
        let (mut expected, mut parts) = (Rates::new(bins), Entries::new(bins));
        expected.add(&batch(&both)).expect("counts");
        parts.add_rows(&batch(&both), is_entry).expect("counts");
        prop_assert_eq!(told(&rates), told(&expected));
        prop_assert_eq!(entries.parts, parts.parts);
        // Counted by hand.
        let count = |rates: &Rates| rates.iter().map(|rated| rated.figures.count()).sum::<u64>();
        prop_assert_eq!(count(&rates), both.len() as u64);
        let trend: u64 = rates.iter().flat_map(|rated| rated.figures.trend(60)).sum();
        prop_assert_eq!(trend, both.len() as u64);
    }

    #[test]
    fn what_several_files_say_is_what_one_file_of_their_rows_says(files in prop::collection::vec(rows(), 1..5)) {
        let all = files.concat();
        let parts: Vec<FileRates> = files.iter().map(|rows| file(rows)).collect();
        let joined = FileRates::of_all(parts.iter()).expect("readable").expect("there are some");
        let whole = file(&all);
        prop_assert_eq!(joined.span(), whole.span());
        prop_assert_eq!(told(&joined.rates().expect("readable")), told(&whole.rates().expect("readable")));
        let parts = |file: &FileRates| file.entries().expect("readable").parts;
        prop_assert_eq!(parts(&joined), parts(&whole));
    }

    #[test]
    fn bytes_that_are_something_else_are_refused_or_read_but_never_a_panic(
        rows in rows(), at in any::<prop::sample::Index>(), value in any::<u8>(), junk in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let mut bytes = written(&rows);
        let at = at.index(bytes.len());
        bytes[at] = value;
        for bytes in [&bytes[..], &bytes[..at], &junk[..]] {
            let _ = (written::rates(bytes), written::entries(bytes), written::span(bytes));
        }
    }
}

#[test]
fn bins_are_whole_seconds_where_files_can_be_added_up() {
    let of = |start: i64, end: i64| Bins::of(Window { start, end }, 30);
    let ms = 1_000_000;
    assert_eq!(of(0, 30 * SECOND), Bins { start: 0, width: SECOND });
    // 15 minutes from the middle of a second: 31 s would be 30 s too many, 30 s half a second too few.
    assert_eq!(of(500 * ms, 900 * SECOND + 500 * ms), Bins { start: 0, width: 31 * SECOND });
    assert_eq!(of(0, 900 * SECOND).before(900 * SECOND), 30);
    let short = of(7 * ms, 10 * SECOND + 7 * ms);
    assert_eq!((short.start, short.before(10 * SECOND + 7 * ms), short.are_seconds()), (7 * ms, 30, false));
}

#[test]
fn what_spans_years_is_not_written_and_takes_no_memory() {
    let mut rates = Rates::new(Bins::SECONDS);
    rates.add(&batch(&[(0, 0, 0, 1, false, 128), (1_700_000_000, 0, 0, 1, false, 128)])).expect("counts");
    assert!(rates.is_too_long && rates.size() < 100_000);
    assert_eq!(rates.iter().map(|rated| rated.figures.count()).sum::<u64>(), 2, "counted all the same");
}

/// One operation's spans of a few hours ago, of long ago and of now: in whichever order they come, the bins do not grow
/// beyond what is allowed, and what is summed up says that it is not all.
#[test]
fn times_that_are_too_far_apart_are_told_in_any_order() {
    let ago = [0, 1_999, 3_998, 5_997];
    let orders: [&dyn Fn() -> Vec<i64>; 2] = [&|| ago.to_vec(), &|| ago.iter().rev().copied().collect()];
    for order in orders {
        let mut rates = Rates::new(Bins::SECONDS);
        for ago in order() {
            let row = (9_000_000_000 - ago, 0, 0, 1, false, 0);
            rates.add(&batch(&[row])).expect("counts");
        }
        assert!(rates.is_too_long);
        assert!(rates.figures.iter().all(|figures| figures.times.counts.len() as i64 <= MOST_BINS));
        assert_eq!(rates.figures[0].count(), 4, "but for their times all count");
    }
}

/// A file with one span.
fn said(key: &str, second: i64) -> Member {
    Member::of(Said { key: key.to_owned(), what: Arc::new(file(&[(second, 0, 0, 10, false, 1)])) })
}

fn keys(members: &[Member], level: u32) -> Vec<Vec<&str>> {
    let of = |group: std::ops::Range<usize>| members[group].iter().map(Member::key).collect();
    groups(members, level).into_iter().map(of).collect()
}

#[test]
fn a_file_that_goes_changes_its_own_group_and_no_other() {
    let all: Vec<_> = (0..200).map(|n| said(&format!("spans/{n}.parquet"), n)).collect();
    let (groups, before) = (groups(&all, 1), keys(&all, 1));
    assert!(groups.len() > 3 && groups.windows(2).all(|pair| pair[0].end <= pair[1].start), "{groups:?}");
    assert!(groups.iter().all(|group| all[group.end - 1].ends(1)));
    let third = &groups[2];
    let fewer: Vec<_> =
        (0..).zip(&all).filter(|(n, _)| *n != third.start).map(|(n, one)| said(one.key(), n as i64)).collect();
    let after = keys(&fewer, 1);
    let differ: Vec<usize> = (0..before.len()).filter(|at| !after.contains(&before[*at])).collect();
    assert_eq!(differ, [2]);
    // A window that begins with the last of that group knows the later groups, and none that it may know a part of.
    assert_eq!(keys(&all[third.end - 1..], 1), before[3..]);
}

#[test]
fn groups_of_groups_end_where_a_group_does_and_are_fewer() {
    let all: Vec<_> = (0..800).map(|n| said(&format!("spans/{n}.parquet"), n)).collect();
    let ends = |level: u32| all.iter().filter(|member| member.ends(level)).count();
    assert!(all.iter().all(|member| member.ends(1) || !member.ends(2)));
    assert!(ends(1) > 4 * ends(2) && ends(2) > 3, "{} {}", ends(1), ends(2));
}

#[tokio::test]
async fn groups_of_all_levels_add_up_to_what_the_files_do() {
    let row = |n: i64| (n, n as usize % 4, n as usize % 3, 1 + n % 50, n % 7 == 0, 1);
    let files: Vec<FileRates> = (0..800).map(|n| file(&[row(n), row(n + 1)])).collect();
    let said = |(n, what): (usize, &FileRates)| Said { key: format!("{n}.parquet"), what: Arc::new(what.clone()) };
    let kept = PerFile::new(10 << 20);
    kept.begin();
    let of_all = |all: &mut dyn Iterator<Item = &FileRates>| {
        let mut sum = Rates::new(Bins::SECONDS);
        all.for_each(|one| sum.merge(one.rates().expect("reads")));
        told(&sum)
    };
    for _ in 0..2 {
        let members = files.iter().enumerate().map(|one| Member::of(said(one))).collect();
        let members = joined(&kept, members).await.expect("adds up");
        assert!(members.len() < 100, "{}", members.len());
        assert_eq!(of_all(&mut members.iter().map(|member| member.said.what.as_ref())), of_all(&mut files.iter()));
    }
}

#[test]
fn files_far_apart_in_time_are_not_joined() {
    let names: Vec<String> = (0..1_000).map(|n| format!("{n}")).collect();
    let (last, other): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| said(name, 0).ends(1));
    let apart = |by: i64| keys(&[said(last[0], 0), said(other[0], 1), said(last[1], by)], 1).len();
    assert_eq!(apart(10), 1);
    assert_eq!(apart(LONGEST / SECOND + 1), 0);
}
