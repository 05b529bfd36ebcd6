//! A queue before a number of servers, as a law of throughput against concurrency beside the Universal Scalability Law.
//! That one bends from the first request on, so it sees a limit far beyond that of many servers that are not all busy yet.
//!
//! ```text
//! N(ρ) = c ρ + v C(c, c ρ) ρ / (1 − ρ)      X = L ρ      c: servers, L: their limit, ρ: how busy they are
//! ```
//! `C` is Erlang's delay formula (1917); `v` is 1 where arrivals and service times are chance alone (M/M/c), 0 where nobody
//! waits before all are busy, as in a closed loop, and larger where service times vary more (Allen and Cunneen's
//! approximation of G/G/c: Allen, Probability, Statistics and Queueing Theory, 1990, 5.3). Given `c` and `v` the limit is a
//! mean; a grid of both is tried, and the interval is that of all which are as likely as their number of parameters allows
//! (a likelihood region: Wilks, Annals of Mathematical Statistics 9, 1938), so what the loads do not tell apart is in it.
//!
//! Both figures of a block are chance: the rate at which requests came, and the mean time they took, to about the same
//! part. Less of that is seen across a curve that bends, and least squares would bend every curve; so the error of a block
//! is taken as `(1 − ε)² + ε²` with the slope `ε` of the logarithms ("effective variance": Orear, American Journal of
//! Physics 50, 1982).
//!
//! Pure functions.

use super::super::scalability::{Law, Point};
use super::super::significance::{median, normal_tail};

/// How much service times vary.
const WAITS: [f64; 4] = [0.0, 0.5, 1.0, 2.5];
/// From one number of servers of the grid to the next, at least.
const FINER: f64 = 1.03;
/// So many times the most that were seen at once: of more servers none was ever waited for.
const IDLE: f64 = 6.0;
const MOST_SERVERS: f64 = 50_000.0;
/// From so many servers on Erlang's formula is approximated.
const MANY: u32 = 100;
/// Blocks that are compared with a law at most, and the completions each of them needs.
const BLOCKS: usize = 48;
const COMPLETIONS: f64 = 150.0;
/// What is that much of the busy end is served by about as many as there are.
const NEARLY: f64 = 0.9;
/// How busy servers are is tabulated by `−ln(1 − ρ)`, up to this, in so many steps.
const FULLEST: f64 = 12.0;
const STEPS: usize = 96;
/// What twice the logarithm of the likelihood may be below the best. 95 % of χ² with three degrees of freedom would be 7.8 if
/// one of the laws were true; they are approximations, and simulated queues need this much for the interval to hold.
const AS_LIKELY: f64 = 22.0;
/// Residuals beyond so many standard errors count less.
const HUBER: f64 = 2.0;
const ROUNDS: usize = 3;
/// Blocks differ from any law by this at least, in standard errors of chance alone: loads are seldom more even.
const LEAST_SCALE: f64 = 0.3;

/// Throughput and the slope of its logarithm over that of concurrency.
type At = (f64, f64);

/// So many servers, how much of a wait there is before them, and what they serve at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queue {
    pub servers: f64,
    pub wait: f64,
    pub limit: f64,
}

/// What all queues that fit say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub best: Queue,
    /// Of the limit.
    pub interval: (f64, f64),
    /// Beside the law that was given.
    pub likelier: Option<Likelier>,
}

/// Which of a law and a queue explains better what was seen, and whether the other is out of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likelier {
    pub law: bool,
    pub beyond_doubt: bool,
}

impl Queue {
    pub fn throughput(&self, concurrency: f64) -> f64 {
        self.limit * Servers::new(self.servers as u32, self.wait).busy(concurrency).0
    }
}

/// How busy servers are by how many are in the system.
struct Servers {
    /// Number in the system and how busy the servers are, rising.
    table: Vec<(f64, f64)>,
}

