//! What the widgets' tests share: drawing without a terminal, and snapshots at the sizes we promise.

use std::fmt::Write as _;

use crossterm::event::KeyEvent;
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, layout::Rect, style::Style};

use crate::{
    keymap::{Context, Keymap, Press},
    text::tests::assert_harmless,
    theme::{Background, Theme},
};

/// Draws once on a screen of this size; nothing harmful may be on it.
pub(crate) fn shot(width: u16, height: u16, theme: Theme, draw: impl FnOnce(Rect, &mut Buffer, &Theme)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend does not fail");
    terminal.draw(|frame| draw(frame.area(), frame.buffer_mut(), &theme)).expect("a test backend does not fail");
    let buffer = terminal.backend().buffer().clone();
    assert_harmless(&buffer);
    buffer
}

/// Snapshots at 80x24 and 120x36: letters, and for the smaller one every style in words.
pub(crate) fn shots(name: &str, draw: impl Fn(Rect, &mut Buffer, &Theme)) {
    let plain = Theme { has_colour: false, ..Theme::default() };
    insta::assert_snapshot!(format!("{name}_80x24_plain"), described(&shot(80, 24, plain, &draw)));
    insta::assert_snapshot!(format!("{name}_120x36_plain"), letters(&shot(120, 36, plain, &draw)));
    let dark = Theme { background: Background::Dark, ..Theme::default() };
    insta::assert_snapshot!(format!("{name}_80x24_dark"), described(&shot(80, 24, dark, &draw)));
    insta::assert_snapshot!(format!("{name}_120x36_dark"), described(&shot(120, 36, dark, &draw)));
    let ascii = Theme { has_unicode: false, ..Theme::default() };
    insta::assert_snapshot!(format!("{name}_80x24_ascii"), letters(&shot(80, 24, ascii, &draw)));
    for (width, height) in [(0, 0), (1, 1), (5, 2), (20, 3), (60, 15), (200, 50)] {
        shot(width, height, plain, &draw);
    }
}

/// The letters of the screen.
pub(crate) fn letters(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(crate::text::width(symbol)).unwrap_or(1).max(1);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The letters, then the runs of every style that is not the plain one.
pub(crate) fn described(buffer: &Buffer) -> String {
    let mut out = letters(buffer);
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, u16, Style)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let style = cell.style();
            match runs.last_mut() {
                Some(run) if run.2 == style && run.1 == x => run.1 = x + 1,
                _ => runs.push((x, x + 1, style)),
            }
        }
        let plain = Buffer::empty(Rect::new(0, 0, 1, 1))[(0, 0)].style();
        let said: Vec<String> = runs
            .iter()
            .filter(|(_, _, style)| *style != plain)
            .map(|(from, to, style)| format!("{from}-{to} {:?} {:?}", style.fg.unwrap_or_default(), style.add_modifier))
            .collect();
        if !said.is_empty() {
            let _ = writeln!(out, "{y}: {}", said.join(", "));
        }
    }
    out
}

/// Types a script: keys as in the table, with blanks between; gives what each came to.
pub(crate) fn typed(context: Context, script: &str) -> Vec<Press> {
    let mut keymap = Keymap::default();
    script.split(' ').map(|key| keymap.press(&[context], event(key))).collect()
}

/// A key as in the table.
pub(crate) fn event(key: &str) -> KeyEvent {
    crate::keymap::Stroke::parse(key).unwrap_or_else(|| panic!("{key} is no key")).event()
}
