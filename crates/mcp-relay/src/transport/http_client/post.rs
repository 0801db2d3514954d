//! One message as one POST, and what comes back on it.

use std::rc::Rc;

use bytes::Bytes;
use mcp_wire::author::code;
use mcp_wire::methods::{meta, name_member};
use mcp_wire::splice::Edits;
use mcp_wire::version::Era;
use mcp_wire::{Frame, Kind};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};

use super::answer::{self, Body};
use super::session::{Ask, Sent, Session};
use super::{listen, mirror, old_sse, relist};
use crate::upstream::Fate;

/// What is read at most of an answer that says that something went wrong.
const MOST_OF_ERROR: usize = 1 << 20;

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// A request of ours.
pub(super) struct Asked {
    /// Its id as spelt.
    pub(super) id: String,
    /// All of it.
    pub(super) frame: Frame,
    /// The era it belongs to.
    pub(super) era: Era,
}

impl Session {
    /// Adds what belongs to every message of a legacy session after its opening; whether there is a session.
    pub(super) fn add_session(&self, headers: &mut HeaderMap) -> bool {
        let state = self.state.borrow();
        if let Some(version) = &state.legacy_version {
            headers.insert(PROTOCOL_VERSION, version.clone());
        }
        if let Some(id) = &state.session_id {
            headers.insert(SESSION_ID, id.clone());
        }
        state.session_id.is_some()
    }

    /// The headers of a message.
    fn headers_of(&self, frame: &Frame, era: Era) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if era == Era::Legacy {
            if frame.method() != "initialize" {
                self.add_session(&mut headers);
            }
            return headers;
        }
        let version = frame.get_string(&["params", "_meta", meta::PROTOCOL_VERSION]);
        let mut state = self.state.borrow_mut();
        if let Some(version) = version.and_then(|v| HeaderValue::try_from(v).ok()) {
            state.modern_version = Some(version);
        }
        if let Some(version) = &state.modern_version {
            headers.insert(PROTOCOL_VERSION, version.clone());
        }
        let mut add = |name: HeaderName, text: &str| {
            if let Ok(value) = HeaderValue::try_from(&*mirror::sentinel(text)) {
                headers.insert(name, value);
            }
        };
        add(METHOD, frame.method());
        let name = name_member(frame.method()).and_then(|member| frame.get_string(&["params", member]));
        if let Some(name) = &name {
            add(NAME, name);
        }
        if frame.method() == "tools/call"
            && let Some(mirrored) = name.and_then(|name| state.schemas.get(&name))
        {
            let arguments = frame.get(&["params", "arguments"]).unwrap_or("{}");
            for (header, value) in mirror::headers(&mirrored, arguments) {
                if let (Ok(header), Ok(value)) = (HeaderName::try_from(header), HeaderValue::try_from(value)) {
                    headers.insert(header, value);
                }
            }
        }
        headers
    }

    /// A message as something to ask for.
    pub(super) fn ask_for(&self, frame: &Frame, era: Era, sent: Rc<Sent>) -> Ask {
        let headers = self.headers_of(frame, era);
        let state = self.state.borrow();
        let url = state.old_endpoint.as_ref().unwrap_or(&state.url).clone();
        Ask { method: Method::POST, url, headers, body: Some((frame.bytes().clone(), sent)) }
    }
}

/// Sends a message that has no answer.
pub(super) async fn tell(session: &Rc<Session>, frame: &Frame, era: Era, sent: Rc<Sent>) {
    let what = if frame.kind() == Kind::Notification { frame.method() } else { "an answer" };
    match session.fetch(session.ask_for(frame, era, sent)).await {
        Err(refused) => session.failed(None, &refused),
        Ok(response) if response.status().is_success() => {}
        Ok(response) if ends_session(session, &response, era) => session_ended(session),
        Ok(response) => session.log(format!("{} answered `{what}` with HTTP {}", session.name(), response.status())),
    }
}

/// Sends a request and brings its answer to the route.
pub(super) async fn ask(session: Rc<Session>, asked: Asked, sent: Rc<Sent>) {
    let method = asked.frame.method();
    let is_opening = method == "initialize";
    let mut response = match session.fetch(session.ask_for(&asked.frame, asked.era, Rc::clone(&sent))).await {
        Ok(response) => response,
        Err(refused) => return session.failed(Some(&asked.id), &refused),
    };
    if asked.era == Era::Modern && method == "tools/call" && response.status() == StatusCode::BAD_REQUEST {
        let failure = Failure::read(response).await;
        if !failure.is_mismatch() || !relist::learn(&session, &asked.frame).await {
            return failure.tell(&session, &asked.id);
        }
        response = match session.fetch(session.ask_for(&asked.frame, asked.era, Rc::clone(&sent))).await {
            Ok(response) => response,
            Err(refused) => return session.failed(Some(&asked.id), &refused),
        };
    }
    let status = response.status();
    if is_opening && status.is_success() {
        let mut state = session.state.borrow_mut();
        state.session_id = response.headers().get(SESSION_ID).cloned();
        if let Some(id) = &mut state.session_id {
            id.set_sensitive(true);
        }
    }
    let is_old = session.state.borrow().old_endpoint.is_some();
    if status.is_success() {
        if !is_old {
            succeeded(&session, &asked, response).await;
        }
        // In the transport of 2024-11-05 the answer comes on the one stream there is.
    } else if !is_opening && ends_session(&session, &response, asked.era) {
        session_ended(&session);
    } else {
        let may_be_old = is_opening
            && !is_old
            && matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
        let failure = Failure::read(response).await;
        if may_be_old && !failure.is_modern() {
            old_sse::open(&session, &asked, sent, failure).await;
        } else {
            failure.tell(&session, &asked.id);
        }
    }
}

