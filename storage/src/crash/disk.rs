//! The log's disk with points before, within and after each of its steps.

use std::io::{self, IoSlice};
use std::path::Path;

use wal::{File, Fs};

use super::crash_point;

/// The operating system's files, in which a process may die.
pub struct Disk;

impl Fs for Disk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        wal::Disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        wal::Disk.list(dir)
    }

    fn read_at(&self, path: &Path, at: u64, limit: u64) -> io::Result<Vec<u8>> {
        wal::Disk.read_at(path, at, limit)
    }

    /// A spare that is made ahead holds nothing, wherever the process dies: the points are a segment's.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = wal::Disk.create(path)?;
        if is_spare(path) {
            return Ok(file);
        }
        crash_point!("wal.segment_created");
        Ok(Box::new(Opened(file)))
    }

    fn open(&self, path: &Path, at: u64) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Opened(wal::Disk.open(path, at)?)))
    }

    fn rewrite(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        crash_point!("start.before_rewrite");
        wal::Disk.rewrite(path, at, bytes)?;
        crash_point!("start.rewritten");
        Ok(())
    }

    /// A trimmed segment becomes a spare, or a segment is begun over one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let trims = is_spare(to);
        if trims {
            crash_point!("trim.before_rename");
        } else {
            crash_point!("wal.before_name");
        }
        wal::Disk.rename(from, to)?;
        if trims {
            crash_point!("trim.renamed");
        } else {
            crash_point!("wal.named");
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        crash_point!("trim.before_unlink");
        wal::Disk.remove(path)?;
        crash_point!("trim.unlinked");
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        crash_point!("wal.before_folder_sync");
        wal::Disk.sync_dir(dir)
    }

    fn free(&self, dir: &Path) -> u64 {
        crate::space::disk(dir).0
    }
}

fn is_spare(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "spare")
}

struct Opened(Box<dyn File>);

impl Opened {
    /// The first `len` bytes of what was to be written.
    fn half(&mut self, slices: &[IoSlice<'_>], len: usize) {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(len).collect();
        let _ = self.0.append(&[IoSlice::new(&bytes)]);
    }
}

impl File for Opened {
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        crash_point!("wal.before_write");
        crash_point!("wal.torn_header", first { self.half(slices, 10) });
        crash_point!("wal.torn_payload", first {
            let len: usize = slices.iter().map(|slice| slice.len()).sum();
            self.half(slices, len - len / 3)
        });
        self.0.append(slices)
    }

    fn sync(&mut self) -> io::Result<()> {
        crash_point!("wal.written");
        self.0.sync()?;
        crash_point!("wal.synced");
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
