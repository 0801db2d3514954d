//! What kind of field a schema asks for.

use serde_json::{Map, Value};

/// `$ref` to `$ref` to `$ref`: beyond this it is a circle.
const HOPS: usize = 32;

/// One way a value may look, of several.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) label: String,
    pub(super) schema: Value,
}

/// The kind of a field.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Text {
        is_secret: bool,
    },
    Number,
    Bool,
    /// Label and JSON text of each value.
    Choice(Vec<(String, String)>),
    Object,
    Array,
    Variant(Vec<Branch>),
    /// No type said: JSON as text.
    Any,
}

/// A schema with its `$ref`s followed and its `allOf` merged in.
pub(super) fn resolved(root: &Value, schema: &Value) -> Value {
    let mut current = schema.clone();
    for _ in 0..HOPS {
        let Some(target) = current.get("$ref").and_then(Value::as_str).map(str::to_owned) else { break };
        let Some(found) = target.strip_prefix('#').and_then(|pointer| root.pointer(&unescaped(pointer))) else { break };
        let mut merged = found.clone();
        if let (Some(into), Value::Object(beside)) = (merged.as_object_mut(), &current) {
            // Members beside `$ref` (a description, a default) speak for this place.
            for (key, value) in beside.iter().filter(|(key, _)| *key != "$ref") {
                into.insert(key.clone(), value.clone());
            }
        }
        current = merged;
    }
    if let Some(parts) = current.get("allOf").and_then(Value::as_array).cloned() {
        for part in parts {
            if part.get("$ref") != schema.get("$ref") || part.get("$ref").is_none() {
                merge(&mut current, resolved_once(root, &part));
            }
        }
    }
    current
}

/// As [`resolved`], but no `allOf` inside: a circle through `allOf` ends here.
fn resolved_once(root: &Value, schema: &Value) -> Value {
    let mut without = schema.clone();
    if let Some(object) = without.as_object_mut() {
        object.remove("allOf");
    }
    let mut found = resolved_ref(root, &without);
    if let Some(object) = found.as_object_mut() {
        object.remove("allOf");
    }
    found
}

fn resolved_ref(root: &Value, schema: &Value) -> Value {
    let mut current = schema.clone();
    for _ in 0..HOPS {
        let Some(target) = current.get("$ref").and_then(Value::as_str) else { break };
        let Some(found) = target.strip_prefix('#').and_then(|pointer| root.pointer(&unescaped(pointer))) else { break };
        current = found.clone();
    }
    current
}

/// Percent signs of a fragment, where there are any.
fn unescaped(pointer: &str) -> String {
    pointer.replace("%24", "$").replace("%20", " ").replace("%25", "%")
}

fn merge(into: &mut Value, part: Value) {
    let (Some(into), Value::Object(part)) = (into.as_object_mut(), part) else { return };
    for (key, value) in part {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(mine)), Value::Object(more)) => {
                for (name, schema) in more {
                    mine.entry(name).or_insert(schema);
                }
            }
            (Some(Value::Array(mine)), Value::Array(more)) if key == "required" => mine.extend(more),
            (Some(_), _) => {}
            (None, value) => _ = into.insert(key, value),
        }
    }
}

/// The kind of field, whether it may be `null` too, and the schema that is left without the `null`.
pub(super) fn shape_of(root: &Value, schema: &Value) -> (Shape, bool, Value) {
    shape_within(root, schema, HOPS)
}

