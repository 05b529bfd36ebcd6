//! The page hands a token in once; the browser keeps it in a cookie that no script can read and no other site can
//! send. Programs send `Authorization` instead, which wins. `origin` guards what the cookie may change.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::Error;
use model::access::Scope;
use serde::Deserialize;

use crate::Server;
use crate::answer::Answer;

const COOKIE: &str = "hotspan_token";

#[derive(Deserialize)]
pub struct Login {
    token: String,
}

/// The token of a request: its `Authorization` header, else the cookie's as one.
pub fn authorization(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return value.to_str().ok().map(str::to_owned);
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, token)| format!("Bearer {token}"))
}

/// `POST /api/v1/login` with `{"token": "…"}`: 204 and a cookie, or 401.
pub async fn login(
    State(server): State<Server>,
    headers: HeaderMap,
    Json(Login { token }): Json<Login>,
) -> Answer<Response> {
    let token = token.trim();
    server.access.authorize(Some(&format!("Bearer {token}")), None, Scope::Read)?;
    if token.contains(';') {
        return Err(Error::invalid("a token with a semicolon fits into no cookie").into());
    }
    let cookie = format!("{COOKIE}={token}; {}", attributes(&headers));
    let cookie =
        HeaderValue::from_str(&cookie).map_err(|_| Error::invalid("the token holds a character no header may have"))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// A page that came over TLS, here or at a proxy, says so by its origin: its cookie then never travels in the clear.
fn attributes(headers: &HeaderMap) -> &'static str {
    let origin = headers.get(header::ORIGIN).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if origin.starts_with("https://") {
        "HttpOnly; SameSite=Strict; Path=/; Secure"
    } else {
        "HttpOnly; SameSite=Strict; Path=/"
    }
}

/// `POST /api/v1/logout`: forgets the cookie.
pub async fn logout() -> Response {
    let cookie = HeaderValue::from_static("hotspan_token=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_wins_over_the_cookie() {
        let mut headers = HeaderMap::new();
        assert_eq!(authorization(&headers), None);
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; hotspan_token=t0ken; c=d"));
        assert_eq!(authorization(&headers).as_deref(), Some("Bearer t0ken"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        assert_eq!(authorization(&headers).as_deref(), Some("Bearer other"));
    }

    #[test]
    fn the_cookie_is_hidden_from_scripts_and_secure_over_tls() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://localhost:4320"));
        assert_eq!(attributes(&headers), "HttpOnly; SameSite=Strict; Path=/");
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://apm.example"));
        assert_eq!(attributes(&headers), "HttpOnly; SameSite=Strict; Path=/; Secure");
    }
}
