//! The pattern of a log message: its words without its values, so that the lines which one statement of a program writes
//! are the same.
//!
//! Drain (He et al., ICWS 2017) and its kin learn patterns from the lines they have seen, so what a line's pattern is
//! depends on the others. Here each line is looked at alone, so parts of a table that are looked at apart, or on another
//! day, agree. What no line tells by itself, such as a customer's name between plain words, stays a part of the pattern.

use serde_json::Value;

/// Bytes of a message that are looked at, and of a pattern that are kept.
const LOOKED_AT: usize = 400;
const LONGEST: usize = 120;
/// Stands for values.
const VALUE: char = '*';
/// Where structured logs have the message, by the names that logging libraries give it.
const MESSAGE_KEYS: &[&str] = &["message", "msg", "log", "event", "body"];

/// The pattern of a log body, which may be JSON text with the message inside. Empty for one without words or values.
pub fn pattern(body: &str) -> String {
    let body = body.trim_start();
    if body.starts_with('{') {
        let fields: Option<Value> = serde_json::from_str(body).ok();
        let message = |fields: &Value| MESSAGE_KEYS.iter().find_map(|key| Some(fields[*key].as_str()?.to_owned()));
        if let Some(message) = fields.as_ref().and_then(message) {
            return pattern_of_text(&message);
        }
    }
    pattern_of_text(body)
}

fn pattern_of_text(message: &str) -> String {
    let message = &message[..message.floor_char_boundary(LOOKED_AT)];
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut reader = Reader { rest: line, depth: 0, written: String::with_capacity(LONGEST) };
    while !reader.rest.is_empty() && reader.written.len() < LONGEST {
        reader.step();
    }
    let mut pattern = reader.written;
    pattern.truncate(pattern.floor_char_boundary(LONGEST));
    let end = pattern.trim_end_matches(|c: char| !c.is_alphanumeric() && !matches!(c, VALUE | '!' | '?')).len();
    pattern.truncate(end);
    pattern
}

struct Reader<'a> {
    rest: &'a str,
    /// Brackets that are open.
    depth: usize,
    written: String,
}

