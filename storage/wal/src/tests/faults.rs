//! Disk full, I/O errors, short writes: what is not acknowledged, and what works afterwards.

use super::*;
use crate::sim::{Errno, Op};

fn append(log: &mut Log, bytes: &[u8]) -> Result<u64, WalError> {
    log.commit(&[&Record::from(bytes.to_vec())]).map(|committed| committed.first)
}

fn reopened(fs: &SimFs) -> Vec<u64> {
    let (_, recovery, found) = open_log(fs, settings()).unwrap();
    assert_eq!(recovery.damage, [], "no fault here damages what was acknowledged");
    numbers(&found)
}

#[test]
fn a_full_disk_is_told_apart_and_ends_when_there_is_space() {
    for errno in [Errno::NoSpace, Errno::Quota] {
        let fs = SimFs::new();
        let (mut log, ..) = open_log(&fs, settings()).unwrap();
        append(&mut log, b"kept").unwrap();
        fs.fail(Op::Write, 1, errno);
        let error = append(&mut log, b"lost").unwrap_err();
        assert!(error.is_no_space(), "{error}");
        assert_eq!(append(&mut log, b"next").unwrap(), 2, "the number was never given out");
        assert_eq!((reopened(&fs), fs.paths()), (vec![1, 2], vec![segment(1)]));
    }
}

#[test]
fn the_torn_bytes_of_a_full_disk_are_cut_off() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    wal.append_wait(Record::from(vec![1; 100])).unwrap();
    fs.capacity(Some(300));
    let error = wal.append_wait(Record::from(vec![2; 1000])).unwrap_err();
    assert!(error.is_no_space(), "{error}");
    assert_eq!(fs.read(&segment(1), u64::MAX).unwrap().len(), 40 + 28 + 100);
    assert_eq!(wal.append_wait(Record::from(vec![3; 10])).unwrap(), 2, "what fits is taken");
    fs.capacity(None);
    assert_eq!(wal.append_wait(Record::from(vec![2; 1000])).unwrap(), 3);
    assert_eq!((wal.stats().failed_groups, wal.stats().failed), (1, None));
    // The mark of a clean end has no room. Nothing is lost by that.
    fs.capacity(Some(1));
    wal.close().unwrap();
    assert_eq!(reopened(&fs), [1, 2, 3]);
}

#[test]
fn a_segment_that_cannot_be_cut_is_abandoned() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    append(&mut log, b"one").unwrap();
    fs.capacity(Some(90));
    fs.fail(Op::SetLen, 1, Errno::Io);
    append(&mut log, b"two two two two two").unwrap_err();
    fs.capacity(None);
    // Whether the second cut worked, the lost record's number is spent.
    assert_eq!(append(&mut log, b"three").unwrap(), 4, "2 was lost and 3 named a segment that had no space");
    assert_eq!(reopened(&fs), [1, 4]);
}

#[test]
fn no_space_for_a_new_segment_is_no_failure() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    fs.capacity(Some(10));
    for _ in 0..3 {
        assert!(append(&mut log, b"x").unwrap_err().is_no_space());
    }
    assert_eq!(log.failed(), None);
    fs.capacity(None);
    let seq = append(&mut log, b"x").unwrap();
    assert_eq!(reopened(&fs), [seq]);
}

/// Connections of others may use up the process's files for a while.
#[test]
fn a_want_of_open_files_is_no_failure() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    for nth in 1..=4 {
        fs.fail(Op::Create, nth, Errno::ManyFiles);
    }
    for _ in 0..4 {
        let refused = append(&mut log, b"x").unwrap_err();
        assert!(refused.to_string().contains("creating a segment"), "{refused}");
    }
    assert_eq!(log.failed(), None);
    let seq = append(&mut log, b"x").unwrap();
    assert_eq!(reopened(&fs), [seq]);
}

#[test]
fn a_failed_sync_is_never_tried_again_on_its_segment() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    append(&mut log, b"one").unwrap();
    fs.fail(Op::Sync, 1, Errno::Io);
    let error = append(&mut log, b"two").unwrap_err();
    assert_eq!(error.to_string(), "syncing segment 00000000000000000001 failed: simulated i/o error");
    assert_eq!(append(&mut log, b"three").unwrap(), 3, "2 may be on the disk, so its number is spent");
    assert_eq!(fs.paths(), [segment(1), segment(3)]);
    assert_eq!(reopened(&fs), [1, 3]);
}

