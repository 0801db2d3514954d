//! Values of messages, and what is lost when one reads them: members that occur twice.

use std::fmt::Write as _;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::text::{shortened, visible};

/// Reads a text, and the paths of members that occur a second time.
pub(super) fn parse(text: &str) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut twice = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Reading { twice: &mut twice, place: Place { above: None, step: Step::Top } }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, twice))
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Top,
    Key(&'a str),
    Index(usize),
}

#[derive(Clone, Copy)]
struct Place<'a> {
    above: Option<&'a Place<'a>>,
    step: Step<'a>,
}

impl Place<'_> {
    fn write(&self, out: &mut String) {
        if let Some(above) = self.above {
            above.write(out);
        }
        match self.step {
            Step::Top => {}
            Step::Key(key) => push_key(out, key),
            Step::Index(index) => push_index(out, index),
        }
    }
}

/// A path with one key more.
pub(super) fn push_key(path: &mut String, key: &str) {
    let is_plain =
        !key.is_empty() && key.len() <= 60 && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$'));
    if is_plain {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        let _ = write!(path, "[\"{}\"]", visible(&shortened(key, 60)).replace('"', "\\\""));
    }
}

/// A path with one index more.
pub(super) fn push_index(path: &mut String, index: usize) {
    let _ = write!(path, "[{index}]");
}

/// A path with the steps of a JSON pointer behind it.
pub(super) fn push_pointer(path: &mut String, pointer: &str) {
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match step.parse::<usize>() {
            Ok(index) => push_index(path, index),
            Err(_) => push_key(path, &step),
        }
    }
}

struct Reading<'a, 't> {
    twice: &'t mut Vec<String>,
    place: Place<'a>,
}

impl<'de> DeserializeSeed<'de> for Reading<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        loop {
            let place = Place { above: Some(&self.place), step: Step::Index(all.len()) };
            match items.next_element_seed(Reading { twice: &mut *self.twice, place })? {
                Some(item) => all.push(item),
                None => return Ok(Value::Array(all)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let place = Place { above: Some(&self.place), step: Step::Key(&key) };
            let value = members.next_value_seed(Reading { twice: &mut *self.twice, place })?;
            if all.contains_key(&key) && self.twice.len() < 16 {
                let mut path = String::new();
                place.write(&mut path);
                self.twice.push(path);
            }
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}

/// A short piece of a value, safe to print.
pub(super) fn evidence(value: &Value) -> String {
    let text = match value {
        // A large value is not written out to be cut off.
        Value::Object(members) if members.len() > 8 => format!("an object of {} members", members.len()),
        Value::Array(items) if items.len() > 8 => format!("an array of {} items", items.len()),
        Value::String(text) => format!("\"{}\"", shortened(text, 120)),
        other => other.to_string(),
    };
    visible(&shortened(&text, 160)).into_owned()
}

/// What a value is, with its article.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Whether a value stands for a secret that was replaced when it was recorded.
pub(super) fn is_redacted(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("[redacted:"))
}

/// The value behind several keys.
pub(super) fn at<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| value.get(*key))
}

/// A digest of a value that does not depend on the order of members.
pub(super) fn digest(value: &Value) -> u64 {
    use xxhash_rust::xxh3::xxh3_64_with_seed;
    match value {
        Value::Object(members) => {
            members.iter().fold(11, |sum: u64, (key, value)| sum.wrapping_add(xxh3_64_with_seed(key.as_bytes(), digest(value))))
        }
        Value::Array(items) => items.iter().fold(13, |before, item| xxh3_64_with_seed(&digest(item).to_le_bytes(), before)),
        Value::String(text) => xxh3_64_with_seed(text.as_bytes(), 17),
        other => xxh3_64_with_seed(other.to_string().as_bytes(), 19),
    }
}
