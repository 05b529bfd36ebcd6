//! Who may do what: bearer tokens with scopes, and the tenant they may act for.
//!
//! A token line is `NAME SCOPES TENANTS TOKEN`, e.g. `shop ingest,read default,staging 3f9c…`; `*` means any tenant.
//! Without tokens everyone may do everything, which the program only allows on loopback or with
//! `--insecure-no-auth`. Tokens are kept as SHA-256 and compared in constant time.

use crate::{Error, Kind, Result, Tenant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Ingest,
    Read,
    Admin,
}

impl Scope {
    fn parse(text: &str) -> Result<Self> {
        match text {
            "ingest" => Ok(Scope::Ingest),
            "read" => Ok(Scope::Read),
            "admin" => Ok(Scope::Admin),
            other => Err(Error::invalid(format!("{other:?} is not a scope")).hint("scopes are ingest, read and admin")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Read => "read",
            Scope::Admin => "admin",
        }
    }
}

struct Token {
    digest: [u8; 32],
    scopes: Vec<Scope>,
    /// Empty: any tenant.
    tenants: Vec<Tenant>,
}

/// The rule that every listener asks before it does anything.
#[derive(Default)]
pub struct Access {
    tokens: Vec<Token>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Access({} tokens)", self.tokens.len())
    }
}

impl Access {
    /// Everyone may do everything, for any tenant.
    pub fn open() -> Self {
        Access::default()
    }

    /// Reads token lines; blank lines and lines starting with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            tokens.push(parse_line(line).map_err(|e| e.context(format!("token line {}", number + 1)))?);
        }
        Ok(Access { tokens })
    }

    pub fn is_open(&self) -> bool {
        self.tokens.is_empty()
    }

    /// `authorization` is the header's value (`Bearer …`), `org` that of `X-Scope-OrgID`.
    /// With a token bound to one tenant the header may be left out.
    pub fn authorize(&self, authorization: Option<&str>, org: Option<&str>, needed: Scope) -> Result<Tenant> {
        let asked = org.map(Tenant::new).transpose()?;
        if self.is_open() {
            return Ok(asked.unwrap_or_default());
        }
        let Some(presented) = authorization.and_then(bearer) else {
            return Err(Error::new(Kind::Unauthenticated, "no bearer token")
                .hint("send the header 'Authorization: Bearer <token>'"));
        };
        let digest = sha256(presented.as_bytes());
        let mut found = None;
        for token in &self.tokens {
            if same(&token.digest, &digest) {
                found = Some(token);
            }
        }
        let Some(token) = found else {
            return Err(Error::new(Kind::Unauthenticated, "unknown bearer token"));
        };
        if !token.scopes.contains(&needed) && !token.scopes.contains(&Scope::Admin) {
            return Err(Error::new(Kind::Forbidden, format!("this token may not {}", needed.name())));
        }
        let tenant = match asked {
            Some(tenant) => tenant,
            None => token.tenants.first().cloned().unwrap_or_default(),
        };
        if !token.tenants.is_empty() && !token.tenants.contains(&tenant) {
            return Err(Error::new(Kind::Forbidden, format!("this token may not act for tenant {tenant}")));
        }
        Ok(tenant)
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn parse_line(line: &str) -> Result<Token> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_name, scopes, tenants, token] = words.as_slice() else {
        return Err(Error::invalid("expected four words")
            .hint("NAME SCOPES TENANTS TOKEN, e.g. shop ingest,read default 3f9c…"));
    };
    if token.len() < 16 {
        return Err(
            Error::invalid("the token is shorter than 16 characters").hint("make one with: openssl rand -hex 32")
        );
    }
    let scopes = scopes.split(',').map(Scope::parse).collect::<Result<_>>()?;
    let tenants = match *tenants {
        "*" => Vec::new(),
        list => list.split(',').map(Tenant::new).collect::<Result<_>>()?,
    };
    Ok(Token { digest: sha256(token.as_bytes()), scopes, tenants })
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    use subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "# tokens\nshop ingest default aaaaaaaaaaaaaaaaaaaa\nops admin * bbbbbbbbbbbbbbbbbbbb\n";

    #[test]
    fn scope_and_tenant_are_both_checked() {
        let access = Access::parse(LINES).expect("parses");
        let shop = Some("Bearer aaaaaaaaaaaaaaaaaaaa");
        assert_eq!(access.authorize(shop, None, Scope::Ingest).expect("may").as_str(), "default");
        assert_eq!(access.authorize(shop, None, Scope::Read).expect_err("may not").kind, Kind::Forbidden);
        assert_eq!(access.authorize(shop, Some("other"), Scope::Ingest).expect_err("may not").kind, Kind::Forbidden);
        let ops = Some("bearer bbbbbbbbbbbbbbbbbbbb");
        assert_eq!(access.authorize(ops, Some("other"), Scope::Read).expect("may").as_str(), "other");
        assert_eq!(access.authorize(None, None, Scope::Read).expect_err("none").kind, Kind::Unauthenticated);
        assert_eq!(access.authorize(Some("Bearer x"), None, Scope::Read).expect_err("bad").kind, Kind::Unauthenticated);
    }

    #[test]
    fn a_tenant_that_could_leave_its_folder_is_refused() {
        for name in ["../etc", ".hidden", "a/b", "", "a b"] {
            assert!(Access::open().authorize(None, Some(name), Scope::Ingest).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = Access::parse("\nx ingest default short").expect_err("short token");
        assert!(error.message.starts_with("token line 2:"), "{}", error.message);
    }
}