#[test]
fn a_record_of_a_failed_sync_does_not_come_back_even_if_it_was_written() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    append(&mut log, b"one").unwrap();
    // The group is whole in the old segment, which cannot be cut: only the new header tells that it does not count.
    fs.fail(Op::Sync, 1, Errno::Io);
    fs.fail(Op::SetLen, 1, Errno::Io);
    append(&mut log, b"two").unwrap_err();
    append(&mut log, b"three").unwrap();
    let (_, recovery, found) = open_log(&fs, settings()).unwrap();
    assert_eq!((numbers(&found), recovery.unacknowledged, recovery.damage), (vec![1, 3], 1, vec![]));
}

#[test]
fn a_second_failure_stops_the_log_and_it_says_so() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    wal.append_wait(Record::from(b"one".to_vec())).unwrap();
    fs.fail(Op::Sync, 1, Errno::Io);
    fs.fail(Op::Sync, 2, Errno::Io);
    assert!(matches!(wal.append_wait(Record::new()), Err(WalError::Sync { segment: 1, .. })));
    let refused = wal.append_wait(Record::new()).unwrap_err();
    assert!(matches!(refused, WalError::Failed { .. }), "{refused}");
    let why = wal.stats().failed.unwrap();
    assert_eq!(why, "no new segment can be begun after a failed sync: syncing a segment's header: simulated i/o error");
    assert!(matches!(wal.close(), Err(WalError::Failed { .. })));
    drop(wal);
    assert_eq!(reopened(&fs), [1]);
}

#[test]
fn acknowledged_records_that_cannot_be_read_back_stop_the_log() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    append(&mut log, b"one").unwrap();
    fs.edit(&segment(1), |bytes| bytes[70] ^= 1).unwrap();
    fs.fail(Op::Sync, 1, Errno::Io);
    append(&mut log, b"two").unwrap_err();
    assert!(log.failed().unwrap().contains("cannot be read back"));
}

#[test]
fn a_write_error_cuts_and_goes_on() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    append(&mut log, b"one").unwrap();
    fs.fail(Op::Write, 1, Errno::Io);
    assert!(matches!(append(&mut log, b"two"), Err(WalError::Io { .. })));
    assert_eq!(append(&mut log, b"two").unwrap(), 2);
    assert_eq!(reopened(&fs), [1, 2]);
}

#[test]
fn an_unsynced_folder_acknowledges_nothing() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    fs.fail(Op::SyncDir, 1, Errno::Io);
    fs.fail(Op::SyncDir, 2, Errno::Io);
    append(&mut log, b"one").unwrap_err();
    assert!(log.failed().is_some(), "two segments in a row could not be begun");

    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    fs.fail(Op::SyncDir, 1, Errno::Io);
    append(&mut log, b"one").unwrap();
    assert_eq!(log.failed(), None, "one failure to begin is survived");
}

#[test]
fn short_writes_are_completed() {
    let fs = SimFs::new();
    fs.short_writes();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    let all = commit(&mut log, &[&[&[1; 300], b"", &[2; 50]], &[b"x"]]);
    let (_, _, found) = open_log(&fs, settings()).unwrap();
    assert_eq!(found, all);
}

#[test]
fn a_trim_that_fails_can_be_repeated() {
    for (spare_bytes, op) in [(0, Op::Remove), (1 << 20, Op::Rename)] {
        let fs = SimFs::new();
        let (mut log, ..) = open_log(&fs, Settings { spare_bytes, ..small() }).unwrap();
        for _ in 0..7 {
            append(&mut log, &[7; 400]).unwrap();
        }
        fs.fail(op, 2, Errno::Io);
        log.trim(6).unwrap_err();
        assert_eq!(log.extent().oldest, Some(4), "the first is gone");
        assert_eq!(log.trim(6).unwrap().segments, 1);
        assert_eq!(reopened(&fs), [7]);
    }
}
