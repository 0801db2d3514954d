//! HTTP around the messages: heads, compared with the messages they belong to.

use mcp_wire::Kind;
use mcp_wire::methods::name_member;

use crate::event::{Direction, Http, HttpPhase};
use crate::lint::output::{Output, Place, Said};
use crate::lint::rule::Rule;
use crate::lint::rule::Severity::{Error, Info, Warning};
use crate::lint::rule::{Family, Revision};
use crate::lint::state::{Conversation, Recent, Side};

static MISMATCH: Rule = Rule::new(
    "header-body-mismatch",
    Family::Http,
    Error,
    "basic/transports",
    "A header says something else than the message",
    "Programs on the way decide by the header, the server by the body. Where they differ, a rule of one of them is passed by; \
     a server must refuse it.",
)
.modern();
static MISSING: Rule = Rule::new(
    "required-header-missing",
    Family::Http,
    Error,
    "basic/transports",
    "A request lacks a header that repeats what it asks for",
    "`MCP-Protocol-Version`, `Mcp-Method` and, for calls, `Mcp-Name` are required. A server refuses a request without them.",
)
.modern();
static VERSION: Rule = Rule::new(
    "protocol-version-header",
    Family::Http,
    Error,
    "basic/transports",
    "A request has no `MCP-Protocol-Version`, or another than was agreed on",
    "After `initialize` every request names the revision. A server that finds none takes 2025-03-26 for granted, and refuses \
     another than it agreed on.",
)
.since(Revision::R2025_06)
.until(Revision::R2025_11);
static SESSION: Rule = Rule::new(
    "session-id-missing",
    Family::Http,
    Error,
    "basic/transports",
    "A request does not bring the session id the server gave",
    "The server cannot know which session it belongs to, and refuses it.",
)
.since(Revision::R2025_03)
.until(Revision::R2025_11);
static SESSION_FORM: Rule = Rule::new(
    "session-id-characters",
    Family::Http,
    Error,
    "basic/transports",
    "A session id has characters that are not visible ASCII",
    "It is sent as a header, where blanks and other characters are cut off or refused.",
)
.since(Revision::R2025_03)
.until(Revision::R2025_11);
static SESSION_MODERN: Rule = Rule::new(
    "session-id-in-modern",
    Family::Http,
    Warning,
    "basic/transports",
    "A session id is given in a revision without sessions",
    "Requests stand alone since 2026-07-28. A server that gives one out counts on what clients do not do any more.",
)
.modern();
static ACCEPTED: Rule = Rule::new(
    "notification-status",
    Family::Http,
    Error,
    "basic/transports",
    "A notification or an answer is not taken with the status 202",
    "There is nothing to answer, so the status is 202 and there is no body. Clients that wait for the body of a 200 hang; \
     others take it for an error.",
)
.since(Revision::R2025_03);
static STATUS: Rule = Rule::new(
    "error-status",
    Family::Http,
    Error,
    "basic/transports",
    "The status does not fit the error in the body",
    "An unknown method is 404, and what is wrong with the circumstances of a request is 400. Clients find out by it whether a \
     server speaks this revision at all.",
)
.modern();
static TYPE: Rule = Rule::new(
    "content-type",
    Family::Http,
    Error,
    "basic/transports",
    "A body has a content type that is not JSON, nor a stream of events for an answer",
    "Clients choose how to read a body by its type, and refuse any other.",
)
.since(Revision::R2025_03);
static ACCEPT: Rule = Rule::new(
    "accept-header",
    Family::Http,
    Warning,
    "basic/transports",
    "A request does not accept both JSON and streams of events",
    "The server chooses which of both it answers with, and refuses a client that does not take both with the status 406.",
)
.since(Revision::R2025_03);
static ORIGIN: Rule = Rule::new(
    "origin-accepted",
    Family::Http,
    Warning,
    "basic/transports",
    "A request from a web page of somewhere else is answered",
    "A page in the user's browser can reach a server on the same machine. A server checks `Origin` and refuses with 403 what it \
     does not know.",
)
.since(Revision::R2025_03);
static GET: Rule = Rule::new(
    "get-in-modern",
    Family::Http,
    Info,
    "basic/transports",
    "A stream is asked for with GET or a session ended with DELETE in a revision without",
    "Since 2026-07-28 there is only POST; the rest is answered with 405. A client that tries it was made for an older revision.",
)
.modern();
static SSE: Rule = Rule::new(
    "deprecated-sse-transport",
    Family::Http,
    Info,
    "basic/transports",
    "The transport with two addresses of 2024-11-05 is used",
    "It is deprecated since 2025-03-26 and clients give it up one after the other. Streamable HTTP takes its place.",
);

