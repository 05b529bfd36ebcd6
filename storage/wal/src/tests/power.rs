//! Power cuts and kills at every operation, against a checker of what was promised; and a test of the checker.
//!
//! The rules: what was acknowledged, or had once been replayed, is found (unless it may have been trimmed). What is
//! found was written, unchanged. Numbers rise and are not given out twice. A power cut is not reported as damage.

use std::collections::BTreeMap;

use super::*;
use crate::sim::{Chance, Errno, Lie, Op};

/// A way to break the promise on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    None,
    Lie(Lie),
    /// Trims one more record than the caller may.
    TrimEarly,
    /// Tells the client before the group is committed.
    AckEarly,
}

/// What a client knows.
#[derive(Default)]
struct Checker {
    /// Must be found with these bytes.
    acknowledged: BTreeMap<u64, Vec<u8>>,
    /// May be found: written without an answer.
    unknown: Vec<Vec<u8>>,
    /// Up to here records may be gone.
    trimmed: u64,
    /// The highest number given out.
    highest: u64,
}

impl Checker {
    fn check(&mut self, recovery: &Recovery, found: &Found) -> Result<(), String> {
        if !recovery.damage.is_empty() {
            return Err(format!("a crash was taken for damage: {:?}", recovery.damage));
        }
        if !found.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(format!("numbers do not rise: {:?}", numbers(found)));
        }
        if recovery.next_seq <= self.highest {
            return Err(format!("number {} is given out again", recovery.next_seq));
        }
        for (seq, bytes) in found {
            match self.acknowledged.get(seq) {
                Some(known) if known == bytes => {}
                None if self.unknown.contains(bytes) => {}
                _ => return Err(format!("record {seq} was never written like this")),
            }
        }
        let found: BTreeMap<u64, Vec<u8>> = found.iter().cloned().collect();
        match self.acknowledged.keys().find(|seq| **seq > self.trimmed && !found.contains_key(seq)) {
            Some(seq) => Err(format!("acknowledged record {seq} is lost")),
            None => {
                // Whatever was seen once must be seen again.
                self.acknowledged.extend(found);
                Ok(())
            }
        }
    }

    fn acknowledge(&mut self, first: u64, group: Vec<Vec<u8>>) {
        self.acknowledged.extend((first..).zip(group));
        self.highest = self.acknowledged.keys().next_back().copied().unwrap_or(0);
    }
}

/// Several lives of one log, each ended by a power cut or a kill.
fn run(seed: u64, mutant: Mutant) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let fs = SimFs::new();
    let mut checker = Checker::default();
    for _ in 0..4 {
        // The power may fail while the log is opened, again and again.
        let (mut log, recovery, found) = loop {
            if chance.below(3) == 0 {
                fs.power_fails_at(1 + chance.below(4));
            }
            if let Mutant::Lie(lie) = mutant {
                fs.lie(lie);
            }
            match open_log(&fs, Settings { floor: checker.trimmed, segment_bytes: 1500, ..settings() }) {
                Ok(opened) => break opened,
                Err(_) => fs.power_cut(chance.number()),
            }
        };
        checker.check(&recovery, &found)?;
        fs.power_fails_at(1 + chance.below(60));
        live(&mut log, &fs, &mut checker, &mut chance, mutant);
        drop(log);
        // A kill leaves what a reader sees; the power may yet fail before the next open has synced it.
        if chance.below(4) > 0 {
            fs.power_cut(chance.number());
        }
    }
    fs.power_cut(chance.number());
    let last = Settings { floor: checker.trimmed, ..settings() };
    let (_, recovery, found) = open_log(&fs, last).map_err(|e| e.to_string())?;
    checker.check(&recovery, &found)
}

/// Appends, trims and rolls, with a fault now and then.
fn live(log: &mut Log, fs: &SimFs, checker: &mut Checker, chance: &mut Chance, mutant: Mutant) {
    for _ in 0..chance.below(30) {
        match chance.below(20) {
            0 => fs.fail(Op::Write, 1 + chance.below(3), Errno::NoSpace),
            1 => fs.fail(Op::Sync, 1 + chance.below(3), Errno::Io),
            2 => fs.fail(Op::SetLen, 1, Errno::Io),
            3 => drop(log.roll()),
            4 => drop(log.seal()),
            5 | 6 => {
                let through = checker.trimmed + chance.below(checker.highest + 1 - checker.trimmed);
                checker.trimmed = through;
                let through = through + u64::from(mutant == Mutant::TrimEarly);
                // Groups are written between the steps of a trim.
                let trimmed = crate::trim::trim(fs, &dir(), through, |step| {
                    if chance.below(3) == 0 {
                        append_group(log, checker, chance, mutant);
                    }
                    Ok(log.trim_step(step))
                });
                drop(trimmed);
            }
            7 => fs.capacity(Some(chance.below(6000))),
            8 => fs.capacity(None),
            9 => fs.fail(Op::SyncDir, 1 + chance.below(3), Errno::Io),
            10 => fs.fail(Op::Rename, 1 + chance.below(2), Errno::Io),
            11 => make_ahead(log, fs, checker, chance, mutant),
            _ => append_group(log, checker, chance, mutant),
        }
    }
}

