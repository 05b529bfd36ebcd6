//! Which system is simulated: the shop of the demo, or one that is generated.
//!
//! As text: `shop`, or a shape and the number of services, `random:20`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::{generated, storefront};

/// The system that is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// The demo's shop of 13 services, the same for every seed.
    #[default]
    Shop,
    /// One that the run's seed draws.
    Generated { shape: Shape, services: usize },
}

/// How the services of a generated topology hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Each service calls one other.
    Chain,
    /// Services call several others at once.
    FanOut,
    /// Most services call the same few.
    Shared,
    /// About half of the services consume topics.
    Asynchronous,
    /// A mixture of all of these.
    Random,
}

impl Shape {
    pub const ALL: [Shape; 5] = [Shape::Chain, Shape::FanOut, Shape::Shared, Shape::Asynchronous, Shape::Random];

    pub fn name(self) -> &'static str {
        match self {
            Shape::Chain => "chain",
            Shape::FanOut => "fan-out",
            Shape::Shared => "shared",
            Shape::Asynchronous => "asynchronous",
            Shape::Random => "random",
        }
    }
}

impl Topology {
    /// The healthy plan.
    pub fn plan(self, seed: u64) -> Plan {
        match self {
            Topology::Shop => storefront::plan(),
            Topology::Generated { shape, services } => generated::plan(seed, shape, services),
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topology::Shop => f.write_str("shop"),
            Topology::Generated { shape, services } => write!(f, "{}:{services}", shape.name()),
        }
    }
}

/// Why a text names no topology.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not shop, nor chain, fan-out, shared, asynchronous or random with 5 to 60 services, as in random:20")]
pub struct Unknown(String);

impl FromStr for Topology {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        if text == "shop" {
            return Ok(Topology::Shop);
        }
        let unknown = || Unknown(text.to_owned());
        let (name, services) = text.split_once(':').ok_or_else(unknown)?;
        let shape = Shape::ALL.into_iter().find(|shape| shape.name() == name).ok_or_else(unknown)?;
        let services: usize = services.parse().map_err(|_| unknown())?;
        if !(generated::FEWEST..=generated::MOST).contains(&services) {
            return Err(unknown());
        }
        Ok(Topology::Generated { shape, services })
    }
}
