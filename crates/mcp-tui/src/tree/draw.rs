//! How lines of the tree look.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Kind, Line, Tree, holds_container, image};
use crate::{
    scan::{self, Children},
    text,
    theme::{Glyph, Role, Theme},
};

/// Longer strings say their size.
const LONG: usize = 120;
/// Containers up to this size have their children counted each time they are drawn.
const COUNTED: usize = 4096;

impl Tree {
    /// Draws the lines that fit.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        if area.width < 4 || area.height == 0 {
            return;
        }
        let mut list = self.list.clone();
        list.set_height(area.height.into());
        for (row, at) in list.window().enumerate() {
            let y = area.y + u16::try_from(row).unwrap_or(u16::MAX);
            let is_cursor = Some(at) == list.selected();
            self.draw_line(&self.lines[at], Rect { y, height: 1, ..area }, is_cursor, buffer, theme);
        }
    }

    fn draw_line(&self, line: &Line, area: Rect, is_cursor: bool, buffer: &mut Buffer, theme: &Theme) {
        let look = |role| if is_cursor { theme.style(Role::Selected) } else { theme.style(role) };
        let end = area.right();
        if is_cursor {
            buffer.set_style(area, theme.style(Role::Selected));
            text::put(buffer, (area.x, area.y), 1, theme.glyph(Glyph::Cursor), look(Role::Text));
        }
        let mut pen = |x: u16, content: &str, role: Role| {
            if x >= end { x } else { text::put(buffer, (x, area.y), end - x, content, look(role)) }
        };
        let mut x = area.x + 1 + line.depth.min(area.width / 3) * 2;
        let bytes: &[u8] = &self.sources[usize::from(line.source)].bytes;
        let value = &bytes[line.start()..line.end()];
        let is_inner_json = line.kind == Kind::String && holds_container(value);
        if line.is_container() || is_inner_json {
            pen(x, theme.glyph(if line.is_open { Glyph::Open } else { Glyph::Closed }), Role::Dim);
        }
        x += 2;
        if line.depth == 0 {
            x = pen(x, "$ ", Role::Name);
        } else if line.key.1 > 0 {
            let key = &bytes[line.key.0 as usize + 1..line.key.1 as usize - 1];
            // A key without letters would look like none.
            let key: &[u8] = if key.trim_ascii().is_empty() { &bytes[line.key.0 as usize..line.key.1 as usize] } else { key };
            x = pen(x, &text::visible_bytes(&key[..key.len().min(400)]), Role::Name);
            x = pen(x, ": ", Role::Dim);
        } else if !matches!(line.kind, Kind::More | Kind::Broken) {
            x = pen(x, &format!("{} ", line.number), Role::Dim);
        }
        let room = usize::from(end.saturating_sub(x));
        match line.kind {
            Kind::More => {
                let words = format!("{} {} more, enter lists on", theme.glyph(Glyph::More), text::size(value.len()));
                pen(x, &words, Role::Dim);
            }
            Kind::Broken => {
                x = pen(x, "no JSON from here: ", Role::Error);
                pen(x, &text::visible_bytes(&value[..value.len().min(room * 4)]), Role::Text);
            }
            Kind::Number => _ = pen(x, &text::visible_bytes(&value[..value.len().min(room * 4)]), Role::Number),
            Kind::Literal => _ = pen(x, &text::visible_bytes(&value[..value.len().min(room * 4)]), Role::Literal),
            Kind::Object | Kind::Array => {
                let note = self.container_note(line, value);
                if line.is_open {
                    pen(x, &note, Role::Dim);
                } else if let Some(summary) = self.content_summary(line) {
                    x = pen(x, &summary, Role::String);
                    pen(x, &format!("  {note}"), Role::Dim);
                } else {
                    let preview = text::visible_bytes(&value[..value.len().min(room * 4)]).into_owned();
                    let kept = room.saturating_sub(note.len() + 2).max(8);
                    x = pen(x, &text::clip(&preview, kept), Role::Text);
                    pen(x, &format!("  {note}"), Role::Dim);
                }
            }
            Kind::String => {
                let mut note = String::new();
                if value.len() > LONG {
                    note = format!("  {}, enter opens", text::size(value.len() - 2));
                }
                if is_inner_json {
                    note.push_str("  JSON inside, space unfolds");
                }
                if let Some(media) = self.media_of(line) {
                    pen(x, &image::in_words(&media, value), Role::String);
                    return;
                }
                // A hit deep inside is what one wants to see of a long string.
                let from = self.hit.filter(|hit| *hit > line.start() + 40 && *hit < line.end() && line.source == 0);
                let from = from.map_or(0, |hit| hit - line.start() - 20);
                let piece = &value[from..value.len().min(from + room * 4 + 8)];
                let piece = &piece[piece.iter().position(|b| !(0x80..0xc0).contains(b)).unwrap_or(0)..];
                let shown = text::visible_bytes(&piece[..cut(piece)]);
                let shown = if from > 0 { format!("{}{shown}", theme.glyph(Glyph::More)) } else { shown.into_owned() };
                let shown = text::clip(&shown, room.saturating_sub(note.len()).max(12).min(room)).into_owned();
                let begin = x;
                x = pen(x, &shown, Role::String);
                pen(x, &note, Role::Dim);
                self.draw_hit(&shown, (begin, area.y), end, buffer, theme);
                return;
            }
        }
        if !line.is_container() && line.source == 0 && self.hit.is_some_and(|hit| (line.begin()..line.end()).contains(&hit)) {
            let whole = text::visible_bytes(&value[..value.len().min(200)]).into_owned();
            self.draw_hit(&whole, (x, area.y), end, buffer, theme);
        }
    }

    fn draw_hit(&self, shown: &str, (x, y): (u16, u16), end: u16, buffer: &mut Buffer, theme: &Theme) {
        let Some(at) = self.found_in(shown.as_bytes(), 0) else { return };
        let Some(before) = shown.get(..at) else { return };
        let from = x.saturating_add(u16::try_from(text::width(before)).unwrap_or(u16::MAX));
        let long = u16::try_from(self.words.chars().count()).unwrap_or(u16::MAX);
        for x in from..from.saturating_add(long).min(end) {
            buffer[(x, y)].set_style(theme.style(Role::Hit));
        }
    }

    /// How many children and how many bytes.
    fn container_note(&self, line: &Line, value: &[u8]) -> String {
        let (open, close) = if line.kind == Kind::Object { ('{', '}') } else { ('[', ']') };
        if value.len() > COUNTED {
            return format!("{open}{close} {}", text::size(value.len()));
        }
        let source = &self.sources[usize::from(line.source)];
        format!("{open}{}{close}", Children::new(&source.bytes, &source.index, line.start()).count())
    }

    /// A member of a content block or resource, if its value is a string.
    fn member(&self, line: &Line, name: &str) -> Option<&[u8]> {
        let source = &self.sources[usize::from(line.source)];
        let bytes: &[u8] = &source.bytes;
        Children::new(bytes, &source.index, line.start())
            .take(16)
            .find(|child| child.key.as_ref().is_some_and(|k| bytes[k.start + 1..k.end - 1] == *name.as_bytes()))
            .map(|child| &bytes[child.value])
            .filter(|value| value.len() >= 2 && value[0] == b'"')
    }

    /// A content block or a resource in few words: `image/png 48 kB 640x480`, `text "…" 90.7 kB`.
    fn content_summary(&self, line: &Line) -> Option<String> {
        if line.kind != Kind::Object || line.end() - line.start() < 24 {
            return None;
        }
        let media = self.member(line, "mimeType").map(|m| scan::decode(&m[..m.len().min(200)]));
        for name in ["data", "blob"] {
            if let (Some(media), Some(data)) = (&media, self.member(line, name)) {
                let place = self.member(line, "uri").map(|u| format!("{} ", scan::decode(u))).unwrap_or_default();
                return Some(format!("{place}{}", image::in_words(media, data)));
            }
        }
        if let (Some(uri), Some(content)) = (self.member(line, "uri"), self.member(line, "text")) {
            let media = media.map(|m| format!(" {m}")).unwrap_or_default();
            return Some(format!("{}{media} {}", scan::decode(uri), text::size(content.len() - 2)));
        }
        let content = (self.member(line, "type")? == b"\"text\"").then(|| self.member(line, "text")).flatten()?;
        let beginning = &content[..content.len().min(120)];
        Some(format!(
            "text {} {}",
            text::clip(&text::visible_bytes(&beginning[..cut(beginning)]), 40),
            text::size(content.len() - 2)
        ))
    }

    /// The media type of what this string encodes, if a member beside it says so.
    fn media_of(&self, line: &Line) -> Option<String> {
        let bytes: &[u8] = &self.sources[usize::from(line.source)].bytes;
        let key = bytes.get(line.key.0 as usize..line.key.1 as usize)?;
        if key != b"\"data\"" && key != b"\"blob\"" {
            return None;
        }
        let at = self.lines.iter().position(|l| l.source == line.source && l.span == line.span)?;
        let media = self.member(&self.lines[self.parent(at)?], "mimeType")?;
        Some(scan::decode(&media[..media.len().min(200)]))
    }
}

/// Not in the middle of a character.
fn cut(piece: &[u8]) -> usize {
    match std::str::from_utf8(piece) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => piece.len(),
    }
}