impl Servers {
    fn new(servers: u32, wait: f64) -> Servers {
        let c = f64::from(servers);
        let at = |step: usize| {
            let busy = 1.0 - (-FULLEST * step as f64 / STEPS as f64).exp();
            let waiting = if wait > 0.0 { wait * delayed(servers, busy) * busy / (1.0 - busy) } else { 0.0 };
            (c * busy + waiting, busy)
        };
        Servers { table: (0..=STEPS).map(at).collect() }
    }

    /// How busy, and the slope of its logarithm.
    fn busy(&self, concurrency: f64) -> At {
        let above = self.table.partition_point(|(n, _)| *n < concurrency);
        match (above.checked_sub(1).map(|below| self.table[below]), self.table.get(above)) {
            (Some((n, busy)), Some(&(more, busier))) => {
                let slope = (busier - busy) / (more - n);
                let busy = busy + slope * (concurrency - n);
                (busy, (slope * concurrency / busy).min(1.0))
            }
            (None, _) => (0.0, 1.0),
            (Some(_), None) => (1.0, 0.0),
        }
    }
}

/// Erlang's probability to wait before servers that are so busy, by the recursion of his loss formula; of many servers by
/// the limit of Halfin and Whitt (Operations Research 29, 1981).
fn delayed(servers: u32, busy: f64) -> f64 {
    let c = f64::from(servers);
    if servers >= MANY {
        let spare = (1.0 - busy) * c.sqrt();
        let density = (-0.5 * spare * spare).exp() / (2.0 * std::f64::consts::PI).sqrt();
        return density / (density + spare * normal_tail(-spare));
    }
    let lost = (1..=servers).fold(1.0, |lost, n| c * busy * lost / (f64::from(n) + c * busy * lost));
    lost / (1.0 - busy * (1.0 - lost))
}

/// How chance is taken account of.
struct Likelihood {
    /// Standard error of a block of one completion.
    scale: f64,
    /// Blocks that are independent of one another, as a part of all.
    independent: f64,
}

/// The weight of a block beside the square of its residual, and the logarithm of its variance.
fn weight(point: &Point, slope: f64) -> (f64, f64) {
    let variance = (1.0 - slope).powi(2) + slope * slope;
    (point.weight.max(1.0) / variance, variance.ln())
}

/// By how much blocks are above a law, in standard errors of chance alone.
fn residuals(points: &[Point], at: &[At]) -> Vec<f64> {
    let of = |(p, (throughput, slope)): (&Point, &At)| {
        (p.throughput / throughput.max(1e-12)).ln() * weight(p, *slope).0.sqrt()
    };
    points.iter().zip(at).map(of).collect()
}

impl Likelihood {
    /// From the law that comes nearest to the blocks.
    fn of(points: &[Point], laws: impl Iterator<Item = Vec<At>>) -> Option<Likelihood> {
        let residuals = laws.map(|at| residuals(points, &at));
        let scaled = residuals.filter_map(|residuals| {
            let mut sizes: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
            Some((1.4826 * median(&mut sizes)?, residuals))
        });
        let (scale, mut z) = scaled.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let scale = scale.max(LEAST_SCALE);
        z.iter_mut().for_each(|r| *r = (*r / scale).clamp(-HUBER, HUBER));
        // How much a block resembles the one before.
        let squares: f64 = z.iter().map(|z| z * z).sum();
        let alike = z.windows(2).map(|two| two[0] * two[1]).sum::<f64>() / squares.max(1e-12);
        let alike = alike.clamp(0.0, 0.9);
        Some(Likelihood { scale, independent: (1.0 - alike) / (1.0 + alike) })
    }

    /// Twice its logarithm with the sign changed, but for a constant: of blocks, each with the throughput and slope that a
    /// law has there.
    fn surprise<'a>(&self, blocks: impl Iterator<Item = (&'a Point, At)>) -> f64 {
        let of = |(point, (throughput, slope)): (&Point, At)| {
            let (weight, variance) = weight(point, slope);
            let z = (point.throughput / throughput.max(1e-12)).ln() * weight.sqrt() / self.scale;
            // Huber's loss.
            variance + if z.abs() <= HUBER { z * z } else { HUBER * (2.0 * z.abs() - HUBER) }
        };
        self.independent * blocks.map(of).sum::<f64>()
    }
}

