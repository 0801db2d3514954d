//! The screen of one session: header, timeline, filter, list, detail, panel.

use mcp_capture::file::Type;
use mcp_capture::{Direction, Flags, Hop, Row, RowFlags, RowKind, Status};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::App;
use super::data::Severity;
use super::detail::{self, Tab};
use super::held::HELD;
use super::open::{Item, Open, Pane, Panel};
use super::view::{Areas, Line, lines};
use crate::chart;
use crate::list::{Cell, Column, Row as Shown};
use crate::text;
use crate::theme::{Glyph, Role, Theme};

const COLUMNS: [Column; 7] = [
    Column { title: "#", width: 6, grow: 0, is_right: true, priority: 4 },
    Column { title: "time", width: 8, grow: 0, is_right: false, priority: 3 },
    Column { title: "from", width: 11, grow: 0, is_right: false, priority: 5 },
    Column { title: "operation", width: 28, grow: 1, is_right: false, priority: 0 },
    Column { title: "status", width: 9, grow: 0, is_right: false, priority: 0 },
    Column { title: "took", width: 7, grow: 0, is_right: true, priority: 1 },
    Column { title: "bytes", width: 8, grow: 0, is_right: true, priority: 2 },
];

const TOOLS: [Column; 8] = [
    Column { title: "tool", width: 14, grow: 1, is_right: false, priority: 0 },
    Column { title: "calls", width: 6, grow: 0, is_right: true, priority: 0 },
    Column { title: "errors", width: 6, grow: 0, is_right: true, priority: 1 },
    Column { title: "p50", width: 7, grow: 0, is_right: true, priority: 2 },
    Column { title: "p95", width: 7, grow: 0, is_right: true, priority: 3 },
    Column { title: "p99", width: 7, grow: 0, is_right: true, priority: 5 },
    Column { title: "definition", width: 10, grow: 0, is_right: true, priority: 4 },
    Column { title: "results, ~tokens", width: 19, grow: 0, is_right: true, priority: 1 },
];

/// What the table of tools needs, and what the histogram beside it takes.
const TOOLS_WIDTH: u16 = 84;
const HISTOGRAM_WIDTH: u16 = 56;

const FINDINGS: [Column; 4] = [
    Column { title: "#", width: 6, grow: 0, is_right: true, priority: 1 },
    Column { title: "level", width: 7, grow: 0, is_right: false, priority: 0 },
    Column { title: "rule", width: 24, grow: 0, is_right: false, priority: 2 },
    Column { title: "what", width: 20, grow: 1, is_right: false, priority: 0 },
];

/// So much of a request is read to show its arguments in the list.
const PREVIEW: usize = 600;

impl App {
    /// Draws the session.
    pub(super) fn draw_calls(&self, open: &Open, areas: &Areas, buffer: &mut Buffer) {
        let theme = &self.theme;
        self.draw_header(open, areas.header, buffer);
        self.draw_timeline(open, areas.timeline, buffer);
        self.draw_filter(open, areas.filter, buffer);
        if let Some(area) = areas.list {
            let inside = self.pane(area, &list_title(open), open.pane == Pane::List, buffer);
            if open.list.total() == 0 {
                empty(open, inside, buffer, theme);
            } else {
                open.list.draw(inside, buffer, theme, &COLUMNS, |line| self.line(open, line));
            }
        }
        if let Some(area) = areas.detail {
            self.draw_detail(open, area, buffer);
        }
        if let (Some(area), Some(panel)) = (areas.panel, open.panel) {
            self.draw_panel(open, panel, area, buffer);
        }
    }

