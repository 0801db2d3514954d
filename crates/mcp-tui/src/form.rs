//! A form from a JSON Schema: for the arguments of a tool, for what a server asks, for an answer to sampling.
//!
//! The schema shapes the fields; the last word on a value has the validator, and nothing invalid is sent without saying why.
//! Fields that were left alone are not in the output. What the schema does not know stays as it was.

use std::sync::Arc;

use crossterm::event::{Event, KeyCode, KeyEvent};
use mcp_schema::Schema;
use ratatui_textarea::TextArea;
use serde_json::Value;
use tui_input::{Input, backend::crossterm::EventHandler as _};

use crate::keymap::{Action, Context};

mod node;
mod shape;
mod view;

use node::{Name, Node, State, escaped};
use shape::Shape;

/// What the form is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Arguments of a tool or a prompt.
    Call,
    /// A server asks the user; it may be declined.
    Elicitation,
    /// A server asks for a model's answer; it may be declined.
    Sampling,
}

/// What came of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Still open.
    Open,
    /// Sent: the JSON text.
    Sent(String),
    /// The server is told no.
    Declined,
    /// Left.
    Cancelled,
    /// The JSON text is to be edited outside; [`Form::set_raw`] takes it back.
    External(String),
}

/// The form.
#[derive(Clone, Debug)]
pub struct Form {
    title: String,
    purpose: Purpose,
    schema: Arc<Schema>,
    root: Node,
    cursor: usize,
    top: std::cell::Cell<usize>,
    raw: Option<Box<TextArea<'static>>>,
    /// Where and what.
    faults: Vec<(String, String)>,
    /// Why it was not sent.
    refusal: Option<String>,
    was_tried: bool,
    reveals: bool,
}

/// Of one value no more is said.
const MOST_PROBLEMS: usize = 1000;

/// A line of the form: the way to its field.
#[derive(Clone, Debug)]
struct Place {
    way: Vec<usize>,
    depth: u16,
    pointer: String,
}

