//! Which paths carry more calls per request than at normal times, and which tier makes them more. Pure.

use serde::Serialize;

use super::super::significance::{Estimate, false_discovery_rates, mean_of_bins};
use super::paths::{Count, Paths, Side};

/// More calls per request are material when they are more by this part, and by so many.
const MATERIAL: (f64, f64) = (0.1, 0.02);
/// Share of false ones among the paths that are said to be amplified.
const FALSE: f64 = 0.05;
/// Without a baseline a path is amplified when repeats make it so many times what it would be.
const RETRIED: f64 = 1.1;
/// A tier multiplies when its factor is so many times what it was, or would be without repeats.
const MULTIPLIES: f64 = 1.1;
/// Requests of an entry that are needed on either side.
const LEAST_REQUESTS: u64 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// One request causes more calls than at normal times; without a baseline, than it would if no call failed.
    Amplified,
    Steady,
    NotEnoughData,
}

/// One tier on one side: calls per arrival at the tier before, and how many times as many they are as without repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factor {
    pub factor: f64,
    pub retries: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tier {
    pub now: Factor,
    /// `None` without a baseline, and where the tier was not reached in it.
    pub then: Option<Factor>,
}

impl Tier {
    /// How many times as many calls it makes as at normal times, or as it would without repeats.
    pub fn multiplies(&self, is_compared: bool) -> f64 {
        match self.then {
            Some(then) => self.now.factor / then.factor,
            // There were none at normal times: all are more.
            None if is_compared => f64::INFINITY,
            None => self.now.retries,
        }
    }
}

/// A path on one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    pub requests: u64,
    pub calls: u64,
    pub per_request: f64,
}

#[derive(Debug, Clone)]
pub struct Judged {
    pub path: usize,
    pub verdict: Verdict,
    pub now: Calls,
    pub then: Option<Calls>,
    /// From the entry down.
    pub tiers: Vec<Tier>,
    /// Calls per request at the end of the path by all paths of the entry, now and then.
    pub at_callee: (f64, Option<f64>),
    /// The false-discovery rate of the rise.
    pub q: Option<f64>,
    pub most: (u64, u128),
    /// Calls more than at normal times, or than without repeats, in the whole window.
    pub extra: f64,
}

impl Judged {
    /// The product over the tiers of how many times repeats multiply.
    pub fn retries(&self, of: impl Fn(&Tier) -> Option<Factor>) -> Option<f64> {
        self.tiers.iter().map(|tier| of(tier).map(|factor| factor.retries)).product()
    }

    /// The tiers that multiply, the strongest first.
    pub fn multipliers(&self) -> Vec<usize> {
        if self.verdict != Verdict::Amplified {
            return Vec::new();
        }
        let by = |tier: usize| self.tiers[tier].multiplies(self.then.is_some());
        let mut found: Vec<usize> = (0..self.tiers.len()).filter(|tier| by(*tier) >= MULTIPLIES).collect();
        found.sort_by(|a, b| by(*b).total_cmp(&by(*a)));
        found
    }
}

pub fn judge(paths: &Paths, now: &Side, then: Option<&Side>) -> Vec<Judged> {
    let below = (0..paths.len()).filter(|path| paths.above(*path).is_some());
    let seen = below.filter(|path| now.count(*path).calls > 0);
    let mut judged: Vec<Judged> = seen.map(|path| look(paths, path, now, then)).collect();
    if let Some(then) = then {
        let p: Vec<f64> = judged.iter().map(|one| p_of_rise(paths, one, now, then)).collect();
        for (one, q) in judged.iter_mut().zip(false_discovery_rates(&p)) {
            one.q = Some(q);
            if q <= FALSE && one.verdict == Verdict::Steady {
                one.verdict = Verdict::Amplified;
            }
        }
    }
    judged
}

fn look(paths: &Paths, path: usize, now: &Side, then: Option<&Side>) -> Judged {
    let way = paths.down_to(path);
    let factor = |side: &Side, pair: &[usize]| {
        let (before, here) = (side.count(pair[0]), side.count(pair[1]));
        let once = here.calls.saturating_sub(here.repeats).max(1);
        (here.calls > 0 && before.calls > 0).then(|| Factor {
            factor: here.calls as f64 / before.calls as f64,
            retries: here.calls as f64 / once as f64,
        })
    };
    let tier = |pair: &[usize]| Tier {
        now: factor(now, pair).unwrap_or(Factor { factor: 0.0, retries: 1.0 }),
        then: then.and_then(|then| factor(then, pair)),
    };
    let tiers: Vec<Tier> = way.windows(2).map(tier).collect();
    let calls_of = |side: &Side| of_side(side, way[0], path);
    let (calls, before) = (calls_of(now), then.map(calls_of));
    let is_enough = |calls: &Calls| calls.requests >= LEAST_REQUESTS;
    let callee = paths.callee(path);
    let ends_there = |&other: &usize| other != way[0] && paths.entry(other) == way[0] && paths.callee(other) == callee;
    let same_end: Vec<usize> = (0..paths.len()).filter(ends_there).collect();
    let at_callee = |side: &Side| same_end.iter().map(|other| of_side(side, way[0], *other).per_request).sum();
    let retried: f64 = tiers.iter().map(|tier| tier.now.retries).product();
    let verdict = match &before {
        _ if !is_enough(&calls) || before.as_ref().is_some_and(|before| !is_enough(before)) => Verdict::NotEnoughData,
        None if retried >= RETRIED => Verdict::Amplified,
        _ => Verdict::Steady,
    };
    let normal = before.as_ref().map_or(calls.per_request / retried, |before| before.per_request);
    Judged {
        path,
        verdict,
        extra: (calls.per_request - normal) * calls.requests as f64,
        now: calls,
        then: before,
        tiers,
        at_callee: (at_callee(now), then.map(at_callee)),
        q: None,
        most: now.count(path).most,
    }
}

fn of_side(side: &Side, entry: usize, path: usize) -> Calls {
    let (requests, calls) = (side.count(entry).calls, side.count(path).calls);
    Calls { requests, calls, per_request: calls as f64 / requests.max(1) as f64 }
}

fn p_of_rise(paths: &Paths, one: &Judged, now: &Side, then: &Side) -> f64 {
    if one.verdict == Verdict::NotEnoughData {
        return 1.0;
    }
    let mean = |side: &Side| -> Option<Estimate> {
        let [calls, requests] = [one.path, paths.entry(one.path)].map(|path| side.count(path));
        let in_bin = |count: &Count, bin: usize| count.by_bin.get(bin).copied().unwrap_or(0) as f64;
        let bins = 0..requests.by_bin.len();
        mean_of_bins(&bins.map(|bin| (in_bin(calls, bin), in_bin(requests, bin))).collect::<Vec<_>>())
    };
    let (Some(now), Some(then)) = (mean(now), mean(then)) else { return 1.0 };
    now.p_of_rise(&then, (MATERIAL.0 * then.value).max(MATERIAL.1))
}
