//! Segments that are written over older ones: what they hold, what they do not, and what becomes of the space.

use super::*;
use crate::frame::{FRAME_HEADER, LEFTOVERS, SEGMENT_HEADER, SegmentHeader};
use crate::sim::{Errno, Op};
use crate::{Why, verify};

/// Header and mark of a segment that is written over another.
const BEGIN: usize = SEGMENT_HEADER + FRAME_HEADER + LEFTOVERS;
/// A record of 400 bytes with its frame.
const FRAME: usize = FRAME_HEADER + 400;

fn fill(log: &mut Log, byte: u8, records: usize) -> Found {
    (0..records).flat_map(|_| commit(log, &[&[&[byte; 400]]])).collect()
}

/// Segments 1 and 4 have been filled, 1 was trimmed, and two records were written over it as segment 7.
fn written_over(fs: &SimFs) -> (Log, Found) {
    let (mut log, ..) = open_log(fs, small()).unwrap();
    let mut all = fill(&mut log, b'a', 6);
    log.trim(3).unwrap();
    assert_eq!(fs.paths(), [spare(1), segment(4)]);
    all.extend(fill(&mut log, b'b', 2));
    assert_eq!(fs.paths(), [segment(4), segment(7)]);
    (log, all.split_off(3))
}

fn reopen(fs: &SimFs) -> (Recovery, Vec<u64>) {
    let checked = verify(fs, &dir()).unwrap();
    let (_, recovery, found) = open_log(fs, small()).unwrap();
    assert_eq!(checked.found, recovery, "check and open agree");
    (recovery, numbers(&found))
}

#[test]
fn a_trimmed_segment_is_written_over_and_its_records_do_not_come_back() {
    let fs = SimFs::new();
    let (log, all) = written_over(&fs);
    let size = fs.read(&segment(7), u64::MAX).unwrap().len();
    assert_eq!(size, SEGMENT_HEADER + 3 * FRAME, "the file is as long as the old segment");
    assert_eq!(fs.read(&segment(7), u64::MAX).unwrap()[BEGIN + 2 * FRAME..][..100], [b'a'; 100], "and holds its rest");
    let bytes = (SEGMENT_HEADER + 3 * FRAME + BEGIN + 2 * FRAME) as u64;
    assert_eq!((log.extent().segments, log.extent().bytes), (2, bytes), "only what was written counts");
    drop(log);

    let (_, recovery, found) = open_log(&fs, small()).unwrap();
    assert_eq!(found, all);
    assert_eq!((recovery.torn, recovery.damage, recovery.next_seq), (None, vec![], 9));
    assert_eq!(recovery.bytes, bytes);
    let cut = fs.read(&segment(7), u64::MAX).unwrap().len();
    assert_eq!(cut, BEGIN + 2 * FRAME, "an open goes on behind what counts");
}

/// The mark is what docs/format/wal.md says, built here by hand but for the checksum function.
#[test]
fn the_mark_is_as_documented() {
    let fs = SimFs::new();
    written_over(&fs);
    let bytes = fs.read(&segment(7), u64::MAX).unwrap();
    let identity = SegmentHeader::decode(&bytes).unwrap().identity();
    let had = 1324_u64.to_le_bytes();
    let mut mark = identity.to_le_bytes().to_vec();
    mark.extend(6_u64.to_le_bytes());
    mark.extend(8_u32.to_le_bytes());
    mark.extend(u32::MAX.to_le_bytes());
    mark.extend(crc32c::crc32c(&had).to_le_bytes());
    let check = crc32c::crc32c_append(identity, &mark).to_le_bytes();
    assert_eq!(bytes[SEGMENT_HEADER..BEGIN], [check.as_slice(), &mark, &had].concat());
}

