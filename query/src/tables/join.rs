//! Joins on ids use the stored bytes: `a.trace_id = b.trace_id` between views becomes a join of the physical columns.
//!
//! The join's conditions name columns of the views, which are `hex(…)` of stored ones, made in projections below the
//! join. Each such projection passes the stored column on beside the shown one, under a name of its own, and the join
//! compares those: half the bytes, no text made for rows that do not match, and the values found on one side reach
//! the other side's scan as a condition on the stored column.
//!
//! *Invariant:* only equality of two ids that are shown the same way (`hex` of a column) is rewritten; the columns
//! that the join puts out are the same as before.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Projection, SubqueryAlias};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::rewrite::shown_id;

/// Prefixes of the passed-on columns of either side, so that their names never meet.
const LEFT: &str = "__stored_left_";
const RIGHT: &str = "__stored_right_";

#[derive(Debug, Default)]
pub struct IdJoins;

impl OptimizerRule for IdJoins {
    fn name(&self) -> &str {
        "id_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(join) = plan else { return Ok(Transformed::no(plan)) };
        rewrite(join)
    }
}

fn rewrite(join: Join) -> Result<Transformed<LogicalPlan>> {
    let (mut left, mut right, mut changed) = (join.left.as_ref().clone(), join.right.as_ref().clone(), false);
    let mut on = Vec::with_capacity(join.on.len());
    for pair in &join.on {
        match (passed_on(&left, &pair.0, LEFT)?, passed_on(&right, &pair.1, RIGHT)?) {
            (Some((new_left, a)), Some((new_right, b))) => {
                (left, right, changed) = (new_left, new_right, true);
                on.push((Expr::Column(a), Expr::Column(b)));
            }
            _ => on.push(pair.clone()),
        }
    }
    if !changed {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let shown = join.schema.columns().into_iter().map(Expr::Column).collect();
    let wider = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let projection = Projection::try_new(shown, Arc::new(LogicalPlan::Join(wider)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// The plan with the stored column behind `shown` added to its output, and that column's name; `None` when `shown`
/// is not an id made in a projection right below.
fn passed_on(plan: &LogicalPlan, shown: &Expr, prefix: &str) -> Result<Option<(LogicalPlan, Column)>> {
    let Expr::Column(column) = shown else { return Ok(None) };
    match plan {
        LogicalPlan::SubqueryAlias(alias) => {
            let inner = alias.input.schema().columns().into_iter().find(|c| c.name == column.name);
            let Some(inner) = inner else { return Ok(None) };
            let Some((input, stored)) = passed_on(&alias.input, &Expr::Column(inner), prefix)? else { return Ok(None) };
            let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
            let stored = Column::new(Some(alias.alias.clone()), stored.name);
            Ok(Some((LogicalPlan::SubqueryAlias(alias), stored)))
        }
        LogicalPlan::Filter(filter) => {
            let Some((input, stored)) = passed_on(&filter.input, shown, prefix)? else { return Ok(None) };
            let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
            Ok(Some((LogicalPlan::Filter(filter), stored)))
        }
        LogicalPlan::Projection(projection) => {
            let Some(at) = projection.schema.columns().iter().position(|c| c == column) else { return Ok(None) };
            let (input, stored) = match &projection.expr[at] {
                below @ Expr::Column(_) => match passed_on(&projection.input, below, prefix)? {
                    Some((input, stored)) => (Arc::new(input), stored),
                    None => return Ok(None),
                },
                other => match shown_id(other) {
                    Some((Expr::Column(id), false)) => (projection.input.clone(), id.clone()),
                    _ => return Ok(None),
                },
            };
            let name = match stored.name.starts_with(prefix) {
                true => stored.name.clone(),
                false => format!("{prefix}{}", stored.name),
            };
            let mut expressions = projection.expr.clone();
            if !projection.schema.fields().iter().any(|f| *f.name() == name) {
                expressions.push(Expr::Column(stored).alias(&name));
            }
            let wider = Projection::try_new(expressions, input)?;
            Ok(Some((LogicalPlan::Projection(wider), Column::new_unqualified(name))))
        }
        _ => Ok(None),
    }
}
