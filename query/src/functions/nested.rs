//! Lists of structs as the views show them: events, links and exemplars with times as timestamps and ids as hex.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::hex;

/// Suffix of a physical column that holds unix nanoseconds.
const NANOS: &str = "_unix_nano";

pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// `show_list(list of structs)`: the same list in the terms of the view. Used by the views only.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ShowList {
    signature: Signature,
}

fn shown_field(field: &FieldRef) -> FieldRef {
    match field.data_type() {
        DataType::Int64 if field.name().ends_with(NANOS) => {
            let name = field.name().trim_end_matches(NANOS);
            Arc::new(Field::new(name, timestamp(), true))
        }
        DataType::FixedSizeBinary(_) => Arc::new(Field::new(field.name(), DataType::Utf8View, true)),
        _ => field.clone(),
    }
}

fn shown_type(ty: &DataType) -> Result<(FieldRef, Fields)> {
    let DataType::List(element) = ty else { return plan_err!("show_list takes a list of structs, not {ty}") };
    let DataType::Struct(fields) = element.data_type() else {
        return plan_err!("show_list takes a list of structs, not {ty}");
    };
    let fields: Fields = fields.iter().map(shown_field).collect();
    Ok((Arc::new(Field::new("element", DataType::Struct(fields.clone()), true)), fields))
}

impl ScalarUDFImpl for ShowList {
    fn name(&self) -> &str {
        "show_list"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(shown_type(&args[0])?.0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let (element, fields) = shown_type(array.data_type())?;
        let Some(list) = array.as_list_opt::<i32>() else { return exec_err!("show_list takes a list") };
        let items = list.values().as_struct();
        let columns = items.columns().iter().zip(&fields).map(|(c, f)| shown(c, f)).collect::<Result<Vec<_>>>()?;
        let items = StructArray::try_new(fields, columns, items.nulls().cloned())?;
        let list = ListArray::try_new(element, list.offsets().clone(), Arc::new(items), list.nulls().cloned())?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

fn shown(column: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    if matches!(column.data_type(), DataType::FixedSizeBinary(_)) {
        return Ok(Arc::new(hex::fixed(column.as_fixed_size_binary())));
    }
    Ok(arrow::compute::cast(column, field.data_type())?)
}

pub fn show_list() -> ScalarUDF {
    ScalarUDF::from(ShowList { signature: Signature::any(1, Volatility::Immutable) })
}