#[test]
fn a_group_that_was_torn_over_an_old_segment_is_cut_off() {
    let fs = SimFs::new();
    written_over(&fs);
    // The frame of the last record says that there is one; some of its bytes are still the old ones.
    let at = BEGIN + FRAME + FRAME_HEADER;
    fs.edit(&segment(7), |bytes| bytes[at..at + 100].fill(b'a')).unwrap();
    let (recovery, found) = reopen(&fs);
    assert_eq!((found, recovery.damage), (vec![4, 5, 6, 7], vec![]));
    let torn = recovery.torn.unwrap();
    assert_eq!((torn.segment, torn.offset), (7, (BEGIN + FRAME) as u64));
    assert_eq!(reopen(&fs).0.torn, None);
}

#[test]
fn a_group_of_which_nothing_arrived_leaves_no_trace() {
    let fs = SimFs::new();
    written_over(&fs);
    let at = BEGIN + FRAME;
    fs.edit(&segment(7), |bytes| bytes[at..at + FRAME_HEADER].fill(b'a')).unwrap();
    let (recovery, found) = reopen(&fs);
    assert_eq!((found, recovery.damage, recovery.torn), (vec![4, 5, 6, 7], vec![], None));
}

#[test]
fn damage_is_found_in_front_of_what_an_old_segment_left() {
    let build = || {
        let fs = SimFs::new();
        let (mut log, _) = written_over(&fs);
        fill(&mut log, b'c', 1);
        fs
    };
    let flip = |fs: &SimFs, at: usize| fs.edit(&segment(7), |bytes| bytes[at] ^= 0x10).unwrap();
    let lost = |fs: &SimFs| {
        let (recovery, found) = reopen(fs);
        let damage: Vec<_> = recovery.damage.iter().map(|d| (d.segment, d.why, d.records_lost_estimate)).collect();
        (found, damage)
    };
    let fs = build();
    flip(&fs, BEGIN + FRAME + FRAME_HEADER + 7);
    assert_eq!(lost(&fs), (vec![4, 5, 6, 7, 9], vec![(7, Why::Payload, 1)]));
    let fs = build();
    flip(&fs, SEGMENT_HEADER + FRAME_HEADER);
    assert_eq!(lost(&fs), (vec![4, 5, 6, 7, 8, 9], vec![(7, Why::Payload, 0)]), "the mark itself");
    let fs = build();
    flip(&fs, 3);
    assert_eq!(lost(&fs), (vec![4, 5, 6, 7, 8, 9], vec![(7, Why::Header, 0)]), "the header");
    // Its last record, of which the next segment says that it had been acknowledged.
    let fs = SimFs::new();
    let (mut log, _) = written_over(&fs);
    log.roll().unwrap();
    fill(&mut log, b'd', 1);
    flip(&fs, BEGIN + FRAME);
    assert_eq!(lost(&fs), (vec![4, 5, 6, 7, 9], vec![(7, Why::Missing, 1)]));
}

/// The folder is not synced when a segment is begun over a spare. The power cut gives the file its old name again.
#[test]
fn a_segment_is_known_by_its_header_when_a_power_cut_undoes_its_name() {
    let undone = (0..50).filter(|&seed| {
        let fs = SimFs::new();
        let (_, all) = written_over(&fs);
        fs.power_cut(seed);
        let undone = fs.paths() == [spare(1), segment(4)];
        let (_, recovery, found) = open_log(&fs, small()).unwrap();
        assert_eq!((&found, recovery.damage.len()), (&all, 0), "seed {seed}");
        assert_eq!(fs.paths(), [segment(4), segment(7)]);
        undone
    });
    assert!((1..50).contains(&undone.count()));
}

