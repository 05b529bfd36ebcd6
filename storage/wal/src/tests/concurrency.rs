//! Many threads: each is answered once, in the order of the log.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use super::*;
use crate::sim::{Errno, Op};
use crate::{Disk, Quota};

#[test]
fn every_record_is_answered_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { segment_bytes: 4096, ..settings() };
    let (wal, ..) = open_wal(Arc::new(Disk), folder.path(), settings.clone()).unwrap();
    let answers = Arc::new(Mutex::new(Found::new()));
    thread::scope(|scope| {
        for client in 0..16_u8 {
            let (wal, answers) = (&wal, &answers);
            scope.spawn(move || {
                let (tell, told) = channel();
                for n in 0..25 {
                    let (tell, answers) = (tell.clone(), answers.clone());
                    let done = move |answer: Result<u64, WalError>| {
                        answers.lock().unwrap().push((answer.unwrap(), vec![client, n]));
                        tell.send(()).unwrap();
                    };
                    wal.append(Record::from(vec![client, n]), Box::new(done)).unwrap();
                    if n % 5 == 4 {
                        (0..5).for_each(|_| told.recv().unwrap());
                    }
                }
            });
        }
    });
    let stats = wal.stats();
    assert_eq!((stats.records, stats.last_durable_seq, stats.queued_bytes, stats.queued_records), (400, 400, 0, 0));
    assert!(stats.groups <= 400 && stats.groups == stats.syncs);
    wal.close().unwrap();
    let answers = answers.lock().unwrap().clone();
    assert_eq!(numbers(&answers), (1..=400).collect::<Vec<_>>());
    let (_wal, _, found) = open_wal(Arc::new(Disk), folder.path(), settings).unwrap();
    assert_eq!(found, answers, "the order of the completions is the order of the log");
    for client in 0..16 {
        let own: Vec<u8> = found.iter().filter(|(_, r)| r[0] == client).map(|(_, r)| r[1]).collect();
        assert_eq!(own, (0..25).collect::<Vec<_>>(), "the order of one client is kept");
    }
}

/// A completion that waits holds the writer, so that the queue can be filled without a race.
fn hold(wal: &Wal) -> impl FnOnce() + use<> {
    let (release, released) = channel::<()>();
    let (tell, told) = channel();
    let done = Box::new(move |_| {
        tell.send(()).unwrap();
        released.recv().unwrap();
    });
    wal.append(Record::new(), done).unwrap();
    told.recv().unwrap();
    move || release.send(()).unwrap()
}

#[test]
fn what_waits_goes_in_one_group_with_one_sync() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    let release = hold(&wal);
    let (tell, told) = channel();
    for _ in 0..100 {
        let tell = tell.clone();
        wal.append(Record::from(vec![1; 10]), Box::new(move |seq| tell.send(seq.unwrap()).unwrap())).unwrap();
    }
    assert_eq!((wal.stats().queued_records, wal.stats().queued_bytes), (100, 1000));
    let syncs = wal.stats().syncs;
    release();
    assert_eq!((0..100).map(|_| told.recv().unwrap()).collect::<Vec<_>>(), (2..=101).collect::<Vec<_>>());
    assert_eq!((wal.stats().syncs, wal.stats().groups), (syncs + 1, 2));
}

#[test]
fn records_do_not_wait_until_all_segments_are_gone() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, Settings { segment_bytes: 100, ..settings() });
    (0..10).for_each(|_| assert!(wal.append_wait(Record::from(vec![3; 100])).is_ok()));
    let segments = wal.stats().segments;
    assert!(segments >= 10, "{segments}");
    let release = hold(&wal);
    thread::scope(|scope| {
        let trimming = scope.spawn(|| wal.trim(10).unwrap());
        while wal.group.orders() == 0 {
            thread::yield_now();
        }
        let (tell, told) = channel();
        let names = fs.clone();
        let done = move |_| tell.send(names.paths().len() as u64).unwrap();
        wal.append(Record::from(vec![4; 1]), Box::new(done)).unwrap();
        release();
        let seen = told.recv().unwrap();
        assert!(seen >= segments - 1, "{seen} of {segments} segments were left when the record was written");
        assert_eq!(trimming.join().unwrap().segments, 10);
    });
}