pub(super) static RULES: &[&Rule] = &[
    &MISMATCH,
    &MISSING,
    &VERSION,
    &SESSION,
    &SESSION_FORM,
    &SESSION_MODERN,
    &ACCEPTED,
    &STATUS,
    &TYPE,
    &ACCEPT,
    &ORIGIN,
    &GET,
    &SSE,
];

struct Head<'a> {
    http: &'a Http,
    place: Place,
    out: &'a mut Output,
    revision: Option<Revision>,
}

impl Head<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.http.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Whether the recorder kept headers at all: what it did not keep cannot be missed.
    fn has_headers(&self) -> bool {
        !self.http.headers.is_empty()
    }

    fn report(&mut self, rule: &'static Rule, subject: &str, path: &str, message: String, evidence: String) {
        self.out.put(rule, self.revision, self.place, &Said { subject, path, message, evidence, related: &[self.http.frame] });
    }
}

/// Looks at the head of a request or of an answer.
pub(in crate::lint) fn head(http: &Http, place: Place, talk: &mut Conversation, side: &mut Side, out: &mut Output) {
    let recent = side.recent(http.frame).cloned();
    let revision = recent.as_ref().and_then(|recent| recent.revision).or(talk.revision);
    let direction = match http.phase {
        HttpPhase::Request => Direction::ToServer,
        _ => Direction::ToClient,
    };
    let mut head = Head { http, place: Place { direction, ..place }, out, revision };
    match http.phase {
        HttpPhase::Request => {
            request(&mut head, recent.as_ref(), talk);
            let origin = head.get("origin").map(Box::from);
            if let Some(recent) = side.recent(http.frame) {
                recent.origin = origin;
            }
        }
        HttpPhase::Response => response(&mut head, recent.as_ref(), talk),
        HttpPhase::Dropped | HttpPhase::Other => {}
    }
}

fn request(head: &mut Head<'_>, recent: Option<&Recent>, talk: &Conversation) {
    let is_modern = head.revision.is_some_and(Revision::is_modern);
    let verb = head.http.method.as_str();
    if is_modern && matches!(verb, "GET" | "DELETE") {
        head.report(&GET, verb, "", format!("{verb} is answered with 405"), String::new());
    }
    if verb == "POST" && head.has_headers() {
        body(head);
    }
    let Some(recent) = recent.filter(|recent| recent.direction == Direction::ToServer && verb == "POST") else { return };
    if !head.has_headers() {
        return;
    }
    if is_modern {
        mirrored(head, recent);
        return;
    }
    if !recent.was_ready || &*recent.method == "initialize" {
        return;
    }
    match (head.get("mcp-protocol-version").map(str::to_owned), talk.revision_name.as_deref()) {
        (None, _) => {
            let message = "`MCP-Protocol-Version` is missing".to_owned();
            head.report(&VERSION, &recent.method, "MCP-Protocol-Version", message, String::new());
        }
        (Some(sent), Some(agreed)) if sent != agreed => {
            let message = format!("{agreed} was agreed on");
            head.report(&VERSION, &recent.method, "MCP-Protocol-Version", message, sent);
        }
        _ => {}
    }
    if talk.http_session.is_some() && head.get("mcp-session-id").is_none() {
        let message = "`Mcp-Session-Id` is missing".to_owned();
        head.report(&SESSION, &recent.method, "Mcp-Session-Id", message, String::new());
    }
}

