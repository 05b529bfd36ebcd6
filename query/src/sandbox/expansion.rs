//! How large a query gets when its common table expressions are put in where they are used: `b` that reads `a` twice,
//! `c` that reads `b` twice and so on doubles the plan at each step.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, Query, Visit, Visitor};
use model::{Error, Kind, Result};

use super::MAX_EXPANSION;

pub fn check(query: &Query) -> Result<()> {
    let mut weight = Weight::default();
    let _: ControlFlow<()> = query.visit(&mut weight);
    if weight.tables > MAX_EXPANSION {
        return Err(Error::new(
            Kind::Limit,
            format!("the statement reads {} tables once WITH is expanded, at most {MAX_EXPANSION} are allowed", weight.tables),
        )
        .hint("refer to each WITH part once or twice"));
    }
    Ok(())
}

/// Counts tables read. A name defined by `WITH` weighs what its query weighs.
#[derive(Default)]
struct Weight {
    tables: u64,
    named: HashMap<String, u64>,
    /// Queries that define a name, by address, until they have been weighed.
    defining: HashMap<usize, String>,
    outer: Vec<u64>,
}

fn address(query: &Query) -> usize {
    std::ptr::from_ref(query) as usize
}

impl Visitor for Weight {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.defining.insert(address(&cte.query), cte.alias.name.value.to_lowercase());
        }
        self.outer.push(std::mem::take(&mut self.tables));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let weight = std::mem::replace(&mut self.tables, self.outer.pop().unwrap_or(0));
        match self.defining.remove(&address(query)) {
            Some(name) => {
                let known = self.named.entry(name).or_default();
                *known = weight.max(*known);
            }
            None => self.tables = self.tables.saturating_add(weight),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.to_string().to_lowercase();
        let weight = self.named.get(&name).copied().unwrap_or(1).max(1);
        self.tables = self.tables.saturating_add(weight);
        ControlFlow::Continue(())
    }
}
