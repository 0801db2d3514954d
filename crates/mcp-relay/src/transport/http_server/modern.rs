//! Streamable HTTP of 2026-07-28: every request stands alone, its headers repeat what its body says, and its client leaves by
//! closing the connection (specification, basic/transports/streamable-http).

use std::future::poll_fn;
use std::rc::Rc;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Response, StatusCode};
use mcp_wire::author::code;
use mcp_wire::methods::{meta, name_member, needle};
use mcp_wire::{Frame, Kind, NotAFrame, object, version};

use super::connection::{Connection, Phase};
use super::heads::Heads;
use super::lane::{Opening, Style};
use super::reader::{Exchange, Reader, id_of};
use super::reply::{self, Answer};
use super::{Server, mirror, not_a_frame};
use crate::route::Class;

/// Whether the header claims a revision that opens without a handshake: one we know, or one that is newer than all we know.
pub(super) fn is_claimed(version: Option<&HeaderValue>) -> bool {
    let Some(version) = version.and_then(|v| v.to_str().ok()) else { return false };
    match version::era(version) {
        Some(era) => era == version::Era::Modern,
        None => is_date(version) && version > version::NEWEST_LEGACY,
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.bytes().enumerate().all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() })
}

/// Whether the body brings its own revision.
pub(super) fn is_in_body(frame: &Frame) -> bool {
    frame.contains(&needle::PROTOCOL_VERSION) && frame.find(&["params", "_meta", meta::PROTOCOL_VERSION]).is_some()
}

/// Takes a POST.
pub(super) async fn post(
    server: &Rc<Server>,
    connection: &Rc<Connection>,
    heads: &Heads<'_>,
    headers: &HeaderMap,
    read: Result<Frame, NotAFrame>,
) -> Response<Answer> {
    let frame = match read {
        Ok(frame) => frame,
        Err(reason) => return not_a_frame(&reason),
    };
    if frame.kind().is_response() {
        let reason = "a modern client answers a server by repeating its request, not with a response";
        return reply::refusal(StatusCode::BAD_REQUEST, None, code::INVALID_REQUEST, reason);
    }
    if let Err((code, reason)) = check(server, heads, headers, &frame) {
        return reply::refusal(StatusCode::BAD_REQUEST, frame.id(), code, &reason);
    }
    if frame.method() == "initialize" {
        // On a pipe the route has to take it for what it says. Here the rest of the request shows that it is none of that era.
        let reason = "`initialize` is not a method of the revision this request names";
        return reply::refusal(StatusCode::NOT_FOUND, frame.id(), code::METHOD_NOT_FOUND, reason);
    }
    server.hub.room().await;
    if frame.kind() == Kind::Notification {
        Exchange::open(&server.hub, Rc::clone(&server.counters), frame).let_go();
        return reply::bare(StatusCode::ACCEPTED);
    }
    let id = id_of(&frame);
    connection.enter(Phase::Answering);
    let reader = Reader::Exchange(Exchange::open(&server.hub, Rc::clone(&server.counters), frame));
    match poll_fn(|cx| reader.poll_opening(cx, connection.takes_comment())).await {
        Opening::Json(class, frame) => reply::json(status(class, &frame), frame),
        Opening::Parts => reply::parts(connection, reader),
        Opening::Events => reply::events(connection, reader, Style::Plain, None),
        Opening::Nothing => reply::no_events(),
        Opening::Cut => {
            let id = id.as_ref().and_then(|id| std::str::from_utf8(id).ok());
            reply::refusal(StatusCode::SERVICE_UNAVAILABLE, id, code::INTERNAL, "the server ended before it answered")
        }
    }
}