    fn draw_header(&self, open: &Open, area: Rect, buffer: &mut Buffer) {
        let theme = &self.theme;
        let header = open.session.header();
        let counts = open.counts();
        let client = open.session.peer_name(Hop::Client(1));
        let revision = open.opening.revision.as_deref().or(open.opening.era);
        let mut line = Line::new();
        line.put("mcp inspect", Role::Title).put("  ", Role::Text);
        line.put(&format!("{client} > {}", header.server), Role::Text);
        line.put(
            &format!("  [{}{}]", header.transport, revision.map(|r| format!(" {}", text::visible(r))).unwrap_or_default()),
            Role::Dim,
        );
        let mut right = Line::new();
        right.put(
            if open.session.is_ended() { "ended" } else { "REC" },
            if open.session.is_ended() { Role::Dim } else { Role::Pending },
        );
        if open.list.is_following() {
            right.put("  follow", Role::Dim);
        }
        if let (Some(p50), Some(p95)) = (counts.p50, counts.p95) {
            right.put(&format!("  p50 {} p95 {}", detail::duration(p50), detail::duration(p95)), Role::Dim);
        }
        let warnings = open.findings.iter().filter(|f| f.severity >= Severity::Warning).count();
        right.put(&format!("  err {}", counts.errors), if counts.errors > 0 { Role::Error } else { Role::Dim });
        right.put(&format!("  lint {warnings}"), if warnings > 0 { Role::Warn } else { Role::Dim });
        right.put(&format!("  gap {}", counts.gaps), if counts.gaps > 0 { Role::Error } else { Role::Dim });
        // What somebody has to act on stands where it is cut off last.
        if !open.live.rules.is_empty() {
            right.put(&format!("  rules {}", open.live.rules.len()), Role::Warn);
        }
        if open.is_paused {
            right.put("  PAUSED", Role::Warn);
        }
        if !open.live.held.is_empty() {
            right.put(&format!("  {} HELD {}", theme.glyph(Glyph::Held), open.live.held.len()), Role::Warn);
        }
        lines(area, buffer, theme, &line, &right);
    }

    fn draw_timeline(&self, open: &Open, area: Rect, buffer: &mut Buffer) {
        if area.height == 0 || area.width < 40 {
            return;
        }
        let all = Self::extent(open);
        let (from, to) = open.timeline.borrow().shown(all);
        let (left, right) = (self.clock(open, from, false), self.clock(open, to, false));
        let room = area.width.saturating_sub(u16::try_from(left.len() + right.len()).unwrap_or(0) + 4);
        open.timeline.borrow_mut().count(open, room, all);
        let timeline = open.timeline.borrow();
        let theme = &self.theme;
        let x = text::put(buffer, (area.x + 1, area.y), area.width, &left, theme.style(Role::Dim)) + 1;
        let here = open.selected_row().and_then(|row| open.row(row)).map(|row| row.at).filter(|at| *at >= from);
        let step = (to - from).div_ceil(u64::from(room.max(1))).max(1);
        let selected = here.and_then(|at| usize::try_from((at - from) / step).ok());
        chart::timeline(Rect { x, width: room, ..area }, &timeline.cells, selected, buffer, theme);
        let x = x + room;
        text::put(buffer, (x + 1, area.y), area.right().saturating_sub(x + 1), &right, theme.style(Role::Dim));
    }

    fn draw_filter(&self, open: &Open, area: Rect, buffer: &mut Buffer) {
        let theme = &self.theme;
        let (shown, all) = open.shown();
        let mut right = Line::new();
        if shown == all {
            right.put(&format!("{all}"), Role::Dim);
        } else {
            right.put(&format!("{shown} of {all}"), Role::Text);
        }
        let mut left = Line::new();
        left.put("filter ", Role::Dim);
        if open.filter_text.is_empty() {
            left.put("none: `/` to search, by words or `tool:` `is:error` `dur>500ms`", Role::Dim);
        } else {
            left.put(&open.filter_text, Role::Text);
        }
        lines(area, buffer, theme, &left, &right);
    }

    fn line(&self, open: &Open, line: usize) -> Shown {
        match open.item(line) {
            Some(Item::Row(row)) => open.row(row).map(|row| self.row_line(open, &row)).unwrap_or_default(),
            Some(Item::Entry(entry)) => self.entry_line(open, entry),
            Some(Item::Held(at)) => self.held_line(open, at),
            None => Shown::default(),
        }
    }

