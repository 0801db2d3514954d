//! Captures for tests, whose every byte is decided here: times and names do not differ from run to run.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::path::{Path, PathBuf};

use mcp_capture::event::{Event, Footer, Http, Note, Process};
use mcp_capture::file::{Type, beginning, push_record};
use mcp_capture::{Direction, Flags, Header, Hop, Stamp};

/// 2026-11-24T10:33:16.250Z.
pub(crate) const STARTED: u64 = 1_795_516_396_250;

/// A capture that is being made.
pub(crate) struct Tape {
    bytes: Vec<u8>,
    sequence: u64,
    at: u64,
    started_ms: u64,
}

impl Tape {
    /// Of a server of this name, on standard input and output.
    pub(crate) fn of(server: &str) -> Self {
        Self::with(&Header { server: server.into(), command: vec!["npx".into(), "-y".into(), server.into()], ..header() })
    }

    pub(crate) fn with(header: &Header) -> Self {
        let mut bytes = beginning().to_vec();
        push_record(&mut bytes, Type::Header, None, &[&serde_json::to_vec(&header).unwrap()]);
        Self { bytes, sequence: 0, at: 0, started_ms: header.started_ms }
    }

    fn push(&mut self, kind: Type, hop: Hop, direction: Direction, flags: Flags, body: &[u8]) {
        self.sequence += 1;
        let stamp = Stamp { sequence: self.sequence, at: self.at, hop, direction, flags };
        push_record(&mut self.bytes, kind, Some(&stamp), &[body]);
    }

    /// `+5 > …` 5 ms later the client says; `<` the server; `!` on standard error; `2>` with client 2; `x 7` the server ends.
    pub(crate) fn say(mut self, script: &str) -> Self {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (time, rest) = line.strip_prefix('+').map_or(("0", line), |line| line.split_once(' ').unwrap());
            self.at += time.parse::<u64>().unwrap() * 1_000_000;
            let (who, text) = rest.split_once(' ').unwrap();
            let body = format!("{text}\n");
            let client = Hop::Client(who[..who.len() - 1].parse().unwrap_or(1));
            match &who[who.len() - 1..] {
                ">" => self.push(Type::Frame, client, Direction::ToServer, Flags::NONE, body.as_bytes()),
                "<" => self.push(Type::Frame, client, Direction::ToClient, Flags::NONE, body.as_bytes()),
                "?" => self.push(Type::Frame, client, Direction::ToClient, Flags::NOT_A_MESSAGE, body.as_bytes()),
                "!" => self.push(Type::Stderr, Hop::Server, Direction::ToClient, Flags::NONE, body.as_bytes()),
                "x" => {
                    let process = Process { pid: 7, code: Some(text.parse().unwrap()), ..Process::default() };
                    self.push(
                        Type::Process,
                        Hop::Server,
                        Direction::ToServer,
                        Flags::NONE,
                        &serde_json::to_vec(&process).unwrap(),
                    );
                }
                other => panic!("{other} in {line}"),
            }
        }
        self
    }

    /// Bytes of the client's, or of the server's.
    pub(crate) fn bytes(mut self, direction: Direction, flags: Flags, bytes: &[u8]) -> Self {
        self.push(Type::Frame, Hop::Client(1), direction, flags, bytes);
        self
    }

    pub(crate) fn event(mut self, event: &Event) -> Self {
        let (kind, body) = match event {
            Event::Http(http) => (Type::Http, serde_json::to_vec::<Http>(http)),
            Event::Note(note) => (Type::Note, serde_json::to_vec::<Note>(note)),
            other => panic!("{other:?}"),
        };
        self.push(kind, Hop::Client(1), Direction::ToServer, Flags::NONE, &body.unwrap());
        self
    }

    /// Ends in order, and lies in this file.
    pub(crate) fn ended(mut self, path: &Path) -> PathBuf {
        let footer = Footer { frames: self.sequence, ended_ms: self.started_ms + self.at / 1_000_000, ..Footer::default() };
        self.push(Type::Footer, Hop::Server, Direction::ToServer, Flags::NONE, &serde_json::to_vec(&footer).unwrap());
        self.cut_off(path)
    }

    /// Was cut off.
    pub(crate) fn cut_off(self, path: &Path) -> PathBuf {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, self.bytes).unwrap();
        path.to_owned()
    }
}

pub(crate) fn header() -> Header {
    Header {
        session: "00c0ffee00c0ffee".into(),
        part: 1,
        first_sequence: 1,
        started_ms: STARTED,
        program: "0.1.0".into(),
        client: "claude-code".into(),
        transport: "stdio".into(),
        recorder: "tap".into(),
        hops: vec!["client".into()],
        ..Header::default()
    }
}

/// A session in the old era in which most things happen.
pub(crate) const LEGACY: &str = r#"
    > {"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"claude-code","version":"2.1"}}}
    +20 < {"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"logging":{}},"serverInfo":{"name":"files","version":"1.2.3"}}}
    +1 > {"jsonrpc":"2.0","method":"notifications/initialized"}
    +2 > {"jsonrpc":"2.0","id":1,"method":"tools/list"}
    +3 < {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"search","description":"Search","inputSchema":{"type":"object"}},{"name":"write","description":"Write","inputSchema":{"type":"object"}},{"name":"unused","description":"Nobody calls it","inputSchema":{"type":"object"}}]}}
    +10 > {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search","arguments":{"query":"panic","limit":50},"_meta":{"progressToken":2}}}
    +5 < {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":2,"progress":1,"total":2}}
    ! opened the index
    +5 < {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"half way"}}
    +5 < {"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"3 matches"}],"structuredContent":{"matches":3,"id":123456789012345678901234567890}}}
    +10 > {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"write","arguments":{"path":"/etc/passwd"}}}
    +4 < {"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"Really?","requestedSchema":{"type":"object","properties":{}}}}
    +500 > {"jsonrpc":"2.0","id":"q1","result":{"action":"decline"}}
    +4 < {"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"not written"}],"isError":true}}
    +10 ? listening on port 3000
    > {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"serach","arguments":{}}}
    +1 < {"jsonrpc":"2.0","id":4,"error":{"code":-32602,"message":"unknown tool serach"}}
    +10 > {"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"search","arguments":{"query":"panic","limit":50}}}
    +7 < {"jsonrpc":"2.0","id":5,"result":{"content":[{"type":"text","text":"4 matches"}],"structuredContent":{"matches":4}}}
    +10 > {"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"search","arguments":{"query":"slow"}}}
"#;

/// A session in the modern era: no opening, input that is asked for, a subscription.
pub(crate) const MODERN: &str = r#"
    > {"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"new","version":"3"}}}}
    +4 < {"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"files","version":"2.0.0"}}}
    +2 > {"jsonrpc":"2.0","id":2,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}
    +1 < {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":2}}}
    +2 > {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"write","arguments":{"path":"a"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}
    +3 < {"jsonrpc":"2.0","id":3,"result":{"resultType":"input_required","requestState":"s-1","inputRequests":{"ok":{"method":"elicitation/create","params":{"message":"Really?"}}}}}
    +300 > {"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"write","arguments":{"path":"a"},"requestState":"s-1","inputResponses":{"ok":{"action":"accept"}},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}
    +3 < {"jsonrpc":"2.0","id":4,"result":{"resultType":"complete","content":[{"type":"text","text":"written"}]}}
    +5 < {"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":2}}}
"#;
