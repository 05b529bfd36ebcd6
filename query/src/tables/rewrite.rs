//! Rules that turn conditions on the view's columns into conditions on what is stored.
//!
//! * [`IdComparisons`], an optimiser rule: `hex(id) = '4bf9…'` becomes `id = X'4bf9…'`; text that is not an id matches
//!   nothing; `IN` and `<>` likewise, and `hex(a) = hex(b)` becomes `a = b`.
//! * [`PromotedAttributes`], applied before optimisation: `attributes->>'http.route'` reads the column that holds it,
//!   and falls back to the JSON text only where that column is null (a value of another type stays there).
//!
//! *Invariant:* an answer is the same with and without these rules, nulls included.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::{FunctionRewrite, NamePreserver};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use model::schema::{PROMOTED_RESOURCE, PROMOTED_SPAN, Promoted, PromotedType, column};

use super::view::OTHER_ATTRIBUTES;
use crate::functions::hex::{self, HexId};
use crate::functions::json;

#[derive(Debug, Default)]
pub struct IdComparisons;

impl OptimizerRule for IdComparisons {
    fn name(&self) -> &str {
        "id_comparisons"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|e| Ok(stored_ids(e)))?.update_data(|e| name.restore(e)))
        })
    }
}

/// The id that an expression shows as hex, and whether null is shown as empty text.
pub(super) fn shown_id(expr: &Expr) -> Option<(&Expr, bool)> {
    match expr {
        Expr::ScalarFunction(call) => {
            let hex = call.func.inner().downcast_ref::<HexId>()?;
            Some((call.args.first()?, hex.empty))
        }
        Expr::Cast(c) if c.field.data_type().is_string() => shown_id(&c.expr),
        Expr::Alias(alias) => shown_id(&alias.expr),
        _ => None,
    }
}

/// What a text literal says about an id.
enum Wanted {
    Id(ScalarValue),
    /// Empty text where null is shown as empty text.
    Null,
    /// Not the text of any id.
    Nothing,
}

fn wanted(literal: &Expr, id: &Expr, empty: bool) -> Option<Wanted> {
    let Expr::Literal(value, _) = literal else { return None };
    let text = value.try_as_str()??;
    if text.is_empty() {
        return Some(if empty { Wanted::Null } else { Wanted::Nothing });
    }
    let width = match id {
        Expr::Column(c) if c.name == column::TRACE_ID => 16,
        Expr::Column(c) if c.name == column::SPAN_ID || c.name == column::PARENT_SPAN_ID => 8,
        _ => return None,
    };
    // Ids are shown in lower case, so upper-case text equals none of them.
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    Some(match hex::decode(text).filter(|bytes| lower && bytes.len() == width) {
        Some(bytes) => Wanted::Id(ScalarValue::FixedSizeBinary(width as i32, Some(bytes))),
        None => Wanted::Nothing,
    })
}

fn stored_ids(expr: Expr) -> Transformed<Expr> {
    let rewritten = match &expr {
        Expr::BinaryExpr(b) => comparison(b),
        Expr::InList(list) => in_list(list),
        _ => None,
    };
    rewritten.map_or_else(|| Transformed::no(expr), Transformed::yes)
}

fn comparison(b: &BinaryExpr) -> Option<Expr> {
    if !matches!(b.op, Operator::Eq | Operator::NotEq) {
        return None;
    }
    let equal = b.op == Operator::Eq;
    if let (Some((left, false)), Some((right, false))) = (shown_id(&b.left), shown_id(&b.right)) {
        return Some(Expr::BinaryExpr(BinaryExpr::new(left.clone().into(), b.op, right.clone().into())));
    }
    let (id, empty, literal) = match (shown_id(&b.left), shown_id(&b.right)) {
        (Some((id, empty)), None) => (id, empty, &b.right),
        (None, Some((id, empty))) => (id, empty, &b.left),
        _ => return None,
    };
    Some(match (wanted(literal, id, empty)?, equal, empty) {
        (Wanted::Id(value), true, _) => id.clone().eq(Expr::Literal(value, None)),
        (Wanted::Id(value), false, false) => id.clone().not_eq(Expr::Literal(value, None)),
        // The empty text of a root differs from every id, where null would not.
        (Wanted::Id(value), false, true) => id.clone().not_eq(Expr::Literal(value, None)).or(id.clone().is_null()),
        (Wanted::Null, true, _) => id.clone().is_null(),
        (Wanted::Null, false, _) => id.clone().is_not_null(),
        (Wanted::Nothing, true, _) => nothing(id, empty),
        (Wanted::Nothing, false, _) => everything(id, empty),
    })
}

fn in_list(list: &InList) -> Option<Expr> {
    let (id, empty) = shown_id(&list.expr)?;
    let (mut values, mut null) = (Vec::new(), false);
    for item in &list.list {
        match wanted(item, id, empty)? {
            Wanted::Id(value) => values.push(Expr::Literal(value, None)),
            Wanted::Null => null = true,
            Wanted::Nothing => {}
        }
    }
    let negated = list.negated;
    let among = match (values.is_empty(), negated) {
        (false, _) => id.clone().in_list(values, negated),
        (true, false) => nothing(id, empty),
        (true, true) => everything(id, empty),
    };
    Some(match (empty, null, negated) {
        (false, ..) => among,
        (true, true, false) => among.or(id.clone().is_null()),
        (true, false, false) => among,
        (true, true, true) => among.and(id.clone().is_not_null()),
        (true, false, true) => among.or(id.clone().is_null()),
    })
}

