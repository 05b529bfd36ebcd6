//! What is too old or too much goes: [`expired`] chooses, the caller commits the removal; [`vacuum`] deletes the
//! files of removed ones once nobody can be reading them. Both go by a clock that is believed ([`crate::trust`]).

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use model::time::{HOUR, MILLISECOND, MINUTE};
use model::{Error, Nanos, Result};
use object_store::ObjectStoreExt;

use crate::crash::crash_point;
use crate::delta::{Commit, DataFile};
use crate::round::Round;
use crate::store::Shared;
use crate::table::Table;
use crate::traced;
use crate::trust::Belief;

/// Other programs may be reading a version that was current a moment ago.
const KEEP_REMOVED: Nanos = 10 * MINUTE;

/// The files whose rows were all received before `horizon`, and, oldest first, as many more as it takes to come
/// down to `most_bytes` in all.
pub fn expired(files: &[Arc<DataFile>], horizon: Option<Nanos>, most_bytes: Option<u64>) -> Vec<Arc<DataFile>> {
    let mut sorted: Vec<&Arc<DataFile>> = files.iter().collect();
    sorted.sort_by_key(|f| (f.max_received, f.path.clone()));
    let mut total: u64 = files.iter().map(|f| f.size).sum();
    let goes = |file: &&&Arc<DataFile>| {
        let old = horizon.is_some_and(|h| file.max_received < h);
        let much = most_bytes.is_some_and(|most| total > most);
        if old || much {
            total -= file.size;
        }
        old || much
    };
    sorted.iter().filter(goes).map(|f| Arc::clone(f)).collect()
}

/// The latest time at which what is there can be believed to be there: by a later one more than half of its bytes should
/// have been deleted an hour ago or more.
pub fn latest_plausible(files: &[Arc<DataFile>], retention: Option<Nanos>) -> Nanos {
    let Some(retention) = retention else { return Nanos::MAX };
    let mut sorted: Vec<&Arc<DataFile>> = files.iter().collect();
    sorted.sort_by_key(|f| f.max_received);
    let half = files.iter().map(|f| f.size).sum::<u64>() / 2;
    let mut passed = 0;
    let median = sorted.iter().find(|f| {
        passed += f.size;
        passed > half
    });
    median.map_or(Nanos::MAX, |f| f.max_received.saturating_add(retention).saturating_add(HOUR))
}

/// Whether a file that was removed at `removed_at` may be deleted: nobody can be reading it. What was removed later than
/// it is now was removed by a clock that was ahead, and nobody waits for it to come there again.
fn is_past(removed_at: Nanos, belief: &Belief) -> bool {
    let grace = |now: Nanos| now - KEEP_REMOVED..=now.saturating_add(KEEP_REMOVED);
    belief.is_settled(KEEP_REMOVED) && belief.now.is_some_and(|now| !grace(now).contains(&removed_at))
}

/// Takes expired files out of the tables of this round.
pub(crate) async fn expire(shared: &Shared, belief: &Belief, round: &mut Round) {
    let horizon = shared.settings.retention().zip(belief.now).map(|(age, now)| now - age);
    let most = (shared.settings.retention_bytes > 0).then_some(shared.settings.retention_bytes);
    let tables = shared.all_tables();
    let files: Vec<Arc<DataFile>> = tables.iter().flat_map(|(_, t)| t.files().to_vec()).collect();
    let gone: HashSet<String> = expired(&files, horizon, most).iter().map(|f| f.path.clone()).collect();
    for table in round.tables(shared) {
        let files = table.files();
        let removes: Vec<_> = files.iter().filter(|f| gone.contains(&f.path)).collect();
        if removes.is_empty() {
            continue;
        }
        let removes: Vec<_> = removes.iter().map(|f| f.add.removed(true, shared.clock.as_ref())).collect();
        let commit = Commit { operation: "DELETE", removes, ..Commit::default() };
        match traced::expire(&table, commit.removes.len()).run(table.commit(&commit, None)).await {
            Ok(_) => crash_point!("expire.committed"),
            Err(error) => round.fail(&table, error),
        }
    }
}

/// Files that were part of a version and may still be leased by a query.
#[derive(Default)]
pub struct Leases(Vec<(String, Weak<DataFile>)>);

impl Leases {
    /// Remembers the files of a table before some of them are removed.
    pub fn watch(&mut self, files: &[Arc<DataFile>]) {
        let known: HashSet<&String> = self.0.iter().map(|(path, _)| path).collect();
        let new: Vec<_> =
            files.iter().filter(|f| !known.contains(&f.path)).map(|f| (f.path.clone(), Arc::downgrade(f))).collect();
        self.0.extend(new);
        self.0.retain(|(_, file)| file.strong_count() > 0);
    }

    fn held(&self, path: &str) -> bool {
        self.0.iter().any(|(p, file)| p == path && file.strong_count() > 0)
    }
}

/// Deletes removed files that are old enough and that no snapshot holds.
pub(crate) async fn vacuum(shared: &Shared, belief: &Belief, table: &Table, leases: &Leases) -> Result<u64> {
    let mut gone = Vec::new();
    for (name, removed_at) in table.tombstones().await? {
        let path = table.log.path_of(&name);
        if !is_past(removed_at.saturating_mul(MILLISECOND), belief) || leases.held(path.as_ref()) {
            continue;
        }
        match shared.objects.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => gone.push(name),
            Err(e) => return Err(Error::unavailable(format!("deleting {path}: {e}"))),
        }
        crash_point!("vacuum.deleted");
    }
    table.forget(&gone).await;
    Ok(gone.len() as u64)
}
