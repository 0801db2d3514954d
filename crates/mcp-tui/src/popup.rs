//! What lies over the screen for a while: help, questions, pages of text, short messages.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use crate::{
    keymap::{self, Action, Context},
    pager::Pager,
    text,
    theme::{Glyph, Role, Theme},
};

/// A place in the middle, at most so large.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

/// Clears a place and draws a frame; gives what is inside, `None` if that is nothing.
pub fn frame(area: Rect, title: &str, buffer: &mut Buffer, theme: &Theme) -> Option<Rect> {
    if area.width < 6 || area.height < 3 {
        return None;
    }
    let (lines, corners) =
        if theme.has_unicode { (["─", "│"], ["┌", "┐", "└", "┘"]) } else { (["-", "|"], ["+", "+", "+", "+"]) };
    let style = theme.style(Role::Border);
    for position in area.positions() {
        buffer[position].reset();
    }
    let (right, bottom) = (area.right() - 1, area.bottom() - 1);
    for x in area.x..=right {
        for y in [area.y, bottom] {
            buffer[(x, y)].set_symbol(lines[0]).set_style(style);
        }
    }
    for y in area.y..=bottom {
        for x in [area.x, right] {
            buffer[(x, y)].set_symbol(lines[1]).set_style(style);
        }
    }
    for (corner, at) in corners.into_iter().zip([(area.x, area.y), (right, area.y), (area.x, bottom), (right, bottom)]) {
        buffer[Position::from(at)].set_symbol(corner);
    }
    if !title.is_empty() {
        let end = text::put(
            buffer,
            (area.x + 2, area.y),
            area.width - 4,
            &format!(" {}", text::visible(title)),
            theme.style(Role::Focus),
        );
        text::put(buffer, (end, area.y), right.saturating_sub(end), " ", style);
    }
    Some(Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 })
}

/// What is inside the frame of a place.
pub fn frame_inside(area: Rect) -> Rect {
    Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: area.height.saturating_sub(2) }
}

/// A page of text in a frame, with a search.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    pager: Pager,
}

impl Page {
    /// A page.
    pub fn new(title: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self { title: title.into(), pager: Pager::new(content.into()) }
    }

    /// The keys that hold, and whatever else the screen explains (the words of the filter).
    pub fn help(contexts: &[Context], more: &str) -> Self {
        let mut out = String::new();
        let mut last = None;
        for (context, group, bindings) in keymap::help(contexts) {
            if last != Some(context) {
                out.push_str(&format!("{}{}\n", if last.is_some() { "\n" } else { "" }, context.title().to_uppercase()));
                last = Some(context);
            }
            out.push_str(&format!("  {}\n", group.title()));
            for binding in bindings {
                out.push_str(&format!("    {:<18} {}\n", keymap::spelled(binding), binding.help));
            }
        }
        if !more.is_empty() {
            out.push_str(&format!("\n{more}\n"));
        }
        Self::new("help", out)
    }

    /// The text under the frame.
    pub fn pager(&mut self) -> &mut Pager {
        &mut self.pager
    }

    /// Takes an action; false if it is none of the page's.
    pub fn update(&mut self, action: Action) -> bool {
        self.pager.update(action)
    }

    /// Draws it over the area, with a margin where there is room.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let place = centred(area, area.width.saturating_sub(4).max(80), area.height.saturating_sub(2).max(20));
        if let Some(inside) = frame(place, &self.title, buffer, theme) {
            self.pager.draw(inside, buffer, theme);
        }
    }
}

/// A question before something is done.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// What is asked.
    pub title: String,
    /// What will happen, in full: a diff, a list of files.
    pub what: String,
    /// The word for yes: `attach`, `delete`.
    pub verb: String,
    /// Whether it cannot be undone.
    pub is_final: bool,
}

impl Confirm {
    /// The answer, if the action is one.
    pub fn update(&self, action: Action) -> Option<bool> {
        match action {
            Action::Yes => Some(true),
            Action::No | Action::Back => Some(false),
            _ => None,
        }
    }

