//! How large a query gets when its parts are put in where they are used.
//!
//! * A `WITH` part that reads the part before it twice, and so on, doubles the plan at each step.
//! * A column made of two columns of the part below, and so on, doubles the expression at each step, once a condition
//!   on it is pushed down to the scan.
//! * Functions applied to one another through such parts come together in one expression, which takes exponentially
//!   long to type.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Select, Visit, Visitor};
use model::{Error, Kind, Result};

use super::{MAX_EXPANSION, MAX_FUNCTION_CHAIN, MAX_GROWTH, MAX_QUERIES};

pub fn check(query: &Query) -> Result<()> {
    let mut weigh = Weigh::default();
    if let ControlFlow::Break(depth) = query.visit(&mut weigh) {
        let found = format!("the statement nests {depth} queries, at most {MAX_QUERIES} are allowed");
        return Err(Error::new(Kind::Limit, found).hint("use WITH to name the inner ones"));
    }
    let too_large = |what: String| Err(Error::new(Kind::Limit, what));
    let Weight { tables, growth, functions } = weigh.here.total();
    if tables > MAX_EXPANSION {
        return too_large(format!(
            "the statement reads {tables} tables once WITH is expanded, at most {MAX_EXPANSION} are allowed"
        ))
        .map_err(|e| e.hint("refer to each WITH part once or twice"));
    }
    if growth > MAX_GROWTH {
        return too_large(format!(
            "columns of the statement grow {growth} times through its nested queries, at most {MAX_GROWTH} is allowed"
        ))
        .map_err(|e| e.hint("use fewer nested queries, or fewer columns in each expression of them"));
    }
    if functions > MAX_FUNCTION_CHAIN {
        return too_large(format!(
            "the statement applies {functions} functions to one another through its nested queries, at most {MAX_FUNCTION_CHAIN} are allowed"
        ))
        .map_err(|e| e.hint("use fewer nested queries, or fewer functions within one another"));
    }
    Ok(())
}

/// What a query weighs where it is used.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    /// Tables read.
    tables: u64,
    /// Stored columns that one column can be made of.
    growth: u64,
    /// Functions that can be applied to one another.
    functions: u64,
}

/// A query being walked through.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    tables: u64,
    /// Most columns that one expression names.
    columns: u64,
    /// Most functions within one another.
    functions: u64,
    /// The greatest growth and chain of functions of what it reads from.
    below: u64,
    functions_below: u64,
}

impl Frame {
    fn total(&self) -> Weight {
        Weight {
            tables: self.tables.max(1),
            growth: self.columns.max(1).saturating_mul(self.below.max(1)),
            functions: self.functions + self.functions_below,
        }
    }

    fn has(&mut self, expression: &impl Visit) {
        let mut names = Names::default();
        let _: ControlFlow<()> = expression.visit(&mut names);
        self.columns = self.columns.max(names.columns);
        self.functions = self.functions.max(names.functions);
    }

    fn reads(&mut self, weight: Weight) {
        self.tables = self.tables.saturating_add(weight.tables);
        self.below = self.below.max(weight.growth);
        self.functions_below = self.functions_below.max(weight.functions);
    }
}

#[derive(Default)]
struct Weigh {
    here: Frame,
    outer: Vec<Frame>,
    named: HashMap<String, Weight>,
    /// Queries that define a name, by address, until they have been weighed.
    defining: HashMap<usize, String>,
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query) as usize
}

impl Visitor for Weigh {
    /// How many queries are within one another, when too many are.
    type Break = usize;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<usize> {
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.defining.insert(address(&cte.query), cte.alias.name.value.to_lowercase());
        }
        self.outer.push(std::mem::take(&mut self.here));
        match self.outer.len() {
            depth if depth > MAX_QUERIES => ControlFlow::Break(depth),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<usize> {
        let weight = std::mem::replace(&mut self.here, self.outer.pop().unwrap_or_default()).total();
        match self.defining.remove(&address(query)) {
            Some(name) => {
                // The same name may be defined in several places; the heaviest counts.
                let known = self.named.entry(name).or_default();
                known.tables = known.tables.max(weight.tables);
                known.growth = known.growth.max(weight.growth);
                known.functions = known.functions.max(weight.functions);
            }
            None => self.here.reads(weight),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<usize> {
        self.here.has(&select.selection);
        self.here.has(&select.having);
        select.projection.iter().for_each(|item| self.here.has(item));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<usize> {
        let known = self.named.get(&relation.to_string().to_lowercase()).copied();
        self.here.reads(known.unwrap_or(Weight { tables: 1, growth: 1, functions: 0 }));
        ControlFlow::Continue(())
    }
}

/// What one expression names and nests.
#[derive(Default)]
struct Names {
    columns: u64,
    functions: u64,
    around: u64,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.columns += u64::from(matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
        self.around += u64::from(matches!(expr, Expr::Function(_)));
        self.functions = self.functions.max(self.around);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.around -= u64::from(matches!(expr, Expr::Function(_)));
        ControlFlow::Continue(())
    }
}
