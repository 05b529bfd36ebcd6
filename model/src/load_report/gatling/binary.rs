//! Gatling's `simulation.log` since 3.13: records one after the other, which have neither a length nor a checksum.
//!
//! ```text
//!   RUN      0  version:text class:text start:i64 description:text n:i32 scenario:text*n n:i32 (length:i32 assertion)*n
//!   REQUEST  1  groups name:named start:i32 end:i32 ok:u8 message:named
//!   USER     2  scenario:i32 begins:u8 at:i32
//!   GROUP    3  groups start:i32 end:i32 cumulated:i32 ok:u8
//!   ERROR    4  message:named at:i32
//!   groups      n:i32 named*n
//! ```
//! RUN stands first and once. Its start is in milliseconds since 1970, all other times in milliseconds since it;
//! `bytes.rs` has `text` and `named`. 3.13 to 3.16 write the same but for the bytes of an assertion, which are passed over.
//! Gatling writes the log in pieces of 8 KiB, so that one whose test was killed ends within a record: what stands before
//! counts. A file that is wrong elsewhere is refused, with the byte.

use std::io::BufRead;

use super::super::counted::Counted;
use super::super::figures::{What, short};
use super::super::{LoadReport, since_1970};
use super::bytes::{Bytes, Role, Stop};
use crate::time::MILLISECOND;
use crate::{Error, Nanos, Result};

pub const RUN: u8 = 0;
const REQUEST: u8 = 1;
const USER: u8 = 2;
const GROUP: u8 = 3;
const ERROR: u8 = 4;

/// The versions whose logs were looked at, from the first to the last.
const KNOWN: [(u32, u32); 2] = [(3, 13), (3, 16)];
/// Gatling's scenarios and groups are written by hand, and far fewer.
const MOST_SCENARIOS: i32 = 10_000;
const MOST_GROUPS: i32 = 100;
/// Groups that would make a name longer than this are left out of it; far less of a name is kept.
const LONGEST_NAME: usize = 16 << 10;
/// No version is longer.
const LONGEST_VERSION: u8 = 100;

/// Whether a file begins like such a log, of whatever version.
pub fn begins(head: &[u8]) -> bool {
    matches!(head, [RUN, 0, 0, 0, length, first, ..] if *length <= LONGEST_VERSION && first.is_ascii_digit())
}

pub fn read(input: &mut dyn BufRead) -> Result<LoadReport> {
    let mut bytes = Bytes::of(input);
    let run = match Run::read(&mut bytes) {
        Ok(run) => run,
        Err(Stop::Wrong(error)) => return Err(broken(error)),
        Err(Stop::Cut) => {
            return Err(Error::invalid("the log ends within its first record")
                .hint("copy it again, or give the log of a test that went on for longer"));
        }
    };
    let (name, version) = (run.name.clone(), run.version.clone());
    let mut log = Log { counted: Counted::new(MILLISECOND), run, way: String::new() };
    log.counted.saw(log.run.start, log.run.start);
    let mut number = 1_u64;
    loop {
        number += 1;
        match log.record(&mut bytes) {
            Ok(true) => {}
            Ok(false) => break,
            Err(Stop::Wrong(error)) => return Err(broken(error.context(format!("record {number}")))),
            Err(Stop::Cut) => {
                log.counted.notes.push(format!("the file ends in the middle of record {number}, which is left out"));
                break;
            }
        }
    }
    let mut report = log.counted.report("gatling", "gatling-log", name)?;
    report.generator.version = Some(version);
    Ok(report)
}

/// What the record RUN says.
struct Run {
    version: String,
    /// The class of the simulation without its package; the name that the text log has is made from it.
    name: Option<String>,
    start: Nanos,
    scenarios: Vec<String>,
}

