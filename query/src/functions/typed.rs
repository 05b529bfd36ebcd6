//! What a type may be that a function is told by its name: `arrow_cast(x, 'List(List(…))')` is a type as deep
//! as its text is long, which whoever drops it walks down; and of `FixedSizeBinary(2000000000)` a single null takes two
//! gigabytes.

use datafusion::common::{Result, ScalarValue, plan_err};

/// Types within one another.
const DEEPEST: usize = 16;
/// Bytes, or values, that a type of fixed size may have.
const LARGEST: u64 = 4_096;

/// Refuses names of types that are too deep or too large.
fn check(name: &str) -> Result<()> {
    let (mut open, mut deepest) = (0usize, 0);
    for byte in name.bytes() {
        match byte {
            b'(' => open += 1,
            b')' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    if deepest > DEEPEST {
        return plan_err!("a type {deepest} levels deep, at most {DEEPEST} are allowed");
    }
    let numbers = name.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    match numbers.map(|digits| digits.parse().unwrap_or(u64::MAX)).find(|number| *number > LARGEST) {
        Some(number) => plan_err!("a type of size {number}, at most {LARGEST} are allowed"),
        None => Ok(()),
    }
}

/// Looks at an argument, if that is known and a text.
pub fn check_argument(value: Option<&ScalarValue>) -> Result<()> {
    value.and_then(|value| value.try_as_str().flatten()).map_or(Ok(()), check)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn types_in_use_pass_and_towers_and_giants_do_not() {
        for name in ["Int64", "Decimal128(38, 10)", "Timestamp(Nanosecond, Some(\"UTC\"))", "FixedSizeBinary(16)"] {
            check(name).expect(name);
        }
        let tower = format!("{}Int8{}", "List(".repeat(17), ")".repeat(17));
        let unclosed = "List(".repeat(6_000);
        for name in [&tower, &unclosed, "FixedSizeBinary(2147483647)", "FixedSizeList(99999999999999999999, Int8)"] {
            check(name).expect_err("refused");
        }
    }
}
