//! The folder on disk for what queries cannot hold in memory: one for each engine, gone with it.
//!
//! ```text
//! <spill_folder>/hotspan-spill-XXXXXX/     made at start, held by a lock on its file
//!                hotspan-spill-YYYYYY/     nobody holds it: left by a killed process, deleted at start
//! ```
//! *Invariants:* a folder that a living process holds is never deleted, nor one that another user owns. Several processes
//! may share the folder above.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use datafusion::execution::disk_manager::DiskManagerMode;
use tempfile::TempDir;

const PREFIX: &str = "hotspan-spill-";
/// The file in it that is locked.
const HELD: &str = "held";

/// An engine's own folder.
#[derive(Debug)]
pub struct SpillFolder {
    folder: TempDir,
    _held: File,
}

impl SpillFolder {
    /// Makes one and deletes those that killed processes left.
    ///
    /// # Errors
    /// When it cannot be made: a file system that is full or only for reading.
    pub fn make(above: &Path) -> io::Result<SpillFolder> {
        fs::create_dir_all(above)?;
        // One at a time: a folder whose file is not locked yet would look left over to another.
        let turn = above.join(turn());
        let turn = File::options().write(true).create(true).truncate(false).open(turn)?;
        turn.lock()?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(above)?;
        let held = File::create_new(folder.path().join(HELD))?;
        held.lock()?;
        for left in left_over(above, folder.path(), held.metadata()?.uid()).unwrap_or_default() {
            if let Err(e) = fs::remove_dir_all(&left) {
                tracing::warn!(folder = %left.display(), "what a killed process spilled was not deleted: {e}");
            }
        }
        Ok(SpillFolder { folder, _held: held })
    }

    /// Of so many bytes that queries may write, how many they get: at most a quarter of what is free, since the log and the
    /// tables may be on the same disk.
    pub fn room(own: Option<&SpillFolder>, wanted: u64) -> u64 {
        own.map_or(wanted, |own| wanted.min(storage::disk(own.folder.path()).0 / 4))
    }

    /// How queries are to use it. Without one they try the system's folder when they need it, and say what is wrong then.
    pub fn mode(own: Option<&SpillFolder>) -> DiskManagerMode {
        own.map_or(DiskManagerMode::OsTmpDirectory, |own| {
            DiskManagerMode::Directories(vec![own.folder.path().to_owned()])
        })
    }
}

/// The file above that is locked while a folder is made: each user's own, since others cannot open it.
fn turn() -> String {
    format!(".{PREFIX}{}", rustix::process::getuid().as_raw())
}

/// Folders of processes of this user that have ended.
fn left_over(above: &Path, own: &Path, user: u32) -> io::Result<Vec<PathBuf>> {
    let ours = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == user)
    };
    let found = fs::read_dir(above)?.filter_map(Result::ok).filter(ours).map(|entry| entry.path());
    Ok(found.filter(|folder| folder != own && !is_held(folder)).collect())
}

/// Whether a living process holds a folder, as far as can be told. One without a file counts as held; it is empty.
fn is_held(folder: &Path) -> bool {
    match File::open(folder.join(HELD)).map(|file| file.try_lock()) {
        Ok(Ok(())) => false,
        Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(above: &Path) -> Vec<PathBuf> {
        let mut names: Vec<PathBuf> = fs::read_dir(above).expect("read").map(|e| e.expect("entry").path()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_process_left_is_deleted_and_nothing_else() {
        let above = tempfile::tempdir().expect("a folder");
        let killed = above.path().join("hotspan-spill-killed");
        fs::create_dir_all(killed.join("datafusion-1")).expect("make");
        fs::write(killed.join("datafusion-1/spilled"), [0; 100]).expect("write");
        fs::write(killed.join(HELD), []).expect("write");
        let others = above.path().join("somebody-elses");
        fs::create_dir(&others).expect("make");
        let living = SpillFolder::make(above.path()).expect("made");
        let (kept, mine) = (living.folder.path().to_owned(), SpillFolder::make(above.path()).expect("made"));
        let turn = above.path().join(turn());
        let mut wanted = vec![turn.clone(), others.clone(), kept.clone(), mine.folder.path().to_owned()];
        wanted.sort();
        assert_eq!(names(above.path()), wanted, "the one of a living process stays");
        drop(mine);
        drop(living);
        assert_eq!(names(above.path()), [turn, others]);
    }

    #[test]
    fn a_link_to_elsewhere_is_not_followed() {
        let (above, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        fs::write(elsewhere.path().join(HELD), []).expect("write");
        std::os::unix::fs::symlink(elsewhere.path(), above.path().join("hotspan-spill-link")).expect("link");
        let _own = SpillFolder::make(above.path()).expect("made");
        assert!(elsewhere.path().join(HELD).exists());
    }
}
