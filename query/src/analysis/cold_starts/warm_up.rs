//! Which instances appeared while their service was at work, and for how long they were slower than later. Pure: from
//! tables of instance and bin.
//!
//! ```text
//! mean by bin since its first call:  40  25  11  10 │ 10  9  10  11    median of the later half: 10
//!                                    ▔▔▔▔▔▔                            slow until within 1.5 times of it
//! ```
//! *Assumed:* an instance that took no calls although its share of the service's calls would have brought it ten was
//! not there. One that was there and got none, behind a balancer that favours others, is taken for a new one; it is
//! then told to have been slow only if it was.

use std::ops::Range;

use super::super::significance::median;

/// Warm is what takes at most this many times as long as later.
const WARM: f64 = 1.5;
/// Calls that an instance would have had in the time before it appeared, had it been there.
const LEAST_MISSED: f64 = 10.0;
/// Bins with calls in the later half of an instance's life, without which nothing is known of later.
const LEAST_LATER: usize = 4;
/// Calls while it was slow, without which that may be chance.
const LEAST_CALLS: u64 = 10;
/// Where more than this part of the later bins are not warm either, slow bins say nothing of the start.
const UNSTEADY: f64 = 0.1;

/// One instance in one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Calls that it served.
    pub calls: u64,
    /// Time on the critical paths of requests, ns.
    pub time: f64,
}

impl Bin {
    fn mean(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.time / self.calls as f64)
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// Slower at first.
    Slow(Cold),
    /// As fast at once as later; the mean of later.
    Warm(f64),
    /// Too few calls, or too short a life, to tell.
    TooFewCalls,
    /// Its times go up and down later as well.
    Unsteady,
}

/// The slow beginning of an instance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cold {
    /// Bins from the first call to the first warm bin.
    pub bins: usize,
    pub calls: u64,
    /// Per call in these bins, and later, ns.
    pub mean: f64,
    pub later: f64,
    /// What the calls of these bins took longer than later ones, ns.
    pub lost: f64,
}

/// The instances, by position, that appeared while the service was at work, with their first bin. `instances` are all
/// of one service, each by bin; the first `margin` bins in which the service has calls are its own beginning.
pub fn appeared<B: AsRef<[Bin]>>(instances: &[B], margin: usize) -> Vec<(usize, usize)> {
    let instances: Vec<&[Bin]> = instances.iter().map(AsRef::as_ref).collect();
    let life = |bins: &[Bin]| life(bins).unwrap_or(0..0);
    let Some(begins) =
        instances.iter().filter(|bins| calls(bins, 0..usize::MAX) > 0).map(|bins| life(bins).start).min()
    else {
        return Vec::new();
    };
    let of_all = |time: Range<usize>| instances.iter().map(|bins| calls(bins, time.clone())).sum::<u64>() as f64;
    let is_new = |bins: &[Bin]| {
        let life = life(bins);
        let served = of_all(life.clone());
        let share = if served > 0.0 { calls(bins, life.clone()) as f64 / served } else { 0.0 };
        life.start >= begins + margin && share * of_all(begins..life.start) >= LEAST_MISSED
    };
    let new = instances.iter().enumerate().filter(|(_, bins)| is_new(bins));
    new.map(|(at, bins)| (at, life(bins).start)).collect()
}

/// From the first bin with a call to the last.
fn life(bins: &[Bin]) -> Option<Range<usize>> {
    let first = bins.iter().position(|bin| bin.calls > 0)?;
    let last = bins.iter().rposition(|bin| bin.calls > 0)?;
    Some(first..last + 1)
}

fn calls(bins: &[Bin], time: Range<usize>) -> u64 {
    let time = time.start.min(bins.len())..time.end.min(bins.len());
    bins[time].iter().map(|bin| bin.calls).sum()
}

