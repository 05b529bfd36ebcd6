//! Errors are a kind that tells the caller what to do, and a story that tells a person what happened.
//!
//! Each protocol maps the kinds in one `match`; nothing else ever turns an error into a status code.

use std::time::Duration;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong; sending it again cannot help.
    Invalid,
    /// What was asked for does not exist.
    NotFound,
    /// No or unknown credentials.
    Unauthenticated,
    /// Known credentials, not enough rights.
    Forbidden,
    /// More than a stated size limit; sending it again cannot help.
    TooLarge,
    /// Nothing was kept; send the same again after the pause.
    Overloaded { retry_after: Duration },
    /// Nothing was kept; the store cannot take it now (disk full, shutting down). Send the same again later.
    Unavailable,
    /// A query met a limit of its own (memory, time, rows); narrow it.
    Limit,
    /// Not built or not switched on here.
    Unimplemented,
    /// Stored data is damaged; `hotspan check` names it.
    Corrupt,
    /// A bug or an unexpected failure of ours.
    Internal,
}

impl Kind {
    /// The stable name used in JSON errors and metric labels.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::NotFound => "not_found",
            Kind::Unauthenticated => "unauthenticated",
            Kind::Forbidden => "forbidden",
            Kind::TooLarge => "too_large",
            Kind::Overloaded { .. } => "overloaded",
            Kind::Unavailable => "unavailable",
            Kind::Limit => "limit",
            Kind::Unimplemented => "unimplemented",
            Kind::Corrupt => "corrupt",
            Kind::Internal => "internal",
        }
    }
}

/// An error that crosses crates. Messages are lower case, without a full stop, with the value in them.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// What the person reading it can do next.
    pub hint: Option<String>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(Kind::Invalid, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Error::new(Kind::NotFound, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Error::new(Kind::Unavailable, message)
    }

    pub fn corrupt(message: impl Into<String>) -> Self {
        Error::new(Kind::Corrupt, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(Kind::Internal, message)
    }

    pub fn overloaded(message: impl Into<String>, retry_after: Duration) -> Self {
        Error::new(Kind::Overloaded { retry_after }, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what was being done before the message: `reading segment 7: permission denied`.
    #[must_use]
    pub fn context(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}
