//! What cut an answer short: a setting, and what its asker can do.

use std::fmt;

/// A limit that an answer met. There are more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As many rows as an answer may have.
    Rows(usize),
    /// As many bytes.
    Bytes(usize),
}

/// How to get at the rest.
pub const HINT: &str = "narrow it (WHERE, LIMIT with OFFSET) or sum it up (GROUP BY)";

impl Cut {
    /// The setting of `[query]` that says so.
    pub fn setting(&self) -> &'static str {
        match self {
            Cut::Rows(_) => "max_rows",
            Cut::Bytes(_) => "max_bytes",
        }
    }

    pub fn most(&self) -> usize {
        let (Cut::Rows(most) | Cut::Bytes(most)) = self;
        *most
    }
}

/// `max_rows=100000`: the header `x-hotspan-cut`.
impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.setting(), self.most())
    }
}
