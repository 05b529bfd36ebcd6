//! Bit flips, cuts, lost files: what is a torn tail, what is damage, and what still comes back.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::frame::{FRAME_HEADER, FrameHeader, SEGMENT_HEADER, SegmentHeader, Tip};
use crate::{Why, verify};

const FRAME: usize = FRAME_HEADER + 10;

/// Three groups of two records of ten bytes: frame `n` begins at 40 + 38 n.
fn three_groups(fs: &SimFs) -> Found {
    let (mut log, ..) = open_log(fs, settings()).unwrap();
    commit(
        &mut log,
        &[&[b"record one", b"record two"], &[b"record 333", b"record 444"], &[b"record 555", b"record 666"]],
    )
}

fn reopen(fs: &SimFs) -> (Recovery, Vec<u64>) {
    let sound = verify(fs, &dir()).unwrap();
    let (_, recovery, found) = open_log(fs, settings()).unwrap();
    assert_eq!(sound.found.damage, recovery.damage, "check and open agree");
    (recovery, numbers(&found))
}

fn flip(fs: &SimFs, segment: &Path, at: usize) {
    fs.edit(segment, |bytes| bytes[at] ^= 0x10).unwrap();
}

#[test]
fn a_torn_group_is_dropped_whole_from_where_it_is_torn() {
    let fs = SimFs::new();
    three_groups(&fs);
    // Record 5 is torn while 6, of the same group, arrived: neither was acknowledged.
    flip(&fs, &segment(1), SEGMENT_HEADER + 4 * FRAME + 30);
    let (recovery, found) = reopen(&fs);
    assert_eq!(found, [1, 2, 3, 4]);
    let torn = recovery.torn.unwrap();
    assert_eq!((torn.segment, torn.offset, torn.bytes), (1, 40 + 4 * 38, 2 * 38));
    assert_eq!((recovery.damage, recovery.next_seq), (vec![], 5));
    let (recovery, found) = reopen(&fs);
    assert_eq!((recovery.torn, found), (None, vec![1, 2, 3, 4]), "it is cut off for good");
}

#[test]
fn damage_in_front_of_a_later_group_is_reported_and_the_rest_replayed() {
    for (what, at, why) in [
        ("payload", FRAME_HEADER + 3, Why::Payload),
        ("check", 0, Why::Frame),
        ("prev", 5, Why::Frame),
        ("seq", 9, Why::Frame),
        ("length", 16, Why::Frame),
        ("length far off", 18, Why::Frame),
        ("position in the group", 20, Why::Frame),
        ("payload checksum", 24, Why::Frame),
    ] {
        let fs = SimFs::new();
        three_groups(&fs);
        flip(&fs, &segment(1), SEGMENT_HEADER + 2 * FRAME + at);
        let (recovery, found) = reopen(&fs);
        assert_eq!(found, [1, 2, 4, 5, 6], "{what}");
        let [damage] = &recovery.damage[..] else { panic!("{what}: {:?}", recovery.damage) };
        assert_eq!((damage.segment, damage.offset, damage.why), (1, 40 + 2 * 38, why), "{what}");
        assert_eq!(damage.records_lost_estimate, 1, "{what}");
        assert_eq!((recovery.torn, recovery.next_seq), (None, 7), "{what}");
    }
}

#[test]
fn a_damaged_segment_is_left_as_it_is_and_set_aside_when_trimmed() {
    let fs = SimFs::new();
    three_groups(&fs);
    flip(&fs, &segment(1), SEGMENT_HEADER + 2 * FRAME + 30);
    let damaged = fs.read(&segment(1), u64::MAX).unwrap();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    commit(&mut log, &[&[b"more"]]);
    assert_eq!(fs.paths(), [segment(1), segment(7)], "nothing is written behind damage");
    let trimmed = log.trim(6).unwrap();
    assert_eq!((trimmed.segments, trimmed.aside), (0, 1));
    let aside = dir().join("00000000000000000001.wal.damaged");
    assert_eq!(fs.read(&aside, u64::MAX).unwrap(), damaged);
    let (recovery, found) = reopen(&fs);
    assert_eq!((found, recovery.damage, recovery.aside), (vec![7], vec![], 1));
}

