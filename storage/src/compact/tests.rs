//! Which files a merge takes, by hand-made lists of files.

use std::collections::BTreeMap;

use super::*;
use crate::delta::{Add, FileFacts};

const NOW: Nanos = 1_000 * SECOND;

/// A file of rows received between two seconds before now.
fn file(name: &str, level: u32, rows: u64, unassembled: u64, (from, to): (i64, i64)) -> Arc<DataFile> {
    let received = (NOW - from * SECOND, NOW - to * SECOND);
    let facts = FileFacts {
        name: name.into(),
        size: rows * 50,
        rows,
        times: received,
        received,
        services: None,
        time_column: "start_time_unix_nano",
        unassembled,
        level,
        checksum: 0,
        summary: None,
    };
    let clock = model::ManualClock::at(NOW);
    let mut add = Add::of(&facts, true, &clock);
    add.partition_values = BTreeMap::new();
    Arc::new(DataFile::of(&add, &Path::from("tables/spans"), "start_time_unix_nano"))
}

fn names(job: Option<Job>) -> Option<(u32, Vec<String>)> {
    let job = job?;
    Some((job.level, job.inputs.iter().map(|f| f.add.path.clone()).collect()))
}

#[test]
fn what_was_written_in_a_hurry_is_merged_once_its_traces_are_quiet() {
    let raw = |at: i64| file(&format!("raw{at}"), 0, 100, 100, (at, at - 1));
    let young: Vec<_> = (1..12).map(raw).collect();
    assert_eq!(names(plan(&young, NOW, 1_000)), None, "traces may still grow");
    let few: Vec<_> = (1..16).map(raw).collect();
    assert_eq!(names(plan(&few, NOW, 1_000)), None, "three of fifteen are ready, and company may come");
    let eight: Vec<_> = (5..22).map(raw).collect();
    let expected = ["raw21", "raw20", "raw19", "raw18", "raw17", "raw16", "raw15", "raw14"].map(str::to_owned);
    assert_eq!(names(plan(&eight, NOW, 1_000)), Some((1, expected.to_vec())));
    assert_eq!(names(plan(&[raw(30)], NOW, 1_000)), Some((1, vec!["raw30".to_owned()])), "none came");
    let big: Vec<_> = (14..22).map(raw).collect();
    let expected = ["raw21", "raw20", "raw19"].map(str::to_owned);
    assert_eq!(names(plan(&big, NOW, 300)), Some((1, expected.to_vec())), "as many as fit");
}

#[test]
fn eight_neighbours_of_a_level_become_one_of_the_next() {
    let done = |level: u32, at: i64| file(&format!("l{level}-{at}"), level, 100, 0, (at, at - 1));
    let seven: Vec<_> = (100..107).map(|at| done(1, at)).collect();
    assert_eq!(names(plan(&seven, NOW, 10_000)), None);
    let mut mixed = seven;
    mixed.push(done(2, 90));
    assert_eq!(names(plan(&mixed, NOW, 10_000)), None, "of another level");
    mixed.push(done(1, 90));
    let (level, inputs) = names(plan(&mixed, NOW, 10_000)).expect("eight");
    assert_eq!((level, inputs.len(), inputs[7].as_str()), (2, 8, "l1-90"));
    let last: Vec<_> = (100..120).map(|at| done(LAST_LEVEL, at)).collect();
    assert_eq!(names(plan(&last, NOW, 10_000)), None, "large enough");
    assert_eq!(names(plan(&mixed, NOW, 150)), None, "each is more than half of a merge");
}
