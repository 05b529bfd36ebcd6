//! The store: acknowledged rows survive and are visible, first in memory over a write-ahead log, then as Parquet in
//! Delta tables.
//!
//! ```text
//!   Ingest::append ─▶ WAL record ▸ fdatasync ▸ memory table ─▶ Ok
//!                                               │ flush: assemble ▸ sort ▸ Parquet ▸ Delta commit (txn) ▸ trim the WAL
//!   Source::snapshot ◀─ memory + log + files ◀──┘ maintain: merge ▸ expire ▸ vacuum
//! ```
//! *Invariants:*
//! - A row is acknowledged only after its record is synced and the row is in the memory table.
//! - The WAL is trimmed only after the Parquet file and the Delta commit that hold its rows are themselves synced.
//! - A record is in a table exactly once: the table's Delta transaction says up to which record it has come.
//! - Memory follows a budget: rows beyond it are in the log only until they are written, and are read from there.
//! - Queries read snapshots and never lock the write path.

mod aside;
mod assemble;
mod assembled;
mod background;
mod backlog;
mod check;
mod compact;
mod crash;
mod dedup;
pub mod delta;
mod file_reader;
mod find;
mod flush;
mod folder;
mod held;
mod late;
mod lease;
mod leaving;
mod ledger;
mod maintain;
mod memory;
mod merge;
mod objects;
mod order;
mod packed;
mod parquet_file;
mod ranged;
mod read_only;
mod record;
mod recover;
mod retention;
mod round;
mod runs;
mod scrub;
mod settings;
mod snapshot;
mod space;
mod store;
pub mod summary;
mod table;
mod traced;
mod trust;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use backlog::Backlog;
pub use check::{Finding, check};
pub use compact::Pending;
pub use find::spans_of;
pub use lease::{Lease, Leased};
pub use leaving::{Known, PartNumber};
pub use objects::DurableLocal;
pub use packed::Packed;
pub use read_only::ReadOnly;
pub use recover::Recovered;
pub use settings::Settings;
pub use snapshot::{Snapshot, Source, TableSnapshot, Timed};
pub use space::disk;
pub use store::{Hindered, Stats, Store, TableStats};
pub use summary::{Expected, NoSummaries, Summarize, Summary};
