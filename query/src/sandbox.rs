//! What a user's statement may be, decided before it is planned: one query, of bounded size, depth and fan-out.
//!
//! ```text
//! text ──size──▶ tokens ──number, chains, nesting──▶ parser ──▶ tree ──allow-list, lists, expansion──▶ planner
//! ```
//! A chain such as `1+1+…` becomes a tree as deep as it is long; planning, copying and even dropping such a tree
//! recurses and would overflow the stack, which aborts the process (apache/datafusion#22229); well before that,
//! planning takes minutes, as it is cubic in the depth and cannot be interrupted. So operators are counted before a
//! tree exists, and a test holds the limits to what [`crate::session`]'s stacks survive.
//!
//! *Invariant:* the allow-list is of what may be, not of what may not: a statement nobody thought of is refused.

mod expansion;
pub mod planned;
pub mod width;

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{self, Expr, Query, SetExpr, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::dialect::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use model::{Error, Kind, Result};

/// Bytes of a statement.
pub const MAX_TEXT: usize = 256 << 10;
/// Tokens of a statement; an `IN` list of [`MAX_LIST`] values fits.
pub const MAX_TOKENS: usize = 50_000;
/// Operators and operator-like words of a statement: no tree is deeper than this.
pub const MAX_OPERATORS: usize = 256;
/// Brackets open at once.
pub const MAX_NESTING: usize = 64;
/// Values of an `IN` list.
pub const MAX_LIST: usize = 10_000;
/// Joins and set operations, which make plans deep and planning slow.
pub const MAX_RELATIONS: usize = 64;
/// Tables a statement reads once its common table expressions are put in where they are used.
pub const MAX_EXPANSION: u64 = 256;

/// Functions within one another; DataFusion takes exponentially long to type them.
pub const MAX_FUNCTIONS: usize = 16;
/// The same through all nested queries, where most of them stay apart.
pub const MAX_FUNCTION_CHAIN: u64 = 24;
/// Queries within one another; planning takes exponentially long in their number.
pub const MAX_QUERIES: usize = 10;
/// Stored columns that a column can be made of, through all nested queries.
pub const MAX_GROWTH: u64 = 10_000;

/// A statement that may be planned.
#[derive(Debug)]
pub enum Permitted {
    Statement(Box<Statement>),
    ShowTables,
}

fn too_large(what: &str, found: usize, most: usize, hint: &str) -> Error {
    Error::new(Kind::Limit, format!("the statement has {found} {what}, at most {most} are allowed")).hint(hint)
}

fn refused(what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("{what} is refused: only queries that read are allowed"))
        .hint("use SELECT, WITH … SELECT, VALUES, EXPLAIN, SHOW TABLES or DESCRIBE")
}

/// Parses one statement and says why not when it may not run.
pub fn check(text: &str) -> Result<Permitted> {
    if text.len() > MAX_TEXT {
        return Err(too_large("bytes", text.len(), MAX_TEXT, "put long lists into parameters or a shorter filter"));
    }
    check_tokens(text)?;
    let dialect = PostgreSqlDialect {};
    let mut statements = DFParserBuilder::new(text)
        .with_dialect(&dialect)
        .with_recursion_limit(MAX_NESTING * 4)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(crate::error::from_datafusion)?;
    if statements.len() > 1 {
        return Err(
            Error::invalid(format!("{} statements at once", statements.len())).hint("send one statement at a time")
        );
    }
    let Some(statement) = statements.pop_front() else {
        return Err(Error::invalid("the statement is empty").hint("try SELECT * FROM spans LIMIT 10"));
    };
    permit(statement)
}

/// Counts before anything is built from the text.
fn check_tokens(text: &str) -> Result<()> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize().map_err(|e| Error::invalid(e.to_string().to_lowercase()))?;
    let (mut count, mut operators, mut relations, mut open, mut deepest) = (0, 0, 0, 0usize, 0);
    for token in &tokens {
        match token {
            Token::Whitespace(_) => continue,
            Token::LParen => open += 1,
            // A subscript goes one level deeper each time, without nesting in the text.
            Token::LBracket | Token::LBrace => (open, operators) = (open + 1, operators + 1),
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            Token::Word(word)
                if matches!(word.keyword, Keyword::JOIN | Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT) =>
            {
                relations += 1;
            }
            token if links(token) => operators += 1,
            _ => {}
        }
        deepest = deepest.max(open);
        count += 1;
    }
    if count > MAX_TOKENS {
        return Err(too_large("tokens", count, MAX_TOKENS, "split the statement"));
    }
    if operators > MAX_OPERATORS {
        return Err(too_large(
            "operators",
            operators,
            MAX_OPERATORS,
            "write x IN (a, b, …) instead of x = a OR x = b OR …",
        ));
    }
    if deepest > MAX_NESTING {
        return Err(too_large("nested brackets", deepest, MAX_NESTING, "use WITH to name the inner parts"));
    }
    if relations > MAX_RELATIONS {
        return Err(too_large("joins and set operations", relations, MAX_RELATIONS, "split the statement"));
    }
    Ok(())
}

