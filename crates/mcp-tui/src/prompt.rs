//! One line of input: history, completions and a marked mistake. For the filter, the palette and small questions.

use std::ops::Range;

use crossterm::event::{Event, KeyEvent};
use ratatui::{buffer::Buffer, layout::Rect};
use tui_input::{Input, InputRequest, backend::crossterm::EventHandler as _};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{
    keymap::Action,
    text,
    theme::{Glyph, Role, Theme},
};

/// Older lines beyond this are forgotten.
const HISTORY: usize = 500;

/// Something that could stand at a place of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The bytes of the line it replaces.
    pub range: Range<usize>,
    /// What it puts there.
    pub text: String,
    /// What it means.
    pub help: String,
}

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The line is another: complete and check it anew.
    Changed,
    /// Draw.
    Moved,
    /// The line is to be used; it is in the history now.
    Accepted,
    /// The line is to be left.
    Left,
    /// Not an action of the line.
    Ignored,
}

/// The line.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    input: Input,
    history: Vec<String>,
    /// Place in the history while one walks through it.
    older: Option<usize>,
    /// The line before one walked.
    draft: String,
    /// Words of a search in the history, and the entry it shows.
    reverse: Option<(String, Option<usize>)>,
    completions: Vec<Completion>,
    chosen: Option<usize>,
    mistake: Option<(Range<usize>, String)>,
}

impl Prompt {
    /// A line with a text in it and the lines used before, oldest first.
    pub fn new(line: impl Into<String>, history: Vec<String>) -> Self {
        Self { input: Input::new(line.into()), history, ..Self::default() }
    }

    /// The line.
    pub fn line(&self) -> &str {
        self.input.value()
    }

    /// The byte of the line the cursor is at.
    pub fn cursor(&self) -> usize {
        self.line().char_indices().nth(self.input.cursor()).map_or(self.line().len(), |(at, _)| at)
    }

    /// Another line, with the cursor at its end.
    pub fn set(&mut self, line: impl Into<String>) {
        self.input = Input::new(line.into());
        self.completions.clear();
        self.chosen = None;
        self.mistake = None;
    }

    /// The lines used so far, oldest first.
    pub fn history(&self) -> &[String] {
        &self.history
    }

    /// What could stand at the cursor.
    pub fn set_completions(&mut self, completions: Vec<Completion>) {
        self.completions = completions;
        self.chosen = None;
    }

    /// What is wrong, and where.
    pub fn set_mistake(&mut self, mistake: Option<(Range<usize>, String)>) {
        self.mistake = mistake;
    }

    /// Takes a key that is text or edits it.
    pub fn key(&mut self, event: KeyEvent) -> Reply {
        if let Some((words, found)) = &mut self.reverse {
            match event.code {
                crossterm::event::KeyCode::Char(c) => words.push(c),
                crossterm::event::KeyCode::Backspace => _ = words.pop(),
                _ => return Reply::Ignored,
            }
            *found = None;
            self.search_back(self.history.len());
            return Reply::Changed;
        }
        match self.input.handle_event(&Event::Key(event)) {
            Some(change) if change.value => {
                self.older = None;
                self.chosen = None;
                self.mistake = None;
                Reply::Changed
            }
            Some(_) => Reply::Moved,
            None => Reply::Ignored,
        }
    }

