//! Seeded bugs: each breaks a promise on purpose, from outside of the store's code. A checker that does not notice one of
//! them proves nothing.

use bytes::Bytes;
use object_store::PutPayload;
use object_store::path::Path;
use wal::sim::Lie;

use crate::delta::checkpoint;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    None,
    /// The log's disk does not do what it reports as done.
    Disk(Lie),
    /// The client is told when its record is queued, before it is synced.
    AcknowledgedEarly,
    /// The log is trimmed before the rows are in a table.
    TrimmedEarly,
    /// Tables do not remember up to which record they have come, so nothing is skipped at replay.
    ForgottenTransactions,
    /// Objects are not synced when a put returns: a power cut may undo the last few, each by itself. A commit can then
    /// be there without its file, and the log can be trimmed for a commit that is gone.
    ObjectsNotSynced,
    /// Now and then a put is reported as done and was not.
    PutNotDone,
    /// "It exists already" is taken for "it is there".
    ConflictTakenForDone,
}

impl Bug {
    pub const ALL: [Bug; 10] = [
        Bug::Disk(Lie::Sync),
        Bug::Disk(Lie::SyncDir),
        Bug::Disk(Lie::SetLen),
        Bug::Disk(Lie::Write),
        Bug::AcknowledgedEarly,
        Bug::TrimmedEarly,
        Bug::ForgottenTransactions,
        Bug::ObjectsNotSynced,
        Bug::PutNotDone,
        Bug::ConflictTakenForDone,
    ];
}

/// A commit or a checkpoint without its `txn` actions.
pub fn without_transactions(path: &Path, payload: PutPayload) -> PutPayload {
    let name = path.filename().unwrap_or_default();
    if !path.as_ref().contains("_delta_log") || name == "_last_checkpoint" {
        return payload;
    }
    let bytes: Vec<u8> = payload.iter().flat_map(|part| part.iter().copied()).collect();
    if name.ends_with(".parquet") {
        let mut actions = checkpoint::decode(Bytes::from(bytes)).expect("a checkpoint of ours");
        actions.retain(|action| action.txn.is_none());
        return checkpoint::encode(&actions).expect("encodes").into();
    }
    let text = String::from_utf8(bytes).expect("a commit is text");
    let kept: String = text.lines().filter(|l| !l.starts_with(r#"{"txn""#)).map(|l| format!("{l}\n")).collect();
    kept.into()
}
