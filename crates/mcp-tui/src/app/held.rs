//! What is held, and where it stands in the list. A recording has a message from when it was passed on, so what is held is
//! known from those who hold it: an answer stands on the row of its request, all else has a line of its own below the rows.

use std::collections::BTreeMap;

use mcp_capture::{Direction, Hop, RowKind};
use mcp_wire::{Frame, object};

use super::calls::speaker;
use super::data::{Held, Live};
use super::detail;
use super::open::{Item, Open};
use crate::list::{Cell, Row as Shown};
use crate::text;
use crate::theme::{Glyph, Role};

/// Where what is held is shown; numbers are places among what is held.
#[derive(Debug, Default)]
pub(super) struct Holding {
    lines: Vec<usize>,
    answers: BTreeMap<u32, usize>,
}

impl Holding {
    /// Lines below the rows.
    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }

    /// What a line shows, counted from the first below the rows.
    pub(super) fn at(&self, line: usize) -> Option<Item> {
        self.lines.get(line).copied().map(Item::Held)
    }
}

impl Held {
    fn hop(&self) -> Hop {
        Hop::Client(self.client)
    }

    fn direction(&self) -> Direction {
        if self.to_server { Direction::ToServer } else { Direction::ToClient }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// The tool, or the method: what a breakpoint for the same would name.
    pub(super) fn about(&self) -> (String, String) {
        let method = object::get_string(self.text(), "method").unwrap_or_default();
        let params = object::get(self.text(), "params").unwrap_or_default();
        let name = object::get_string(params, "name").unwrap_or_default();
        (method, name)
    }
}

impl Open {
    /// The live side changed.
    pub(super) fn set_live(&mut self, live: Live) {
        self.live = live;
        self.place_held();
    }

    /// Finds the place of all that is held.
    pub(super) fn place_held(&mut self) {
        let had = std::mem::take(&mut self.holding);
        for (at, held) in self.live.held.iter().enumerate() {
            match self.asked_with(held) {
                Some(row) => _ = self.holding.answers.insert(row, at),
                None => self.holding.lines.push(at),
            }
        }
        if had.answers.keys().ne(self.holding.answers.keys()) {
            self.detail.forget(detail::Tab::Result);
        }
        self.lay_out();
        self.look();
    }

    /// The row that waits for the answer that is held.
    fn asked_with(&self, held: &Held) -> Option<u32> {
        let answer = Frame::parse(held.bytes.clone()).ok().filter(|frame| frame.kind().is_response())?;
        let (session, id) = (&self.session, answer.id()?);
        let waits = |row: &mcp_capture::Row| {
            row.kind == RowKind::Operation
                && row.status.is_open()
                && row.hop == held.hop()
                && row.direction == held.direction().reversed()
        };
        let is_asked = |row: &mcp_capture::Row| {
            let payload = session.payload(row.first).ok().flatten().and_then(|bytes| Frame::parse(bytes).ok());
            payload.is_some_and(|request| request.id() == Some(id))
        };
        session.rows().iter(session.index()).filter(waits).filter(is_asked).last().map(|row| row.number)
    }

    /// The answer to a row, if it is held.
    pub(super) fn held_answer(&self, row: u32) -> Option<&Held> {
        self.live.held.get(*self.holding.answers.get(&row)?)
    }

    /// What is held under the cursor.
    pub(super) fn selected_held(&self) -> Option<&Held> {
        match self.selected()? {
            Item::Held(at) => self.live.held.get(at),
            Item::Row(row) => self.held_answer(row),
            Item::Entry(_) => self.held_answer(self.selected_row()?),
        }
    }
}

impl super::App {
    /// A line of its own.
    pub(super) fn held_line(&self, open: &Open, at: usize) -> Shown {
        let Some(held) = open.live.held.get(at) else { return Shown::default() };
        let arguments = mcp_capture::text::arguments_of(held.text());
        let words = match held.about() {
            (method, _) if method.is_empty() => text::visible_bytes(held.bytes.trim_ascii()).into_owned(),
            (method, name) if matches!(&*method, "tools/call" | "prompts/get") && !name.is_empty() => {
                text::visible(&format!("{name}({arguments})")).into_owned()
            }
            (method, _) => text::visible(&method).into_owned(),
        };
        let shown =
            if held.to_server { words } else { format!("{} {words}", detail::arrow(held.direction(), self.theme.has_unicode)) };
        Shown {
            cells: vec![
                // It is numbered and timed when it goes on.
                Cell::new(String::new(), Role::Dim),
                Cell::new(String::new(), Role::Dim),
                Cell::new(speaker(open, held.hop(), held.direction()), Role::Text),
                Cell::new(shown, Role::Text),
                Cell::new(HELD, Role::Warn),
                Cell::new("…", Role::Text),
                Cell::new(text::size(held.bytes.len()), Role::Dim),
            ],
            sign: Some((Glyph::Held, Role::Warn)),
            indent: 0,
        }
    }
}

/// The status of what is held.
pub(super) const HELD: &str = "HELD";
