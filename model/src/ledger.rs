//! The ledger: what came in equals what became of it, at every moment it is read.
//!
//! `received = stored + rejected + refused + duplicates + in_flight`, in rows, per signal (interface.md, "Words").
//! `in_flight` is derived, so the equation cannot be broken by a missed decrement.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Signal;

#[derive(Debug, Default)]
pub struct Account {
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
}

/// One account for each signal, since the start of the process.
#[derive(Debug, Default)]
pub struct Ledger {
    traces: Account,
    metrics: Account,
    logs: Account,
}

impl Ledger {
    pub fn of(&self, signal: Signal) -> &Account {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }
}
