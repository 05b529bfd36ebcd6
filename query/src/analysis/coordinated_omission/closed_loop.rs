//! Whether a load generator waits for answers before it asks again, told from the requests alone. Pure.
//!
//! ```text
//! bins ─▶ blocks, much longer than a request ─▶ spread of arrival rate, latency and concurrency (Little: N = X · R)
//!           closed loop: N stays, X falls as R rises        open: X stays, N rises with R
//! ```
//! *Assumed:* one generator with a constant number of users (or connections) that do not pause between requests, over
//! the whole window. With pauses, with steps in the number of users, or beside other traffic, concurrency varies and
//! nothing is suspected: take one load level as the window. A server that lets in a fixed number of requests and turns
//! the rest away before their span begins looks the same as a closed loop, so this is a suspicion and no proof.

/// Blocks that a judgement needs.
const LEAST_BLOCKS: usize = 8;
/// Requests of a block, and how many times as long as a mean request it is: concurrency is then as quick to change as
/// the arrival rate.
const BLOCK_REQUESTS: f64 = 50.0;
const BLOCK_LATENCIES: f64 = 4.0;
/// Without so much spread of latency, and of the rate, either kind of generator looks alike.
const LEAST_SPREAD: f64 = 0.15;
/// Concurrency varies at most by this part of what rate and latency vary by.
const FAR_LESS: f64 = 1.0 / 3.0;
/// Rate and latency go against each other at least so much.
const AGAINST: f64 = -0.7;

/// The requests of one entry operation in one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    pub arrivals: f64,
    /// Sum of the latencies of those that arrived, ns.
    pub latency: f64,
    /// Sum of the times that requests were under way within the bin, ns.
    pub occupied: f64,
}

/// Standard deviations as parts of their means, and how rate and latency go together, from -1 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub rate: f64,
    pub latency: f64,
    pub concurrency: f64,
    pub correlation: f64,
}

impl Spread {
    /// `None` where latency or rate hardly varied: nothing can be told then.
    pub fn is_closed(&self) -> Option<bool> {
        // A rate that stays while latency changes is a generator that does not wait.
        if self.latency < LEAST_SPREAD {
            return None;
        }
        let far_less = self.concurrency <= FAR_LESS * self.rate.min(self.latency);
        Some(self.rate >= LEAST_SPREAD && far_less && self.correlation <= AGAINST)
    }
}

/// `None` of too few requests.
pub fn spread(bins: &[Bin], bin_ns: f64) -> Option<Spread> {
    let first = bins.iter().position(|bin| bin.arrivals > 0.0)?;
    let last = bins.iter().rposition(|bin| bin.arrivals > 0.0)?;
    // The load begins and ends within a bin.
    let blocks = blocks(bins.get(first + 1..last)?, bin_ns);
    if blocks.len() < LEAST_BLOCKS {
        return None;
    }
    let of = |value: fn(&Block) -> f64| blocks.iter().map(value).collect::<Vec<f64>>();
    let (rates, latencies) = (of(Block::rate), of(Block::latency));
    Some(Spread {
        rate: variation(&rates),
        latency: variation(&latencies),
        concurrency: variation(&of(Block::concurrency)),
        correlation: correlation(&rates, &latencies),
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    ns: f64,
    sum: Bin,
}

impl Block {
    fn rate(&self) -> f64 {
        self.sum.arrivals / self.ns
    }

    fn latency(&self) -> f64 {
        self.sum.latency / self.sum.arrivals
    }

    fn concurrency(&self) -> f64 {
        self.sum.occupied / self.ns
    }
}

/// Neighbouring bins together until they hold enough; what is left at the end is left out.
fn blocks(bins: &[Bin], bin_ns: f64) -> Vec<Block> {
    let sum = |of: fn(&Bin) -> f64| bins.iter().map(of).sum::<f64>();
    let mean = sum(|bin| bin.latency) / sum(|bin| bin.arrivals).max(1.0);
    let (mut blocks, mut open) = (Vec::new(), Block::default());
    for bin in bins {
        open.ns += bin_ns;
        open.sum.arrivals += bin.arrivals;
        open.sum.latency += bin.latency;
        open.sum.occupied += bin.occupied;
        if open.sum.arrivals >= BLOCK_REQUESTS && open.ns >= BLOCK_LATENCIES * mean {
            blocks.push(std::mem::take(&mut open));
        }
    }
    blocks
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    if mean > 0.0 { (squares / values.len() as f64).sqrt() / mean } else { 0.0 }
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let moment = |x: &[f64], mean_x: f64, y: &[f64], mean_y: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum()
    };
    let spread = (moment(a, mean_a, a, mean_a) * moment(b, mean_b, b, mean_b)).sqrt();
    if spread > 0.0 { moment(a, mean_a, b, mean_b) / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: f64 = 1e9;

    /// Seconds in which so many requests arrive that take so many milliseconds each.
    fn seconds(of: &[(f64, f64)]) -> Vec<Bin> {
        let bin = |&(arrivals, ms): &(f64, f64)| {
            let time = arrivals * ms * 1e6;
            Bin { arrivals, latency: time, occupied: time }
        };
        of.iter().map(bin).collect()
    }

    #[test]
    fn constant_concurrency_with_a_rate_that_falls_is_a_closed_loop() {
        // Ten users: 100 requests a second of 100 ms, 50 of 200 ms.
        let bins = seconds(&[(100.0, 100.0), (50.0, 200.0)].repeat(8));
        let found = spread(&bins, SECOND).expect("enough");
        // Of the 14 bins between the first and the last, seven of each: 75 ± 25 a second, 150 ± 50 ms.
        assert!((found.rate - 1.0 / 3.0).abs() < 1e-12 && (found.latency - 1.0 / 3.0).abs() < 1e-12, "{found:?}");
        assert!(found.concurrency < 1e-12 && (found.correlation + 1.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.is_closed(), Some(true));
    }

    #[test]
    fn a_constant_rate_is_an_open_one() {
        let found = spread(&seconds(&[(100.0, 100.0), (100.0, 200.0)].repeat(8)), SECOND).expect("enough");
        assert!(found.rate < 1e-12 && (found.concurrency - found.latency).abs() < 1e-12, "{found:?}");
        assert_eq!(found.is_closed(), Some(false));
        // The rate falls by chance when latency rises, but by far not as much.
        let found = spread(&seconds(&[(110.0, 100.0), (90.0, 400.0)].repeat(8)), SECOND).expect("enough");
        assert_eq!(found.is_closed(), Some(false));
    }

    #[test]
    fn where_latency_stays_or_requests_are_few_nothing_is_said() {
        let found = spread(&seconds(&[(100.0, 100.0), (50.0, 100.0)].repeat(8)), SECOND).expect("enough");
        assert_eq!(found.is_closed(), None);
        assert_eq!(spread(&seconds(&[(100.0, 100.0), (50.0, 200.0)].repeat(4)), SECOND), None);
        assert_eq!(spread(&[], SECOND), None);
        assert_eq!(spread(&seconds(&[(0.0, 0.0), (5.0, 1.0)]), SECOND), None);
    }

    #[test]
    fn blocks_are_much_longer_than_a_request() {
        // 1 s requests: a block has four bins or more, and 16 of them need 64.
        let bins = seconds(&[(100.0, 1_000.0)].repeat(66));
        assert_eq!(blocks(&bins[1..65], SECOND).len(), 16);
        assert_eq!(spread(&bins[..30], SECOND), None);
    }
}
