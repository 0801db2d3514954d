//! What is known of one row: six tabs.

use std::fmt::Write as _;

use bytes::Bytes;
use mcp_capture::event::{Event, Record};
use mcp_capture::file::Type;
pub(super) use mcp_capture::text::duration;
use mcp_capture::{Direction, EndedBy, Row, RowFlags, RowKind, Session};
use mcp_wire::object;

use crate::pager::Pager;
use crate::text;
use crate::tree::Payload;

/// What is shown of the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Arguments,
    Result,
    Raw,
    Timing,
    Lint,
    Schema,
}

impl Tab {
    pub(super) const ALL: [Self; 6] = [Self::Arguments, Self::Result, Self::Raw, Self::Timing, Self::Lint, Self::Schema];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Arguments => "Args",
            Self::Result => "Result",
            Self::Raw => "Raw",
            Self::Timing => "Timing",
            Self::Lint => "Lint",
            Self::Schema => "Schema",
        }
    }
}

/// So much of a message is shown as raw bytes; all of it opens in the pager outside.
const RAW: usize = 256 << 10;

/// What is under the cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) row: Option<u32>,
    /// One of its messages, if the cursor is on it.
    pub(super) entry: Option<u32>,
    /// What is held and has no row, by its number for releasing it.
    pub(super) held: Option<u64>,
}

/// What is on the right.
#[derive(Debug, Default)]
pub(super) struct Detail {
    pub(super) subject: Subject,
    pub(super) tab: Tab,
    /// Made when it is first looked at.
    pages: [Option<Payload>; 6],
    ended: Option<u32>,
}

impl Detail {
    /// Something else.
    pub(super) fn set(&mut self, session: &Session, subject: Subject) {
        if self.subject == subject {
            return;
        }
        self.subject = subject;
        self.pages = [const { None }; 6];
        self.ended = subject.row.and_then(|row| session.rows().get(session.index(), row)).and_then(|row| row.end);
    }

    /// The session has grown: the row may have got its answer.
    pub(super) fn grow(&mut self, session: &Session) {
        let ended = self.subject.row.and_then(|row| session.rows().get(session.index(), row)).and_then(|row| row.end);
        if ended != self.ended {
            self.ended = ended;
            self.pages = [const { None }; 6];
        }
    }

    /// What the tab shows is another now.
    pub(super) fn forget(&mut self, tab: Tab) {
        self.pages[tab as usize] = None;
    }

    /// The page of the tab.
    pub(super) fn page(&mut self) -> &mut Option<Payload> {
        &mut self.pages[self.tab as usize]
    }

    /// How many lines of it fit.
    pub(super) fn set_height(&mut self, rows: usize) {
        if let Some(page) = &mut self.pages[self.tab as usize] {
            page.set_height(rows);
        }
    }

    /// The page, if it was made.
    pub(super) fn made(&self) -> Option<&Payload> {
        self.pages[self.tab as usize].as_ref()
    }
}

fn words(text: &str) -> Payload {
    Payload::Text(Box::new(Pager::new(Bytes::from(text.to_owned()))))
}

fn part(payload: &Bytes, path: &[&str]) -> Option<Bytes> {
    let text = std::str::from_utf8(payload).ok()?;
    let span = object::find_path(text, path)?;
    Some(payload.slice(span))
}

/// The arguments: of a tool call those of the tool, otherwise the params.
pub(super) fn arguments(session: &Session, row: &Row, entry: Option<u32>) -> Payload {
    let at = entry.unwrap_or(row.first);
    match session.payload(at) {
        Err(e) => words(&format!("the message cannot be read: {e}")),
        Ok(None) => words("there is no such message in the file any more"),
        Ok(Some(payload)) => {
            if entry.is_some() || row.kind != RowKind::Operation {
                return open(payload);
            }
            let method = session.index().symbols.get(row.operation).0;
            let inner = (method == "tools/call" || method == "prompts/get").then(|| part(&payload, &["params", "arguments"]));
            match inner.flatten().or_else(|| part(&payload, &["params"])) {
                Some(part) => open(part),
                None => words("no params"),
            }
        }
    }
}

fn open(bytes: Bytes) -> Payload {
    let mut payload = Payload::open(bytes);
    if let Payload::Json(tree) = &mut payload {
        tree.unfold_to(2);
    }
    payload
}