/// What every body that is sent needs.
fn body(head: &mut Head<'_>) {
    let kind = head.get("content-type").map(media_type);
    if let Some(kind) = kind.filter(|kind| kind != "application/json") {
        head.report(&TYPE, "POST", "Content-Type", "the body must be `application/json`".to_owned(), kind);
    }
    if let Some(accept) = head.get("accept").map(str::to_ascii_lowercase) {
        let takes = |wanted: &str, all: &str| accept.contains(wanted) || accept.contains(all) || accept.contains("*/*");
        if !takes("application/json", "application/*") || !takes("text/event-stream", "text/*") {
            let message = "it must name `application/json` and `text/event-stream`".to_owned();
            head.report(&ACCEPT, "POST", "Accept", message, accept);
        }
    }
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The headers that repeat what the message says.
fn mirrored(head: &mut Head<'_>, recent: &Recent) {
    let is_request = recent.kind == Some(Kind::Request);
    let wanted = [
        ("MCP-Protocol-Version", recent.revision_name.as_deref(), true),
        ("Mcp-Method", Some(&*recent.method), is_request),
        ("Mcp-Name", recent.name.as_deref(), is_request && name_member(&recent.method).is_some()),
    ];
    for (name, said, is_required) in wanted {
        let Some(said) = said else { continue };
        match head.get(name).map(decoded) {
            None if is_required => {
                head.report(&MISSING, &recent.method, name, format!("`{name}` is missing"), String::new());
            }
            Some(sent) if sent != said && is_required && !sent.contains("[redacted:") && !said.contains("[redacted:") => {
                head.report(&MISMATCH, &recent.method, name, format!("the message says `{said}`"), sent);
            }
            _ => {}
        }
    }
}

/// The value of a header that may be in Base64 between its marks.
fn decoded(value: &str) -> String {
    let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let bytes = inner.and_then(from_base64);
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| value.to_owned())
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut bits) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let digit = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(word >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn response(head: &mut Head<'_>, recent: Option<&Recent>, talk: &mut Conversation) {
    let is_modern = head.revision.is_some_and(Revision::is_modern);
    let status = head.http.status;
    if let Some(session) = head.get("mcp-session-id").map(str::to_owned) {
        if is_modern {
            head.report(&SESSION_MODERN, "", "Mcp-Session-Id", "a session id is given".to_owned(), String::new());
        } else {
            if session.is_empty() || session.bytes().any(|b| !b.is_ascii_graphic()) {
                let message = "it must be visible ASCII".to_owned();
                head.report(&SESSION_FORM, "", "Mcp-Session-Id", message, session.clone());
            }
            talk.http_session = Some(session.into());
        }
    }
    let Some(recent) = recent else { return };
    let is_ok = (200..300).contains(&status);
    let is_question = recent.direction == Direction::ToServer;
    if is_question && is_ok && recent.kind.is_some_and(|kind| kind != Kind::Request) && status != 202 {
        head.report(&ACCEPTED, &recent.method, "", format!("the status is {status}"), String::new());
    }
    if is_ok && is_foreign(recent.origin.as_deref()) {
        let origin = recent.origin.as_deref().unwrap_or_default().to_owned();
        head.report(&ORIGIN, &recent.method, "Origin", format!("the status is {status}"), origin);
    }
    let has_body = status == 200 && (recent.kind == Some(Kind::Request)) == is_question;
    let kind = head.get("content-type").map(media_type);
    if has_body && let Some(kind) = kind.filter(|kind| !matches!(kind.as_str(), "application/json" | "text/event-stream")) {
        let message = "it must be `application/json` or `text/event-stream`".to_owned();
        head.report(&TYPE, &recent.method, "Content-Type", message, kind);
    }
    if is_modern
        && !is_question
        && let Some(wanted) = recent.error.and_then(wanted_status)
        && status != wanted
    {
        let message = format!("the status of the error {} is {wanted}", recent.error.unwrap_or_default());
        head.report(&STATUS, &recent.method, "", message, status.to_string());
    }
}

fn wanted_status(code: i64) -> Option<u16> {
    match code {
        -32_601 => Some(404),
        -32_022..=-32_020 => Some(400),
        _ => None,
    }
}

/// An origin that is not of this machine.
fn is_foreign(origin: Option<&str>) -> bool {
    let Some(host) = origin.and_then(|origin| origin.split_once("://")).map(|(_, host)| host) else { return false };
    let name = host.split(':').next().unwrap_or(host);
    !matches!(name, "localhost" | "127.0.0.1" | "") && !host.starts_with("[::1]") && !name.ends_with(".localhost")
}

/// The transport of the whole capture.
pub(in crate::lint) fn transport(name: &str, place: Place, out: &mut Output) {
    if name == "sse" {
        let message = "the transport is HTTP with a stream of events beside".to_owned();
        out.put(&SSE, None, place, &Said { message, ..Said::default() });
    }
}
