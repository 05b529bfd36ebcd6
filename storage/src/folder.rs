//! The data folder: its lock, its format and where things lie in it.
//!
//! ```text
//!   <data>/format.json               {"format":1,"store_id":"…"}
//!   <data>/LOCK                      held by the running server
//!   <data>/wal/                      write-ahead log of all tenants
//!   <data>/tables/<table>/           Delta tables of tenant `default`
//!   <data>/tenants/<tenant>/tables/  and of the others
//!   <data>/runs/, …/<tenant>/runs/   stress-test runs, an object each
//!   <data>/ledger.json               totals since the store was made
//!   <data>/tmp/                      staging, cleared at start
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::{Error, Result, Signal, Tenant};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use wal::Fs;

use crate::crash::crash_point;

/// The format that this program writes. A newer one is refused; older ones are read here, and only here.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format.json";
const TENANTS: &str = "tenants";

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    store_id: String,
}

/// An exclusively held data folder.
#[derive(Debug)]
pub struct Folder {
    pub root: PathBuf,
    /// Names this store in Delta transactions.
    pub store_id: String,
    _lock: File,
}

impl Folder {
    /// Makes or opens the folder and locks it until dropped.
    pub fn open(root: &Path) -> Result<Self> {
        let at = |doing: &str, e: io::Error| {
            let error = Error::unavailable(format!("{doing} {}: {e}", root.display()));
            error.hint("check the path, its permissions and the free space, or choose another with --data")
        };
        wal::Disk.create_dir(root).map_err(|e| at("making the data folder", e))?;
        let root_path = root.canonicalize().map_err(|e| at("opening the data folder", e))?;
        if !root_path.is_dir() {
            return Err(at("opening the data folder", io::ErrorKind::NotADirectory.into()));
        }
        // Whoever made what is in it may have died before its names were durable.
        wal::Disk.sync_dir(&root_path).map_err(|e| at("syncing the data folder", e))?;
        let lock = lock(&root_path)?;
        let store_id = marker(&root_path)?;
        Ok(Folder { root: root_path, store_id, _lock: lock })
    }

    pub fn wal(&self) -> PathBuf {
        self.root.join("wal")
    }
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join("LOCK");
    let trouble = |e: io::Error| Error::unavailable(format!("locking {}: {e}", path.display()));
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(trouble)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            return Err(Error::unavailable(format!("{} is in use by process {}", root.display(), holder.trim()))
                .hint("stop that server, or choose another folder with --data"));
        }
        Err(TryLockError::Error(e)) => return Err(trouble(e)),
    }
    file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(trouble)?;
    Ok(file)
}

