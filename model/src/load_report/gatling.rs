//! Gatling: its text log `simulation.log`, and the statistics of its report.

pub mod log;
pub mod stats;
