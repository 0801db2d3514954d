//! One message: its bytes and where its envelope lies in them.

use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::value::RawValue;

use crate::methods::needle::{self, Needle};
use crate::scan::Spans;

/// What a message is, by the members it has (JSON-RPC 2.0, sections 4 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `method` and `id`.
    Request,
    /// `method` without `id`.
    Notification,
    /// `result`.
    Result,
    /// `error`.
    Error,
}

impl Kind {
    /// An answer to a request, good or bad.
    pub fn is_response(self) -> bool {
        matches!(self, Self::Result | Self::Error)
    }
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAFrame {
    /// The text is no JSON, or an envelope member appears twice. Code `-32700`.
    #[error("the text is not a JSON object with an envelope: {0}")]
    Syntax(String),
    /// A JSON array: a batch, which only revision 2025-03-26 has. Code `-32600`.
    #[error("a batch of messages")]
    Batch,
    /// JSON, and no message. Code `-32600`.
    #[error("neither a request, a notification nor a response")]
    Shape,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// A member that is there with the value `null` is there: an `Option` alone would call it absent.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

type Span = Range<usize>;

/// The envelope as `serde_json` finds it, or its words for what is wrong.
fn slowly(text: &str) -> Result<Spans, NotAFrame> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|e| NotAFrame::Syntax(e.to_string()))?;
    // A borrowed raw value points into the text it was read from.
    let span = |raw: &RawValue| {
        let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
        start..start + raw.get().len()
    };
    Ok(Spans {
        id: envelope.id.map(span),
        method: envelope.method.map(span),
        params: envelope.params.map(span),
        result: envelope.result.map(span),
        error: envelope.error.map(span),
    })
}

/// One message as it arrived, without its line end.
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Bytes,
    kind: Kind,
    id: Option<Span>,
    method: Option<Method>,
    params: Option<Span>,
    result: Option<Span>,
    error: Option<Span>,
}

#[derive(Clone, Debug)]
enum Method {
    At(Span),
    /// Spelt with escapes.
    Decoded(Box<str>),
}

impl Frame {
    /// Reads the envelope. The whole text is checked to be JSON; nothing inside `params`, `result` and `error` is looked at.
    pub fn parse(bytes: Bytes) -> Result<Self, NotAFrame> {
        let text = std::str::from_utf8(&bytes).map_err(|e| NotAFrame::Syntax(e.to_string()))?;
        match text.trim_start().as_bytes().first() {
            Some(b'[') => {
                return match serde_json::from_str::<&RawValue>(text) {
                    Ok(_) => Err(NotAFrame::Batch),
                    Err(e) => Err(NotAFrame::Syntax(e.to_string())),
                };
            }
            Some(b'{') => {}
            _ => return Err(NotAFrame::Syntax("it does not begin with `{`".to_owned())),
        }
        let spans = match crate::scan::envelope(text.as_bytes()) {
            Some(spans) => spans,
            None => slowly(text)?,
        };
        let raw = |span: &Option<Span>| span.clone().map(|span| &text[span]);
        let kind = match (&spans.method, raw(&spans.id), &spans.result, &spans.error) {
            (Some(_), Some(id), None, None) if id != "null" => Kind::Request,
            (Some(_), None, None, None) => Kind::Notification,
            (None, _, Some(_), None) => Kind::Result,
            (None, _, None, Some(_)) => Kind::Error,
            _ => return Err(NotAFrame::Shape),
        };
        let method = match (raw(&spans.method), spans.method) {
            (Some(raw), Some(_)) if !raw.starts_with('"') => return Err(NotAFrame::Shape),
            (Some(raw), Some(_)) if raw.contains('\\') => {
                let decoded: String = serde_json::from_str(raw).map_err(|e| NotAFrame::Syntax(e.to_string()))?;
                Some(Method::Decoded(decoded.into()))
            }
            (_, span) => span.map(|span| Method::At(span.start + 1..span.end - 1)),
        };
        if raw(&spans.id).is_some_and(|id| id.starts_with(['{', '[', 't', 'f'])) {
            return Err(NotAFrame::Shape);
        }
        let Spans { id, params, result, error, .. } = spans;
        Ok(Self { bytes, kind, id, method, params, result, error })
    }

