//! Gatling: its log `simulation.log`, as text or binary, and the statistics of its report.

pub mod binary;
mod bytes;
pub mod log;
pub mod stats;

use std::io::BufRead;

use super::{LoadReport, records};
use crate::Result;

/// A `simulation.log` of either form.
pub fn read_log(input: &mut dyn BufRead) -> Result<LoadReport> {
    let is_binary = input.fill_buf().map_err(records::unreadable)?.first() == Some(&binary::RUN);
    if is_binary { binary::read(input) } else { log::read(input) }
}
