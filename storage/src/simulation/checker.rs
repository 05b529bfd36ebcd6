//! What clients know, and whether what the store shows agrees with it.
//!
//! The rules: what was acknowledged or has been seen once is there, whole and once, until its retention ends, and does
//! not come back after that. What got no answer is there whole and once, or not at all. What nobody sent is not there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use model::schema::column;
use model::{Nanos, Signal, Tenant};
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt, path::Path};

use crate::delta::DataFile;
use crate::{Snapshot, Source, Store, file_reader};

/// One export, as its client knows it.
#[derive(Debug, Clone)]
pub struct Export {
    pub tenant: Tenant,
    pub signal: Signal,
    /// Its rows; every row of a run has another id.
    pub ids: Vec<i64>,
    pub body: String,
    /// When it was sent for the first time.
    pub sent: Nanos,
    pub acknowledged: bool,
    /// The client does not send it again.
    pub given_up: bool,
    /// A reader has seen it.
    seen: bool,
    /// It was seen or acknowledged, and is gone because its time was over.
    gone: bool,
}

/// Where a row was found, and its id.
pub type Row = (Tenant, Signal, i64);

#[derive(Default)]
pub struct Checker {
    pub exports: Vec<Export>,
    /// What was received before may have been deleted.
    pub horizon: Nanos,
    /// Ids by file: a file never changes, its bytes are part of the key.
    known: HashMap<(String, u64, Option<u64>), Vec<i64>>,
}

pub const SIGNALS: [Signal; 2] = [Signal::Traces, Signal::Logs];

fn ids(rows: &RecordBatch) -> Vec<i64> {
    let ids = rows.column_by_name(column::SPAN_ID).expect("both tables have it").as_fixed_size_binary();
    (0..ids.len()).map(|at| i64::from_be_bytes(ids.value(at).try_into().expect("8 bytes"))).collect()
}

impl Checker {
    /// Notes an export that is about to be sent, with `rows` rows; its place.
    pub fn sends(&mut self, tenant: Tenant, signal: Signal, rows: u64, sent: Nanos) -> usize {
        let number = self.exports.len() as i64 + 1;
        let ids = (0..rows as i64).map(|at| number * 8 + at).collect();
        let (body, acknowledged, given_up, seen, gone) = (String::new(), false, false, false, false);
        self.exports.push(Export { tenant, signal, ids, body, sent, acknowledged, given_up, seen, gone });
        self.exports.len() - 1
    }

    /// Every row of a snapshot. Files are read behind the back of the store, without its faults.
    pub async fn rows_of(&mut self, snapshot: &Snapshot, objects: &InMemory) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        for signal in SIGNALS {
            let table = snapshot.table(signal);
            let memory = table.memory();
            let unpacked = memory.iter().map(|part| part.rows.unpacked()).collect::<model::Result<Vec<_>>>();
            let mut found: Vec<i64> = unpacked.map_err(|e| e.message)?.iter().flat_map(ids).collect();
            if let Some(backlog) = &table.backlog {
                let mut keep = |rows: RecordBatch| {
                    found.extend(ids(&rows));
                    Ok(())
                };
                backlog.read(&mut keep).map_err(|e| e.message)?;
            }
            for file in table.files.iter() {
                found.extend(self.ids_of(file, signal, objects).await?);
            }
            if found.len() as u64 != table.rows() {
                return Err(format!("{} rows of {signal:?} are told, {} are there", table.rows(), found.len()));
            }
            rows.extend(found.into_iter().map(|id| (snapshot.tenant.clone(), signal, id)));
        }
        Ok(rows)
    }

    async fn ids_of(&mut self, file: &DataFile, signal: Signal, objects: &InMemory) -> Result<Vec<i64>, String> {
        let key = (file.path.clone(), file.size, file.checksum);
        let read = async { objects.get(&Path::from(file.path.as_str())).await?.bytes().await };
        let bytes = read.await.map_err(|e| format!("{} is part of the table: {e}", file.path))?;
        let checksum = xxhash_rust::xxh3::xxh3_64(&bytes);
        if (bytes.len() as u64, Some(checksum)) != (file.size, file.checksum) {
            return Err(format!("{} is not the file that was committed", file.path));
        }
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let batches = file_reader::decode(signal, bytes).map_err(|e| e.message)?;
        let found: Vec<i64> = batches.iter().flat_map(ids).collect();
        self.known.insert(key, found.clone());
        Ok(found)
    }

    /// Compares what a store shows with what clients know.
    pub async fn check(&mut self, store: &Store, tenants: &[Tenant], objects: &InMemory) -> Result<(), String> {
        let mut rows = Vec::new();
        for tenant in tenants {
            let snapshot = store.snapshot(tenant).map_err(|e| e.message)?;
            rows.extend(self.rows_of(&snapshot, objects).await?);
        }
        self.compare(rows)
    }

    pub fn compare(&mut self, rows: Vec<Row>) -> Result<(), String> {
        let mut copies: BTreeMap<Row, usize> = BTreeMap::new();
        rows.into_iter().for_each(|row| *copies.entry(row).or_default() += 1);
        if let Some((row, copies)) = copies.iter().find(|(_, copies)| **copies > 1) {
            return Err(format!("{row:?} is there {copies} times"));
        }
        let mut rows: BTreeSet<Row> = copies.into_keys().collect();
        for (number, export) in self.exports.iter_mut().enumerate() {
            let is_there = |id: &&i64| rows.contains(&(export.tenant.clone(), export.signal, **id));
            let there = export.ids.iter().filter(is_there).count();
            match there {
                0 if (export.acknowledged || export.seen) && export.sent < self.horizon => export.gone = true,
                0 if export.acknowledged => return Err(format!("acknowledged export {number} is lost: {export:?}")),
                0 if export.seen => return Err(format!("export {number} was seen and is lost: {export:?}")),
                0 => {}
                _ if export.gone => return Err(format!("export {number} is back from the dead: {export:?}")),
                all if all == export.ids.len() => export.seen = true,
                some => return Err(format!("only {some} rows of export {number} are there: {export:?}")),
            }
            for id in &export.ids {
                rows.remove(&(export.tenant.clone(), export.signal, *id));
            }
        }
        match rows.first() {
            Some(row) => Err(format!("nobody sent {row:?}")),
            None => Ok(()),
        }
    }
}

#[test]
fn the_checker_tells_what_is_lost_doubled_torn_or_foreign() {
    let tenant = Tenant::default();
    let told = |rows: &[i64]| {
        let mut checker = Checker { horizon: 5, ..Checker::default() };
        for (acknowledged, sent) in [(true, 10), (false, 10), (true, 1)] {
            let at = checker.sends(tenant.clone(), Signal::Traces, 2, sent);
            checker.exports[at].acknowledged = acknowledged;
        }
        checker.compare(rows.iter().map(|id| (tenant.clone(), Signal::Traces, *id)).collect())
    };
    assert_eq!(told(&[8, 9]), Ok(()), "the unanswered and the expired may be gone");
    assert_eq!(told(&[8, 9, 16, 17, 24, 25]), Ok(()), "or there");
    assert!(told(&[16, 17]).is_err_and(|e| e.contains("lost")));
    assert!(told(&[8, 9, 9]).is_err_and(|e| e.contains("2 times")));
    assert!(told(&[8, 9, 16]).is_err_and(|e| e.contains("only 1 rows")));
    assert!(told(&[8, 9, 99]).is_err_and(|e| e.contains("nobody sent")));
}
