//! Where everything stands on the screen, and what all screens share.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::open::Open;
use super::overlay::Overlay;
use super::{App, Layout, Screen};
use crate::keymap::{self, Context};
use crate::text;
use crate::theme::{Role, Theme};

/// Below this the screen says so and waits.
pub(super) const SMALLEST: (u16, u16) = (60, 15);
/// From this width on list and detail stand beside each other.
const WIDE: u16 = 100;

/// Words with their roles.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(String, Role)>);

impl Line {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn put(&mut self, words: &str, role: Role) -> &mut Self {
        self.0.push((text::visible(words).into_owned(), role));
        self
    }
}

/// A line with something at both ends. Where there is no room for both, the right one goes.
pub(super) fn lines(area: Rect, buffer: &mut Buffer, theme: &Theme, left: &Line, right: &Line) {
    if area.height == 0 {
        return;
    }
    let (mut x, end) = (area.x + 1, area.right().saturating_sub(1));
    for (words, role) in &left.0 {
        x = text::put(buffer, (x, area.y), end.saturating_sub(x), words, theme.style(*role));
    }
    let room = usize::from(end.saturating_sub(x + 1));
    let mut right: &[(String, Role)] = &right.0;
    // The last words matter most.
    while !right.is_empty() && right.iter().map(|(w, _)| text::width(w)).sum::<usize>() > room {
        right = &right[1..];
    }
    let width: usize = right.iter().map(|(w, _)| text::width(w)).sum();
    let mut x = end.saturating_sub(u16::try_from(width).unwrap_or(end));
    for (words, role) in right {
        x = text::put(buffer, (x, area.y), end.saturating_sub(x), words, theme.style(*role));
    }
}

/// Where the parts of the session's screen stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) header: Rect,
    pub(super) timeline: Rect,
    pub(super) filter: Rect,
    pub(super) list: Option<Rect>,
    pub(super) detail: Option<Rect>,
    pub(super) panel: Option<Rect>,
}

/// Divides the screen, without its last line, which is the footer.
pub(super) fn areas(area: Rect, layout: Layout, has_panel: bool) -> Areas {
    let row = |y: u16, height: u16| Rect { y: area.y + y, height, ..area };
    let has_timeline = area.height >= 20;
    let top = if has_timeline { 3 } else { 2 };
    let body = row(top, area.height.saturating_sub(top + 1));
    let panel_height = if has_panel { (body.height / 3).clamp(5, 14) } else { 0 };
    let main = Rect { height: body.height - panel_height, ..body };
    let panel = has_panel.then_some(Rect { y: main.bottom(), height: panel_height, ..body });
    let layout = match layout {
        Layout::Auto if area.width >= WIDE => Layout::Beside,
        Layout::Auto => Layout::Stacked,
        other => other,
    };
    let (list, detail) = match layout {
        Layout::Beside => {
            // Of a screen of any width: 65535 x 58 fits.
            let left = u16::try_from(u32::from(main.width) * 58 / 100).unwrap_or(main.width);
            (Some(Rect { width: left, ..main }), Some(Rect { x: main.x + left, width: main.width - left, ..main }))
        }
        Layout::List => (Some(main), None),
        Layout::Detail => (None, Some(main)),
        Layout::Stacked | Layout::Auto => {
            let upper = (main.height / 2).max(3).min(main.height);
            (Some(Rect { height: upper, ..main }), Some(Rect { y: main.y + upper, height: main.height - upper, ..main }))
        }
    };
    Areas { header: row(0, 1), timeline: row(1, u16::from(has_timeline)), filter: row(top - 1, 1), list, detail, panel }
}

