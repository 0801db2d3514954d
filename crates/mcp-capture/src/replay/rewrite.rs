//! Recorded messages with the ids of today.

use bytes::Bytes;
use mcp_wire::Frame;
use mcp_wire::methods::meta;
use mcp_wire::splice::Edits;

/// What stood in a recorded request, and what stands in the one of today.
pub(super) struct Ids<'a> {
    /// The id then and now, as spelt.
    pub(super) id: (&'a str, &'a str),
    /// The progress token then and now.
    pub(super) token: (Option<&'a str>, Option<&'a str>),
    /// The revision of today, where it is not the recorded one.
    pub(super) revision: Option<&'a str>,
}

/// The recorded message for the request of today. `None`: nobody asked for it today.
pub(super) fn for_today(frame: &Frame, ids: &Ids<'_>, own_id: Option<&str>) -> Option<Bytes> {
    let mut edits = Edits::new();
    if let (Some(span), Some(id)) = (frame.id_span(), own_id) {
        edits.replace(span, id);
    }
    if frame.method() == "notifications/progress"
        && let Some(token) = frame.get(&["params", "progressToken"])
        && ids.token.0 == Some(token)
    {
        edits.replace(frame.find(&["params", "progressToken"])?, ids.token.1?);
    }
    if let (Some(revision), Some(span)) = (ids.revision, frame.find(&["result", "protocolVersion"])) {
        edits.replace(span, format!("\"{revision}\""));
    }
    // A subscription is named by the id of the request that opened it.
    let (then, now) = ids.id;
    for path in
        [&["params", "_meta", meta::SUBSCRIPTION_ID][..], &["result", "_meta", meta::SUBSCRIPTION_ID], &["params", "requestId"]]
    {
        if let Some(span) = frame.find(path).filter(|span| &frame.text()[span.clone()] == then) {
            edits.replace(span, now);
        }
    }
    Some(edits.apply(frame.text().as_bytes()))
}

/// The progress token of a request, as spelt.
pub(super) fn token(frame: &Frame) -> Option<&str> {
    frame.progress_token_span().map(|span| &frame.text()[span])
}
