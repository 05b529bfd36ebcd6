//! What calls to a store have in common that say the same, each time with other values: their shape. Of SQL and of documents
//! it is the normal form. Of a command (`GET cart:alice`) it is the command with the prefixes of its keys, since nothing tells
//! a key of letters from a name.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::super::names::{NONE, Names};
use super::normal::{KEPT, head, normal};

/// Shapes of which the text is kept. Of more only a part of their hash is, which tells them apart well enough.
const MOST: usize = 5_000;
/// Texts remembered with their shape. Systems that write values into their statements have no end of them.
const REMEMBERED: usize = 20_000;

/// First words of SQL. Others begin a command.
const SQL: [&str; 22] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "MERGE", "REPLACE", "UPSERT", "CALL", "EXEC", "EXECUTE", "CREATE",
    "ALTER", "DROP", "TRUNCATE", "BEGIN", "START", "COMMIT", "ROLLBACK", "SHOW", "EXPLAIN", "VALUES",
];

/// Shapes that were seen.
#[derive(Default)]
pub struct Shapes {
    remembered: HashMap<String, u32>,
    told: usize,
}

impl Shapes {
    /// The number among `names` of a statement's shape; [`NONE`] of none.
    pub fn number(&mut self, statement: Option<&str>, names: &mut Names) -> u32 {
        let Some(statement) = statement.filter(|statement| !statement.is_empty()) else { return NONE };
        if let Some(number) = self.remembered.get(statement) {
            return *number;
        }
        if self.remembered.len() >= REMEMBERED {
            self.remembered.clear();
        }
        let number = self.new_number(&shape(statement), names);
        self.remembered.insert(statement.to_owned(), number);
        number
    }

    fn new_number(&mut self, shape: &str, names: &mut Names) -> u32 {
        if let Some(number) = names.find(shape) {
            return number;
        }
        if self.told < MOST {
            self.told += 1;
            return names.number(shape);
        }
        names.number(&format!("(other statement #{:04x})", xxh3_64(shape.as_bytes()) as u16))
    }

    /// Bytes held, about: a remembered text is a statement of some hundred bytes.
    pub fn size(&self) -> usize {
        self.remembered.len() * 512
    }
}

pub fn shape(statement: &str) -> String {
    let trimmed = statement.trim_start();
    let first = trimmed.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let is_command =
        !first.is_empty() && !trimmed.contains('{') && !SQL.iter().any(|word| word.eq_ignore_ascii_case(first));
    if is_command { command(trimmed) } else { normal(statement) }
}

/// Its first word, then its keys without what follows the first colon. Arguments that look alike are one.
fn command(statement: &str) -> String {
    let mut words = statement.split_whitespace();
    let mut text = words.next().unwrap_or_default().to_owned();
    let mut before = String::new();
    for word in words {
        let argument = word.split_once(':').map_or("?".to_owned(), |(prefix, _)| format!("{prefix}:?"));
        if argument != before && text.len() < KEPT {
            text = text + " " + &argument;
        }
        before = argument;
    }
    head(&text, KEPT).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_alike_whatever_their_keys_and_statements_whatever_their_values() {
        for (statement, expected) in [
            ("GET cart:alice", "GET cart:?"),
            ("GET alice", "GET ?"),
            ("HMGET cart:1 name price:net stock", "HMGET cart:? ? price:? ?"),
            ("MGET a b c", "MGET ?"),
            ("  select a from t where b = 'GET x'", "select a from t where b = ?"),
            ("/* why */ UPDATE t SET a = 1", "UPDATE t SET a = ?"),
            (r#"{"find": "cart"}"#, r#"{"find": ?}"#),
            ("", ""),
        ] {
            assert_eq!(shape(statement), expected, "{statement}");
        }
    }

    #[test]
    fn no_end_of_statements_is_still_told_apart_in_bounded_memory() {
        let (mut shapes, mut names) = (Shapes::default(), Names::default());
        let number = |shapes: &mut Shapes, names: &mut Names, n: usize| {
            shapes.number(Some(&format!("SELECT a{n} FROM t WHERE x = {n}")), names)
        };
        let numbers: Vec<u32> = (0..MOST + 2_000).map(|n| number(&mut shapes, &mut names, n)).collect();
        let distinct: std::collections::HashSet<u32> = numbers.iter().copied().collect();
        // Of 2,000 in 65,536 places some thirty share one.
        assert!(distinct.len() > MOST + 1_900, "{}", distinct.len());
        assert_eq!(number(&mut shapes, &mut names, MOST + 7), numbers[MOST + 7]);
        assert_eq!(shapes.number(None, &mut names), NONE);
        assert_eq!(names.text(numbers[0]), "SELECT a0 FROM t WHERE x = ?");
        assert!(names.text(numbers[MOST]).starts_with("(other statement #"));
    }
}
