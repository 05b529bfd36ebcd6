//! What rows in memory say: of runs of exports, worked out once and kept while the rows are there.
//!
//! ```text
//! in memory:  [a b c][d e f g][h i] j k      oldest first; behind c, g and i a run ends
//! kept of:      └─run─┘└─run──┘└run┘ └ folded as asked, with what an edge of a window cuts
//! ```
//! Whether a run ends behind an export depends on that export alone, so what is written to files from the front, or
//! comes at the back, leaves the runs between as they are. A run whose traces were assembled meanwhile is another: its rows
//! have other numbers. *Invariant:* what is kept is of exactly the rows with the numbers in its key.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use futures::StreamExt;
use model::{Nanos, Result};
use storage::{Packed, TableSnapshot, Timed};
use xxhash_rust::xxh3::xxh3_64;

use super::{AT_ONCE, FromFile, LONGEST, Said, around};
use crate::analysis::per_file::key_of;
use crate::analysis::scope::Window;
use crate::error::from_datafusion;
use crate::fold::{Fold, ended};
use crate::query::Query;
use crate::tables::memory;

/// Rows of a run, on average. More: less to add up, and more to do anew when one of them has changed.
const ROWS_A_RUN: u64 = 16_384;
/// Of fewer rows in memory nothing is kept: they are folded as fast.
const LEAST_ROWS: usize = 4 * ROWS_A_RUN as usize;

/// Rows that came one after the other.
struct Run {
    key: String,
    /// Least and greatest of the table's time column.
    times: (Nanos, Nanos),
    rows: Vec<Packed>,
}

/// Splits a table into what is kept of its rows in memory that can say something of `near`, and the table with all the
/// rest.
pub(super) async fn split<T: FromFile>(
    query: &Query,
    table: TableSnapshot,
    near: Window,
    fits: impl Fn(&T, (Nanos, Nanos)) -> bool,
) -> Result<(Vec<Said<T>>, TableSnapshot)> {
    let Some(columns) = T::of_memory().filter(|_| table.rows_in_memory() >= LEAST_ROWS) else {
        return Ok((Vec::new(), table));
    };
    let taken = query.snapshot().taken;
    let rows = memory::assembled(&table, taken).await.map_err(from_datafusion)?;
    let columns: Arc<[&str]> = columns.into();
    let said = |run: Run| {
        let columns = columns.clone();
        async move { (of_run::<T>(query, &run, columns).await, run) }
    };
    let runs: Vec<Run> =
        runs(&rows).into_iter().map(|run| Run::of(&rows[run])).filter(|run| near.meets(run.times)).collect();
    let mut asked = std::pin::pin!(futures::stream::iter(runs).map(said).buffered(AT_ONCE));
    let (mut known, mut told) = (Vec::new(), HashSet::new());
    while let Some((found, run)) = asked.next().await {
        if let Some(what) = found?.filter(|what| fits(what, run.times)) {
            told.extend(run.rows.iter().map(Packed::number));
            known.push(Said { key: run.key, what });
        }
    }
    Ok((known, table.without_rows(memory::quiet_before(taken), &told)))
}

/// The runs of which the end is known. The first begins where memory begins.
fn runs(rows: &[Timed]) -> Vec<Range<usize>> {
    let ends_behind = |rows: &Packed| xxh3_64(&rows.number().to_le_bytes()) % ROWS_A_RUN < rows.num_rows() as u64;
    let ends = (1..).zip(rows).filter(|(_, part)| ends_behind(&part.rows)).map(|(end, _)| end);
    ends.scan(0, |begin, end| Some(std::mem::replace(begin, end)..end)).collect()
}

impl Run {
    fn of(rows: &[Timed]) -> Self {
        let numbers: Vec<u8> = rows.iter().flat_map(|part| part.rows.number().to_le_bytes()).collect();
        let least = rows.iter().map(|part| part.times.0).min().unwrap_or(Nanos::MIN);
        let greatest = rows.iter().map(|part| part.times.1).max().unwrap_or(Nanos::MAX);
        Run {
            key: key_of("memory", &numbers),
            times: (least, greatest),
            rows: rows.iter().map(|part| part.rows.clone()).collect(),
        }
    }
}

/// What is kept of a run, or found now.
async fn of_run<T: FromFile>(query: &Query, run: &Run, columns: Arc<[&'static str]>) -> Result<Option<Arc<T>>> {
    if run.times.1.saturating_sub(run.times.0) > LONGEST {
        return Ok(None);
    }
    let cache = T::kept(query.pieces());
    if let Some(known) = cache.get(&run.key) {
        return Ok(known);
    }
    let (rows, empty) = (run.rows.clone(), T::empty(around(run.times)));
    // A task of its own, so that several are worked out at once.
    let found =
        SpawnedTask::spawn(async move { fold::<T>(&rows, &columns, empty) }).await.map_err(ended)??.map(Arc::new);
    cache.keep(&run.key, found.clone());
    Ok(found)
}

fn fold<T: FromFile>(rows: &[Packed], columns: &[&str], mut folded: T::Folded) -> Result<Option<T>> {
    for rows in rows {
        folded.add(&rows.select(columns)?)?;
    }
    Ok(T::made_of(folded))
}
