//! The ids file: every trace of which the server acknowledged spans, so that a checker can ask the store for them.
//!
//! A text file, a line for each trace of each acknowledged export: `TRACE_ID SPANS REJECTED`. `SPANS` is how many spans
//! of the trace were in the export. `REJECTED` is how many of the whole export's spans the server said it left out,
//! without saying which: 0, or nothing certain is known about the line. The lines of an export are written in one
//! piece and before the next answer is looked at. A trace's spans come in several exports: add them up.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use super::Error;
use super::layout::Layout;

pub struct IdsFile {
    file: File,
    path: String,
    lines: String,
}

/// One line of an ids file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    pub trace_id: u128,
    pub spans: u64,
    pub rejected: u64,
}

impl IdsFile {
    /// Opens a file to append to.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        match File::options().create(true).append(true).open(path) {
            Ok(file) => Ok(IdsFile { file, path: name, lines: String::new() }),
            Err(source) => Err(Error::File { path: name, source }),
        }
    }

    pub fn write(&mut self, layout: &Layout, export: u64, rejected: u64) -> Result<(), Error> {
        self.lines.clear();
        for (trace_id, spans) in layout.traces(export) {
            let id = u128::from_be_bytes(trace_id);
            writeln!(self.lines, "{id:032x} {spans} {rejected}").expect("text grows");
        }
        let written = self.file.write_all(self.lines.as_bytes());
        written.map_err(|source| Error::File { path: self.path.clone(), source })
    }
}

impl Acknowledged {
    /// Reads an ids file back. A last line that was cut short is left out.
    pub fn read(path: &Path) -> Result<Vec<Acknowledged>, Error> {
        let failed = |source| Error::File { path: path.display().to_string(), source };
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let (mut found, mut line) = (Vec::new(), String::new());
        while reader.read_line(&mut line).map_err(failed)? > 0 {
            found.extend(line.strip_suffix('\n').and_then(parse));
            line.clear();
        }
        Ok(found)
    }
}

fn parse(line: &str) -> Option<Acknowledged> {
    let mut fields = line.split(' ');
    let trace_id = u128::from_str_radix(fields.next()?, 16).ok()?;
    let spans = fields.next()?.parse().ok()?;
    Some(Acknowledged { trace_id, spans, rejected: fields.next()?.parse().ok()? })
}
