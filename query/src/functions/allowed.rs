//! The built-in functions that SQL may call. What is not named here does not exist: no function that reads a file
//! or the catalog, none whose result can be far larger than its input (`range`, `array_repeat`, `lpad`, `repeat`
//! come back in [`super::bounded`]), none that reveals where data lies (`input_file_name`).

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

const SCALAR: &[&str] = &[
    // numbers
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh", "cot", "degrees", "exp", "floor",
    "gcd", "isnan", "iszero", "lcm", "ln", "log", "log10", "log2", "nanvl", "pi", "power", "radians", "random", "round", "signum", "sin",
    "sinh", "sqrt", "tan", "tanh", "trunc", "factorial",
    // text
    "ascii", "bit_length", "btrim", "character_length", "chr", "concat", "concat_ws", "contains", "ends_with",
    "find_in_set", "initcap", "left", "levenshtein", "lower", "ltrim", "octet_length", "overlay", "replace", "reverse", "right",
    "rtrim", "split_part", "starts_with", "strpos", "substr", "substr_index", "to_hex", "translate", "upper", "regexp_count",
    "regexp_instr", "regexp_like", "regexp_match", "regexp_replace", "encode", "decode", "digest", "md5", "sha224", "sha256", "sha384", "sha512",
    // time
    "current_date", "current_time", "date_bin", "date_part", "date_trunc", "from_unixtime", "make_date", "make_time", "now",
    "to_char", "to_date", "to_local_time", "to_time", "to_timestamp", "to_timestamp_micros", "to_timestamp_millis", "to_timestamp_nanos",
    "to_timestamp_seconds", "to_unixtime",
    // choice, types, structs
    "arrow_cast", "arrow_try_cast", "arrow_typeof", "coalesce", "get_field", "greatest", "least", "named_struct", "nullif", "nvl",
    "nvl2", "struct", "version", "cast_to_type", "try_cast_to_type",
    // lists
    "array_any_value", "array_append", "array_concat", "array_dims", "array_distinct", "array_element", "array_except", "array_has",
    "array_has_all", "array_has_any", "array_intersect", "array_length", "array_max", "array_min", "array_ndims",
    "array_pop_back", "array_pop_front", "array_position", "array_positions", "array_prepend", "array_remove", "array_remove_all", "array_remove_n",
    "array_replace", "array_replace_all", "array_replace_n", "array_reverse", "array_slice", "array_sort", "array_sum", "array_avg", "array_to_string",
    "array_union", "cardinality", "empty", "flatten", "make_array", "string_to_array",
    "map", "map_entries", "map_extract", "map_keys", "map_values",
];

const AGGREGATE: &[&str] = &[
    "any_value", "approx_distinct", "approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight", "array_agg", "avg", "bit_and",
    "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar_pop", "covar_samp", "first_value", "grouping", "last_value",
    "max", "median", "min", "nth_value", "percentile_cont", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2",
    "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop", "string_agg", "sum", "var", "var_pop",
];

/// The allowed part of DataFusion's scalar functions.
pub fn scalar() -> Vec<Arc<ScalarUDF>> {
    SessionStateDefaults::default_scalar_functions().into_iter().filter(|f| SCALAR.contains(&f.name())).collect()
}

/// The allowed part of DataFusion's aggregate functions.
pub fn aggregate() -> Vec<Arc<AggregateUDF>> {
    SessionStateDefaults::default_aggregate_functions().into_iter().filter(|f| AGGREGATE.contains(&f.name())).collect()
}

/// DataFusion's window functions; all of them are bounded by their input.
pub fn window() -> Vec<Arc<WindowUDF>> {
    SessionStateDefaults::default_window_functions()
}