/// A candidate with its limit, before it is compared.
struct Tried {
    queue: Queue,
    /// At each block.
    at: Vec<At>,
    weights: f64,
}

/// The limit is a mean of logarithms, in which outliers count less.
fn tried(servers: u32, wait: f64, points: &[Point]) -> Option<Tried> {
    let of = Servers::new(servers, wait);
    let at: Vec<At> = points.iter().map(|p| of.busy(p.concurrency)).collect();
    let logs: Vec<(f64, f64)> = points
        .iter()
        .zip(&at)
        .map(|(p, (busy, slope))| ((p.throughput / busy.max(1e-12)).ln(), weight(p, *slope).0))
        .collect();
    let (mut limit, mut scale) = (0.0, f64::INFINITY);
    for round in 0..=ROUNDS {
        let (mut sum, mut all) = (0.0, 0.0);
        for (log, weight) in &logs {
            let size = ((log - limit) * weight.sqrt()).abs();
            let weight = if round > 0 && size > HUBER * scale { weight * HUBER * scale / size } else { *weight };
            (sum, all) = (sum + weight * log, all + weight);
        }
        limit = sum / all;
        let mut sizes: Vec<f64> = logs.iter().map(|(log, weight)| ((log - limit) * weight.sqrt()).abs()).collect();
        scale = 1.4826 * median(&mut sizes)?;
    }
    let weights = logs.iter().map(|(_, weight)| weight).sum();
    let queue = Queue { servers: f64::from(servers), wait, limit: limit.exp() };
    let at = at.into_iter().map(|(busy, slope)| (queue.limit * busy, slope)).collect();
    queue.limit.is_finite().then_some(Tried { queue, at, weights })
}

/// Neighbours together until they have enough completions: what is under way in a short time is chance, and so many more
/// or fewer while requests come at one rate look like servers that are all busy.
fn coarse(points: &[Point]) -> Vec<Point> {
    let total: f64 = points.iter().map(|p| p.weight).sum();
    let least = COMPLETIONS.max(total / BLOCKS as f64);
    let (mut all, mut seconds, mut occupied, mut weight) = (Vec::new(), 0.0, 0.0, 0.0);
    for p in points.iter().filter(|p| p.concurrency > 0.0 && p.throughput > 0.0) {
        let lasts = p.weight / p.throughput;
        (seconds, occupied, weight) = (seconds + lasts, occupied + lasts * p.concurrency, weight + p.weight);
        if weight >= least {
            all.push(Point { concurrency: occupied / seconds, throughput: weight / seconds, weight });
            (seconds, occupied, weight) = (0.0, 0.0, 0.0);
        }
    }
    all
}

/// Servers at most: so many times those that served nearly as much as was ever seen.
fn most_servers(points: &[Point]) -> Option<f64> {
    let mut rates: Vec<f64> = points.iter().map(|p| p.throughput).collect();
    rates.sort_by(f64::total_cmp);
    let high = rates.get(rates.len() * 9 / 10)?;
    let busy = points.iter().filter(|p| p.throughput >= NEARLY * high).map(|p| p.concurrency).reduce(f64::min)?;
    Some((IDLE * busy).clamp(2.0, MOST_SERVERS))
}