/// The answer.
pub(super) fn result(session: &Session, row: &Row) -> Payload {
    let Some(end) = row.end else {
        return words(match row.kind {
            RowKind::Operation => "no answer yet",
            _ => "nothing answers this",
        });
    };
    match session.payload(end) {
        Ok(Some(payload)) => open(part(&payload, &["result"]).or_else(|| part(&payload, &["error"])).unwrap_or(payload)),
        Ok(None) => words("there is no such message in the file any more"),
        Err(e) => words(&format!("the message cannot be read: {e}")),
    }
}

/// What is held, before it is passed on.
pub(super) fn held(message: &Bytes, by: &str, tab: Tab) -> Payload {
    let inner: &[&[&str]] = match tab {
        Tab::Arguments => &[&["params", "arguments"], &["params"], &["result"], &["error"]],
        Tab::Result => &[&["result"], &["error"]],
        Tab::Raw => return Payload::Text(Box::new(Pager::new(message.clone()))),
        Tab::Timing => return words(&format!("held by the breakpoint `{by}`: it was not passed on yet")),
        Tab::Lint | Tab::Schema => return words("known when it is passed on"),
    };
    match inner.iter().find_map(|path| part(message, path)) {
        Some(part) => open(part),
        None if tab == Tab::Result => words("not asked yet: the request is held"),
        None => open(message.clone()),
    }
}

/// An arrow for the way a message went.
pub(super) fn arrow(direction: Direction, has_unicode: bool) -> &'static str {
    match (direction, has_unicode) {
        (Direction::ToServer, true) => "→",
        (Direction::ToClient, true) => "←",
        (Direction::ToServer, false) => "->",
        (Direction::ToClient, false) => "<-",
    }
}