impl App {
    /// Draws the whole screen. Gives the cell of the cursor, if one is shown.
    pub fn view(&self, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let words = format!("{}x{} is too small: {}x{} at least", area.width, area.height, SMALLEST.0, SMALLEST.1);
            text::put(buffer, (area.x, area.y), area.width, &words, self.theme.style(Role::Warn));
            return None;
        }
        match (&self.screen, &self.open) {
            (Screen::Calls, Some(open)) => {
                let areas = areas(area, self.layout, open.panel.is_some());
                self.draw_calls(open, &areas, buffer);
            }
            _ => self.draw_sessions(Rect { height: area.height - 1, ..area }, buffer),
        }
        self.draw_footer(Rect { y: area.bottom() - 1, height: 1, ..area }, buffer);
        let cursor = self.draw_overlay(area, buffer);
        self.toasts.draw(Rect { height: area.height - 1, ..area }, buffer, &self.theme);
        cursor
    }

    fn draw_overlay(&self, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
        match self.overlay.as_ref()? {
            Overlay::Page(page) => page.draw(area, buffer, &self.theme),
            Overlay::Confirm(confirm, _) => confirm.draw(area, buffer, &self.theme),
            Overlay::Menu(palette) => return palette.draw(area, buffer, &self.theme),
            // The footer stays: it says how to send.
            Overlay::Form(form, _) => {
                let place = Rect { height: area.height - 1, ..area };
                return form.draw(place, buffer, &self.theme);
            }
            Overlay::Diff(view) => view.draw(area, buffer, &self.theme),
            Overlay::Prompt(prompt, of) => {
                // Over the filter line, with the completions below it.
                let y = area.y + if area.height >= 20 { 2 } else { 1 };
                let place = Rect { y, height: area.bottom().saturating_sub(y).min(12), ..area };
                for position in (Rect { height: 1, ..place }).positions() {
                    buffer[position].reset();
                }
                return prompt.draw(place, of.label(), buffer, &self.theme);
            }
        }
        None
    }

    fn draw_footer(&self, area: Rect, buffer: &mut Buffer) {
        let mut x = area.x + 1;
        for (key, word) in keymap::footer(&self.contexts(), |action| self.can(action)) {
            let key = keymap::spelled_key(key);
            let need = u16::try_from(text::width(&key) + text::width(word) + 3).unwrap_or(u16::MAX);
            if x.saturating_add(need) > area.right() {
                break;
            }
            x = text::put(buffer, (x, area.y), need, &key, self.theme.style(Role::Key));
            x = text::put(buffer, (x, area.y), need, &format!(" {word}  "), self.theme.style(Role::Dim));
        }
        if self.keymap.is_pending() {
            text::put(buffer, (area.right().saturating_sub(3), area.y), 2, "…", self.theme.style(Role::Key));
        }
    }

    /// A frame around a pane; gives what is inside.
    pub(super) fn pane(&self, area: Rect, title: &str, has_keys: bool, buffer: &mut Buffer) -> Rect {
        let Some(inside) = crate::popup::frame(area, title, buffer, &self.theme) else { return Rect::default() };
        if has_keys {
            for position in area.positions().filter(|p| !inside.contains(*p)) {
                let cell = &mut buffer[position];
                if matches!(cell.symbol(), "─" | "│" | "┌" | "┐" | "└" | "┘" | "-" | "|" | "+") {
                    cell.set_style(self.theme.style(Role::Focus));
                }
            }
        }
        inside
    }

    /// What the detail shows, made now if it was not looked at before; and the heights of what scrolls.
    pub(super) fn lay_out(&mut self) {
        let size = self.size;
        if size.width < SMALLEST.0 || size.height < SMALLEST.1 {
            return;
        }
        self.sessions.list.set_height(usize::from(size.height.saturating_sub(5)));
        let (screen, layout, has_unicode) = (self.screen, self.layout, self.theme.has_unicode);
        let offset = self.utc_offset;
        match &mut self.overlay {
            Some(Overlay::Page(page)) => page.pager().set_height(usize::from(size.height.saturating_sub(4))),
            Some(Overlay::Diff(view)) => view.set_height(usize::from(size.height)),
            _ => {}
        }
        let Some(open) = self.open.as_mut().filter(|_| screen == Screen::Calls) else { return };
        let areas = areas(size, layout, open.panel.is_some());
        open.list.set_height(areas.list.map_or(0, |a| usize::from(a.height.saturating_sub(3))));
        open.panel_list.set_height(areas.panel.map_or(0, |a| usize::from(a.height.saturating_sub(3))));
        if let Some(area) = areas.detail {
            open.make_detail(has_unicode, offset);
            open.detail.set_height(usize::from(area.height.saturating_sub(3)));
        }
    }

    /// From the first to the last record.
    pub(super) fn extent(open: &Open) -> (u64, u64) {
        let index = open.session.index();
        let first = index.get(0).map_or(0, |entry| entry.stamp.at);
        let last = u32::try_from(index.len()).ok().and_then(|len| index.get(len.checked_sub(1)?)).map_or(0, |e| e.stamp.at);
        (first, last.max(first + 1))
    }

    /// A moment of the session as a time of day.
    pub(super) fn clock(&self, open: &Open, at: u64, is_exact: bool) -> String {
        clock(open.session.header().started_ms, at, self.utc_offset, is_exact)
    }

    /// The contexts that hold now, innermost first.
    pub fn contexts(&self) -> Vec<Context> {
        match &self.overlay {
            Some(Overlay::Page(_)) => vec![Context::Help],
            Some(Overlay::Confirm(..)) => vec![Context::Confirm],
            Some(Overlay::Menu(_)) => vec![Context::Palette],
            Some(Overlay::Form(form, _)) => vec![form.context()],
            Some(Overlay::Diff(_)) => vec![Context::Diff],
            Some(Overlay::Prompt(..)) => vec![Context::Filter],
            None => match (&self.screen, &self.open) {
                (Screen::Calls, Some(open)) => match open.pane {
                    super::open::Pane::Detail => vec![Context::Tree, Context::Detail, Context::Calls],
                    super::open::Pane::List | super::open::Pane::Panel => vec![Context::Calls, Context::Detail],
                },
                _ => vec![Context::Sessions],
            },
        }
    }
}

pub(super) fn clock(started_ms: u64, at: u64, utc_offset: i32, is_exact: bool) -> String {
    let ms = started_ms.saturating_add(at / 1_000_000);
    let second = (i64::try_from(ms / 1000).unwrap_or(0) + i64::from(utc_offset)).rem_euclid(86_400);
    let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    if is_exact { format!("{time}.{:03}", ms % 1000) } else { time }
}