/// Groups are written, spares given up and segments trimmed while one is made.
fn make_ahead(log: &mut Log, fs: &SimFs, checker: &mut Checker, chance: &mut Chance, mutant: Mutant) {
    let Some(blank) = log.blank() else { return };
    let made = blank.make(fs, &dir()).ok();
    for _ in 0..chance.below(5) {
        append_group(log, checker, chance, mutant);
    }
    if chance.below(4) == 0 {
        log.release_spares();
    }
    if chance.below(4) == 0 {
        drop(log.trim(checker.trimmed));
    }
    log.made(made);
}

fn append_group(log: &mut Log, checker: &mut Checker, chance: &mut Chance, mutant: Mutant) {
    let group: Vec<Vec<u8>> = (0..1 + chance.below(5))
        .map(|_| {
            let mut bytes = chance.number().to_le_bytes().to_vec();
            bytes.resize(8 + chance.below(700) as usize, bytes[0]);
            bytes
        })
        .collect();
    checker.unknown.extend(group.iter().cloned());
    let records: Vec<Record> = group.iter().cloned().map(Record::from).collect();
    let expected = checker.highest + 1;
    match log.commit(&records.iter().collect::<Vec<_>>()) {
        Ok(committed) => checker.acknowledge(committed.first, group),
        Err(_) if mutant == Mutant::AckEarly => checker.acknowledge(expected, group),
        Err(_) => {}
    }
}

/// 20,000 seeds; `HOTSPAN_SEEDS` sets another number, for a long night.
#[test]
fn no_power_cut_loses_what_was_acknowledged() {
    let seeds = std::env::var("HOTSPAN_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    for seed in 0..seeds {
        if let Err(why) = run(seed, Mutant::None) {
            panic!("seed {seed}: {why}");
        }
    }
}

/// A checker that notices nothing proves nothing.
#[test]
fn the_checker_finds_every_mutant() {
    let mutants = [
        Mutant::Lie(Lie::Sync),
        Mutant::Lie(Lie::SyncDir),
        Mutant::Lie(Lie::SetLen),
        Mutant::Lie(Lie::Write),
        Mutant::TrimEarly,
        Mutant::AckEarly,
    ];
    for mutant in mutants {
        let caught = (0..2000).find_map(|seed| run(seed, mutant).err());
        assert!(caught.is_some(), "{mutant:?} was not noticed in 2,000 seeds");
    }
}

/// After a failed sync the system may show bytes that no later sync will save. Whoever replays them has to write them
/// again.
#[test]
fn what_was_replayed_once_survives_the_next_power_cut() {
    for seed in 0..50 {
        let fs = SimFs::new();
        let (mut log, ..) = open_log(&fs, settings()).unwrap();
        commit(&mut log, &[&[b"one"]]);
        fs.fail(Op::Sync, 1, Errno::Io);
        fs.fail(Op::SetLen, 1, Errno::Io);
        fs.fail(Op::Create, 1, Errno::Io);
        log.commit(&[&Record::from(vec![2; 2000])]).map(|_| ()).unwrap_err();
        assert!(log.failed().is_some());
        let replayed = open_log(&fs, settings()).unwrap().2;
        assert_eq!(numbers(&replayed), [1, 2], "it still reads back");
        fs.power_cut(seed);
        assert_eq!(open_log(&fs, settings()).unwrap().2, replayed, "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let disk = |seed| {
        let fs = SimFs::new();
        let (mut log, ..) = open_log(&fs, settings()).unwrap();
        fs.power_fails_at(9);
        let mut chance = Chance::new(seed);
        live(&mut log, &fs, &mut Checker::default(), &mut chance, Mutant::None);
        fs.power_cut(seed);
        let paths = fs.paths();
        paths.into_iter().map(|path| (fs.read(&path, u64::MAX).unwrap(), path)).collect::<Vec<_>>()
    };
    for seed in 0..20 {
        assert_eq!(disk(seed), disk(seed));
    }
}

/// The simulated disk itself: what is synced stays, what is not may go.
#[test]
fn a_power_cut_takes_only_what_was_not_synced() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let fs = SimFs::new();
        fs.create_dir(&dir()).unwrap();
        let mut file = fs.create(&dir().join("a")).unwrap();
        file.append(&[std::io::IoSlice::new(&[1; 700])]).unwrap();
        file.sync().unwrap();
        fs.sync_dir(&dir()).unwrap();
        file.append(&[std::io::IoSlice::new(&[2; 1000])]).unwrap();
        fs.create(&dir().join("b")).unwrap();
        fs.power_cut(seed);
        assert!(file.sync().is_err(), "a handle from before is dead");
        let bytes = fs.read(&dir().join("a"), u64::MAX).unwrap();
        assert_eq!(bytes[..700], [1; 700]);
        outcomes.insert((bytes.len(), bytes.get(700).copied(), bytes.get(1500).copied(), fs.paths().len()));
    }
    // Grown or not; the sector from 512 and the one from 1024 old or new; name "b" kept or not.
    assert_eq!(outcomes.len(), 2 * (1 + 4));
}
