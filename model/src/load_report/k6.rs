//! Grafana k6: the summary at the end of a test, in three forms, and the points that it writes while the test runs.

pub mod points;
mod structured;
pub mod summary;
