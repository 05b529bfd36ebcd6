//! What the bins of a node say about its capacity. Pure.
//!
//! ```text
//! bins ─▶ blocks of neighbours with enough completions ─┬─▶ range of load wide enough? ─▶ laws ─▶ limit, knee
//!                                                       └─▶ groups of like load ─▶ where p99 and errors pass a limit
//! ```
//! A block averages bins of one stretch of time: concurrency and throughput then belong together, and the error of
//! one is not mistaken for an effect on the other. Two laws are fitted: the Universal Scalability Law and a queue before
//! servers ([`servers`](super::servers)). The limit is that of the likelier one; its interval holds what either says unless
//! one of them is out of the question, and where it reaches too far beyond what was seen no limit is told at all.

use serde::Serialize;

use super::super::histogram::Histogram;
use super::super::scalability::{Crossing, Intervals, Law, Limit, Load, Point, crossing, fit, intervals};
use super::servers::{self, Queue};

/// Completions of a block: its throughput is then known within about 14 %.
const BLOCK: u64 = 50;
/// Blocks at most: a picture needs no more, and the fit not many.
const MOST_BLOCKS: u64 = 120;
/// Blocks that a law needs.
const LEAST_BLOCKS: usize = 8;
/// The busy end of the load has to be this many times the quiet end. Noise alone gives 1.6.
pub const LEAST_RANGE: f64 = 1.8;
/// A node takes longer when it takes so much more per request, and since its calls do when they make up this part of it.
const LONGER: f64 = 0.2;
const MOSTLY: f64 = 0.7;
/// Completions of a stretch of time by which the quiet end is told: its mean is known within 6 %.
const STRETCH: u64 = 300;
/// Such a stretch is at least one in so many parts of the time: a pause of some seconds is no load.
const SHORTEST: f64 = 40.0;
/// A limit whose interval reaches further than this many times beyond the busy end is a guess and not told.
const FARTHEST: f64 = 3.0;
/// A limit below this part of the busy end contradicts what was seen; noise takes some off.
const SERVED: f64 = 0.9;
/// Loads that are told apart for percentiles, and the requests each of them needs.
const GROUPS: usize = 12;
const GROUP: u64 = 100;
/// Resamples for intervals.
const RESAMPLES: usize = 200;

/// One node in one bin.
#[derive(Debug, Clone, Default)]
pub struct Bin {
    pub arrivals: u64,
    pub completions: u64,
    pub errors: u64,
    /// Sum of the times that spans were in the system, ns.
    pub occupied: f64,
    /// Of those that arrived.
    pub latency: Histogram,
}

impl Bin {
    pub fn add(&mut self, more: &Bin) {
        self.arrivals += more.arrivals;
        self.completions += more.completions;
        self.errors += more.errors;
        self.occupied += more.occupied;
        self.latency.merge(&more.latency);
    }
}

/// How busy one node was in one bin.
#[derive(Debug, Clone, Copy)]
pub struct BinLoad {
    pub arrivals: u64,
    /// As [`Bin::occupied`].
    pub occupied: f64,
}

/// A stretch of time.
#[derive(Debug, Clone, Default)]
pub struct Block {
    pub seconds: f64,
    pub sum: Bin,
}

impl Block {
    pub fn throughput(&self) -> f64 {
        self.sum.completions as f64 / self.seconds
    }

    pub fn rate(&self) -> f64 {
        self.sum.arrivals as f64 / self.seconds
    }

    pub fn concurrency(&self) -> f64 {
        self.sum.occupied / (self.seconds * 1e9)
    }

    pub fn p99(&self) -> Option<f64> {
        self.sum.latency.quantile(0.99)
    }

    pub fn error_rate(&self) -> f64 {
        if self.sum.arrivals == 0 { 0.0 } else { self.sum.errors as f64 / self.sum.arrivals as f64 }
    }
}