    fn row_line(&self, open: &Open, row: &Row) -> Shown {
        let role = match (row.kind, row.status) {
            (RowKind::Stray | RowKind::Gap, _) => Role::Error,
            (RowKind::Stderr | RowKind::Other(_), _) => Role::Dim,
            (_, status) => status_role(status),
        };
        let op_role = if row.kind == RowKind::Operation { Role::Text } else { role };
        let is_held = open.held_answer(row.number).is_some();
        let status = if is_held { HELD.to_owned() } else { status_word(row) };
        let sign = if is_held {
            Some((Glyph::Held, Role::Warn))
        } else if open.mark_of(row.sequence).is_some_and(|m| !m.removed) {
            Some((Glyph::Mark, Role::Key))
        } else if row.kind == RowKind::Gap {
            Some((Glyph::More, Role::Error))
        } else if row.flags.has(RowFlags::LINT) || row.kind == RowKind::Stray {
            Some((Glyph::Warn, Role::Warn))
        } else {
            None
        };
        let took = match row.duration {
            Some(took) if row.kind == RowKind::Operation => detail::duration(took),
            None if row.status.is_open() => {
                let since = open.session.context().now.saturating_sub(row.at);
                if since == 0 { "…".to_owned() } else { format!("{}…", detail::duration(since)) }
            }
            _ => String::new(),
        };
        let bytes = u64::from(row.sent) + u64::from(row.received);
        Shown {
            cells: vec![
                Cell::new(row.sequence.to_string(), Role::Dim),
                Cell::new(self.clock(open, row.at, false), Role::Dim),
                Cell::new(from(open, row), Role::Text),
                Cell::new(self.operation(open, row), op_role),
                Cell::new(status, if is_held { Role::Warn } else { role }),
                Cell::new(took, Role::Text),
                Cell::new(text::size(usize::try_from(bytes).unwrap_or(usize::MAX)), Role::Dim),
            ],
            sign,
            indent: 0,
        }
    }

    fn operation(&self, open: &Open, row: &Row) -> String {
        let (method, name) = open.session.index().symbols.get(row.operation);
        let fold = if row.has_children {
            self.theme.glyph(if open.is_unfolded(row.number) { Glyph::Open } else { Glyph::Closed })
        } else {
            ""
        };
        let words = match row.kind {
            RowKind::Operation | RowKind::Notification => {
                let arguments = mcp_capture::text::arguments(&open.session, row).unwrap_or_default();
                match (method, name) {
                    ("tools/call" | "prompts/get", name) if !name.is_empty() => format!("{name}({arguments})"),
                    (method, "") => method.to_owned(),
                    (method, name) => format!("{method} {name}"),
                }
            }
            RowKind::Stderr | RowKind::Stray => {
                let bytes = open.session.payload_start(row.first, PREVIEW).unwrap_or_default();
                let line = text::visible_bytes(bytes.trim_ascii());
                if row.kind == RowKind::Stray { format!("stray stdout: {line}") } else { line.into_owned() }
            }
            RowKind::Answer | RowKind::Gap | RowKind::Other(_) => detail::record_words(&open.session, row.first),
        };
        if fold.is_empty() { words } else { format!("{fold} {words}") }
    }

    fn entry_line(&self, open: &Open, entry: u32) -> Shown {
        let Some(found) = open.session.index().get(entry) else { return Shown::default() };
        let arrow = detail::arrow(found.stamp.direction, self.theme.has_unicode);
        let mut words = detail::record_words(&open.session, entry);
        if open.is_message(entry) || found.kind == Type::Stderr {
            let bytes = open.session.payload_start(entry, PREVIEW).unwrap_or_default();
            words = format!("{words}  {}", text::visible_bytes(bytes.trim_ascii()));
        }
        let role = match found.kind {
            Type::Gap => Role::Error,
            _ if found.stamp.flags.has(Flags::NOT_A_MESSAGE) => Role::Error,
            _ if found.stamp.flags.has(Flags::IS_ERROR) => Role::Error,
            _ => Role::Dim,
        };
        let says = flag_words(found.stamp.flags);
        let began = open.session.rows().of_entry(entry).and_then(|row| open.row(row)).map_or(0, |row| row.at);
        let when = if open.shows_frames() {
            self.clock(open, found.stamp.at, false)
        } else {
            format!("+{}", detail::duration(found.stamp.at.saturating_sub(began)))
        };
        Shown {
            cells: vec![
                Cell::new(found.stamp.sequence.to_string(), Role::Dim),
                Cell::new(when, Role::Dim),
                Cell::new(speaker(open, found.stamp.hop, found.stamp.direction), Role::Dim),
                Cell::new(format!("{arrow} {words}"), role),
                Cell::new(says, Role::Warn),
                Cell::new(String::new(), Role::Dim),
                Cell::new(text::size(found.length as usize), Role::Dim),
            ],
            sign: None,
            indent: if open.shows_frames() { 0 } else { 2 },
        }
    }

