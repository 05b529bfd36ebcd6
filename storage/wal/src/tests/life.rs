//! Plain life: append, reopen, roll, trim, close, read beside a writer.

use super::*;
use crate::{Disk, MAX_RECORD, Quota, read, verify};

#[test]
fn what_was_appended_comes_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("deep/er/wal");
    let (wal, recovery, found) = open_wal(Arc::new(Disk), &at, settings()).unwrap();
    assert_eq!((recovery.next_seq, recovery.segments, found.len()), (1, 0, 0));
    assert_eq!(wal.append_wait(Record::from(b"one".to_vec())).unwrap(), 1);
    assert_eq!(wal.append_wait(Record::new().part(b"t").part(vec![b'w']).part("o".as_bytes())).unwrap(), 2);
    assert_eq!(wal.append_wait(Record::new()).unwrap(), 3, "an empty record is a record");
    assert_eq!(wal.stats().last_durable_seq, 3);
    wal.close().unwrap();

    let (_wal, recovery, found) = open_wal(Arc::new(Disk), &at, settings()).unwrap();
    assert_eq!(found, [(1, b"one".to_vec()), (2, b"two".to_vec()), (3, vec![])]);
    assert_eq!((recovery.records, recovery.first_seq, recovery.last_seq), (3, Some(1), Some(3)));
    assert_eq!((recovery.torn, recovery.damage, recovery.next_seq), (None, vec![], 4));
}

/// The file is what docs/format/wal.md says, built here by hand but for the checksum function.
#[test]
fn the_file_is_as_documented() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    commit(&mut log, &[&[b"a", b"bc"]]);
    log.seal().unwrap();

    let mut expected = b"HOTSPWAL\x01\0\0\0".to_vec();
    expected.extend(crc32c::crc32c(&expected).to_le_bytes());
    expected.extend([1, 0, 0, 0, 0, 0, 0, 0]); // first record
    expected.extend([0; 12]); // nothing before it
    let identity = crc32c::crc32c(&expected);
    expected.extend(identity.to_le_bytes());
    let mut prev = identity;
    for (seq, before, payload) in [(1_u64, 0, &b"a"[..]), (2, 1, b"bc"), (2, u32::MAX, b"")] {
        let mut header = prev.to_le_bytes().to_vec();
        header.extend(seq.to_le_bytes());
        header.extend((payload.len() as u32).to_le_bytes());
        header.extend(u32::to_le_bytes(before));
        header.extend(crc32c::crc32c(payload).to_le_bytes());
        prev = crc32c::crc32c_append(identity, &header);
        expected.extend(prev.to_le_bytes());
        expected.extend(header);
        expected.extend(payload);
    }
    assert_eq!(fs.read(&segment(1), u64::MAX).unwrap(), expected);
}

#[test]
fn many_reopens_go_on_in_the_same_segment() {
    let fs = SimFs::new();
    let mut all = Found::new();
    for round in 0..50_u8 {
        let (wal, recovery, found) = open_sim(&fs, settings());
        assert_eq!(found, all);
        assert_eq!((recovery.torn, recovery.damage), (None, vec![]));
        for _ in 0..round % 3 {
            all.push((wal.append_wait(Record::from(vec![round; 9])).unwrap(), vec![round; 9]));
        }
        if round % 2 == 0 {
            wal.close().unwrap();
        }
    }
    assert_eq!(numbers(&all), (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(fs.paths(), [segment(1)]);
}

#[test]
fn records_do_not_cross_segments() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, small()).unwrap();
    let mut all = Found::new();
    for _ in 0..10 {
        all.extend(commit(&mut log, &[&[&[7; 400]]]));
    }
    // 40 + n * 428 reaches 1000 with the third record.
    assert_eq!(fs.paths(), [segment(1), segment(4), segment(7), segment(10)]);
    let extent = log.extent();
    assert_eq!((extent.segments, extent.bytes), (4, 4 * 40 + 10 * 428));
    let (_, recovery, found) = open_log(&fs, small()).unwrap();
    assert_eq!((found, recovery.segments, recovery.bytes), (all, 4, 4 * 40 + 10 * 428));
}

#[test]
fn numbers_start_above_the_floor_and_are_never_reused() {
    let fs = SimFs::new();
    let floor = |floor| Settings { floor, ..settings() };
    let (mut log, recovery, _) = open_log(&fs, floor(41)).unwrap();
    assert_eq!(recovery.next_seq, 42);
    assert_eq!(numbers(&commit(&mut log, &[&[b"x"]])), [42]);
    let (mut log, ..) = open_log(&fs, floor(10)).unwrap();
    assert_eq!(numbers(&commit(&mut log, &[&[b"x"]])), [43], "a lower floor changes nothing");
    let (mut log, ..) = open_log(&fs, floor(99)).unwrap();
    assert_eq!(numbers(&commit(&mut log, &[&[b"x"]])), [100]);
    let (_, recovery, found) = open_log(&fs, floor(0)).unwrap();
    assert_eq!((numbers(&found), recovery.damage), (vec![42, 43, 100], vec![]), "a skipped number is not a loss");
}

