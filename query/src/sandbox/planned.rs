//! What is refused of a plan whose constants have been computed: arguments by which one call or one aggregate takes memory or
//! time that nobody looks at before it has been taken.
//!
//! - What stands between the parts of a text that `string_agg` makes is put in once for each row, by an aggregate that takes
//!   a batch of thousands of rows at once. A megabyte of it would be eight gigabytes at the first look.
//! - The centroids of `approx_percentile_cont` are allocated before the first row: 16 bytes each.
//! - Lists and texts of all rows of a window, made for each of its rows, are quadratic.
//! - A pattern per row is compiled for each row.
//! - A constant stands in each row of a batch.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, WindowFunctionDefinition};

/// Bytes of a delimiter.
const LONGEST: usize = 1 << 10;
/// Centroids of a digest; DataFusion's default is 100.
const MOST_CENTROIDS: u64 = 10_000;
/// Bytes of a constant.
const LARGEST: usize = 16 << 10;
/// Aggregates whose result grows with the rows.
const GROWING: [&str; 2] = ["array_agg", "string_agg"];

pub fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| check_one(expression).map(|()| TreeNodeRecursion::Continue))
        })
    })?;
    Ok(())
}

fn check_one(expression: &Expr) -> Result<()> {
    match expression {
        Expr::Literal(value, _) => check_constant(value),
        Expr::AggregateFunction(AggregateFunction { func, params }) => check_aggregate(func.name(), &params.args),
        Expr::WindowFunction(window) => {
            let WindowFunction { fun: WindowFunctionDefinition::AggregateUDF(func), params } = window.as_ref() else {
                return Ok(());
            };
            check_aggregate(func.name(), &params.args)?;
            if GROWING.contains(&func.name()) {
                return plan_err!(
                    "{} over a window makes as much for each row as for all; group by instead",
                    func.name()
                );
            }
            Ok(())
        }
        Expr::BinaryExpr(BinaryExpr { op, right, .. }) if is_match(*op) => check_pattern(right),
        Expr::SimilarTo(like) => check_pattern(&like.pattern),
        Expr::ScalarFunction(call) if call.name().starts_with("regexp_") => {
            call.args.get(1).map_or(Ok(()), check_pattern)
        }
        _ => Ok(()),
    }
}

fn check_aggregate(name: &str, arguments: &[Expr]) -> Result<()> {
    let centroids = match name {
        "string_agg" => return check_delimiter(arguments.get(1)),
        "approx_percentile_cont" => arguments.get(2),
        "approx_percentile_cont_with_weight" => arguments.get(3),
        _ => None,
    };
    let Some(Expr::Literal(value, _)) = centroids else { return Ok(()) };
    match value.to_string().parse::<u64>() {
        Ok(1..=MOST_CENTROIDS) => Ok(()),
        _ => plan_err!("{name} with {value} centroids: 1 to {MOST_CENTROIDS} are allowed"),
    }
}

fn check_delimiter(delimiter: Option<&Expr>) -> Result<()> {
    let Some(Expr::Literal(value, _)) = delimiter else { return Ok(()) };
    let length = value.try_as_str().flatten().map_or(0, str::len);
    if length > LONGEST {
        return plan_err!("string_agg's delimiter has {length} bytes, at most {LONGEST} are allowed");
    }
    Ok(())
}

fn check_constant(value: &ScalarValue) -> Result<()> {
    let size = value.size();
    if size > LARGEST {
        return plan_err!("a constant of {size} bytes, at most {LARGEST} are allowed: it stands in each row");
    }
    Ok(())
}

fn is_match(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch
    )
}

fn check_pattern(pattern: &Expr) -> Result<()> {
    match pattern {
        Expr::Literal(..) => Ok(()),
        Expr::Cast(cast) => check_pattern(&cast.expr),
        _ => plan_err!("a regular expression has to be a constant: one for each row would be compiled for each row"),
    }
}
