//! What is known of an operation beyond the cube. All of it is optional: each fact sharpens the category or the place,
//! none is needed for a ranking. They are means over spans, so a sample of some thousand traces is enough.

use std::collections::HashMap;

use super::cube::{Operation, Place};

/// Facts by operation.
pub type FactBook = HashMap<Operation, Facts>;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The operation of the SERVER spans that answer this CLIENT operation, where they exist. Without it a peer is
    /// linked by its name, and to the busiest SERVER operation of that service.
    pub callee: Option<Place>,
    /// The operation of the usual parent span.
    pub parent: Option<Operation>,
    /// What calls say that are made many times under one parent, without its values.
    pub repeated_statement: Option<String>,
    pub window: Details,
    pub baseline: Details,
}

/// Facts of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Details {
    /// Mean time from the span's start to its first child's, ns, over spans that have children. Grows when work waits
    /// for a thread or a connection before it does anything.
    pub wait_before_first_child_ns: Option<f64>,
    /// The lower decile of self time, ns. Rises when every span takes longer (slower code, a slower network), stays
    /// when only some have to wait.
    pub exclusive_p10_ns: Option<f64>,
    /// The median of self time, ns. Stays when only few spans are hit (pauses, one bad value).
    pub exclusive_p50_ns: Option<f64>,
    /// Mean number of repeats after a failed span of the same operation under the same parent.
    pub repeats_per_parent: Option<f64>,
    /// Mean length of the longest run of spans of this operation under one parent that say the same and do not overlap.
    pub sequential_siblings: Option<f64>,
}
