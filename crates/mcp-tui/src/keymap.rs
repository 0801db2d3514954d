//! The keys: one table, from which handling, footer, help overlay and the page in the documentation come.
//!
//! Contexts are stacked: the innermost is asked first, and [`Context::Global`] last. A context that takes text keeps every
//! printable key for its input.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

mod table;

pub use table::{Action, BINDINGS};

/// Where the keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// Everywhere, unless an inner context has the key.
    Global,
    /// The list of sessions.
    Sessions,
    /// The list of operations of a session.
    Calls,
    /// What is known of one operation.
    Detail,
    /// A payload as a tree.
    Tree,
    /// The filter line.
    Filter,
    /// The palette.
    Palette,
    /// A form made from a schema.
    Form,
    /// The editor of raw JSON.
    Editor,
    /// A comparison.
    Diff,
    /// A question before something is done.
    Confirm,
    /// Help, and every other page of text.
    Help,
}

impl Context {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Global,
        Self::Sessions,
        Self::Calls,
        Self::Detail,
        Self::Tree,
        Self::Filter,
        Self::Palette,
        Self::Form,
        Self::Editor,
        Self::Diff,
        Self::Confirm,
        Self::Help,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Sessions => "Sessions",
            Self::Calls => "Calls",
            Self::Detail => "Detail",
            Self::Tree => "JSON tree",
            Self::Filter => "Filter",
            Self::Palette => "Palette",
            Self::Form => "Form",
            Self::Editor => "Raw JSON editor",
            Self::Diff => "Comparison",
            Self::Confirm => "Question",
            Self::Help => "Help and text pages",
        }
    }

    /// Whether printable keys are text here.
    pub fn takes_text(self) -> bool {
        matches!(self, Self::Filter | Self::Palette | Self::Form | Self::Editor)
    }
}

/// What the keys of one heading are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Moving about.
    Move,
    /// What is seen.
    View,
    /// Finding.
    Find,
    /// Changing what is edited.
    Edit,
    /// Doing something to a server.
    Act,
    /// Keeping and giving away.
    Keep,
    /// The program itself.
    Program,
}

impl Group {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Move => "Move",
            Self::View => "View",
            Self::Find => "Find",
            Self::Edit => "Edit",
            Self::Act => "Act",
            Self::Keep => "Keep",
            Self::Program => "Program",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it holds.
    pub context: Context,
    /// The keys that do it, each a sequence of strokes with blanks between: `j`, `ctrl-d`, `z a`.
    pub keys: &'static [&'static str],
    /// What it does.
    pub action: Action,
    /// What it does, in words.
    pub help: &'static str,
    /// The word in the footer; none if it does not stand there.
    pub short: Option<&'static str>,
    /// Under which heading.
    pub group: Group,
}

/// A key with its modifiers, comparable however a terminal reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stroke {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl Stroke {
    /// From a spelling of the table.
    pub fn parse(text: &str) -> Option<Self> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        loop {
            let (found, tail) = match rest.split_once('-') {
                Some(("ctrl", tail)) if !tail.is_empty() => (KeyModifiers::CONTROL, tail),
                Some(("alt", tail)) if !tail.is_empty() => (KeyModifiers::ALT, tail),
                Some(("shift", tail)) if !tail.is_empty() => (KeyModifiers::SHIFT, tail),
                _ => break,
            };
            modifiers |= found;
            rest = tail;
        }
        let mut letters = rest.chars();
        let code = match (letters.next(), letters.next()) {
            (Some(c), None) => KeyCode::Char(c),
            _ => match rest {
                "enter" => KeyCode::Enter,
                "esc" => KeyCode::Esc,
                "tab" => KeyCode::Tab,
                "space" => KeyCode::Char(' '),
                "up" => KeyCode::Up,
                "down" => KeyCode::Down,
                "left" => KeyCode::Left,
                "right" => KeyCode::Right,
                "home" => KeyCode::Home,
                "end" => KeyCode::End,
                "pageup" => KeyCode::PageUp,
                "pagedown" => KeyCode::PageDown,
                "delete" => KeyCode::Delete,
                "backspace" => KeyCode::Backspace,
                "insert" => KeyCode::Insert,
                _ => return None,
            },
        };
        Some(Self::of(code, modifiers))
    }

    /// One spelling for what terminals report in several ways: `BackTab`, and shift beside an upper-case letter.
    fn of(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let known = modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        match code {
            KeyCode::BackTab => Self { code: KeyCode::Tab, modifiers: known | KeyModifiers::SHIFT },
            KeyCode::Char(c) if known.contains(KeyModifiers::CONTROL) => {
                Self { code: KeyCode::Char(c.to_ascii_lowercase()), modifiers: known - KeyModifiers::SHIFT }
            }
            KeyCode::Char(_) => Self { code, modifiers: known - KeyModifiers::SHIFT },
            _ => Self { code, modifiers: known },
        }
    }

    /// The event a terminal reports for it.
    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// Whether it is a character and not a command.
    fn is_text(self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && !self.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT)
    }
}

