//! What neighbours in time say of rates, added up once and kept: a question over hundreds of files adds up dozens.
//!
//! ```text
//! by time:  a  b| c  d  e|  f  g| h  i  j‖      |: behind the key of b, e, g and j, whatever stands beside them
//!                └ c d e ┘ └ f g ┘└ h i j ┘     each a FileRates of its own, kept by the keys in it
//! ```
//! Groups are grouped again, and those again: behind a part of the keys that end a group (‖) a group of groups ends.
//! Where a group ends depends on the key of its last member alone, so files that come, go or are merged change the groups
//! they are in and no others. *Invariant:* a group adds up to what its members add up to.

use std::ops::Range;
use std::sync::Arc;

use model::time::MINUTE;
use model::{Nanos, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::super::partial::{FromFile, Said, split_by};
use super::super::per_file::{PerFile, key_of};
use super::super::scope::Window;
use super::summary::FileRates;
use crate::query::Query;

/// Members of a group, on average.
const MEMBERS: u64 = 8;
/// And at most.
const MOST: usize = 64;
/// Groups are grouped until one stands for some `MEMBERS` to this power of files.
const LEVELS: u32 = 3;
/// A group covers no more time: it is to last, and at its end files still come and go.
pub(super) const LONGEST: Nanos = 15 * MINUTE;

/// Splits the spans into what is known of files and of parts of the log that `fits`, and the query over all the rest.
/// It is asked with the least and the greatest time of the rows.
pub async fn split(
    query: &Query,
    near: Window,
    fits: impl Fn(&FileRates, (Nanos, Nanos)) -> bool,
) -> Result<(Vec<Arc<FileRates>>, Query)> {
    let (said, rest) = split_by::<FileRates>(query, near, fits).await?;
    let members = said.into_iter().map(Member::of).collect();
    let members = joined(FileRates::kept(query.pieces()), members).await?;
    Ok((members.into_iter().map(|member| member.said.what).collect(), rest))
}

/// The same in as few members as are known to belong together.
pub(super) async fn joined(kept: &PerFile<FileRates>, mut members: Vec<Member>) -> Result<Vec<Member>> {
    for level in 1..=LEVELS {
        members = joined_at(level, kept, members).await?;
    }
    Ok(members)
}

/// A file, a part of the log, or a group of them.
pub(super) struct Member {
    pub(super) said: Said<FileRates>,
    /// The hash of the last key in it.
    last: u64,
}

impl Member {
    pub(super) fn of(said: Said<FileRates>) -> Self {
        Member { last: xxh3_64(said.key.as_bytes()), said }
    }

    pub(super) fn key(&self) -> &str {
        &self.said.key
    }

    fn span(&self) -> (Nanos, Nanos) {
        self.said.what.span()
    }

    /// Whether a group of this level ends behind it.
    pub(super) fn ends(&self, level: u32) -> bool {
        self.last.is_multiple_of(MEMBERS.pow(level))
    }
}

async fn joined_at(level: u32, kept: &PerFile<FileRates>, mut members: Vec<Member>) -> Result<Vec<Member>> {
    members.sort_by(|a, b| (a.span().0, a.key()).cmp(&(b.span().0, b.key())));
    let groups = groups(&members, level);
    let mut joined = Vec::new();
    let mut members = members.into_iter();
    let mut next = 0;
    for group in groups {
        joined.extend(members.by_ref().take(group.start - next));
        next = group.end;
        let of_group: Vec<Member> = members.by_ref().take(group.len()).collect();
        match sum(kept, &of_group).await? {
            Some(sum) => joined.push(sum),
            None => joined.extend(of_group),
        }
    }
    joined.extend(members);
    Ok(joined)
}

/// What is kept of a group, or found now.
async fn sum(kept: &PerFile<FileRates>, group: &[Member]) -> Result<Option<Member>> {
    let Some(last) = group.last().map(|member| member.last) else { return Ok(None) };
    let keys: String = group.iter().flat_map(|member| [member.key(), "\n"]).collect();
    let key = key_of("sum", keys.as_bytes());
    let found = match kept.get(&key) {
        Some(found) => found,
        None => {
            let found = FileRates::of_all(group.iter().map(|member| member.said.what.as_ref()))?.map(Arc::new);
            kept.keep(&key, found.clone());
            tokio::task::yield_now().await;
            found
        }
    };
    Ok(found.map(|what| Member { said: Said { key, what }, last }))
}

/// The groups of which both ends are known. The first and the last members may belong to others that are not here.
pub(super) fn groups(members: &[Member], level: u32) -> Vec<Range<usize>> {
    let ends = (0..members.len()).filter(|at| members[*at].ends(level)).map(|at| at + 1);
    let ends: Vec<usize> = ends.collect();
    let whole = ends.windows(2).map(|pair| pair[0]..pair[1]);
    let is_short = |group: &Range<usize>| {
        let members = &members[group.clone()];
        let end = members.iter().map(|member| member.span().1).max().unwrap_or(Nanos::MAX);
        end.saturating_sub(members[0].span().0) <= LONGEST
    };
    whole.filter(|group| (2..=MOST).contains(&group.len()) && is_short(group)).collect()
}
