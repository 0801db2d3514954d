//! Colours and glyphs. Only the terminal's own sixteen colours, and never a meaning that colour alone carries.

use ratatui::style::{Color, Modifier, Style};

/// What the background is, as far as we know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// Not known: only colours that can be read on black and on white.
    #[default]
    Unknown,
    /// Dark letters on a light ground.
    Light,
    /// Light letters on a dark ground.
    Dark,
}

/// What a piece of text is, so that the theme decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Plain text.
    Text,
    /// What matters less.
    Dim,
    /// A heading.
    Title,
    /// A frame.
    Border,
    /// The frame of the pane that has the keys.
    Focus,
    /// The row under the cursor.
    Selected,
    /// A key to press.
    Key,
    /// The name of a member or a field.
    Name,
    /// A string value.
    String,
    /// A number.
    Number,
    /// `true`, `false`, `null`.
    Literal,
    /// It went well.
    Ok,
    /// It deserves a look.
    Warn,
    /// It failed.
    Error,
    /// It goes on.
    Pending,
    /// Only on the right side of a comparison.
    Added,
    /// Only on the left side of a comparison.
    Removed,
    /// Different on both sides.
    Changed,
    /// What was searched for.
    Hit,
}

/// A sign with a stand-in for terminals without Unicode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// A fold that is open.
    Open,
    /// A fold that is closed.
    Closed,
    /// The cursor's row.
    Cursor,
    /// Success.
    Ok,
    /// Failure.
    Error,
    /// A warning.
    Warn,
    /// Still going on.
    Pending,
    /// Held by a breakpoint.
    Held,
    /// Marked.
    Mark,
    /// Something is missing here.
    More,
    /// From here to there.
    Arrow,
    /// Ticked.
    Ticked,
    /// Not ticked.
    Unticked,
    /// One of several, chosen.
    Chosen,
}

/// How the screen looks. Made once from what the caller knows of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours may be used.
    pub has_colour: bool,
    /// The background.
    pub background: Background,
    /// Whether signs beyond ASCII may be used.
    pub has_unicode: bool,
}

impl Default for Theme {
    fn default() -> Self {
        Self { has_colour: true, background: Background::Unknown, has_unicode: true }
    }
}

impl Theme {
    /// The theme for an environment, asked by name; a flag of the caller's goes before.
    ///
    /// `NO_COLOR` (any value but the empty one) switches colour off. `COLORFGBG` tells the background where a terminal sets
    /// it. Unicode is used when the first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set names UTF-8, and on Windows always.
    pub fn detect(background: Option<Background>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name)).unwrap_or_default().to_ascii_lowercase();
        Self {
            has_colour: set("NO_COLOR").is_none() && set("TERM").as_deref() != Some("dumb"),
            background: background.unwrap_or_else(|| set("COLORFGBG").map_or(Background::Unknown, |v| from_colorfgbg(&v))),
            has_unicode: cfg!(windows) || locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// How text of a role looks.
    pub fn style(&self, role: Role) -> Style {
        let shape = match role {
            Role::Title | Role::Key | Role::Focus | Role::Error => Style::new().add_modifier(Modifier::BOLD),
            Role::Selected => return Style::new().add_modifier(Modifier::REVERSED),
            Role::Hit => return Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD),
            Role::Dim | Role::Border if !self.has_colour => Style::new().add_modifier(Modifier::DIM),
            Role::Changed => Style::new().add_modifier(Modifier::UNDERLINED),
            _ => Style::new(),
        };
        if !self.has_colour {
            return shape;
        }
        match self.colour(role) {
            Some(colour) => shape.fg(colour),
            None => shape,
        }
    }

    fn colour(&self, role: Role) -> Option<Color> {
        // Yellow and cyan cannot be read on white, blue hardly on black: each ground has its own, and without a known ground
        // we keep to red, green, magenta and the middle grey.
        let by_ground = |light, dark, either| match self.background {
            Background::Light => light,
            Background::Dark => dark,
            Background::Unknown => either,
        };
        Some(match role {
            Role::Text | Role::Title | Role::Selected | Role::Hit => return None,
            Role::Dim | Role::Border => by_ground(Color::DarkGray, Color::DarkGray, Color::DarkGray),
            Role::Focus | Role::Key => by_ground(Color::Blue, Color::Cyan, Color::Magenta),
            Role::Name => by_ground(Color::Blue, Color::LightBlue, Color::Magenta),
            Role::String | Role::Ok | Role::Added => by_ground(Color::Green, Color::LightGreen, Color::Green),
            Role::Number => by_ground(Color::Magenta, Color::LightMagenta, Color::Magenta),
            Role::Literal | Role::Pending => by_ground(Color::Blue, Color::LightCyan, Color::Magenta),
            Role::Warn | Role::Changed => by_ground(Color::Magenta, Color::LightYellow, Color::Magenta),
            Role::Error | Role::Removed => by_ground(Color::Red, Color::LightRed, Color::Red),
        })
    }

    /// A sign, in what the terminal can show.
    pub fn glyph(&self, glyph: Glyph) -> &'static str {
        let (unicode, ascii) = match glyph {
            Glyph::Open => ("▾", "-"),
            Glyph::Closed => ("▸", "+"),
            Glyph::Cursor => ("▌", ">"),
            Glyph::Ok => ("✓", "ok"),
            Glyph::Error => ("✗", "x"),
            Glyph::Warn => ("!", "!"),
            Glyph::Pending => ("◌", "~"),
            Glyph::Held => ("‖", "="),
            Glyph::Mark => ("●", "*"),
            Glyph::More => ("…", "..."),
            Glyph::Arrow => ("→", "->"),
            Glyph::Ticked => ("☑", "[x]"),
            Glyph::Unticked => ("☐", "[ ]"),
            Glyph::Chosen => ("◉", "(*)"),
        };
        if self.has_unicode { unicode } else { ascii }
    }
}

