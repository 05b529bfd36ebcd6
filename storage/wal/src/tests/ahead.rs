//! Spares that are made ahead: when, what becomes of them, and that no crash makes them anything else.

use super::*;
use crate::frame::{FRAME_HEADER, SEGMENT_HEADER};
use crate::sim::{Errno, Op};

/// An eighth longer than a segment.
const BLANK: u64 = 1125;

/// Segment 1, with so many records that three fill it.
fn begun(fs: &SimFs, settings: Settings, records: usize) -> (Log, Found) {
    let (mut log, ..) = open_log(fs, settings).unwrap();
    let found = fill(&mut log, records);
    (log, found)
}

fn fill(log: &mut Log, records: usize) -> Found {
    (0..records).flat_map(|_| commit(log, &[&[&[b'x'; 400]]])).collect()
}

#[test]
fn a_log_that_has_no_spare_is_given_one_for_its_next_segment() {
    let fs = SimFs::new();
    let (mut log, mut all) = begun(&fs, small(), 1);
    assert_eq!(log.blank(), None, "its name would be the segment's");
    all.extend(fill(&mut log, 1));
    let blank = log.blank().unwrap();
    assert_eq!((&blank.path, blank.bytes), (&spare(2), BLANK));
    assert_eq!(log.blank(), None, "one is on its way");

    let made = blank.make(&fs, &dir()).unwrap();
    assert_eq!(fs.read(&spare(2), u64::MAX).unwrap(), [0; BLANK as usize]);
    log.made(Some(made));
    assert_eq!((log.extent().spares, log.extent().spare_bytes, log.blank()), (1, BLANK, None));
    log.trim(0).unwrap();
    assert_eq!(log.extent().spares, 1, "a trim that finds nothing leaves it");

    all.extend(fill(&mut log, 3));
    assert_eq!(fs.paths(), [segment(1), segment(4)]);
    assert_eq!(fs.read(&segment(4), u64::MAX).unwrap().len() as u64, BLANK, "written over the zeros");
    assert_eq!(log.blank().map(|blank| blank.path), Some(spare(5)), "and one for the next");
    let (_, recovery, found) = open_log(&fs, small()).unwrap();
    assert_eq!((found, recovery.damage, recovery.torn), (all, vec![], None));
}

#[test]
fn a_log_that_is_hardly_used_makes_none() {
    let (mut log, ..) = open_log(&SimFs::new(), Settings { segment_bytes: 4000, ..settings() }).unwrap();
    fill(&mut log, 2);
    assert_eq!(log.blank(), None, "less than a quarter is full");
    fill(&mut log, 1);
    assert!(log.blank().is_some());
}

#[test]
fn none_is_made_beyond_what_spares_and_log_may_take() {
    let size = (SEGMENT_HEADER + 2 * (FRAME_HEADER + 400)) as u64;
    let makes = |settings| begun(&SimFs::new(), settings, 2).0.blank().is_some();
    assert!(!makes(Settings { spare_bytes: 0, ..small() }));
    assert!(!makes(Settings { spare_bytes: BLANK - 1, ..small() }));
    assert!(makes(Settings { spare_bytes: BLANK, ..small() }));
    assert!(!makes(Settings { max_log_bytes: size + BLANK - 1, ..small() }));
    assert!(makes(Settings { max_log_bytes: size + BLANK, ..small() }));
}

#[test]
fn one_that_cannot_be_made_leaves_nothing_and_is_not_tried_again_until_a_trim_keeps_one() {
    for op in [Op::Create, Op::Write, Op::Sync, Op::SyncDir] {
        let fs = SimFs::new();
        let (mut log, _) = begun(&fs, small(), 2);
        let blank = log.blank().unwrap();
        fs.fail(op, 1, Errno::NoSpace);
        assert!(blank.make(&fs, &dir()).unwrap_err().is_no_space());
        log.made(None);
        assert_eq!((log.blank(), fs.paths()), (None, vec![segment(1)]), "{op:?}");
        fill(&mut log, 4);
        assert_eq!(log.blank(), None);
        log.trim(3).unwrap();
        fill(&mut log, 3);
        assert_eq!(log.extent().spares, 0, "what the trim kept is used");
        assert!(log.blank().is_some(), "{op:?}");
    }
}

#[test]
fn none_is_made_of_what_little_space_is_left() {
    let fs = SimFs::new();
    let (mut log, _) = begun(&fs, small(), 2);
    let used = fs.read(&segment(1), u64::MAX).unwrap().len() as u64;
    let blank = log.blank().unwrap();
    fs.capacity(Some(used + 16 * BLANK - 1));
    assert!(blank.make(&fs, &dir()).unwrap_err().is_no_space());
    fs.capacity(Some(used + 16 * BLANK));
    blank.make(&fs, &dir()).unwrap();
}

#[test]
fn one_that_comes_after_spares_were_given_up_goes_too() {
    let fs = SimFs::new();
    let (mut log, _) = begun(&fs, small(), 2);
    let made = log.blank().unwrap().make(&fs, &dir()).unwrap();
    log.release_spares();
    log.made(Some(made));
    assert_eq!((log.extent().spares, log.blank(), fs.paths()), (0, None, vec![segment(1)]));
}

#[test]
fn a_power_cut_while_one_is_made_leaves_a_spare_or_nothing() {
    let mut left = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let fs = SimFs::new();
        let (mut log, mut all) = begun(&fs, small(), 2);
        let blank = log.blank().unwrap();
        fs.power_fails_at(1 + seed % 4);
        blank.make(&fs, &dir()).unwrap_err();
        drop(log);
        fs.power_cut(seed);
        let (mut log, recovery, found) = open_log(&fs, small()).unwrap();
        assert_eq!((&found, recovery.damage, recovery.torn), (&all, vec![], None), "seed {seed}");
        assert_eq!(log.extent().segments, 1);
        left.insert((log.extent().spares, log.extent().spare_bytes));
        all.extend(fill(&mut log, 4));
        assert_eq!(open_log(&fs, small()).unwrap().2, all, "seed {seed}");
    }
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [(0, 0), (1, 0), (1, BLANK / 2 + 1), (1, BLANK)]);
}

/// Closing waits for the thread that makes one, so that nobody writes to the folder afterwards.
#[test]
fn an_open_log_makes_one_beside_the_writer_and_a_closed_one_is_done_with_it() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, small());
    for _ in 0..2 {
        wal.append_wait(Record::from(vec![7; 400])).unwrap();
    }
    wal.close().unwrap();
    assert_eq!(fs.paths(), [segment(1), spare(2)]);
    let (wal, _, found) = open_sim(&fs, small());
    assert_eq!((numbers(&found), wal.stats().spares, wal.stats().spare_bytes), (vec![1, 2], 1, BLANK));
}