#[test]
fn trim_deletes_whole_segments_and_keeps_the_number() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, Settings { spare_bytes: 0, ..small() });
    for _ in 0..8 {
        wal.append_wait(Record::from(vec![7; 400])).unwrap();
    }
    assert_eq!(wal.trim(2).unwrap().segments, 0, "1 to 3 share a segment");
    let trimmed = wal.trim(3).unwrap();
    assert_eq!((trimmed.segments, trimmed.bytes, trimmed.aside), (1, 40 + 3 * 428, 0));
    assert_eq!(wal.stats().oldest_seq, Some(4));
    assert_eq!(wal.trim(7).unwrap().segments, 1, "the active segment holds 7 and 8");
    assert_eq!(wal.trim(8).unwrap().segments, 1, "now it can go: a new one is begun");
    assert_eq!(wal.trim(1000).unwrap().segments, 0);
    assert_eq!(fs.paths(), [segment(9)]);
    let stats = wal.stats();
    assert_eq!((stats.segments, stats.bytes, stats.oldest_seq, stats.last_durable_seq), (1, 40, None, 8));
    wal.close().unwrap();
    let (wal, recovery, found) = open_sim(&fs, settings());
    assert_eq!((recovery.next_seq, found, wal.stats().last_durable_seq), (9, vec![], 8));
    assert_eq!(wal.append_wait(Record::new()).unwrap(), 9);
}

#[test]
fn roll_begins_a_segment_only_behind_records() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    wal.roll().unwrap();
    assert_eq!(fs.paths(), [] as [PathBuf; 0]);
    wal.append_wait(Record::new()).unwrap();
    wal.roll().unwrap();
    wal.roll().unwrap();
    assert_eq!(fs.paths(), [segment(1), segment(2)]);
}

#[test]
fn what_makes_room_is_taken_by_a_full_log() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, Settings { segment_bytes: 1000, max_log_bytes: 1500, ..settings() });
    while wal.append_wait(Record::from(vec![7; 300])).is_ok() {}
    let full = wal.append_wait(Record::from(vec![8; 500])).unwrap_err();
    assert!(matches!(full, WalError::Full { quota: crate::Quota::Log, .. }), "{full}");
    let seq = wal.append_wait_past_quotas(Record::from(vec![8; 500])).unwrap();
    wal.trim(seq - 1).unwrap();
    wal.append_wait(Record::from(vec![7; 300])).unwrap();
    wal.close().unwrap();
    assert!(matches!(wal.append_wait_past_quotas(Record::new()), Err(WalError::Closed)));
}

#[test]
fn refusals_keep_nothing_and_say_why() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    let huge = Record::from(vec![0; MAX_RECORD as usize + 1]);
    let refused = wal.append(huge, Box::new(|_| panic!("must not be called"))).unwrap_err();
    assert!(matches!(refused, WalError::TooLarge { .. }), "{refused}");
    wal.close().unwrap();
    assert!(matches!(wal.append_wait(Record::new()), Err(WalError::Closed)));
    assert!(matches!(wal.takes(0), Err(WalError::Closed)));
    assert!(matches!(wal.trim(1), Err(WalError::Closed)));
    wal.close().unwrap();

    let tiny = Settings { segment_bytes: 100, max_log_bytes: 300, ..settings() };
    let (wal, ..) = open_sim(&SimFs::new(), tiny);
    let mut last = 0;
    let full = loop {
        match wal.append_wait(Record::from(vec![0; 50])) {
            Ok(seq) => last = seq,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, WalError::Full { quota: Quota::Log, limit: 300, .. }), "{full}");
    assert_eq!(full.to_string(), "the write-ahead log is full: it holds 354 of 300 bytes");
    assert_eq!(wal.takes(50).unwrap_err().to_string(), full.to_string());
    wal.trim(last).unwrap();
    wal.takes(50).unwrap();
    wal.append_wait(Record::from(vec![0; 50])).unwrap();
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let wrong = Settings { max_log_bytes: 10, ..settings() };
    let refused = open_wal(Arc::new(SimFs::new()), &dir(), wrong).map(|_| ()).unwrap_err();
    assert_eq!(refused.to_string(), "invalid settings: max_log_bytes must be at least segment_bytes");
}

#[test]
fn a_replay_that_fails_stops_the_opening_and_changes_nothing() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    commit(&mut log, &[&[b"a", b"b"]]);
    let before = fs.operations();
    let mut refuse = |seq, _: &[u8]| if seq == 2 { Err("no") } else { Ok(()) };
    let opened = Wal::open(Arc::new(fs.clone()), &dir(), settings(), &mut refuse).map(|_| ());
    assert_eq!(opened.unwrap_err().to_string(), "replaying record 2: no");
    assert_eq!(fs.operations(), before);
}

