//! Apache JMeter: its log of samples (JTL), and the statistics of its dashboard.

pub mod samples;
pub mod statistics;
