//! A simulated disk: knows what is synced and what is not, loses the latter in a power cut, and fails on demand.
//!
//! ```text
//!   write ─▶ live + pending ──sync──▶ synced            create, rename, remove ─▶ live + pending ──sync_dir──▶ synced
//!                   │                                                                  │
//!                   └── power_cut(seed): each sector of 512 bytes, each name: kept or lost
//! ```
//! It is harsher than a file system has to be: sectors of one write survive in any combination, a file may have
//! grown over bytes that never came, and names are lost independently of each other. After a failed sync the bytes
//! still read back but a later sync does not save them, as on Linux.
//!
//! Public so that the store's tests can use it; the server never does.

mod chance;
mod change;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use chance::Chance;
use chance::Mood;
use change::{Change, Inode, NameChange};

use crate::{File, Fs};

/// What a disk writes as a whole, in bytes.
pub const SECTOR: usize = 512;

/// Operations that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Create,
    Write,
    Sync,
    SetLen,
    Rename,
    Remove,
    SyncDir,
}

/// What can be made to happen without being done: a broken disk, or a log that forgets a step. A test whose checker
/// does not notice these proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    Sync,
    SyncDir,
    SetLen,
    /// The last byte of every write is another one.
    Write,
}

/// The errors that matter here, by their names in errno(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errno {
    Io,
    NoSpace,
    Quota,
    /// EMFILE: the process has too many open files.
    ManyFiles,
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::Io => io::Error::other("simulated i/o error"),
            Errno::NoSpace => io::ErrorKind::StorageFull.into(),
            Errno::Quota => io::ErrorKind::QuotaExceeded.into(),
            Errno::ManyFiles => io::Error::from_raw_os_error(24),
        }
    }
}

/// The simulated disk. Clones share it.
#[derive(Clone, Default)]
pub struct SimFs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    files: Vec<Inode>,
    faults: Vec<Fault>,
    lies: BTreeSet<Lie>,
    /// Most bytes of all files together.
    capacity: Option<usize>,
    short_writes: bool,
    /// Operations until the power fails.
    power_left: Option<u64>,
    /// Power cuts so far. A handle from before one is dead.
    cuts: u64,
    /// Operations so far.
    operations: u64,
    /// Most bytes of one read so far.
    largest_read: usize,
}

/// The next-but-`skip` operation of a kind fails.
struct Fault {
    op: Op,
    skip: u64,
    errno: Errno,
}

impl SimFs {
    pub fn new() -> Self {
        SimFs::default()
    }

    /// The operation `nth` of this kind from now on (1 is the next) fails once. A failed write takes nothing, a failed
    /// sync leaves each pending sector on the disk or not.
    pub fn fail(&self, op: Op, nth: u64, errno: Errno) {
        self.lock().faults.push(Fault { op, skip: nth.saturating_sub(1), errno });
    }

    /// From now on this is reported as done and not done.
    pub fn lie(&self, lie: Lie) {
        self.lock().lies.insert(lie);
    }

    /// Most bytes of all files together; a write beyond takes what fits, then gets ENOSPC.
    pub fn capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    /// From now on each write takes about half of what it is given.
    pub fn short_writes(&self) {
        self.lock().short_writes = true;
    }

    /// The power fails during the operation `nth` from now (1 is the next; 0: now): it may take effect, and it and all
    /// later ones fail until [`SimFs::power_cut`].
    pub fn power_fails_at(&self, nth: u64) {
        self.lock().power_left = Some(nth);
    }

    /// Whether the power has failed.
    pub fn is_off(&self) -> bool {
        self.lock().power_left == Some(0)
    }

    /// Operations so far, those that changed something or made it durable.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Most bytes of one read since this was last asked.
    pub fn largest_read(&self) -> usize {
        std::mem::take(&mut self.lock().largest_read)
    }

    /// Loses what was not synced, or some of it, and starts again. Files that were open are dead. Faults, lies and
    /// limits are lifted.
    pub fn power_cut(&self, seed: u64) {
        let mut state = self.lock();
        let mut chance = Chance::new(seed);
        let mood = Mood::choose(&mut chance);
        for file in &mut state.files {
            file.tear(mood, &mut chance);
            file.live.clone_from(&file.synced);
        }
        let mood = Mood::choose(&mut chance);
        let mut names = std::mem::take(&mut state.synced_names);
        for change in std::mem::take(&mut state.pending_names) {
            if mood.pick(1, &mut chance) == 1 {
                change.apply(&mut names);
            }
        }
        let State { dirs, files, cuts, operations, .. } = std::mem::take(&mut *state);
        *state = State {
            dirs,
            files,
            operations,
            cuts: cuts + 1,
            names: names.clone(),
            synced_names: names,
            ..State::default()
        };
    }

    /// Changes a file's durable bytes behind everybody's back, as bit rot or a foreign hand does.
    pub fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.file(path)?;
        let inode = &mut state.files[file];
        edit(&mut inode.live);
        inode.pending.clear();
        inode.synced.clone_from(&inode.live);
        Ok(())
    }

    /// All files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.lock().names.keys().cloned().collect()
    }

    fn open_file(&self, path: &Path, at: usize) -> io::Result<SimFile> {
        let state = self.lock();
        Ok(SimFile { fs: self.clone(), file: state.file(path)?, at, cuts: state.cuts })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the simulated power is off")
}

