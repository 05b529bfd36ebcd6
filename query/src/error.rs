//! DataFusion's errors in our words: one place decides what the caller should do about each.
//!
//! What a user can cause is `Invalid` or `Limit`; what only damage or a bug can cause never shows paths or internals
//! (they go to the log).

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use model::{Error, Kind};
use parquet::errors::ParquetError;

pub fn from_datafusion(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => unexpected(&other.to_string()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(*inner),
        DataFusionError::Collection(mut all) if !all.is_empty() => from_datafusion(all.swap_remove(0)),
        DataFusionError::Shared(inner) => from_shared(&inner),
        other => classify(&other),
    }
}

/// An error that several tasks share: the same, by reference.
fn from_shared(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>() {
            Some(ours) => ours.clone(),
            None => unexpected(&inner.to_string()),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_shared(inner),
        DataFusionError::Shared(inner) => from_shared(inner),
        DataFusionError::Collection(all) if !all.is_empty() => from_shared(&all[0]),
        other => classify(other),
    }
}

fn classify(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::SQL(inner, _) => {
            Error::invalid(tidy(&inner.to_string())).hint("the dialect is PostgreSQL's, as DataFusion speaks it")
        }
        DataFusionError::Plan(message) if message.contains("likely caused by a bug") => unexpected(message),
        DataFusionError::Plan(message) => plan(message),
        DataFusionError::NotImplemented(message) | DataFusionError::Configuration(message) => {
            Error::invalid(tidy(message))
        }
        DataFusionError::Execution(message) => invalid(message),
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
                Some(inner) => from_shared(inner),
                None => Error::invalid(tidy(&inner.to_string())),
            },
            ArrowError::IoError(_, inner) => spilling(inner),
            other => invalid(&other.to_string()),
        },
        DataFusionError::ResourcesExhausted(message) => {
            tracing::info!(message, "a query met its memory limit");
            Error::new(Kind::Limit, "the query needs more memory than it may have (query.memory_bytes)")
                .hint("narrow the time range, group by fewer values, or add a LIMIT")
        }
        DataFusionError::IoError(inner) => spilling(inner),
        DataFusionError::ParquetError(inner) => parquet(inner),
        DataFusionError::ObjectStore(inner) => {
            tracing::error!(error = %inner, "a data file cannot be reached");
            match inner.as_ref() {
                object_store::Error::NotFound { .. } => Error::corrupt("a data file is missing")
                    .hint("run 'hotspan check'; the server's log names the file"),
                _ => Error::unavailable("a data file cannot be reached; the server's log says why"),
            }
        }
        other => unexpected(&other.to_string()),
    }
}

/// A data file that the store could not read for us: as DataFusion's own reading of one is told.
pub fn of_file(path: &str, error: &Error) -> Error {
    tracing::error!(file = path, error = error.message, "a data file cannot be read");
    match error.kind {
        Kind::Unavailable => Error::unavailable("a data file cannot be reached; the server's log says why"),
        _ => damaged(),
    }
}

fn damaged() -> Error {
    Error::corrupt("a data file cannot be read").hint("run 'hotspan check'; the server's log names the file")
}

/// Files are read through the object store, so the only files that a query itself writes and reads are those for what
/// does not fit into memory.
fn spilling(error: &std::io::Error) -> Error {
    if error.to_string().contains("exceeded the allowable limit") {
        return Error::new(Kind::Limit, "the query needs more room on disk than it may have (query.spill_bytes)")
            .hint("narrow the time range, group by fewer values, or add a LIMIT");
    }
    tracing::error!(%error, "a query cannot use its temporary files");
    Error::unavailable("the query cannot use its temporary files; the server's log says why")
}

/// A condition that is evaluated within a scan fails as an error of the scan; only the rest is damage.
fn parquet(error: &ParquetError) -> Error {
    if let ParquetError::External(inner) = error {
        if let Some(inner) = inner.downcast_ref::<DataFusionError>() {
            return from_shared(inner);
        }
        if let Some(ArrowError::ComputeError(message)) = inner.downcast_ref::<ArrowError>()
            && let Some(told) = message.strip_prefix("Error evaluating filter predicate: ")
        {
            return invalid(&condition(told));
        }
    }
    tracing::error!(%error, "a data file cannot be read");
    damaged()
}

