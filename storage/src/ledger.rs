//! The ledger across starts: `<data>/ledger.json`, and how it is made whole again from the log after a crash.
//!
//! ```text
//!   file: totals, with `stored` counted up to record `through`
//!   log:  records after `through` ── counted when they are replayed ──▶ stored since the store was made, exactly
//!
//!   flush ▸ commit ▸ write the file (through) ▸ trim the log         a kill between any two of these loses no count
//! ```
//! The file may count more than is trimmed: `through` tells a replay what it has to leave out. So nothing is kept for each
//! record. *Invariant:* a stored row is counted in the file or its record is in the log behind `through`, never both. What
//! a kill can lose are the counts of rows that were rejected, refused or recognised since the file was last written, at
//! most a flush ago.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use model::ledger::Outcomes;
use model::schema::column;
use model::{Ledger, Signal};
use serde::{Deserialize, Serialize};

use crate::folder;
use crate::maintain::still_refused;
use crate::store::{Shared, Store};

const NAME: &str = "ledger.json";
/// The version that this program writes; a newer file is left alone and counting begins with the tables.
const VERSION: u32 = 1;
/// No log gets as far.
const MOST: u64 = u64::MAX >> 2;
/// The service name of hotspan's own telemetry.
pub(crate) const OWN: &str = "hotspan";

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Saved {
    version: u32,
    /// The record up to which `stored` counts.
    through: u64,
    spans: Outcomes,
    metrics: Outcomes,
    logs: Outcomes,
}

/// What is counted: by the file, and by now.
struct Counting {
    /// What the file says, or will say when it is written next.
    through: u64,
    stored: [u64; 3],
    /// The last record seen, and all rows up to it.
    last: u64,
    counted: [u64; 3],
    written: Option<Saved>,
}

pub(crate) struct StoreLedger {
    root: PathBuf,
    counting: Mutex<Counting>,
    /// Outcomes of earlier processes, and the account of this one; set once the log has been replayed.
    before: [Outcomes; 3],
    current: Arc<Ledger>,
    /// One writer at a time.
    writing: Mutex<()>,
}

impl StoreLedger {
    /// Reads the file. `in_tables` are the rows that the tables hold by signal: what is known to have been stored in a
    /// folder without a file. Answers trouble in words.
    pub fn open(root: &Path, in_tables: [u64; 3]) -> (Self, Option<String>) {
        let path = root.join(NAME);
        let (saved, trouble) = match read(&path) {
            Ok(saved) => (saved, None),
            Err(why) => {
                let text = format!("{}: {why}; counting since the store was made begins anew", path.display());
                (None, Some(text))
            }
        };
        let known = saved.as_ref().map(|s| [s.spans, s.metrics, s.logs]);
        let before = known.unwrap_or_else(|| in_tables.map(|stored| Outcomes { stored, ..Outcomes::default() }));
        let (through, stored) = (saved.as_ref().map_or(0, |s| s.through), before.map(|b| b.stored));
        let counting = Counting { through, stored, last: through, counted: stored, written: saved };
        let (counting, writing) = (Mutex::new(counting), Mutex::new(()));
        (StoreLedger { root: root.to_path_buf(), counting, before, current: Arc::default(), writing }, trouble)
    }

    /// A record that is replayed, or that a table holds already. Its rows are asked for only when they are not counted
    /// yet: by the file, or without one by the table.
    pub fn replayed<E>(
        &self,
        seq: u64,
        signal: Signal,
        in_table: bool,
        rows: impl FnOnce() -> Result<RecordBatch, E>,
    ) -> Result<(), E> {
        let mut counting = self.counting();
        counting.last = counting.last.max(seq);
        let is_counted = if counting.written.is_some() { seq <= counting.through } else { in_table };
        drop(counting);
        if !is_counted {
            self.stored(seq, signal, rows()?.num_rows() as u64);
        }
        Ok(())
    }

    /// A record that was appended, in the order of the log.
    pub fn stored(&self, seq: u64, signal: Signal, rows: u64) {
        let mut counting = self.counting();
        counting.last = counting.last.max(seq);
        counting.counted[signal as usize] += rows;
    }

    /// Ends the replay: the account of this process begins.
    pub fn begin(&mut self) {
        let counting = self.counting.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (before, counted) in self.before.iter_mut().zip(counting.counted) {
            before.stored = counted;
        }
        if counting.written.is_none() {
            // Tables may have come up to different records, so all that were seen count from now on.
            (counting.through, counting.stored) = (counting.last, counting.counted);
        }
        self.current = Arc::new(Ledger::continuing(self.before));
    }

    /// The record up to which the file counts: a new one must not have its number.
    pub fn through(&self) -> u64 {
        self.counting().through
    }

    pub fn current(&self) -> &Arc<Ledger> {
        &self.current
    }

    /// Counts all that is stored, some of which is about to leave the log, and writes the file.
    pub fn write(&self) {
        {
            let mut counting = self.counting();
            (counting.through, counting.stored) = (counting.last, counting.counted);
        }
        self.keep();
    }