/// How the life of an instance began; `bins` are those of its life, from the first call on.
pub fn beginning(bins: &[Bin]) -> Outcome {
    let half = bins.len() / 2;
    let mut later: Vec<f64> = bins[half..].iter().filter_map(Bin::mean).collect();
    if later.len() < LEAST_LATER {
        return Outcome::TooFewCalls;
    }
    let Some(usual) = median(&mut later) else { return Outcome::TooFewCalls };
    let is_warm = |mean: f64| mean <= WARM * usual;
    let not_warm = later.iter().filter(|mean| !is_warm(**mean)).count();
    if not_warm as f64 > UNSTEADY * later.len() as f64 {
        return Outcome::Unsteady;
    }
    // Half of the later bins are below their median, so there is a warm one.
    let slow = bins.iter().position(|bin| bin.mean().is_some_and(is_warm)).unwrap_or(0);
    let cold = &bins[..slow];
    let (calls, time) = cold.iter().fold((0, 0.0), |(calls, time), bin| (calls + bin.calls, time + bin.time));
    match calls {
        0 => Outcome::Warm(usual),
        few if few < LEAST_CALLS => Outcome::TooFewCalls,
        _ => Outcome::Slow(Cold {
            bins: slow,
            calls,
            mean: time / calls as f64,
            later: usual,
            lost: time - calls as f64 * usual,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bins of so many calls of so many nanoseconds each.
    fn bins(calls: u64, means: &[u64]) -> Vec<Bin> {
        means.iter().map(|mean| Bin { calls, time: (calls * mean) as f64 }).collect()
    }

    #[test]
    fn slow_until_within_half_as_much_again_of_later() {
        let found = beginning(&bins(10, &[40, 25, 11, 10, 10, 9, 10, 11]));
        // 10 calls of 40 and 10 of 25 instead of 10.
        assert_eq!(found, Outcome::Slow(Cold { bins: 2, calls: 20, mean: 32.5, later: 10.0, lost: 450.0 }));
        assert_eq!(beginning(&bins(10, &[15, 10, 10, 10, 10, 10, 10, 10])), Outcome::Warm(10.0));
    }

    #[test]
    fn empty_bins_neither_warm_nor_count() {
        let mut found = bins(10, &[40, 25, 10, 10, 10, 10, 10, 10, 10, 10]);
        found[1] = Bin::default();
        assert_eq!(beginning(&found), Outcome::Slow(Cold { bins: 2, calls: 10, mean: 40.0, later: 10.0, lost: 300.0 }));
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        assert_eq!(beginning(&bins(10, &[40, 10, 10, 10, 10, 10])), Outcome::TooFewCalls, "three later bins");
        assert_eq!(beginning(&bins(3, &[40, 10, 10, 10, 10, 10, 10, 10])), Outcome::TooFewCalls, "three slow calls");
        assert_eq!(beginning(&bins(10, &[40, 10, 10, 10, 10, 30, 10, 10])), Outcome::Unsteady);
        assert_eq!(beginning(&[]), Outcome::TooFewCalls);
    }

    #[test]
    fn new_is_what_was_missing_while_others_worked() {
        let (old, none) = (bins(10, &[10; 12]), vec![Bin::default(); 6]);
        let new = [none.clone(), bins(10, &[10; 6])].concat();
        assert_eq!(appeared(&[old.clone(), new.clone()], 2), [(1, 6)]);
        // A tenth of the calls of six bins are six: it may have had none by chance.
        let rare = [none.clone(), bins(1, &[10; 6])].concat();
        assert!(appeared(&[old.clone(), rare], 2).is_empty());
        // The service itself began when its instances did.
        assert!(appeared(&[new.clone(), new.clone()], 2).is_empty());
        let next = [vec![Bin::default(); 7], bins(10, &[10; 5])].concat();
        assert!(appeared(&[new, next], 2).is_empty(), "within the margin");
        assert!(appeared::<Vec<Bin>>(&[], 2).is_empty());
        assert!(appeared(&[none], 2).is_empty());
        // Another took over: the old one is gone when the new one comes.
        let gone = bins(10, &[10; 6]);
        let after = [vec![Bin::default(); 6], bins(10, &[10; 6])].concat();
        assert_eq!(appeared(&[gone, after], 2), [(1, 6)]);
    }
}
