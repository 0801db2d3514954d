use serde_json::json;

use super::*;
use crate::{
    keymap::{Keymap, Press},
    testing::{event, letters, shot, shots},
    text::tests::HOSTILE,
    theme::Theme,
};

fn form(schema: Value) -> Form {
    Form::new("search_issues", Purpose::Call, schema, None)
}

/// Keys as in the table; what is in quotes is typed letter by letter.
fn feed(form: &mut Form, script: &str) -> Outcome {
    let mut keymap = Keymap::default();
    let mut last = Outcome::Open;
    for (at, part) in script.split('"').enumerate() {
        let keys: Vec<String> = if at % 2 == 1 {
            part.chars().map(|c| if c == ' ' { "space".into() } else { c.to_string() }).collect()
        } else {
            part.split_whitespace().map(str::to_owned).collect()
        };
        for key in keys {
            last = match keymap.press(&[form.context()], event(&key)) {
                Press::Action(action, _) => form.update(action),
                Press::Text(event) => form.key(event),
                other => panic!("{key}: {other:?}"),
            };
        }
    }
    last
}

fn schema() -> Value {
    json!({
        "type": "object", "required": ["query", "limit"], "additionalProperties": false,
        "description": "Searches issues.\nAll of them.",
        "properties": {
            "query": {"type": "string", "minLength": 2, "description": "What to look for"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 30},
            "state": {"enum": ["open", "closed"], "default": "open"},
            "exact": {"type": "boolean"},
            "since": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "token": {"type": "string", "format": "password"},
            "labels": {"type": "array", "items": {"type": "string"}},
            "owner": {"type": "object", "properties": {"login": {"type": "string"}}, "required": ["login"]},
            "sort": {"oneOf": [{"title": "by field", "type": "object", "properties": {"by": {"type": "string"}}}, {"type": "string"}]},
            "tree": {"$ref": "#/$defs/node"},
        },
        "$defs": {"node": {"type": "object", "properties": {"name": {"type": "string"}, "child": {"$ref": "#/$defs/node"}}}},
    })
}

#[test]
fn looks_right_at_every_size_with_and_without_colour() {
    let mut form = form(schema());
    feed(&mut form, "\"panic in parser\" tab \"50\" tab tab enter tab ctrl-u ctrl-u tab \"secret\" tab ctrl-n \"bug\"");
    shots("form", |area, buffer, theme| _ = form.draw(area, buffer, theme));
    feed(&mut form, "ctrl-s");
    shots("form_refused", |area, buffer, theme| _ = form.draw(area, buffer, theme));
    feed(&mut form, "ctrl-g ctrl-t");
    shots("form_raw", |area, buffer, theme| _ = form.draw(area, buffer, theme));
}

