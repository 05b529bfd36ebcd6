//! The kinds of file that can be read, and how each is told from its first bytes.

use std::io::BufRead;

use super::{LoadReport, gatling, jmeter, k6};
use crate::{Error, Result};

/// One kind of file.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub doc: &'static str,
    looks_like: fn(&Head) -> bool,
    pub(super) read: fn(&mut dyn BufRead) -> Result<LoadReport>,
}

/// Every kind.
pub fn all() -> &'static [Kind] {
    KINDS
}

/// What stands in a summary of k6. The last is of one whose test's script, which comes before the metrics, is long.
const SUMMARY: [&[&str]; 3] = [&["\"metrics\""], &["\"root_group\""], &["\"config\"", "\"execution\"", "\"script\""]];

const KINDS: &[Kind] = &[
    Kind {
        name: "k6-summary",
        doc: "k6 --summary-export, or the data of handleSummary, with --new-machine-readable-summary or without",
        looks_like: |head| head.is_object() && SUMMARY.iter().any(|words| words.iter().all(|word| head.has(word))),
        read: k6::summary::read,
    },
    Kind {
        name: "k6-json",
        doc: "k6 --out json",
        looks_like: |head| head.is_object() && head.line().contains("\"type\"") && head.has("\"metric\""),
        read: k6::points::read_json,
    },
    Kind {
        name: "k6-csv",
        doc: "k6 --out csv",
        looks_like: |head| head.line().starts_with("metric_name,"),
        read: k6::points::read_csv,
    },
    Kind {
        name: "jmeter-csv",
        doc: "JMeter's JTL as CSV, with its header line",
        looks_like: |head| head.line().contains("timeStamp") && head.line().contains("elapsed"),
        read: jmeter::samples::read_csv,
    },
    Kind {
        name: "jmeter-xml",
        doc: "JMeter's JTL as XML",
        looks_like: |head| head.has("<testResults"),
        read: jmeter::samples::read_xml,
    },
    Kind {
        name: "jmeter-statistics",
        doc: "statistics.json of JMeter's dashboard",
        looks_like: |head| head.is_object() && head.has("\"sampleCount\""),
        read: jmeter::statistics::read,
    },
    Kind {
        name: "gatling-log",
        doc: "Gatling's simulation.log, as text (2.0 to 3.12) or binary (3.13 to 3.16)",
        looks_like: |head| {
            let is_text = gatling::log::RECORDS.contains(&head.line().split('\t').next().unwrap_or_default());
            is_text || gatling::binary::begins(head.0.as_bytes())
        },
        read: gatling::read_log,
    },
    Kind {
        name: "gatling-stats",
        doc: "stats.json or global_stats.json of Gatling's report (up to 3.13.4)",
        looks_like: |head| head.is_object() && head.has("\"numberOfRequests\""),
        read: gatling::stats::read,
    },
];

pub fn find(name: &str) -> Result<&'static Kind> {
    all().iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<&str> = all().iter().map(|kind| kind.name).collect();
        Error::invalid(format!("there is no format {name:?}")).hint(format!("there are {}", names.join(", ")))
    })
}

/// The kind that a file looks like, or what to give instead.
pub(super) fn of(head: &[u8]) -> Result<&'static Kind> {
    if head.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid("there is nothing in the file"));
    }
    if head.contains(&0) && !gatling::binary::begins(head) {
        return Err(Error::invalid("the file is binary")
            .hint("of binary files, a whole simulation.log of Gatling can be read; text has to be UTF-8"));
    }
    let head = Head(String::from_utf8_lossy(head).trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).to_owned());
    // A log of points has the word of a summary in it, so the first line decides before the rest does.
    let lines_first = ["k6-json", "k6-csv"].into_iter().filter_map(|name| find(name).ok());
    if let Some(kind) = lines_first.chain(all()).find(|kind| (kind.looks_like)(&head)) {
        return Ok(kind);
    }
    let line = head.line();
    if line.split([',', ';', '\t']).take(2).filter_map(|field| field.parse::<u64>().ok()).count() == 2 {
        return Err(Error::invalid("the file begins with numbers, without a line that names the columns")
            .hint("JMeter writes that line with jmeter.save.saveservice.print_field_names=true"));
    }
    if head.0.starts_with("var stats") {
        return Err(Error::invalid("the file is JavaScript").hint("give stats.json, which is beside it"));
    }
    let kinds: Vec<String> = all().iter().map(|kind| format!("{} ({})", kind.name, kind.doc)).collect();
    Err(Error::invalid("the file is none that can be imported").hint(format!("these can: {}", kinds.join("; "))))
}

#[derive(Debug)]
struct Head(String);

impl Head {
    fn has(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    fn line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    fn is_object(&self) -> bool {
        self.0.starts_with('{')
    }
}
