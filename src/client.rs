//! Asks a running server over HTTP, for the commands that work against one.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

/// Which server to ask, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// Address of the server's HTTP API
    #[arg(long, global = true, env = "HOTSPAN_SERVER", value_name = "URL", default_value = "http://127.0.0.1:4320")]
    pub server: String,
    /// Bearer token, where the server wants one
    #[arg(long, global = true, env = "HOTSPAN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Whose data [default: the token's tenant, or `default`]
    #[arg(long, global = true, env = "HOTSPAN_TENANT", value_name = "TENANT")]
    pub tenant: Option<String>,
}

impl Remote {
    fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        parameters: &[(String, String)],
    ) -> Result<reqwest::blocking::RequestBuilder> {
        let client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(300)).build()?;
        let base = self.server.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let url = format!("{base}{path}");
        let url = reqwest::Url::parse_with_params(&url, parameters).with_context(|| format!("{url:?} is not a URL"))?;
        let mut request = client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        Ok(request)
    }

    fn send(&self, request: reqwest::blocking::RequestBuilder) -> Result<reqwest::blocking::Response> {
        let asking =
            || format!("asking {}; is the server running? (`hotspan serve`, or --data for a folder)", self.server);
        let response = request.send().with_context(asking)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().unwrap_or_default();
        let error = serde_json::from_str::<Value>(&text).unwrap_or_default()["error"].clone();
        let Some(message) = error["message"].as_str() else { bail!("the server answered {status}: {}", text.trim()) };
        let mut told = model::Error::new(model::Kind::Invalid, message);
        told.hint = error["hint"].as_str().map(str::to_owned);
        Err(told.into())
    }

    /// The JSON at a path, with query parameters.
    pub fn get(&self, path: &str, parameters: &[(String, String)]) -> Result<Value> {
        let request = self.request(reqwest::Method::GET, path, parameters)?;
        self.send(request)?.json().context("reading the answer")
    }

    /// The text at a path, with query parameters.
    pub fn text(&self, path: &str, parameters: &[(String, String)]) -> Result<String> {
        let request = self.request(reqwest::Method::GET, path, parameters)?;
        self.send(request)?.text().context("reading the answer")
    }

    /// Sends JSON with a method and reads the JSON answer.
    pub fn send_json(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<Value> {
        let request = self.request(method, path, &[])?.json(body);
        self.send(request)?.json().context("reading the answer")
    }

    /// Deletes what is at a path and reads the JSON answer.
    pub fn delete(&self, path: &str) -> Result<Value> {
        let request = self.request(reqwest::Method::DELETE, path, &[])?;
        self.send(request)?.json().context("reading the answer")
    }

    /// Posts JSON and returns the answer in the media type asked for.
    pub fn post(&self, path: &str, body: &Value, accept: &str) -> Result<Posted> {
        let request = self.request(reqwest::Method::POST, path, &[])?.json(body).header("Accept", accept);
        let response = self.send(request)?;
        let (truncated, rows) = (is_truncated(response.headers()), rows_of(response.headers()));
        Ok(Posted { bytes: response.bytes().context("reading the answer")?.to_vec(), truncated, rows })
    }
}

/// An answer as it came.
pub struct Posted {
    pub bytes: Vec<u8>,
    /// Whether the server cut it, having more rows than it gives at once.
    pub truncated: bool,
    /// How many rows it has, if the server says so.
    pub rows: Option<u64>,
}

/// Whatever the media type, a header says that an answer was cut.
fn is_truncated(headers: &reqwest::header::HeaderMap) -> bool {
    headers.get("x-hotspan-truncated").is_some_and(|value| value == "true")
}

fn rows_of(headers: &reqwest::header::HeaderMap) -> Option<u64> {
    headers.get("x-hotspan-rows")?.to_str().ok()?.parse().ok()
}

/// What was given on the command line as `form`, `NAME=VALUE` say.
pub fn pairs(given: &[String], form: &str) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::with_capacity(given.len());
    for text in given {
        let Some((key, value)) = text.split_once('=') else {
            bail!(model::Error::invalid(format!("{text:?} is not {form}")));
        };
        pairs.push((key.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn an_answer_says_in_its_head_that_it_was_cut() {
        let mut headers = HeaderMap::new();
        assert!(!is_truncated(&headers));
        headers.insert("x-hotspan-truncated", HeaderValue::from_static("true"));
        assert!(is_truncated(&headers));
        assert_eq!(rows_of(&headers), None, "an older server");
        headers.insert("x-hotspan-rows", HeaderValue::from_static("17"));
        assert_eq!(rows_of(&headers), Some(17));
    }
}
