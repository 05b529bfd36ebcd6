//! How this address answers: JSON, and errors as `{"error":{"kind","message","hint"}}` with a fitting status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{Error, Kind};
use serde_json::json;

/// An error on its way to the client.
pub struct Failure(pub Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure(error)
    }
}

pub type Answer<T = Response> = Result<T, Failure>;

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Overloaded { .. } | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Limit => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Corrupt | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Failure(Error { kind, message, hint }) = self;
        let body = json!({"error": {"kind": kind.name(), "message": message, "hint": hint}});
        let mut response = (status(kind), Json(body)).into_response();
        if let Kind::Overloaded { retry_after } = kind {
            let seconds = HeaderValue::from(retry_after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if kind == Kind::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