fn from_colorfgbg(value: &str) -> Background {
    match value.rsplit(';').next().and_then(|ground| ground.parse::<u8>().ok()) {
        Some(0..=6 | 8) => Background::Dark,
        Some(7 | 9..=15) => Background::Light,
        _ => Background::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 19] = [
        Role::Text,
        Role::Dim,
        Role::Title,
        Role::Border,
        Role::Focus,
        Role::Selected,
        Role::Key,
        Role::Name,
        Role::String,
        Role::Number,
        Role::Literal,
        Role::Ok,
        Role::Warn,
        Role::Error,
        Role::Pending,
        Role::Added,
        Role::Removed,
        Role::Changed,
        Role::Hit,
    ];

    fn detected(variables: &[(&str, &str)]) -> Theme {
        Theme::detect(None, |name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_environment_decides_what_no_flag_decides() {
        assert!(!detected(&[("NO_COLOR", "1")]).has_colour);
        assert!(detected(&[("NO_COLOR", "")]).has_colour);
        assert_eq!(detected(&[("COLORFGBG", "15;0")]).background, Background::Dark);
        assert_eq!(detected(&[("COLORFGBG", "0;default;15")]).background, Background::Light);
        assert_eq!(detected(&[("COLORFGBG", "x")]).background, Background::Unknown);
        assert_eq!(Theme::detect(Some(Background::Light), |_| Some("15;0".into())).background, Background::Light);
    }

    #[test]
    #[cfg(not(windows))]
    fn the_first_locale_variable_that_is_set_counts() {
        assert!(detected(&[("LANG", "de_DE.UTF-8")]).has_unicode);
        assert!(!detected(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]).has_unicode);
        assert!(!detected(&[]).has_unicode);
    }

    #[test]
    fn without_colour_no_style_has_one() {
        let theme = Theme { has_colour: false, ..Theme::default() };
        for role in ROLES {
            assert_eq!((theme.style(role).fg, theme.style(role).bg), (None, None), "{role:?}");
        }
    }

    #[test]
    fn colours_are_of_the_sixteen_and_readable_on_their_ground() {
        for background in [Background::Unknown, Background::Light, Background::Dark] {
            let theme = Theme { background, ..Theme::default() };
            for colour in ROLES.iter().filter_map(|role| theme.style(*role).fg) {
                assert!(!matches!(colour, Color::Rgb(..) | Color::Indexed(_) | Color::Black | Color::White | Color::Gray));
                if background != Background::Dark {
                    assert!(!matches!(colour, Color::Yellow | Color::Cyan | Color::LightYellow | Color::LightCyan));
                }
            }
        }
    }

    #[test]
    fn signs_without_unicode_are_ascii() {
        let theme = Theme { has_unicode: false, ..Theme::default() };
        for glyph in [Glyph::Open, Glyph::Closed, Glyph::Cursor, Glyph::Ok, Glyph::More, Glyph::Ticked, Glyph::Chosen] {
            assert!(theme.glyph(glyph).is_ascii());
        }
    }
}
