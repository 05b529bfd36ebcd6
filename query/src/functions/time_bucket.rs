//! `time_bucket(interval, time)`: `date_bin` from the epoch under the name TimescaleDB's users know.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TimeBucket {
    signature: Signature,
}

impl Default for TimeBucket {
    fn default() -> Self {
        TimeBucket { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let [_, time] = args else {
            return datafusion::common::plan_err!("time_bucket takes an interval and a time");
        };
        let zone = match time {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => Some("UTC".into()),
        };
        Ok(vec![DataType::Interval(IntervalUnit::MonthDayNano), DataType::Timestamp(TimeUnit::Nanosecond, zone)])
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args[1].clone())
    }

    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let bin = datafusion::functions::datetime::date_bin();
        Ok(ExprSimplifyResult::Simplified(bin.call(args)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("time_bucket is always simplified to date_bin")
    }
}

pub fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(TimeBucket::default()))
}
