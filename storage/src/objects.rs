//! A local folder as an object store that keeps its word: when a put returns, the bytes and the names survive a
//! power cut.
//!
//! `object_store` 0.13's `LocalFileSystem` never fsyncs (reliability.md, finding 2), so puts are ours: write to
//! `tmp/`, fsync, link or rename into place, fsync the folder and every folder that had to be made. Reading, listing
//! and deleting are the library's.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::crash::crash_point;

const STORE: &str = "DurableLocal";

#[derive(Debug)]
pub struct DurableLocal {
    inner: LocalFileSystem,
    root: PathBuf,
    staged: AtomicU64,
    folders: Arc<Folders>,
}

/// Folders of the store whose names are known to be durable.
#[derive(Debug)]
struct Folders {
    root: PathBuf,
    durable: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    fn durable(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a folder and its missing parents, each synced into the one above it. One that is there is synced once too:
    /// whoever made it may have died before that.
    fn make(&self, folder: &FsPath) -> io::Result<()> {
        if folder == self.root || self.durable().contains(folder) {
            return Ok(());
        }
        let Some(above) = folder.parent() else { return Ok(()) };
        self.make(above)?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        File::open(above)?.sync_all()?;
        self.durable().insert(folder.to_path_buf());
        Ok(())
    }

    /// Perhaps somebody removed it.
    fn forget(&self, folder: &FsPath) {
        self.durable().remove(folder);
    }
}

impl DurableLocal {
    /// The folder is made when it does not exist. Half-written files of an earlier run are cleared.
    pub fn open(root: &FsPath) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        let staging = root.join("tmp");
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(&staging)?;
        Self::at(root)
    }

    /// Opens for reading beside a running server: touches nothing.
    pub fn open_read_only(root: &FsPath) -> io::Result<Self> {
        Self::at(root.canonicalize()?)
    }

    fn at(root: PathBuf) -> io::Result<Self> {
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(io::Error::other)?;
        let folders = Arc::new(Folders { root: root.clone(), durable: Mutex::default() });
        Ok(DurableLocal { inner, root, staged: AtomicU64::new(0), folders })
    }

    fn staged(&self) -> PathBuf {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{}-{number}", std::process::id()))
    }
}

/// Bytes that are written before they are synced. The log's disk is mostly the same one, and its syncs wait for what the
/// disk has been given before: for a file of 10 MB at once some 100 ms.
const PIECE: usize = 1 << 20;

fn put_durably(
    folders: &Folders,
    staged: &FsPath,
    target: &FsPath,
    payload: &PutPayload,
    mode: &PutMode,
) -> io::Result<()> {
    let folder = target.parent().ok_or_else(|| io::Error::other("an object needs a folder"))?;
    folders.make(folder)?;
    crash_point!(crate::crash::put_of(target).torn, first {
        let whole: Vec<u8> = payload.iter().flat_map(|part| part.iter().copied()).collect();
        let _ = fs::write(staged, &whole[..whole.len() / 2]);
    });
    let write = || {
        let mut file = File::create_new(staged)?;
        for piece in payload.iter().flat_map(|part| part.chunks(PIECE)) {
            file.write_all(piece)?;
            if piece.len() == PIECE {
                file.sync_data()?;
            }
        }
        crash_point!(crate::crash::put_of(target).written);
        file.sync_all()?;
        crash_point!(crate::crash::put_of(target).synced);
        match mode {
            PutMode::Create => fs::hard_link(staged, target),
            _ => fs::rename(staged, target),
        }
    };
    let written = write();
    // After a rename the name is gone already; after a link or a failure the staged copy goes.
    let _ = fs::remove_file(staged);
    if written.is_err() {
        folders.forget(folder);
    }
    written?;
    crash_point!(crate::crash::put_of(target).named);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    if synced.is_err() && matches!(mode, PutMode::Create) {
        // Nobody may build on a name that a power cut can take.
        let _ = fs::remove_file(target);
    }
    synced
}

impl std::fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{STORE}({})", self.root.display())
    }
}

// The trait's own `get_ranges` fetches all that lies within a megabyte between two ranges, and `rename_opts` copies.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        let (staged, folders) = (self.staged(), self.folders.clone());
        let task = tokio::task::spawn_blocking(move || put_durably(&folders, &staged, &target, &payload, &opts.mode));
        let outcome = task.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        match outcome {
            Ok(()) => Ok(PutResult { e_tag: None, version: None }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(object_store::Error::AlreadyExists { path: location.to_string(), source: Box::new(error) })
            }
            Err(error) => Err(object_store::Error::Generic { store: STORE, source: Box::new(error) }),
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(object_store::Error::NotSupported {
            source: "local files are put whole, so that they can be synced".into(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;

    #[tokio::test]
    async fn create_refuses_what_exists_and_overwrite_replaces_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = DurableLocal::open(folder.path()).expect("opens");
        let path = Path::from("tables/spans/_delta_log/0.json");
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(&path, "one".into(), create.clone()).await.expect("is new");
        let again = store.put_opts(&path, "two".into(), create).await.expect_err("exists");
        assert!(matches!(again, object_store::Error::AlreadyExists { .. }), "{again}");
        assert_eq!(store.get(&path).await.expect("there").bytes().await.expect("bytes").as_ref(), b"one");
        store.put(&path, "three".into()).await.expect("overwrites");
        assert_eq!(store.get(&path).await.expect("there").bytes().await.expect("bytes").as_ref(), b"three");
        let left = fs::read_dir(folder.path().join("tmp")).expect("staging").count();
        assert_eq!(left, 0, "staged copies are removed");
    }
}