impl Run {
    fn read(bytes: &mut Bytes) -> Result<Run, Stop> {
        if bytes.next()? != Some(RUN) {
            return Err(bytes.wrong("the log does not begin with the record RUN"));
        }
        let version = bytes.text()?;
        check_version(&version)?;
        let class = bytes.text()?;
        let name = class.rsplit('.').next().map(short).filter(|name| !name.is_empty());
        let Some(start) = since_1970(bytes.long()?) else {
            return Err(bytes.wrong("the record RUN has no time"));
        };
        let _description = bytes.text()?;
        let number = bytes.number("scenarios", MOST_SCENARIOS)?;
        let scenarios = (0..number).map(|_| bytes.text()).collect::<Result<_, _>>()?;
        for _assertion in 0..bytes.number("assertions", i32::MAX)? {
            bytes.pass()?;
        }
        Ok(Run { version: short(&version), name, start, scenarios })
    }
}

fn check_version(version: &str) -> Result<()> {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let [first, last] = KNOWN;
    if numbers.next().zip(numbers.next()).is_some_and(|minor| first <= minor && minor <= last) {
        return Ok(());
    }
    let known = format!("{}.{} to {}.{}", first.0, first.1, last.0, last.1);
    Err(Error::invalid(format!(
        "the log was written by Gatling {:?}; binary logs of {known} are known",
        short(version)
    ))
    .hint("see whether a newer hotspan reads it, or run the test with a version that is known"))
}

fn broken(error: Error) -> Error {
    if error.hint.is_some() {
        return error;
    }
    error.hint("the log is damaged there, perhaps by a copy that took it for text: copy it again")
}

struct Log {
    counted: Counted,
    run: Run,
    /// The name of a request with its groups, kept for its memory.
    way: String,
}

impl Log {
    /// Reads one record. False at the end.
    fn record(&mut self, bytes: &mut Bytes) -> Result<bool, Stop> {
        match bytes.next()? {
            None => return Ok(false),
            Some(REQUEST) => self.request(bytes)?,
            Some(USER) => self.user(bytes)?,
            Some(GROUP) => {
                self.groups(bytes)?;
                let (_start, _end, _cumulated, _ok) = (bytes.int()?, bytes.int()?, bytes.int()?, bytes.flag()?);
            }
            Some(ERROR) => {
                let (_message, _at) = (bytes.named(Role::Message)?, bytes.int()?);
            }
            Some(RUN) => return Err(bytes.wrong("a second run begins; give the log of one")),
            Some(other) => return Err(bytes.wrong(format!("no record begins with {other}"))),
        }
        Ok(true)
    }

    fn request(&mut self, bytes: &mut Bytes) -> Result<(), Stop> {
        self.groups(bytes)?;
        let name = bytes.named(Role::Name)?;
        self.way.push_str(bytes.text_of(name)?);
        let (start, end) = (bytes.int()?, bytes.int()?);
        if end < start {
            return Err(bytes.wrong("a request ends before it starts"));
        }
        let is_ok = bytes.flag()?;
        let _message = bytes.named(Role::Message)?;
        self.counted.saw(self.at(start), self.at(end));
        self.counted.requests(What::Request, &self.way, 1);
        self.counted.took(What::Request, &self.way, f64::from(end) - f64::from(start));
        self.counted.judged(What::Request, &self.way, !is_ok);
        Ok(())
    }

    /// Reads the groups around a request, and begins its name with them.
    fn groups(&mut self, bytes: &mut Bytes) -> Result<(), Stop> {
        self.way.clear();
        for _ in 0..bytes.number("groups within each other", MOST_GROUPS)? {
            let group = bytes.named(Role::Name)?;
            if self.way.len() < LONGEST_NAME {
                self.way.push_str(bytes.text_of(group)?);
                self.way.push_str(" / ");
            }
        }
        Ok(())
    }

    fn user(&mut self, bytes: &mut Bytes) -> Result<(), Stop> {
        let number = bytes.int()?;
        let scenario = usize::try_from(number).ok().and_then(|number| self.run.scenarios.get(number));
        let Some(scenario) = scenario else {
            let all = self.run.scenarios.len();
            return Err(bytes.wrong(format!("a user of scenario {number}, of {all} from 0 on")));
        };
        let _begins = bytes.flag()?;
        let at = self.at(bytes.int()?);
        self.counted.saw(at, at);
        self.counted.phases.saw(scenario, at, at);
        Ok(())
    }

    fn at(&self, since_start: i32) -> Nanos {
        self.run.start.saturating_add(Nanos::from(since_start) * MILLISECOND)
    }
}
