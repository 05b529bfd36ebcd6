//! Gatling's `simulation.log` as text: a record per line, fields separated by tabs, times in milliseconds.
//!
//! ```text
//!   RUN      class [id] simulation start description version
//!   USER     scenario [user] START|END start [end]
//!   REQUEST  [[scenario] user] groups name start end OK|KO message
//! ```
//! 2.x has the fields in brackets, 3.0 to 3.3 the user's number, 3.4 and later neither. Since 3.13 the log is
//! binary (`binary.rs`). How users were injected does not stand in it; only scenarios that follow each other show as stages.

use std::io::BufRead;

use super::super::counted::Counted;
use super::super::figures::{What, short};
use super::super::{LoadReport, milliseconds, records};
use crate::time::MILLISECOND;
use crate::{Error, Nanos, Result};

pub const RECORDS: [&str; 6] = ["RUN", "ASSERTION", "USER", "REQUEST", "GROUP", "ERROR"];

/// Where the status of a request stands, by the version that wrote it: 3.4 and later, 3.0 to 3.3, 2.x.
const STATUS: [usize; 3] = [5, 6, 7];

#[derive(Default)]
struct Told {
    name: Option<String>,
    version: Option<String>,
    start: Option<Nanos>,
    status: Option<usize>,
    foreign: u64,
}

pub fn read(input: &mut dyn BufRead) -> Result<LoadReport> {
    let (mut counted, mut told) = (Counted::new(MILLISECOND), Told::default());
    let cut = records::lines(input, |line| {
        let line = String::from_utf8_lossy(line);
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[0] {
            "RUN" => told.run(&fields),
            "USER" => user(&mut counted, &fields),
            "REQUEST" => told.request(&mut counted, &fields),
            "ASSERTION" | "GROUP" | "ERROR" => Ok(()),
            _ => {
                // Messages of errors may go over several lines.
                told.foreign += 1;
                Ok(())
            }
        }
    })?;
    counted.notes.extend(cut);
    if told.foreign > 0 {
        counted.notes.push(format!("{} lines are no records and were left out", told.foreign));
    }
    if let Some(start) = told.start {
        counted.saw(start, start);
    }
    let mut report = counted.report("gatling", "gatling-log", told.name)?;
    report.generator.version = told.version;
    Ok(report)
}

impl Told {
    fn run(&mut self, fields: &[&str]) -> Result<()> {
        let Some(at) = fields.iter().skip(1).position(|field| milliseconds(field).is_some()).map(|at| at + 1) else {
            return Err(Error::invalid("the record RUN has no time"));
        };
        if self.start.is_some() {
            return Err(Error::invalid("a second run begins; give the log of one"));
        }
        self.start = milliseconds(fields[at]);
        self.name = fields.get(at - 1).filter(|name| !name.is_empty()).map(|name| short(name));
        // 2.x writes the version of its log there, and an id of the user's before the time.
        self.version = fields.get(at + 2).filter(|version| **version != "2.0").map(|version| short(version));
        Ok(())
    }

    fn request(&mut self, counted: &mut Counted, fields: &[&str]) -> Result<()> {
        let fits = |status: &usize| {
            let is_status = fields.get(*status).is_some_and(|field| matches!(*field, "OK" | "KO"));
            is_status && (1..=2).all(|before| milliseconds(fields[status - before]).is_some())
        };
        let status = self.status.filter(fits).or_else(|| STATUS.into_iter().find(fits));
        let Some(status) = status else {
            return Err(Error::invalid("the record REQUEST is of no version that is known (2.0 to 3.12)"));
        };
        self.status = Some(status);
        let time = |at: usize| milliseconds(fields[at]).unwrap_or_default();
        let (start, end) = (time(status - 2), time(status - 1));
        if end < start {
            return Err(Error::invalid("a request ends before it starts"));
        }
        let (groups, name) = (fields[status - 4], fields[status - 3]);
        let name = match groups.is_empty() {
            true => name.to_owned(),
            false => format!("{} / {name}", groups.replace(',', " / ")),
        };
        counted.saw(start, end);
        counted.requests(What::Request, &name, 1);
        counted.took(What::Request, &name, ((end - start) / MILLISECOND) as f64);
        counted.judged(What::Request, &name, fields[status] == "KO");
        Ok(())
    }
}

fn user(counted: &mut Counted, fields: &[&str]) -> Result<()> {
    let times: Vec<Nanos> = fields.iter().skip(3).filter_map(|field| milliseconds(field)).collect();
    let (Some(scenario), Some(&at)) = (fields.get(1), times.last()) else {
        return Err(Error::invalid("the record USER has no time"));
    };
    counted.saw(times[0], at);
    counted.phases.saw(scenario, times[0], at);
    Ok(())
}
