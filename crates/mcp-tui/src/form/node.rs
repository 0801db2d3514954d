//! The fields of a form and what stands in them. Values keep their spelling from the text they came from.

use mcp_wire::object;
use serde_json::Value;
use tui_input::Input;

use super::shape::{Shape, item_schema, shape_of};

/// Required objects deeper than this are made when they are opened: a schema may contain itself.
const EAGER: usize = 6;
/// A choice nested deeper than this is edited as JSON.
const DEEPEST: usize = 40;

/// A field.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: Name,
    pub(super) shape: Shape,
    pub(super) schema: Value,
    pub(super) is_required: bool,
    pub(super) is_nullable: bool,
    /// Whether it is in the output.
    pub(super) is_set: bool,
    pub(super) is_null: bool,
    pub(super) is_open: bool,
    pub(super) is_touched: bool,
    pub(super) state: State,
}

/// How a field is called.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Root,
    Member(String),
    /// A key the user adds; `true` while it is typed.
    Added(Input, bool),
    Item(usize),
}

/// What stands in it.
#[derive(Clone, Debug)]
pub(super) enum State {
    Line(Input),
    Ticked(bool),
    Chosen(usize),
    /// Fields, and members the schema does not know: key and text.
    Members(Vec<Node>, Vec<(String, String)>),
    Items(Vec<Node>),
    Variant(usize, Box<Node>),
    /// An object that nobody opened yet.
    Unbuilt,
}

impl Node {
    pub(super) fn new(root: &Value, schema: &Value, name: Name, is_required: bool, depth: usize) -> Self {
        let (shape, is_nullable, schema) = shape_of(root, schema);
        let state = match &shape {
            Shape::Text { .. } | Shape::Number | Shape::Any => State::Line(Input::default()),
            Shape::Bool => State::Ticked(false),
            Shape::Choice(_) => State::Chosen(0),
            Shape::Array => State::Items(Vec::new()),
            Shape::Object | Shape::Variant(_) => State::Unbuilt,
        };
        let is_single = matches!(&shape, Shape::Choice(choices) if choices.len() == 1);
        let default = schema.get("default").map(ToString::to_string);
        let mut node = Self {
            name,
            shape,
            schema,
            is_required,
            is_nullable,
            is_set: is_required && is_single,
            is_null: false,
            is_open: false,
            is_touched: false,
            state,
        };
        if let Some(default) = default {
            node.load(root, &default, depth);
        } else if is_required && depth < EAGER && matches!(node.shape, Shape::Object | Shape::Array) {
            node.build(root, depth);
            node.is_set = true;
            node.is_open = true;
        }
        node
    }

    /// Makes the fields inside.
    pub(super) fn build(&mut self, root: &Value, depth: usize) {
        if !matches!(self.state, State::Unbuilt) {
            return;
        }
        match &self.shape {
            Shape::Object => {
                let required: Vec<&str> = self
                    .schema
                    .get("required")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let fields = self.schema.get("properties").and_then(Value::as_object).into_iter().flatten();
                let nodes = fields
                    .map(|(key, schema)| {
                        Self::new(root, schema, Name::Member(key.clone()), required.contains(&key.as_str()), depth + 1)
                    })
                    .collect();
                self.state = State::Members(nodes, Vec::new());
            }
            Shape::Variant(_) => self.choose(root, 0, depth),
            _ => {}
        }
    }

    /// Another of several forms.
    pub(super) fn choose(&mut self, root: &Value, at: usize, depth: usize) {
        let Shape::Variant(branches) = &self.shape else { return };
        let Some(branch) = branches.get(at) else { return };
        let mut inner = Self::new(root, &branch.schema, Name::Root, true, depth + 1);
        // The first form of several may be the same choice once more, without end.
        if depth < EAGER {
            inner.build(root, depth + 1);
        }
        inner.is_open = true;
        self.state = State::Variant(at, Box::new(inner));
    }

    /// Whether a key may be added.
    pub(super) fn takes_keys(&self) -> bool {
        matches!(self.shape, Shape::Object) && self.schema.get("additionalProperties") != Some(&Value::Bool(false))
    }

