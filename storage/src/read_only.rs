//! A data folder read without a lock, beside a running server or without one: what its Delta tables hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::schema::time_column;
use model::{Clock, Error, Result, Signal, Tenant};
use object_store::ObjectStore;

use crate::delta::{DataFile, DeltaLog};
use crate::folder::{self, table_path};
use crate::objects::DurableLocal;
use crate::snapshot::{Snapshot, Source, TableSnapshot};

/// The tables of a folder as of when it was opened.
#[derive(Debug)]
pub struct ReadOnly {
    snapshots: BTreeMap<Tenant, Snapshot>,
}

impl ReadOnly {
    /// Errors: the folder does not exist, is of a newer format, or a Delta log cannot be read.
    pub async fn open(root: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        folder::check_format(root)?;
        if !root.join("tables").is_dir() && !root.join("tenants").is_dir() && !root.join("format.json").is_file() {
            return Err(Error::not_found(format!("{} is not a data folder of hotspan", root.display()))
                .hint("name the folder that was given to `hotspan serve --data`"));
        }
        let objects = DurableLocal::open_read_only(root)
            .map_err(|e| Error::unavailable(format!("opening {}: {e}", root.display())))?;
        let objects: Arc<dyn ObjectStore> = Arc::new(objects);
        let mut snapshots = BTreeMap::new();
        for tenant in folder::tenants(objects.as_ref()).await? {
            let mut tables = Vec::new();
            for signal in Signal::ALL {
                tables.push(table(&objects, &clock, &tenant, signal).await?);
            }
            let tables: [TableSnapshot; 3] =
                tables.try_into().map_err(|_| Error::internal("there are three signals"))?;
            let (runs, _) = crate::runs::load(objects.as_ref(), &tenant).await?;
            let (taken, objects) = (clock.now(), objects.clone());
            let snapshot = Snapshot { tenant: tenant.clone(), taken, newest_export: None, objects, tables, runs };
            snapshots.insert(tenant, snapshot);
        }
        Ok(ReadOnly { snapshots })
    }
}

async fn table(
    objects: &Arc<dyn ObjectStore>,
    clock: &Arc<dyn Clock>,
    tenant: &Tenant,
    signal: Signal,
) -> Result<TableSnapshot> {
    let log = DeltaLog::new(objects.clone(), clock.clone(), table_path(tenant, signal), signal);
    let state = log.load().await?;
    let file = |add| Arc::new(DataFile::of(add, log.root(), time_column(signal)));
    let files = state.files.values().map(file).collect();
    Ok(TableSnapshot::new(signal, &[], files, state.version))
}

impl Source for ReadOnly {
    fn snapshot(&self, tenant: &Tenant) -> Result<Snapshot> {
        self.snapshots
            .get(tenant)
            .cloned()
            .ok_or_else(|| Error::not_found(format!("no tenant {tenant} in this folder")))
    }
}