impl<'a> Reader<'a> {
    fn step(&mut self) {
        let Some(first) = self.rest.chars().next() else { return };
        let in_word = self.written.ends_with(char::is_alphanumeric);
        if let Some(length) = quoted(self.rest).filter(|_| !in_word) {
            let text = self.take(length);
            // In JSON it may be a name.
            if self.rest.starts_with(':') { self.written.push_str(text) } else { self.value() }
        } else if is_of_word(first) {
            let word = self.take(word(self.rest));
            if is_value(word) { self.value() } else { self.written.push_str(word) }
        } else {
            self.take(first.len_utf8());
            match first {
                '=' => self.named(first, true),
                ':' | '：' => self.named(first, self.depth > 0),
                _ if first.is_whitespace() => self.space(),
                _ => self.mark(first),
            }
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn space(&mut self) {
        if !self.written.ends_with(' ') {
            self.written.push(' ');
        }
    }

    fn mark(&mut self, mark: char) {
        match mark {
            '(' | '[' | '{' | '<' => self.depth += 1,
            ')' | ']' | '}' | '>' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.written.push(mark);
    }

    /// Writes one value, of several in a row only the first.
    fn value(&mut self) {
        let before = self.written.trim_end_matches(|c: char| !c.is_alphanumeric() && c != VALUE);
        if before.ends_with(VALUE) {
            self.written.truncate(before.len());
        } else {
            self.written.push(VALUE);
        }
    }

    /// What follows a name and `=` or `:`: a value, unless the sentence just goes on.
    fn named(&mut self, mark: char, surely: bool) {
        self.written.push(mark);
        let spaces = self.rest.len() - self.rest.trim_start().len();
        let after = &self.rest[spaces..];
        let length = quoted(after).unwrap_or_else(|| {
            let word = word(after);
            word + group(&after[word..])
        });
        if length > 0 && (surely || !is_plain(&after[..length])) {
            self.take(spaces + length);
            self.value();
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '#' | '.' | '-' | '/' | '$' | '@' | '%' | '\\')
}

/// The length of the word at the beginning.
fn word(text: &str) -> usize {
    text.find(|c| !is_of_word(c)).unwrap_or(text.len())
}

/// Words with digits are values, but for the place in the code that some loggers write: `OrderService#42`.
fn is_value(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit()) && !word.contains('#')
}

/// A word of a sentence, or a state: `started`, `FAILED`.
fn is_plain(word: &str) -> bool {
    let letters = || word.chars().filter(|c| *c != '.');
    letters().all(|c| c.is_alphabetic() && !c.is_uppercase()) || letters().all(|c| c.is_uppercase())
}

/// The length of a text in quotes at the beginning. One that is cut off ends with the line.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    Some(text[1..].find(quote).map_or(text.len(), |end| end + 2))
}

/// The length of what stands in brackets at the beginning, with all brackets inside; 0 where there is none.
fn group(text: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' | '<' => open += 1,
            ')' | ']' | '}' | '>' => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) {
        assert_eq!(pattern(a), pattern(b));
    }

    #[test]
    fn values_go_and_words_stay() {
        for (message, expected) in [
            ("Order 4711 placed by customer 12 in 38ms", "Order * placed by customer * in *"),
            ("out of stock: sku-1174, sku-1175", "out of stock:*"),
            ("timeout after 3000 ms calling http://10.0.0.7:8080/pay", "timeout after * ms calling http:*"),
            ("user='Ada Lovelace' state=FAILED retries=3", "user=* state=* retries=*"),
            (
                "[2026-11-11 00:00:01.123] [http-nio-8080-exec-7] INFO  Placing order: started",
                "[*] INFO Placing order: started",
            ),
            (
                "HikariPool-1 - Connection is not available, request timed out after 30000ms.",
                "* - Connection is not available, request timed out after *",
            ),
            ("can't reach the broker", "can't reach the broker"),
            ("", ""),
            ("\n  \n", ""),
        ] {
            assert_eq!(pattern(message), expected, "{message}");
        }
    }

    /// Lines of TrainTicket, as it writes them.
    #[test]
    fn lines_of_one_statement_are_one_pattern() {
        same(
            "16:42:22.383 INFO  t.c.TrainController#60 [retrieveByName][Retrieve train][TrainTypeName: DongCheOne]",
            "16:42:23.017 INFO  t.c.TrainController#60 [retrieveByName][Retrieve train][TrainTypeName: GaoTieOne]",
        );
        same(
            "16:42:22.383 INFO  f.s.X#343 [check][stationNames: [nanjing, suzhou]]",
            "16:42:22.383 INFO  f.s.X#343 [check][stationNames: [shanghai]]",
        );
        same(
            "x#65 [info is: LeftTicketInfo{tickets=[Ticket(no=1), Ticket(no=2)]}]",
            &format!("x#65 [info is: LeftTicketInfo{{tickets=[{}]}}]", "Ticket(no=1), ".repeat(100)),
        );
        assert_ne!(pattern("Placing order: started"), pattern("Placing order: complete"));
        assert_ne!(pattern("a.B#41 ready"), pattern("a.B#42 ready"));
    }

    #[test]
    fn of_structured_bodies_the_message_counts() {
        let json = r#"{"level":"info","msg":"order 12 placed","order":12}"#;
        assert_eq!(pattern(json), "order * placed");
        assert_eq!(pattern(r#"{"code":7,"state":"lost"}"#), r#"{"code":*,"state":*"#, "none has a message");
    }

    #[test]
    fn no_text_is_too_odd() {
        for odd in ["((((", "]]]", "=", ":::", "a=", "'", "“”：", "\u{202e}#", &"字".repeat(1000), &"9 ".repeat(1000)]
        {
            assert!(pattern(odd).len() <= LONGEST, "{odd}");
        }
    }
}
