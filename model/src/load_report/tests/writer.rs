//! Writes Gatling's binary log, made from the description in `gatling/binary.rs` and `gatling/bytes.rs` and sharing
//! nothing with the reader. That it is right is tested on a log that Gatling wrote.

use std::collections::HashMap;

pub struct Writer {
    pub bytes: Vec<u8>,
    numbers: HashMap<String, i32>,
}

impl Writer {
    /// Begins a log with its record RUN.
    pub fn run(version: &str, class: &str, start_ms: i64, description: &str, scenarios: &[&str]) -> Self {
        let mut log = Writer { bytes: vec![0], numbers: HashMap::new() };
        log.text(version).text(class);
        log.bytes.extend(start_ms.to_be_bytes());
        log.text(description).int(scenarios.len() as i32);
        for scenario in scenarios {
            log.text(scenario);
        }
        // Assertions: none.
        log.int(0);
        log
    }

    pub fn request(
        &mut self,
        groups: &[&str],
        name: &str,
        (start, end): (i32, i32),
        is_ok: bool,
        message: &str,
    ) -> &mut Self {
        self.byte(1).groups(groups).named(name).int(start).int(end).byte(is_ok.into()).named(message)
    }

    pub fn user(&mut self, scenario: i32, begins: bool, at: i32) -> &mut Self {
        self.byte(2).int(scenario).byte(begins.into()).int(at)
    }

    pub fn group(&mut self, groups: &[&str], (start, end): (i32, i32), cumulated: i32, is_ok: bool) -> &mut Self {
        self.byte(3).groups(groups).int(start).int(end).int(cumulated).byte(is_ok.into())
    }

    pub fn error(&mut self, message: &str, at: i32) -> &mut Self {
        self.byte(4).named(message).int(at)
    }

    pub fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes.push(byte);
        self
    }

    pub fn int(&mut self, int: i32) -> &mut Self {
        self.bytes.extend(int.to_be_bytes());
        self
    }

    /// Latin-1 where it suffices, as Java has its strings, else UTF-16.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let latin: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(u32::from(char)).ok()).collect();
        let (bytes, coder) = match latin {
            Some(latin) => (latin, 0),
            None => (text.encode_utf16().flat_map(u16::to_le_bytes).collect(), 1),
        };
        self.int(bytes.len() as i32);
        if bytes.is_empty() {
            return self;
        }
        self.bytes.extend(bytes);
        self.byte(coder)
    }

    pub fn named(&mut self, text: &str) -> &mut Self {
        if let Some(&number) = self.numbers.get(text) {
            return self.int(-number);
        }
        let number = self.numbers.len() as i32 + 1;
        self.numbers.insert(text.to_owned(), number);
        self.int(number).text(text)
    }

    fn groups(&mut self, groups: &[&str]) -> &mut Self {
        self.int(groups.len() as i32);
        for group in groups {
            self.named(group);
        }
        self
    }
}
