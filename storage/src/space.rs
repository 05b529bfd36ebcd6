//! A disk, or a quota on it, that is full: how that is recognised, and what it means for exports.

use std::error::Error as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use model::Error;

/// What errors say that are for want of space; they are known by it.
pub const HINT: &str = "free space on the data disk, or raise the quota on it; exporters retry meanwhile";

/// What a store of objects could not do.
pub fn trouble(doing: impl std::fmt::Display, error: &object_store::Error) -> Error {
    let told = Error::unavailable(format!("{doing}: {error}"));
    if is_full(error) { told.hint(HINT) } else { told }
}

/// Whether it failed for want of space.
pub fn is_short(error: &Error) -> bool {
    error.hint.as_deref() == Some(HINT)
}

/// As the log judges its own writes: ENOSPC, EDQUOT, EFBIG.
fn is_full(error: &object_store::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge) = kind {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether two places take from one disk. When that cannot be told, they do.
pub fn is_shared(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.dev() == other.dev(),
        _ => true,
    }
}