    /// The messages of a batch, each as its own frame or the reason why it is none.
    pub fn split_batch(bytes: &Bytes) -> Vec<Result<Self, NotAFrame>> {
        let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
        crate::object::elements(text).map(|span| Self::parse(bytes.slice(span))).collect()
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The text as it came.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("a frame was checked to be UTF-8 when it was parsed")
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A part of the text; what lies around it is not looked at again, which would cost a millisecond for ten megabytes.
    fn part(&self, span: Span) -> &str {
        std::str::from_utf8(&self.bytes[span]).expect("a frame was checked to be UTF-8 when it was parsed")
    }

    fn at(&self, span: Option<&Span>) -> Option<&str> {
        span.map(|span| self.part(span.clone()))
    }

    /// The id as it is spelt: `7`, `"a"`, `1.0`. Ids are compared as spelt, never as numbers.
    pub fn id(&self) -> Option<&str> {
        self.at(self.id.as_ref())
    }

    /// Where the id lies.
    pub fn id_span(&self) -> Option<Range<usize>> {
        self.id.clone()
    }

    /// The method, decoded; empty for a response.
    pub fn method(&self) -> &str {
        match &self.method {
            None => "",
            Some(Method::At(span)) => self.part(span.clone()),
            Some(Method::Decoded(text)) => text,
        }
    }

    /// The text of `params`.
    pub fn params(&self) -> Option<&str> {
        self.at(self.params.as_ref())
    }

    /// Where `params` lies.
    pub fn params_span(&self) -> Option<Range<usize>> {
        self.params.clone()
    }

    /// The text of `result`.
    pub fn result(&self) -> Option<&str> {
        self.at(self.result.as_ref())
    }

    /// Where `result` lies.
    pub fn result_span(&self) -> Option<Range<usize>> {
        self.result.clone()
    }

    /// The text of `error`.
    pub fn error(&self) -> Option<&str> {
        self.at(self.error.as_ref())
    }

    /// Where `error` lies.
    pub fn error_span(&self) -> Option<Range<usize>> {
        self.error.clone()
    }

    /// The code of an error response.
    pub fn error_code(&self) -> Option<i64> {
        crate::object::get(self.error()?, "code")?.parse().ok()
    }

    /// Where a member lies that is reached from the top of the message by these keys, as in
    /// `["params", "_meta", "progressToken"]`.
    pub fn find(&self, keys: &[&str]) -> Option<Range<usize>> {
        let (first, rest) = keys.split_first()?;
        let span = match *first {
            "params" => self.params.clone()?,
            "result" => self.result.clone()?,
            "error" => self.error.clone()?,
            other => crate::object::find(self.text(), other)?,
        };
        let inner = crate::object::find_path(self.part(span.clone()), rest)?;
        Some(span.start + inner.start..span.start + inner.end)
    }

    /// The text of the member that is reached by these keys.
    pub fn get(&self, keys: &[&str]) -> Option<&str> {
        self.find(keys).map(|span| self.part(span))
    }

    /// The string of the member that is reached by these keys, decoded.
    pub fn get_string(&self, keys: &[&str]) -> Option<String> {
        serde_json::from_str(self.get(keys)?).ok()
    }

    /// Where the caller's progress token lies. Costs one search of the bytes where there is none.
    pub fn progress_token_span(&self) -> Option<Range<usize>> {
        let params = self.params.clone()?;
        // An escaped spelling of the key is legal and never seen; then the token passes as it is and progress is lost.
        if !needle::PROGRESS_TOKEN.is_in(&self.bytes[params]) {
            return None;
        }
        self.find(&["params", "_meta", "progressToken"])
    }

    /// Whether a word occurs anywhere: a cheap question before a costly one.
    pub fn contains(&self, needle: &Needle) -> bool {
        needle.is_in(&self.bytes)
    }

    /// The frame with some places replaced, and a line end.
    pub fn spliced(&self, edits: &[(Range<usize>, &str)]) -> Bytes {
        crate::splice::splice(&self.bytes, edits)
    }

    /// The frame with another id, and a line end.
    pub fn with_id(&self, id: &str) -> Bytes {
        match self.id_span() {
            Some(span) => self.spliced(&[(span, id)]),
            None => self.line(),
        }
    }

    /// The same as [`Self::with_id`]. A large frame that nobody else holds is changed where it lies: to copy ten megabytes
    /// takes as long as to read them.
    pub fn into_with_id(self, id: &str) -> Bytes {
        match self.id_span() {
            Some(span) if self.bytes.len() >= crate::lines::LARGE && id.len() <= span.len() => match self.bytes.try_into_mut() {
                Ok(bytes) => crate::splice::shorten_in_place(bytes, span, id),
                Err(bytes) => crate::splice::splice(&bytes, &[(span, id)]),
            },
            _ => self.with_id(id),
        }
    }

    /// The frame as it is, and a line end.
    pub fn line(&self) -> Bytes {
        self.spliced(&[])
    }
}
