//! Rows on their way to a file: in memory and in the log, or in the log only.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use model::schema::time_column;
use model::{Nanos, Signal};

use crate::leaving::PartNumber;
use crate::ledger;
use crate::memory::Memory;
use crate::packed::Packed;

/// Rows of one export, or of several that follow one another in a table.
#[derive(Debug)]
pub struct Held {
    /// The records they came with. Other tables' records may lie in between.
    pub first: u64,
    pub last: u64,
    /// When the first and the last of the exports were received.
    pub oldest: Nanos,
    pub newest: Nanos,
    pub exports: u64,
    pub rows: usize,
    /// hotspan sent all of it to itself.
    pub is_own: bool,
    /// Bytes that the rows take in memory, when they are there.
    pub bytes: usize,
    /// Least and greatest of the table's time column.
    pub times: (Nanos, Nanos),
    /// `None`: dropped from memory, to be read from the log again.
    pub batch: Option<Packed>,
    /// With which part of the table's rows they left memory.
    pub part: Option<PartNumber>,
}

impl Held {
    pub fn new(signal: Signal, seq: u64, received: Nanos, batch: RecordBatch) -> Self {
        let times = batch.column_by_name(time_column(signal)).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let least = times.and_then(arrow::compute::min).unwrap_or(Nanos::MIN);
        let greatest = times.and_then(arrow::compute::max).unwrap_or(Nanos::MAX);
        let is_own = ledger::is_own(&batch);
        let (rows, packed) = (batch.num_rows(), Packed::of(batch));
        Held {
            first: seq,
            last: seq,
            oldest: received,
            newest: received,
            exports: 1,
            rows,
            is_own,
            bytes: packed.bytes(),
            times: (least, greatest),
            batch: Some(packed),
            part: None,
        }
    }

    /// The same rows, counted as alive for as long as anybody has them.
    pub fn counted(self, memory: &Memory) -> Self {
        let batch = self.batch.map(|rows| rows.counted(memory.count(self.bytes)));
        Held { batch, ..self }
    }

    /// The first and the last record they came with: no other rows of the table have these.
    pub fn records(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    /// The same rows, in the log only.
    pub fn dropped(&self, part: PartNumber) -> Held {
        Held { batch: None, part: Some(part), ..*self }
    }

    /// Bytes now in memory.
    pub fn in_memory(&self) -> usize {
        if self.batch.is_some() { self.bytes } else { 0 }
    }

    /// Neighbours of one part as one. All of them have `batch`, joined by the caller, or none has.
    pub fn joined(parts: &[Arc<Held>], batch: Option<Packed>) -> Option<Held> {
        let (first, last) = (parts.first()?, parts.last()?);
        let bytes = match &batch {
            Some(batch) => batch.bytes(),
            None => parts.iter().map(|p| p.bytes).sum(),
        };
        let least = parts.iter().map(|p| p.times.0).min()?;
        let greatest = parts.iter().map(|p| p.times.1).max()?;
        Some(Held {
            first: first.first,
            last: last.last,
            oldest: first.oldest,
            newest: last.newest,
            exports: parts.iter().map(|p| p.exports).sum(),
            rows: parts.iter().map(|p| p.rows).sum(),
            is_own: parts.iter().all(|p| p.is_own),
            bytes,
            times: (least, greatest),
            batch,
            part: first.part,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringViewArray};
    use model::schema::column;

    #[test]
    fn own_telemetry_is_told_from_that_of_others_also_when_it_is_joined() {
        let of = |service: &str, seq| {
            let names: ArrayRef = Arc::new(StringViewArray::from(vec![service; 3]));
            let rows = RecordBatch::try_from_iter([(column::SERVICE_NAME, names)]).expect("a batch");
            Arc::new(Held::new(Signal::Traces, seq, 0, rows).dropped(1))
        };
        let (own, other) = ([of(ledger::OWN, 1), of(ledger::OWN, 2)], of("shop", 3));
        let joined = Held::joined(&own, None).expect("some");
        assert_eq!((joined.is_own, joined.exports, joined.rows), (true, 2, 6));
        let all = Held::joined(&[Arc::new(joined), other], None).expect("some");
        assert_eq!((all.is_own, all.exports, all.rows), (false, 3, 9));
    }
}