fn shape_within(root: &Value, schema: &Value, hops: usize) -> (Shape, bool, Value) {
    let mut schema = resolved(root, schema);
    let mut is_nullable = schema.get("nullable") == Some(&Value::Bool(true));
    if let Some(types) = schema.get("type").and_then(Value::as_array).cloned() {
        is_nullable |= types.iter().any(|t| t == "null");
        let others: Vec<Value> = types.into_iter().filter(|t| t != "null").collect();
        if let Some(object) = schema.as_object_mut() {
            match others.as_slice() {
                [one] => _ = object.insert("type".into(), one.clone()),
                [] => {}
                _ => {
                    let branches = others
                        .iter()
                        .map(|kind| {
                            let mut schema = object.clone();
                            schema.insert("type".into(), kind.clone());
                            Branch { label: kind.as_str().unwrap_or("?").to_owned(), schema: Value::Object(schema) }
                        })
                        .collect();
                    return (Shape::Variant(branches), is_nullable, schema);
                }
            }
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let names = schema.get("enumNames").and_then(Value::as_array);
        let choices = values
            .iter()
            .enumerate()
            .filter(|(_, v)| !(is_nullable && v.is_null()))
            .map(|(at, v)| (names.and_then(|n| n.get(at)?.as_str()).map_or_else(|| label_of(v), str::to_owned), v.to_string()))
            .collect();
        return (Shape::Choice(choices), is_nullable, schema);
    }
    if let Some(value) = schema.get("const") {
        return (Shape::Choice(vec![(label_of(value), value.to_string())]), is_nullable, schema);
    }
    for key in ["oneOf", "anyOf"] {
        let Some(list) = schema.get(key).and_then(Value::as_array) else { continue };
        let branches: Vec<Value> = list.iter().map(|branch| resolved(root, branch)).collect();
        let is_null = |b: &Value| b.get("type").is_some_and(|t| t == "null") || b.get("const").is_some_and(Value::is_null);
        is_nullable |= branches.iter().any(is_null);
        let mut rest: Vec<Value> = branches.into_iter().filter(|b| !is_null(b)).collect();
        // `anyOf` beside `properties` only says which of them belong together.
        if rest.is_empty() || (schema.get("properties").is_some() && rest.iter().all(|b| b.get("properties").is_none())) {
            continue;
        }
        if rest.iter().all(|b| b.get("const").is_some()) {
            let choices = rest.iter().map(|b| (title_of(b).unwrap_or_else(|| label_of(&b["const"])), b["const"].to_string()));
            return (Shape::Choice(choices.collect()), is_nullable, schema.clone());
        }
        if rest.len() == 1 && hops > 0 {
            let mut one = rest.remove(0);
            if let (Some(into), Some(outer)) = (one.as_object_mut(), schema.as_object()) {
                for (name, value) in outer.iter().filter(|(name, _)| *name != "anyOf" && *name != "oneOf") {
                    into.insert(name.clone(), value.clone());
                }
            }
            let (shape, also, schema) = shape_within(root, &one, hops - 1);
            return (shape, is_nullable || also, schema);
        }
        let branches = rest.into_iter().enumerate().map(|(at, schema)| Branch {
            label: title_of(&schema)
                .or_else(|| Some(schema.get("type")?.as_str()?.to_owned()))
                .unwrap_or_else(|| format!("form {}", at + 1)),
            schema,
        });
        return (Shape::Variant(branches.collect()), is_nullable, schema.clone());
    }
    let shape = match schema.get("type").and_then(Value::as_str) {
        Some("string") => Shape::Text {
            is_secret: schema.get("format").is_some_and(|f| f == "password")
                || schema.get("writeOnly") == Some(&Value::Bool(true)),
        },
        Some("number" | "integer") => Shape::Number,
        Some("boolean") => Shape::Bool,
        Some("object") => Shape::Object,
        Some("array") => Shape::Array,
        Some("null") => Shape::Choice(vec![("null".into(), "null".into())]),
        _ if schema.get("properties").is_some() => Shape::Object,
        _ if schema.get("items").is_some() => Shape::Array,
        _ => Shape::Any,
    };
    (shape, is_nullable, schema)
}

fn title_of(schema: &Value) -> Option<String> {
    schema.get("title").and_then(Value::as_str).map(str::to_owned)
}

fn label_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The schema of an element of an array; tuples (`prefixItems`, or draft-07's list in `items`) have one per place.
pub(super) fn item_schema(schema: &Value, at: usize) -> Value {
    let any = || Value::Object(Map::new());
    let tuple = schema.get("prefixItems").or_else(|| schema.get("items").filter(|i| i.is_array())).and_then(Value::as_array);
    if let Some(one) = tuple.and_then(|list| list.get(at)) {
        return one.clone();
    }
    let rest = if tuple.is_some() && schema.get("prefixItems").is_none() { "additionalItems" } else { "items" };
    schema.get(rest).filter(|i| i.is_object()).cloned().unwrap_or_else(any)
}

/// What a field wants, in a few words: `integer 1..30`, `string date-time`.
pub(super) fn in_words(shape: &Shape, schema: &Value) -> String {
    let mut words = match shape {
        Shape::Text { .. } => "string".to_owned(),
        Shape::Number => schema.get("type").and_then(Value::as_str).unwrap_or("number").to_owned(),
        Shape::Bool => "true or false".to_owned(),
        Shape::Choice(choices) => format!("one of {}", choices.len()),
        Shape::Object => "object".to_owned(),
        Shape::Array => "list".to_owned(),
        Shape::Variant(branches) => format!("one of {} forms", branches.len()),
        Shape::Any => "any JSON".to_owned(),
    };
    let mut range = |low: &str, high: &str, unit: &str| {
        let (low, high) = (schema.get(low), schema.get(high));
        if low.is_some() || high.is_some() {
            let part = |bound: Option<&Value>| bound.map(ToString::to_string).unwrap_or_default();
            words.push_str(&format!(" {}..{}{unit}", part(low), part(high)));
        }
    };
    range("minimum", "maximum", "");
    range("exclusiveMinimum", "exclusiveMaximum", " exclusive");
    range("minLength", "maxLength", " letters");
    range("minItems", "maxItems", " items");
    for key in ["format", "pattern"] {
        if let Some(said) = schema.get(key).and_then(Value::as_str) {
            words.push_str(&format!(" {said}"));
        }
    }
    if let Some(step) = schema.get("multipleOf") {
        words.push_str(&format!(" in steps of {step}"));
    }
    words
}
