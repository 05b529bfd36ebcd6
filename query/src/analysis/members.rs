//! The members of a JSON object, read in place: attribute texts are many, and only their top level is asked for.

use std::borrow::Cow;

/// Keys and values in order. A value is the text of a string, else the JSON as it stands. What is not such an object
/// has no (further) members.
pub struct Members<'a> {
    rest: &'a str,
}

impl<'a> Members<'a> {
    pub fn of(object: &'a str) -> Self {
        Members { rest: object.trim_start().strip_prefix('{').unwrap_or_default() }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.trim_start();
        let rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        let member = member(rest);
        self.rest = member.as_ref().map_or("", |(.., rest)| rest);
        member.map(|(key, value, _)| (key, value))
    }
}

fn member(text: &str) -> Option<(Cow<'_, str>, Cow<'_, str>, &str)> {
    let (key, rest) = text.split_at_checked(end_of_string(text)?)?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start();
    let (value, rest) = value.split_at_checked(end_of_value(value)?)?;
    Some((plain(key)?, plain(value)?, rest))
}

/// The text of a string literal without quotes and escapes; other values as they stand.
fn plain(literal: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = literal.strip_prefix('"') else { return Some(Cow::Borrowed(literal)) };
    let inner = inner.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(literal).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// How long the string literal is that the text begins with.
fn end_of_string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// How long the value is that the text begins with.
fn end_of_value(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'"' => return end_of_string(text),
        b'{' | b'[' => {}
        _ => return text.find([',', '}', ']']).map(|end| text[..end].trim_end().len()).filter(|length| *length > 0),
    }
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match bytes.get(at)? {
            b'"' => at += end_of_string(text.get(at..)?)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_are_those_that_a_json_reader_finds(
            members in prop::collection::btree_map(any::<String>(), value(), 0..6),
            spaced in any::<bool>(),
        ) {
            let object = Value::Object(members.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Map<_, _>>());
            let text = if spaced { serde_json::to_string_pretty(&object).expect("plain") } else { object.to_string() };
            let found: Vec<(String, String)> = Members::of(&text).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
            prop_assert_eq!(found.len(), members.len());
            for (key, raw) in found {
                match &members[&key] {
                    Value::String(text) => prop_assert_eq!(&raw, text),
                    other => prop_assert_eq!(&serde_json::from_str::<Value>(&raw).expect("a value"), other),
                }
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in any::<String>()) {
            let _ = Members::of(&text).count();
            let _ = Members::of(&format!("{{\"a\":{text}")).count();
        }
    }
}
