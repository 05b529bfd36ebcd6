//! Which files a scan can leave closed, from its conditions alone: by time and by service; and what it looks for in bloom
//! filters.
//!
//! *Invariant:* a file is left out only when no row of it can satisfy the conditions; anything not understood keeps
//! every file.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};
use model::schema::{SOUGHT, column};
use storage::delta::DataFile;

/// What the conditions of a scan say about time and service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Least and greatest of the time column that can match.
    pub time: (i64, i64),
    /// The services that can match; `None`: any.
    pub services: Option<Vec<String>>,
    /// What rows must have, where files have bloom filters of that.
    pub sought: Option<Sought>,
}

/// One value of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    pub column: &'static str,
    /// As Parquet stores it.
    pub value: Vec<u8>,
}

impl Bounds {
    /// Reads a list of conditions that all have to hold.
    pub fn of(filters: &[Expr], time_column: &str) -> Bounds {
        let mut bounds = Bounds { time: (i64::MIN, i64::MAX), services: None, sought: None };
        for filter in filters {
            bounds.narrow(filter, time_column);
        }
        bounds
    }

    fn narrow(&mut self, filter: &Expr, time_column: &str) {
        match filter {
            Expr::BinaryExpr(b) if b.op == Operator::And => {
                self.narrow(&b.left, time_column);
                self.narrow(&b.right, time_column);
            }
            Expr::BinaryExpr(b) => {
                if let (Some(name), Some(value)) = (column_name(&b.left), literal(&b.right)) {
                    self.compare(name, b.op, value, time_column);
                } else if let (Some(value), Some(name), Some(op)) =
                    (literal(&b.left), column_name(&b.right), b.op.swap())
                {
                    self.compare(name, op, value, time_column);
                }
            }
            Expr::InList(list) if !list.negated && column_name(&list.expr) == Some(column::SERVICE_NAME) => {
                let names: Option<Vec<String>> = list.list.iter().map(|e| literal(e).and_then(text)).collect();
                self.only(names);
            }
            _ => {}
        }
    }

    fn compare(&mut self, name: &str, op: Operator, value: &ScalarValue, time_column: &str) {
        if name == column::SERVICE_NAME && op == Operator::Eq {
            self.only(text(value).map(|name| vec![name]));
        }
        if op == Operator::Eq {
            self.seek(name, value);
        }
        let ScalarValue::Int64(Some(value)) = value else { return };
        if name != time_column {
            return;
        }
        let (least, greatest) = match op {
            Operator::Eq => (*value, *value),
            Operator::Gt => (value.saturating_add(1), i64::MAX),
            Operator::GtEq => (*value, i64::MAX),
            Operator::Lt => (i64::MIN, value.saturating_sub(1)),
            Operator::LtEq => (i64::MIN, *value),
            _ => return,
        };
        self.time = (self.time.0.max(least), self.time.1.min(greatest));
    }

    fn seek(&mut self, name: &str, value: &ScalarValue) {
        if let (column::TRACE_ID, ScalarValue::FixedSizeBinary(16, Some(id))) = (name, value) {
            // Fewer rows are of one trace than of one user.
            self.sought = Some(Sought { column: column::TRACE_ID, value: id.clone() });
        } else if let Some(column) = SOUGHT.iter().find(|column| **column == name)
            && let Some(text) = value.try_as_str().flatten()
        {
            self.sought.get_or_insert_with(|| Sought { column, value: text.as_bytes().to_vec() });
        }
    }

    fn only(&mut self, names: Option<Vec<String>>) {
        let Some(names) = names else { return };
        self.services = Some(match self.services.take() {
            Some(before) => before.into_iter().filter(|n| names.contains(n)).collect(),
            None => names,
        });
    }

    /// Whether a row of the file can match.
    pub fn may_match(&self, file: &DataFile) -> bool {
        let in_time = file.min_time <= self.time.1 && file.max_time >= self.time.0;
        let by_service = match (&self.services, &file.service_range) {
            (Some(names), Some((least, greatest))) => names.iter().any(|n| n >= least && n <= greatest),
            _ => true,
        };
        in_time && by_service
    }
}

fn column_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn text(value: &ScalarValue) -> Option<String> {
    value.try_as_str().flatten().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    #[test]
    fn conditions_narrow_time_and_services() {
        let filters = [
            col("start_time_unix_nano").gt_eq(lit(10i64)).and(col("start_time_unix_nano").lt(lit(20i64))),
            lit(12i64).lt(col("start_time_unix_nano")),
            col("service_name").in_list(vec![lit("a"), lit("b")], false),
            col("service_name").eq(lit("b")),
        ];
        let bounds = Bounds::of(&filters, "start_time_unix_nano");
        assert_eq!(bounds, Bounds { time: (13, 19), services: Some(vec!["b".into()]), sought: None });
    }

    #[test]
    fn what_is_not_understood_keeps_everything() {
        let filters = [
            col("start_time_unix_nano").gt(lit(10i64)).or(col("name").eq(lit("x"))),
            col("service_name").not_eq(lit("a")),
            col("service_name").in_list(vec![lit("a")], true),
        ];
        let bounds = Bounds::of(&filters, "start_time_unix_nano");
        assert_eq!(bounds, Bounds { time: (i64::MIN, i64::MAX), services: None, sought: None });
    }

    #[test]
    fn a_trace_is_sought_rather_than_a_user() {
        let id = ScalarValue::FixedSizeBinary(16, Some(vec![7; 16]));
        let user = || col("user_id").eq(lit("u-7"));
        let sought = |filters: &[Expr]| Bounds::of(filters, "start_time_unix_nano").sought;
        let trace = Some(Sought { column: "trace_id", value: vec![7; 16] });
        assert_eq!(sought(&[user(), col("trace_id").eq(lit(id.clone()))]), trace);
        assert_eq!(sought(&[col("trace_id").eq(lit(id)), user()]), trace);
        assert_eq!(sought(&[user()]), Some(Sought { column: "user_id", value: b"u-7".to_vec() }));
        assert_eq!(sought(&[user().or(lit(true)), col("user_id").not_eq(lit("u-8"))]), None);
    }
}