/// False for every row; null where a null id would have made it so.
fn nothing(id: &Expr, empty: bool) -> Expr {
    if empty { lit(false) } else { id.clone().is_null().and(lit(ScalarValue::Boolean(None))) }
}

fn everything(id: &Expr, empty: bool) -> Expr {
    if empty { lit(true) } else { id.clone().is_not_null().or(lit(ScalarValue::Boolean(None))) }
}

/// Reads promoted attributes from their columns.
#[derive(Debug, Default)]
pub struct PromotedAttributes;

impl FunctionRewrite for PromotedAttributes {
    fn name(&self) -> &str {
        "promoted_attributes"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let rewritten = match &expr {
            Expr::ScalarFunction(call) => access(call, schema),
            Expr::BinaryExpr(b) => split_equality(b),
            _ => None,
        };
        Ok(rewritten.map_or_else(|| Transformed::no(expr), Transformed::yes))
    }
}

/// The promoted attribute that a call reads, its column, and the column of JSON text to fall back to.
fn promoted_of(call: &ScalarFunction, schema: &DFSchema) -> Option<(&'static Promoted, Expr, Expr)> {
    let [Expr::Column(json), Expr::Literal(key, _)] = call.args.as_slice() else { return None };
    let key = key.try_as_str()??;
    let (promoted, rest) = match json.name.as_str() {
        column::ATTRIBUTES => (PROMOTED_SPAN, OTHER_ATTRIBUTES),
        column::RESOURCE_ATTRIBUTES => (PROMOTED_RESOURCE, column::RESOURCE_ATTRIBUTES),
        _ => return None,
    };
    let promoted = promoted.iter().find(|p| p.key == key)?;
    let sibling = |name: &str| {
        let column = Column::new(json.relation.clone(), name);
        schema.has_column(&column).then_some(Expr::Column(column))
    };
    Some((promoted, sibling(promoted.column)?, sibling(rest)?))
}

fn access(call: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let name = call.func.name();
    if !matches!(name, "json_as_text" | "json_get_str" | "json_get_json" | "json_get_int" | "json_contains") {
        return None;
    }
    let (promoted, stored, rest) = promoted_of(call, schema)?;
    let fallback = Expr::ScalarFunction(ScalarFunction::new_udf(call.func.clone(), vec![rest, call.args[1].clone()]));
    let text = || cast(stored.clone(), DataType::Utf8);
    Some(match (name, promoted.ty) {
        ("json_contains", _) => stored.is_not_null().or(fallback),
        ("json_as_text", _) | ("json_get_str", PromotedType::Text) => first_of(text(), fallback),
        ("json_get_json", PromotedType::Text) => first_of(json::quote().call(vec![stored]), fallback),
        ("json_get_json", PromotedType::Int) => first_of(text(), fallback),
        ("json_get_int", PromotedType::Int) => first_of(stored, fallback),
        // An int is no str and a text no int: only the JSON text can hold such a value.
        _ => fallback,
    })
}

fn first_of(stored: Expr, fallback: Expr) -> Expr {
    datafusion::functions::core::coalesce().call(vec![stored, fallback])
}

/// `coalesce(stored, fallback) = literal` as `(stored IS NOT NULL AND stored = literal) OR (stored IS NULL AND fallback =
/// literal)`, so that statistics on the stored column prune and the JSON text is only read where needed. Without the first
/// condition a value in the JSON text would be neither equal nor unequal, which shows below a NOT.
fn split_equality(b: &BinaryExpr) -> Option<Expr> {
    if b.op != Operator::Eq {
        return None;
    }
    let (call, literal) = match (b.left.as_ref(), b.right.as_ref()) {
        (Expr::ScalarFunction(call), literal @ Expr::Literal(..)) => (call, literal),
        (literal @ Expr::Literal(..), Expr::ScalarFunction(call)) => (call, literal),
        (Expr::Alias(alias), literal @ Expr::Literal(..)) => match alias.expr.as_ref() {
            Expr::ScalarFunction(call) => (call, literal),
            _ => return None,
        },
        _ => return None,
    };
    let [stored, fallback] = call.args.as_slice() else { return None };
    if call.func.name() != "coalesce" {
        return None;
    }
    let (Expr::Cast(text), Expr::Literal(value, _)) = (stored, literal) else { return None };
    let Expr::Column(column) = text.expr.as_ref() else { return None };
    let promoted = PROMOTED_SPAN.iter().chain(PROMOTED_RESOURCE).find(|p| p.column == column.name)?;
    let wanted = value.try_as_str()??;
    let stored = Expr::Column(column.clone());
    let direct = match promoted.ty {
        PromotedType::Text => stored.clone().eq(literal.clone()),
        PromotedType::Int => match wanted.parse::<i64>().ok().filter(|n| n.to_string() == wanted) {
            Some(number) => stored.clone().eq(lit(number)),
            None => lit(false),
        },
    };
    let direct = stored.clone().is_not_null().and(direct);
    Some(direct.or(stored.is_null().and(fallback.clone().eq(literal.clone()))))
}
