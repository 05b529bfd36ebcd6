//! A condition on a promoted attribute that only text can fulfil needs the column only.
//!
//! `attributes->>'user.id' = 'u-7'` is split into "the column equals it, or the column is null and the JSON text equals it"
//! ([`super::rewrite`]), since a value of another type stays in the JSON text. That text begins with a digit, a sign, a
//! bracket or a brace, or is `true` or `false`; so where the wanted text is none of these, the second part holds for no
//! row. Without it, statistics and bloom filters of the column leave files out.
//!
//! *Invariant:* only parts of a filter that must all hold are changed. There "false" and "unknown" are the same; below a
//! NOT they are not.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use model::schema::{PROMOTED_SPAN, Promoted, PromotedType};

use super::view::OTHER_ATTRIBUTES;

#[derive(Debug, Default)]
pub struct TextConditions;

impl OptimizerRule for TextConditions {
    fn name(&self) -> &'static str {
        "text_conditions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else { return Ok(Transformed::no(plan)) };
        let mut changed = false;
        let parts = split_conjunction_owned(filter.predicate.clone()).into_iter().map(|part| match only_text(&part) {
            Some(direct) => {
                changed = true;
                direct
            }
            None => part,
        });
        let Some(predicate) = conjunction(parts.collect::<Vec<_>>()).filter(|_| changed) else {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        };
        Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
    }
}

/// `column = text` of `(column IS NOT NULL AND column = text) OR (column IS NULL AND json->>key = text)`, where no JSON
/// value that is not a text reads like it.
fn only_text(part: &Expr) -> Option<Expr> {
    let (stored, rest) = both(part, Operator::Or)?;
    let (is_there, direct) = both(stored, Operator::And)?;
    let (column, text) = equality(direct)?;
    let Expr::IsNotNull(there) = is_there else { return None };
    let Expr::Column(name) = column else { return None };
    let promoted = PROMOTED_SPAN.iter().find(|p| p.column == name.name && matches!(p.ty, PromotedType::Text))?;
    let (is_null, fallback) = both(rest, Operator::And)?;
    let Expr::IsNull(of) = is_null else { return None };
    let (read, again) = equality(fallback)?;
    let same = of.as_ref() == column && there.as_ref() == column && again == text && reads(read, promoted);
    (same && is_surely_text(text)).then(|| direct.clone())
}

fn both(expr: &Expr, op: Operator) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: found, right }) if *found == op => Some((left, right)),
        _ => None,
    }
}

/// The sides of `expression = 'text'`.
fn equality(expr: &Expr) -> Option<(&Expr, &str)> {
    let (left, right) = both(expr, Operator::Eq)?;
    match (literal(left), literal(right)) {
        (None, Some(text)) => Some((left, text)),
        (Some(text), None) => Some((right, text)),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str()?,
        Expr::Cast(cast) => literal(&cast.expr),
        _ => None,
    }
}

/// Whether the expression reads this attribute's text from the JSON of the attributes without a column.
fn reads(expr: &Expr, promoted: &Promoted) -> bool {
    match expr {
        Expr::ScalarFunction(call) => {
            let known = matches!(call.func.name(), "json_as_text" | "json_get_str");
            let [Expr::Column(json), key] = call.args.as_slice() else { return false };
            known && json.name == OTHER_ATTRIBUTES && literal(key) == Some(promoted.key)
        }
        Expr::Cast(cast) => reads(&cast.expr, promoted),
        _ => false,
    }
}

/// No number, boolean, array or object of JSON reads like this.
fn is_surely_text(text: &str) -> bool {
    let first = text.chars().next();
    let other = first.is_none_or(|c| c.is_ascii_digit() || "-+.[{\"".contains(c) || c.is_whitespace());
    !other && !matches!(text, "true" | "false" | "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_the_text_of_a_number_is_no_sure_text() {
        for text in ["u-7", "alice", "王伟", "/cart", "Infinity", "_x"] {
            assert!(is_surely_text(text), "{text}");
        }
        for text in ["7", "-1.5", "true", "false", "null", "[1]", "{\"a\":1}", "", " 7", ".5"] {
            assert!(!is_surely_text(text), "{text}");
        }
    }
}
