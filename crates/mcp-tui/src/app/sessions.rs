//! The screen of all sessions: those that go on and those of the past.

use std::path::PathBuf;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::App;
use super::data::SessionLine;
use super::view::{Line, lines};
use crate::list::{Cell, Column, List, Row as Shown};
use crate::text;
use crate::theme::{Glyph, Role};

const COLUMNS: [Column; 7] = [
    Column { title: "state", width: 6, grow: 0, is_right: false, priority: 0 },
    Column { title: "started", width: 16, grow: 0, is_right: false, priority: 1 },
    Column { title: "server", width: 14, grow: 1, is_right: false, priority: 0 },
    Column { title: "client", width: 14, grow: 1, is_right: false, priority: 2 },
    Column { title: "over", width: 5, grow: 0, is_right: false, priority: 4 },
    Column { title: "messages", width: 9, grow: 0, is_right: true, priority: 3 },
    Column { title: "size", width: 8, grow: 0, is_right: true, priority: 2 },
];

/// What teaches a newcomer what to do.
const EMPTY: &str = "Nothing has been recorded yet. Any of these fills this screen:

  mcp demo                          a recording to look at, made now
  mcp tap attach NAME               record what your clients say to a server
  mcp inspect -- npx some-server    be the client of a server yourself
  mcp inspect --url URL             the same for a remote server
  mcp daemon status                 shared servers can be recorded at any time

Press `A` here to choose servers of your clients. `q` leaves.";

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) lines: Vec<SessionLine>,
    pub(super) list: List,
    pub(super) marked: Option<PathBuf>,
    pub(super) is_known: bool,
}

impl Sessions {
    pub(super) fn set(&mut self, lines: Vec<SessionLine>) {
        let kept = self.selected().map(|line| line.path.clone());
        self.lines = lines;
        self.is_known = true;
        self.list.set_total(self.lines.len());
        if let Some(at) = kept.and_then(|path| self.lines.iter().position(|line| line.path == path)) {
            self.list.select(at);
        }
    }

    pub(super) fn selected(&self) -> Option<&SessionLine> {
        self.list.selected().and_then(|at| self.lines.get(at))
    }
}

impl App {
    /// Draws the sessions.
    pub(super) fn draw_sessions(&self, area: Rect, buffer: &mut Buffer) {
        let theme = &self.theme;
        let live = self.sessions.lines.iter().filter(|l| l.is_live).count();
        let mut left = Line::new();
        left.put("mcp inspect", Role::Title).put("  all sessions", Role::Text);
        let mut right = Line::new();
        right.put(&format!("{} sessions, {live} live", self.sessions.lines.len()), Role::Dim);
        lines(Rect { height: 1, ..area }, buffer, theme, &left, &right);
        let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let inside = self.pane(below, "sessions", true, buffer);
        if self.sessions.lines.is_empty() {
            if self.sessions.is_known {
                for (at, line) in EMPTY.lines().enumerate() {
                    let y = inside.y + 1 + u16::try_from(at).unwrap_or(u16::MAX);
                    if y < inside.bottom() {
                        text::put(buffer, (inside.x + 2, y), inside.width.saturating_sub(2), line, theme.style(Role::Text));
                    }
                }
            }
            return;
        }
        self.sessions.list.draw(inside, buffer, theme, &COLUMNS, |at| {
            let Some(line) = self.sessions.lines.get(at) else { return Shown::default() };
            let (state, role) = match (line.is_live, line.path.as_os_str().is_empty()) {
                (_, true) => ("daemon", Role::Dim),
                (true, _) => ("live", Role::Pending),
                (false, _) => ("ended", Role::Dim),
            };
            let is_marked = self.sessions.marked.as_ref() == Some(&line.path);
            Shown {
                cells: vec![
                    Cell::new(state, role),
                    Cell::new(line.started.clone(), Role::Dim),
                    Cell::new(line.server.clone(), Role::Text),
                    Cell::new(line.client.clone(), Role::Text),
                    Cell::new(line.transport.clone(), Role::Dim),
                    Cell::new(line.frames.map(|n| n.to_string()).unwrap_or_default(), Role::Text),
                    Cell::new(
                        if line.bytes == 0 {
                            String::new()
                        } else {
                            text::size(usize::try_from(line.bytes).unwrap_or(usize::MAX))
                        },
                        Role::Dim,
                    ),
                ],
                sign: is_marked.then_some((Glyph::Mark, Role::Key)),
                indent: 0,
            }
        });
    }
}
