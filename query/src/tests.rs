//! Tests of the crate as a whole: SQL scripts over every state of a store, what the sandbox refuses, what is pruned,
//! and the analyses against a plain calculation.

mod amplification;
mod analyses;
mod backlog;
mod escapes;
mod examples;
mod extremes;
pub(crate) mod fixture;
mod hidden;
mod hotspots;
mod instances;
mod limits;
mod metrics;
mod mutations;
mod omission;
mod partial;
mod pruning;
mod queueing;
mod runs;
mod scripts;
mod traces;
