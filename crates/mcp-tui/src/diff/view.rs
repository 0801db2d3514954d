//! How a comparison looks: beside each other, or below each other.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Change, Row};
use crate::{
    keymap::Action,
    list::List,
    text,
    theme::{Glyph, Role, Theme},
};

/// Narrower than this there is no room for two sides.
const BESIDE: u16 = 80;

/// Rows of a comparison and the place one looks at.
#[derive(Clone, Debug)]
pub struct Comparison {
    rows: Vec<Row>,
    /// The rows that are shown.
    seen: Vec<usize>,
    list: List,
    names: (String, String),
    is_beside: bool,
    only_changes: bool,
}

impl Comparison {
    /// A comparison with the names of its sides.
    pub fn new(rows: Vec<Row>, left: impl Into<String>, right: impl Into<String>) -> Self {
        let mut view = Self {
            rows,
            seen: Vec::new(),
            list: List::default(),
            names: (left.into(), right.into()),
            is_beside: true,
            only_changes: false,
        };
        view.filter();
        view
    }

    /// How many rows fit.
    pub fn set_height(&mut self, rows: usize) {
        self.list.set_height(rows.saturating_sub(1));
    }

    /// How many were added, removed, changed.
    pub fn counts(&self) -> (usize, usize, usize) {
        let of = |change| self.rows.iter().filter(|row| row.change == change).count();
        (of(Change::Added), of(Change::Removed), of(Change::Changed))
    }

    /// The row under the cursor.
    pub fn selected(&self) -> Option<&Row> {
        self.list.selected().and_then(|at| self.seen.get(at)).map(|at| &self.rows[*at])
    }

    /// Takes an action; false if it is none of the comparison's.
    pub fn update(&mut self, action: Action) -> bool {
        let differs = |at: &usize| self.rows[*at].change != Change::Same;
        let now = self.list.selected().unwrap_or(0);
        match action {
            Action::NextChange => {
                if let Some(step) = self.seen.iter().skip(now + 1).position(differs) {
                    self.list.select(now + 1 + step);
                }
            }
            Action::PreviousChange => {
                if let Some(at) = self.seen[..now.min(self.seen.len())].iter().rposition(differs) {
                    self.list.select(at);
                }
            }
            Action::SideBySide => self.is_beside = !self.is_beside,
            Action::OnlyChanges => {
                self.only_changes = !self.only_changes;
                self.filter();
            }
            _ => return self.list.update(action),
        }
        true
    }

    /// The differences as text, a line each.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for row in self.rows.iter().filter(|row| row.change != Change::Same) {
            let spelled = |side: &Option<bytes::Bytes>| String::from_utf8_lossy(side.as_deref().unwrap_or_default()).into_owned();
            if let Some(left) = row.left.as_ref().map(|_| spelled(&row.left)) {
                out.push_str(&format!("- {} {left}\n", row.path));
            }
            if let Some(right) = row.right.as_ref().map(|_| spelled(&row.right)) {
                out.push_str(&format!("+ {} {right}\n", row.path));
            }
        }
        out
    }

    fn filter(&mut self) {
        let kept = |row: &Row| !self.only_changes || row.is_open || row.change != Change::Same;
        self.seen = (0..self.rows.len()).filter(|at| kept(&self.rows[*at])).collect();
        self.list.set_total(self.seen.len());
    }

    /// Draws it.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        if area.width < 8 || area.height == 0 {
            return;
        }
        let (added, removed, changed) = self.counts();
        let is_beside = self.is_beside && area.width >= BESIDE;
        let head = format!("{} {} {}   +{added} -{removed} ~{changed}", self.names.0, theme.glyph(Glyph::Arrow), self.names.1);
        let head = if added + removed + changed == 0 { format!("{head}   equal") } else { head };
        text::put(buffer, (area.x, area.y), area.width, &head, theme.style(Role::Title));
        let rows = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let mut list = self.list.clone();
        list.set_height(rows.height.into());
        let mut y = rows.y;
        let name_width = rows.width / 4;
        for at in list.window() {
            if y >= rows.bottom() {
                break;
            }
            let row = &self.rows[self.seen[at]];
            let is_cursor = list.selected() == Some(at);
            let (sign, role) = match row.change {
                Change::Same => (" ", Role::Dim),
                Change::Added => ("+", Role::Added),
                Change::Removed => ("-", Role::Removed),
                Change::Changed => ("~", Role::Changed),
            };
            let line = Rect { y, height: 1, ..rows };
            let look = |role| if is_cursor { theme.style(Role::Selected) } else { theme.style(role) };
            if is_cursor {
                buffer.set_style(line, theme.style(Role::Selected));
            }
            text::put(buffer, (rows.x, y), 1, sign, look(role));
            let indent = (row.depth * 2).min(name_width / 2);
            let begin = rows.x + 2 + indent;
            let name = format!("{}{}", row.name, if row.is_open { ":" } else { "" });
            let end = text::put(buffer, (begin, y), name_width.saturating_sub(indent), &name, look(Role::Name));
            if is_beside {
                let half = (rows.width - name_width - 4) / 2;
                let x = rows.x + 2 + name_width;
                side(
                    buffer,
                    (x, y),
                    half,
                    row.left.as_deref(),
                    look(if row.change == Change::Same { Role::Text } else { Role::Removed }),
                );
                text::put(buffer, (x + half, y), 1, if theme.has_unicode { "│" } else { "|" }, theme.style(Role::Border));
                side(
                    buffer,
                    (x + half + 1, y),
                    half,
                    row.right.as_deref(),
                    look(if row.change == Change::Same { Role::Text } else { Role::Added }),
                );
                y += 1;
                continue;
            }
            let x = end + 1;
            let room = rows.right().saturating_sub(x);
            match row.change {
                Change::Same => side(buffer, (x, y), room, row.left.as_deref(), look(Role::Dim)),
                Change::Added => side(buffer, (x, y), room, row.right.as_deref(), look(Role::Added)),
                Change::Removed => side(buffer, (x, y), room, row.left.as_deref(), look(Role::Removed)),
                Change::Changed => {
                    side(buffer, (x, y), room, row.left.as_deref(), look(Role::Removed));
                    y += 1;
                    if y < rows.bottom() {
                        let arrow = text::put(
                            buffer,
                            (begin, y),
                            rows.right().saturating_sub(begin),
                            theme.glyph(Glyph::Arrow),
                            theme.style(Role::Dim),
                        );
                        let x = x.max(arrow + 1);
                        side(buffer, (x, y), rows.right().saturating_sub(x), row.right.as_deref(), theme.style(Role::Added));
                    }
                }
            }
            y += 1;
        }
    }
}

fn side(buffer: &mut Buffer, at: (u16, u16), room: u16, value: Option<&[u8]>, style: ratatui::style::Style) {
    let value = value.unwrap_or_default();
    let shown = text::visible_bytes(&value[..value.len().min(usize::from(room) * 8)]).into_owned();
    text::put(buffer, at, room, &shown, style);
}
