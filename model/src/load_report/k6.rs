//! Grafana k6: the summary at the end of a test, and the points that it writes while the test runs.

pub mod points;
pub mod summary;
