//! Credentials: token lines, the `Authorization` header and the tenant's header.
//!
//! The bytes are four parts, divided by zero bytes: token lines, the header, the tenant, the scope.

use model::access::{Access, Scope};

const TOKEN: &str = "0123456789abcdef0123";

pub fn access(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.split('\0');
    let mut part = || parts.next();
    let (lines, header, org) = (part().unwrap_or_default(), part(), part());
    let scope = match part().map(str::len).unwrap_or_default() % 3 {
        0 => Scope::Ingest,
        1 => Scope::Read,
        _ => Scope::Admin,
    };
    if let Ok(access) = Access::parse(lines) {
        let answer = access.authorize(header, org, scope);
        if let Ok(tenant) = &answer {
            names_a_folder(tenant.as_str());
        }
        let presented = header.and_then(|header| header.trim().split_once(' ')).map(|(_, token)| token.trim());
        let known = presented.is_some_and(|token| lines.contains(token) && token.len() >= 16);
        assert!(access.is_open() || known || answer.is_err(), "let in without a token: {header:?}");
    }

    // A header that lacks the token never opens this door, nor another tenant's.
    let access = Access::parse(&format!("a ingest shop {TOKEN}")).expect("a good line");
    if let Ok(tenant) = access.authorize(header, org, scope) {
        assert!(header.is_some_and(|header| header.contains(TOKEN)), "let in by {header:?}");
        assert_eq!((tenant.as_str(), scope), ("shop", Scope::Ingest));
    }
}

/// Tenants name folders: nothing may lead out of the data folder.
fn names_a_folder(tenant: &str) {
    assert!((1..=128).contains(&tenant.len()), "{tenant:?}");
    assert!(!tenant.starts_with('.') && !tenant.contains(['/', '\\', ':', '\0']), "{tenant:?}");
}
