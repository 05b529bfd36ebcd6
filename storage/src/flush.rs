//! Rows leave memory and the log: chosen by [`plan`], assembled, sorted, encoded, committed, and only then forgotten by
//! the log.
//!
//! The dangerous order is "trim before the commit is durable". It cannot be written here: [`trim`] takes a
//! [`Flushed`], which only a flush of every table returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::schema::{column, time_column};
use model::time::SECOND;
use model::{Error, Nanos, Result, Signal};
use object_store::{ObjectStoreExt, PutPayload};

use crate::assemble;
use crate::background::{self, Priority};
use crate::backlog::Backlog;
use crate::crash::crash_point;
use crate::delta::{Add, Commit, FileFacts, Progress, day};
use crate::packed::Packed;
use crate::parquet_file::{self, Encoded};
use crate::record;
use crate::round::Round;
use crate::space;
use crate::store::Shared;
use crate::summary::Summarize;
use crate::table::{Holding, Part, Table};

/// A trace is taken to be complete when none of its spans arrived within this time before a flush.
const QUIET: Nanos = 5 * SECOND;

/// Why rows are written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// They were held as long as their traces need.
    Age,
    /// Memory is short: a file's worth of the oldest rows goes. If their traces cannot be quiet yet, they are assembled when
    /// files are merged.
    Pressure,
    /// All that there is, a file's worth at a time.
    Everything,
}

/// Up to which record to flush; `None` when there is nothing to do.
///
/// Rows leave as a prefix of the log over all of these tables, so the youngest row that must stay bounds everybody.
/// Otherwise the table that holds most decides.
pub fn plan(holdings: &[Holding], reason: Reason) -> Option<u64> {
    let first = holdings.iter().filter_map(|h| h.first).min()?;
    let last = holdings.iter().filter_map(|h| h.last).max()?;
    let fullest = holdings.iter().max_by_key(|h| h.bytes).and_then(|h| h.chunk).unwrap_or(last);
    let through = match reason {
        Reason::Age => match holdings.iter().filter_map(|h| h.first_young).min() {
            Some(young) => young.checked_sub(1)?,
            None => last,
        },
        Reason::Pressure => fullest,
        // The fullest table's last rows may be followed by another's.
        Reason::Everything if holdings.iter().all(|h| h.chunk == h.last) => last,
        Reason::Everything => fullest,
    };
    let through = whole(holdings, through, reason)?;
    (through >= first).then_some(through)
}

/// The same, with nothing of what was joined on both sides: a table says up to which record all of its rows are written.
/// What is young stays; what has to go takes the rest with it.
fn whole(holdings: &[Holding], mut through: u64, reason: Reason) -> Option<u64> {
    let joined = || holdings.iter().flat_map(|holding| &holding.joined);
    while let Some((first, last)) = joined().find(|(first, last)| *first <= through && through < *last) {
        through = if reason == Reason::Age { first.checked_sub(1)? } else { *last };
    }
    Some(through)
}

/// Proof that every table holds every record up to `through`, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    through: u64,
}

impl Flushed {
    /// When a store opens: what its log holds before the first row that still has to be written. `None` when none of it
    /// could be given up. An earlier process may have written it and ended, or have failed to trim.
    pub fn found(shared: &Shared) -> Option<Flushed> {
        let log = shared.log.wal.stats();
        let first_held = shared.all_tables().iter().filter_map(|(_, table)| table.first_record()).min();
        let through = first_held.map_or(log.last_durable_seq, |first| first - 1);
        let begins_below = log.oldest_seq.is_some_and(|oldest| oldest <= through);
        (log.segments > 1 && begins_below).then_some(Flushed { through })
    }
}

/// Writes everything up to `through` of the tables that have not failed in this round; `None` when others have.
///
/// Errors: that of the first table that fails now, once all others were written.
pub(crate) async fn flush(
    shared: &Arc<Shared>,
    through: u64,
    reason: Reason,
    round: &mut Round,
) -> Result<Option<Flushed>> {
    let mut outcome = Ok(());
    for table in round.tables(shared) {
        if let Err(error) = flush_one(shared, &table, through, reason).await {
            outcome = outcome.and(Err(error.clone()));
            round.fail(&table, error);
        }
    }
    outcome?;
    crash_point!("flush.all_done");
    Ok(round.is_whole().then_some(Flushed { through }))
}

async fn flush_one(shared: &Arc<Shared>, table: &Arc<Table>, through: u64, reason: Reason) -> Result<()> {
    let written = write_part(shared, table, through, reason).await;
    if let Err(error) = &written {
        table.hinder(error.clone(), shared.clock.now());
    }
    written
}