/// Compares the headers with the body. What is wrong with the body itself is for the route to say.
fn check(server: &Server, heads: &Heads<'_>, headers: &HeaderMap, frame: &Frame) -> Result<(), (i64, String)> {
    let mismatch = |reason: String| Err((code::HEADER_MISMATCH, reason));
    if let Some(name) = heads.twice {
        return mismatch(format!("the header {name} appears twice"));
    }
    let is_request = frame.kind() == Kind::Request;
    let member = name_member(frame.method());
    let (mut name, mut arguments, mut revision) = (None, None, None);
    for one in frame.params().map(object::members).into_iter().flatten() {
        let value = &frame.params().unwrap_or_default()[one.value_span];
        match &*one.key {
            "_meta" => revision = object::get(value, meta::PROTOCOL_VERSION),
            "arguments" => arguments = Some(value),
            key if Some(key) == member => name = Some(value),
            _ => {}
        }
    }
    match (heads.version, revision) {
        (None, _) => return mismatch("the header MCP-Protocol-Version is missing".to_owned()),
        (Some(header), Some(revision)) if !mirror::is_string(header.as_bytes(), revision) && revision.starts_with('"') => {
            return mismatch(format!("the header MCP-Protocol-Version is not {revision}, as the body has it"));
        }
        _ => {}
    }
    match heads.method {
        None if is_request => return mismatch("the header Mcp-Method is missing".to_owned()),
        Some(header) if mirror::decoded(header.as_bytes()).as_deref() != Some(frame.method()) => {
            return mismatch(format!("the header Mcp-Method is not {}, as the body has it", frame.method()));
        }
        _ => {}
    }
    if let (Some(member), true) = (member, is_request) {
        match (heads.name, name) {
            (Some(header), Some(name)) if !mirror::is_string(header.as_bytes(), name) => {
                return mismatch(format!("the header Mcp-Name is not the {member} {name} of the body"));
            }
            (None, Some(_)) => return mismatch(format!("the header Mcp-Name is missing; it repeats the {member}")),
            _ => {}
        }
    }
    if frame.method() == "tools/call"
        && let Some(tool) = name.and_then(|name| serde_json::from_str::<std::borrow::Cow<'_, str>>(name).ok())
        && let Some(mirrored) = server.hub.mirrored(&tool)
        && let Some(reason) = mirror::mismatch(headers, &mirrored, arguments)
    {
        return mismatch(reason);
    }
    Ok(())
}

/// The status an answer has (specification, basic/transports/streamable-http, and the table of error codes).
fn status(class: Class, message: &[u8]) -> StatusCode {
    match error_code(message) {
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY | code::UNSUPPORTED_VERSION) => StatusCode::BAD_REQUEST,
        _ if class == Class::Refusal => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// The code of an error response. A result is not read: it may be large, and stands behind the short members.
fn error_code(message: &[u8]) -> Option<i64> {
    let mut rest = message.trim_ascii_start().strip_prefix(b"{")?;
    loop {
        rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
        let (key, behind) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
        let value = behind[1..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        match key {
            b"result" => return None,
            b"error" => return object::get(std::str::from_utf8(value).ok()?, "code")?.parse().ok(),
            _ => {}
        }
        let end = match value.first()? {
            b'"' => {
                let mut at = 1;
                loop {
                    at += memchr::memchr2(b'"', b'\\', value.get(at..)?)?;
                    match value[at] {
                        b'"' => break at + 1,
                        _ => at += 2,
                    }
                }
            }
            // Something that is no envelope comes first.
            b'{' | b'[' => {
                let error = object::get(std::str::from_utf8(message).ok()?, "error")?;
                return object::get(error, "code")?.parse().ok();
            }
            _ => 0,
        };
        rest = &value[end + memchr::memchr(b',', &value[end..])? + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_is_found_without_reading_results() {
        let cases: [(&str, Option<i64>); 9] = [
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}"#, Some(-32601)),
            (r#" { "id" : "a,\"error\":{" , "jsonrpc":"2.0", "error" : { "message":"x", "code" : -32020 } }"#, Some(-32020)),
            (r#"{"error":{"code":-1,"message":"x"},"id":1}"#, Some(-1)),
            (r#"{"jsonrpc":"2.0","id":1,"result":{"error":{"code":-32601}}}"#, None),
            (r#"{"result":{"error":{"code":-32601}},"id":1}"#, None),
            (r#"{"extra":{"error":{"code":5}},"error":{"code":-32022}}"#, Some(-32022)),
            (r#"{"id":null,"error":{"code":-32700}}"#, Some(-32700)),
            ("{", None),
            (r#"{"id":"a\"#, None),
        ];
        for (message, code) in cases {
            assert_eq!(error_code(message.as_bytes()), code, "{message}");
        }
    }

    #[test]
    fn a_revision_newer_than_all_is_modern() {
        let claimed = |text: &'static str| is_claimed(Some(&HeaderValue::from_static(text)));
        assert!(claimed("2026-07-28") && claimed("2027-01-01") && !claimed("2025-11-25") && !claimed("2025-03-26"));
        assert!(!claimed("2024-01-01") && !claimed("v999.0.0") && !claimed("") && !is_claimed(None));
    }
}