impl From<KeyEvent> for Stroke {
    fn from(event: KeyEvent) -> Self {
        Self::of(event.code, event.modifiers)
    }
}

fn strokes(sequence: &str) -> Option<Vec<Stroke>> {
    sequence.split(' ').map(Stroke::parse).collect()
}

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// An action, and the context that had the key.
    Action(Action, Context),
    /// The beginning of a sequence; the next key decides.
    Pending,
    /// Text for the input of the innermost context, or an editing key of it.
    Text(KeyEvent),
    /// Nothing.
    Unbound,
}

/// The strokes of a sequence that are already typed.
#[derive(Clone, Debug)]
pub struct Keymap {
    rows: Vec<(Context, Vec<Stroke>, Action)>,
    typed: Vec<Stroke>,
}

impl Default for Keymap {
    fn default() -> Self {
        let rows = BINDINGS
            .iter()
            .flat_map(|b| b.keys.iter().map(move |k| (b.context, strokes(k).expect("a test reads every spelling"), b.action)))
            .collect();
        Self { rows, typed: Vec::new() }
    }
}

impl Keymap {
    /// Takes a key. `contexts` are the ones that hold, innermost first; [`Context::Global`] need not be named.
    pub fn press(&mut self, contexts: &[Context], event: KeyEvent) -> Press {
        if event.kind == KeyEventKind::Release {
            return Press::Unbound;
        }
        let stroke = Stroke::from(event);
        let was_begun = !self.typed.is_empty();
        if was_begun && stroke.code == KeyCode::Esc {
            self.typed.clear();
            return Press::Unbound;
        }
        self.typed.push(stroke);
        let takes_text = contexts.first().is_some_and(|context| context.takes_text());
        for context in contexts.iter().copied().chain([Context::Global]) {
            let mut is_begun = false;
            for (of, sequence, action) in &self.rows {
                // While one writes, only leaving and suspending go on; the arrows and the rest belong to the line.
                let is_open = context != Context::Global
                    || !takes_text
                    || matches!(action, Action::Quit | Action::Suspend | Action::Redraw);
                if *of == context && is_open && sequence.starts_with(&self.typed) {
                    if sequence.len() == self.typed.len() {
                        self.typed.clear();
                        return Press::Action(*action, context);
                    }
                    is_begun = true;
                }
            }
            if is_begun {
                return Press::Pending;
            }
            if context.takes_text() && stroke.is_text() {
                self.typed.clear();
                return Press::Text(event);
            }
        }
        self.typed.clear();
        if was_begun {
            // The sequence led nowhere; the key counts on its own.
            return self.press(contexts, event);
        }
        if takes_text { Press::Text(event) } else { Press::Unbound }
    }

    /// Whether a sequence has begun; a screen may show it.
    pub fn is_pending(&self) -> bool {
        !self.typed.is_empty()
    }
}

/// What the footer shows: a key and its word, only for what can be done now.
pub fn footer(contexts: &[Context], can: impl Fn(Action) -> bool) -> Vec<(&'static str, &'static str)> {
    let mut found: Vec<(&'static str, &'static str)> = Vec::new();
    for context in contexts.iter().copied().chain([Context::Global]) {
        for binding in BINDINGS.iter().filter(|b| b.context == context && can(b.action)) {
            let (Some(short), Some(key)) = (binding.short, binding.keys.first()) else { continue };
            let is_hidden = contexts.first().is_some_and(|c| c.takes_text()) && context == Context::Global;
            if !is_hidden && found.iter().all(|(k, _)| k != key) {
                found.push((key, short));
            }
        }
    }
    found
}

/// The keys of the contexts that hold, by context and heading, for the help overlay.
pub fn help(contexts: &[Context]) -> Vec<(Context, Group, Vec<&'static Binding>)> {
    let mut sections: Vec<(Context, Group, Vec<&'static Binding>)> = Vec::new();
    for context in contexts.iter().copied().filter(|c| *c != Context::Global).chain([Context::Global]) {
        let mut groups: Vec<Group> = BINDINGS.iter().filter(|b| b.context == context).map(|b| b.group).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            sections.push((context, group, BINDINGS.iter().filter(|b| b.context == context && b.group == group).collect()));
        }
    }
    sections
}

/// How the keys of a row are written.
pub fn spelled(binding: &Binding) -> String {
    binding.keys.iter().map(|k| spelled_key(k)).collect::<Vec<_>>().join(", ")
}

/// `z a` is typed without the blank and written so; names stay apart.
pub fn spelled_key(key: &str) -> String {
    if key.split(' ').all(|stroke| stroke.chars().count() == 1) { key.replace(' ', "") } else { key.to_owned() }
}