    /// Writes the file when it would say something else than before. Trouble costs exact totals after a crash, not
    /// data, so it is only told.
    pub fn keep(&self) {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = self.now();
        if self.counting().written.as_ref() == Some(&saved) {
            return;
        }
        let written = serde_json::to_vec(&saved).map_err(io::Error::from);
        match written.and_then(|bytes| folder::write_durably(&self.root, NAME, &bytes)) {
            Ok(()) => self.counting().written = Some(saved),
            Err(error) => tracing::warn!("writing {}: {error}; it is tried again", self.root.join(NAME).display()),
        }
    }

    fn now(&self) -> Saved {
        let counting = self.counting();
        let outcomes = Signal::ALL.map(|signal| {
            let (now, before) = (self.current.of(signal).totals(), self.before[signal as usize]);
            Outcomes {
                stored: counting.stored[signal as usize],
                rejected: before.rejected + now.rejected,
                refused: before.refused + now.refused,
                duplicates: before.duplicates + now.duplicates,
            }
        });
        let [spans, metrics, logs] = outcomes;
        Saved { version: VERSION, through: counting.through, spans, metrics, logs }
    }

    fn counting(&self) -> MutexGuard<'_, Counting> {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The last step of a clean stop: nothing is appended any more.
    pub fn end(&self) -> Result<(), wal::WalError> {
        self.ledger.keep();
        self.log.wal.close()
    }
}

impl Store {
    /// The account of this process, which also knows what earlier ones did with the same folder.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.shared.ledger.current().clone()
    }

    /// Why exports are refused now.
    pub fn refusing(&self) -> Option<String> {
        let log = self.shared.log.wal.stats();
        let mut refusing = self.shared.refusing();
        refusing.log = still_refused(refusing.log.take(), &log);
        refusing.why()
    }
}

/// Whether hotspan sent it to itself. One export has one resource as hotspan sends them, so the first row tells.
pub(crate) fn is_own(rows: &RecordBatch) -> bool {
    let names = rows.column_by_name(column::SERVICE_NAME).and_then(|c| c.as_string_view_opt());
    names.is_some_and(|names| !names.is_empty() && names.value(0) == OWN)
}

fn read(path: &Path) -> Result<Option<Saved>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let saved: Saved = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    if saved.version > VERSION {
        return Err(format!("version {} is newer than {VERSION}", saved.version));
    }
    if saved.through > MOST {
        return Err(format!("there is no record {}", saved.through));
    }
    Ok(Some(saved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringViewArray};

    fn rows(service: &str, n: usize) -> RecordBatch {
        let names: ArrayRef = Arc::new(StringViewArray::from(vec![service; n]));
        RecordBatch::try_from_iter([(column::SERVICE_NAME, names)]).expect("a batch")
    }

    fn open(root: &Path, in_tables: [u64; 3]) -> StoreLedger {
        let (ledger, trouble) = StoreLedger::open(root, in_tables);
        assert_eq!(trouble, None);
        ledger
    }

    fn stored(ledger: &StoreLedger) -> u64 {
        ledger.current().of(Signal::Traces).since_creation().stored
    }

    /// Records 1 to 4 of 10 rows each. The kill comes when the file counts 1 and 2 and a table holds 1.
    #[test]
    fn a_record_is_counted_by_the_file_or_by_the_replay() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut first = open(folder.path(), [0; 3]);
        first.begin();
        first.stored(1, Signal::Traces, 10);
        first.stored(2, Signal::Traces, 10);
        first.current().of(Signal::Logs).received(7);
        first.current().of(Signal::Logs).rejected(7);
        first.write();
        first.stored(3, Signal::Traces, 10);
        first.stored(4, Signal::Traces, 10);
        drop(first);

        let mut second = open(folder.path(), [0; 3]);
        for seq in 1..=4 {
            let decoded = second.replayed(seq, Signal::Traces, false, || Ok::<_, ()>(rows("shop", 10)));
            decoded.expect("decodes");
        }
        second.begin();
        assert_eq!(stored(&second), 40);
        assert_eq!(second.current().of(Signal::Logs).since_creation().rejected, 7);
        assert_eq!(second.current().of(Signal::Traces).totals().stored, 0, "of this process");
        second.write();
        drop(second);

        let mut third = open(folder.path(), [0; 3]);
        let uncounted = third.replayed(4, Signal::Traces, false, || Err("it is counted"));
        uncounted.expect("is not decoded");
        third.begin();
        assert_eq!(stored(&third), 40);
    }

    #[test]
    fn a_folder_without_the_file_begins_with_its_tables_and_a_damaged_file_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ledger = open(folder.path(), [100, 0, 0]);
        let unasked = ledger.replayed(5, Signal::Traces, true, || Err("the tables hold it"));
        unasked.expect("is not decoded");
        ledger.replayed(6, Signal::Traces, false, || Ok::<_, ()>(rows("shop", 1))).expect("decodes");
        ledger.begin();
        assert_eq!(stored(&ledger), 101);
        // Killed before the first flush: the file that was written meanwhile counts what the log still holds.
        ledger.keep();
        let mut again = open(folder.path(), [100, 0, 0]);
        for seq in 5..=6 {
            again.replayed(seq, Signal::Traces, false, || Err("it is counted")).expect("is not decoded");
        }
        again.begin();
        assert_eq!(stored(&again), 101);
        fs::write(folder.path().join(NAME), "{").expect("written");
        let (_, trouble) = StoreLedger::open(folder.path(), [0; 3]);
        assert!(trouble.expect("told").contains(NAME));
    }
}