/// Whether a token can put one more level on a tree. Values, names and commas cannot.
fn links(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::REGEXP
                | Keyword::RLIKE
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::CASE
                | Keyword::CAST
                | Keyword::EXISTS
                | Keyword::OPERATOR
                | Keyword::NOTNULL
                | Keyword::OVERLAPS
                | Keyword::INTERVAL
                | Keyword::DIV
                | Keyword::EXPLAIN
        ),
        Token::Comma
        | Token::Period
        | Token::SemiColon
        | Token::EOF
        | Token::Number(..)
        | Token::Placeholder(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::HexStringLiteral(_) => false,
        _ => true,
    }
}

fn permit(statement: Statement) -> Result<Permitted> {
    match &statement {
        Statement::Explain(explain) => {
            let Statement::Statement(inner) = explain.statement.as_ref() else {
                return Err(refused("this EXPLAIN"));
            };
            let ast::Statement::Query(query) = inner.as_ref() else {
                return Err(refused(format!("EXPLAIN {}", keyword(inner))));
            };
            check_query(query)?;
        }
        Statement::Statement(inner) => match inner.as_ref() {
            ast::Statement::Query(query) => check_query(query)?,
            ast::Statement::ShowTables { .. } => return Ok(Permitted::ShowTables),
            ast::Statement::ExplainTable { .. } => {}
            ast::Statement::Explain { statement, .. } => match statement.as_ref() {
                ast::Statement::Query(query) => check_query(query)?,
                other => return Err(refused(format!("EXPLAIN {}", keyword(other)))),
            },
            other => return Err(refused(keyword(other))),
        },
        Statement::CreateExternalTable(_) => return Err(refused("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => return Err(refused("COPY")),
        Statement::Reset(_) => return Err(refused("RESET")),
    }
    Ok(Permitted::Statement(Box::new(statement)))
}

/// The first word or two of a statement, for a message.
fn keyword(statement: &ast::Statement) -> String {
    let text = statement.to_string();
    let words = text.split_whitespace().take_while(|w| w.bytes().all(|b| b.is_ascii_uppercase()));
    let words: Vec<_> = words.take(2).collect();
    if words.is_empty() { "this statement".into() } else { words.join(" ") }
}

fn check_query(query: &Query) -> Result<()> {
    match query.visit(&mut Inspection::default()) {
        ControlFlow::Break(error) => return Err(error),
        ControlFlow::Continue(()) => {}
    }
    expansion::check(query)
}

/// Refuses what a query can contain besides reading.
#[derive(Default)]
struct Inspection {
    /// Functions around the expression being visited.
    functions: usize,
    counted: width::Counted,
}

/// Goes on unless something is wrong.
fn flow(checked: Result<()>) -> ControlFlow<Error> {
    match checked {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl Visitor for Inspection {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        if query.with.as_ref().is_some_and(|w| w.recursive) {
            return ControlFlow::Break(
                Error::invalid("WITH RECURSIVE is refused: it may never end")
                    .hint("follow parents with /api/v1/traces/{trace_id}, which returns the whole tree"),
            );
        }
        if !query.locks.is_empty() {
            return ControlFlow::Break(refused("FOR UPDATE"));
        }
        if query.settings.is_some() || query.format_clause.is_some() || query.for_clause.is_some() {
            return ControlFlow::Break(refused("SETTINGS, FORMAT or FOR"));
        }
        match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                ControlFlow::Break(refused("writing inside a query"))
            }
            _ => flow(width::check_query(query)),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &ast::TableFactor) -> ControlFlow<Error> {
        flow(self.counted.table(table))
    }

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<Error> {
        match &select.into {
            Some(_) => ControlFlow::Break(refused("SELECT INTO")),
            None => flow(width::check_select(select)),
        }
    }

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<Error> {
        match statement {
            ast::Statement::Query(_) => ControlFlow::Continue(()),
            other => ControlFlow::Break(refused(keyword(other))),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        self.functions += usize::from(matches!(expr, Expr::Function(_)));
        if self.functions > MAX_FUNCTIONS {
            let hint = "use WITH to name the inner parts";
            return ControlFlow::Break(too_large("functions within one another", self.functions, MAX_FUNCTIONS, hint));
        }
        match expr {
            // DataFusion's planner looks at its first column without asking whether there is one.
            Expr::Subquery(subquery) | Expr::InSubquery { subquery, .. } if selects_nothing(&subquery.body) => {
                ControlFlow::Break(
                    Error::invalid("a subquery selects no column").hint("name one column after its SELECT"),
                )
            }
            Expr::InList { list, .. } if list.len() > MAX_LIST => {
                ControlFlow::Break(too_large("values in one IN list", list.len(), MAX_LIST, "split the list"))
            }
            _ => flow(self.counted.expression(expr)),
        }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        self.functions -= usize::from(matches!(expr, Expr::Function(_)));
        ControlFlow::Continue(())
    }
}

fn selects_nothing(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.projection.is_empty(),
        SetExpr::Query(query) => selects_nothing(&query.body),
        SetExpr::SetOperation { left, .. } => selects_nothing(left),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
