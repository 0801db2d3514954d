//! Whether a schema leads back to itself without taking a step into the value.
//!
//! `{"$ref": "#"}` asks a validator to check the same value against the same schema for ever, and ours does until the stack
//! is full. A server's schema must not be able to end the program.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// Keywords whose schemas are checked against the same value.
const SAME_VALUE: [&str; 8] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];

/// Whether checking could go on for ever.
pub(crate) fn is_endless(root: &Value) -> bool {
    let mut anchors = HashMap::new();
    let mut schemas = Vec::new();
    collect(root, &mut anchors, &mut schemas);
    let mut done = HashSet::new();
    schemas.iter().any(|schema| leads_back(root, schema, &anchors, &mut HashSet::new(), &mut done))
}

fn collect<'a>(value: &'a Value, anchors: &mut HashMap<&'a str, &'a Value>, out: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            for key in ["$anchor", "$dynamicAnchor", "$id", "id"] {
                if let Some(name) = object.get(key).and_then(Value::as_str) {
                    anchors.insert(name.trim_start_matches('#'), value);
                }
            }
            out.push(value);
            object.values().for_each(|inner| collect(inner, anchors, out));
        }
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, anchors, out)),
        _ => {}
    }
}

/// Addresses tell places of one document apart; it does not move meanwhile.
fn leads_back<'a>(
    root: &'a Value,
    schema: &'a Value,
    anchors: &HashMap<&'a str, &'a Value>,
    way: &mut HashSet<*const Value>,
    done: &mut HashSet<*const Value>,
) -> bool {
    let place: *const Value = schema;
    if done.contains(&place) {
        return false;
    }
    if !way.insert(place) {
        return true;
    }
    let mut next: Vec<&'a Value> = Vec::new();
    for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
        if let Some(target) = schema.get(key).and_then(Value::as_str) {
            let fragment = target.split_once('#').map_or("", |(_, fragment)| fragment);
            let found = if fragment.starts_with('/') { root.pointer(fragment) } else { anchors.get(fragment).copied() };
            // What we cannot find is either refused by the validator or, at worst, the whole.
            next.push(found.or_else(|| anchors.get(target).copied()).unwrap_or(root));
        }
    }
    for key in SAME_VALUE {
        match schema.get(key) {
            Some(Value::Array(list)) => next.extend(list),
            Some(Value::Object(inner)) if key == "dependentSchemas" => next.extend(inner.values()),
            Some(inner @ Value::Object(_)) => next.push(inner),
            _ => {}
        }
    }
    if next.into_iter().any(|inner| leads_back(root, inner, anchors, way, done)) {
        return true;
    }
    way.remove(&place);
    done.insert(place);
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_circle_without_a_step_into_the_value_is_endless() {
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"anyOf": [{"$ref": "#/$defs/y"}]}, "y": {"not": {"$ref": "#/$defs/x"}}}}),
            json!({"$anchor": "a", "if": {"$ref": "#a"}}),
            json!({"$id": "http://x/y", "oneOf": [{"$ref": "http://x/y"}]}),
        ] {
            assert!(is_endless(&schema), "{schema}");
        }
        for schema in [
            json!({"properties": {"child": {"$ref": "#"}}}),
            json!({"$ref": "#/$defs/n", "$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}}),
            json!({"allOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}], "$defs": {"n": {"type": "object"}}}),
            json!(true),
        ] {
            assert!(!is_endless(&schema), "{schema}");
        }
    }
}
