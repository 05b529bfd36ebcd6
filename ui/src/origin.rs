//! A foreign site may make a visitor's browser send requests here, with the cookie or to an open loopback address.
//! Answers stay unreadable for it, but a request that changes something would already have done so. Therefore every
//! method that may change something has to show that the page of this very address sent it, or a program.
//!
//! ```text
//!   GET, HEAD, OPTIONS ───────────────▶ pass: they change nothing
//!   Authorization ────────────────────▶ pass: only programs set it, no other site can
//!   Sec-Fetch-Site, else Origin ──────▶ pass when they name this address, else 403
//!   neither of them ─────────────────▶ pass without a cookie (not a browser), else 403
//! ```
//! An address that is open because only this machine reaches it has one more way in: a site whose name is made to mean
//! 127.0.0.1 (DNS rebinding) is "the same site" to the browser and could read. Such a request carries the site's name
//! in `Host`, so an open loopback address answers only to addresses and `localhost`.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use model::{Error, Kind};

use crate::answer::Failure;
use crate::login;

/// Refuses what a page of another site made a browser send.
pub async fn same(request: Request, next: Next) -> Response {
    // HTTP/2 has the host in the address instead.
    let host = request.headers().get(header::HOST).and_then(|v| v.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    if is_ours(request.method(), host, request.headers()) {
        return next.run(request).await;
    }
    let error = Error::new(Kind::Forbidden, "this request comes from a page of another site").hint(
        "programs send 'Authorization: Bearer <token>' instead of a cookie; behind a proxy, pass the Host header on",
    );
    Failure(error).into_response()
}

/// Refuses what was sent to this address under a name that is not its own.
pub async fn own_name(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|v| v.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    if host.is_none_or(means_this_machine) {
        return next.run(request).await;
    }
    let name = host.unwrap_or_default();
    let error = Error::new(Kind::Forbidden, format!("this address is open to this machine only, not as {name:?}"))
        .hint("use http://localhost or http://127.0.0.1; to serve other names set tokens (docs/security.md)");
    Failure(error).into_response()
}

/// Whether a `Host` is an address or `localhost`, which no foreign site can be.
fn means_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let local =
        |name: &str| name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    name.parse::<IpAddr>().is_ok() || local(name)
}

fn is_ours(method: &Method, host: Option<&str>, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || headers.contains_key(header::AUTHORIZATION) {
        return true;
    }
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or_default());
    // Scripts cannot set either of these two; browsers send the first to https and loopback addresses only.
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    if let Some(origin) = text("origin") {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        return authority.is_some() && authority == host;
    }
    login::authorization(headers).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn ours(method: Method, lines: &[(&'static str, &'static str)]) -> bool {
        let pairs = lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_ours(&method, Some("apm.example:4320"), &pairs.collect())
    }

    const COOKIE: (&str, &str) = ("cookie", "hotspan_token=0123456789abcdef");

    #[test]
    fn reading_is_never_refused() {
        assert!(ours(Method::GET, &[COOKIE, ("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn only_addresses_and_localhost_mean_this_machine() {
        for host in ["127.0.0.1:4320", "localhost:4320", "LOCALHOST", "[::1]:4320", "10.0.0.7", "shop.localhost:80"] {
            assert!(means_this_machine(host), "{host}");
        }
        for host in ["evil.example", "evil.example:4320", "localhost.evil.example", "127.0.0.1.evil.example:4320", ""] {
            assert!(!means_this_machine(host), "{host}");
        }
    }

    #[test]
    fn programs_pass() {
        assert!(ours(Method::POST, &[]));
        assert!(ours(Method::POST, &[("authorization", "Bearer x")]));
    }

    #[test]
    fn a_page_of_another_site_is_refused_with_and_without_a_cookie() {
        let evil = ("origin", "http://evil.example");
        assert!(!ours(Method::POST, &[evil]));
        assert!(!ours(Method::PATCH, &[COOKIE, evil]));
        assert!(!ours(Method::POST, &[COOKIE, ("sec-fetch-site", "cross-site")]));
        // Another port of the same host is the same site, and still not ours.
        assert!(!ours(Method::POST, &[COOKIE, ("sec-fetch-site", "same-site")]));
        assert!(!ours(Method::POST, &[("origin", "http://apm.example:8080")]));
        assert!(!ours(Method::POST, &[("origin", "null")]));
        assert!(!ours(Method::POST, &[COOKIE]));
    }

    #[test]
    fn our_own_page_passes() {
        assert!(ours(Method::POST, &[COOKIE, ("origin", "http://apm.example:4320")]));
        // A proxy may rename the host; the browser's own word about the site holds.
        assert!(ours(Method::POST, &[COOKIE, ("sec-fetch-site", "same-origin"), ("origin", "https://apm")]));
    }
}