#[test]
fn behind_a_clean_end_even_the_last_record_is_known_to_be_lost() {
    let fs = SimFs::new();
    three_groups(&fs);
    open_log(&fs, settings()).unwrap().0.seal().unwrap();
    flip(&fs, &segment(1), SEGMENT_HEADER + 5 * FRAME + 30);
    let (recovery, found) = reopen(&fs);
    assert_eq!((found, recovery.torn), (vec![1, 2, 3, 4, 5], None));
    assert_eq!(recovery.damage[0].records_lost_estimate, 1);
    // The lost number is spent, and the damage is told again when more has been written.
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    assert_eq!(numbers(&commit(&mut log, &[&[b"more"]])), [7]);
    assert_eq!(reopen(&fs).0.damage.len(), 1);
}

#[test]
fn an_older_segment_is_held_to_what_the_next_one_says() {
    let build = || {
        let fs = SimFs::new();
        let (mut log, ..) = open_log(&fs, small()).unwrap();
        for n in 0..7 {
            commit(&mut log, &[&[&[n; 400]]]);
        }
        assert_eq!(fs.paths(), [segment(1), segment(4), segment(7)]);
        fs
    };
    let lost = |fs: &SimFs| {
        let (recovery, found) = reopen(fs);
        let damage: Vec<_> = recovery.damage.iter().map(|d| (d.segment, d.why, d.records_lost_estimate)).collect();
        (found, damage)
    };
    let fs = build();
    fs.edit(&segment(4), |bytes| bytes.truncate(40 + 428)).unwrap();
    assert_eq!(lost(&fs), (vec![1, 2, 3, 4, 7], vec![(4, Why::Missing, 2)]), "cut between frames");
    let fs = build();
    fs.edit(&segment(4), |bytes| bytes.truncate(40 + 428 + 100)).unwrap();
    assert_eq!(lost(&fs), (vec![1, 2, 3, 4, 7], vec![(4, Why::Frame, 2)]), "cut within a frame");
    let fs = build();
    fs.remove(&segment(4)).unwrap();
    assert_eq!(lost(&fs), (vec![1, 2, 3, 7], vec![(1, Why::Missing, 3)]), "a lost file");
    let fs = build();
    flip(&fs, &segment(4), SEGMENT_HEADER + 2 * 428 + 200);
    assert_eq!(lost(&fs), (vec![1, 2, 3, 4, 5, 7], vec![(4, Why::Payload, 1)]), "its last record");
    let fs = build();
    fs.edit(&segment(4), |bytes| bytes.fill(0)).unwrap();
    assert_eq!(lost(&fs), (vec![1, 2, 3, 7], vec![(4, Why::Header, 3)]), "nothing left of it");
}

#[test]
fn a_segment_from_another_log_is_not_taken_for_the_missing_one() {
    let build = |fill: u8| {
        let fs = SimFs::new();
        let (mut log, ..) = open_log(&fs, small()).unwrap();
        for _ in 0..7 {
            commit(&mut log, &[&[&[fill; 400]]]);
        }
        fs
    };
    let (mine, other) = (build(1), build(2));
    let foreign = other.read(&segment(4), u64::MAX).unwrap();
    mine.edit(&segment(4), |bytes| *bytes = foreign).unwrap();
    let whys: Vec<_> = reopen(&mine).0.damage.iter().map(|d| (d.segment, d.why)).collect();
    assert_eq!(whys, [(1, Why::Chain), (4, Why::Chain)]);
}