#[test]
fn a_full_queue_refuses_at_once() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, Settings { max_queued_bytes: 100, ..settings() });
    let release = hold(&wal);
    let (tell, told) = channel();
    let done = move |seq: Result<u64, WalError>| tell.send(seq.unwrap()).unwrap();
    wal.append(Record::from(vec![1; 500]), Box::new(done)).unwrap();
    let refused = wal.append(Record::from(vec![1; 1]), Box::new(|_| {})).unwrap_err();
    assert!(matches!(refused, WalError::Full { quota: Quota::Queue, held: 500, limit: 100 }), "{refused}");
    release();
    assert_eq!(told.recv().unwrap(), 2);
    wal.append_wait(Record::from(vec![1; 500])).unwrap();
}

#[test]
fn a_failed_group_answers_all_its_records() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    let release = hold(&wal);
    let (tell, told) = channel();
    for _ in 0..3 {
        let tell = tell.clone();
        wal.append(Record::new(), Box::new(move |answer| tell.send(answer).unwrap())).unwrap();
    }
    fs.fail(Op::Sync, 1, Errno::Io);
    release();
    for _ in 0..3 {
        assert!(matches!(told.recv().unwrap(), Err(WalError::Sync { .. })));
    }
    assert_eq!(wal.append_wait(Record::new()).unwrap(), 5);
}

#[test]
fn closing_finishes_the_queue() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    let release = hold(&wal);
    let (tell, told) = channel();
    for _ in 0..10 {
        let tell = tell.clone();
        wal.append(Record::new(), Box::new(move |seq| tell.send(seq.unwrap()).unwrap())).unwrap();
    }
    thread::scope(|scope| {
        let closing = scope.spawn(|| wal.close());
        release();
        closing.join().unwrap().unwrap();
    });
    assert_eq!(told.try_iter().collect::<Vec<_>>(), (2..=11).collect::<Vec<_>>());
    assert_eq!(open_sim(&fs, settings()).1.records, 11);
}

#[test]
fn a_completion_that_panics_stops_the_log_and_hangs_nobody() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, settings());
    wal.append(Record::new(), Box::new(|_| std::panic::resume_unwind(Box::new("broken")))).unwrap();
    let stopped = loop {
        // The first of these may still be taken before the writer is gone; it must then be answered all the same.
        if let Err(error) = wal.append_wait(Record::new()) {
            break error;
        }
    };
    assert!(matches!(stopped, WalError::Failed { .. }), "{stopped}");
    assert!(wal.roll().is_err());
    wal.trim(0).unwrap();
    assert!(wal.close().is_err());
}

/// Bytes that are there only for the thread that made them.
struct Foreign(thread::ThreadId);

impl AsRef<[u8]> for Foreign {
    fn as_ref(&self) -> &[u8] {
        if thread::current().id() != self.0 {
            std::panic::resume_unwind(Box::new("broken"));
        }
        b"bytes"
    }
}

#[test]
fn a_writer_that_panics_answers_all_who_wait_in_order() {
    let (wal, ..) = open_sim(&SimFs::new(), settings());
    let release = hold(&wal);
    let (tell, told) = channel();
    let beyond_a_group = Record::from(vec![7; 8 << 20]);
    let records = [Record::new(), Record::new().part(Foreign(thread::current().id())), beyond_a_group];
    for (at, record) in records.into_iter().enumerate() {
        let tell = tell.clone();
        let done = move |answer: Result<u64, WalError>| {
            tell.send((at, answer.unwrap_err().to_string())).unwrap();
            std::panic::resume_unwind(Box::new("a completion that panics keeps no other from its answer"));
        };
        wal.append(record, Box::new(done)).unwrap();
    }
    drop(tell);
    release();
    let why = "the write-ahead log has stopped: the writer thread panicked";
    assert_eq!(told.iter().collect::<Vec<_>>(), [0, 1, 2].map(|at| (at, why.to_owned())));
    let refused = wal.append_wait(Record::new()).unwrap_err();
    assert_eq!((refused.to_string().as_str(), wal.stats().queued_bytes), (why, 0));
    assert!(wal.close().is_err());
}

#[test]
fn trims_and_rolls_beside_appends() {
    let fs = SimFs::new();
    let (wal, ..) = open_sim(&fs, Settings { segment_bytes: 500, ..settings() });
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| assert!(wal.append_wait(Record::from(vec![9; 50])).is_ok())));
        }
        scope.spawn(|| {
            for _ in 0..50 {
                wal.trim(wal.stats().last_durable_seq).unwrap();
                wal.roll().unwrap();
            }
        });
    });
    wal.trim(400).unwrap();
    let stats = wal.stats();
    assert_eq!((stats.last_durable_seq, stats.segments, stats.oldest_seq), (400, 1, None));
}