impl State {
    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts an operation. `Ok(true)`: the power fails during it.
    fn begin(&mut self, op: Op) -> io::Result<bool> {
        let cut = match &mut self.power_left {
            Some(0) => return Err(power_is_off()),
            Some(left) => {
                *left -= 1;
                *left == 0
            }
            None => false,
        };
        self.operations += 1;
        let mut hit = None;
        for (index, fault) in self.faults.iter_mut().enumerate().filter(|(_, fault)| fault.op == op) {
            match fault.skip.checked_sub(1) {
                Some(skip) => fault.skip = skip,
                None => hit = Some(index),
            }
        }
        match hit {
            Some(index) => Err(self.faults.remove(index).errno.into()),
            None => Ok(cut),
        }
    }

    fn change_name(&mut self, op: Op, change: NameChange) -> io::Result<()> {
        let cut = self.begin(op)?;
        change.apply(&mut self.names);
        self.pending_names.push(change);
        if cut { Err(power_is_off()) } else { Ok(()) }
    }

    fn used(&self) -> usize {
        self.names.values().map(|&file| self.files[file].live.len()).sum()
    }
}

impl Fs for SimFs {
    fn free(&self, _: &Path) -> u64 {
        let state = self.lock();
        state.capacity.map_or(u64::MAX, |all| all.saturating_sub(state.used()) as u64)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.lock().dirs.insert(dir.to_path_buf());
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let state = self.lock();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let named = inside.filter_map(|(path, &file)| {
            Some((path.file_name()?.to_str()?.to_string(), state.files[file].live.len() as u64))
        });
        Ok(named.collect())
    }

    fn read_at(&self, path: &Path, at: u64, limit: u64) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        if state.power_left == Some(0) {
            return Err(power_is_off());
        }
        let (at, limit) = (usize::try_from(at).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(usize::MAX));
        let bytes = state.files[state.file(path)?].live.get(at..).unwrap_or_default();
        let read = bytes[..limit.min(bytes.len())].to_vec();
        state.largest_read = state.largest_read.max(read.len());
        Ok(read)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.lock();
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.files.len();
        state.files.push(Inode::default());
        state.change_name(Op::Create, NameChange::Link(path.to_path_buf(), file))?;
        Ok(Box::new(SimFile { fs: self.clone(), file, at: 0, cuts: state.cuts }))
    }

    fn open(&self, path: &Path, at: u64) -> io::Result<Box<dyn File>> {
        Ok(Box::new(self.open_file(path, index(at)?)?))
    }

    fn rewrite(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = index(at)?;
        let file = self.open_file(path, at)?;
        let (mut state, cut) = file.begin(Op::Write)?;
        state.files[file.file].change(Change::Write(at, bytes.to_vec()));
        if cut {
            return Err(power_is_off());
        }
        drop(state);
        file.sync_now()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.file(from)?;
        state.change_name(Op::Rename, NameChange::Rename(from.to_path_buf(), to.to_path_buf()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.file(path)?;
        state.change_name(Op::Remove, NameChange::Unlink(path.to_path_buf()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if state.begin(Op::SyncDir)? {
            return Err(power_is_off());
        }
        if state.lies.contains(&Lie::SyncDir) {
            return Ok(());
        }
        let pending = std::mem::take(&mut state.pending_names);
        let (here, elsewhere) = pending.into_iter().partition(|change| change.dir() == Some(dir));
        let here: Vec<NameChange> = here;
        here.iter().for_each(|change| change.apply(&mut state.synced_names));
        state.pending_names = elsewhere;
        Ok(())
    }
}

fn index(at: u64) -> io::Result<usize> {
    usize::try_from(at).map_err(|_| io::ErrorKind::InvalidInput.into())
}

struct SimFile {
    fs: SimFs,
    file: usize,
    /// Where the next write goes.
    at: usize,
    /// The power cuts there had been when it was opened.
    cuts: u64,
}

impl SimFile {
    fn begin(&self, op: Op) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.fs.lock();
        if state.cuts != self.cuts || state.power_left == Some(0) {
            return Err(power_is_off());
        }
        let cut = match (state.begin(op), op) {
            (Err(error), Op::Sync) => {
                // Nobody knows what a failed sync did: some sectors arrive, the rest will never be written.
                let mut chance = Chance::new(state.operations);
                state.files[self.file].tear(Mood::Any, &mut chance);
                return Err(error);
            }
            (begun, _) => begun?,
        };
        Ok((state, cut))
    }

    fn sync_now(&self) -> io::Result<()> {
        let (mut state, cut) = self.begin(Op::Sync)?;
        if cut {
            return Err(power_is_off());
        }
        if !state.lies.contains(&Lie::Sync) {
            state.files[self.file].sync();
        }
        Ok(())
    }
}

impl File for SimFile {
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let (mut state, cut) = self.begin(Op::Write)?;
        let mut data: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        if state.short_writes || cut {
            data.truncate(data.len().div_ceil(2));
        }
        if let Some(capacity) = state.capacity {
            // What is written over has its room already.
            let held = state.files[self.file].live.len().saturating_sub(self.at);
            let room = held + capacity.saturating_sub(state.used());
            if room == 0 && !data.is_empty() {
                return Err(Errno::NoSpace.into());
            }
            data.truncate(room);
        }
        let taken = data.len();
        if let (true, Some(last)) = (state.lies.contains(&Lie::Write), data.last_mut()) {
            *last = last.wrapping_add(1);
        }
        state.files[self.file].change(Change::Write(self.at, data));
        drop(state);
        self.at += taken;
        if cut { Err(power_is_off()) } else { Ok(taken) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_now()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let (mut state, cut) = self.begin(Op::SetLen)?;
        if !state.lies.contains(&Lie::SetLen) {
            state.files[self.file].change(Change::SetLen(index(len)?));
        }
        drop(state);
        self.at = index(len)?;
        if cut { Err(power_is_off()) } else { Ok(()) }
    }
}