/// Neighbouring bins together until they have enough completions. Bins in which nothing is in the system are left out.
pub fn blocks(bins: &[Bin], bin_seconds: f64) -> Vec<Block> {
    let total: u64 = bins.iter().map(|bin| bin.completions).sum();
    let least = BLOCK.max(total / MOST_BLOCKS);
    let (mut blocks, mut open) = (Vec::new(), Block::default());
    for bin in bins.iter().filter(|bin| bin.occupied > 0.0 || bin.arrivals > 0) {
        open.seconds += bin_seconds;
        open.sum.add(bin);
        if open.sum.completions >= least {
            blocks.push(std::mem::take(&mut open));
        }
    }
    blocks
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is a limit near the loads seen.
    Fitted,
    /// Throughput grew with concurrency up to the highest load seen, or so far that its limit cannot be told.
    NoSaturation,
    /// The load was much the same all the time.
    NotEnoughLoadRange,
    /// Too few requests.
    NotEnoughData,
}

/// What limits are asked about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    pub p99_ns: Option<f64>,
    pub error_rate: Option<f64>,
}

/// The law that the limit is taken from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum By {
    Usl(Law),
    Queue(Queue),
}

/// The most that a node serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceiling {
    pub limit: Limit,
    /// All that the laws which explain what was seen allow: 95 % at least.
    pub interval: (f64, f64),
    pub by: By,
}

impl Ceiling {
    /// Where growth as of one alone would meet the limit: concurrency and throughput there.
    pub fn knee(&self) -> Option<(f64, f64)> {
        match self.by {
            By::Usl(law) => law.knee().map(|knee| (knee, law.throughput(knee))),
            By::Queue(queue) => Some((queue.servers, queue.throughput(queue.servers))),
        }
    }
}

/// The limit that the law and the queues give, whatever was seen.
fn ceiling(points: &[Point], law: Option<&(Law, Intervals)>) -> Option<Ceiling> {
    let of_law = law.and_then(|(law, intervals)| {
        let limit = law.limit()?;
        let (low, high) = intervals.limit;
        let interval = (low.min(limit.throughput), high.max(limit.throughput));
        Some(Ceiling { limit, interval, by: By::Usl(*law) })
    });
    let Some(found) = servers::fit(points, law.map(|(law, _)| law)) else { return of_law };
    let limit = Limit { throughput: found.best.limit, concurrency: None };
    let of_queue = Ceiling { limit, interval: found.interval, by: By::Queue(found.best) };
    let Some(likelier) = found.likelier else { return Some(of_queue) };
    let (first, second) = if likelier.law { (of_law, Some(of_queue)) } else { (Some(of_queue), of_law) };
    match (first, second) {
        (first, _) if likelier.beyond_doubt => first,
        (Some(first), Some(second)) => {
            let (a, b) = (first.interval, second.interval);
            Some(Ceiling { interval: (a.0.min(b.0), a.1.max(b.1)), ..first })
        }
        // One of them has no limit.
        _ => None,
    }
}

#[derive(Debug, Clone)]
pub struct Judgement {
    pub verdict: Verdict,
    pub arrivals: u64,
    pub blocks: Vec<Block>,
    /// The quiet and the busy end of throughput and concurrency.
    pub rates: Option<(f64, f64)>,
    pub concurrency: Option<(f64, f64)>,
    pub law: Option<(Law, Intervals)>,
    pub ceiling: Option<Ceiling>,
    pub p99: Option<Crossing>,
    pub errors: Option<Crossing>,
}

impl Judgement {
    /// The last tenth of the time.
    pub fn now(&self) -> Block {
        let mut now = Block::default();
        for block in self.blocks.iter().rev().take(self.blocks.len().div_ceil(10)) {
            now.seconds += block.seconds;
            now.sum.add(&block.sum);
        }
        now
    }

