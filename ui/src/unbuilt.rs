//! What interface.md names and this version does not have yet: answered with 501 and a sentence, never with a 404
//! that looks like a typing error.

use axum::extract::Request;
use model::{Error, Kind};

use crate::answer::Answer;

pub async fn unbuilt(request: Request) -> Answer<()> {
    let path = request.uri().path().to_owned();
    Err(Error::new(Kind::Unimplemented, format!("{path} is not built yet in this version of hotspan"))
        .hint("SQL (POST /api/v1/sql) and the analyses (GET /api/v1/analyses) are there")
        .into())
}
