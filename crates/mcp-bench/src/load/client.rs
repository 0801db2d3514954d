//! One client: what it sends, and whether an answer is the one it must be.

use super::Era;
use crate::json::{member, path};

/// What is asked for again and again.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// A message of so many bytes comes back.
    Echo(usize),
    /// A text of so many bytes comes.
    Blob(usize),
}

/// Ids have this many digits, so that a prepared request can be stamped with the next one.
const DIGITS: usize = 10;
const FIRST_ID: u64 = 1_000_000_000;

/// A prepared request, whose id and message change with every call.
#[derive(Debug)]
pub struct Call {
    /// The request, ready to be sent.
    pub bytes: Vec<u8>,
    id_at: usize,
    message_at: usize,
    message_length: usize,
    work: Work,
    id: u64,
}

/// How an HTTP client reaches its server.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Host and port.
    pub authority: String,
    /// The path, with its query.
    pub path: String,
    /// A bearer token.
    pub token: Option<String>,
}

impl Target {
    /// The parts of `http://host:port/path`.
    pub fn parse(url: &str, token: Option<String>) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { authority: authority.to_owned(), path: path.to_owned(), token })
    }

    /// A POST with this body.
    pub fn post(&self, era: Era, session: Option<&str>, method: &str, name: Option<&str>, body: &str) -> Vec<u8> {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n",
            self.path, self.authority
        );
        if let Some(token) = &self.token {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        if method != "initialize" {
            head += &format!("MCP-Protocol-Version: {}\r\n", era.revision());
        }
        if era == Era::Modern {
            head += &format!("Mcp-Method: {method}\r\n");
            if let Some(name) = name {
                head += &format!("Mcp-Name: {name}\r\n");
            }
        }
        if let Some(session) = session {
            head += &format!("Mcp-Session-Id: {session}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        (head + body).into_bytes()
    }

    /// A DELETE that ends a session.
    pub fn delete(&self, session: &str) -> Vec<u8> {
        let token = self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        format!(
            "DELETE {} HTTP/1.1\r\nHost: {}\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: {}\r\n{token}\r\n",
            self.path,
            self.authority,
            Era::Legacy.revision()
        )
        .into_bytes()
    }
}

/// The first request of a legacy client.
pub fn initialize() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"load","version":"1"}}}}}}"#,
        Era::Legacy.revision()
    )
}

/// What a legacy client says next.
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn meta(era: Era) -> String {
    match era {
        Era::Legacy => String::new(),
        Era::Modern => format!(
            r#","_meta":{{"io.modelcontextprotocol/protocolVersion":"{}","io.modelcontextprotocol/clientInfo":{{"name":"load","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}"#,
            era.revision()
        ),
    }
}

impl Call {
    /// The call of one client; over HTTP with its head, else as a line.
    pub fn new(number: usize, era: Era, work: Work, http: Option<(&Target, Option<&str>)>) -> Self {
        // Nobody else's message begins like this one.
        let message = format!("client {number:05} call {FIRST_ID} ");
        let (name, arguments) = match work {
            Work::Echo(size) => ("echo", format!(r#"{{"message":"{message:.<size$}"}}"#)),
            Work::Blob(size) => ("blob", format!(r#"{{"size":{size}}}"#)),
        };
        let mut body = format!(
            r#"{{"jsonrpc":"2.0","id":{FIRST_ID},"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}{}}}}}"#,
            meta(era)
        );
        let (id_at, message_at) = (body.find("\"id\":").map_or(0, |at| at + 5), body.find("client 0").unwrap_or(0));
        let message_length = if let Work::Echo(size) = work { size.max(message.len()) } else { 0 };
        let (bytes, before) = if let Some((target, session)) = http {
            let bytes = target.post(era, session, "tools/call", Some(name), &body);
            let before = bytes.len() - body.len();
            (bytes, before)
        } else {
            body.push('\n');
            (body.into_bytes(), 0)
        };
        Self { bytes, id_at: id_at + before, message_at: message_at + before, message_length, work, id: FIRST_ID }
    }

    /// Makes it the next call.
    pub fn advance(&mut self) {
        self.id += 1;
        let mut digits = [b'0'; DIGITS];
        let mut rest = self.id;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).expect("a digit is a byte");
            rest /= 10;
        }
        self.bytes[self.id_at..self.id_at + DIGITS].copy_from_slice(&digits);
        if self.message_length > 0 {
            let at = self.message_at + "client 00000 call ".len();
            self.bytes[at..at + DIGITS].copy_from_slice(&digits);
        }
    }

    /// What a message from the server is to this call: nothing, the right answer, or a wrong one.
    pub fn judge(&self, message: &[u8]) -> Verdict {
        if member(message, "method").is_some() {
            return Verdict::Unrelated;
        }
        let Some(id) = member(message, "id") else { return Verdict::Unrelated };
        if message[id] != self.bytes[self.id_at..self.id_at + DIGITS] {
            return Verdict::Wrong;
        }
        let Some(content) = path(message, &["result", "content"]) else { return Verdict::Wrong };
        let text = memchr::memchr(b'{', content).and_then(|at| path(&content[at..], &["text"]));
        let Some([b'"', text @ .., b'"']) = text else { return Verdict::Wrong };
        let is_right = match self.work {
            Work::Echo(_) => text == &self.bytes[self.message_at..self.message_at + self.message_length],
            Work::Blob(size) => text.len() == size && text.iter().all(|byte| *byte == b'x'),
        };
        if is_right { Verdict::Right } else { Verdict::Wrong }
    }
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No answer at all: a notification, a request of the server.
    Unrelated,
    /// The answer.
    Right,
    /// An answer to something else, with other content, or an error.
    Wrong,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn answer(call: &Call, id: &str, number: usize) -> Verdict {
        let text = String::from_utf8(call.bytes[call.message_at..call.message_at + call.message_length].to_vec()).unwrap();
        let text = text.replace("client 00007", &format!("client {number:05}"));
        call.judge(format!(r#"{{"result":{{"content":[{{"type":"text","text":"{text}"}}]}},"id":{id}}}"#).as_bytes())
    }

    #[test]
    fn answer_of_another_call_or_client_is_wrong() {
        let target = Target::parse("http://127.0.0.1:1/mcp", None).unwrap();
        for http in [None, Some((&target, Some("s")))] {
            let mut call = Call::new(7, Era::Modern, Work::Echo(256), http);
            call.advance();
            assert_eq!(call.message_length, 256);
            assert_eq!(answer(&call, "1000000001", 7), Verdict::Right);
            assert_eq!(answer(&call, "1000000000", 7), Verdict::Wrong);
            assert_eq!(answer(&call, "1000000001", 8), Verdict::Wrong);
            assert_eq!(call.judge(br#"{"method":"notifications/message","params":{}}"#), Verdict::Unrelated);
            assert_eq!(call.judge(br#"{"id":1000000001,"error":{"code":1,"message":""}}"#), Verdict::Wrong);
        }
    }

    #[test]
    fn content_length_is_the_length_of_the_body() {
        let target = Target::parse("http://h:1/mcp?x=1", Some("t".into())).unwrap();
        let call = Call::new(1, Era::Legacy, Work::Echo(300), Some((&target, None)));
        let head = crate::http::Head::parse(&call.bytes).unwrap();
        assert_eq!(head.content_length(), Some(call.bytes.len() - head.length));
        assert_eq!(head.first, b"POST /mcp?x=1 HTTP/1.1");
    }
}