impl Form {
    /// A form for a schema, filled from the JSON text of an object.
    pub fn new(title: impl Into<String>, purpose: Purpose, schema: Value, filled: Option<&str>) -> Self {
        let mut root = Node::new(&schema, &schema, Name::Root, true, 0);
        if matches!(root.shape, Shape::Any) && filled.is_none_or(|text| text.trim_start().starts_with('{')) {
            root.shape = Shape::Object;
            root.state = State::Unbuilt;
        }
        root.build(&schema, 0);
        (root.is_open, root.is_set) = (true, true);
        if let Some(text) = filled.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()) {
            root.load(&schema, text, 0);
            root.is_open = true;
        }
        let mut form = Self {
            title: title.into(),
            purpose,
            schema: Arc::new(Schema::with_formats(schema)),
            root,
            cursor: 0,
            top: std::cell::Cell::new(0),
            raw: None,
            faults: Vec::new(),
            refusal: None,
            was_tried: false,
            reveals: false,
        };
        form.check();
        form
    }

    /// The context of the keymap that holds now.
    pub fn context(&self) -> Context {
        if self.raw.is_some() { Context::Editor } else { Context::Form }
    }

    /// The JSON text as it stands.
    pub fn text(&self) -> String {
        match &self.raw {
            Some(editor) => editor.lines().join("\n"),
            None => self.written(None).0,
        }
    }

    /// What is wrong: JSON pointer and reason.
    pub fn faults(&self) -> &[(String, String)] {
        &self.faults
    }

    /// Text from outside takes the place of what is in the raw editor.
    pub fn set_raw(&mut self, text: &str) {
        self.raw = Some(Box::new(editor(text)));
        self.check();
    }

    /// Takes a key that is text, or edits it.
    pub fn key(&mut self, event: KeyEvent) -> Outcome {
        if let Some(raw) = &mut self.raw {
            if raw.input(event) {
                self.refusal = None;
                self.check();
            }
            return Outcome::Open;
        }
        if let KeyCode::Char(letter) = event.code
            && letter != ' '
            && self.takes_line(letter)
        {
            return self.key(event);
        }
        let Some(node) = self.current() else { return Outcome::Open };
        if let Name::Added(name, true) = &mut node.name {
            name.handle_event(&Event::Key(event));
            self.check();
            return Outcome::Open;
        }
        match (&mut node.state, event.code) {
            (State::Line(input), _) => {
                let before = input.value().len();
                let change = input.handle_event(&Event::Key(event));
                if change.is_some_and(|change| change.value) || input.value().len() != before {
                    // An emptied optional field is left out again; an empty string can be had by the raw text.
                    node.is_set = !input.value().is_empty();
                    (node.is_null, node.is_touched) = (false, true);
                }
            }
            (_, KeyCode::Char(' ') | KeyCode::Right) => self.turn(1),
            (_, KeyCode::Left) => self.turn(-1),
            _ => {}
        }
        self.changed();
        Outcome::Open
    }

    /// Somebody types where one of several forms is to be chosen first: takes the form that fits, and goes to its line.
    fn takes_line(&mut self, letter: char) -> bool {
        let schema = self.schema.clone();
        let schema = schema.value();
        let depth = self.places().get(self.cursor).map_or(0, |place| place.way.len());
        let Some(node) = self.current() else { return false };
        let (Shape::Variant(branches), false) = (&node.shape, matches!(node.name, Name::Added(_, true))) else { return false };
        let is_number = letter.is_ascii_digit() || letter == '-';
        let mut best = None;
        for at in 0..branches.len() {
            node.choose(schema, at, depth);
            let State::Variant(_, inner) = &node.state else { continue };
            if matches!(inner.state, State::Line(_)) {
                let fits = matches!(inner.shape, Shape::Number) == is_number;
                if fits || best.is_none() {
                    best = Some(at);
                }
                if fits {
                    break;
                }
            }
        }
        let Some(best) = best else {
            node.state = State::Unbuilt;
            return false;
        };
        node.choose(schema, best, depth);
        (node.is_set, node.is_null, node.is_open, node.is_touched) = (true, false, true, true);
        self.cursor += 1;
        true
    }

    /// Takes pasted text.
    pub fn paste(&mut self, pasted: &str) {
        if let Some(raw) = &mut self.raw {
            raw.insert_str(harmless(pasted));
        } else if let Some(node) = self.current()
            && let State::Line(input) = &mut node.state
        {
            let line = format!("{}{pasted}", input.value());
            (node.is_set, node.is_null, node.is_touched) = (!line.is_empty(), false, true);
            *input = Input::new(line);
        }
        self.changed();
    }

    /// Takes an action.
    pub fn update(&mut self, action: Action) -> Outcome {
        match action {
            Action::Send => return self.send(),
            Action::Decline if self.purpose != Purpose::Call => return Outcome::Declined,
            Action::Back => return Outcome::Cancelled,
            Action::External | Action::ToggleRaw if self.hides_a_secret() => {
                self.refusal = Some("no JSON shown: it holds a secret; ctrl-g shows secrets".to_owned());
                return Outcome::Open;
            }
            Action::External => return Outcome::External(self.text()),
            Action::ToggleRaw => self.toggle_raw(),
            Action::Reveal => self.reveals = !self.reveals,
            Action::NextField | Action::PreviousField | Action::PageUp | Action::PageDown => {
                if let Some(node) = self.current() {
                    node.is_touched = true;
                    if let Name::Added(_, is_typed) = &mut node.name
                        && *is_typed
                        && action == Action::NextField
                    {
                        *is_typed = false;
                        self.changed();
                        return Outcome::Open;
                    }
                }
                let last = self.places().len().saturating_sub(1);
                self.cursor = match action {
                    Action::NextField => self.cursor + 1,
                    Action::PreviousField => self.cursor.saturating_sub(1),
                    Action::PageUp => self.cursor.saturating_sub(10),
                    _ => self.cursor + 10,
                }
                .min(last);
            }
            Action::Open => return self.open(),
            Action::AddItem => self.add(),
            Action::RemoveItem => self.remove(),
            Action::MoveItemUp => self.shift(false),
            Action::MoveItemDown => self.shift(true),
            Action::ClearField => {
                if let Some(node) = self.current() {
                    // First out, then `null` where that is allowed, then out again.
                    let was_out = !node.is_set;
                    node.is_null = was_out && node.is_nullable;
                    node.is_set = node.is_null;
                    node.is_touched = true;
                    if let State::Line(input) = &mut node.state {
                        *input = Input::default();
                    }
                }
            }
            _ => return Outcome::Open,
        }
        self.changed();
        Outcome::Open
    }

    fn open(&mut self) -> Outcome {
        let schema = self.schema.clone();
        let schema = schema.value();
        let depth = self.places().get(self.cursor).map_or(0, |place| place.way.len());
        let Some(node) = self.current() else { return Outcome::Open };
        if let Name::Added(_, true) = node.name {
            return self.update(Action::NextField);
        }
        match node.shape {
            Shape::Object | Shape::Array => {
                node.build(schema, depth);
                if node.is_set {
                    node.is_open = !node.is_open;
                } else {
                    (node.is_set, node.is_open, node.is_null) = (true, true, false);
                }
            }
            Shape::Bool | Shape::Choice(_) | Shape::Variant(_) => self.turn(1),
            _ => return self.update(Action::NextField),
        }
        self.changed();
        Outcome::Open
    }

    /// To the next value of a choice, past the last to `null` or out, and round.
    fn turn(&mut self, step: isize) {
        let schema = self.schema.clone();
        let schema = schema.value();
        let depth = self.places().get(self.cursor).map_or(0, |place| place.way.len());
        let Some(node) = self.current() else { return };
        let count = match &node.shape {
            Shape::Bool => 2,
            Shape::Choice(choices) => choices.len(),
            Shape::Variant(branches) => branches.len(),
            _ => return,
        };
        let null = usize::from(node.is_nullable);
        let out = usize::from(!node.is_required);
        let now = match &node.state {
            _ if !node.is_set => None,
            _ if node.is_null => Some(count),
            State::Ticked(is_ticked) => Some(usize::from(!*is_ticked)),
            State::Chosen(at) | State::Variant(at, _) => Some(*at),
            _ => None,
        };
        let total = count + null + out;
        let next = match (now, step > 0) {
            (None, true) => 0,
            (None, false) => total - 1 - out,
            (Some(at), true) => (at + 1) % total,
            (Some(at), false) => (at + total - 1) % total,
        };
        node.is_touched = true;
        node.is_set = next < count + null;
        node.is_null = next == count && null == 1;
        if next < count {
            match node.shape {
                Shape::Bool => node.state = State::Ticked(next == 0),
                Shape::Choice(_) => node.state = State::Chosen(next),
                _ => {
                    node.choose(schema, next, depth);
                    node.is_open = true;
                }
            }
        }
    }

    fn add(&mut self) {
        let schema = self.schema.clone();
        let schema = schema.value();
        let Some(place) = self.places().get(self.cursor).cloned() else {
            // An empty form: keys go to the object itself.
            if self.root.add(schema, 0).is_some() {
                self.cursor = 0;
            }
            return;
        };
        // On a list or object: inside it. On a field of one: beside it.
        for cut in [place.way.len(), place.way.len().saturating_sub(1)] {
            let way = &place.way[..cut];
            let Some(node) = self.at_mut(way) else { continue };
            if let Some(child) = node.add(schema, cut) {
                let mut wanted = way.to_vec();
                wanted.push(child);
                self.go(&wanted);
                return;
            }
        }
    }

    fn remove(&mut self) {
        let Some(place) = self.places().get(self.cursor).cloned() else { return };
        let Some((last, way)) = place.way.split_last() else { return };
        let Some(parent) = self.at_mut(way) else { return };
        match &mut parent.state {
            State::Items(items) => _ = items.remove(*last),
            State::Members(members, _) if matches!(members[*last].name, Name::Added(..)) => _ = members.remove(*last),
            State::Members(members, _) => (members[*last].is_set, members[*last].is_touched) = (false, true),
            _ => {}
        }
        parent.number_items();
        self.cursor = self.cursor.min(self.places().len().saturating_sub(1));
    }

    fn shift(&mut self, is_down: bool) {
        let Some(place) = self.places().get(self.cursor).cloned() else { return };
        let Some((last, way)) = place.way.split_last() else { return };
        let Some(parent) = self.at_mut(way) else { return };
        let State::Items(items) = &mut parent.state else { return };
        let other = if is_down { last + 1 } else { last.wrapping_sub(1) };
        if other < items.len() {
            items.swap(*last, other);
            parent.number_items();
            let mut wanted = way.to_vec();
            wanted.push(other);
            self.go(&wanted);
        }
    }

    fn toggle_raw(&mut self) {
        if self.raw.is_none() {
            self.raw = Some(Box::new(editor(&self.written(Some(0)).0)));
            self.refusal = None;
            return;
        }
        let text = self.text();
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => {
                let mut root = Node::new(self.schema.value(), self.schema.value(), Name::Root, true, 0);
                if matches!(root.shape, Shape::Any) && text.trim_start().starts_with('{') {
                    root.shape = Shape::Object;
                }
                root.state = State::Unbuilt;
                root.load(self.schema.value(), &text, 0);
                (root.is_open, root.is_set) = (true, true);
                self.root = root;
                self.raw = None;
                self.cursor = self.cursor.min(self.places().len().saturating_sub(1));
            }
            Err(error) => self.refusal = Some(format!("no JSON yet: {error}")),
        }
    }

    fn send(&mut self) -> Outcome {
        self.was_tried = true;
        self.check();
        let Some((pointer, why)) = self.faults.first().cloned() else { return Outcome::Sent(self.text()) };
        self.refusal = Some(format!("not sent: {}: {why}", if pointer.is_empty() { "the whole" } else { &pointer }));
        // The cursor goes to the fault, or to what contains it.
        let places = self.places();
        let inside = |place: &Place| pointer == place.pointer || pointer.starts_with(&format!("{}/", place.pointer));
        if let Some(at) = (0..places.len()).filter(|at| inside(&places[*at])).max_by_key(|at| places[*at].pointer.len()) {
            self.cursor = at;
        }
        Outcome::Open
    }

    fn changed(&mut self) {
        self.refusal = self.refusal.take().filter(|why| why.starts_with("no JSON"));
        self.check();
    }

    /// Whether the JSON text would show what the fields mask.
    fn hides_a_secret(&self) -> bool {
        fn holds(node: &Node) -> bool {
            node.is_set && (matches!(node.shape, Shape::Text { is_secret: true }) || node.children().iter().any(holds))
        }
        self.raw.is_none() && !self.reveals && holds(&self.root)
    }

    fn written(&self, indent: Option<usize>) -> (String, Vec<(String, String)>) {
        let mut out = String::new();
        let mut faults = Vec::new();
        self.root.write(&mut out, indent, "", &mut faults);
        (out, faults)
    }

    fn check(&mut self) {
        let (text, mut faults) = match &self.raw {
            Some(editor) => (editor.lines().join("\n"), Vec::new()),
            None => self.written(None),
        };
        match serde_json::from_str::<Value>(&text) {
            Err(error) => faults.push((String::new(), format!("no JSON: {error}"))),
            Ok(value) => {
                for mut problem in self.schema.problems(&value, MOST_PROBLEMS, &|_| false) {
                    if let Some(missing) = &problem.missing {
                        problem.pointer.push('/');
                        problem.pointer.push_str(&escaped(missing));
                        "required".clone_into(&mut problem.message);
                    }
                    // What could not be written has its reason already.
                    if !faults.iter().any(|(known, _)| *known == problem.pointer) {
                        faults.push((problem.pointer, problem.message));
                    }
                }
            }
        }
        self.faults = faults;
    }

    fn places(&self) -> Vec<Place> {
        fn walk(node: &Node, way: &[usize], depth: u16, pointer: &str, out: &mut Vec<Place>) {
            if !node.is_open || !node.is_set || node.is_null {
                return;
            }
            for (at, child) in node.children().iter().enumerate() {
                let mut inner = way.to_vec();
                inner.push(at);
                let pointer = match (&node.state, &child.name) {
                    (State::Variant(..), _) => pointer.to_owned(),
                    (_, Name::Item(number)) => format!("{pointer}/{number}"),
                    _ => format!("{pointer}/{}", escaped(child.key())),
                };
                // The chosen form of several stands on the line of the choice, unless it is a line of its own.
                let is_shown = !(matches!(node.state, State::Variant(..)) && matches!(child.shape, Shape::Object));
                if is_shown {
                    out.push(Place { way: inner.clone(), depth, pointer: pointer.clone() });
                }
                walk(child, &inner, if is_shown { depth + 1 } else { depth }, &pointer, out);
            }
        }
        let mut out = Vec::new();
        if matches!(self.root.state, State::Variant(..) | State::Items(_) | State::Members(..)) {
            if !matches!(self.root.state, State::Members(..)) {
                out.push(Place { way: Vec::new(), depth: 0, pointer: String::new() });
            }
            walk(&self.root, &[], 0, "", &mut out);
        } else {
            out.push(Place { way: Vec::new(), depth: 0, pointer: String::new() });
        }
        out
    }

    fn at(&self, way: &[usize]) -> Option<&Node> {
        way.iter().try_fold(&self.root, |node, at| node.children().get(*at))
    }

    fn at_mut(&mut self, way: &[usize]) -> Option<&mut Node> {
        way.iter().try_fold(&mut self.root, |node, at| node.child_mut(*at))
    }

    fn current(&mut self) -> Option<&mut Node> {
        let place = self.places().get(self.cursor)?.clone();
        self.at_mut(&place.way)
    }

    fn go(&mut self, way: &[usize]) {
        if let Some(at) = self.places().iter().position(|place| place.way == way) {
            self.cursor = at;
        }
    }
}

fn editor(text: &str) -> TextArea<'static> {
    let mut editor = TextArea::new(harmless(text).lines().map(str::to_owned).collect());
    editor.set_cursor_line_style(ratatui::style::Style::new());
    editor
}

/// JSON text with everything unseen as `\u….`: in a string that means the same, elsewhere it was no JSON before.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let mut letter = [0; 4];
        let is_seen = matches!(c, '\n' | '\t') || crate::text::visible(c.encode_utf8(&mut letter)).starts_with(c);
        if is_seen {
            out.push(c);
        } else if c != '\r' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
