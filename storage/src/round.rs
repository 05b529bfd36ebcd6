//! A round over all tables, in which one that fails keeps no other from its turn.

use std::sync::Arc;

use model::{Error, Result};

use crate::store::Shared;
use crate::table::Table;

/// Who failed in it, and why first.
#[derive(Default)]
pub struct Round {
    failed: Vec<Arc<Table>>,
    first: Option<Error>,
}

impl Round {
    /// The tables that have not failed in it.
    pub fn tables(&self, shared: &Shared) -> Vec<Arc<Table>> {
        let failed = |table: &Arc<Table>| self.failed.iter().any(|other| Arc::ptr_eq(other, table));
        shared.all_tables().into_iter().map(|(_, table)| table).filter(|table| !failed(table)).collect()
    }

    /// Whether no table has failed in it.
    pub fn is_whole(&self) -> bool {
        self.failed.is_empty()
    }

    /// Leaves a table out of what is left of it. Only the first error is returned at the end.
    pub fn fail(&mut self, table: &Arc<Table>, error: Error) {
        if self.first.is_some() {
            tracing::warn!("{} of tenant {} has failed too: {error}", table.signal.table(), table.tenant);
        }
        self.failed.push(table.clone());
        self.first.get_or_insert(error);
    }

    /// The first error of its tables.
    pub fn end(self) -> Result<()> {
        self.first.map_or(Ok(()), Err)
    }
}