async fn write_part(shared: &Arc<Shared>, table: &Arc<Table>, through: u64, reason: Reason) -> Result<()> {
    table.settle().await?;
    if table.first_record().is_some_and(|first| first <= through)
        && let Some(why) = shared.room().keeps_in_log()
    {
        return Err(why);
    }
    let now = shared.clock.now();
    if let Some(part) = table.part(through, reason, now - QUIET)? {
        let written = flush_table(shared, table, part, (through, now)).await;
        if written.is_err() {
            table.give_up();
        }
        written?;
        crash_point!("flush.table_done");
    }
    Ok(())
}

/// Puts the window of seen exports into the log, so that a re-send is recognised after a crash even when its first copy's
/// record is gone: what a trim must have before it. Nothing is written when nothing can come again, so that a log whose
/// disk is full can be trimmed at last.
pub(crate) async fn remember(shared: &Arc<Shared>) -> Result<()> {
    in_the_log(shared, |shared| {
        let seen = shared.window().remembered(shared.clock.now());
        if !seen.is_empty() {
            // Past its quotas: a full log is emptied by this.
            shared.log.wal.append_wait_past_quotas(wal::Record::from(record::seen(&seen)))?;
        }
        crash_point!("trim.remembered");
        Ok(())
    })
    .await
}

/// Forgets in the log what is in the tables and what nobody reads. [`remember`] comes first.
pub(crate) async fn trim(shared: &Arc<Shared>, flushed: Flushed) -> Result<()> {
    in_the_log(shared, move |shared| {
        let through = shared.log.trimmable(flushed.through);
        shared.ledger.write();
        crash_point!("trim.counted");
        shared.log.wal.trim(through)?;
        crash_point!("trim.done");
        Ok(())
    })
    .await
}

/// Does what waits for the log's disk.
async fn in_the_log(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<(), wal::WalError> + Send + 'static,
) -> Result<()> {
    let shared = shared.clone();
    let done = tokio::task::spawn_blocking(move || work(&shared)).await;
    done.map_err(|e| Error::internal(format!("trimming the log: {e}")))?.map_err(|e| crate::store::wal_error(&e))
}

async fn flush_table(shared: &Arc<Shared>, table: &Arc<Table>, part: Part, (through, now): (u64, Nanos)) -> Result<()> {
    crash_point!("flush.begun");
    let (signal, first_seq) = (table.signal, part.first_seq);
    let assembled = part.is_assembled.then_some(now);
    let quiet_before = assembled.map(|at| at - QUIET);
    let (reader, place) = (shared.clone(), table.clone());
    let work = move || {
        let Part { held, context, later, .. } = part;
        let rows = rows(&reader, &place, &held)?;
        let encoded = encode((signal, reader.summarize.as_ref()), (context, later), rows, quiet_before)?;
        Ok((encoded, assembled.map(|at| (at, place.to_remember(&held)))))
    };
    let (encoded, remembered) = background::run("hotspan-flush", Priority::Flush, work).await?;
    crash_point!("flush.encoded");
    let mut adds = Vec::new();
    for (day, file) in encoded {
        let name =
            format!("{}={day}/{}-{first_seq:020}-{through:020}.parquet", crate::delta::PARTITION, signal.table());
        adds.push(put(shared, table, name, file, 0, true).await?);
    }
    crash_point!("flush.file_put");
    let number = |seq: u64| i64::try_from(seq).map_err(|_| Error::internal("the log has run out of numbers"));
    let progress = Progress { app_id: shared.app_id.clone(), from: number(first_seq)?, through: number(through)? };
    let commit = Commit { operation: "WRITE", adds, progress: Some(progress), ..Commit::default() };
    table.commit(&commit, remembered).await.map(drop)
}

/// The rows to write, those that are only in the log read from there. What the disk has lost is told, loudly, and the
/// rest is written: nothing else could be done with it.
fn rows(shared: &Arc<Shared>, table: &Table, held: &[Arc<crate::held::Held>]) -> Result<Vec<Packed>> {
    let mut rows = Vec::new();
    for run in held.chunk_by(|a, b| a.batch.is_some() == b.batch.is_some()) {
        if run[0].batch.is_some() {
            rows.extend(run.iter().filter_map(|h| h.batch.clone()));
            continue;
        }
        let Some(backlog) = Backlog::of(&shared.log, &table.tenant, table.signal, run.to_vec()) else { continue };
        let mut keep = |batch| {
            rows.push(Packed::of(batch));
            Ok(())
        };
        let lost = backlog.salvage(&mut keep)?;
        if lost > 0 {
            let (first, last, what) = (run[0].first, run[run.len() - 1].last, table.signal.table());
            shared.note_damage(format!(
                "{lost} acknowledged rows of {what} (records {first} to {last}) cannot be read from the write-ahead log"
            ));
        }
    }
    Ok(rows)
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
        summary: file.summary,
    };
    let path = table.log.path_of(&facts.name);
    let stored = shared.objects.put(&path, PutPayload::from(file.bytes)).await;
    stored.map_err(|e| space::trouble(format_args!("writing {path}"), &e))?;
    Ok(Add::of(&facts, data_change, shared.clock.as_ref()))
}

