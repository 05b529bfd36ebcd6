//! The Delta Lake log of one table: which files are the table, since which version, written by whom.
//!
//! We write the log ourselves (docs/adr/0001): few actions, one writer per table, and every byte fsynced before the
//! WAL is trimmed. Only protocol features that every reader knows are used (reader 1, writer 2), so DuckDB, Spark,
//! Polars and Trino read the tables while the server runs.

mod action;
pub(crate) mod checkpoint;
mod log;
mod schema;

pub use action::{Add, Remove};
pub use log::{Commit, Committed, DeltaLog, Progress, TableState};
pub use schema::PARTITION;

use std::collections::BTreeMap;

use model::time::{DAY, MILLISECOND};
use model::{Clock, Nanos};
use object_store::path::Path;
use serde_json::{Value, json};

use crate::summary::Place;

/// A file that is part of a table version.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFile {
    /// Path within the object store (table folder included).
    pub path: String,
    pub size: u64,
    pub rows: u64,
    /// Least and greatest of the table's time column (`schema::time_column`); unknown: the whole range.
    pub min_time: Nanos,
    pub max_time: Nanos,
    /// Least and greatest receive time; retention counts from the latter.
    pub min_received: Nanos,
    pub max_received: Nanos,
    /// Least and greatest service name, when known.
    pub service_range: Option<(String, String)>,
    /// Rows whose trace was not assembled when the file was written (spans only).
    pub unassembled: u64,
    /// How often the rows have been merged: 0 from a flush, 1 and up from compaction.
    pub level: u32,
    /// xxh3-64 of the file's bytes, when known.
    pub checksum: Option<u64>,
    /// Where in the file its summary is, if it has one.
    pub summary: Option<Place>,
    /// The action as it stands in the log, for the Remove that will follow.
    pub add: Add,
}

/// What the writer knows of a file that it has just written.
#[derive(Debug, Clone, PartialEq)]
pub struct FileFacts {
    /// Name relative to the table's folder, partition folder included.
    pub name: String,
    pub size: u64,
    pub rows: u64,
    pub times: (Nanos, Nanos),
    pub received: (Nanos, Nanos),
    pub services: Option<(String, String)>,
    pub time_column: &'static str,
    pub unassembled: u64,
    pub level: u32,
    pub checksum: u64,
    pub summary: Option<Place>,
}

/// The day of a receive time as Delta writes dates.
pub fn day(received: Nanos) -> String {
    let days = received.div_euclid(DAY);
    chrono::DateTime::from_timestamp(days * (DAY / model::time::SECOND), 0)
        .map_or_else(|| "1970-01-01".to_owned(), |t| t.format("%Y-%m-%d").to_string())
}

/// Whether both receive times are of one day.
pub fn is_same_day(one: Nanos, other: Nanos) -> bool {
    one.div_euclid(DAY) == other.div_euclid(DAY)
}

const LEVEL: &str = "hotspan.level";
const CHECKSUM: &str = "hotspan.xxh3";
const UNASSEMBLED: &str = "hotspan.unassembled";
const SUMMARY: &str = "hotspan.summary";

/// Longest text kept in statistics; a longer one is left out, since a cut maximum would be wrong.
const STATS_TEXT: usize = 96;

impl Add {
    /// The action that adds a file of ours. `data_change` is false for compaction, which changes no row.
    pub fn of(facts: &FileFacts, data_change: bool, clock: &dyn Clock) -> Self {
        let mut least = serde_json::Map::new();
        let mut greatest = serde_json::Map::new();
        let mut both = |name: &str, min: Value, max: Value| {
            least.insert(name.to_owned(), min);
            greatest.insert(name.to_owned(), max);
        };
        both(facts.time_column, json!(facts.times.0), json!(facts.times.1));
        both(model::schema::column::RECEIVED, json!(facts.received.0), json!(facts.received.1));
        if let Some((min, max)) = &facts.services
            && min.len().max(max.len()) <= STATS_TEXT
        {
            both(model::schema::column::SERVICE_NAME, json!(min), json!(max));
        }
        let stats = json!({"numRecords": facts.rows, "minValues": least, "maxValues": greatest, "nullCount": {}});
        let mut tags = BTreeMap::from([
            (LEVEL.to_owned(), Some(facts.level.to_string())),
            (CHECKSUM.to_owned(), Some(format!("{:016x}", facts.checksum))),
            (UNASSEMBLED.to_owned(), Some(facts.unassembled.to_string())),
        ]);
        tags.extend(facts.summary.as_ref().map(|place| (SUMMARY.to_owned(), Some(place.to_string()))));
        Add {
            path: facts.name.clone(),
            partition_values: BTreeMap::from([(PARTITION.to_owned(), Some(day(facts.received.0)))]),
            size: facts.size as i64,
            modification_time: clock.now() / MILLISECOND,
            data_change,
            stats: Some(stats.to_string()),
            tags: Some(tags),
        }
    }

    /// The action that takes this file out again.
    pub fn removed(&self, data_change: bool, clock: &dyn Clock) -> Remove {
        Remove {
            path: self.path.clone(),
            deletion_timestamp: Some(clock.now() / MILLISECOND),
            data_change,
            extended_file_metadata: Some(true),
            partition_values: Some(self.partition_values.clone()),
            size: Some(self.size),
        }
    }
}

impl DataFile {
    /// Reads statistics and tags leniently: a file added by another program has what it has.
    pub fn of(add: &Add, table: &Path, time_column: &str) -> Self {
        let stats: Value = add.stats.as_deref().and_then(|s| serde_json::from_str(s).ok()).unwrap_or(Value::Null);
        let bound = |side: &str, name: &str| stats[side][name].as_i64();
        let text = |side: &str, name: &str| stats[side][name].as_str().map(str::to_owned);
        let tag = |name: &str| add.tags.as_ref().and_then(|t| t.get(name)).and_then(|v| v.as_deref());
        let received = model::schema::column::RECEIVED;
        let modified = add.modification_time.saturating_mul(MILLISECOND);
        let service = model::schema::column::SERVICE_NAME;
        DataFile {
            path: format!("{table}/{}", add.path),
            size: add.size.max(0) as u64,
            rows: stats["numRecords"].as_u64().unwrap_or(0),
            min_time: bound("minValues", time_column).unwrap_or(i64::MIN),
            max_time: bound("maxValues", time_column).unwrap_or(i64::MAX),
            min_received: bound("minValues", received).unwrap_or(modified),
            max_received: bound("maxValues", received).unwrap_or(modified),
            service_range: text("minValues", service).zip(text("maxValues", service)),
            unassembled: tag(UNASSEMBLED).and_then(|v| v.parse().ok()).unwrap_or(0),
            level: tag(LEVEL).and_then(|v| v.parse().ok()).unwrap_or(0),
            checksum: tag(CHECKSUM).and_then(|v| u64::from_str_radix(v, 16).ok()),
            summary: tag(SUMMARY).and_then(Place::parse),
            add: add.clone(),
        }
    }
}
