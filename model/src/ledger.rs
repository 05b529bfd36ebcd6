//! The ledger: what came in equals what became of it, at every moment it is read.
//!
//! `received = stored + rejected + refused + duplicates + in_flight`, in rows, per signal (interface.md, "Words").
//! `in_flight` is derived, so the equation cannot be broken by a missed decrement. Totals are kept since the start of
//! the process, and since the store was made: the store says at its opening what earlier processes had done.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Signal;

/// What became of rows: what an account is carried on with in the next process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Outcomes {
    pub stored: u64,
    pub rejected: u64,
    pub refused: u64,
    pub duplicates: u64,
}

impl Outcomes {
    /// Every row has one outcome, so that many were received.
    pub fn sum(&self) -> u64 {
        self.stored + self.rejected + self.refused + self.duplicates
    }
}

#[derive(Debug, Default)]
pub struct Account {
    /// Of the processes before this one.
    before: Outcomes,
    received: AtomicU64,
    stored: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
    duplicates: AtomicU64,
}

/// One reading of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    pub received: u64,
    pub stored: u64,
    pub rejected: u64,
    pub refused: u64,
    pub duplicates: u64,
    pub in_flight: u64,
}

impl Account {
    pub fn received(&self, rows: u64) {
        self.received.fetch_add(rows, Ordering::SeqCst);
    }
    pub fn stored(&self, rows: u64) {
        self.stored.fetch_add(rows, Ordering::SeqCst);
    }
    pub fn rejected(&self, rows: u64) {
        self.rejected.fetch_add(rows, Ordering::SeqCst);
    }
    pub fn refused(&self, rows: u64) {
        self.refused.fetch_add(rows, Ordering::SeqCst);
    }
    pub fn duplicates(&self, rows: u64) {
        self.duplicates.fetch_add(rows, Ordering::SeqCst);
    }

    pub fn totals(&self) -> Totals {
        // Outcomes are read before `received`, which always grows first: in_flight is never negative.
        let stored = self.stored.load(Ordering::SeqCst);
        let rejected = self.rejected.load(Ordering::SeqCst);
        let refused = self.refused.load(Ordering::SeqCst);
        let duplicates = self.duplicates.load(Ordering::SeqCst);
        let received = self.received.load(Ordering::SeqCst);
        let in_flight = received.saturating_sub(stored + rejected + refused + duplicates);
        Totals { received, stored, rejected, refused, duplicates, in_flight }
    }

    /// As [`Account::totals`], with those of earlier processes on the same store.
    pub fn since_creation(&self) -> Totals {
        let (now, before) = (self.totals(), self.before);
        Totals {
            received: now.received + before.sum(),
            stored: now.stored + before.stored,
            rejected: now.rejected + before.rejected,
            refused: now.refused + before.refused,
            duplicates: now.duplicates + before.duplicates,
            in_flight: now.in_flight,
        }
    }
}

/// One account for each signal.
#[derive(Debug, Default)]
pub struct Ledger {
    traces: Account,
    metrics: Account,
    logs: Account,
}

impl Ledger {
    /// Begins at zero, and knows what earlier processes had done, in the order of [`Signal::ALL`].
    pub fn continuing(before: [Outcomes; 3]) -> Self {
        let [traces, metrics, logs] = before.map(|before| Account { before, ..Account::default() });
        Ledger { traces, metrics, logs }
    }

    pub fn of(&self, signal: Signal) -> &Account {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_goes_on_where_the_last_process_ended() {
        let before = Outcomes { stored: 5, rejected: 1, refused: 2, duplicates: 3 };
        let ledger = Ledger::continuing([before, Outcomes::default(), Outcomes::default()]);
        let account = ledger.of(Signal::Traces);
        account.received(4);
        account.stored(2);
        account.rejected(1);
        let now = Totals { received: 4, stored: 2, rejected: 1, refused: 0, duplicates: 0, in_flight: 1 };
        assert_eq!(account.totals(), now);
        let all = Totals { received: 15, stored: 7, rejected: 2, refused: 2, duplicates: 3, in_flight: 1 };
        assert_eq!(account.since_creation(), all);
    }
}