/// Sends the opening once more, to a server whose answers come elsewhere.
pub(super) async fn ask_again(session: &Rc<Session>, asked: &Asked, sent: Rc<Sent>) {
    match session.fetch(session.ask_for(&asked.frame, asked.era, sent)).await {
        Err(refused) => session.failed(Some(&asked.id), &refused),
        Ok(response) if response.status().is_success() => {}
        Ok(response) => Failure::read(response).await.tell(session, &asked.id),
    }
}

/// In the legacy era a session that is unknown is named by 404 (basic/transports, session management).
fn ends_session(session: &Session, response: &Response, era: Era) -> bool {
    era == Era::Legacy && response.status() == StatusCode::NOT_FOUND && session.state.borrow().session_id.is_some()
}

fn session_ended(session: &Session) {
    session.end(Fate { text: "ended the session (HTTP 404)".to_owned(), ..Fate::default() });
}

async fn succeeded(session: &Rc<Session>, asked: &Asked, response: Response) {
    match answer::read(session, response, Some(&asked.id)).await {
        Body::Answered => {}
        Body::None(status) => {
            let text = format!("{} accepted the request and gave no answer (HTTP {status})", session.name());
            session.refuse(&asked.id, &text, "no-answer", Some(status.as_u16()));
        }
        Body::TooLong(limit) => {
            let text = format!("the answer of {} has more than the {limit} bytes a message may have", session.name());
            session.refuse(&asked.id, &text, "too-long", None);
        }
        Body::Broken { place, .. } if asked.era == Era::Legacy && place.last_id.is_some() => {
            listen::resume(session, &asked.id, place).await;
        }
        Body::Broken { why, .. } => {
            let text = format!("the connection to {} ended before the answer was complete: {why}", session.name());
            session.refuse(&asked.id, &text, "stream-lost", None);
        }
    }
}

/// An answer that says that something went wrong.
pub(super) struct Failure {
    status: StatusCode,
    body: Bytes,
    is_text: bool,
}

impl Failure {
    async fn read(response: Response) -> Self {
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let body = answer::collect(response, MOST_OF_ERROR).await.unwrap_or_default();
        // Some servers put even a refusal on a stream of events.
        let body = if kind.starts_with("text/event-stream") { answer::last_message(&body).unwrap_or(body) } else { body };
        Self { status, body, is_text: kind.starts_with("text/plain") || kind.starts_with("application/json") }
    }

    fn frame(&self) -> Option<Frame> {
        Frame::parse(self.body.clone()).ok().filter(|frame| frame.kind() == Kind::Error)
    }

    /// The headers did not say what the message says.
    fn is_mismatch(&self) -> bool {
        self.frame().and_then(|f| f.error_code()) == Some(code::HEADER_MISMATCH)
    }

    /// The server knows the modern era, so it is no old one.
    fn is_modern(&self) -> bool {
        self.frame().and_then(|f| f.error_code()).is_some_and(|code| {
            (code::UNSUPPORTED_VERSION..=code::HEADER_MISMATCH).contains(&code) || code == code::METHOD_NOT_FOUND
        })
    }

    /// Brings it to the route: as the server's own error, or as one of ours with the status.
    pub(super) fn tell(&self, session: &Session, id: &str) {
        match self.frame().and_then(|frame| with_id(&frame, id)) {
            Some(frame) => session.pass(frame, Some(id)),
            None => session.refuse(id, &self.text(session), "http-status", Some(self.status.as_u16())),
        }
    }

    fn text(&self, session: &Session) -> String {
        let said = if self.is_text { String::from_utf8_lossy(&self.body[..self.body.len().min(300)]) } else { "".into() };
        let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let said = said.trim();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        format!("{} answered with HTTP {}{said}", session.name(), self.status)
    }
}

/// A server may leave the id out of a refusal, or put another word there; what it is about is known.
fn with_id(frame: &Frame, id: &str) -> Option<Frame> {
    let line = match frame.id() {
        Some(known) if known == id => return Some(frame.clone()),
        Some(_) => frame.with_id(id),
        None => {
            let mut edits = Edits::new();
            edits.add_members(frame.text(), 0..frame.text().len(), &format!("\"id\":{id}"));
            edits.apply(frame.bytes())
        }
    };
    Frame::parse(line.slice(..line.len() - 1)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_refusal_gets_the_id_of_what_it_is_about() {
        for (text, wanted) in [
            (r#"{"jsonrpc":"2.0","error":{"code":1}}"#, r#"{"jsonrpc":"2.0","error":{"code":1},"id":7}"#),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#, r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#),
            (r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":1}}"#, r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#),
            (r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#, r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#),
        ] {
            let frame = Frame::parse(Bytes::from(text)).unwrap();
            assert_eq!(with_id(&frame, "7").unwrap().text(), wanted);
        }
    }
}
