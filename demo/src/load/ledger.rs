//! The ledger: which exports were acknowledged, so that a checker can ask the store for each of their spans.
//!
//! A text file. The first line is the [`Layout`] as JSON; each further line is `EXPORT REJECTED`, two decimal numbers,
//! written when the server's answer was there and before the next export is counted. All ids follow from
//! [`Layout::ids`]. When `REJECTED` is not 0 the server did not say which of the export's spans it means.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use super::Error;
use super::layout::Layout;

pub struct Ledger {
    file: BufWriter<File>,
    path: String,
}

/// One line of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    pub export: u64,
    pub rejected: u64,
}

impl Ledger {
    pub fn create(path: &Path, layout: &Layout) -> Result<Self, Error> {
        let name = path.display().to_string();
        let failed = |source| Error::Ledger { path: name.clone(), source };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        let first = serde_json::to_string(layout).map_err(|error| failed(error.into()))?;
        writeln!(file, "{first}").and_then(|()| file.flush()).map_err(failed)?;
        Ok(Ledger { file, path: name })
    }

    pub fn write(&mut self, line: Acknowledged) -> Result<(), Error> {
        writeln!(self.file, "{} {}", line.export, line.rejected)
            .and_then(|()| self.file.flush())
            .map_err(|source| Error::Ledger { path: self.path.clone(), source })
    }
}

impl Acknowledged {
    /// Reads a ledger back. A last line that was cut short is left out.
    pub fn read(path: &Path) -> Result<(Layout, Vec<Acknowledged>), Error> {
        let failed = |source| Error::Ledger { path: path.display().to_string(), source };
        let mut lines = BufReader::new(File::open(path).map_err(failed)?).lines();
        let first = lines.next().transpose().map_err(failed)?.unwrap_or_default();
        let layout = serde_json::from_str(&first).map_err(|error| failed(error.into()))?;
        let mut acknowledged = Vec::new();
        for line in lines {
            acknowledged.extend(parse(&line.map_err(failed)?));
        }
        Ok((layout, acknowledged))
    }
}

fn parse(line: &str) -> Option<Acknowledged> {
    let (export, rejected) = line.split_once(' ')?;
    Some(Acknowledged { export: export.parse().ok()?, rejected: rejected.parse().ok()? })
}
