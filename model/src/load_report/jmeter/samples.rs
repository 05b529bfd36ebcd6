//! JMeter's log of samples (JTL), as CSV with a header line or as XML. A sample has a start (`timeStamp`, milliseconds),
//! a time (`elapsed`, milliseconds), a label and whether it succeeded.
//!
//! ```text
//!   timeStamp,elapsed,label,…,success,…,allThreads      <httpSample ts="…" t="…" lb="…" s="true" na="…"/>
//! ```
//! A transaction controller writes a sample of its own beside or around those of its requests; such samples are kept
//! under their label and not counted in the total. Samples within a request (redirects, embedded files) are its parts.

use std::collections::HashSet;
use std::io::BufRead;
use std::net::IpAddr;

use quick_xml::events::{BytesStart, Event};

use super::super::counted::Counted;
use super::super::figures::What;
use super::super::stages::Levels;
use super::super::{LoadReport, Nanos, milliseconds, records};
use crate::time::MILLISECOND;
use crate::{Error, Result};

/// How the message of a transaction controller's sample begins.
const TRANSACTION: &str = "Number of samples in transaction";
const FORMAT: &str = "set jmeter.save.saveservice.timestamp_format=ms: other times lack their time zone";

/// The fields of a sample that are read, by their names in CSV and in XML.
const FIELDS: [(&str, &str); 9] = [
    ("timeStamp", "ts"),
    ("elapsed", "t"),
    ("label", "lb"),
    ("success", "s"),
    ("responseMessage", "rm"),
    ("threadName", "tn"),
    ("allThreads", "na"),
    ("Hostname", "hn"),
    ("SampleCount", "sc"),
];

/// The fields of one sample, in the order of [`FIELDS`].
type Sample = [Option<String>; FIELDS.len()];

struct Samples {
    counted: Counted,
    /// The machines that sent load: each tells only of its own threads.
    machines: HashSet<String>,
}

pub fn read_csv(input: &mut dyn BufRead) -> Result<LoadReport> {
    let delimiter = delimiter(input)?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(input);
    let head = reader.byte_headers().map_err(|e| Error::invalid(format!("reading the file: {e}")))?.clone();
    let names: Vec<String> =
        head.iter().map(|name| String::from_utf8_lossy(name).trim_matches(['\u{feff}', ' ']).to_owned()).collect();
    let columns = FIELDS.map(|(name, _)| names.iter().position(|column| column == name));
    if columns[0].is_none() || columns[1].is_none() {
        return Err(Error::invalid("the columns timeStamp and elapsed are not both there"));
    }
    let mut samples = Samples::new();
    let cut = records::rows(&mut reader, |row| {
        if row == &head {
            return Ok(());
        }
        if row.len() < names.len() {
            return Err(Error::invalid(format!("{} fields of {}", row.len(), names.len())));
        }
        let field = |column: Option<usize>| Some(String::from_utf8_lossy(row.get(column?)?).into_owned());
        samples.take(&columns.map(field)).map(|_| ())
    })?;
    samples.counted.notes.extend(cut);
    samples.report("jmeter-csv")
}

/// The header's names are letters; what stands between the first two separates fields.
fn delimiter(input: &mut dyn BufRead) -> Result<u8> {
    let head = input.fill_buf().map_err(records::unreadable)?;
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    Ok(head.iter().copied().find(|byte| !byte.is_ascii_alphabetic() && *byte != b'"').unwrap_or(b','))
}

