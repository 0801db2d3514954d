//! JSON Schema: what a server's schemas say of a value.
//!
//! A crate of its own for two reasons. Whoever checks a value gets the same answers and the same protection from schemas that
//! mean harm: nothing is fetched, no pattern runs away, and none leads back to itself without end. And the validator is generic
//! code that each crate that calls it would compile anew: this one is built for size, once.

use std::sync::OnceLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

mod circle;

/// A value that breaks a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer to the value (RFC 6901); to the object, if a member is missing.
    pub pointer: String,
    /// What is wrong with it. The value itself is not in there: it may be long, and secret.
    pub message: String,
    /// The member that is required and not there.
    pub missing: Option<String>,
}

/// A schema, compiled when it is first needed. Without `$schema`, or with one nobody knows, it is draft 2020-12 (MCP 2025-11-25,
/// "JSON Schema Usage").
pub struct Schema {
    value: Value,
    has_formats: bool,
    compiled: OnceLock<Result<Validator, String>>,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schema").field("value", &self.value).finish_non_exhaustive()
    }
}

impl Schema {
    /// A schema whose `format`s only describe, as the standard has it.
    pub fn new(value: Value) -> Self {
        Self { value, has_formats: false, compiled: OnceLock::new() }
    }

    /// A schema whose `format`s are checked too: for what a person types.
    pub fn with_formats(value: Value) -> Self {
        Self { has_formats: true, ..Self::new(value) }
    }

    /// As it was advertised.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Why it is no schema.
    pub fn fault(&self) -> Option<&str> {
        self.compiled().as_ref().err().map(String::as_str)
    }

    /// Whether a value keeps to it. `false` if the schema itself is broken.
    pub fn accepts(&self, value: &Value) -> bool {
        self.compiled().as_ref().is_ok_and(|validator| validator.is_valid(value))
    }

    /// What is wrong with a value, at most so much of it. Nothing, if the schema itself is broken. A part of the value that
    /// is excused is wrong in no way.
    pub fn problems(&self, value: &Value, most: usize, is_excused: &dyn Fn(&Value) -> bool) -> Vec<Problem> {
        let Ok(validator) = self.compiled() else { return Vec::new() };
        // That is quicker than the first error, and most values are good.
        if validator.is_valid(value) {
            return Vec::new();
        }
        validator
            .iter_errors(value)
            .filter(|error| !is_excused(error.instance()))
            .take(most)
            .map(|error| Problem {
                pointer: error.instance_path().as_str().to_owned(),
                missing: match error.kind() {
                    ValidationErrorKind::Required { property } => property.as_str().map(ToOwned::to_owned),
                    _ => None,
                },
                message: error.masked_with("it").to_string(),
            })
            .collect()
    }

    fn compiled(&self) -> &Result<Validator, String> {
        self.compiled.get_or_init(|| self.compile())
    }

    fn compile(&self) -> Result<Validator, String> {
        if circle::is_endless(&self.value) {
            return Err("it refers to itself without end".to_owned());
        }
        let dialect = self.value.get("$schema").and_then(Value::as_str);
        let mut options = jsonschema::options();
        if dialect.is_some_and(|dialect| !dialect.contains("json-schema.org")) {
            options = options.with_draft(Draft::Draft202012);
        }
        options
            .offline()
            .should_validate_formats(self.has_formats)
            // A pattern of a server must not hold us up.
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(100_000).size_limit(1 << 20))
            .build(&self.value)
            .map_err(|error| {
                let path = error.instance_path().as_str();
                if path.is_empty() { error.to_string() } else { format!("{path}: {error}") }
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(schema: Value, value: &Value) -> Vec<Problem> {
        Schema::new(schema).problems(value, 9, &|_| false)
    }

    #[test]
    fn a_problem_says_where_and_what_and_not_the_value() {
        let schema = json!({"properties": {"a": {"type": "array", "items": {"maximum": 3}}}, "required": ["b"]});
        let found = all(schema.clone(), &json!({"a": [1, 777]}));
        assert_eq!(found.len(), 2, "{found:?}");
        let number = found.iter().find(|problem| problem.pointer == "/a/1").expect("the number is too large");
        assert!(!number.message.contains("777") && number.message.contains('3'), "{}", number.message);
        let member = found.iter().find(|problem| problem.pointer.is_empty()).expect("a member is missing");
        assert_eq!(member.missing.as_deref(), Some("b"));
        assert_eq!(Schema::new(schema.clone()).problems(&json!({"a": [1, 777]}), 1, &|_| false).len(), 1);
        let excused = Schema::new(schema).problems(&json!({"a": [777], "b": 1}), 9, &|value| value == 777);
        assert_eq!(excused, Vec::new());
    }

    #[test]
    fn formats_count_where_they_are_asked_for() {
        let schema = json!({"type": "string", "format": "email"});
        assert!(Schema::new(schema.clone()).accepts(&json!("nobody")));
        assert!(!Schema::with_formats(schema.clone()).accepts(&json!("nobody")));
        assert!(Schema::with_formats(schema).accepts(&json!("nobody@example.com")));
    }

    #[test]
    fn what_is_no_schema_says_why_and_finds_nothing() {
        for schema in [
            json!({"type": "wrong"}),
            json!({"$ref": "#"}),
            json!({"$ref": "https://example.com/schema.json"}),
            json!({"pattern": "("}),
            json!(7),
        ] {
            let schema = Schema::new(schema);
            assert!(schema.fault().is_some_and(|why| !why.is_empty()), "{schema:?}");
            assert!(!schema.accepts(&json!({})));
            assert_eq!(schema.problems(&json!({}), 9, &|_| false), Vec::new());
        }
        assert_eq!(Schema::new(json!({"$schema": "urn:mine", "type": "object"})).fault(), None);
    }

    #[test]
    fn a_pattern_cannot_hold_us_up() {
        let schema = Schema::new(json!({"pattern": "^(?=(a+)+$)\\1b"}));
        let _ = schema.accepts(&json!("a".repeat(40)));
        assert_eq!(schema.fault(), None);
    }
}
