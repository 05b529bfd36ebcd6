//! Traffic to look at: [`shop`] is the simulated shop behind `hotspan demo`, [`load`] the volume generator behind
//! `hotspan load`.
//!
//! *Architecture invariant:* this crate knows no other crate of ours. It reaches the server only as an application
//! would, by OTLP over the network, so that what works for it works for everybody.

pub mod load;
pub mod shop;

#[cfg(test)]
mod sink;