    /// The rate at which the first of the limits is reached, and which it is.
    pub fn capacity(&self) -> Option<(f64, &'static str)> {
        let at = |crossing: Option<Crossing>| match crossing? {
            Crossing::At(rate) | Crossing::Under(rate) => Some(rate),
            Crossing::Beyond(_) => None,
        };
        let limits = [
            (self.ceiling.map(|ceiling| ceiling.limit.throughput), "throughput"),
            (at(self.p99), "p99"),
            (at(self.errors), "errors"),
        ];
        let known = limits.into_iter().filter_map(|(rate, by)| rate.map(|rate| (rate, by)));
        known.min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

pub fn judge(bins: &[Bin], bin_seconds: f64, asked: Asked) -> Judgement {
    let blocks = blocks(bins, bin_seconds);
    let rates = ends(&blocks, |block| block.sum.completions as f64);
    let concurrency = ends(&blocks, |block| block.sum.occupied / 1e9);
    let loads = groups(&blocks);
    let crossed = |limit: Option<f64>, of: &dyn Fn(&Block) -> f64| {
        let load = |group: &Block| Load { rate: group.rate(), value: of(group), weight: group.sum.arrivals as f64 };
        crossing(&loads.iter().map(load).collect::<Vec<_>>(), limit?)
    };
    let mut judgement = Judgement {
        verdict: Verdict::NotEnoughData,
        arrivals: bins.iter().map(|bin| bin.arrivals).sum(),
        rates,
        concurrency,
        law: None,
        ceiling: None,
        p99: crossed(asked.p99_ns, &|group| group.p99().unwrap_or(0.0)),
        errors: crossed(asked.error_rate, &Block::error_rate),
        blocks,
    };
    let (Some((low, high)), true) = (rates, judgement.blocks.len() >= LEAST_BLOCKS) else { return judgement };
    judgement.verdict = Verdict::NotEnoughLoadRange;
    if high < LEAST_RANGE * low {
        return judgement;
    }
    let point = |block: &Block| Point {
        concurrency: block.concurrency(),
        throughput: block.throughput(),
        weight: block.sum.completions as f64,
    };
    let points: Vec<Point> = judgement.blocks.iter().map(point).collect();
    judgement.verdict = Verdict::NoSaturation;
    judgement.law = fit(&points).zip(intervals(&points, RESAMPLES, 1));
    // Where there were hardly ever two at once, nothing was seen of how they get in each other's way.
    let shared = concurrency.is_some_and(|(_, busy)| busy >= 1.0);
    let found = if shared { ceiling(&points, judgement.law.as_ref()) } else { None };
    // With an interval that reaches far beyond the loads seen there may be no limit at all.
    let near = found.filter(|ceiling| ceiling.interval.1 <= FARTHEST * high);
    // Below what was served there is none: then the law is not this node's.
    judgement.ceiling = near.filter(|ceiling| ceiling.limit.throughput >= SERVED * high);
    if judgement.ceiling.is_some() {
        judgement.verdict = Verdict::Fitted;
    }
    judgement
}

/// Whether a node takes longer at higher load mostly since its calls do: then its limit is that of what it calls.
///
/// `calls` are those that it makes, in the same bins. They may lie side by side, and what they wait for before they are
/// served counts as theirs.
pub fn is_held_up(served: &[BinLoad], calls: &[BinLoad]) -> bool {
    let mut order: Vec<usize> = (0..served.len().min(calls.len())).collect();
    order.sort_by_key(|&bin| served[bin].arrivals);
    let total: u64 = served.iter().map(|bin| bin.arrivals).sum();
    // A quarter of the requests from either end: their number, the time that they took, and their calls.
    let quarter = |bins: &mut dyn Iterator<Item = &usize>| {
        let mut sums = (0, 0.0, 0.0);
        for &bin in bins {
            if sums.0 >= total / 4 {
                break;
            }
            sums = (sums.0 + served[bin].arrivals, sums.1 + served[bin].occupied, sums.2 + calls[bin].occupied);
        }
        (sums.0 >= GROUP).then(|| [sums.1, sums.2].map(|time| time / sums.0 as f64))
    };
    let (Some(quiet), Some(busy)) = (quarter(&mut order.iter()), quarter(&mut order.iter().rev())) else {
        return false;
    };
    let rise = [busy[0] - quiet[0], busy[1] - quiet[1]];
    rise[0] > LONGER * quiet[0] && rise[1] >= MOSTLY * rise[0]
}

/// The quiet and the busy end of what there is of something per second: the mean of the quietest stretch, and what a tenth
/// of the blocks have more than. Blocks have about as many completions each, so a quiet time has few of them, and a short
/// one before a long plateau has one.
fn ends(blocks: &[Block], amount: impl Fn(&Block) -> f64) -> Option<(f64, f64)> {
    let whole: f64 = blocks.iter().map(|block| block.seconds).sum();
    let from = |first: usize| {
        let (mut seconds, mut completions, mut sum) = (0.0, 0, 0.0);
        for block in &blocks[first..] {
            (seconds, completions) = (seconds + block.seconds, completions + block.sum.completions);
            sum += amount(block);
            if completions >= STRETCH && seconds >= whole / SHORTEST {
                return Some(sum / seconds);
            }
        }
        None
    };
    let quiet = (0..blocks.len()).filter_map(from).reduce(f64::min)?;
    let mut each: Vec<f64> = blocks.iter().map(|block| amount(block) / block.seconds).collect();
    each.sort_by(f64::total_cmp);
    let busy = (each.len() - 1) as f64 * 0.9;
    Some((quiet, each[busy.round() as usize]))
}

/// Blocks of like arrival rate together, from the quietest to the busiest.
fn groups(blocks: &[Block]) -> Vec<Block> {
    let mut sorted: Vec<&Block> = blocks.iter().collect();
    sorted.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
    let total: u64 = blocks.iter().map(|block| block.sum.arrivals).sum();
    let least = GROUP.max(total / GROUPS as u64);
    let (mut groups, mut open) = (Vec::new(), Block::default());
    for block in sorted {
        open.seconds += block.seconds;
        open.sum.add(&block.sum);
        if open.sum.arrivals >= least {
            groups.push(std::mem::take(&mut open));
        }
    }
    groups
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::analysis::capacity::load::{Grid, Series};
    use crate::analysis::scope::Window;
    use crate::analysis::significance::Random;
    use model::time::SECOND;

    /// A queue with `servers` servers and exponential service times of `mean_ms`, fed at `rates` (per second, each for
    /// `seconds`), simulated customer by customer.
    pub fn queue(servers: usize, mean_ms: f64, rates: &[f64], seconds: i64) -> (Vec<Bin>, f64) {
        queue_of(5, servers, mean_ms, rates, seconds)
    }

    fn queue_of(seed: u64, servers: usize, mean_ms: f64, rates: &[f64], seconds: i64) -> (Vec<Bin>, f64) {
        let grid = Grid::of(Window { start: 0, end: rates.len() as i64 * seconds * SECOND });
        let (mut series, mut random) = (Series::new(&grid), Random::seeded(seed));
        let mut exponential = |mean: f64| -(1.0 - random.unit()).ln() * mean;
        let mut free = vec![0.0_f64; servers];
        for (step, rate) in rates.iter().enumerate() {
            let (mut at, until) = (step as f64 * seconds as f64, (step + 1) as f64 * seconds as f64);
            loop {
                at += exponential(1.0 / rate);
                if at >= until {
                    break;
                }
                let server = free.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("a server");
                let done = server.max(at) + exponential(mean_ms / 1e3);
                *server = done;
                series.add(&grid, (at * 1e9) as i64, (done * 1e9) as i64, done - at > 0.25);
            }
        }
        (series.bins(&grid), grid.bin as f64 / 1e9)
    }

    #[test]
    fn the_limit_of_a_queue_is_its_service_rate() {
        // 4 servers of 20 ms: 200 per second at most.
        let (bins, seconds) = queue(4, 20.0, &[40.0, 80.0, 120.0, 160.0, 185.0], 60);
        let asked = Asked { p99_ns: Some(150e6), error_rate: Some(0.01) };
        let found = judge(&bins, seconds, asked);
        assert_eq!(found.verdict, Verdict::Fitted);
        let limit = found.ceiling.expect("a limit").limit.throughput;
        assert!((190.0..210.0).contains(&limit), "{limit}");
        // M/M/4: p99 is 92 ms when idle and grows past 150 ms between 160 and 185 per second.
        let Some(Crossing::At(rate)) = found.p99 else { panic!("{:?}", found.p99) };
        assert!((140.0..190.0).contains(&rate), "{rate}");
        assert!(matches!(found.errors, Some(Crossing::At(_))), "{:?}", found.errors);
        let (capacity, by) = found.capacity().expect("a capacity");
        assert!(capacity <= rate && by != "throughput", "{capacity} {by}");
        let now = found.now();
        assert!((150.0..220.0).contains(&now.throughput()), "{}", now.throughput());
        // Little's law: number = rate × time.
        let mean_s = found.blocks.iter().map(|b| b.sum.occupied).sum::<f64>()
            / found.blocks.iter().map(|b| b.sum.completions as f64).sum::<f64>()
            / 1e9;
        assert!((0.02..0.06).contains(&mean_s), "{mean_s}");
    }

    /// Queues of M/M/c, whose limit is `c` over the service time, in five steps up to a part of it or beyond: the interval
    /// holds the limit, or none is told. The law alone would have said 907 (757 to 1103) of 640, seen up to 589.
    #[test]
    fn the_interval_holds_the_limit_of_any_number_of_servers_or_none_is_told() {
        let (mut fitted, mut refused) = (Vec::new(), Vec::new());
        for servers in [1, 4, 16, 32] {
            for most in [0.5, 0.7, 0.86, 0.92, 1.1] {
                let truth = servers as f64 / 0.05;
                let rates: Vec<f64> = (1..=5).map(|step| truth * most * f64::from(step) / 5.0).collect();
                let (bins, seconds) = queue_of(11, servers, 50.0, &rates, 60);
                let found = judge(&bins, seconds, Asked::default());
                let Some(Ceiling { limit, interval: (low, high), .. }) = found.ceiling else {
                    assert_eq!(found.verdict, Verdict::NoSaturation);
                    refused.push((servers, most));
                    continue;
                };
                // So many service times are as a whole within 2 % of what they are on average.
                let told = format!("{servers} servers to {most}: {limit:?} ({low} to {high}) of {truth}");
                assert!(low <= 1.02 * truth && 0.98 * truth <= high, "{told}");
                assert!(most < 0.92 || (limit.throughput / truth - 1.0).abs() < 0.12, "{told}");
                fitted.push((servers, most));
            }
        }
        assert!([1, 4, 16, 32].iter().all(|servers| fitted.contains(&(*servers, 0.92))), "{fitted:?}");
        assert!(refused.contains(&(32, 0.5)) && refused.contains(&(16, 0.5)), "half of many servers: {refused:?}");
    }

    /// A fixed number of users without a pause, 8 servers of 20 ms: 400 per second from 8 users on.
    #[test]
    fn the_limit_of_a_closed_loop_is_where_it_goes_flat() {
        let loads: Vec<(u64, f64)> =
            [1, 2, 4, 6, 8, 12, 16].map(|users: u64| (50 * users.min(8), 20.0 * users.max(8) as f64 / 8.0)).into();
        let found = judge(&bins(&loads, 60), 1.0, Asked::default());
        let ceiling = found.ceiling.expect("a limit");
        assert!((ceiling.limit.throughput / 400.0 - 1.0).abs() < 0.03, "{ceiling:?}");
        assert!(ceiling.interval.0 <= 400.0 && ceiling.interval.1 >= 400.0, "{ceiling:?}");
    }

    /// Throughput falls again beyond a hundred at once: that is no queue's, and the law is it.
    #[test]
    fn a_law_that_falls_again_is_told_by_the_law() {
        let law = Law { lambda: 100.0, sigma: 0.02, kappa: 0.0001 };
        let load = |n: u64| (law.throughput(n as f64) as u64, 1e3 * n as f64 / law.throughput(n as f64));
        let loads: Vec<(u64, f64)> = [1, 3, 6, 12, 25, 50, 100, 150, 200, 300].map(load).into();
        let found = judge(&bins(&loads, 30), 1.0, Asked::default()).ceiling.expect("a limit");
        let truth = law.limit().expect("a limit");
        assert!(
            matches!(found.by, By::Usl(_)) && (found.limit.throughput / truth.throughput - 1.0).abs() < 0.03,
            "{found:?}"
        );
        assert!(found.interval.1 < 1.1 * truth.throughput, "{found:?} of {truth:?}");
    }

    #[test]
    fn a_flat_load_is_refused() {
        for rate in [5.0, 60.0, 150.0] {
            let (bins, seconds) = queue(4, 20.0, &[rate; 5], 120);
            let found = judge(&bins, seconds, Asked::default());
            assert_eq!(found.verdict, Verdict::NotEnoughLoadRange, "at {rate}");
            assert!(found.ceiling.is_none() && found.capacity().is_none());
        }
        let (bins, seconds) = queue(4, 20.0, &[0.5], 60);
        assert_eq!(judge(&bins, seconds, Asked::default()).verdict, Verdict::NotEnoughData);
    }

    #[test]
    fn servers_that_are_never_busy_show_no_limit() {
        let (bins, seconds) = queue(2_000, 20.0, &[20.0, 40.0, 80.0, 160.0], 60);
        let found = judge(&bins, seconds, Asked { p99_ns: Some(500e6), error_rate: None });
        assert_eq!(found.verdict, Verdict::NoSaturation, "{:?}", found.law);
        assert!(matches!(found.p99, Some(Crossing::Beyond(rate)) if rate > 100.0), "{:?}", found.p99);
    }

    /// Bins of a second with so many requests each, of so many ms.
    fn bins(loads: &[(u64, f64)], seconds: usize) -> Vec<Bin> {
        let bin = |&(n, ms): &(u64, f64)| Bin {
            arrivals: n,
            completions: n,
            occupied: n as f64 * ms * 1e6,
            ..Bin::default()
        };
        loads.iter().flat_map(|load| std::iter::repeat_n(bin(load), seconds)).collect()
    }

    /// 15 per second of 4 ms are 0.06 at a time: that they take longer than at 3 per second says nothing of a limit.
    #[test]
    fn a_node_that_hardly_ever_has_two_at_once_shows_no_limit() {
        let loads = [(3, 1.0), (6, 1.6), (9, 2.4), (12, 3.2), (15, 4.0)];
        let found = judge(&bins(&loads, 120), 1.0, Asked::default());
        assert_eq!((found.verdict, found.ceiling), (Verdict::NoSaturation, None), "{:?}", found.law);
    }

    /// Waits that grow and shrink again, with ever more load: whatever the law makes of it, 400 per second were served.
    #[test]
    fn a_limit_is_never_below_what_was_served() {
        let loads = [(100, 10.0), (150, 60.0), (200, 150.0), (250, 200.0), (300, 60.0), (350, 30.0), (400, 12.0)];
        let found = judge(&bins(&loads, 60), 1.0, Asked::default());
        let (_, busy) = found.rates.expect("loads");
        let limit = found.ceiling.map(|ceiling| ceiling.limit.throughput);
        assert!(limit.is_none_or(|limit| limit >= 0.9 * busy), "{limit:?} of {busy}");
    }

    /// A minute of ten per second before half an hour of 36, as a test begins; and a pause of five seconds in it.
    #[test]
    fn a_short_quiet_time_before_a_long_plateau_is_a_range_of_load_and_a_pause_is_none() {
        let (quiet, plateau, pause) = (bins(&[(10, 5.0)], 60), bins(&[(36, 5.0)], 900), bins(&[(1, 5.0)], 5));
        let found = judge(&[quiet, plateau.clone(), plateau.clone()].concat(), 1.0, Asked::default());
        let (low, high) = found.rates.expect("loads");
        assert!((9.0..13.0).contains(&low) && (35.0..37.0).contains(&high), "{low} {high}");
        assert_ne!(found.verdict, Verdict::NotEnoughLoadRange);
        let found = judge(&[plateau.clone(), pause, plateau].concat(), 1.0, Asked::default());
        assert_eq!(found.verdict, Verdict::NotEnoughLoadRange, "{:?}", found.rates);
    }

    /// Of 10 ms, 6 are a call's. At five times the load the call takes 26 ms, or the node itself 24.
    #[test]
    fn a_node_is_held_up_where_its_calls_are_what_takes_longer() {
        let loads = |loads: &[(u64, f64)], seconds| -> Vec<BinLoad> {
            let of = |bin: Bin| BinLoad { arrivals: bin.arrivals, occupied: bin.occupied };
            bins(loads, seconds).into_iter().map(of).collect()
        };
        let (served, calls) = (loads(&[(10, 10.0), (50, 30.0)], 60), loads(&[(10, 6.0), (50, 26.0)], 60));
        assert!(is_held_up(&served, &calls));
        assert!(!is_held_up(&served, &loads(&[(10, 6.0), (50, 6.0)], 60)), "its own time");
        assert!(!is_held_up(&loads(&[(10, 10.0), (50, 11.0)], 60), &loads(&[(10, 6.0), (50, 7.0)], 60)), "no longer");
        assert!(!is_held_up(&loads(&[(1, 10.0), (5, 30.0)], 10), &loads(&[(1, 6.0), (5, 26.0)], 10)), "too few");
        assert!(!is_held_up(&[], &[]));
    }

    /// Half of the time had 12 per second, but only a sixth of the requests.
    #[test]
    fn the_range_of_load_is_that_of_time() {
        let found = judge(&bins(&[(12, 5.0), (60, 5.0)], 120), 1.0, Asked::default());
        assert_eq!(found.rates, Some((12.0, 60.0)));
    }
}
