//! What stands between the parts of a text that `string_agg` makes: it is put in once for each row, by an aggregate that
//! takes a batch of thousands of rows before anybody looks how much memory it has. A megabyte of it would be eight
//! gigabytes at the first look.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};

/// Bytes of a delimiter.
const LONGEST: usize = 1 << 10;

/// Looks at a plan whose constants have been computed.
pub fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                let length = delimiter(expression).map_or(0, str::len);
                if length > LONGEST {
                    return plan_err!("string_agg's delimiter has {length} bytes, at most {LONGEST} are allowed");
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

fn delimiter(expression: &Expr) -> Option<&str> {
    let (function, arguments) = match expression {
        Expr::AggregateFunction(AggregateFunction { func, params }) => (func, &params.args),
        Expr::WindowFunction(window) => {
            let WindowFunction { fun: WindowFunctionDefinition::AggregateUDF(func), params } = window.as_ref() else {
                return None;
            };
            (func, &params.args)
        }
        _ => return None,
    };
    match arguments.get(1) {
        Some(Expr::Literal(value, _)) if function.name() == "string_agg" => value.try_as_str().flatten(),
        _ => None,
    }
}
