//! Every analysis as a SQL table function: `SELECT * FROM hotspots('now-15m', 'now', 'service=cart')`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunction, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::{Analysis, all, runs};
use crate::functions::Doc;
use crate::query::Asker;

/// One function for each analysis, by its name in SQL.
pub fn table_functions() -> HashMap<String, Arc<TableFunction>> {
    let function = |analysis: &'static Analysis| {
        let name = analysis.name.replace('-', "_");
        (name.clone(), Arc::new(TableFunction::new(name, Arc::new(Function(analysis)))))
    };
    all().iter().map(function).collect()
}

/// What SQL can call them by, for completion.
pub fn docs() -> impl Iterator<Item = Doc> {
    NAMES.iter().zip(all()).map(|((name, example), analysis)| Doc { name, doc: analysis.doc, example })
}

/// Name in SQL and a call of each analysis, in the order of the registry.
static NAMES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let of = |analysis: &Analysis| {
        let name = analysis.name.replace('-', "_");
        let example = format!("SELECT * FROM {name}('now-15m', 'now')");
        (name, example)
    };
    all().iter().map(of).collect()
});

struct Function(&'static Analysis);

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

impl TableFunctionImpl for Function {
    fn call(&self, args: &[Expr]) -> Result<Arc<dyn TableProvider>> {
        let mut parameters = Vec::new();
        for (at, arg) in args.iter().enumerate() {
            let text = match arg {
                Expr::Literal(ScalarValue::Utf8(Some(t)) | ScalarValue::Utf8View(Some(t)), _) => t.clone(),
                Expr::Literal(value, _) => value.to_string(),
                _ => return plan_err!("the arguments of {} have to be literals", self.0.name),
            };
            match (text.split_once('='), at) {
                (Some((key, value)), _) => parameters.push((key.to_owned(), value.to_owned())),
                (None, 0) => parameters.push(("start".to_owned(), text)),
                (None, 1) => parameters.push(("end".to_owned(), text)),
                (None, _) => return plan_err!("{text:?} is not NAME=VALUE; the first two arguments are start and end"),
            }
        }
        Ok(Arc::new(Call { analysis: self.0, parameters }))
    }
}

/// A call: runs the analysis when the plan is made.
struct Call {
    analysis: &'static Analysis,
    parameters: Vec<(String, String)>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:?})", self.analysis.name, self.parameters)
    }
}

#[async_trait]
impl TableProvider for Call {
    fn schema(&self) -> SchemaRef {
        (self.analysis.schema)()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(query) = state.config().get_extension::<Asker>().and_then(|asker| asker.query()) else {
            return plan_err!("{} needs a tenant's tables", self.analysis.name);
        };
        let outside = |e: model::Error| DataFusionError::External(Box::new(e));
        let scope = runs::scope(&query, self.analysis, &self.parameters).await.map_err(outside)?;
        let report = (self.analysis.run)(query, scope).await.map_err(outside)?;
        let batch = report.batch(self.schema()).map_err(outside)?;
        MemTable::try_new(self.schema(), vec![vec![batch]])?.scan(state, projection, filters, limit).await
    }
}
