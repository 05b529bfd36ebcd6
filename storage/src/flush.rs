//! Rows leave memory: chosen by [`plan`], assembled, sorted, encoded, committed, and only then forgotten by the log.
//!
//! The dangerous order is "trim before the commit is durable". It cannot be written here: [`trim`] takes a
//! [`Flushed`], which only a flush of every table returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use model::schema::{column, time_column};
use model::time::SECOND;
use model::{Error, Nanos, Result, Signal};
use object_store::{ObjectStoreExt, PutPayload};

use crate::assemble;
use crate::delta::{Add, Commit, FileFacts, day};
use crate::parquet_file::{self, Encoded};
use crate::record;
use crate::store::Shared;
use crate::table::{Part, Table};

/// A trace is taken to be complete when none of its spans arrived within this time before a flush.
const QUIET: Nanos = 5 * SECOND;

/// What a table holds in memory, as far as planning needs it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holding {
    /// The first record received after the cut, if any.
    pub first_young: Option<u64>,
    pub last: Option<u64>,
    /// The record at which half of the table's bytes are reached.
    pub half: Option<u64>,
}

/// Up to which record to flush; `None` when there is nothing to do.
///
/// Rows leave as a prefix of the log over all tables, so the youngest row that must stay bounds everybody. Under
/// memory pressure age no longer matters: half of what the fullest table holds goes.
pub fn plan(holdings: &[Holding], pressed: bool) -> Option<u64> {
    let last = holdings.iter().filter_map(|h| h.last).max()?;
    let aged = match holdings.iter().filter_map(|h| h.first_young).min() {
        Some(young) => young.checked_sub(1),
        None => Some(last),
    };
    let aged = aged.filter(|_| holdings.iter().any(|h| h.last.is_some()));
    if pressed { aged.max(holdings.iter().filter_map(|h| h.half).max()) } else { aged }
}

/// Proof that every table holds every record up to `through`, durably.
pub struct Flushed {
    through: u64,
}

/// Writes everything up to `through` of all tables.
pub(crate) async fn flush(shared: &Shared, through: u64) -> Result<Flushed> {
    for (_, table) in shared.all_tables() {
        if let Some(part) = table.part(through) {
            flush_table(shared, &table, part, through).await?;
        }
    }
    Ok(Flushed { through })
}

/// Forgets in the log what is in the tables. The window of seen exports goes into the log first, so that a re-send
/// is recognised after a crash even when its first copy's record is gone.
pub(crate) async fn trim(shared: &Arc<Shared>, flushed: Flushed) -> Result<()> {
    let shared = shared.clone();
    let task = tokio::task::spawn_blocking(move || -> Result<(), wal::WalError> {
        let seen = record::seen(&shared.window().remembered());
        shared.wal.append_wait(wal::Record::from(seen))?;
        shared.wal.trim(flushed.through).map(drop)
    });
    let done = task.await.map_err(|e| Error::internal(format!("trimming the log: {e}")))?;
    done.map_err(|e| crate::store::wal_error(&e))
}

async fn flush_table(shared: &Shared, table: &Arc<Table>, part: Part, through: u64) -> Result<()> {
    let (signal, first_seq) = (table.signal, part.first_seq);
    let quiet_before = shared.clock.now() - QUIET;
    let encoded = tokio::task::spawn_blocking(move || encode(signal, &part, quiet_before));
    let encoded = encoded.await.map_err(|e| Error::internal(format!("encoding {}: {e}", signal.table())))??;
    let mut adds = Vec::new();
    for (day, file) in encoded {
        let name =
            format!("{}={day}/{}-{first_seq:020}-{through:020}.parquet", crate::delta::PARTITION, signal.table());
        adds.push(put(shared, table, name, file, 0, true).await?);
    }
    let through_txn = i64::try_from(through).map_err(|_| Error::internal("the log has run out of numbers"))?;
    let commit =
        Commit { operation: "WRITE", adds, txn: Some((shared.app_id.clone(), through_txn)), ..Commit::default() };
    table.commit(&commit, Some(through)).await.map(drop)
}

/// Uploads a file and returns the action that adds it.
pub(crate) async fn put(
    shared: &Shared,
    table: &Table,
    name: String,
    file: Encoded,
    level: u32,
    data_change: bool,
) -> Result<Add> {
    let facts = FileFacts {
        name,
        size: file.bytes.len() as u64,
        rows: file.rows,
        times: file.times,
        received: file.received,
        services: file.services,
        time_column: time_column(table.signal),
        unassembled: file.unsettled,
        level,
        checksum: file.checksum,
    };
    let path = table.log.path_of(&facts.name);
    let stored = shared.objects.put(&path, PutPayload::from(file.bytes)).await;
    stored.map_err(|e| Error::unavailable(format!("writing {path}: {e}")))?;
    Ok(Add::of(&facts, data_change, shared.clock.as_ref()))
}

/// One file for each day of receipt (nearly always one).
fn encode(signal: Signal, part: &Part, quiet_before: Nanos) -> Result<Vec<(String, Encoded)>> {
    let batches = match signal {
        Signal::Traces => assemble::fill(&part.context, &part.memory, quiet_before),
        Signal::Metrics | Signal::Logs => part.memory.clone(),
    };
    let mut days: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
    for batch in batches.into_iter().take(part.count).filter(|b| b.num_rows() > 0) {
        days.entry(day(received(&batch))).or_default().push(batch);
    }
    days.into_iter().map(|(day, batches)| Ok((day, parquet_file::encode(signal, &batches)?))).collect()
}

/// When a batch was received: the same for all of its rows.
fn received(batch: &RecordBatch) -> Nanos {
    let column = batch.column_by_name(column::RECEIVED).and_then(|c| c.as_primitive_opt::<Int64Type>());
    column.filter(|c| !c.is_empty()).map_or(0, |c| c.value(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(first_young: Option<u64>, last: u64, half: u64) -> Holding {
        Holding { first_young, last: Some(last), half: Some(half) }
    }

    #[test]
    fn the_youngest_row_that_must_stay_bounds_everybody() {
        assert_eq!(plan(&[], false), None);
        assert_eq!(plan(&[Holding::default()], false), None);
        assert_eq!(plan(&[holding(None, 9, 4)], false), Some(9));
        assert_eq!(plan(&[holding(None, 9, 4), holding(Some(7), 12, 8)], false), Some(6));
        assert_eq!(plan(&[holding(Some(0), 3, 1)], false), None);
    }

    #[test]
    fn under_pressure_half_goes_whatever_its_age() {
        assert_eq!(plan(&[holding(Some(1), 9, 4)], true), Some(4));
        assert_eq!(plan(&[holding(Some(8), 9, 4)], true), Some(7));
    }
}
