//! Transcripts: sessions written as text, for fixtures and tests.
//!
//! ```text
//! transport http                      what the capture's header says; `stdio` if nothing is said
//! recorder daemon
//! hello 2025-06-18 {"tools":{}} {}    an opening: revision, what the server and what the client declare; over HTTP with heads
//! > {"id":2,"method":"tools/list"}    to the server; `jsonrpc` is added where it is missing
//! < {"id":2,"result":{"tools":[]}}    from the server
//! *> {"id":3,"method":"tools/list"}   to the server, with the `_meta` of 2026-07-28
//! 2> ping                             of client 2
//! =< {"a":1}                          exactly these bytes; \xHH for a byte, \n for a line end
//! ! text                              standard error
//! @ 31s                               so much time goes by
//! ~ {"phase":"request", …}            a head of HTTP; `frame` 0 is the message before
//! gap                                 records are missing
//! bye                                 client 1 leaves
//! %FILL(100)                          inside of a line: so many letters
//! # text                              a remark
//! ```

use bytes::Bytes;
use mcp_wire::methods::meta;
use serde_json::{Map, Value, json};

use crate::event::{Direction, Event, Flags, Footer, Gap, Header, Hop, Http, Peer, Record, Stamp};

/// A session in memory.
#[derive(Debug, Default)]
pub struct Transcript {
    /// Its header.
    pub header: Header,
    /// Its records, in order.
    pub records: Vec<(Stamp, Record)>,
}

struct Writing {
    transcript: Transcript,
    at: u64,
    last_frame: u64,
}

/// Reads a transcript. `Err` names the line that is none.
pub fn parse(text: &str) -> Result<Transcript, String> {
    let header = Header {
        session: "transcript".to_owned(),
        transport: "stdio".to_owned(),
        recorder: "tap".to_owned(),
        ..Header::default()
    };
    let mut writing = Writing { transcript: Transcript { header, records: Vec::new() }, at: 0, last_frame: 0 };
    for (number, line) in text.lines().enumerate() {
        let line = &filled(line.trim_end());
        if !line.is_empty() && !line.starts_with('#') {
            writing.line(line).ok_or_else(|| format!("line {}: {line}", number + 1))?;
        }
    }
    writing.push(Hop::Server, Direction::ToClient, Flags::NONE, Record::Footer(Footer::default()));
    Ok(writing.transcript)
}

impl Writing {
    fn push(&mut self, hop: Hop, direction: Direction, flags: Flags, record: Record) {
        let sequence = self.transcript.records.len() as u64 + 1;
        if matches!(record, Record::Frame(..)) {
            self.last_frame = sequence;
        }
        self.at += 1_000_000;
        let stamp = Stamp { sequence, at: self.at, hop, direction, flags };
        self.transcript.records.push((stamp, record));
    }