#[test]
fn a_reader_beside_the_writer_changes_nothing() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, small());
    for _ in 0..5 {
        wal.append_wait(Record::from(vec![7; 400])).unwrap();
    }
    let before = fs.operations();
    let mut seen = Vec::new();
    let mut each = |seq, _: &[u8]| {
        seen.push(seq);
        Ok::<(), Infallible>(())
    };
    let report = read(&fs, &dir(), &mut each).unwrap();
    assert_eq!((seen, report.is_sound()), (vec![1, 2, 3, 4, 5], true));
    let report = verify(&fs, &dir()).unwrap();
    let segments: Vec<_> = report.segments.iter().map(|s| (s.first_seq, s.last_seq, s.records)).collect();
    assert_eq!(segments, [(1, 3, 3), (4, 5, 2)]);
    assert_eq!(fs.operations(), before);
}

#[test]
fn foreign_files_are_left_alone() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, settings()).unwrap();
    commit(&mut log, &[&[b"a"]]);
    for name in ["notes.txt", "1.wal", "00000000000000000000.wal", "000000000000000000zz.wal"] {
        fs.create(&dir().join(name)).unwrap();
    }
    let (mut log, recovery, found) = open_log(&fs, settings()).unwrap();
    assert_eq!((found.len(), recovery.segments), (1, 1));
    log.trim(u64::MAX).unwrap();
    assert_eq!(fs.paths().len(), 5);
}

#[test]
fn a_stretch_is_read_again_beside_the_writer() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, small());
    for number in 1..=20_u8 {
        assert_eq!(wal.append_wait(Record::from(vec![number; 300])).unwrap(), u64::from(number));
    }
    let stretch = |range| read_again(&wal, range);
    let sent = |numbers: std::ops::RangeInclusive<u8>| -> Found {
        numbers.map(|number| (u64::from(number), vec![number; 300])).collect()
    };
    assert_eq!(stretch(6..=14), sent(6..=14));
    assert_eq!(stretch(20..=20), sent(20..=20));
    wal.trim(9).unwrap();
    let left = stretch(6..=14);
    assert_eq!(left, sent(left.first().map_or(0, |(seq, _)| *seq as u8)..=14), "what was trimmed is not handed over");
    assert!(left.iter().any(|(seq, _)| *seq == 10), "what was not trimmed is");
}

#[test]
fn a_stretch_of_a_large_segment_needs_little_memory() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    let sent: Found = (1..=3_000_u64).map(|number| (number, number.to_le_bytes().repeat(1_000))).collect();
    for (number, bytes) in &sent {
        assert_eq!(wal.append_wait(Record::from(bytes.clone())).unwrap(), *number);
    }
    assert_eq!((wal.stats().segments, wal.stats().bytes > 24_000_000), (1, true));
    for range in [1..=3_000, 1..=1, 1_400..=1_600, 3_000..=3_000] {
        fs.largest_read();
        let wanted: Found = sent[range.start() - 1..*range.end()].to_vec();
        assert!(read_again(&wal, *range.start() as u64..=*range.end() as u64) == wanted, "{range:?}");
        assert!(fs.largest_read() <= 1 << 20, "{range:?}");
    }
    // One record is larger.
    assert_eq!(wal.append_wait(Record::from(vec![7; 3 << 20])).unwrap(), 3_001);
    assert!(read_again(&wal, 2_999..=3_001) == [&sent[2_998..], &[(3_001, vec![7; 3 << 20])]].concat());
}

#[test]
fn a_stretch_is_read_around_damage_wherever_that_is() {
    let records = || (1..=20_u8).map(|number| (u64::from(number), vec![number; 300])).collect::<Found>();
    let frame = 28 + 300;
    // The header of a frame before the stretch, a payload before it, a header and a payload within it, and behind it.
    for (at, lost) in [
        (40 + 2 * frame, 0),
        (40 + 3 * frame + 100, 0),
        (40 + 9 * frame, 10),
        (40 + 9 * frame + 28, 10),
        (40 + 16 * frame, 0),
    ] {
        let fs = SimFs::new();
        let (wal, ..) = open_sim(&fs, settings());
        for (_, bytes) in records() {
            wal.append_wait(Record::from(bytes)).unwrap();
        }
        fs.edit(&segment(1), |bytes| bytes[at] ^= 0x40).unwrap();
        let wanted: Vec<u64> = (6..=14).filter(|number| *number != lost).collect();
        let found = read_again(&wal, 6..=14);
        assert_eq!(numbers(&found), wanted, "damage at {at}");
        assert!(found.iter().all(|(seq, bytes)| *bytes == vec![*seq as u8; 300]));
    }
}

fn read_again(wal: &Wal, range: std::ops::RangeInclusive<u64>) -> Found {
    let mut found = Found::new();
    let mut keep = |seq, bytes: &[u8]| {
        found.push((seq, bytes.to_vec()));
        Ok::<(), Infallible>(())
    };
    unwrap(wal.read(range, &mut keep).map(drop)).unwrap();
    found
}
