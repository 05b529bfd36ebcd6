//! The only object store a query can reach: that of its own snapshot. There is no `file://`, no `http://`, and no
//! registry shared with other tenants.

use std::sync::Arc;

use datafusion::common::{Result, plan_err};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::Url;

use crate::tables::provider::STORE_URL;

#[derive(Debug)]
pub struct SnapshotStore(pub Arc<dyn ObjectStore>);

impl ObjectStoreRegistry for SnapshotStore {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.as_str().trim_end_matches('/') == STORE_URL {
            return Ok(self.0.clone());
        }
        plan_err!("a query reads no files and no network, only the tables of its tenant")
    }
}