/// DataFusion tells why a condition failed within a scan in Rust's debug form; this is the same in its words.
fn condition(debug: &str) -> String {
    let quoted = || {
        let text = debug.split_once('"')?.1;
        let end = text.match_indices('"').map(|(at, _)| at).find(|at| !text[..*at].ends_with('\\'))?;
        Some(unescaped(&text[..end]))
    };
    let kind = debug.strip_prefix("ArrowError(").and_then(|d| d.split(['(', ',']).next());
    let said = || quoted().unwrap_or_default();
    match kind {
        Some("DivideByZero") => return ArrowError::DivideByZero.to_string(),
        Some("CastError") => return ArrowError::CastError(said()).to_string(),
        Some("ComputeError") => return ArrowError::ComputeError(said()).to_string(),
        Some("ParseError") => return ArrowError::ParseError(said()).to_string(),
        Some("ArithmeticOverflow") => return ArrowError::ArithmeticOverflow(said()).to_string(),
        Some("InvalidArgumentError") => return ArrowError::InvalidArgumentError(said()).to_string(),
        _ => {}
    }
    quoted().unwrap_or_else(|| "a condition cannot be evaluated".to_owned())
}

/// Text as it was before it stood between quotes in Rust's debug form.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => letter,
            },
            _ => letter,
        });
    }
    out
}

/// What an engine of regular expressions says of one, wherever it says so: as an error of the planner, of a function, or
/// as one that the planner takes for a bug of its own.
fn pattern(message: &str) -> Option<Error> {
    if !message.contains("regex parse error") && !message.contains("Regular expression did not compile") {
        return None;
    }
    let told = || message.rsplit_once("\nerror: ")?.1.lines().next();
    let why = match told() {
        Some(told) => told,
        None if message.contains("CompiledTooBig") => "it is too large when its repetitions are written out",
        None => "it cannot be parsed, or is too large when its repetitions are written out",
    };
    let hint = "the syntax is that of Rust's regex crate: without look-around and references back";
    Some(Error::invalid(format!("the regular expression cannot be used: {why}")).hint(hint))
}

/// A function called with arguments that it has no form for, which the planner takes for a bug of its own.
fn arguments(message: &str) -> Option<Error> {
    if let Some(at) = message.find("No function matches the given name") {
        let (told, candidates) = message[at..].split_once("Candidate functions:").unwrap_or((&message[at..], ""));
        let error = Error::invalid(tidy(told.split(" You might need").next().unwrap_or(told)));
        let forms: Vec<&str> = candidates.split_whitespace().collect();
        return Some(if forms.is_empty() { error } else { error.hint(format!("there are {}", forms.join(" "))) });
    }
    let (before, reasons) = message.split_once("failed to match any signature")?;
    let name = before.split('\'').nth_back(1).unwrap_or("a function");
    let numbers = reasons.split(" expects ").skip(1);
    let (expected, received): (Vec<&str>, Vec<&str>) =
        numbers.filter_map(|reason| reason.split_once(" arguments but received ")).unzip();
    let received = received.first().and_then(|received| received.split(|c: char| !c.is_ascii_digit()).next());
    Some(match received {
        Some(received) => Error::invalid(format!("{name} takes {} arguments, not {received}", expected.join(" or "))),
        None => Error::invalid(format!("{name} takes no arguments of these types")),
    })
}

/// What a statement did wrong while it ran.
fn invalid(message: &str) -> Error {
    // A sum that does not fit is found out by a cast ([`crate::overflow`]), which says so in Arrow's words.
    if message.ends_with(" is out of range Int64") {
        return Error::invalid("bigint out of range");
    }
    pattern(message).unwrap_or_else(|| Error::invalid(tidy(message)))
}

fn unexpected(message: &str) -> Error {
    if let Some(error) = pattern(message).or_else(|| arguments(message)) {
        return error;
    }
    tracing::error!(message, "a query failed unexpectedly");
    Error::internal("the query failed unexpectedly").hint("the server's log says more")
}

fn schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names = valid_fields.iter().map(|c| c.name.as_str());
            let error = Error::invalid(format!("no column {:?}", field.name));
            match nearest(&field.name, names) {
                names if names.is_empty() => {
                    error.hint("text stands in 'single quotes'; DESCRIBE spans lists the columns")
                }
                names => error.hint(format!("did you mean {}?", names.join(", "))),
            }
        }
        SchemaError::AmbiguousReference { field } => Error::invalid(format!("column {:?} is ambiguous", field.name))
            .hint("put the table's name or alias before it, as in spans.name"),
        other => Error::invalid(tidy(&other.to_string())),
    }
}

