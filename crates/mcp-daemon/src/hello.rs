//! What a caller says first on a connection. Safe for any bytes, and made without JSON, because the shim has none.
//!
//! ```text
//! mcp-run-once/1 <length>\n<length bytes>     a session: pairs of key NUL value NUL, see `Call`
//! mcp-why/1 <session>\n                       how did this session end?
//! mcp-leave/1 <version>\n                     take no new clients: a newer daemon comes
//! mcp-control/1 <length>\n<length bytes>      a request in JSON, see `control`
//! ```
//!
//! On TCP a line with the token comes before it ([`crate::link::TOKEN`]).

use std::fmt;

/// The longest body. An environment may be large (Linux allows 6 MiB with the arguments).
pub const LONGEST: usize = 8 << 20;
/// The longest first line.
pub const LONGEST_LINE: usize = 4096;

/// What the first line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A session; a body of this length follows.
    RunOnce(usize),
    /// The end of a session.
    Why(String),
    /// No new clients, because this version comes.
    Leave(String),
    /// A request; a body of this length follows.
    Control(usize),
}

/// The first line is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("understand the greeting {0:?}; is this another version of mcp?")]
pub struct NotAHello(pub String);

const RUN_ONCE: &str = "mcp-run-once/1";
const WHY: &str = "mcp-why/1";
const LEAVE: &str = "mcp-leave/1";
const CONTROL: &str = "mcp-control/1";

impl Head {
    /// Reads a first line, without its end.
    pub fn parse(line: &str) -> Result<Self, NotAHello> {
        let unknown = || NotAHello(line.chars().take(60).collect());
        let (word, rest) = line.split_once(' ').ok_or_else(unknown)?;
        let length = || rest.parse().ok().filter(|n| *n <= LONGEST).ok_or_else(unknown);
        match word {
            RUN_ONCE => Ok(Self::RunOnce(length()?)),
            CONTROL => Ok(Self::Control(length()?)),
            WHY => Ok(Self::Why(rest.to_owned())),
            LEAVE => Ok(Self::Leave(rest.to_owned())),
            _ => Err(unknown()),
        }
    }

    /// How much follows.
    pub fn body(&self) -> usize {
        match self {
            Self::RunOnce(length) | Self::Control(length) => *length,
            Self::Why(_) | Self::Leave(_) => 0,
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RunOnce(length) => writeln!(f, "{RUN_ONCE} {length}"),
            Self::Control(length) => writeln!(f, "{CONTROL} {length}"),
            Self::Why(session) => writeln!(f, "{WHY} {session}"),
            Self::Leave(version) => writeln!(f, "{LEAVE} {version}"),
        }
    }
}

/// The answer to a session's hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Frames from here on: the session and the server's name.
    Ok(String, String),
    /// No: the exit code and why.
    Error(u8, String),
    /// The daemon is older than its caller and does not serve it.
    Older(String),
}

/// Stands for a line end in an answer, which is one line.
const LINE_END: char = '\u{1e}';

impl Answer {
    /// Reads the daemon's line.
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "ok" => rest.split_once(' ').map(|(session, name)| Self::Ok(session.to_owned(), name.to_owned())),
            "error" => {
                let (exit, text) = rest.split_once(' ')?;
                Some(Self::Error(exit.parse().ok()?, text.replace(LINE_END, "\n")))
            }
            "older" => Some(Self::Older(rest.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(session, name) => writeln!(f, "ok {session} {name}"),
            Self::Error(exit, text) => writeln!(f, "error {exit} {}", text.replace('\n', "\u{1e}")),
            Self::Older(version) => writeln!(f, "older {version}"),
        }
    }
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// For good: the exit code and a sentence.
    End(u8, String),
    /// It can be taken up with a new daemon, which is told this.
    Resume(Vec<u8>),
    /// Nobody knows.
    Unknown,
}

/// The first line of a [`Why`]; a ticket follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyHead {
    /// For good.
    End(u8, String),
    /// A ticket of this length follows.
    Resume(usize),
    /// Nobody knows.
    Unknown,
}

impl WhyHead {
    /// Reads the daemon's line.
    pub fn parse(line: &str) -> Self {
        match line.split_once(' ') {
            Some(("end", rest)) => rest
                .split_once(' ')
                .map_or(Self::Unknown, |(exit, text)| Self::End(exit.parse().unwrap_or(4), text.replace(LINE_END, "\n"))),
            Some(("resume", rest)) => rest.parse().ok().filter(|n| *n <= LONGEST).map_or(Self::Unknown, Self::Resume),
            _ => Self::Unknown,
        }
    }
}

impl Why {
    /// As it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::End(exit, text) => format!("end {exit} {}\n", text.replace('\n', "\u{1e}")).into_bytes(),
            Self::Resume(ticket) => [format!("resume {}\n", ticket.len()).as_bytes(), ticket].concat(),
            Self::Unknown => b"unknown\n".to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn heads_come_through() {
        for head in [Head::RunOnce(17), Head::Control(0), Head::Why("12-3".into()), Head::Leave("0.2.0".into())] {
            assert_eq!(Head::parse(head.to_string().trim_end()).unwrap(), head);
        }
        for line in ["", "GET / HTTP/1.1", "mcp-run-once/2 7", "mcp-run-once/1 x", "mcp-run-once/1 99999999999"] {
            assert!(Head::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn answers_come_through_with_their_lines() {
        for answer in
            [Answer::Ok("1-2".into(), "calc".into()), Answer::Error(2, "two\nlines".into()), Answer::Older("0.1.0".into())]
        {
            let line = answer.to_string();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Answer::parse(line.trim_end_matches('\n')).unwrap(), answer);
        }
        assert_eq!(Answer::parse("HTTP/1.1 400 Bad Request"), None);
        let line = Why::End(4, "a\nb".into()).to_bytes();
        assert_eq!(WhyHead::parse(std::str::from_utf8(&line).unwrap().trim_end()), WhyHead::End(4, "a\nb".into()));
    }
}