/// One file for each day of receipt (nearly always one). Traces are assembled that have been quiet since
/// `quiet_before`. What is there for that only is given up before the encoding, which takes longer: meanwhile `later` may
/// leave memory.
fn encode(
    (signal, summarize): (Signal, &dyn Summarize),
    (context, later): (Vec<RecordBatch>, Vec<Packed>),
    rows: Vec<Packed>,
    quiet_before: Option<Nanos>,
) -> Result<Vec<(String, Encoded)>> {
    let rows = match (signal, quiet_before) {
        (Signal::Traces, Some(quiet_before)) => assemble::fill_packed(&context, &later, rows, quiet_before),
        _ => rows,
    };
    drop((context, later));
    let mut days: BTreeMap<String, Vec<Packed>> = BTreeMap::new();
    for batch in rows.into_iter().filter(|b| b.num_rows() > 0) {
        // All of it was received on one day.
        let received = batch.first_number(column::RECEIVED).unwrap_or(0);
        days.entry(day(received)).or_default().push(batch);
    }
    days.into_iter().map(|(day, batches)| Ok((day, parquet_file::encode(signal, &batches, summarize)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(first_young: Option<u64>, last: u64, chunk: u64, bytes: usize) -> Holding {
        Holding { first: Some(0), first_young, last: Some(last), chunk: Some(chunk), bytes, joined: Vec::new() }
    }

    #[test]
    fn what_was_joined_leaves_as_a_whole() {
        let joined = |holding: Holding, joined: &[(u64, u64)]| Holding { joined: joined.to_vec(), ..holding };
        // One table's rows 876 to 2000 were joined and are young; another's 874 to 890 are old, and between them.
        let tables = [
            joined(holding(Some(876), 2_000, 2_000, 1), &[(876, 2_000)]),
            joined(holding(None, 900, 900, 5), &[(860, 873), (874, 890)]),
        ];
        assert_eq!(plan(&tables, Reason::Age), Some(873));
        // Whoever has to go takes along what it is joined with, and what that lies between.
        let tables = [
            joined(holding(None, 2_000, 600, 5), &[(500, 600)]),
            joined(holding(None, 1_000, 900, 1), &[(590, 700)]),
            joined(holding(None, 1_000, 900, 1), &[(650, 660), (700, 720), (721, 730)]),
        ];
        assert_eq!(plan(&tables, Reason::Pressure), Some(720));
        assert_eq!(plan(&[joined(holding(Some(3), 9, 9, 1), &[(0, 5)])], Reason::Age), None);
    }

    #[test]
    fn the_youngest_row_that_must_stay_bounds_everybody() {
        assert_eq!(plan(&[], Reason::Age), None);
        assert_eq!(plan(&[Holding::default()], Reason::Age), None);
        assert_eq!(plan(&[holding(None, 9, 4, 1)], Reason::Age), Some(9));
        assert_eq!(plan(&[holding(None, 9, 4, 1), holding(Some(7), 12, 8, 1)], Reason::Age), Some(6));
        assert_eq!(plan(&[holding(Some(0), 3, 1, 1)], Reason::Age), None);
    }

    #[test]
    fn under_pressure_a_file_of_the_fullest_table_goes_whatever_its_age() {
        assert_eq!(plan(&[holding(Some(1), 9, 4, 1)], Reason::Pressure), Some(4));
        assert_eq!(plan(&[holding(Some(1), 9, 9, 1), holding(Some(2), 30, 20, 5)], Reason::Pressure), Some(20));
    }

    #[test]
    fn everything_goes_in_files_of_a_bounded_size() {
        let (small, large) = (holding(None, 40, 40, 1), holding(None, 30, 20, 5));
        assert_eq!(plan(&[small.clone(), large], Reason::Everything), Some(20));
        assert_eq!(plan(&[small, holding(None, 30, 30, 5)], Reason::Everything), Some(40));
    }
}