/// The key of an action, for the palette.
pub fn key_of(action: Action) -> Option<String> {
    BINDINGS.iter().find(|b| b.action == action).and_then(|b| b.keys.first()).map(|k| spelled_key(k))
}

/// The page `docs/inspect-keys.md`.
pub fn page() -> String {
    let mut out = String::from(
        "# Keys of `mcp inspect`\n\nMade from the table of the program; `?` shows the part for the screen you are on.\n",
    );
    for context in Context::ALL {
        out.push_str(&format!("\n## {}\n\n| Key | Does | |\n| --- | --- | --- |\n", context.title()));
        let mut rows: Vec<&Binding> = BINDINGS.iter().filter(|b| b.context == context).collect();
        rows.sort_by_key(|b| b.group);
        for row in rows {
            let keys: Vec<String> = row.keys.iter().map(|k| format!("`{}`", spelled_key(k).replace('|', "\\|"))).collect();
            out.push_str(&format!("| {} | {} | {} |\n", keys.join(" "), row.help, row.group.title()));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> KeyEvent {
        crate::testing::event(text)
    }

    #[test]
    fn every_key_can_be_read_and_every_action_has_help() {
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && binding.keys.iter().all(|k| strokes(k).is_some()), "{binding:?}");
            assert!(binding.help.len() > 3 && !binding.help.ends_with('.'), "{binding:?}");
        }
        assert!(Context::ALL.iter().all(|c| BINDINGS.iter().any(|b| b.context == *c)));
    }

    #[test]
    fn no_key_of_a_context_means_two_things() {
        for context in Context::ALL {
            let all: Vec<(Vec<Stroke>, Action)> = BINDINGS
                .iter()
                .filter(|b| b.context == context)
                .flat_map(|b| b.keys.iter().map(|k| (strokes(k).unwrap_or_default(), b.action)))
                .collect();
            for (at, (sequence, action)) in all.iter().enumerate() {
                for (other, (longer, second)) in all.iter().enumerate() {
                    assert!(at == other || !longer.starts_with(sequence), "{context:?}: {action:?} and {second:?}");
                }
            }
        }
    }

    #[test]
    fn every_key_of_the_table_does_what_the_table_says() {
        for binding in BINDINGS {
            for sequence in binding.keys {
                let mut keymap = Keymap::default();
                let mut last = Press::Unbound;
                for stroke in sequence.split(' ') {
                    last = keymap.press(&[binding.context], key(stroke));
                }
                assert_eq!(last, Press::Action(binding.action, binding.context), "{sequence}");
            }
        }
    }

    #[test]
    fn a_text_context_keeps_letters_and_editing_keys() {
        let mut keymap = Keymap::default();
        assert!(matches!(keymap.press(&[Context::Filter], key("q")), Press::Text(_)));
        assert!(matches!(keymap.press(&[Context::Filter], key("backspace")), Press::Text(_)));
        assert!(matches!(keymap.press(&[Context::Calls], key("q")), Press::Action(Action::Quit, _)));
    }

    #[test]
    fn a_sequence_that_leads_nowhere_gives_its_last_key_back() {
        let mut keymap = Keymap::default();
        assert_eq!(keymap.press(&[Context::Tree], key("z")), Press::Pending);
        assert_eq!(keymap.press(&[Context::Tree], key("j")), Press::Action(Action::Down, Context::Global));
        assert_eq!(keymap.press(&[Context::Tree], key("z")), Press::Pending);
        assert_eq!(keymap.press(&[Context::Tree], key("esc")), Press::Unbound);
        assert!(!keymap.is_pending());
    }

    #[test]
    fn terminals_may_report_a_key_in_more_than_one_way() {
        let shifted = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(Stroke::from(shifted), Stroke::from(KeyEvent::new(KeyCode::Char('G'), KeyModifiers::NONE)));
        assert_eq!(Stroke::from(KeyEvent::new(KeyCode::BackTab, KeyModifiers::NONE)), Stroke::parse("shift-tab").unwrap());
        let release = KeyEvent { kind: KeyEventKind::Release, ..key("q") };
        assert_eq!(Keymap::default().press(&[Context::Calls], release), Press::Unbound);
    }

    #[test]
    fn the_footer_shows_what_can_be_done() {
        let all = footer(&[Context::Calls], |_| true);
        assert!(all.contains(&("r", "replay")) && all.contains(&("?", "help")));
        let without = footer(&[Context::Calls], |action| action != Action::Replay);
        assert!(!without.iter().any(|(k, _)| *k == "r"));
        assert!(!footer(&[Context::Filter], |_| true).iter().any(|(k, _)| *k == "?"));
    }

    #[test]
    fn the_page_has_every_row() {
        assert_eq!(page().lines().filter(|l| l.starts_with("| `")).count(), BINDINGS.len());
        insta::assert_snapshot!(page());
    }
}
