//! A message as rules look at it.

use mcp_wire::Kind;
use serde_json::Value;

use crate::event::{Direction, Stamp};
use crate::lint::json;
use crate::scan::key;

/// One message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    /// As it is spelt; empty for none.
    pub(super) id: &'a str,
    pub(super) method: &'a str,
    /// All of it; null when it is only skimmed.
    pub(super) body: &'a Value,
    pub(super) stamp: Stamp,
    pub(super) entry: u32,
    pub(super) length: usize,
    /// It is so long that only its envelope is looked at.
    pub(super) is_skimmed: bool,
}

impl Message<'_> {
    pub(super) fn params(&self) -> Option<&Value> {
        self.body.get("params")
    }

    pub(super) fn result(&self) -> Option<&Value> {
        self.body.get("result")
    }

    pub(super) fn error(&self) -> Option<&Value> {
        self.body.get("error")
    }

    pub(super) fn error_code(&self) -> Option<i64> {
        self.error()?.get("code")?.as_i64()
    }

    pub(super) fn is_from_client(&self) -> bool {
        self.stamp.direction == Direction::ToServer
    }

    /// A member of `params`.
    pub(super) fn param(&self, key: &str) -> Option<&Value> {
        self.params()?.get(key)
    }

    pub(super) fn param_text(&self, key: &str) -> Option<&str> {
        self.param(key)?.as_str()
    }

    /// A member of `params._meta`.
    pub(super) fn meta(&self, key: &str) -> Option<&Value> {
        json::at(self.body, &["params", "_meta", key])
    }

    pub(super) fn id_key(&self) -> u64 {
        key(self.id)
    }
}

/// An id or token inside a message as the number requests are known by.
pub(super) fn value_key(value: &Value) -> u64 {
    match value {
        Value::Number(number) => key(&number.to_string()),
        // As it is spelt almost always: escapes in ids are not seen in practice.
        Value::String(_) => key(&value.to_string()),
        _ => 0,
    }
}