    fn draw_detail(&self, open: &Open, area: Rect, buffer: &mut Buffer) {
        let theme = &self.theme;
        let subject = open.detail.subject;
        let title = match subject.row.and_then(|row| open.row(row)) {
            Some(row) => {
                let (method, name) = open.session.index().symbols.get(row.operation);
                let what = [method, name].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
                let took = row.duration.filter(|_| row.kind == RowKind::Operation).map(detail::duration).unwrap_or_default();
                let status = if open.held_answer(row.number).is_some() { HELD.to_owned() } else { status_word(&row) };
                format!("#{} {what} {status} {took}", row.sequence).trim_end().to_owned()
            }
            None if subject.held.is_some() => "HELD: a release, E change and release, X drop".to_owned(),
            None => "nothing selected".to_owned(),
        };
        let inside = self.pane(area, &title, open.pane == Pane::Detail, buffer);
        if inside.height < 2 {
            return;
        }
        let mut x = inside.x;
        for (number, tab) in Tab::ALL.into_iter().enumerate() {
            let role = if tab == open.detail.tab { Role::Selected } else { Role::Dim };
            let mut label = format!(" {} {}", number + 1, tab.title());
            if tab == Tab::Lint {
                let count = open.findings.iter().filter(|f| f.row.is_some() && f.row == subject.row).count();
                if count > 0 {
                    label.push_str(&format!(" {count}"));
                }
            }
            label.push(' ');
            x = text::put(buffer, (x, inside.y), inside.right().saturating_sub(x), &label, theme.style(role));
        }
        let page = Rect { y: inside.y + 1, height: inside.height - 1, ..inside };
        if let Some(made) = open.detail.made() {
            made.draw(page, buffer, theme);
        }
    }

    fn draw_panel(&self, open: &Open, panel: Panel, area: Rect, buffer: &mut Buffer) {
        let theme = &self.theme;
        match panel {
            Panel::Tools => {
                let never = open.tools.iter().filter(|t| t.calls == 0).count();
                let cost: u64 = open.tools.iter().filter(|t| t.calls == 0).map(|t| t.definition).sum();
                let title = format!(
                    "tools: {never} of {} never called, {} of definitions in each chat",
                    open.tools.len(),
                    text::size(usize::try_from(cost).unwrap_or(usize::MAX))
                );
                let mut inside = self.pane(area, &title, open.pane == Pane::Panel, buffer);
                // Beside the table, where there is room: how the calls of the tool under the cursor are spread.
                if inside.width >= TOOLS_WIDTH + HISTOGRAM_WIDTH
                    && let Some(tool) = open.panel_list.selected().and_then(|at| open.tools.get(at))
                {
                    inside.width -= HISTOGRAM_WIDTH;
                    let beside = Rect { x: inside.right() + 1, width: HISTOGRAM_WIDTH - 1, ..inside };
                    open.times_of(&tool.name).draw(beside, buffer, theme);
                }
                open.panel_list.draw(inside, buffer, theme, &TOOLS, |at| {
                    let Some(tool) = open.tools.get(at) else { return Shown::default() };
                    let size = |bytes: u64| text::size(usize::try_from(bytes).unwrap_or(usize::MAX));
                    let time = |at: usize| if tool.calls == 0 { String::new() } else { detail::duration(tool.percentiles[at]) };
                    Shown {
                        cells: vec![
                            Cell::new(tool.name.clone(), if tool.calls == 0 { Role::Dim } else { Role::Text }),
                            Cell::new(tool.calls.to_string(), Role::Text),
                            Cell::new(tool.errors.to_string(), if tool.errors > 0 { Role::Error } else { Role::Dim }),
                            Cell::new(time(0), Role::Text),
                            Cell::new(time(1), Role::Text),
                            Cell::new(time(2), Role::Text),
                            Cell::new(size(tool.definition), Role::Dim),
                            // A common rule of thumb; said to be an estimate in the heading by its sign.
                            Cell::new(format!("{} ~{}", size(tool.results), tool.results.div_ceil(4)), Role::Text),
                        ],
                        ..Shown::default()
                    }
                });
            }
            Panel::Lint => {
                let title = format!("lint: {} findings; enter goes there", open.findings.len());
                let inside = self.pane(area, &title, open.pane == Pane::Panel, buffer);
                open.panel_list.draw(inside, buffer, theme, &FINDINGS, |at| {
                    let Some(finding) = open.findings.get(at) else { return Shown::default() };
                    let role = match finding.severity {
                        Severity::Error => Role::Error,
                        Severity::Warning => Role::Warn,
                        Severity::Info => Role::Dim,
                    };
                    Shown {
                        cells: vec![
                            Cell::new(finding.sequence.to_string(), Role::Dim),
                            Cell::new(detail::severity(finding.severity), role),
                            Cell::new(finding.rule.clone(), Role::Text),
                            Cell::new(finding.message.clone(), Role::Text),
                        ],
                        ..Shown::default()
                    }
                });
            }
        }
    }
}