    fn frame(&mut self, peer: u32, direction: Direction, bytes: Vec<u8>, flags: Flags) {
        let length = bytes.len() as u64;
        let flags = flags.with_if(memchr::memmem::find(&bytes, b"[redacted:").is_some(), Flags::REDACTED);
        self.push(Hop::Client(peer), direction, flags, Record::Frame(Bytes::from(bytes), length));
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "transport" => rest.clone_into(&mut self.transcript.header.transport),
            "recorder" => rest.clone_into(&mut self.transcript.header.recorder),
            "hello" => self.hello(rest),
            "!" => self.push(Hop::Server, Direction::ToClient, Flags::NONE, Record::Stderr(Bytes::from(format!("{rest}\n")))),
            "@" => self.at += rest.strip_suffix('s')?.parse::<u64>().ok()? * 1_000_000_000,
            "gap" => self.push(Hop::Server, Direction::ToClient, Flags::NONE, Record::Gap(Gap { records: 3, ..Gap::default() })),
            "~" => {
                let mut http: Http = serde_json::from_str(rest).ok()?;
                if http.frame == 0 {
                    http.frame = self.last_frame;
                }
                self.push(Hop::Client(1), Direction::ToServer, Flags::NONE, Record::Event(Event::Http(http)));
            }
            "bye" => {
                let peer = Peer { peer: 1, open: false, ..Peer::default() };
                self.push(Hop::Client(1), Direction::ToClient, Flags::NONE, Record::Event(Event::Peer(peer)));
            }
            _ => self.message(line)?,
        }
        Some(())
    }

    fn message(&mut self, line: &str) -> Option<()> {
        let digits = line.find(|c: char| !c.is_ascii_digit())?;
        let peer = line[..digits].parse().unwrap_or(1);
        let (sign, text) = line[digits..].split_once(' ').unwrap_or((&line[digits..], ""));
        let direction = if sign.ends_with('>') { Direction::ToServer } else { Direction::ToClient };
        match sign {
            ">" | "<" => self.frame(peer, direction, with_version(text), Flags::NONE),
            "*>" => self.frame(peer, direction, modern(text)?, Flags::NONE),
            "=>" | "=<" => {
                let bytes = unescaped(text)?;
                let flags = Flags::NONE.with_if(!bytes.ends_with(b"\n"), Flags::NO_NEWLINE);
                self.frame(peer, direction, bytes, flags);
            }
            _ => return None,
        }
        Some(())
    }

    fn hello(&mut self, rest: &str) {
        let (revision, rest) = rest.split_once(' ').unwrap_or((rest, "{} {}"));
        let mut all = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let server = all.next().and_then(Result::ok).unwrap_or(json!({}));
        let client = all.next().and_then(Result::ok).unwrap_or(json!({}));
        let ask = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": revision, "capabilities": client, "clientInfo": {"name": "c", "version": "1"}}});
        let answer = json!({"jsonrpc": "2.0", "id": 0, "result": {
            "protocolVersion": revision, "capabilities": server, "serverInfo": {"name": "s", "version": "1"}}});
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        for (direction, value) in [(Direction::ToServer, ask), (Direction::ToClient, answer), (Direction::ToServer, ready)] {
            self.frame(1, direction, format!("{value}\n").into_bytes(), Flags::NONE);
            if direction == Direction::ToServer && self.transcript.header.transport == "http" {
                let http = Http { frame: self.last_frame, method: "POST".to_owned(), ..Http::default() };
                self.push(Hop::Client(1), Direction::ToServer, Flags::NONE, Record::Event(Event::Http(http)));
            }
        }
    }
}

/// The line with `%FILL(n)` replaced.
fn filled(line: &str) -> String {
    let Some((before, rest)) = line.split_once("%FILL(") else { return line.to_owned() };
    let Some((count, after)) = rest.split_once(')') else { return line.to_owned() };
    format!("{before}{}{after}", "y".repeat(count.parse().unwrap_or_default()))
}

fn with_version(text: &str) -> Vec<u8> {
    let text = match text.strip_prefix('{') {
        Some(rest) if !text.contains("\"jsonrpc\"") => format!("{{\"jsonrpc\":\"2.0\",{rest}"),
        _ => text.to_owned(),
    };
    format!("{text}\n").into_bytes()
}

fn modern(text: &str) -> Option<Vec<u8>> {
    let mut message: Map<String, Value> = serde_json::from_str(text).ok()?;
    message.entry("jsonrpc").or_insert(json!("2.0"));
    let params = message.entry("params").or_insert(json!({})).as_object_mut()?;
    let circumstances = params.entry("_meta").or_insert(json!({})).as_object_mut()?;
    circumstances.entry(meta::PROTOCOL_VERSION).or_insert(json!("2026-07-28"));
    circumstances.entry(meta::CLIENT_INFO).or_insert(json!({"name": "c", "version": "1"}));
    circumstances.entry(meta::CLIENT_CAPABILITIES).or_insert(json!({}));
    Some(format!("{}\n", Value::Object(message)).into_bytes())
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        rest = match after.as_bytes().first()? {
            b'n' => {
                bytes.push(b'\n');
                &after[1..]
            }
            b'r' => {
                bytes.push(b'\r');
                &after[1..]
            }
            b'x' => {
                bytes.push(u8::from_str_radix(after.get(1..3)?, 16).ok()?);
                &after[3..]
            }
            other => {
                bytes.extend_from_slice(&[b'\\', *other]);
                &after[1..]
            }
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}