    /// Takes pasted text; line ends become blanks.
    pub fn paste(&mut self, pasted: &str) -> Reply {
        for c in pasted.trim_end().chars() {
            self.input.handle(InputRequest::InsertChar(if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }));
        }
        self.chosen = None;
        self.mistake = None;
        Reply::Changed
    }

    /// Takes an action.
    pub fn update(&mut self, action: Action) -> Reply {
        match action {
            Action::Accept => {
                if self.reverse.take().is_some() {
                    return Reply::Moved;
                }
                if let Some(at) = self.chosen {
                    self.complete(at);
                    return Reply::Changed;
                }
                self.remember();
                Reply::Accepted
            }
            Action::Back => {
                if self.reverse.take().is_some() {
                    let draft = std::mem::take(&mut self.draft);
                    self.set(draft);
                    return Reply::Changed;
                }
                if self.completions.is_empty() {
                    return Reply::Left;
                }
                self.completions.clear();
                self.chosen = None;
                Reply::Moved
            }
            Action::Complete if self.completions.is_empty() => Reply::Moved,
            Action::Complete => {
                self.complete(self.chosen.unwrap_or(0));
                Reply::Changed
            }
            Action::HistoryBack if self.chosen.is_some() => {
                self.chosen = self.chosen.and_then(|at| at.checked_sub(1));
                Reply::Moved
            }
            Action::HistoryForward if !self.completions.is_empty() && self.older.is_none() => {
                self.chosen = Some(self.chosen.map_or(0, |at| (at + 1).min(self.completions.len() - 1)));
                Reply::Moved
            }
            Action::HistoryBack => self.walk(self.older.unwrap_or(self.history.len()).checked_sub(1)),
            Action::HistoryForward => match self.older {
                Some(at) => self.walk(Some(at + 1)),
                None => Reply::Moved,
            },
            Action::HistorySearch => {
                match self.reverse.as_mut() {
                    None => {
                        self.draft = self.line().to_owned();
                        self.reverse = Some((String::new(), None));
                    }
                    Some((_, found)) => {
                        let before = found.unwrap_or(self.history.len());
                        self.search_back(before);
                    }
                }
                Reply::Changed
            }
            _ => Reply::Ignored,
        }
    }

    fn remember(&mut self) {
        let line = self.line().to_owned();
        if !line.trim().is_empty() {
            self.history.retain(|old| *old != line);
            self.history.push(line);
            let over = self.history.len().saturating_sub(HISTORY);
            self.history.drain(..over);
        }
        self.older = None;
    }

    fn walk(&mut self, to: Option<usize>) -> Reply {
        let Some(to) = to else { return Reply::Moved };
        if self.older.is_none() {
            self.draft = self.line().to_owned();
        }
        if let Some(line) = self.history.get(to).cloned() {
            self.set(line);
            self.older = Some(to);
        } else {
            let draft = std::mem::take(&mut self.draft);
            self.set(draft);
            self.older = None;
        }
        Reply::Changed
    }

    fn search_back(&mut self, before: usize) {
        let Some((words, found)) = &mut self.reverse else { return };
        let Some(at) = self.history[..before].iter().rposition(|line| line.contains(words.as_str())) else { return };
        *found = Some(at);
        let line = self.history[at].clone();
        self.set(line);
    }

    fn complete(&mut self, at: usize) {
        let Some(completion) = self.completions.get(at).cloned() else { return };
        let line = self.line();
        let (Some(before), Some(behind)) = (line.get(..completion.range.start), line.get(completion.range.end..)) else { return };
        let completed = format!("{before}{}{behind}", completion.text);
        let cursor = completed[..before.len() + completion.text.len()].chars().count();
        self.set(completed);
        self.input.handle(InputRequest::SetCursor(cursor));
    }

    /// Draws the line and, below it where there is room, what is wrong or what could stand there. Gives the cursor's cell.
    pub fn draw(&self, area: Rect, label: &str, buffer: &mut Buffer, theme: &Theme) -> Option<(u16, u16)> {
        if area.width < 4 || area.height == 0 {
            return None;
        }
        let label = match &self.reverse {
            Some((words, _)) => format!("history {}{words} ", theme.glyph(Glyph::Closed)),
            None => format!("{label} {} ", theme.glyph(Glyph::Closed)),
        };
        let begin = text::put(buffer, (area.x, area.y), area.width / 2, &label, theme.style(Role::Title));
        let room = area.right().saturating_sub(begin);
        // One cell stays for the cursor behind the last letter.
        let cursor = self.cursor();
        let before = text::width(&text::visible(&self.line()[..cursor]));
        let mut skipped = (before + 1).saturating_sub(room.into());
        let mut x = begin;
        for (at, cluster) in self.line().grapheme_indices(true) {
            let shown = text::visible(cluster).into_owned();
            if skipped > 0 {
                skipped = skipped.saturating_sub(text::width(&shown));
                continue;
            }
            let is_wrong = self.mistake.as_ref().is_some_and(|(range, _)| range.contains(&at));
            let style = if is_wrong { theme.style(Role::Error).underlined() } else { theme.style(Role::Text) };
            x = text::put(buffer, (x, area.y), area.right().saturating_sub(x), &shown, style);
        }
        if let Some((range, _)) = &self.mistake
            && range.start >= self.line().len()
            && x < area.right()
        {
            buffer[(x, area.y)].set_style(theme.style(Role::Error).underlined());
        }
        let cell = begin + u16::try_from(before).unwrap_or(u16::MAX).min(room.saturating_sub(1));
        self.draw_below(Rect { y: area.y + 1, height: area.height - 1, ..area }, begin, buffer, theme);
        Some((cell, area.y))
    }

    fn draw_below(&self, area: Rect, begin: u16, buffer: &mut Buffer, theme: &Theme) {
        let mut y = area.y;
        if let Some((range, why)) = &self.mistake
            && y < area.bottom()
        {
            let line = format!("{} at {}: {why}", theme.glyph(Glyph::Error), range.start + 1);
            text::put(buffer, (area.x, y), area.width, &line, theme.style(Role::Error));
            y += 1;
        }
        let rows = usize::from(area.bottom().saturating_sub(y)).min(8);
        let first = self.chosen.map_or(0, |at| (at + 1).saturating_sub(rows));
        let widest = self.completions.iter().map(|c| text::width(&text::visible(&c.text))).max().unwrap_or(0);
        for (at, completion) in self.completions.iter().enumerate().skip(first).take(rows) {
            let is_chosen = self.chosen == Some(at);
            let look = |role| if is_chosen { theme.style(Role::Selected) } else { theme.style(role) };
            let x = begin.min(area.right());
            for blank in x..area.right() {
                buffer[(blank, y)].reset();
            }
            let room = area.right() - x;
            let sign = if is_chosen { theme.glyph(Glyph::Cursor) } else { " " };
            let next = text::put(buffer, (x, y), room, sign, look(Role::Text));
            text::put(buffer, (next, y), area.right().saturating_sub(next), &completion.text, look(Role::Key));
            let help = x.saturating_add(u16::try_from(widest).unwrap_or(u16::MAX).min(room / 2)).saturating_add(3);
            text::put(buffer, (help, y), area.right().saturating_sub(help), &completion.help, look(Role::Dim));
            y += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keymap::{Context, Press},
        testing::{shots, typed},
    };

    fn feed(prompt: &mut Prompt, script: &str) -> Vec<Reply> {
        typed(Context::Filter, script)
            .into_iter()
            .map(|press| match press {
                Press::Action(action, _) => prompt.update(action),
                Press::Text(event) => prompt.key(event),
                _ => Reply::Ignored,
            })
            .collect()
    }

    fn completions() -> Vec<Completion> {
        ["tool:", "text~", "tok>"]
            .map(|word| Completion { range: 0..1, text: word.to_owned(), help: format!("what {word} means") })
            .into()
    }

    #[test]
    fn looks_right_at_every_size_with_and_without_colour() {
        let mut prompt = Prompt::new(format!("tool:search* and {}", text::tests::HOSTILE), Vec::new());
        prompt.set_mistake(Some((5..12, "no such word".into())));
        prompt.set_completions(completions());
        prompt.update(Action::HistoryForward);
        shots("prompt", |area, buffer, theme| _ = prompt.draw(area, "filter", buffer, theme));
    }

    #[test]
    fn typing_changes_the_line_and_enter_uses_it() {
        let mut prompt = Prompt::default();
        assert_eq!(
            feed(&mut prompt, "a b space c left backspace"),
            [Reply::Changed, Reply::Changed, Reply::Changed, Reply::Changed, Reply::Moved, Reply::Changed]
        );
        assert_eq!((prompt.line(), prompt.cursor()), ("abc", 2));
        assert_eq!(feed(&mut prompt, "enter"), [Reply::Accepted]);
        assert_eq!(prompt.history(), ["abc"]);
        assert_eq!(feed(&mut prompt, "esc"), [Reply::Left]);
    }

    #[test]
    fn the_history_is_walked_and_the_draft_comes_back() {
        let mut prompt = Prompt::new("draft", vec!["one".into(), "two".into()]);
        let mut seen = Vec::new();
        for key in ["up", "up", "up", "down", "down", "down"] {
            feed(&mut prompt, key);
            seen.push(prompt.line().to_owned());
        }
        assert_eq!(seen, ["two", "one", "one", "two", "draft", "draft"]);
    }

    #[test]
    fn a_search_in_the_history_finds_older_lines() {
        let mut prompt = Prompt::new("draft", vec!["is:error".into(), "tool:a".into(), "dur>1s is:late".into()]);
        feed(&mut prompt, "ctrl-r i s");
        assert_eq!(prompt.line(), "dur>1s is:late");
        feed(&mut prompt, "ctrl-r");
        assert_eq!(prompt.line(), "is:error");
        feed(&mut prompt, "esc");
        assert_eq!(prompt.line(), "draft");
    }

    #[test]
    fn a_completion_replaces_its_range() {
        let mut prompt = Prompt::new("t and x", Vec::new());
        prompt.set_completions(completions());
        assert_eq!(feed(&mut prompt, "down down tab"), [Reply::Moved, Reply::Moved, Reply::Changed]);
        assert_eq!((prompt.line(), prompt.cursor()), ("text~ and x", 5));
        prompt.set_completions(vec![Completion { range: 90..99, text: "x".into(), help: String::new() }]);
        feed(&mut prompt, "tab");
        assert_eq!(prompt.line(), "text~ and x");
    }

    #[test]
    fn escape_closes_the_completions_first() {
        let mut prompt = Prompt::new("t", Vec::new());
        prompt.set_completions(completions());
        assert_eq!(feed(&mut prompt, "esc esc"), [Reply::Moved, Reply::Left]);
    }

    #[test]
    fn pasted_lines_become_one() {
        let mut prompt = Prompt::new("日", Vec::new());
        prompt.paste("a\nb\tc\n");
        assert_eq!(prompt.line(), "日a b c");
        assert_eq!(prompt.cursor(), prompt.line().len());
    }
}