fn list_title(open: &Open) -> String {
    if open.shows_frames() { "frames".to_owned() } else { "calls".to_owned() }
}

fn empty(open: &Open, area: Rect, buffer: &mut Buffer, theme: &Theme) {
    let said = if open.filter_text.is_empty() {
        "Nothing has been said yet.\n\nWhat the client and the server say appears here as it is said.\nStart the client, or press `C` to call a tool if this server is yours."
    } else {
        "Nothing fits the filter.\n\n`/` changes it; an empty filter shows all."
    };
    for (at, line) in text::wrap(said, area.width.saturating_sub(2).into()).iter().enumerate() {
        let y = area.y + 1 + u16::try_from(at).unwrap_or(u16::MAX);
        if y >= area.bottom() {
            break;
        }
        text::put(buffer, (area.x + 2, y), area.width.saturating_sub(2), line, theme.style(Role::Dim));
    }
}

pub(super) fn status_role(status: Status) -> Role {
    match status {
        Status::None => Role::Dim,
        Status::Ok => Role::Ok,
        Status::Pending | Status::Task => Role::Pending,
        Status::Input | Status::Cancelled => Role::Warn,
        Status::Error | Status::Failed | Status::TimedOut | Status::Closed => Role::Error,
    }
}

fn status_word(row: &Row) -> String {
    let word = match row.kind {
        RowKind::Stray => "stray",
        RowKind::Stderr => "stderr",
        RowKind::Gap => "gap",
        _ => row.status.word(),
    };
    if row.flags.has(RowFlags::LATE) { format!("{word} late") } else { word.to_owned() }
}

fn flag_words(flags: Flags) -> String {
    let said = [
        (Flags::HELD, "held"),
        (Flags::ALTERED, "altered"),
        (Flags::INJECTED, "by hand"),
        (Flags::DROPPED, "dropped"),
        (Flags::TRUNCATED, "cut"),
        (Flags::NOT_A_MESSAGE, "stray"),
    ];
    said.iter().find(|(flag, _)| flags.has(*flag)).map(|(_, word)| (*word).to_owned()).unwrap_or_default()
}

pub(super) fn speaker(open: &Open, hop: Hop, direction: Direction) -> String {
    match direction {
        Direction::ToServer => match hop {
            Hop::Server => "mcp".to_owned(),
            client @ Hop::Client(_) => open.session.peer_name(client),
        },
        Direction::ToClient => "server".to_owned(),
    }
}

fn from(open: &Open, row: &Row) -> String {
    match row.kind {
        RowKind::Stderr => "stderr".to_owned(),
        RowKind::Gap => String::new(),
        _ => speaker(open, row.hop, row.direction),
    }
}