    /// Draws it in the middle.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let width = area.width.saturating_sub(4).min(100).max(area.width.min(40));
        let lines = text::wrap(&self.what, width.saturating_sub(4).into());
        let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(4).min(area.height);
        let Some(inside) = frame(centred(area, width, height), &self.title, buffer, theme) else { return };
        let rows = inside.height.saturating_sub(2);
        for (row, line) in lines.iter().take(rows.into()).enumerate() {
            let y = inside.y + u16::try_from(row).unwrap_or(u16::MAX);
            let is_cut = row + 1 == usize::from(rows) && lines.len() > usize::from(rows);
            let line =
                if is_cut { format!("{} {} lines more", theme.glyph(Glyph::More), lines.len() - row) } else { line.clone() };
            let role = match line.as_bytes().first() {
                Some(b'+') => Role::Added,
                Some(b'-') => Role::Removed,
                _ => Role::Text,
            };
            text::put(buffer, (inside.x + 1, y), inside.width - 1, &line, theme.style(role));
        }
        let y = inside.bottom() - 1;
        let mut x = inside.x + 1;
        for (key, word) in [("y", self.verb.as_str()), ("n", "leave it")] {
            x = text::put(buffer, (x, y), inside.right().saturating_sub(x), key, theme.style(Role::Key));
            x = text::put(buffer, (x, y), inside.right().saturating_sub(x), &format!(" {word}   "), theme.style(Role::Text));
        }
        if self.is_final {
            let words = format!("{} cannot be undone", theme.glyph(Glyph::Warn));
            text::put(buffer, (x, y), inside.right().saturating_sub(x), &words, theme.style(Role::Warn));
        }
    }
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It was done.
    Done,
    /// It deserves a look.
    Warning,
    /// It failed.
    Failure,
}

/// Short messages at the bottom; each goes by itself, a failure later.
#[derive(Clone, Debug, Default)]
pub struct Toasts {
    shown: Vec<(Tone, String, Instant)>,
}

impl Toasts {
    /// Says something.
    pub fn say(&mut self, tone: Tone, message: impl Into<String>, now: Instant) {
        let seconds = if tone == Tone::Failure { 10 } else { 4 };
        self.shown.push((tone, message.into(), now + Duration::from_secs(seconds)));
        let over = self.shown.len().saturating_sub(5);
        self.shown.drain(..over);
    }

    /// Takes away what has been shown long enough; whether something went.
    pub fn tick(&mut self, now: Instant) -> bool {
        let before = self.shown.len();
        self.shown.retain(|(_, _, until)| *until > now);
        self.shown.len() != before
    }

    /// When the next message goes: the loop needs no tick before, and none at all if there is none.
    pub fn next_tick(&self) -> Option<Instant> {
        self.shown.iter().map(|(_, _, until)| *until).min()
    }

    /// Draws them upwards from the bottom of the area.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        for ((tone, message, _), y) in self.shown.iter().rev().zip((area.y..area.bottom()).rev()) {
            let (glyph, role) = match tone {
                Tone::Done => (Glyph::Ok, Role::Ok),
                Tone::Warning => (Glyph::Warn, Role::Warn),
                Tone::Failure => (Glyph::Error, Role::Error),
            };
            for x in area.x..area.right() {
                buffer[(x, y)].reset();
            }
            let line = format!(" {} {message}", theme.glyph(glyph));
            text::put(buffer, (area.x, y), area.width, &line, theme.style(role));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{shots, typed};

    #[test]
    fn help_is_made_from_the_table() {
        let mut page = Page::help(&[Context::Tree, Context::Detail, Context::Calls], "FILTER WORDS\n  tool: the tool's name");
        page.pager().set_height(20);
        shots("help", |area, buffer, theme| page.draw(area, buffer, theme));
        let text = String::from_utf8_lossy(page.pager().bytes()).into_owned();
        for binding in keymap::BINDINGS.iter().filter(|b| b.context == Context::Tree || b.context == Context::Global) {
            assert!(text.contains(binding.help), "{}", binding.help);
        }
    }

    #[test]
    fn a_question_shows_what_will_happen() {
        let confirm = Confirm {
            title: "Attach to Claude Code".into(),
            what: format!("~/.claude.json\n- \"command\": \"npx\"\n+ \"command\": \"mcp\"\n{}", text::tests::HOSTILE),
            verb: "attach".into(),
            is_final: true,
        };
        shots("confirm", |area, buffer, theme| confirm.draw(area, buffer, theme));
        let answers: Vec<Option<bool>> = typed(Context::Confirm, "y enter n esc")
            .into_iter()
            .map(|press| match press {
                keymap::Press::Action(action, _) => confirm.update(action),
                _ => None,
            })
            .collect();
        assert_eq!(answers, [Some(true), Some(true), Some(false), Some(false)]);
        assert_eq!(confirm.update(Action::Down), None);
    }

    #[test]
    fn messages_go_by_themselves() {
        let now = Instant::now();
        let mut toasts = Toasts::default();
        assert_eq!(toasts.next_tick(), None);
        toasts.say(Tone::Done, "copied", now);
        toasts.say(Tone::Failure, text::tests::HOSTILE, now);
        shots("toasts", |area, buffer, theme| toasts.draw(area, buffer, theme));
        assert!(!toasts.tick(now + Duration::from_secs(3)));
        assert!(toasts.tick(now + Duration::from_secs(5)));
        assert_eq!(toasts.next_tick(), Some(now + Duration::from_secs(10)));
        assert!(toasts.tick(now + Duration::from_secs(11)));
    }
}
