//! How a form looks.

use ratatui::{buffer::Buffer, layout::Rect, widgets::Widget as _};

use super::{Form, Name, Node, Place, Purpose, Shape, State, shape};
use crate::{
    popup, text,
    theme::{Glyph, Role, Theme},
};

impl Form {
    /// Draws it in a frame; gives the cursor's cell.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) -> Option<(u16, u16)> {
        let inside = popup::frame(area, &self.title, buffer, theme)?;
        let body = Rect { height: inside.height.saturating_sub(3), ..inside };
        let mut cursor = None;
        if let Some(raw) = &self.raw {
            raw.render(body, buffer);
            sweep(body, buffer);
        } else {
            cursor = self.draw_fields(body, buffer, theme);
        }
        self.draw_foot(Rect { y: body.bottom(), height: inside.height - body.height, ..inside }, buffer, theme);
        cursor
    }

    fn draw_fields(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) -> Option<(u16, u16)> {
        let places = self.places();
        if places.is_empty() && area.height > 0 {
            let words = if self.root.takes_keys() {
                "no fields; ctrl-n adds a key, ctrl-t edits the JSON"
            } else {
                "no fields; ctrl-s sends"
            };
            text::put(buffer, (area.x + 1, area.y), area.width - 1, words, theme.style(Role::Dim));
        }
        let rows = usize::from(area.height).max(1);
        let mut top = self.top.get().min(places.len().saturating_sub(rows));
        top = top.min(self.cursor).max((self.cursor + 1).saturating_sub(rows));
        self.top.set(top);
        let mut cursor = None;
        for (row, (at, place)) in places.iter().enumerate().skip(top).take(area.height.into()).enumerate() {
            let y = area.y + u16::try_from(row).unwrap_or(u16::MAX);
            let Some(node) = self.at(&place.way) else { continue };
            let cell = self.draw_field(place, node, at == self.cursor, Rect { y, height: 1, ..area }, buffer, theme);
            if at == self.cursor {
                cursor = cell;
            }
        }
        cursor
    }

    fn draw_field(
        &self,
        place: &Place,
        node: &Node,
        is_cursor: bool,
        area: Rect,
        buffer: &mut Buffer,
        theme: &Theme,
    ) -> Option<(u16, u16)> {
        let y = area.y;
        let end = area.right();
        let fault =
            self.faults.iter().find(|(pointer, _)| *pointer == place.pointer).filter(|_| self.was_tried || node.is_touched);
        if is_cursor {
            text::put(buffer, (area.x, y), 1, theme.glyph(Glyph::Cursor), theme.style(Role::Focus));
        }
        let mut x = area.x + 2 + (place.depth * 2).min(area.width / 4);
        if matches!(node.shape, Shape::Object | Shape::Array) {
            let glyph = if node.is_open && node.is_set { Glyph::Open } else { Glyph::Closed };
            text::put(buffer, (x.saturating_sub(2).max(area.x + 1), y), 1, theme.glyph(glyph), theme.style(Role::Dim));
        }
        let mut typed = None;
        let name_room = area.width / 3;
        match &node.name {
            Name::Root => x = text::put(buffer, (x, y), name_room, "value", theme.style(Role::Name)),
            Name::Item(number) => x = text::put(buffer, (x, y), name_room, &number.to_string(), theme.style(Role::Name)),
            Name::Member(key) => x = text::put(buffer, (x, y), name_room, key, theme.style(Role::Name)),
            Name::Added(input, is_typed) => {
                let begin = x;
                x = text::put(buffer, (x, y), name_room, input.value(), theme.style(Role::Name).underlined());
                if *is_typed {
                    typed = Some((x.max(begin), y));
                    x = text::put(buffer, (x, y), end.saturating_sub(x), "  key, then enter", theme.style(Role::Dim));
                }
            }
        }
        if node.is_required && !matches!(node.name, Name::Item(_) | Name::Added(..) | Name::Root) {
            x = text::put(buffer, (x, y), end.saturating_sub(x), "*", theme.style(Role::Warn));
        }
        // Values of one depth stand below each other.
        x = (x + 1).max(area.x + 2 + (place.depth * 2).min(area.width / 4) + area.width / 5).min(end);
        let (value, role) = self.value_of(node, theme);
        let begin = x;
        let note = match fault {
            Some((_, why)) => (format!("  {} {why}", theme.glyph(Glyph::Error)), Role::Error),
            None => (format!("  {}", note_of(node)), Role::Dim),
        };
        let shown = text::visible(&value).into_owned();
        let room = usize::from(end.saturating_sub(x));
        // While one types, the end of the text is what one has to see.
        let shown = if is_cursor && text::width(&shown) + 2 > room { tail(&shown, room.saturating_sub(2)) } else { shown };
        let style = if is_cursor { theme.style(role).underlined() } else { theme.style(role) };
        x = text::put(buffer, (x, y), end.saturating_sub(x), &shown, style);
        if typed.is_none() && is_cursor && matches!(node.state, State::Line(_)) {
            let back = match &node.state {
                State::Line(input) if !self.is_masked(node) => {
                    let behind: String = input.value().chars().skip(input.cursor()).collect();
                    u16::try_from(text::width(&text::visible(&behind))).unwrap_or(0)
                }
                _ => 0,
            };
            let at = if node.is_set && !node.is_null { x.saturating_sub(back).max(begin) } else { begin };
            typed = Some((at.min(end.saturating_sub(1)), y));
        }
        text::put(buffer, (x, y), end.saturating_sub(x), &note.0, theme.style(note.1));
        typed
    }

    fn is_masked(&self, node: &Node) -> bool {
        matches!(node.shape, Shape::Text { is_secret: true }) && !self.reveals
    }

    fn value_of(&self, node: &Node, theme: &Theme) -> (String, Role) {
        if node.is_null {
            return ("null".to_owned(), Role::Literal);
        }
        if !node.is_set {
            return ("(left out)".to_owned(), Role::Dim);
        }
        match (&node.state, &node.shape) {
            // Not even the length is shown.
            (State::Line(_), _) if self.is_masked(node) => ("********".to_owned(), Role::String),
            (State::Line(input), Shape::Text { .. }) => (input.value().to_owned(), Role::String),
            (State::Line(input), _) => (input.value().to_owned(), Role::Number),
            (State::Ticked(is_ticked), _) => {
                let glyph = theme.glyph(if *is_ticked { Glyph::Ticked } else { Glyph::Unticked });
                (format!("{glyph} {is_ticked}"), Role::Literal)
            }
            (State::Chosen(at), Shape::Choice(choices)) => {
                let label = choices.get(*at).map_or("?", |(label, _)| label);
                (format!("{} {label}", theme.glyph(Glyph::Chosen)), Role::String)
            }
            (State::Variant(at, _), Shape::Variant(branches)) => {
                let label = branches.get(*at).map_or("?", |branch| &branch.label);
                (format!("{} {label}", theme.glyph(Glyph::Chosen)), Role::Literal)
            }
            (State::Items(items), _) => (format!("[{}]", items.len()), Role::Dim),
            (State::Members(nodes, unknown), _) => {
                (format!("{{{}}}", nodes.iter().filter(|n| n.is_set).count() + unknown.len()), Role::Dim)
            }
            _ => ("{}".to_owned(), Role::Dim),
        }
    }

    fn draw_foot(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let mut lines: Vec<(String, Role)> = Vec::new();
        let places = self.places();
        let node = places.get(self.cursor).and_then(|place| self.at(&place.way)).filter(|_| self.raw.is_none());
        let said = node.unwrap_or(&self.root).schema.get("description").and_then(serde_json::Value::as_str).unwrap_or_default();
        lines.push((said.replace('\n', " "), Role::Text));
        let choices = node.and_then(|node| match &node.shape {
            Shape::Choice(choices) => Some(choices.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>()),
            Shape::Variant(branches) => Some(branches.iter().map(|b| b.label.as_str()).collect()),
            _ => None,
        });
        lines.push((choices.map_or_else(String::new, |all| format!("one of: {}", all.join(", "))), Role::Dim));
        lines.push(match (&self.refusal, self.schema.fault()) {
            (Some(why), _) => (format!("{} {why}", theme.glyph(Glyph::Error)), Role::Error),
            (None, Some(why)) => {
                (format!("{} nothing is checked, the schema is broken: {why}", theme.glyph(Glyph::Warn)), Role::Warn)
            }
            (None, None) if self.faults.is_empty() => (format!("{} valid", theme.glyph(Glyph::Ok)), Role::Ok),
            (None, None) if self.raw.is_some() => {
                let (pointer, why) = &self.faults[0];
                (format!("{} {pointer}: {why}", theme.glyph(Glyph::Error)), Role::Error)
            }
            (None, None) => (format!("{} to mend before it can be sent", self.faults.len()), Role::Dim),
        });
        if self.purpose != Purpose::Call {
            lines[1].0.push_str("  ctrl-s accepts, ctrl-d declines, esc cancels");
        }
        for ((line, role), y) in lines.iter().zip(area.y..area.bottom()) {
            text::put(buffer, (area.x + 1, y), area.width.saturating_sub(1), line.trim_start(), theme.style(*role));
        }
    }
}

/// What a field wants, and what else it holds.
fn note_of(node: &Node) -> String {
    let mut note = shape::in_words(&node.shape, &node.schema);
    if node.is_nullable {
        note.push_str(" or null");
    }
    if let State::Members(_, unknown) = &node.state
        && !unknown.is_empty()
    {
        note.push_str(&format!(", {} not in the schema", unknown.len()));
    }
    note
}

/// The editor draws by itself; what it was fed is harmless, and this makes sure of what was typed.
fn sweep(area: Rect, buffer: &mut Buffer) {
    for position in area.positions() {
        let symbol = buffer[position].symbol();
        if text::visible(symbol) != symbol {
            buffer[position].set_symbol("?");
        }
    }
}

/// The last cells of a text.
fn tail(shown: &str, room: usize) -> String {
    let mut kept = shown;
    while text::width(kept) > room {
        let mut letters = kept.chars();
        letters.next();
        kept = letters.as_str();
    }
    kept.to_owned()
}
