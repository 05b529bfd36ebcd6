//! "The newest first" is sorted by the number that is stored, not by the time that the view shows: then what a scan has
//! found already bounds what it still has to read (DataFusion's dynamic filters of a sort with a limit), row groups and
//! files with older rows only are skipped, and ids are made into text for the rows that are left.
//!
//! ```text
//!   Sort start_time, 20                       Projection hex(trace_id), time(start) AS start_time
//!     Projection hex(trace_id), time(start)     Sort start, 20
//!       scan                               ─▶      scan, of which files with newer rows come first
//! ```
//! *Invariant:* a time is its number of nanoseconds, so both orders are the same.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Sort, SortExpr, SubqueryAlias};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

#[derive(Debug, Default)]
pub struct StoredTimes;

impl OptimizerRule for StoredTimes {
    fn name(&self) -> &str {
        "stored_times"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Sort(sort) = plan else { return Ok(Transformed::no(plan)) };
        match below(&sort.input, &sort.expr, sort.fetch)? {
            Some(plan) => Ok(Transformed::yes(plan)),
            None => Ok(Transformed::no(LogicalPlan::Sort(sort))),
        }
    }
}

/// The plan with the sort below the projection that makes times of numbers; `None` when there is none, or a key is neither
/// that nor a column.
fn below(plan: &LogicalPlan, keys: &[SortExpr], fetch: Option<usize>) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => {
            let behind = |column: &Column| {
                let at = alias.schema.index_of_column(column).ok()?;
                Some(Expr::Column(Column::from(alias.input.schema().qualified_field(at))))
            };
            let Some(keys) = replaced(keys, |key| if let Expr::Column(column) = key { behind(column) } else { None })
            else {
                return Ok(None);
            };
            let Some(input) = below(&alias.input, &keys, fetch)? else { return Ok(None) };
            Ok(Some(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?)))
        }
        LogicalPlan::Projection(projection) => {
            let mut is_time = false;
            let keys = replaced(keys, |key| {
                let (stored, time) = stored(projection, key)?;
                is_time |= time;
                Some(stored)
            });
            let Some(keys) = keys else { return Ok(None) };
            let sorted = if is_time {
                Some(LogicalPlan::Sort(Sort { expr: keys, input: projection.input.clone(), fetch }))
            } else {
                below(&projection.input, &keys, fetch)?
            };
            let shown = sorted.map(|sorted| {
                let schema = projection.schema.clone();
                Projection::try_new_with_schema(projection.expr.clone(), Arc::new(sorted), schema)
            });
            Ok(shown.transpose()?.map(LogicalPlan::Projection))
        }
        _ => Ok(None),
    }
}

/// The same keys of other expressions.
fn replaced(keys: &[SortExpr], mut by: impl FnMut(&Expr) -> Option<Expr>) -> Option<Vec<SortExpr>> {
    keys.iter().map(|key| Some(SortExpr::new(by(&key.expr)?, key.asc, key.nulls_first))).collect()
}

/// The column behind one of the projection's, and whether that is a number shown as a time.
fn stored(projection: &Projection, shown: &Expr) -> Option<(Expr, bool)> {
    let Expr::Column(column) = shown else { return None };
    let at = projection.schema.index_of_column(column).ok()?;
    match projection.expr.get(at)?.clone().unalias() {
        Expr::Column(column) => Some((Expr::Column(column), false)),
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)) => {
            let Expr::Column(number) = *cast.expr else { return None };
            let (_, field) = projection.input.schema().qualified_field_from_column(&number).ok()?;
            (*field.data_type() == DataType::Int64).then_some((Expr::Column(number), true))
        }
        _ => None,
    }
}
