//! Standard output and standard error of the commands.
//!
//! `println!` panics when nobody reads any more (`hotspan run list | head`), so commands write here. *Invariant:* a
//! reader that has gone is an error of its own, which ends the program quietly and with success; a connection to a
//! server that breaks is not taken for one.

use std::fmt;
use std::io::{self, Write};

/// Standard output, to write to.
pub fn stdout() -> Stream<io::StdoutLock<'static>> {
    Stream(io::stdout().lock())
}

/// Writes a line to standard error. Where nobody reads that either, there is nobody left to tell.
pub fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// What came of printing, a reader that has gone being none of its failures: for commands whose exit code says what was
/// found.
pub fn printed(result: anyhow::Result<()>) -> anyhow::Result<()> {
    result.or_else(|error| if is_unread(&error) { Ok(()) } else { Err(error) })
}

/// Whether what ended a command is that nobody reads its output any more, which is no failure.
pub fn is_unread(error: &anyhow::Error) -> bool {
    let unread = |e: &io::Error| e.get_ref().is_some_and(|inner| inner.is::<Unread>());
    error.chain().filter_map(|e| e.downcast_ref::<io::Error>()).any(unread)
}

/// A stream whose broken pipes can be told from those of connections.
pub struct Stream<W>(W);

/// Why a [`Stream`] takes no more.
#[derive(Debug)]
struct Unread;

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(told)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(told)
    }
}

fn told(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, Unread),
        _ => error,
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the output any more")
    }
}

impl std::error::Error for Unread {}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    /// Refuses everything, in one way.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_reader_that_has_gone_is_no_failure() {
        let written = |kind| writeln!(Stream(Refusing(kind)), "{} rows", 3).context("printing").expect_err("refused");
        assert!(is_unread(&written(io::ErrorKind::BrokenPipe)));
        assert!(!is_unread(&written(io::ErrorKind::StorageFull)));
        let flushed = Stream(Refusing(io::ErrorKind::BrokenPipe)).flush().expect_err("refused");
        assert!(is_unread(&flushed.into()));
        // A server that hangs up while it is asked.
        let connection = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("asking the server");
        assert!(!is_unread(&connection));
    }
}
