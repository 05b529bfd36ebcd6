//! Spans that are no PRODUCER and that consumers name as what sent their message: some instrumentations send with kind
//! CLIENT, some have no span of their own for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::Result;
use model::time::MINUTE;

use super::super::batch::{id, ids};
use super::super::called::{self, Called, Operations};
use super::super::scope::{Window, started_in};
use crate::fold::Fold;
use crate::query::Query;

/// How long before a stretch of time a message may have been sent that is taken in it.
const LONGEST_WAIT: i64 = MINUTE;

/// The operations of those of the wanted spans that are there.
pub async fn senders(
    query: &Query,
    stretches: &[Window],
    wanted: HashSet<u64>,
    operations: &mut Operations,
) -> Result<HashMap<u64, u32>> {
    let wanted = Arc::new(wanted);
    let mut all = HashMap::new();
    for stretch in stretches {
        let sql = format!(
            "SELECT span_id_bytes, {} FROM spans WHERE kind <> 'PRODUCER' AND {}",
            called::columns(),
            started_in(Window { start: stretch.start.saturating_sub(LONGEST_WAIT), end: stretch.end }),
        );
        let none = || Senders { wanted: Arc::clone(&wanted), operations: Operations::default(), found: HashMap::new() };
        let Senders { operations: seen, found, .. } = query.fold(&sql, none).await?.fold;
        let (_, numbers) = operations.take_in(&seen);
        all.extend(found.into_iter().map(|(span, operation)| (span, numbers[operation as usize])));
    }
    Ok(all)
}

struct Senders {
    wanted: Arc<HashSet<u64>>,
    operations: Operations,
    found: HashMap<u64, u32>,
}

impl Fold for Senders {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut called = Called::of(batch)?;
        let spans = ids(batch, "span_id_bytes")?;
        for row in 0..batch.num_rows() {
            let span = id(spans, row);
            if self.wanted.contains(&span) {
                self.found.insert(span, called.number(row, &mut self.operations));
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        let (_, numbers) = self.operations.take_in(&other.operations);
        self.found.extend(other.found.into_iter().map(|(span, operation)| (span, numbers[operation as usize])));
    }

    fn size(&self) -> usize {
        self.operations.size() + self.found.capacity() * (size_of::<(u64, u32)>() + 1)
    }
}