/// The queues that fit what was seen; `None` of nothing.
pub fn fit(points: &[Point], law: Option<&Law>) -> Option<Found> {
    let points = coarse(points);
    let most = most_servers(&points)?;
    let (mut all, mut servers) = (Vec::new(), 1.0_f64);
    while servers <= most {
        all.extend(WAITS.iter().filter_map(|wait| tried(servers as u32, *wait, &points)));
        servers = (servers * FINER).round().max(servers + 1.0);
    }
    let of_law: Option<Vec<At>> =
        law.map(|law| points.iter().map(|p| (law.throughput(p.concurrency), law.slope(p.concurrency))).collect());
    let laws = all.iter().map(|tried| tried.at.clone()).chain(of_law.clone());
    let likelihood = Likelihood::of(&points, laws)?;
    let surprise_of = |at: &[At]| likelihood.surprise(points.iter().zip(at.iter().copied()));
    let surprises: Vec<f64> = all.iter().map(|tried| surprise_of(&tried.at)).collect();
    let (best, surprise) = all.iter().zip(&surprises).min_by(|a, b| a.1.total_cmp(b.1))?;
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for (tried, more) in all.iter().zip(&surprises).map(|(tried, of)| (tried, of - surprise)) {
        if more <= AS_LIKELY {
            let error = likelihood.scale / (tried.weights * likelihood.independent).sqrt();
            let reach = (error * (AS_LIKELY - more).sqrt()).exp();
            (low, high) = (low.min(tried.queue.limit / reach), high.max(tried.queue.limit * reach));
        }
    }
    let likelier = of_law.map(|at| {
        let more = surprise_of(&at) - surprise;
        Likelier { law: more < 0.0, beyond_doubt: more.abs() > AS_LIKELY }
    });
    Some(Found { best: best.queue, interval: (low, high), likelier })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Erlang's formula as it stands: `aᶜ/c! / (1 − ρ)` over that and the sum of `aⁿ/n!` below `c`.
    fn erlang(servers: u32, busy: f64) -> f64 {
        let offered = f64::from(servers) * busy;
        let (mut term, mut below) = (1.0_f64, 0.0);
        for n in 1..=servers {
            below += term;
            term *= offered / f64::from(n);
        }
        let all_busy = term / (1.0 - busy);
        all_busy / (below + all_busy)
    }

    #[test]
    fn the_chance_to_wait_is_erlangs() {
        for (servers, busy) in [(1, 0.3), (1, 0.9), (2, 0.5), (4, 0.8), (16, 0.92), (99, 0.97)] {
            let (found, exact) = (delayed(servers, busy), erlang(servers, busy));
            assert!((found / exact - 1.0).abs() < 1e-9, "{servers} at {busy}: {found} for {exact}");
        }
        // Tabulated: four servers that are busy for 80 % of the time make 59.6 % wait.
        assert!((delayed(4, 0.8) - 0.5964).abs() < 1e-4);
        for (servers, busy) in [(100, 0.9), (100, 0.99), (150, 0.95)] {
            let (found, exact) = (delayed(servers, busy), erlang(servers, busy));
            assert!((found - exact).abs() < 0.02, "{servers} at {busy}: {found} for {exact}");
        }
    }

    /// The exact means of M/M/c at loads from a tenth to 97 % of its limit.
    fn curve(servers: u32, limit: f64) -> Vec<Point> {
        let point = |step: u32| {
            let busy = 0.97 * f64::from(step) / 40.0;
            let concurrency = f64::from(servers) * busy + erlang(servers, busy) * busy / (1.0 - busy);
            Point { concurrency, throughput: limit * busy, weight: 1_000.0 }
        };
        (4..=40).map(point).collect()
    }

    #[test]
    fn a_queue_gives_its_servers_back() {
        for servers in [1, 4, 16, 32, 64] {
            let found = fit(&curve(servers, 640.0), None).expect("a fit");
            assert!((found.best.limit / 640.0 - 1.0).abs() < 0.02, "{servers}: {found:?}");
            assert!((found.best.servers / f64::from(servers) - 1.0).abs() < 0.04, "{servers}: {found:?}");
            assert!(found.interval.0 <= 640.0 && 640.0 <= found.interval.1, "{servers}: {found:?}");
        }
    }

    #[test]
    fn of_nothing_there_is_no_queue() {
        assert_eq!(fit(&[], None), None);
        assert_eq!(fit(&[Point { concurrency: 0.0, throughput: 0.0, weight: 0.0 }], None), None);
    }
}
