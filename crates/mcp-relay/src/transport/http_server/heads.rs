//! What the headers of a request say, gathered in one pass.

use hyper::HeaderMap;
use hyper::header::HeaderValue;

/// The headers that matter here.
#[derive(Debug, Default)]
pub(super) struct Heads<'a> {
    pub(super) host: Option<&'a HeaderValue>,
    pub(super) origin: Option<&'a HeaderValue>,
    pub(super) authorization: Option<&'a HeaderValue>,
    pub(super) session: Option<&'a HeaderValue>,
    pub(super) version: Option<&'a HeaderValue>,
    pub(super) method: Option<&'a HeaderValue>,
    pub(super) name: Option<&'a HeaderValue>,
    pub(super) last_event: Option<&'a HeaderValue>,
    /// The body is said to be JSON, in one piece of plain bytes.
    pub(super) is_json: bool,
    is_encoded: bool,
    has_accept: bool,
    accepts_json: bool,
    accepts_events: bool,
    /// A header that must be there once and is there twice.
    pub(super) twice: Option<&'static str>,
    /// It is one of those that decide who gets in.
    pub(super) is_ambiguous: bool,
}

impl<'a> Heads<'a> {
    pub(super) fn read(headers: &'a HeaderMap) -> Self {
        let mut heads = Self::default();
        for (name, value) in headers {
            let (slot, once) = match name.as_str() {
                "host" => (&mut heads.host, "Host"),
                "origin" => (&mut heads.origin, "Origin"),
                "authorization" => (&mut heads.authorization, "Authorization"),
                "mcp-session-id" => (&mut heads.session, "Mcp-Session-Id"),
                "mcp-protocol-version" => (&mut heads.version, "MCP-Protocol-Version"),
                "mcp-method" => (&mut heads.method, "Mcp-Method"),
                "mcp-name" => (&mut heads.name, "Mcp-Name"),
                "last-event-id" => (&mut heads.last_event, "Last-Event-ID"),
                "accept" => {
                    heads.accept(value.as_bytes());
                    continue;
                }
                "content-type" => {
                    heads.is_json = media_type(value.as_bytes()).eq_ignore_ascii_case(b"application/json");
                    continue;
                }
                "content-encoding" => {
                    heads.is_encoded |= !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
                    continue;
                }
                _ => continue,
            };
            if slot.replace(value).is_some() {
                heads.twice = Some(once);
                heads.is_ambiguous |= matches!(once, "Host" | "Origin" | "Authorization");
            }
        }
        heads.is_json &= !heads.is_encoded;
        heads
    }

    fn accept(&mut self, value: &[u8]) {
        self.has_accept = true;
        for range in value.split(|b| *b == b',').map(media_type) {
            let is_any = range == b"*/*";
            self.accepts_json |=
                is_any || range.eq_ignore_ascii_case(b"application/json") || range.eq_ignore_ascii_case(b"application/*");
            self.accepts_events |=
                is_any || range.eq_ignore_ascii_case(b"text/event-stream") || range.eq_ignore_ascii_case(b"text/*");
        }
    }

    /// The client takes a JSON object and an event stream alike. None said is any (RFC 9110, 12.5.1).
    pub(super) fn accepts_both(&self) -> bool {
        !self.has_accept || (self.accepts_json && self.accepts_events)
    }

    /// The client takes an event stream.
    pub(super) fn accepts_events(&self) -> bool {
        !self.has_accept || self.accepts_events
    }
}

/// A media type without its parameters.
fn media_type(value: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value[..end].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn both_kinds_of_answer_have_to_be_welcome() {
        for (accept, both, events) in [
            ("application/json, text/event-stream", true, true),
            ("text/event-stream;q=0.5 , Application/JSON", true, true),
            ("*/*", true, true),
            ("application/*, text/*", true, true),
            ("application/json", false, false),
            ("text/event-stream", false, true),
            ("text/html", false, false),
        ] {
            let map = map(&[("accept", accept)]);
            let heads = Heads::read(&map);
            assert_eq!((heads.accepts_both(), heads.accepts_events()), (both, events), "{accept}");
        }
        let map = map(&[("accept", "application/json"), ("accept", "text/event-stream")]);
        assert!(Heads::read(&map).accepts_both(), "in two lines");
        assert!(Heads::read(&HeaderMap::new()).accepts_both());
    }

    #[test]
    fn a_body_is_json_in_plain_bytes() {
        for (headers, is_json) in [
            (&[("content-type", "application/json")][..], true),
            (&[("content-type", "Application/JSON; charset=utf-8")], true),
            (&[("content-type", "application/json-patch+json")], false),
            (&[("content-type", "application/json"), ("content-encoding", "identity")], true),
            (&[("content-encoding", "gzip"), ("content-type", "application/json")], false),
            (&[], false),
        ] {
            assert_eq!(Heads::read(&map(headers)).is_json, is_json, "{headers:?}");
        }
    }

    #[test]
    fn a_repeated_header_is_named() {
        let map = map(&[("mcp-name", "a"), ("mcp-name", "a")]);
        let heads = Heads::read(&map);
        assert_eq!((heads.twice, heads.is_ambiguous), (Some("Mcp-Name"), false));
    }
}