    /// Adds an item or a key; gives its place.
    pub(super) fn add(&mut self, root: &Value, depth: usize) -> Option<usize> {
        let takes_keys = self.takes_keys();
        self.build(root, depth);
        let place = match &mut self.state {
            State::Items(items) => {
                let at = items.len();
                items.push(Self::new(root, &item_schema(&self.schema, at), Name::Item(at), true, depth + 1));
                at
            }
            State::Members(members, _) if takes_keys => {
                let schema = self.schema.get("additionalProperties").filter(|s| s.is_object()).cloned().unwrap_or_default();
                members.push(Self::new(root, &schema, Name::Added(Input::default(), true), true, depth + 1));
                members.len() - 1
            }
            _ => return None,
        };
        (self.is_set, self.is_open, self.is_null) = (true, true, false);
        Some(place)
    }

    pub(super) fn number_items(&mut self) {
        if let State::Items(items) = &mut self.state {
            for (at, item) in items.iter_mut().enumerate() {
                item.name = Name::Item(at);
            }
        }
    }

    /// The key in the output.
    pub(super) fn key(&self) -> &str {
        match &self.name {
            Name::Member(key) => key,
            Name::Added(input, _) => input.value(),
            Name::Root | Name::Item(_) => "",
        }
    }

    pub(super) fn children(&self) -> &[Self] {
        match &self.state {
            State::Members(nodes, _) | State::Items(nodes) => nodes,
            State::Variant(_, inner) => std::slice::from_ref(inner),
            _ => &[],
        }
    }

    pub(super) fn child_mut(&mut self, at: usize) -> Option<&mut Self> {
        match &mut self.state {
            State::Members(nodes, _) | State::Items(nodes) => nodes.get_mut(at),
            State::Variant(_, inner) => Some(inner),
            _ => None,
        }
    }

