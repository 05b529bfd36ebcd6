//! Decides how long the writer waits for more records before it writes a group.
//!
//! While a group is being synced, the others queue up; taking all of them makes large groups under load without any
//! timer, and a single client never waits. But clients that were all answered at once also come back at about
//! the same time, and the first to come back would start a sync that the rest just miss. So after a group of several
//! records the writer waits until as many have come back, for no longer than `gather`, and no longer than a sync has
//! been taking: beyond that, waiting costs more than the sync it saves.
//!
//! Pure: the writer thread measures and acts.

use std::time::Duration;

use crate::Settings;

/// What the writer sees when records wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub records: usize,
    pub bytes: u64,
    /// Since the writer was ready for this group.
    pub waited: Duration,
    /// Records in the last group: so many clients are about to send again.
    pub last_group: usize,
    /// What a sync has been taking of late.
    pub sync: Duration,
}

/// How long to wait for more; zero means write now.
pub(crate) fn patience(waiting: &Waiting, settings: &Settings) -> Duration {
    let enough = waiting.records >= waiting.last_group || waiting.bytes >= settings.gather_bytes;
    if enough { Duration::ZERO } else { settings.gather.min(waiting.sync).saturating_sub(waiting.waited) }
}

/// The moving mean of sync times, with a weight of one eighth for the newest.
pub(crate) fn smooth(mean: Duration, newest: Duration) -> Duration {
    (mean * 7 + newest) / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn waiting(records: usize, last_group: usize) -> Waiting {
        Waiting { records, bytes: records as u64 * 100, waited: Duration::ZERO, last_group, sync: 10 * MS }
    }

    #[test]
    fn one_client_never_waits() {
        assert_eq!(patience(&waiting(1, 0), &Settings::default()), Duration::ZERO, "the first record of all");
        assert_eq!(patience(&waiting(1, 1), &Settings::default()), Duration::ZERO);
    }

    #[test]
    fn many_clients_wait_for_each_other() {
        let settings = Settings::default();
        assert_eq!(patience(&waiting(1, 16), &settings), 2 * MS);
        assert_eq!(patience(&waiting(15, 16), &settings), 2 * MS);
        assert_eq!(patience(&waiting(16, 16), &settings), Duration::ZERO);
        assert_eq!(patience(&Waiting { waited: MS, ..waiting(15, 16) }, &settings), MS);
        assert_eq!(patience(&Waiting { waited: 3 * MS, ..waiting(15, 16) }, &settings), Duration::ZERO);
    }

    #[test]
    fn waiting_never_costs_more_than_the_sync_it_saves() {
        let fast = Waiting { sync: MS / 10, ..waiting(1, 16) };
        assert_eq!(patience(&fast, &Settings::default()), MS / 10);
    }

    #[test]
    fn enough_bytes_end_the_wait() {
        let large = Waiting { bytes: 1 << 20, ..waiting(1, 16) };
        assert_eq!(patience(&large, &Settings::default()), Duration::ZERO);
    }
}
