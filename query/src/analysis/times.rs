//! Sums of times in ns, which stop at the greatest number (292 years): one span may say that it lasted so long, and must
//! not take the figures of all others with it.

/// Adds to a sum.
pub fn add(sum: &mut i64, more: i64) {
    *sum = sum.saturating_add(more);
}

/// The sum of all.
pub fn total(times: impl IntoIterator<Item = i64>) -> i64 {
    times.into_iter().fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_stops_at_the_greatest_number() {
        assert_eq!(total([1, 2, -5]), -2);
        assert_eq!(total([1, i64::MAX, i64::MAX]), i64::MAX);
        let mut sum = i64::MAX - 1;
        add(&mut sum, 7);
        assert_eq!(sum, i64::MAX);
    }
}