/// What a record is, in a few words.
pub(super) fn record_words(session: &Session, entry: u32) -> String {
    let Some(found) = session.index().get(entry) else { return String::new() };
    let (method, name) = session.index().symbols.get(found.operation);
    match found.kind {
        Type::Frame => match found.class {
            mcp_capture::scan::Class::Result => "result".to_owned(),
            mcp_capture::scan::Class::Error => "error".to_owned(),
            mcp_capture::scan::Class::Batch => "batch".to_owned(),
            mcp_capture::scan::Class::None => "no message".to_owned(),
            _ if name.is_empty() => method.to_owned(),
            _ => format!("{method} {name}"),
        },
        Type::Stderr => "stderr".to_owned(),
        _ => match session.record(entry) {
            Ok(Some((_, Record::Gap(gap)))) => format!("{} records missing, {}", gap.records, text::size(size(gap.bytes))),
            Ok(Some((_, Record::Event(event)))) => event_words(&event),
            _ => format!("{:?}", found.kind).to_lowercase(),
        },
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn event_words(event: &Event) -> String {
    match event {
        Event::Http(http) if http.status != 0 => format!("HTTP {}", http.status),
        Event::Http(http) => format!("HTTP {} {}", http.method, http.path),
        Event::Peer(peer) => {
            let name = [peer.name.as_str(), peer.version.as_str()].join(" ");
            format!("{} {}", if peer.open { "client came" } else { "client left" }, name.trim())
        }
        Event::Process(process) if process.started => format!("server started, process {}", process.pid),
        Event::Process(process) => match (process.code, process.signal) {
            (Some(code), _) => format!("server ended with exit code {code}"),
            (_, Some(signal)) => format!("server was ended by signal {signal}"),
            _ => "server ended".to_owned(),
        },
        Event::Note(note) => note.text.clone(),
        Event::Altered(altered, _) => format!("{} {}", altered.what, altered.by),
    }
}

/// Every message of the row, byte for byte as far as a terminal can show them.
pub(super) fn raw(session: &Session, row: &Row, entry: Option<u32>, has_unicode: bool) -> Payload {
    let entries = entry.map_or_else(|| session.rows().entries(row.number), |entry| vec![entry]);
    let mut out: Vec<u8> = Vec::new();
    for entry in entries {
        let Some(found) = session.index().get(entry) else { continue };
        let way = arrow(found.stamp.direction, has_unicode);
        let head =
            format!("#{} {way} {}  {}\n", found.stamp.sequence, record_words(session, entry), text::size(found.length as usize));
        out.extend_from_slice(head.as_bytes());
        match session.payload(entry) {
            Ok(Some(payload)) => {
                out.extend_from_slice(&payload[..payload.len().min(RAW)]);
                if payload.len() > RAW {
                    let more = format!("\n… {} more; `o` opens all of it", text::size(payload.len() - RAW));
                    out.extend_from_slice(more.as_bytes());
                }
            }
            Ok(None) => out.extend_from_slice(b"(not in the file any more)"),
            Err(e) => out.extend_from_slice(format!("(cannot be read: {e})").as_bytes()),
        }
        if out.last() != Some(&b'\n') {
            out.push(b'\n');
        }
        out.push(b'\n');
    }
    Payload::Text(Box::new(Pager::new(Bytes::from(out))))
}

/// When each message came, and how the row ended.
pub(super) fn timing(session: &Session, row: &Row, clock: impl Fn(u64) -> String, has_unicode: bool) -> Payload {
    let mut out = format!("began    {}\n", clock(row.at));
    match row.duration {
        Some(took) => _ = writeln!(out, "took     {}", duration(took)),
        None if row.kind == RowKind::Operation => _ = writeln!(out, "took     not over"),
        None => {}
    }
    if row.status.word() != "" {
        let by = match row.ended_by {
            EndedBy::Answer => "",
            EndedBy::Client => " by the client",
            EndedBy::Server => " by the server",
            EndedBy::Stream => ": the HTTP stream was dropped",
            EndedBy::Left => ": the client left",
            EndedBy::Process => ": the server's process ended",
        };
        let _ = writeln!(out, "status   {}{by}", row.status.word());
    }
    let said = [
        (RowFlags::LATE, "an answer came after it was cancelled"),
        (RowFlags::DUPLICATE, "it was answered more than once"),
        (RowFlags::RETRIED, "it was asked again with the input that was wanted"),
        (RowFlags::STDERR, "the server wrote to standard error meanwhile"),
        (RowFlags::STRAY, "the server wrote something that is no message meanwhile"),
        (RowFlags::HELD, "a message was held by a breakpoint"),
        (RowFlags::ALTERED, "a message was changed, or sent by hand"),
        (RowFlags::DROPPED, "a message was dropped by a rule"),
        (RowFlags::GAP, "records were lost meanwhile: its end may be missing"),
    ];
    for (flag, words) in said {
        if row.flags.has(flag) {
            let _ = writeln!(out, "note     {words}");
        }
    }
    let _ = writeln!(out, "bytes    {} there, {} back\n", text::size(row.sent as usize), text::size(row.received as usize));
    let entries = session.rows().entries(row.number);
    let last = entries.last().and_then(|entry| session.index().get(*entry)).map_or(row.at, |entry| entry.stamp.at);
    let whole = last.saturating_sub(row.at).max(1);
    for entry in entries {
        let Some(found) = session.index().get(entry) else { continue };
        let after = found.stamp.at.saturating_sub(row.at);
        let place = usize::try_from(after.saturating_mul(30) / whole).unwrap_or(0).min(30);
        let _ = writeln!(
            out,
            "{:>9} {}{}{} {} {}",
            format!("+{}", duration(after)),
            "·".repeat(place),
            if has_unicode { "█" } else { "#" },
            "·".repeat(30 - place),
            arrow(found.stamp.direction, has_unicode),
            record_words(session, entry)
        );
    }
    words(&out)
}

/// What the tool says of itself.
pub(super) fn schema(tool: &str, definition: Option<String>) -> Payload {
    match definition {
        _ if tool.is_empty() => words("only calls of tools have a schema"),
        Some(text) => open(Bytes::from(text)),
        None => words(&format!("no list of this session has the tool `{tool}`")),
    }
}

/// The findings about the row.
pub(super) fn lint(findings: &[&super::data::FindingLine], was_run: bool) -> Payload {
    if findings.is_empty() {
        return words(if was_run { "nothing was found" } else { "the linter has not run yet" });
    }
    let mut out = String::new();
    for finding in findings {
        let _ = writeln!(
            out,
            "{}  {}\n#{}  {}\n\n{}\n",
            finding.rule,
            severity(finding.severity),
            finding.sequence,
            finding.message,
            finding.explanation
        );
    }
    words(&out)
}

/// The word for how bad a finding is.
pub(super) fn severity(severity: super::data::Severity) -> &'static str {
    match severity {
        super::data::Severity::Error => "error",
        super::data::Severity::Warning => "warning",
        super::data::Severity::Info => "info",
    }
}