#[test]
fn what_was_left_alone_is_not_sent() {
    let mut form = form(schema());
    assert_eq!(feed(&mut form, "\"ab\" tab \"7\" ctrl-s"), Outcome::Sent(r#"{"query":"ab","limit":7,"state":"open"}"#.into()));
}

#[test]
fn nothing_invalid_is_sent_and_the_reason_is_at_the_field() {
    let mut form = form(schema());
    assert_eq!(feed(&mut form, "ctrl-s"), Outcome::Open);
    assert_eq!(form.faults(), [("/query".into(), "required".into()), ("/limit".into(), "required".into())]);
    feed(&mut form, "\"panic\" tab \"50\" ctrl-s");
    assert_eq!(form.faults().len(), 1);
    assert_eq!(form.faults()[0].0, "/limit");
    let seen = letters(&shot(100, 20, Theme::default(), |a, b, t| _ = form.draw(a, b, t)));
    let line = seen.lines().find(|line| line.contains("limit*")).unwrap();
    assert!(line.contains("it is greater than the maximum of 30"), "{seen}");
    assert!(seen.contains("not sent: /limit"), "{seen}");
    feed(&mut form, "backspace backspace \"1x\" ctrl-s");
    assert_eq!(form.faults()[0].1, "this is no number");
    assert!(matches!(feed(&mut form, "backspace ctrl-s"), Outcome::Sent(_)));
}

#[test]
fn formats_are_checked_and_null_can_be_chosen() {
    let mut form = form(json!({"type": "object", "properties": {"since": {"type": ["string", "null"], "format": "date"}}}));
    feed(&mut form, "\"soon\"");
    assert_eq!(form.faults()[0].0, "/since");
    feed(&mut form, "ctrl-u");
    assert_eq!(form.text(), "{}");
    feed(&mut form, "ctrl-u");
    assert_eq!(form.text(), r#"{"since":null}"#);
    feed(&mut form, "\"2026-11-24\"");
    assert_eq!((form.text().as_str(), form.faults().len()), (r#"{"since":"2026-11-24"}"#, 0));
}

#[test]
fn lists_grow_shrink_and_change_their_order() {
    let mut form = form(json!({"type": "object", "properties": {"l": {"type": "array", "items": {"type": "integer"}}}}));
    feed(&mut form, "ctrl-n \"1\" ctrl-n \"2\" ctrl-n \"3\"");
    assert_eq!(form.text(), r#"{"l":[1,2,3]}"#);
    feed(&mut form, "alt-up alt-up");
    assert_eq!(form.text(), r#"{"l":[3,1,2]}"#);
    feed(&mut form, "down ctrl-x");
    assert_eq!(form.text(), r#"{"l":[3,2]}"#);
    feed(&mut form, "alt-down");
    assert_eq!(form.text(), r#"{"l":[3,2]}"#);
}

#[test]
fn choices_turn_through_values_and_out() {
    let mut form = form(json!({"type": "object", "properties": {
        "b": {"type": "boolean"}, "e": {"enum": ["x", 2, null], "type": ["string", "integer", "null"]}, "c": {"const": 5}}}));
    let mut seen = Vec::new();
    for _ in 0..3 {
        feed(&mut form, "space");
        seen.push(form.text());
    }
    assert_eq!(seen, [r#"{"b":true}"#, r#"{"b":false}"#, "{}"]);
    feed(&mut form, "left");
    assert_eq!(form.text(), r#"{"b":false}"#);
}

#[test]
fn unknown_members_and_spelling_survive_the_raw_text() {
    let text = r#"{"query":"ab","limit":7.0,"other":{"x":1.50,"y":[1e3]},"token":12345678901234567890123}"#;
    let mut schema = schema();
    schema.as_object_mut().unwrap().remove("additionalProperties");
    let mut form = Form::new("t", Purpose::Call, schema, Some(text));
    feed(&mut form, "ctrl-t");
    assert_eq!(form.context(), Context::Editor);
    feed(&mut form, "ctrl-t");
    assert_eq!(form.text(), r#"{"query":"ab","limit":7.0,"token":12345678901234567890123,"other":{"x":1.50,"y":[1e3]}}"#);
    feed(&mut form, "ctrl-t \"!\" ctrl-t");
    assert_eq!(form.context(), Context::Editor);
    assert!(matches!(feed(&mut form, "ctrl-s"), Outcome::Open));
}

#[test]
fn a_schema_that_contains_itself_opens_as_far_as_one_goes() {
    let mut form = form(json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "required": ["n"],
        "properties": {"n": {"$ref": "#/$defs/n"}, "v": {"type": "integer"}}}}}));
    assert!(form.places().len() < 50);
    feed(&mut form, "ctrl-s");
    assert!(!form.faults().is_empty());
    for schema in [
        json!({"$ref": "#"}),
        json!({"$ref": "#/a"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}),
    ] {
        let form = Form::new("t", Purpose::Call, schema, Some("{}"));
        shot(80, 24, Theme::default(), |a, b, t| _ = form.draw(a, b, t));
    }
}

#[test]
fn keys_can_be_added_where_the_schema_allows() {
    let mut form =
        form(json!({"type": "object", "properties": {"env": {"type": "object", "additionalProperties": {"type": "string"}}}}));
    feed(&mut form, "ctrl-n \"A\" enter \"1\"");
    assert_eq!(form.text(), r#"{"env":{"A":"1"}}"#);
    feed(&mut form, "ctrl-n \"A\" enter \"2\"");
    assert_eq!(form.faults()[0].1, "this key is here twice");
    feed(&mut form, "ctrl-x");
    assert!(form.faults().is_empty());
}

#[test]
fn branches_have_fields_of_their_own() {
    let mut form = form(json!({"type": "object", "required": ["s"], "properties": {"s": schema()["properties"]["sort"]}}));
    feed(&mut form, "space down \"x\"");
    assert_eq!(form.text(), r#"{"s":{"by":"x"}}"#);
    feed(&mut form, "up space down \"y\"");
    assert_eq!(form.text(), r#"{"s":"y"}"#);
    let filled = Form::new("t", Purpose::Call, form.schema.value().clone(), Some(r#"{"s":"z"}"#));
    assert_eq!(filled.text(), r#"{"s":"z"}"#);
}

#[test]
fn a_server_that_asks_can_be_refused() {
    let mut ask = Form::new("server asks", Purpose::Elicitation, json!({"type": "object"}), None);
    assert_eq!(feed(&mut ask, "ctrl-d"), Outcome::Declined);
    assert_eq!(feed(&mut ask, "esc"), Outcome::Cancelled);
    assert_eq!(feed(&mut ask, "ctrl-s"), Outcome::Sent("{}".into()));
    assert_eq!(feed(&mut form(json!({})), "ctrl-d"), Outcome::Open);
}

#[test]
fn secrets_are_masked_until_asked_for() {
    let mut form = form(json!({"type": "object", "properties": {"k": {"type": "string", "writeOnly": true}}}));
    feed(&mut form, "\"hunter2\"");
    let seen = |form: &Form| letters(&shot(80, 24, Theme::default(), |a, b, t| _ = form.draw(a, b, t)));
    assert!(!seen(&form).contains("hunter2"));
    feed(&mut form, "ctrl-t");
    assert_eq!(form.context(), Context::Form);
    assert!(!seen(&form).contains("hunter2") && seen(&form).contains("ctrl-g shows secrets"));
    feed(&mut form, "ctrl-g");
    assert!(seen(&form).contains("hunter2"));
}

#[test]
fn nothing_harmful_of_a_schema_or_value_reaches_the_screen() {
    let hostile = json!({"type": "object", "title": HOSTILE, "description": HOSTILE, "properties": {
        HOSTILE: {"type": "string", "description": HOSTILE, "pattern": "x"}, "e": {"enum": [HOSTILE]}}});
    let filled = json!({HOSTILE: HOSTILE, "more": HOSTILE}).to_string();
    let mut form = Form::new(HOSTILE, Purpose::Call, hostile, Some(&filled));
    feed(&mut form, "ctrl-s");
    shot(80, 24, Theme::default(), |a, b, t| _ = form.draw(a, b, t));
    feed(&mut form, "ctrl-t");
    form.paste(HOSTILE);
    shot(80, 24, Theme::default(), |a, b, t| _ = form.draw(a, b, t));
}

#[test]
fn a_broken_schema_is_said_and_does_not_stop_anybody() {
    let mut form = form(json!({"type": "object", "properties": {"a": {"type": "nonsense", "pattern": "("}}}));
    assert!(form.schema.fault().is_some());
    assert!(matches!(feed(&mut form, "ctrl-s"), Outcome::Sent(_)));
}

#[test]
fn typing_where_a_form_is_to_be_chosen_takes_the_one_that_fits() {
    let schema = json!({
        "type": "object", "required": ["a", "b"],
        "properties": {
            "a": {"anyOf": [{"type": "string"}, {"type": "number"}]},
            "b": {"anyOf": [{"type": "number"}, {"type": "string"}]},
        },
    });
    let mut form = form(schema);
    assert_eq!(feed(&mut form, "\"2\" tab \"x\" ctrl-s"), Outcome::Sent(r#"{"a":2,"b":"x"}"#.to_owned()));
}