#[test]
fn a_damaged_header_hides_no_record() {
    for at in 0..SEGMENT_HEADER {
        let fs = SimFs::new();
        three_groups(&fs);
        flip(&fs, &segment(1), at);
        let (recovery, found) = reopen(&fs);
        assert_eq!(found, [1, 2, 3, 4, 5, 6], "byte {at}");
        assert_eq!(recovery.damage[0].why, Why::Header, "byte {at}");
        assert_eq!(recovery.damage[0].records_lost_estimate, 0, "byte {at}");
    }
}

#[test]
fn a_segment_without_a_whole_header_was_never_in_use() {
    for len in [0, 1, 39] {
        let fs = SimFs::new();
        three_groups(&fs);
        fs.create(&segment(7)).unwrap();
        fs.edit(&segment(7), |bytes| bytes.resize(len, 0)).unwrap();
        let (recovery, found) = reopen(&fs);
        assert_eq!((found.len(), recovery.damage, fs.paths()), (6, vec![], vec![segment(1)]));
        assert_eq!(recovery.next_seq, 7);
    }
}

#[test]
fn a_torn_tail_in_front_of_a_segment_that_was_never_in_use_is_still_one() {
    let fs = SimFs::new();
    three_groups(&fs);
    fs.edit(&segment(1), |bytes| bytes.truncate(bytes.len() - 3)).unwrap();
    fs.create(&segment(7)).unwrap();
    let (recovery, found) = reopen(&fs);
    assert_eq!((found, recovery.damage), (vec![1, 2, 3, 4, 5], vec![]));
    assert_eq!(recovery.torn.unwrap().offset, 40 + 5 * 38);
}

#[test]
fn a_newer_format_is_refused_before_anything_is_changed() {
    let fs = SimFs::new();
    three_groups(&fs);
    fs.create(&segment(7)).unwrap();
    let mut newer = b"HOTSPWAL\x02\0\0\0".to_vec();
    newer.extend(crc32c::crc32c(&newer).to_le_bytes());
    fs.edit(&segment(7), |bytes| *bytes = newer).unwrap();
    let before = fs.operations();
    let refused = open_log(&fs, settings()).map(|_| ()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "segment 00000000000000000007 has format 2, this build reads up to 1: use a newer build"
    );
    assert_eq!(fs.operations(), before);
    assert!(verify(&fs, &dir()).is_err());
}

#[test]
fn leftovers_behind_the_end_are_no_records() {
    let fs = SimFs::new();
    three_groups(&fs);
    let whole = fs.read(&segment(1), u64::MAX).unwrap();
    // A frame of this very segment, valid in itself, that once stood here behind other records.
    let identity = SegmentHeader { first: 1, tip: Tip::default() }.identity();
    let stale = FrameHeader { prev: 0xdead_beef, seq: 7, len: 0, before: 0, payload_crc: 0 }.encode(identity).0;
    fs.edit(&segment(1), |bytes| bytes.extend(stale)).unwrap();
    let (recovery, found) = reopen(&fs);
    assert_eq!((found, recovery.torn.unwrap().bytes), (vec![1, 2, 3, 4, 5, 6], 28));
    assert_eq!(fs.read(&segment(1), u64::MAX).unwrap(), whole);
}

#[test]
fn a_frame_inside_a_payload_is_not_taken_for_a_record() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    let identity = SegmentHeader { first: 1, tip: Tip::default() }.identity();
    let inner = FrameHeader { prev: 1, seq: 9, len: 0, before: 0, payload_crc: 0 }.encode(identity).0;
    commit(&mut log, &[&[&inner], &[b"x"], &[b"y"]]);
    // The outer payload is damaged, but its frame still says where the next one is.
    flip(&fs, &segment(1), SEGMENT_HEADER + FRAME_HEADER);
    assert_eq!(reopen(&fs).1, [2, 3]);
}

/// Records in groups, and what one of these payloads is.
fn groups() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    vec(vec(vec(any::<u8>(), 0..80), 1..5), 1..8)
}

