//! A local folder as an object store that keeps its word: when a put returns, the bytes and the names survive a
//! power cut.
//!
//! `object_store` 0.13's `LocalFileSystem` never fsyncs (reliability.md, finding 2), so puts are ours: write to
//! `tmp/`, fsync, link or rename into place, fsync the folder and every folder that had to be made. Reading, listing
//! and deleting are the library's.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

const STORE: &str = "DurableLocal";

#[derive(Debug)]
pub struct DurableLocal {
    inner: LocalFileSystem,
    root: PathBuf,
    staged: AtomicU64,
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
        Ok(DurableLocal { inner, root, staged: AtomicU64::new(0) })
    }

    fn staged(&self) -> PathBuf {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{}-{number}", std::process::id()))
    }
}

fn put_durably(staged: &FsPath, target: &FsPath, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
    let folder = target.parent().ok_or_else(|| io::Error::other("an object needs a folder"))?;
    make_folders(folder)?;
    let written = write_synced(staged, payload).and_then(|()| match mode {
        PutMode::Create => fs::hard_link(staged, target),
        _ => fs::rename(staged, target),
    });
    // After a rename the name is gone already; after a link or a failure the staged copy goes.
    let _ = fs::remove_file(staged);
    written?;
    File::open(folder)?.sync_all()
}

fn write_synced(path: &FsPath, payload: &PutPayload) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    for part in payload {
        file.write_all(part)?;
    }
    file.sync_all()
}

/// Makes a folder and its missing parents, each synced into the one above it.
fn make_folders(folder: &FsPath) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(above) = folder.parent() else { return Ok(()) };
    make_folders(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(above)?.sync_all()
}

impl std::fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{STORE}({})", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        let staged = self.staged();
        let task = tokio::task::spawn_blocking(move || put_durably(&staged, &target, &payload, &opts.mode));
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

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
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
