//! Changes of files and of names that are on the disk for certain only after a sync.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::SECTOR;
use super::chance::{Chance, Mood};

#[derive(Default)]
pub(super) struct Inode {
    /// What a reader sees.
    pub live: Vec<u8>,
    /// What is on the disk for certain.
    pub synced: Vec<u8>,
    /// Changes that may or may not be on the disk.
    pub pending: Vec<Change>,
}

pub(super) enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Change {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, data) => {
                let end = at + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*at..end].copy_from_slice(data);
            }
            Change::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

impl Inode {
    pub fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.synced);
        }
    }

    /// Some of what is pending reaches the disk, sector by sector; the rest never will.
    pub fn tear(&mut self, mood: Mood, chance: &mut Chance) {
        let mut states = vec![self.synced.clone()];
        for change in self.pending.drain(..) {
            let mut next = states[states.len() - 1].clone();
            change.apply(&mut next);
            states.push(next);
        }
        let newest = states.len() - 1;
        let len = states[mood.pick(newest, chance)].len();
        let mut bytes = vec![0; len];
        for (index, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            let state = &states[mood.pick(newest, chance)];
            let from = (index * SECTOR).min(state.len());
            let kept = &state[from..state.len().min(from + sector.len())];
            sector[..kept.len()].copy_from_slice(kept);
        }
        self.synced = bytes;
    }
}

#[derive(Clone)]
pub(super) enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl NameChange {
    pub fn dir(&self) -> Option<&Path> {
        match self {
            NameChange::Link(path, _) | NameChange::Unlink(path) | NameChange::Rename(path, _) => path.parent(),
        }
    }

    pub fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Link(path, file) => {
                names.insert(path.clone(), *file);
            }
            NameChange::Unlink(path) => {
                names.remove(path);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}
