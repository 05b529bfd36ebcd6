//! One customer request on its way through the shop: who makes it, its ids, and its own source of chance.
//!
//! *Invariant:* everything random about a request comes from its own generator, seeded by the run's seed and the
//! request's number. What other requests do changes only how long it waits, and the run's salt only its ids.

use std::cell::RefCell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{KeyValue, StringValue};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, LogNormal};

use super::plan::{ACTIVE_PER_RATE, Key, Millis, Plan};

/// A tier and its share of the customers.
pub const SILVER: (&str, f64) = ("silver", 0.22);
const TIERS: [(&str, f64); 3] = [("standard", 0.7), SILVER, ("gold", 0.08)];
const CHANNELS: [(&str, f64); 4] = [("app", 0.48), ("web", 0.34), ("mini-program", 0.15), ("partner", 0.03)];

/// Coefficient of variation of all service times.
const VARIATION: f64 = 0.4;

pub struct Request {
    pub trace_id: TraceId,
    pub customer: Customer,
    chance: RefCell<StdRng>,
    ids: Ids,
}

/// What all requests of a run make ids with: what is drawn from chance, changed in the same way for all.
#[derive(Debug, Clone, Copy)]
pub struct Ids(u64);

/// Who asks for what; travels with the request as baggage would.
#[derive(Debug, Clone)]
pub struct Customer {
    pub user: u64,
    pub product: u64,
    pub region: &'static str,
    pub tier: &'static str,
    pub channel: &'static str,
    pub address: StringValue,
}

impl Request {
    /// Request `number` of a run, made while `rate` requests per second come in.
    pub fn new(plan: &Plan, seed: u64, ids: Ids, number: u64, rate: f64) -> Self {
        let mut chance = StdRng::seed_from_u64(mix(seed ^ mix(number)));
        let active = (rate * ACTIVE_PER_RATE).max(1.0);
        let user = (chance.random::<f64>() * active) as u64;
        let product = (chance.random::<f64>() * active) as u64;
        let customer = Customer {
            user,
            product,
            region: pick(&plan.regions, chance.random()),
            tier: pick(&TIERS, chance.random()),
            channel: pick(&CHANNELS, chance.random()),
            address: format!("203.0.{}.{}", 113 + user % 4, 1 + mix(user) % 250).into(),
        };
        Request { trace_id: ids.trace_id(&mut chance), customer, chance: RefCell::new(chance), ids }
    }

    /// A request that another one gave rise to: a new trace, the same customer.
    pub fn follow_up(customer: Customer, seed: u64, ids: Ids, number: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(mix(seed ^ mix(number ^ 0x5eed)));
        Request { trace_id: ids.trace_id(&mut chance), customer, chance: RefCell::new(chance), ids }
    }

    pub fn new_span_id(&self) -> SpanId {
        self.ids.span_id(&mut self.chance.borrow_mut())
    }

    /// True with this probability.
    pub fn chance(&self, probability: f64) -> bool {
        self.chance.borrow_mut().random::<f64>() < probability
    }

    /// A number below `count`.
    pub fn below(&self, count: usize) -> usize {
        self.chance.borrow_mut().random_range(0..count.max(1))
    }

    /// A log-normal time with this mean, in nanoseconds.
    pub fn time(&self, mean: Millis) -> u64 {
        let variance = (1.0 + VARIATION * VARIATION).ln();
        let drawn = match LogNormal::new(mean.max(1e-6).ln() - variance / 2.0, variance.sqrt()) {
            Ok(distribution) => distribution.sample(&mut *self.chance.borrow_mut()),
            Err(_) => mean,
        };
        (drawn * 1e6) as u64
    }

    /// A whole number near `mean` and at least 1.
    pub fn times(&self, mean: f64) -> usize {
        let spread: f64 = self.chance.borrow_mut().random_range(0.6..1.4);
        (mean * spread).round().max(1.0) as usize
    }

    /// The key by which a cache knows this request.
    pub fn key(&self, key: Key) -> u64 {
        match key {
            Key::User => self.customer.user,
            Key::Product => self.customer.product,
        }
    }

    /// Whether an attribute of the customer has this value.
    pub fn has(&self, key: &str, value: &str) -> bool {
        match key {
            "app.region" => self.customer.region == value,
            "app.tier" => self.customer.tier == value,
            "app.channel" => self.customer.channel == value,
            _ => false,
        }
    }

    /// The attributes that every service of this shop puts on its SERVER spans.
    pub fn attributes(&self) -> [KeyValue; 2] {
        [KeyValue::new("app.region", self.customer.region), KeyValue::new("app.tier", self.customer.tier)]
    }
}

impl Ids {
    /// Of a run with this salt; 0 leaves ids as they are drawn.
    pub fn of(salt: u64) -> Self {
        Ids(if salt == 0 { 0 } else { mix(salt) })
    }

    fn trace_id(self, chance: &mut StdRng) -> TraceId {
        let change = u128::from(self.0) << 64 | u128::from(self.0);
        TraceId::from_bytes((chance.random::<u128>() ^ change).max(1).to_be_bytes())
    }

    fn span_id(self, chance: &mut StdRng) -> SpanId {
        SpanId::from_bytes((chance.random::<u64>() ^ self.0).max(1).to_be_bytes())
    }
}

/// The value in whose share of the whole `at` (0 to 1) falls.
fn pick(shares: &[(&'static str, f64)], at: f64) -> &'static str {
    let mut sum = 0.0;
    for (value, share) in shares {
        sum += share;
        if at < sum {
            return value;
        }
    }
    shares.last().map_or("", |(value, _)| value)
}

/// Spreads the bits of a number (the finaliser of SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One of the entries, by its share, for a draw from 0 to 1.
pub fn pick_entry(plan: &Plan, at: f64) -> &'static str {
    pick(&plan.entries, at)
}
