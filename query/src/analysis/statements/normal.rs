//! A statement without what differs from call to call: values become `?`, lists of them one, comments go, and white
//! space is one blank. Read by the tokens of SQL, which also fit the commands of most other stores. In a document (MongoDB,
//! Elasticsearch) what stands in double quotes is a value, unless it is a key.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// Bytes of a statement that are looked at, and of its normal form that are kept.
const LOOKED_AT: usize = 8 << 10;
pub(super) const KEPT: usize = 1 << 10;

pub(super) fn normal(statement: &str) -> String {
    let statement = head(statement, LOOKED_AT);
    let mut tokens = Vec::new();
    // What stands before a place that cannot be read was read: a cut text ends in the middle of one.
    if Tokenizer::new(&GenericDialect {}, statement).tokenize_with_location_into_buf(&mut tokens).is_err()
        && tokens.is_empty()
    {
        return head(statement, KEPT).to_owned();
    }
    let is_document = statement.find('{').is_some_and(|at| statement.find('"').is_none_or(|quote| at < quote));
    let mut written = Written::default();
    let mut tokens = tokens.into_iter().map(|token| token.token).peekable();
    while let Some(token) = tokens.next() {
        let is_quoted = matches!(&token, Token::Word(word) if word.quote_style == Some('"'));
        if is_document && is_quoted && tokens.peek() != Some(&Token::Colon) {
            written.value();
        } else {
            written.take(token);
        }
    }
    head(written.text.trim_end(), KEPT).to_owned()
}

/// The first bytes, to the end of a character.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[derive(Default)]
struct Written {
    text: String,
    /// A blank is due before the next word.
    blank: bool,
}

impl Written {
    fn take(&mut self, token: Token) {
        match token {
            Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_))
            | Token::Whitespace(_) => self.blank = !self.text.is_empty(),
            Token::SemiColon | Token::EOF => {}
            Token::Comma => self.put(","),
            token if is_value(&token) => self.value(),
            token => {
                if self.blank {
                    self.text.push(' ');
                }
                self.put(&token.to_string());
            }
        }
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.blank = false;
    }

    /// A value after a value and a comma is one more of a list, and so is a row of values after a row.
    fn value(&mut self) {
        if self.text.ends_with("?,") {
            self.text.pop();
        } else if self.text.ends_with("(?),(") || self.text.ends_with("(?), (") {
            let row = self.text.rfind(',').unwrap_or(self.text.len());
            self.text.truncate(row - 1);
        } else {
            if self.blank {
                self.text.push(' ');
            }
            self.text.push('?');
        }
        self.blank = false;
    }
}

fn is_value(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::TripleSingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::SingleQuotedByteStringLiteral(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lists_rows_comments_and_blanks_do_not_tell_statements_apart() {
        for (statement, expected) in [
            ("SELECT * FROM stock WHERE sku = 4711 AND name='a''b'", "SELECT * FROM stock WHERE sku = ? AND name=?"),
            ("select a\n\t from t -- why\n where id in (1, 2,3)", "select a from t where id in (?)"),
            ("select a from t where id in (?, ?)", "select a from t where id in (?)"),
            ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, 'z');", "INSERT INTO t (a, b) VALUES (?)"),
            ("SELECT /* from cart */ x FROM y WHERE z = $1 LIMIT 10", "SELECT x FROM y WHERE z = ? LIMIT ?"),
            ("UPDATE \"Order\" SET t1 = 5", "UPDATE \"Order\" SET t1 = ?"),
            ("GET user:123", "GET user:?"),
            (r#"{"find": "cart", "filter": {"_id": "a1", "n": 4}}"#, r#"{"find": ?, "filter": {"_id": ?, "n": ?}}"#),
            (r#"cart.find({"_id": {"$in": ["a", "b"]}})"#, r#"cart.find({"_id": {"$in": [?]}})"#),
            ("", ""),
        ] {
            assert_eq!(normal(statement), expected, "{statement}");
        }
    }

    #[test]
    fn what_is_cut_or_no_sql_is_still_told() {
        assert!(normal("SELECT a FROM t WHERE name = 'cut in the mid").starts_with("SELECT a FROM t WHERE name ="));
        assert!(normal(&format!("SELECT {}", "é, ".repeat(9_000))).len() <= KEPT);
        assert_eq!(normal("HMGET 会话 f"), "HMGET 会话 f");
    }
}
