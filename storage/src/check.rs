//! `hotspan check`: reads the marker, the log and the tables with all their data files, changes nothing, and names what
//! is damaged. Stress-test runs, the ledger and the summaries of files are not looked at.

use std::path::Path;
use std::sync::Arc;

use model::{Clock, Result, Signal};
use object_store::{ObjectStore, ObjectStoreExt};

use crate::delta::{DataFile, DeltaLog};
use crate::file_reader;
use crate::folder::{self, table_path};
use crate::objects::DurableLocal;

/// One thing that was looked at.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Finding {
    /// What was looked at, e.g. a path.
    pub what: String,
    pub ok: bool,
    /// What was found, in words.
    pub detail: String,
}

impl Finding {
    fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Finding { what: what.into(), ok: true, detail: detail.into() }
    }

    fn bad(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Finding { what: what.into(), ok: false, detail: detail.into() }
    }
}

/// Verifies the log's frames and checksums, each Delta log against its files, each file's checksum and row count.
pub async fn check(root: &Path, clock: Arc<dyn Clock>) -> Result<Vec<Finding>> {
    folder::check_format(root)?;
    let objects = DurableLocal::open_read_only(root)
        .map_err(|e| model::Error::not_found(format!("opening {}: {e}", root.display())))?;
    let objects: Arc<dyn ObjectStore> = Arc::new(objects);
    let mut findings: Vec<Finding> = check_marker(root).into_iter().collect();
    findings.push(check_wal(root));
    for tenant in folder::tenants(objects.as_ref()).await? {
        for signal in Signal::ALL {
            let log = DeltaLog::new(objects.clone(), clock.clone(), table_path(&tenant, signal), signal);
            findings.extend(check_table(&objects, &log, signal).await);
        }
    }
    Ok(findings)
}

/// Told only when something is wrong with it.
fn check_marker(root: &Path) -> Option<Finding> {
    let error = folder::check_marker(root).err()?;
    let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    Some(Finding::bad(root.display().to_string(), format!("{}{hint}", error.message)))
}

fn check_wal(root: &Path) -> Finding {
    let folder = root.join("wal");
    let name = folder.display().to_string();
    if !folder.is_dir() {
        return Finding::good(name, "no write-ahead log");
    }
    match wal::verify(&wal::Disk, &folder) {
        Ok(report) if report.is_sound() => {
            let torn = report
                .found
                .torn
                .map_or(String::new(), |t| format!(", a torn tail of {} bytes (expected after a crash)", t.bytes));
            Finding::good(name, format!("{} segments, {} records{torn}", report.found.segments, report.found.records))
        }
        Ok(report) => {
            let damage: Vec<String> = report.found.damage.iter().map(ToString::to_string).collect();
            Finding::bad(name, damage.join("; "))
        }
        Err(error) => Finding::bad(name, error.to_string()),
    }
}

async fn check_table(objects: &Arc<dyn ObjectStore>, log: &DeltaLog, signal: Signal) -> Vec<Finding> {
    let state = match log.load().await {
        Ok(state) => state,
        Err(error) => return vec![Finding::bad(log.root().to_string(), error.message)],
    };
    let Some(version) = state.version else { return Vec::new() };
    let mut findings = Vec::new();
    let mut rows = 0;
    for add in state.files.values() {
        let file = DataFile::of(add, log.root(), model::schema::time_column(signal));
        rows += file.rows;
        if let Err(why) = check_file(objects, &file, signal).await {
            findings.push(Finding::bad(file.path.clone(), why));
        }
    }
    let summary = format!("version {version}, {} files, {rows} rows", state.files.len());
    findings.insert(0, Finding::good(log.root().to_string(), summary));
    findings
}

async fn check_file(objects: &Arc<dyn ObjectStore>, file: &DataFile, signal: Signal) -> Result<(), String> {
    let path = object_store::path::Path::from(file.path.as_str());
    let got = objects.get(&path).await.map_err(|e| format!("missing or unreadable: {e}"))?;
    let bytes = got.bytes().await.map_err(|e| format!("unreadable: {e}"))?;
    if bytes.len() as u64 != file.size {
        return Err(format!("{} bytes, the log says {}", bytes.len(), file.size));
    }
    if file.checksum.is_some_and(|expected| xxhash_rust::xxh3::xxh3_64(&bytes) != expected) {
        return Err("its bytes are not those that were written (checksum)".to_owned());
    }
    let batches = file_reader::decode(signal, bytes).map_err(|e| e.message)?;
    let rows: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
    if rows as u64 != file.rows {
        return Err(format!("{rows} rows, the log says {}", file.rows));
    }
    Ok(())
}
