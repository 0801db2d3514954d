//! Everything that reaches the terminal goes through here: the answer to stdout, all else to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};

/// Bold.
pub(crate) const STRONG: Style = Style::new().bold();
/// Unimportant.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Good news, and added lines.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Bad news, and removed lines.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Something to know.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// A place.
pub(crate) const PLACE: Style = AnsiColor::Cyan.on_default();

/// The terminal as a command sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    /// Only errors and the answer.
    pub(crate) quiet: bool,
    /// Someone is there to answer questions: both ends are a terminal.
    pub(crate) can_ask: bool,
}

impl Ui {
    /// A terminal as found.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, can_ask: io::stdin().is_terminal() && io::stderr().is_terminal() }
    }

    /// A line of the answer. When the reader is gone the program ends: it has what it wanted.
    #[expect(clippy::unused_self, reason = "whoever has no `Ui` must not print")]
    pub(crate) fn out(self, text: impl Display) {
        let mut stdout = anstream::stdout().lock();
        if let Err(error) = writeln!(stdout, "{text}") {
            leave(&error);
        }
    }

    /// An answer of many lines, written when there is enough of it and when it is dropped.
    #[expect(clippy::unused_self, reason = "whoever has no `Ui` must not print")]
    pub(crate) fn stream(self) -> Stream {
        Stream { out: io::BufWriter::with_capacity(64 * 1024, Box::new(anstream::stdout().lock())) }
    }

    /// The same for an answer that is no text for people: what looks like a colour stays in it as well.
    #[expect(clippy::unused_self, reason = "whoever has no `Ui` must not print")]
    pub(crate) fn exact(self) -> Stream {
        Stream { out: io::BufWriter::with_capacity(64 * 1024, Box::new(io::stdout().lock())) }
    }

    /// A line beside the answer.
    pub(crate) fn note(self, text: impl Display) {
        if !self.quiet {
            self.err(text);
        }
    }

    /// A line about something that may not be as wanted.
    pub(crate) fn warn(self, text: impl Display) {
        self.err(format_args!("{WARN}warning:{WARN:#} {text}"));
    }

    /// What to do next after an error: part of the error, so also when asked to be quiet.
    pub(crate) fn hint(self, text: impl Display) {
        self.err(format_args!("{PLACE}hint:{PLACE:#} {text}"));
    }

    /// A line on stderr, in any case.
    #[expect(clippy::unused_self, reason = "whoever has no `Ui` must not print")]
    pub(crate) fn err(self, text: impl Display) {
        // Nobody can be told when stderr is closed.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }
}

/// See [`Ui::stream`].
pub(crate) struct Stream {
    out: io::BufWriter<Box<dyn io::Write>>,
}

impl Stream {
    /// A line.
    pub(crate) fn line(&mut self, text: impl Display) {
        if let Err(error) = writeln!(self.out, "{text}") {
            leave(&error);
        }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if let Err(error) = self.out.write_all(bytes) {
            leave(&error);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Err(error) = self.out.flush() {
            leave(&error);
        }
    }
}

/// Ends the program after stdout failed: quietly when the reader left, else with the reason.
#[expect(clippy::exit, reason = "nothing is left to do when the answer cannot be given")]
fn leave(error: &io::Error) -> ! {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    let _ = writeln!(io::stderr(), "error: write the answer to stdout\n  {error}");
    std::process::exit(3);
}

/// Rows as aligned columns, two spaces apart, without trailing blanks. Widths are counted in characters.
pub(crate) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut text = String::new();
        for (c, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if c + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', widths[c] - cell.chars().count() + 2));
            }
        }
        text.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// `1 server`, `2 servers`.
pub(crate) fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// Characters that could take over a terminal, made visible. What comes from a file or a stranger passes here.
pub(crate) fn clean(text: &str) -> String {
    // The end of a line in a file of Windows.
    let text = text.strip_suffix('\r').unwrap_or(text);
    let shown = |c: char| {
        c == '\t' || !(c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    if text.chars().all(shown) {
        text.to_owned()
    } else {
        text.chars().map(|c| if shown(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
    }
}

/// How questions look. Colour is dropped where the terminal or the user wants none.
pub(crate) fn theme() -> Box<dyn dialoguer::theme::Theme> {
    restore_on_interrupt();
    let plain =
        !matches!(anstream::AutoStream::choice(&io::stderr()), anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi);
    if plain { Box::new(dialoguer::theme::SimpleTheme) } else { Box::new(dialoguer::theme::ColorfulTheme::default()) }
}

/// Lists hide the cursor while they are open; an interrupt must not leave it so.
#[expect(clippy::exit, reason = "the user broke off; every write is safe to be broken off at any instant")]
fn restore_on_interrupt() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // Without a handler an interrupt still ends the program.
        let _ = ctrlc::set_handler(|| {
            let _ = dialoguer::console::Term::stderr().show_cursor();
            let _ = writeln!(io::stderr());
            std::process::exit(crate::exit::Exit::Interrupted as i32);
        });
    });
}

/// A line of a list to choose from, cut to the terminal: a line that wraps confuses the list's drawing.
pub(crate) fn choice(text: &str) -> String {
    let width = usize::from(dialoguer::console::Term::stderr().size().1).saturating_sub(6).max(20);
    if text.chars().count() <= width { text.to_owned() } else { text.chars().take(width - 1).chain(['…']).collect() }
}

/// A question that could not be asked or was broken off.
pub(crate) fn asked(error: dialoguer::Error) -> crate::report::Failure {
    let dialoguer::Error::IO(error) = error;
    let mut failure = crate::report::Failure::usage(anyhow::Error::new(error).context("ask a question on the terminal"));
    failure.exit = crate::exit::Exit::Interrupted;
    failure
}
