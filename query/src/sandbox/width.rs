//! How wide the parts of a query are: columns, keys, windows, grouping sets. None of them makes a tree deep, but the work of
//! planning grows faster than their number, in steps that nothing can interrupt.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArgumentClause, FunctionArguments, GroupByExpr, GroupByWithModifier, NamedWindowExpr, OrderByKind,
    Query, Select, TableFactor, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};
use model::{Error, Result};

use super::{MAX_RELATIONS, refused, too_large};

/// Columns of one SELECT.
pub const MAX_COLUMNS: usize = 1_000;
/// Keys that rows are sorted, grouped or divided by.
pub const MAX_KEYS: usize = 64;
/// Window functions of a statement.
pub const MAX_WINDOWS: usize = 64;
/// Grouping sets of one SELECT: CUBE makes 2^n, and rows are grouped by each.
pub const MAX_SETS: usize = 64;
/// Rows that a frame of a window may reach.
const MAX_FRAME: u64 = 1_000_000_000;

/// What has been counted over the whole statement.
#[derive(Default)]
pub struct Counted {
    relations: usize,
    windows: usize,
}

impl Counted {
    pub fn table(&mut self, table: &TableFactor) -> Result<()> {
        // A query within one is counted by what it reads.
        self.relations += usize::from(!matches!(table, TableFactor::Derived { .. }));
        // As many as so many joins and set operations have.
        if self.relations > MAX_RELATIONS + 1 {
            return Err(too_large("tables", self.relations, MAX_RELATIONS + 1, "split the statement"));
        }
        match table {
            TableFactor::Table { sample: Some(_), .. } => Err(refused("TABLESAMPLE")),
            _ => Ok(()),
        }
    }

    pub fn expression(&mut self, expression: &Expr) -> Result<()> {
        let Expr::Function(function) = expression else { return Ok(()) };
        if let FunctionArguments::List(list) = &function.args {
            for clause in &list.clauses {
                if let FunctionArgumentClause::OrderBy(keys) = clause {
                    check_keys("sort keys", keys.len())?;
                }
            }
        }
        check_keys("sort keys", function.within_group.len())?;
        let Some(over) = &function.over else { return Ok(()) };
        self.windows += 1;
        if self.windows > MAX_WINDOWS {
            return Err(too_large("window functions", self.windows, MAX_WINDOWS, "split the statement"));
        }
        match over {
            WindowType::WindowSpec(spec) => check_window(spec),
            WindowType::NamedWindow(_) => Ok(()),
        }
    }
}

pub fn check_query(query: &Query) -> Result<()> {
    match query.order_by.as_ref().map(|by| &by.kind) {
        Some(OrderByKind::Expressions(keys)) => check_keys("sort keys", keys.len()),
        _ => Ok(()),
    }
}

pub fn check_select(select: &Select) -> Result<()> {
    if select.projection.len() > MAX_COLUMNS {
        return Err(too_large(
            "columns in one SELECT",
            select.projection.len(),
            MAX_COLUMNS,
            "ask for fewer at a time",
        ));
    }
    for window in &select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &window.1 {
            check_window(spec)?;
        }
    }
    let GroupByExpr::Expressions(keys, modifiers) = &select.group_by else { return Ok(()) };
    check_keys("grouping keys", keys.len())?;
    let with = |modifier: &GroupByWithModifier| match modifier {
        GroupByWithModifier::Cube => power(keys.len()),
        GroupByWithModifier::Rollup => keys.len() + 1,
        _ => 1,
    };
    let sets = keys.iter().map(sets).chain(modifiers.iter().map(with)).fold(1, usize::saturating_mul);
    if sets > MAX_SETS {
        return Err(too_large("grouping sets", sets, MAX_SETS, "name the ones you need with GROUPING SETS"));
    }
    Ok(())
}

/// The grouping sets that one part of GROUP BY makes.
fn sets(key: &Expr) -> usize {
    match key {
        Expr::Cube(keys) => power(keys.len()),
        Expr::Rollup(keys) => keys.len() + 1,
        Expr::GroupingSets(sets) => sets.len(),
        _ => 1,
    }
}

fn power(exponent: usize) -> usize {
    u32::try_from(exponent).ok().and_then(|exponent| 2usize.checked_pow(exponent)).unwrap_or(usize::MAX)
}

fn check_window(spec: &WindowSpec) -> Result<()> {
    check_keys("sort keys", spec.order_by.len())?;
    check_keys("partition keys", spec.partition_by.len())?;
    let Some(frame) = &spec.window_frame else { return Ok(()) };
    if frame.units == WindowFrameUnits::Range {
        return Ok(());
    }
    for bound in [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten() {
        let (WindowFrameBound::Preceding(Some(reach)) | WindowFrameBound::Following(Some(reach))) = bound else {
            continue;
        };
        // Others, such as intervals, are not counted in rows.
        if reach.to_string().parse::<f64>().is_ok_and(|rows| rows > MAX_FRAME as f64) {
            return Err(Error::invalid(format!("a window frame that reaches {reach} rows"))
                .hint("UNBOUNDED PRECEDING and UNBOUNDED FOLLOWING reach all of them"));
        }
    }
    Ok(())
}

fn check_keys(what: &str, found: usize) -> Result<()> {
    if found > MAX_KEYS {
        return Err(too_large(what, found, MAX_KEYS, "use fewer"));
    }
    Ok(())
}