fn plan(message: &str) -> Error {
    let message = tidy(message);
    if let Some(table) = message.strip_prefix("table '").and_then(|m| m.strip_suffix("' not found")) {
        let table = table.rsplit('.').next().unwrap_or(table);
        return Error::invalid(format!("no table {table:?}")).hint("the tables are spans, metrics, logs and runs");
    }
    if let Some(rest) = message.strip_prefix("invalid function '") {
        let name = rest.split('\'').next().unwrap_or_default();
        return Error::invalid(format!("no function {name:?}"))
            .hint("functions that reach files or the network, or whose result has no bound, are not available");
    }
    // What a function says about its arguments, without the list of signatures around it.
    if let Some((_, said)) = message.split_once("coercion failed with: ") {
        let said = said.split(". No function matches").next().unwrap_or(said);
        return Error::invalid(tidy(said));
    }
    Error::invalid(message)
}

/// One line, lower case at the start, without DataFusion's back trace and prefixes.
fn tidy(message: &str) -> String {
    let mut text = message.split("\n\nbacktrace:").next().unwrap_or_default().trim();
    for prefix in ["Error during planning: ", "sql parser error: ", "ParserError: ", "External: ", "Execution error: "]
    {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text = text.trim_end_matches('.').replace('\n', " ");
    let mut letters = text.chars();
    match letters.next() {
        // A word in capitals (SQL, a keyword) stays as it is.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().collect::<String>() + letters.as_str()
        }
        _ => text,
    }
}

/// Up to three names within a third of the word's length in edits.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let mut close: Vec<(usize, &str)> = names
        .map(|name| (edits(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 2.max(wanted.len() / 3) && *distance < name.len())
        .collect();
    close.sort();
    close.dedup();
    close.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_nearest_first() {
        let names = ["service_name", "scope_name", "start_time", "name"];
        assert_eq!(nearest("servce_name", names.into_iter())[0], "service_name");
        assert!(nearest("zzzzzzzz", names.into_iter()).is_empty());
    }

    #[test]
    fn our_own_error_comes_through_whole() {
        let ours = Error::new(Kind::Limit, "too much").hint("narrow");
        let error = from_datafusion(DataFusionError::External(Box::new(ours)).context("scanning"));
        assert_eq!(
            (error.kind, error.message.as_str(), error.hint.as_deref()),
            (Kind::Limit, "too much", Some("narrow"))
        );
    }

    #[test]
    fn a_condition_fails_with_the_same_words_within_a_scan() {
        let cast = format!("{:?}", DataFusionError::from(ArrowError::CastError("cannot cast \"x\"".into())));
        assert_eq!(condition(&cast), "Cast error: cannot cast \"x\"");
        let zero = format!("{:?}", DataFusionError::from(ArrowError::DivideByZero));
        assert_eq!(condition(&zero), "Divide by zero error");
        let own = format!("{:?}", DataFusionError::Execution("too long".into()));
        assert_eq!(condition(&own), "too long");
    }

    #[test]
    fn a_call_with_wrong_arguments_is_no_bug_of_ours() {
        let internal = "Function 'substr' failed to match any signature, errors: Error during planning: Function 'substr' expects 2 \
            arguments but received 5,Error during planning: Function 'substr' expects 3 arguments but received 5";
        let error = from_datafusion(DataFusionError::Internal(internal.into()));
        assert_eq!((error.kind, error.message.as_str()), (Kind::Invalid, "substr takes 2 or 3 arguments, not 5"));
        let told = "No function matches the given name and argument types 'substr(Utf8, Utf8)'. You might need to add explicit type \
            casts.\n\tCandidate functions:\n\tsubstr(str: String, start_pos: Int64)";
        let planned =
            format!("Internal error: {internal}.\nThis issue was likely caused by a bug in DataFusion. {told}");
        let error = from_datafusion(DataFusionError::Plan(planned));
        let expected = "no function matches the given name and argument types 'substr(Utf8, Utf8)'";
        assert_eq!((error.kind, error.message.as_str()), (Kind::Invalid, expected));
        assert_eq!(error.hint.as_deref(), Some("there are substr(str: String, start_pos: Int64)"));
    }

    #[test]
    fn internals_are_not_shown() {
        let error = from_datafusion(DataFusionError::Internal("/srv/secret/path".into()));
        assert!(!error.message.contains("secret"));
    }
}