pub fn read_xml(input: &mut dyn BufRead) -> Result<LoadReport> {
    let mut samples = Samples::new();
    let mut reader = quick_xml::Reader::from_reader(input);
    // Of each open element that holds samples: whether it is a sample of requests, whose parts are not counted.
    let (mut open, mut parts, mut buffer) = (0_usize, Vec::<usize>::new(), Vec::new());
    let cut = loop {
        buffer.clear();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            // An element that the file ends in.
            Err(quick_xml::Error::Syntax(_)) if samples.counted_any() => break true,
            Err(quick_xml::Error::Io(error)) => return Err(Error::invalid(format!("reading the file: {error}"))),
            Err(error) => {
                let at = reader.error_position();
                return Err(Error::invalid(format!("not XML at byte {at}: {error}")));
            }
        };
        let (element, is_open) = match &event {
            Event::Start(element) => (element, true),
            Event::Empty(element) => (element, false),
            Event::End(_) => {
                open = open.saturating_sub(1);
                if parts.last() == Some(&open) {
                    parts.pop();
                }
                continue;
            }
            Event::Eof => break open > 0,
            _ => continue,
        };
        let is_sample = matches!(element.name().as_ref(), "sample" | "httpSample");
        if is_sample && parts.is_empty() {
            let taken = attributes(element).and_then(|sample| samples.take(&sample));
            let what = taken.map_err(|e| e.context(format!("before byte {}", reader.buffer_position())))?;
            if is_open && what == What::Request {
                parts.push(open);
            }
        }
        open += usize::from(is_open);
    };
    if cut {
        samples.counted.notes.push("the file is cut: its XML has no end".to_owned());
    }
    samples.report("jmeter-xml")
}

fn attributes(element: &BytesStart) -> Result<Sample> {
    let wrong = |e: &dyn std::fmt::Display| Error::invalid(format!("not a sample: {e}"));
    let mut sample = Sample::default();
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|e| wrong(&e))?;
        let Some(at) = FIELDS.iter().position(|(_, name)| *name == attribute.key.as_ref()) else { continue };
        // An entity that is not XML's own is left as it is.
        let text = quick_xml::escape::unescape(&attribute.value).unwrap_or(attribute.value.as_ref().into());
        sample[at] = Some(text.into_owned());
    }
    Ok(sample)
}

impl Samples {
    fn new() -> Self {
        let mut counted = Counted::new(MILLISECOND);
        counted.levels = Levels::of("threads");
        Samples { counted, machines: HashSet::new() }
    }

    fn counted_any(&self) -> bool {
        self.counted.has_any()
    }

    fn take(&mut self, sample: &Sample) -> Result<What> {
        let [start, elapsed, label, success, message, thread, threads, host, number] =
            sample.each_ref().map(|field| field.as_deref().unwrap_or_default());
        let start =
            milliseconds(start).ok_or_else(|| Error::invalid(format!("{start:?} is not a time")).hint(FORMAT))?;
        let elapsed: u64 =
            elapsed.parse().map_err(|_| Error::invalid(format!("elapsed {elapsed:?} is not a number of ms")))?;
        if number.parse::<u64>().is_ok_and(|number| number > 1) {
            return Err(Error::invalid("a line stands for several samples")
                .hint("log with mode=StrippedBatch or Standard: sums have no percentiles"));
        }
        let is_transaction = message.starts_with(TRANSACTION);
        let what = if is_transaction { What::Transaction } else { What::Request };
        let end = i64::try_from(elapsed).ok().and_then(|ms| ms.checked_mul(MILLISECOND)?.checked_add(start));
        let end: Nanos = end.ok_or_else(|| Error::invalid(format!("elapsed {elapsed} ms is no time")))?;
        self.counted.saw(start, end);
        self.counted.requests(what, label, 1);
        self.counted.took(what, label, elapsed as f64);
        match success {
            "true" => self.counted.judged(what, label, false),
            "false" => self.counted.judged(what, label, true),
            "" => {}
            other => return Err(Error::invalid(format!("success {other:?} is neither true nor false"))),
        }
        if let Ok(threads) = threads.parse() {
            self.counted.levels.saw(end, threads);
        }
        self.came_from(host, thread);
        Ok(what)
    }

    /// In distributed tests every machine counts its own threads, and a thread's name begins with its machine.
    fn came_from(&mut self, host: &str, thread: &str) {
        let address = thread.split(['-', ':']).next().filter(|part| part.parse::<IpAddr>().is_ok());
        let machine = if host.is_empty() { address.unwrap_or_default() } else { host };
        if self.machines.len() < 2 && !self.machines.contains(machine) {
            self.machines.insert(machine.to_owned());
        }
        if self.machines.len() == 2 {
            self.counted.levels.are_partial();
        }
    }

    fn report(self, format: &str) -> Result<LoadReport> {
        self.counted.report("jmeter", format, None)
    }
}
