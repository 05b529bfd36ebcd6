//! Ends of spans that a file leaves out (docs/adr/0020): a scan of such a file reads start and duration in their place,
//! in conditions as well as in what it gives.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, binary, col};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use model::schema::column;

/// Columns that a file lacks are null, but for these.
#[derive(Debug)]
pub struct ToldEnds;

impl PhysicalExprAdapterFactory for ToldEnds {
    fn create(&self, table: SchemaRef, file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let is_left_out = table.index_of(column::END).is_ok() && file.index_of(column::END).is_err();
        let rest = DefaultPhysicalExprAdapterFactory.create(table.clone(), file)?;
        if !is_left_out {
            return Ok(rest);
        }
        let (start, duration) = (col(column::START, &table)?, col(column::DURATION, &table)?);
        // Neither is negative, and the sum was an end: it fits.
        let end = binary(start, Operator::Plus, duration, &table)?;
        Ok(Arc::new(Instead { end, rest }))
    }
}

#[derive(Debug)]
struct Instead {
    end: Arc<dyn PhysicalExpr>,
    rest: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for Instead {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let replaced = expr.transform_up(|expr| {
            let is_end = expr.downcast_ref::<Column>().is_some_and(|column| column.name() == column::END);
            Ok(if is_end { Transformed::yes(self.end.clone()) } else { Transformed::no(expr) })
        });
        self.rest.rewrite(replaced.data()?)
    }
}
