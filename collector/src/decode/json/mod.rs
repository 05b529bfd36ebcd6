//! OTLP/JSON into the same bytes that a protobuf client would have sent; from there on both take one path.
//!
//! ```text
//!   text ─scan─▶ tokens ─messages (key ▸ field number and type)─▶ protobuf bytes ─▶ decode::envelope
//! ```
//! Keys may come in any order, and so may fields; nesting costs no recursion. A row with a value that does not fit is
//! taken out again and counted, its neighbours stay. Only wrong JSON, or a wrong type around the rows, refuses the
//! request.
//!
//! Beyond `Limits::max_depth` an `AnyValue` is not translated: its JSON text becomes bytes, so depth is bounded.

mod messages;
mod scan;
mod value;

use model::{Error, Kind, Signal};

use self::messages::{Field, Message, Role, Type};
use self::scan::{Scalar, Scanner};
use super::limits::Limits;
use super::report::{Reject, Report};

pub(super) use self::scan::Syntax;

/// Bytes kept free for a message's length: a varint of four bytes, padded where fewer would do.
const LENGTH: usize = 4;

/// Why a whole request cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    Syntax(Syntax),
    TooLarge(usize),
}

impl From<Syntax> for Fault {
    fn from(syntax: Syntax) -> Self {
        Fault::Syntax(syntax)
    }
}

impl Fault {
    pub fn into_error(self, text: &[u8]) -> Error {
        match self {
            Fault::Syntax(syntax) => {
                let (line, column) = syntax.position(text);
                let expected = syntax.expected;
                Error::invalid(format!(
                    "the body is not valid OTLP/JSON: line {line} column {column} should be {expected}"
                ))
            }
            Fault::TooLarge(limit) => {
                Error::new(Kind::TooLarge, format!("the request is larger than {limit} bytes in protobuf"))
            }
        }
    }
}

/// Translates a request into protobuf.
pub(super) fn to_protobuf(text: &[u8], signal: Signal, limits: Limits, report: &mut Report) -> Result<Vec<u8>, Fault> {
    let root = match signal {
        Signal::Traces => &messages::TRACES,
        Signal::Metrics => &messages::METRICS,
        Signal::Logs => &messages::LOGS,
    };
    let mut translation = Translation {
        scan: Scanner::new(text),
        out: Vec::with_capacity(text.len() / 2),
        levels: Vec::new(),
        any_depth: 0,
        rows: 0,
        key: Vec::new(),
        limits,
        report,
    };
    translation.run(root)?;
    Ok(translation.out)
}

struct Translation<'t, 'r> {
    scan: Scanner<'t>,
    out: Vec<u8>,
    levels: Vec<Level>,
    /// `AnyValue`s around the current place.
    any_depth: usize,
    /// Rows written and not taken out.
    rows: u64,
    /// A key with escapes, resolved.
    key: Vec<u8>,
    limits: Limits,
    report: &'r mut Report,
}

#[derive(Debug)]
enum Level {
    Message(Open),
    Array { field: &'static Field, first: bool },
}

/// A message whose end has not come yet.
#[derive(Debug)]
struct Open {
    message: &'static Message,
    /// Where its tag is in the output.
    start: usize,
    /// Where its content is.
    content: usize,
    first: bool,
    /// Set when the message has to be taken out again.
    spoilt: Option<Reject>,
    /// [`Translation::rows`] at its start.
    rows: u64,
}

impl Translation<'_, '_> {
    fn run(&mut self, root: &'static Message) -> Result<(), Fault> {
        if !self.scan.eat(b'{') {
            self.scan.expected("a JSON object")?;
        }
        self.open(root, 0, 0);
        while let Some(level) = self.levels.last_mut() {
            match level {
                Level::Message(open) => match self.scan.key(&mut open.first)? {
                    Some(key) => {
                        let message = open.message;
                        self.member(message, key)?;
                    }
                    None => self.close(),
                },
                Level::Array { field, first } => {
                    let field = *field;
                    if self.scan.element(first)? {
                        self.element(field)?;
                    } else {
                        self.levels.pop();
                    }
                }
            }
            if self.out.len() > self.limits.decoded_bytes() {
                return Err(Fault::TooLarge(self.limits.decoded_bytes()));
            }
        }
        match self.scan.peek() {
            None => Ok(()),
            Some(_) => Ok(self.scan.expected("nothing after the request's object")?),
        }
    }

    fn member(&mut self, message: &'static Message, key: &[u8]) -> Result<(), Fault> {
        let field = if key.contains(&b'\\') {
            self.key.clear();
            if !scan::unescape(key, &mut self.key) {
                self.scan.expected("a key with valid escapes before it")?;
            }
            message.field(&self.key)
        } else {
            message.field(key)
        };
        let Some(field) = field else {
            self.scan.skip()?;
            return Ok(());
        };
        match (self.scan.peek(), field.ty) {
            (Some(b'n'), _) => drop(self.scan.scalar()?),
            (Some(b'['), _) if field.repeated => {
                self.scan.eat(b'[');
                self.levels.push(Level::Array { field, first: true });
            }
            _ if field.repeated => self.misfit(Reject::BadJson, "an array")?,
            (Some(b'{'), Type::Message(inner)) => self.nested(field, inner)?,
            (_, Type::Message(_)) => self.misfit(Reject::BadJson, "an object")?,
            _ => self.scalar(field)?,
        }
        Ok(())
    }