/// Writes a file of the folder so that after a power cut all of it is there, or what was there before.
pub fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let staged = folder.join(format!("{name}.new"));
    let mut file = File::create(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    crash_point!("folder.staged");
    fs::rename(&staged, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Reads the marker, or writes it into a new folder. Returns the store's id.
///
/// The marker is durable before anything is put beside it, so a folder that holds rows and no marker has lost it. Under
/// a new id nobody would know which records of the log the tables hold already, and their rows would come in again.
fn marker(root: &Path) -> Result<String> {
    let path = root.join(FORMAT_FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            let found = read_marker(&path, &bytes)?;
            Ok(found.store_id)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            refuse_if_lost(root)?;
            let marker = Marker { format: FORMAT, store_id: uuid::Uuid::new_v4().to_string() };
            let text = serde_json::to_vec(&marker).map_err(|e| Error::internal(e.to_string()))?;
            let written = write_durably(root, FORMAT_FILE, &text);
            written.map_err(|e| Error::unavailable(format!("writing {}: {e}", path.display())))?;
            Ok(marker.store_id)
        }
        Err(e) => Err(Error::unavailable(format!("reading {}: {e}", path.display()))),
    }
}

/// Whether the marker is there, or nothing is that needs it.
pub fn check_marker(root: &Path) -> Result<()> {
    if root.join(FORMAT_FILE).exists() { Ok(()) } else { refuse_if_lost(root) }
}

fn refuse_if_lost(root: &Path) -> Result<()> {
    let Some(held) = what_it_holds(root)? else { return Ok(()) };
    let path = root.join(FORMAT_FILE);
    Err(Error::corrupt(format!("{} is missing, and {} is there", path.display(), held.display())).hint(format!(
        "restore it from a backup; or write it again as {{\"format\":{FORMAT},\"store_id\":\"ID\"}}, where \
         hotspan-ID is the appId in the newest files of tables/*/_delta_log that have one (if none has, any ID will do); \
         to begin anew, choose an empty folder with --data"
    )))
}

/// Something that only a store with a marker can have put there: a segment of the log, a table's log or a data file.
/// Empty folders, and what others leave at the root of a disk of its own, are nothing.
fn what_it_holds(root: &Path) -> Result<Option<PathBuf>> {
    let is_kind = |path: &PathBuf, kind: &str| path.extension().is_some_and(|found| found == kind);
    if let Some(segment) = listed(&root.join("wal"))?.into_iter().find(|path| is_kind(path, "wal")) {
        return Ok(Some(segment));
    }
    let tenants = listed(&root.join(TENANTS))?.into_iter().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| Tenant::new(name).is_ok())
    });
    for of_tenant in tenants.chain([root.to_path_buf()]) {
        for signal in Signal::ALL {
            let table = of_tenant.join("tables").join(signal.table());
            for folder in listed(&table)? {
                let is_log = folder.ends_with("_delta_log");
                let held = |path: &PathBuf| is_log || is_kind(path, "parquet");
                if let Some(file) = listed(&folder)?.into_iter().find(held) {
                    return Ok(Some(file));
                }
            }
        }
    }
    Ok(None)
}

/// What is in a folder; nothing where there is none.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let trouble = |e: io::Error| Error::unavailable(format!("reading {}: {e}", folder.display()));
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry.map_err(trouble)?.path())).collect(),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(e) => Err(trouble(e)),
    }
}

fn read_marker(path: &Path, bytes: &[u8]) -> Result<Marker> {
    let marker: Marker = serde_json::from_slice(bytes).map_err(|e| {
        Error::corrupt(format!("{} is not readable: {e}", path.display())).hint("restore it from a backup")
    })?;
    if marker.format > FORMAT {
        return Err(Error::invalid(format!(
            "{} says format {}, this hotspan knows formats up to {FORMAT}",
            path.display(),
            marker.format
        ))
        .hint("use the newer hotspan that wrote this folder"));
    }
    Ok(marker)
}

/// Refuses a folder of a newer format, without locking or changing it. A folder without a marker may be read.
pub fn check_format(root: &Path) -> Result<()> {
    let path = root.join(FORMAT_FILE);
    match fs::read(&path) {
        Ok(bytes) => read_marker(&path, &bytes).map(drop),
        Err(_) => Ok(()),
    }
}

/// Where a table lies, relative to the data folder.
pub fn table_path(tenant: &Tenant, signal: Signal) -> object_store::path::Path {
    of_tenant(tenant, &format!("tables/{}", signal.table()))
}

/// Where something of a tenant lies, relative to the data folder.
pub fn of_tenant(tenant: &Tenant, rest: &str) -> object_store::path::Path {
    match tenant.as_str() {
        Tenant::DEFAULT => object_store::path::Path::from(rest),
        name => object_store::path::Path::from(format!("{TENANTS}/{name}/{rest}")),
    }
}

/// The tenants that have a folder; `default` always.
pub async fn tenants(objects: &dyn ObjectStore) -> Result<Vec<Tenant>> {
    let folder = object_store::path::Path::from(TENANTS);
    let listed = objects.list_with_delimiter(Some(&folder)).await;
    let folders = listed.map_err(|e| Error::unavailable(format!("listing the tenants: {e}")))?.common_prefixes;
    let mut tenants = vec![Tenant::default()];
    tenants.extend(folders.iter().filter_map(|path| Tenant::new(path.filename()?).ok()));
    tenants.sort();
    tenants.dedup();
    Ok(tenants)
}