/// Writes the groups, and returns each record's payload, first byte, end and group.
fn write(fs: &SimFs, groups: &[Vec<Vec<u8>>]) -> Vec<(Vec<u8>, usize, usize, usize)> {
    let (mut log, ..) = open_log(fs, settings()).unwrap();
    let mut at = SEGMENT_HEADER;
    let mut records = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        commit(&mut log, &[&group.iter().map(Vec::as_slice).collect::<Vec<_>>()]);
        for payload in group {
            let end = at + FRAME_HEADER + payload.len();
            records.push((payload.clone(), at, end, index));
            at = end;
        }
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A cut anywhere leaves exactly the records that end before it, and the log goes on from there.
    #[test]
    fn any_cut_leaves_a_prefix(groups in groups(), cut in any::<Index>()) {
        let fs = SimFs::new();
        let records = write(&fs, &groups);
        let cut = cut.index(records.last().unwrap().2 + 1);
        fs.edit(&segment(1), |bytes| bytes.truncate(cut)).unwrap();

        let mut expected: Found = (1..).zip(records.iter().filter(|r| r.2 <= cut).map(|r| r.0.clone())).collect();
        let (mut log, recovery, found) = open_log(&fs, settings()).unwrap();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(recovery.damage, []);
        expected.extend(commit(&mut log, &[&[b"and on"]]));
        let (_, recovery, found) = open_log(&fs, settings()).unwrap();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(recovery.torn, None);
    }

    /// A flipped bit costs the record it is in. In the last group, whose fate nothing behind it tells, it costs the
    /// rest of the group. No record ever comes back changed.
    #[test]
    fn any_flipped_bit_costs_one_record(groups in groups(), at in any::<Index>(), bit in 0..8, sealed in any::<bool>()) {
        let fs = SimFs::new();
        let records = write(&fs, &groups);
        if sealed {
            open_log(&fs, settings()).unwrap().0.seal().unwrap();
        }
        let at = at.index(records.last().unwrap().2);
        fs.edit(&segment(1), |bytes| bytes[at] ^= 1_u8 << bit).unwrap();

        let hit = records.iter().position(|r| (r.1..r.2).contains(&at));
        let torn = hit.filter(|&hit| !sealed && records[hit].3 == groups.len() - 1);
        let kept = |index: usize| Some(index) != hit && torn.is_none_or(|torn| index < torn);
        let expected: Found = (1..).zip(&records).enumerate()
            .filter(|(index, _)| kept(*index)).map(|(_, (seq, r))| (seq, r.0.clone())).collect();
        let (_, recovery, found) = open_log(&fs, settings()).unwrap();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(recovery.torn.is_some(), torn.is_some());
        prop_assert_eq!(recovery.damage.len(), usize::from(torn.is_none()));
        let lost: u64 = recovery.damage.iter().map(|d| d.records_lost_estimate).sum();
        prop_assert_eq!(lost, u64::from(hit.is_some() && torn.is_none()));
    }

    /// Whatever a file holds, opening neither panics nor loses the rest of the log.
    #[test]
    fn any_bytes_are_survived(junk in vec(any::<u8>(), 0..400), keep in 0_usize..60) {
        let fs = SimFs::new();
        let (mut log, ..) = open_log(&fs, settings()).unwrap();
        let mut all = commit(&mut log, &[&[b"a", b"b"]]);
        log.roll().unwrap();
        commit(&mut log, &[&[b"c"]]);
        fs.edit(&segment(3), |bytes| {
            bytes.truncate(keep);
            bytes.extend(&junk);
        }).unwrap();
        let (mut log, _, found) = open_log(&fs, settings()).unwrap();
        prop_assert_eq!(&found[..2], &all[..]);
        let more = commit(&mut log, &[&[b"d"]]);
        prop_assert!(more[0].0 > 2);
        all.extend(more);
        let (_, _, found) = open_log(&fs, settings()).unwrap();
        prop_assert!(all.iter().all(|record| found.contains(record)));
    }
}