#[test]
fn no_more_spares_are_kept_than_are_needed_and_allowed() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, small()).unwrap();
    fill(&mut log, b'a', 30);
    log.trim(27).unwrap();
    assert_eq!((log.extent().segments, log.extent().spares), (1, 9), "ten segments were begun");
    for round in 0..40 {
        fill(&mut log, b'b', 3);
        log.trim(27 + 3 * round).unwrap();
    }
    assert!(log.extent().spares <= 2, "{:?}", log.extent());

    let most = |settings: Settings| {
        let (mut log, ..) = open_log(&SimFs::new(), settings).unwrap();
        fill(&mut log, b'a', 30);
        log.trim(27).unwrap();
        log.extent().spare_bytes
    };
    let size = (SEGMENT_HEADER + 3 * FRAME) as u64;
    assert_eq!(most(Settings { spare_bytes: 3000, ..small() }), 2 * size);
    // Ten segments are there when the first is trimmed; the log and the spares together never take more.
    assert_eq!(most(Settings { max_log_bytes: 10 * size, ..small() }), 9 * size);
    assert_eq!(most(Settings { max_log_bytes: 5 * size, ..small() }), 4 * size);
    assert_eq!(most(Settings { spare_bytes: 0, ..small() }), 0);
}

#[test]
fn trims_that_find_nothing_leave_the_spares() {
    let fs = SimFs::new();
    let (mut log, _) = written_over(&fs);
    log.trim(6).unwrap();
    for _ in 0..50 {
        log.trim(6).unwrap();
    }
    assert_eq!(fs.paths(), [spare(4), segment(7)], "segment 7 is filled so slowly");
    fill(&mut log, b'c', 2);
    assert_eq!(fs.paths(), [segment(7), segment(10)]);
}

#[test]
fn a_full_disk_takes_the_spares_back() {
    let fs = SimFs::new();
    let (mut log, ..) = open_log(&fs, small()).unwrap();
    fill(&mut log, b'a', 9);
    log.trim(6).unwrap();
    assert_eq!(log.extent().spares, 2);
    // A spare is written over on a disk that is full; beyond its end there is no room.
    fs.capacity(Some(0));
    assert_eq!(numbers(&fill(&mut log, b'b', 2)), [10, 11]);
    assert!(log.commit(&[&Record::from(vec![1; 2000])]).unwrap_err().is_no_space());
    assert_eq!((log.extent().spares, fs.paths()), (0, vec![segment(7), segment(10)]));
    fs.capacity(None);
    assert_eq!(numbers(&fill(&mut log, b'b', 1)), [12]);
    assert_eq!(reopen(&fs).1, [7, 8, 9, 10, 11, 12]);
}

#[test]
fn spares_are_released_on_demand() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, small());
    for _ in 0..3 {
        wal.append_wait(Record::from(vec![7; 400])).unwrap();
        wal.roll().unwrap();
    }
    wal.trim(2).unwrap();
    let stats = wal.stats();
    assert_eq!((stats.segments, stats.spares, stats.spare_bytes), (2, 2, 2 * (SEGMENT_HEADER + FRAME) as u64));
    wal.release_spares();
    wal.roll().unwrap();
    assert_eq!((wal.stats().spares, fs.paths()), (0, vec![segment(3), segment(4)]));
}

#[test]
fn a_spare_that_cannot_be_used_is_given_up() {
    for op in [Op::Write, Op::Sync, Op::Rename] {
        let fs = SimFs::new();
        let (mut log, ..) = open_log(&fs, small()).unwrap();
        fill(&mut log, b'a', 9);
        log.trim(6).unwrap();
        fs.fail(op, 1, Errno::Io);
        assert_eq!(numbers(&fill(&mut log, b'b', 1)), [11], "{op:?}: the next spare is taken, and a number skipped");
        assert_eq!(fs.paths(), [segment(7), segment(11)]);
        assert_eq!(reopen(&fs).1, [7, 8, 9, 11]);
    }
}

#[test]
fn a_reader_leaves_out_what_is_written_over_while_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (wal, ..) =
        open_wal(Arc::new(crate::Disk), folder.path(), Settings { segment_bytes: 4096, ..settings() }).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..2000_u32 {
                let seq = wal.append_wait(Record::from(vec![n as u8; 1000])).unwrap();
                wal.trim(seq.saturating_sub(5)).unwrap();
            }
            wal.close().unwrap();
        });
        loop {
            let report = verify(&crate::Disk, folder.path()).unwrap();
            assert!(report.is_sound(), "{:?}", report.found.damage);
            if report.found.last_seq == Some(2000) {
                break;
            }
        }
    });
}