    /// Takes a value from its JSON text.
    pub(super) fn load(&mut self, root: &Value, value: &str, depth: usize) {
        let value = value.trim();
        self.is_set = true;
        if value == "null" && self.is_nullable {
            self.is_null = true;
            return;
        }
        self.is_null = false;
        match &self.shape {
            Shape::Text { .. } => match serde_json::from_str::<String>(value) {
                Ok(text) => self.state = State::Line(Input::new(text)),
                Err(_) => self.become_any(value),
            },
            Shape::Number if value.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
                self.state = State::Line(Input::new(value.to_owned()));
            }
            Shape::Bool if value == "true" || value == "false" => self.state = State::Ticked(value == "true"),
            Shape::Choice(choices) => {
                let meant = serde_json::from_str::<Value>(value).ok();
                match choices.iter().position(|(_, text)| serde_json::from_str::<Value>(text).ok() == meant) {
                    Some(at) => self.state = State::Chosen(at),
                    None => self.become_any(value),
                }
            }
            Shape::Object if value.starts_with('{') => {
                self.state = State::Unbuilt;
                self.build(root, depth);
                self.is_open = depth < EAGER;
                let additional = self.schema.get("additionalProperties").filter(|s| s.is_object()).cloned();
                let State::Members(nodes, unknown) = &mut self.state else { return };
                for node in nodes.iter_mut() {
                    node.is_set = false;
                    node.is_null = false;
                }
                for member in object::members(value) {
                    let text = &value[member.value_span];
                    if let Some(node) = nodes.iter_mut().find(|node| node.key() == member.key) {
                        node.load(root, text, depth + 1);
                    } else if let Some(schema) = &additional {
                        let name = Name::Added(Input::new(member.key.to_string()), false);
                        let mut node = Self::new(root, schema, name, true, depth + 1);
                        node.load(root, text, depth + 1);
                        nodes.push(node);
                    } else {
                        unknown.push((member.key.into_owned(), text.to_owned()));
                    }
                }
            }
            Shape::Array if value.starts_with('[') => {
                let items = object::elements(value).enumerate().map(|(at, span)| {
                    let mut node = Self::new(root, &item_schema(&self.schema, at), Name::Item(at), true, depth + 1);
                    node.load(root, &value[span], depth + 1);
                    node
                });
                self.state = State::Items(items.collect());
                self.is_open = depth < EAGER;
            }
            // A choice whose forms are the same choice again has no end.
            Shape::Variant(_) if depth > DEEPEST => self.become_any(value),
            Shape::Variant(branches) => {
                let parsed: Option<Value> = serde_json::from_str(value).ok();
                let fits = |schema: &Value| {
                    // A branch refers to definitions of the whole.
                    let mut whole = schema.clone();
                    if let Some(object) = whole.as_object_mut() {
                        for key in ["$defs", "definitions"] {
                            if let Some(definitions) = root.get(key) {
                                object.insert(key.to_owned(), definitions.clone());
                            }
                        }
                    }
                    parsed.as_ref().is_some_and(|v| mcp_schema::Schema::with_formats(whole).accepts(v))
                };
                let at = branches.iter().position(|branch| fits(&branch.schema)).unwrap_or(0);
                self.choose(root, at, depth);
                self.is_open = true;
                if let State::Variant(_, inner) = &mut self.state {
                    inner.load(root, value, depth + 1);
                }
            }
            Shape::Any => self.state = State::Line(Input::new(value.to_owned())),
            Shape::Number | Shape::Bool | Shape::Object | Shape::Array => self.become_any(value),
        }
    }

    /// A value that does not fit its schema is kept and shown as JSON.
    fn become_any(&mut self, value: &str) {
        self.shape = Shape::Any;
        self.state = State::Line(Input::new(value.to_owned()));
    }

    /// The JSON text, and what cannot be said in JSON.
    pub(super) fn write(&self, out: &mut String, indent: Option<usize>, pointer: &str, faults: &mut Vec<(String, String)>) {
        let line = |out: &mut String, depth: usize| {
            if indent.is_some() {
                out.push('\n');
                out.extend(std::iter::repeat_n("  ", depth));
            }
        };
        let depth = indent.unwrap_or(0);
        let deeper = indent.map(|depth| depth + 1);
        if self.is_null {
            out.push_str("null");
            return;
        }
        match &self.state {
            State::Line(input) => match &self.shape {
                Shape::Text { .. } => out.push_str(&Value::from(input.value()).to_string()),
                shape => {
                    let text = input.value().trim();
                    let is_number = matches!(shape, Shape::Number);
                    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err()
                        || (is_number && !text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']))
                    {
                        let what = if is_number { "this is no number" } else { "this is no JSON; text needs quotes" };
                        faults.push((pointer.to_owned(), what.to_owned()));
                        out.push_str("null");
                    } else {
                        out.push_str(text);
                    }
                }
            },
            State::Ticked(is_ticked) => out.push_str(if *is_ticked { "true" } else { "false" }),
            State::Chosen(at) => match &self.shape {
                Shape::Choice(choices) => out.push_str(choices.get(*at).map_or("null", |(_, text)| text)),
                _ => out.push_str("null"),
            },
            State::Unbuilt => out.push_str("{}"),
            State::Variant(_, inner) => inner.write(out, indent, pointer, faults),
            State::Items(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    line(out, depth + 1);
                    item.write(out, deeper, &format!("{pointer}/{at}"), faults);
                }
                if !items.is_empty() {
                    line(out, depth);
                }
                out.push(']');
            }
            State::Members(nodes, unknown) => {
                out.push('{');
                let mut keys: Vec<&str> = Vec::new();
                let begin = |out: &mut String, key: &str| {
                    out.push_str(if out.ends_with('{') { "" } else { "," });
                    line(out, depth + 1);
                    out.push_str(&Value::from(key).to_string());
                    out.push_str(if indent.is_some() { ": " } else { ":" });
                };
                for node in nodes.iter().filter(|node| node.is_set) {
                    let inner = format!("{pointer}/{}", escaped(node.key()));
                    if keys.contains(&node.key()) {
                        faults.push((inner, "this key is here twice".to_owned()));
                        continue;
                    }
                    keys.push(node.key());
                    begin(out, node.key());
                    node.write(out, deeper, &inner, faults);
                }
                for (key, text) in unknown {
                    begin(out, key);
                    out.push_str(text);
                }
                if !out.ends_with('{') {
                    line(out, depth);
                }
                out.push('}');
            }
        }
    }
}

/// A key in a JSON pointer.
pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
