//! What a metric is, by how its name, unit and attributes are made.

use super::Series;
use super::cpu::{CPUS, is_cpu_time};

/// Last words of a name that stand for a used part, and for its limit.
const USED: [&str; 7] = ["used", "usage", "in_use", "active", "busy", "acquired", "checked_out"];
const LIMIT: [&str; 6] = ["limit", "max", "size", "capacity", "config.max", "pool.max"];
/// States of a whole that mean it is taken.
const TAKEN: [&str; 4] = ["used", "busy", "active", "in_use"];
/// States, or modes, of a whole of which the more there is the less is taken.
const FREE: [&str; 7] = ["idle", "free", "available", "cached", "buffered", "inactive", "slab_reclaimable"];
/// Words of things that wait.
const WAITS: [&str; 8] = ["pending", "queued", "queue", "waiting", "lag", "backlog", "blocked", "awaiting"];
/// Words that make something else of what waits: its limit, or how long it took.
const NO_COUNT: [&str; 8] = ["limit", "max_size", "capacity", "remaining", "duration", "time", "latency", "age"];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Role {
    /// A share of one.
    Share,
    Waiting,
    /// CPUs that are in use.
    Cpus,
    /// The time that collectors took.
    Collector,
    /// A used part, which may have a limit beside it.
    Used,
    /// The taken part of a whole: the key of the attribute that tells the states apart.
    InState(String),
    Other,
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

pub(super) fn has(name: &str, list: &[&str]) -> bool {
    words(name).any(|word| list.contains(&word))
}

/// Whether the metric tells of a garbage collector.
pub(super) fn is_collector(name: &str) -> bool {
    has(name, &["gc"])
}

/// Whether a point tells of the time since the one before, and not of its moment: shares of CPU time, and what collectors
/// took.
pub(super) fn is_of_an_interval(series: &Series) -> bool {
    match role(series) {
        Role::Share => has(&series.metric, &["cpu"]),
        Role::Collector => true,
        _ => false,
    }
}

/// Whether it is a share of CPU time of what the other counts the CPU time of: of the same instance, and named alike.
pub(super) fn is_share_of(share: &Series, counted: &Series) -> bool {
    let first = |series: &Series| words(&series.metric).next().map(str::to_owned);
    let is_share = role(share) == Role::Share && has(&share.metric, &["cpu"]);
    is_share && share.instance == counted.instance && first(share) == first(counted)
}

/// Whether the metric counts what a consumer has not yet taken.
pub(super) fn is_lag(series: &Series) -> bool {
    role(series) == Role::Waiting && has(&series.metric, &["lag"])
}

pub(super) fn role(series: &Series) -> Role {
    let name = series.metric.as_str();
    if series.unit == CPUS && is_cpu_time(name) {
        return Role::Cpus;
    }
    let state = |last: &str, states: &[&str]| {
        let is_one = |key: &str, value: &str| key.rsplit(['.', '_']).next() == Some(last) && states.contains(&value);
        series.attributes.iter().find(|(key, value)| is_one(key, value)).map(|(key, _)| key.clone())
    };
    if let Some(key) = state("state", &TAKEN) {
        return Role::InState(key);
    }
    if state("state", &FREE).or_else(|| state("mode", &FREE)).is_some() {
        return Role::Other;
    }
    if is_collector(name) {
        return Role::Collector;
    }
    let share = matches!(series.unit.as_str(), "1" | "") && has(name, &["utilization", "utilisation"]);
    if share {
        return Role::Share;
    }
    if USED.iter().any(|used| stem(name, used).is_some()) {
        return Role::Used;
    }
    let counts = !has(name, &NO_COUNT) && !matches!(series.unit.as_str(), "s" | "ms" | "us" | "ns" | "By");
    if counts && has(name, &WAITS) { Role::Waiting } else { Role::Other }
}

/// The name without this last part.
fn stem<'a>(name: &'a str, last: &str) -> Option<&'a str> {
    let stem = name.strip_suffix(last)?;
    stem.strip_suffix(['.', '_']).filter(|stem| !stem.is_empty())
}

/// The limit of a used part: of the same instance, with the same attributes or fewer.
pub(super) fn limits<'a>(used: &Series, all: &'a [Series]) -> Vec<&'a Series> {
    let Some(prefix) = USED.iter().find_map(|last| stem(&used.metric, last)) else { return Vec::new() };
    limits_of(prefix, used, all)
}

fn limits_of<'a>(prefix: &str, used: &Series, all: &'a [Series]) -> Vec<&'a Series> {
    let is_limit = |name: &str| LIMIT.iter().any(|last| stem(name, last) == Some(prefix));
    let fits = |limit: &&Series| {
        limit.instance == used.instance
            && is_limit(&limit.metric)
            && limit.attributes.iter().all(|(key, value)| used.attributes.get(key) == Some(value))
    };
    // The one that says most of what it limits.
    all.iter().filter(fits).max_by_key(|limit| limit.attributes.len()).into_iter().collect()
}

/// What the taken part of a whole is a part of: its limit where that is told (`db.client.connection.max` beside
/// `db.client.connection.count`), since a pool that closes what it does not need has no more than is taken; else all
/// states of it, this one among them.
pub(super) fn whole<'a>(taken: &Series, state: &str, all: &'a [Series]) -> Vec<&'a Series> {
    let told = taken.metric.rsplit_once(['.', '_']).map(|(prefix, _)| limits_of(prefix, taken, all));
    told.filter(|limits| !limits.is_empty()).unwrap_or_else(|| states(taken, state, all))
}

fn states<'a>(taken: &Series, state: &str, all: &'a [Series]) -> Vec<&'a Series> {
    let rest = |series: &Series| {
        let mut rest = series.attributes.clone();
        rest.remove(state);
        rest
    };
    let own = rest(taken);
    let fits = |other: &&Series| {
        other.metric == taken.metric
            && other.instance == taken.instance
            && other.attributes.contains_key(state)
            && rest(other) == own
    };
    let found: Vec<&Series> = all.iter().filter(fits).collect();
    // A state alone is no whole.
    if found.len() > 1 { found } else { Vec::new() }
}
