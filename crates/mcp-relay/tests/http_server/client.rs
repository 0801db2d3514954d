//! A client that is nothing but a socket.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use mcp_wire::sse;

use crate::harness::{DEADLINE, Harness};

/// One connection.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    address: SocketAddr,
    unread: Vec<u8>,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn is_events(&self) -> bool {
        self.header("content-type") == Some("text/event-stream")
    }

    /// The code of the JSON-RPC error in the body.
    pub(crate) fn code(&self) -> i64 {
        let value: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        value["error"]["code"].as_i64().unwrap_or_else(|| panic!("{self:?}"))
    }

    pub(crate) fn events(&self) -> Vec<sse::Event> {
        sse::Parser::new(1 << 26).push(self.body.as_bytes()).unwrap()
    }
}

pub(crate) const JSON: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

impl Client {
    pub(crate) fn new(harness: &Harness) -> Self {
        let socket = TcpStream::connect(harness.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, address: harness.address, unread: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
        let host =
            if headers.to_ascii_lowercase().contains("host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        format!("{method} {path} HTTP/1.1\r\n{host}{headers}{length}\r\n{body}").into_bytes()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let request = self.request(method, path, headers, body);
        self.send(&request);
        self.reply()
    }

    /// Posts JSON, with more headers.
    pub(crate) fn post(&mut self, headers: &str, body: &str) -> Reply {
        self.ask("POST", "/mcp", &format!("{JSON}{headers}"), body)
    }

    /// Sends it and reads nothing.
    pub(crate) fn post_only(&mut self, headers: &str, body: &str) {
        let request = self.request("POST", "/mcp", &format!("{JSON}{headers}"), body);
        self.send(&request);
    }

    /// Some more bytes; false at the end.
    fn more(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        let n = self.socket.read(&mut buffer).unwrap();
        self.unread.extend_from_slice(&buffer[..n]);
        n > 0
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        while self.unread.len() < n {
            assert!(self.more(), "the end after {}", String::from_utf8_lossy(&self.unread));
        }
        self.unread.drain(..n).collect()
    }

    fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.unread, end) {
                return self.take(at + end.len());
            }
            assert!(self.more(), "the end after {}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// The status line and the headers of an answer.
    pub(crate) fn head(&mut self) -> Reply {
        let head = String::from_utf8(self.until(b"\r\n\r\n")).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|l| l.split_once(": ").unwrap()).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
        Reply { status, headers, body: String::new() }
    }

    /// The next chunk of a body; none at its end.
    pub(crate) fn chunk(&mut self) -> Option<String> {
        let size = String::from_utf8(self.until(b"\r\n")).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let data = self.take(size + 2);
        (size > 0).then(|| String::from_utf8(data[..size].to_vec()).unwrap())
    }

    /// A whole answer.
    pub(crate) fn reply(&mut self) -> Reply {
        let mut reply = self.head();
        if reply.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                reply.body.push_str(&chunk);
            }
        } else if let Some(length) = reply.header("content-length") {
            let length = length.parse().unwrap();
            reply.body = String::from_utf8(self.take(length)).unwrap();
        }
        reply
    }

    /// The next event of a stream whose head was read.
    pub(crate) fn event(&mut self) -> sse::Event {
        loop {
            let chunk = self.chunk().expect("the stream goes on");
            if let Some(event) = sse::Parser::new(1 << 26).push(chunk.as_bytes()).unwrap().pop() {
                return event;
            }
        }
    }

    /// All that comes until the other side closes the connection.
    pub(crate) fn until_closed(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = self.socket.read(&mut buffer) {
            self.unread.extend_from_slice(&buffer[..n]);
        }
        std::mem::take(&mut self.unread)
    }

    /// Whether the other side closed the connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut buffer = [0; 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}

/// A session that is open, and the headers it needs.
pub(crate) fn open_session(client: &mut Client, version: &str) -> String {
    let reply = client.post("", &initialize(version, "test"));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{reply:?}");
    let id = reply.header("mcp-session-id").unwrap();
    assert!(id.len() >= 32 && id.bytes().all(|b| (0x21..=0x7e).contains(&b)), "{id}");
    let headers = format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: {version}\r\n");
    let reply = client.post(&headers, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!((reply.status, reply.body.as_str()), (202, ""));
    headers
}

pub(crate) fn initialize(version: &str, name: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"{name}","version":"1"}}}}}}"#
    )
}

pub(crate) fn call(id: u32, tool: &str, arguments: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#)
}

pub(crate) const MODERN: &str = "2026-07-28";

/// A modern call.
pub(crate) fn modern_call(id: u32, tool: &str, arguments: &str) -> String {
    let meta =
        format!(r#"{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#);
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{meta}}}}}"#
    )
}

/// The headers it needs.
pub(crate) fn modern_headers(tool: &str) -> String {
    format!("MCP-Protocol-Version: {MODERN}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n")
}
