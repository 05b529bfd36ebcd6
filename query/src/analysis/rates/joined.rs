//! What neighbours in time say of rates, added up once and kept: a question over hundreds of files adds up dozens.
//!
//! ```text
//! by time:  a  b| c  d  e|  f  g| h      |: behind the key of b, e and g, whatever stands beside them
//!                └ c d e ┘ └ f g ┘        each a FileRates of its own, kept by the keys in it
//! ```
//! Where a group ends depends on the key of its last member alone, so files that come, go or are merged change the group
//! they are in and no other. *Invariant:* a group adds up to what its members add up to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use model::time::MINUTE;
use model::{Nanos, Result};

use super::super::partial::{FromFile, Said, split_by};
use super::super::scope::Window;
use super::summary::FileRates;
use crate::query::Query;

/// Members of a group, on average.
const MEMBERS: u64 = 16;
/// And at most.
const MOST: usize = 64;
/// A group covers no more time, so that a window seldom cuts it.
pub(super) const LONGEST: Nanos = 15 * MINUTE;

/// Splits the spans into what is known of files and of parts of the log that `fits`, and the query over all the rest.
pub async fn split(
    query: &Query,
    near: Window,
    fits: impl Fn(&FileRates) -> bool,
) -> Result<(Vec<Arc<FileRates>>, Query)> {
    let (said, rest) = split_by::<FileRates>(query, near, fits).await?;
    Ok((joined(query, said).await?, rest))
}

/// The same in fewer parts.
async fn joined(query: &Query, mut said: Vec<Said<FileRates>>) -> Result<Vec<Arc<FileRates>>> {
    said.sort_by(|a, b| (a.what.span().0, &a.key).cmp(&(b.what.span().0, &b.key)));
    let kept = FileRates::kept(query.pieces());
    let mut joined = Vec::new();
    let mut next = 0;
    for group in groups(&said) {
        joined.extend(said[next..group.start].iter().map(|one| one.what.clone()));
        next = group.end;
        let members = &said[group];
        let key: String = members.iter().flat_map(|one| [one.key.as_str(), "\n"]).collect();
        let found = match kept.get(&key) {
            Some(found) => found,
            None => {
                let found = FileRates::of_all(members.iter().map(|one| one.what.as_ref()))?.map(Arc::new);
                kept.keep(&key, found.clone());
                tokio::task::yield_now().await;
                found
            }
        };
        match found {
            Some(found) => joined.push(found),
            None => joined.extend(members.iter().map(|one| one.what.clone())),
        }
    }
    joined.extend(said[next..].iter().map(|one| one.what.clone()));
    Ok(joined)
}

/// The groups of which both ends are known. The first and the last members may belong to others that are not here.
pub(super) fn groups(said: &[Said<FileRates>]) -> Vec<Range<usize>> {
    let ends = (0..said.len()).filter(|at| is_last(&said[*at].key)).map(|at| at + 1);
    let ends: Vec<usize> = ends.collect();
    let whole = ends.windows(2).map(|pair| pair[0]..pair[1]);
    let is_short = |group: &Range<usize>| {
        let members = &said[group.clone()];
        let end = members.iter().map(|one| one.what.span().1).max().unwrap_or(Nanos::MAX);
        end.saturating_sub(members[0].what.span().0) <= LONGEST
    };
    whole.filter(|group| (2..=MOST).contains(&group.len()) && is_short(group)).collect()
}

pub(super) fn is_last(key: &str) -> bool {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish().is_multiple_of(MEMBERS)
}