    fn element(&mut self, field: &'static Field) -> Result<(), Fault> {
        match (self.scan.peek(), field.ty) {
            (Some(b'{'), Type::Message(inner)) => self.nested(field, inner),
            (Some(b'n'), Type::Message(inner)) => {
                self.scan.scalar()?;
                self.open_field(field, inner);
                self.close();
                Ok(())
            }
            (_, Type::Message(inner)) if inner.role == Role::Row => {
                self.report.reject(Reject::BadJson, 1);
                self.scan.skip()?;
                Ok(())
            }
            (_, Type::Message(_)) => self.misfit(Reject::BadJson, "an object"),
            _ => self.scalar(field),
        }
    }

    /// Starts a message that is written as an object. An `AnyValue` below the depth that rows keep stays JSON text,
    /// one level below what `decode::attr` cuts, so that it is marked there.
    fn nested(&mut self, field: &'static Field, inner: &'static Message) -> Result<(), Fault> {
        if std::ptr::eq(inner, &messages::ANY_VALUE) && self.any_depth > self.limits.max_depth + 1 {
            let text = self.scan.skip()?;
            self.open_field(field, inner);
            value::delimited(&mut self.out, messages::ANY_BYTES_NUMBER, text);
            self.close();
            return Ok(());
        }
        self.scan.eat(b'{');
        self.open_field(field, inner);
        Ok(())
    }

    fn open_field(&mut self, field: &Field, message: &'static Message) {
        let start = self.out.len();
        value::tag(&mut self.out, field.number, value::DELIMITED);
        self.out.extend_from_slice(&[0; LENGTH]);
        self.open(message, start, self.out.len());
    }

    fn open(&mut self, message: &'static Message, start: usize, content: usize) {
        self.any_depth += usize::from(std::ptr::eq(message, &messages::ANY_VALUE));
        let open = Open { message, start, content, first: true, spoilt: None, rows: self.rows };
        self.levels.push(Level::Message(open));
    }

    /// Ends the innermost message: its length is known now, or it is taken out.
    fn close(&mut self) {
        let Some(Level::Message(open)) = self.levels.pop() else { return };
        self.any_depth -= usize::from(std::ptr::eq(open.message, &messages::ANY_VALUE));
        let is_row = open.message.role == Role::Row;
        if let Some(reason) = open.spoilt {
            self.out.truncate(open.start);
            let rows = if is_row { 1 } else { self.rows - open.rows };
            self.rows = open.rows;
            self.report.reject(reason, rows);
            return;
        }
        self.rows += u64::from(is_row);
        if open.content > open.start {
            let len = self.out.len() - open.content;
            let length = &mut self.out[open.content - LENGTH..open.content];
            for (index, byte) in length.iter_mut().enumerate() {
                let more = if index + 1 < LENGTH { 0x80 } else { 0 };
                *byte = (len >> (7 * index)) as u8 & 0x7f | more;
            }
        }
    }

    fn scalar(&mut self, field: &Field) -> Result<(), Fault> {
        if matches!(self.scan.peek(), Some(b'{' | b'[')) {
            return self.misfit(Reject::BadJson, "a scalar value");
        }
        let at = self.scan.at();
        let scalar = self.scan.scalar()?;
        let before = self.out.len();
        if scalar == Scalar::Null {
            return Ok(());
        }
        if let Err(reason) = value::write(&mut self.out, field, scalar) {
            self.out.truncate(before);
            self.fault(reason, Syntax { at, expected: "a value of the field's type" })?;
        }
        Ok(())
    }

    /// Skips a value of the wrong type.
    fn misfit(&mut self, reason: Reject, expected: &'static str) -> Result<(), Fault> {
        let at = self.scan.at();
        self.scan.skip()?;
        self.fault(reason, Syntax { at, expected })
    }

    /// A value that does not fit costs the row around it, else the metric's points, else itself; around the rows it
    /// costs the request.
    fn fault(&mut self, reason: Reject, syntax: Syntax) -> Result<(), Fault> {
        for level in self.levels.iter_mut().rev() {
            let Level::Message(open) = level else { continue };
            match open.message.role {
                Role::Row | Role::Group => {
                    open.spoilt.get_or_insert(reason);
                    return Ok(());
                }
                Role::Envelope => break,
                Role::Part => {}
            }
        }
        let innermost = self.levels.iter().rev().find_map(|level| match level {
            Level::Message(open) => Some(open.message.role),
            Level::Array { .. } => None,
        });
        if innermost == Some(Role::Envelope) {
            return Err(syntax.into());
        }
        self.report.unreadable_origin();
        Ok(())
    }
}
