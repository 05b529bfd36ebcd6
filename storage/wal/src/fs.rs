//! The few file operations the log needs, behind a trait, so that tests can fail each of them.
//!
//! [`Disk`] is the real one. [`crate::sim::SimFs`] models what a power cut leaves.

use std::fs::{self, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, Write};
use std::path::Path;

/// Folders and names. Every change of a name is durable only after [`Fs::sync_dir`].
pub trait Fs: Send + Sync + 'static {
    /// Makes the folder and those above it where they are missing, durably.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names of the plain files in a folder with their sizes in bytes, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>>;

    /// At most `limit` bytes of a file from byte `at` on; none behind its end.
    fn read_at(&self, path: &Path, at: u64, limit: u64) -> io::Result<Vec<u8>>;

    /// At most `limit` bytes from the file's beginning.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.read_at(path, 0, limit)
    }

    /// A new, empty file; `AlreadyExists` if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// An existing file, to be written from byte `at` on, over what it holds.
    fn open(&self, path: &Path, at: u64) -> io::Result<Box<dyn File>>;

    /// Writes bytes of a file again that it already holds, and makes them durable.
    ///
    /// After a sync that failed the system may show bytes that will never reach the disk, and report the next sync
    /// as done. Only writing them again is sure. A power cut meanwhile harms nothing, since nothing changes.
    fn rewrite(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()>;

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the folder's names durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes free on the folder's disk; without limit where nobody knows.
    fn free(&self, _dir: &Path) -> u64 {
        u64::MAX
    }
}

/// An open file that is written from one place on.
pub trait File: Send {
    /// Writes behind what was written last; returns how many bytes were taken, which may be fewer than given.
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Makes the bytes and the size durable (fdatasync).
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file, and goes on at its end.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Fs for Disk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.create_dir(parent)?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_dir(parent)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn read_at(&self, path: &Path, at: u64, limit: u64) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let size = file.metadata()?.len().saturating_sub(at).min(limit);
        file.seek(io::SeekFrom::Start(at))?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(DiskFile(OpenOptions::new().write(true).create_new(true).open(path)?)))
    }

    fn open(&self, path: &Path, at: u64) -> io::Result<Box<dyn File>> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(io::SeekFrom::Start(at))?;
        Ok(Box::new(DiskFile(file)))
    }

    fn rewrite(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.open(path, at)?;
        append_all(&mut *file, &mut [IoSlice::new(bytes)])?;
        file.sync()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }
}

struct DiskFile(fs::File);

impl File for DiskFile {
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.0.seek(io::SeekFrom::Start(len)).map(drop)
    }
}

/// Appends all the bytes, going on after short writes and interruptions.
pub(crate) fn append_all(file: &mut dyn File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Drops empty slices in front, so that the loop ends when only those are left.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.append(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => IoSlice::advance_slices(&mut slices, taken),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
