//! A sentence in both languages of the pages.

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sentence {
    pub en: String,
    pub zh: String,
}

impl Sentence {
    pub fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Sentence { en: en.into(), zh: zh.into() }
    }
}
