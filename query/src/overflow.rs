//! Whole numbers that do not fit are an error in people's statements, as in PostgreSQL. DataFusion lets sums, differences,
//! products and `sum` wrap around, which shows a wrong number as if it were one.
//!
//! The rule comes after types are known and before anything is computed. `sum` adds up numbers of 128 bits, since parts of a
//! sum may not fit where all of it does, and the result has to fit. Our own analyses do without: they have their own
//! arithmetic, which no span's times may break.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Alias, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, Window, WindowFunctionDefinition, cast,
};
use datafusion::optimizer::AnalyzerRule;

use crate::functions::arithmetic;

#[derive(Debug)]
pub struct CheckedNumbers;

impl AnalyzerRule for CheckedNumbers {
    fn name(&self) -> &str {
        "checked_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let checked = |node| operators(node).and_then(|node| sums(node.data)).map(Transformed::yes);
        plan.transform_up_with_subqueries(checked).map(|checked| checked.data)
    }
}

fn operators(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        // Downwards, so that a chain is taken as a whole, and then what it is made of.
        let checked = expr.transform_down(|expr| {
            let checked = arithmetic::checked(&expr, &schema);
            Ok(checked.map_or_else(|| Transformed::no(expr), Transformed::yes))
        })?;
        Ok(checked.update_data(|expr| name.restore(expr)))
    })
}

fn sums(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            let Some(exact) = all_exact(&aggregate.aggr_expr, aggregate.input.schema())? else {
                return Ok(LogicalPlan::Aggregate(aggregate));
            };
            let Aggregate { input, group_expr, schema, .. } = aggregate;
            as_before(LogicalPlan::Aggregate(Aggregate::try_new(input, group_expr, exact)?), &schema)
        }
        LogicalPlan::Window(window) => {
            let Some(exact) = all_exact(&window.window_expr, window.input.schema())? else {
                return Ok(LogicalPlan::Window(window));
            };
            let Window { input, schema, .. } = window;
            as_before(LogicalPlan::Window(Window::try_new(exact, input)?), &schema)
        }
        other => Ok(other),
    }
}

/// With its sums exact; `None` when there is none of whole numbers.
fn all_exact(expressions: &[Expr], schema: &DFSchema) -> Result<Option<Vec<Expr>>> {
    let mut has_any = false;
    let mut all = Vec::with_capacity(expressions.len());
    for expr in expressions {
        let exact = exact(expr, schema)?;
        has_any |= exact.is_some();
        all.push(exact.unwrap_or_else(|| expr.clone()));
    }
    Ok(has_any.then_some(all))
}

/// `sum` of whole numbers as one of decimals that holds any such sum, under the same name.
fn exact(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let (name, relation) = match expr {
        Expr::Alias(alias) => (alias.name.clone(), alias.relation.clone()),
        other => (other.schema_name().to_string(), None),
    };
    let mut call = match expr {
        Expr::Alias(Alias { expr, .. }) => expr.as_ref().clone(),
        other => other.clone(),
    };
    let args = match &mut call {
        Expr::AggregateFunction(AggregateFunction { func, params }) if func.name() == "sum" => &mut params.args,
        Expr::WindowFunction(window) => match window.as_mut() {
            WindowFunction { fun: WindowFunctionDefinition::AggregateUDF(func), params } if func.name() == "sum" => {
                &mut params.args
            }
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let [summed] = args.as_mut_slice() else { return Ok(None) };
    if !summed.get_type(schema)?.is_integer() {
        return Ok(None);
    }
    *summed = arithmetic::widened(summed.clone());
    Ok(Some(call.alias_qualified(relation, name)))
}

/// The columns of `plan` in the types of before.
fn as_before(plan: LogicalPlan, before: &DFSchemaRef) -> Result<LogicalPlan> {
    let mut columns = Vec::with_capacity(before.fields().len());
    for ((relation, was), (_, is)) in before.iter().zip(plan.schema().iter()) {
        let column = Expr::Column(Column::new(relation.cloned(), was.name()));
        columns.push(match was.data_type() == is.data_type() {
            true => column,
            false => cast(column, was.data_type().clone()).alias_qualified(relation.cloned(), was.name()),
        });
    }
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}
