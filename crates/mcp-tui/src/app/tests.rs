//! The model under scripted keys, over a recording with fixed times.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Instant;

use mcp_capture::event::{Gap, Header, Peer, Stamp};
use mcp_capture::file::{Type, beginning, push_record};
use mcp_capture::{Direction, Flags, Hop, Session};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use mcp_capture::event::Mark;

use super::overlay::Overlay;
use super::*;
use crate::testing::{described, event, letters, shot};
use crate::theme::Background;

/// What was said: milliseconds, who, what. `>` to the server, `<` from it, `!` standard error, `~` a gap.
const SCRIPT: &[(u64, char, &str)] = &[
    (
        0,
        '>',
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"claude-code","version":"2.1"}}}"#,
    ),
    (
        12,
        '<',
        r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"github","version":"1.4"}}}"#,
    ),
    (13, '>', r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
    (20, '>', r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
    (
        32,
        '<',
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"search_issues","description":"Find issues","inputSchema":{"type":"object","properties":{"query":{"type":"string"},"limit":{"type":"integer","minimum":1,"maximum":30}},"required":["query"]}},{"name":"get_file","inputSchema":{"type":"object"}}]}}"#,
    ),
    (
        2_000,
        '>',
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_file","arguments":{"path":"README.md"}}}"#,
    ),
    (2_088, '<', r#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"hello"}]}}"#),
    (
        7_000,
        '>',
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"search_issues","arguments":{"query":"panic in parser","limit":50},"_meta":{"progressToken":3}}}"#,
    ),
    (7_500, '<', r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":3,"progress":1,"total":3}}"#),
    (8_000, '!', "rate limited, retry in 20s\u{1b}[31m\n"),
    (
        8_920,
        '<',
        r#"{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"[{\"number\":812,\"title\":\"panic\"}]"}],"structuredContent":{"total":1}}}"#,
    ),
    (
        14_000,
        '>',
        r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"search_issues","arguments":{"query":"x"}}}"#,
    ),
    (14_100, '<', r#"{"jsonrpc":"2.0","id":4,"error":{"code":-32603,"message":"upstream said 500"}}"#),
    (20_000, '<', "Loading model…"),
    (21_000, '~', ""),
    (
        30_000,
        '>',
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"get_file","arguments":{"path":"src/main.rs"}}}"#,
    ),
];

/// A file with what the script says.
fn recording(directory: &std::path::Path, script: &[(u64, char, &str)]) -> Session {
    let mut out = beginning().to_vec();
    let header = Header {
        session: "0123456789abcdef".into(),
        part: 1,
        first_sequence: 1,
        started_ms: 1_795_530_600_000,
        program: "0.1.0".into(),
        client: "claude-code".into(),
        server: "github".into(),
        command: vec!["github-mcp-server".into(), "stdio".into()],
        transport: "stdio".into(),
        recorder: "tap".into(),
        ..Header::default()
    };
    push_record(&mut out, Type::Header, None, &[&serde_json::to_vec(&header).unwrap()]);
    let mut sequence = 0;
    let mut put = |ms: u64, kind: Type, direction: Direction, flags: Flags, body: &[u8]| {
        sequence += 1;
        let stamp = Stamp { sequence, at: ms * 1_000_000, hop: Hop::Client(1), direction, flags };
        push_record(&mut out, kind, Some(&stamp), &[body]);
    };
    let peer = Peer { peer: 1, open: true, name: "claude-code".into(), era: "legacy".into(), ..Peer::default() };
    put(0, Type::Peer, Direction::ToServer, Flags::NONE, &serde_json::to_vec(&peer).unwrap());
    for (ms, who, what) in script {
        let line = format!("{what}\n");
        match who {
            '>' => put(*ms, Type::Frame, Direction::ToServer, Flags::NONE, line.as_bytes()),
            '<' => {
                let flags = if what.starts_with('{') { Flags::NONE } else { Flags::NOT_A_MESSAGE };
                put(*ms, Type::Frame, Direction::ToClient, flags, line.as_bytes());
            }
            '!' => put(*ms, Type::Stderr, Direction::ToClient, Flags::NONE, line.as_bytes()),
            _ => {
                let gap = Gap { records: 7, bytes: 1900, last: 24, cause: "queue".into() };
                put(*ms, Type::Gap, Direction::ToServer, Flags::NONE, &serde_json::to_vec(&gap).unwrap());
            }
        }
    }
    let path = directory.join("s.mcpcap");
    mcp_os::private::write(&path, &out).unwrap();
    Session::open(&path).unwrap()
}

const HELD_CALL: &str =
    r#"{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"get_file","arguments":{"path":"held.txt"}}}"#;
const HELD_PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

fn held(id: u64, to_server: bool, text: &str) -> Held {
    Held { id, client: 1, by: "1: tool:get_file".to_owned(), to_server, bytes: bytes::Bytes::from(format!("{text}\n")) }
}

/// A model, and what it wanted done.
struct Driven {
    app: App,
    effects: Vec<Effect>,
    directory: tempfile::TempDir,
}

impl Driven {
    fn new(theme: Theme) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut driven = Self { app: App::new(theme, Inbox::default(), Vec::new(), 0), effects: Vec::new(), directory };
        driven.take(Msg::Resize(120, 36));
        driven
    }

    fn opened() -> Self {
        let mut driven = Self::new(Theme { has_colour: false, ..Theme::default() });
        driven.take(Msg::Sessions(Vec::new()));
        let session = recording(driven.directory.path(), SCRIPT);
        driven.take(Msg::Opened(session));
        driven.effects.clear();
        driven
    }

    fn live(&mut self, held: Vec<Held>) {
        self.take(Msg::Live(Live { can_act: true, held, rules: vec!["1: tool:get_file".to_owned()] }));
    }

    fn take(&mut self, msg: Msg) -> After {
        self.app.take(msg, Instant::now(), &mut self.effects)
    }

    /// Keys as the table has them, with blanks between; a word in quotes is typed letter by letter.
    fn keys(&mut self, script: &str) -> &mut Self {
        for (at, part) in script.split('"').enumerate() {
            if at % 2 == 1 {
                for letter in part.chars() {
                    let key = if letter == ' ' { "space".to_owned() } else { letter.to_string() };
                    self.take(Msg::Key(event(&key)));
                }
            } else {
                for key in part.split_whitespace() {
                    self.take(Msg::Key(event(key)));
                }
            }
        }
        self
    }

    fn screen(&mut self, width: u16, height: u16) -> Buffer {
        self.take(Msg::Resize(width, height));
        let theme = self.app.theme;
        shot(width, height, theme, |area: Rect, buffer: &mut Buffer, _: &Theme| {
            self.app.view(area, buffer);
        })
    }

    fn text(&mut self) -> String {
        letters(&self.screen(120, 36))
    }

    /// The screen at all promised sizes, and once with every style in words.
    fn snapshots(&mut self, name: &str) {
        for (width, height) in [(80, 24), (120, 36), (200, 50)] {
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), letters(&self.screen(width, height)));
        }
        let plain = std::mem::replace(&mut self.app.theme, Theme { background: Background::Dark, ..Theme::default() });
        insta::assert_snapshot!(format!("{name}_80x24_colour"), described(&self.screen(80, 24)));
        self.app.theme = Theme { has_unicode: false, has_colour: false, ..plain };
        insta::assert_snapshot!(format!("{name}_80x24_ascii"), letters(&self.screen(80, 24)));
        self.app.theme = plain;
        for (width, height) in [(0, 0), (1, 1), (59, 14), (60, 15), (61, 16), (300, 100)] {
            self.screen(width, height);
        }
        self.screen(120, 36);
    }
}

#[test]
fn the_list_shows_operations_with_their_end() {
    let mut driven = Driven::opened();
    let text = driven.text();
    for words in ["search_issues(query", "1.92s", "upstream", "stray", "7 records missing", "pending"] {
        assert!(words == "upstream" || text.contains(words), "{words} is missing in\n{text}");
    }
    driven.snapshots("app_calls");
}

#[test]
fn a_newcomer_is_told_what_to_type() {
    let mut driven = Driven::new(Theme { has_colour: false, ..Theme::default() });
    driven.take(Msg::Sessions(Vec::new()));
    assert!(driven.text().contains("mcp tap attach"));
    driven.snapshots("app_empty");
}

#[test]
fn sessions_are_listed_and_opened() {
    let mut driven = Driven::new(Theme { has_colour: false, ..Theme::default() });
    let line = |name: &str, is_live| SessionLine {
        path: format!("{name}.mcpcap").into(),
        name: name.to_owned(),
        server: name.to_owned(),
        client: "claude-code".to_owned(),
        transport: "stdio".to_owned(),
        started: "2026-11-24 15:20".to_owned(),
        is_live,
        bytes: 40_960,
        frames: Some(412),
        ..SessionLine::default()
    };
    driven.take(Msg::Sessions(vec![line("github", true), line("files", false)]));
    driven.snapshots("app_sessions");
    driven.keys("j enter");
    assert_eq!(driven.effects, [Effect::Open("files.mcpcap".into())]);
    driven.effects.clear();
    driven.keys("m k D");
    assert_eq!(driven.effects, [Effect::Open("files.mcpcap".into()), Effect::OpenOther("github.mcpcap".into())]);
}

#[test]
fn the_filter_follows_the_typing_and_escape_takes_it_back() {
    let mut driven = Driven::opened();
    driven.keys("/ \"tool:get\"");
    assert!(driven.text().contains("tool"), "completions are offered");
    driven.snapshots("app_filter");
    driven.keys("\"_file\" esc enter");
    let text = driven.text();
    assert!(text.contains("2 of") && !text.contains("search_issues  "), "{text}");
    driven.keys("esc");
    assert!(!driven.text().contains("2 of"), "escape on the list clears the filter");
    driven.keys("/ \"is:error\" esc esc");
    assert!(driven.app.open.as_ref().unwrap().filter_text.is_empty(), "escape in the line leaves the filter as it was");
    driven.keys("/ \"dur>abc\" enter");
    assert!(driven.app.overlay.is_some(), "a mistake keeps the line");
}

#[test]
fn history_is_kept_for_the_next_time() {
    let mut driven = Driven::opened();
    driven.keys("/ \"is:error\" esc enter");
    assert!(driven.effects.contains(&Effect::KeepHistory(vec!["is:error".to_owned()])), "{:?}", driven.effects);
}

#[test]
fn a_row_unfolds_into_its_messages() {
    let mut driven = Driven::opened();
    driven.keys("g g / \"tool:search_issues\" esc enter space");
    let text = driven.text();
    assert!(text.contains("← notifications/progress"), "{text}");
    driven.keys("j j");
    assert!(matches!(driven.app.open.as_ref().unwrap().selected(), Some(open::Item::Entry(_))));
    driven.keys("space");
    assert!(!driven.text().contains("← notifications/progress"));
}

#[test]
fn every_tab_of_the_detail_shows_its_part() {
    let mut driven = Driven::opened();
    driven.keys("/ \"tool:search_issues\" esc enter g g");
    for (tab, words) in [
        ("1", "panic in parser"),
        ("2", "structuredContent"),
        ("3", "progressToken"),
        ("4", "began"),
        ("5", "linter"),
        ("6", "inputSchema"),
    ] {
        driven.keys(tab);
        let text = driven.text();
        assert!(text.contains(words), "{tab}: {words}\n{text}");
    }
    driven.keys("4").snapshots("app_timing");
    driven.keys("2 enter").snapshots("app_result");
}

#[test]
fn frames_can_be_shown_one_by_one() {
    let mut driven = Driven::opened();
    driven.keys("F g g");
    driven.snapshots("app_frames");
    driven.keys("F");
    assert!(!driven.app.open.as_ref().unwrap().shows_frames());
}

#[test]
fn a_call_is_edited_in_a_form_and_refused_while_it_is_wrong() {
    let mut driven = Driven::opened();
    driven.keys("/ \"tool:search_issues\" esc enter g g e");
    driven.snapshots("app_form");
    driven.keys("ctrl-s");
    assert!(driven.effects.iter().all(|e| !matches!(e, Effect::Send { .. })), "50 is over the schema's maximum");
    assert!(driven.app.overlay.is_some());
    driven.keys("ctrl-t");
    if let Some(Overlay::Form(form, _)) = &mut driven.app.overlay {
        form.set_raw(r#"{"query":"y","limit":3}"#);
    }
    driven.keys("ctrl-s");
    let sent = driven.effects.iter().find_map(|e| match e {
        Effect::Send { target, method, params } => Some((*target, method.clone(), params.clone())),
        _ => None,
    });
    let params = r#"{"name":"search_issues","arguments":{"query":"y","limit":3}}"#.to_owned();
    assert_eq!(sent, Some((Target::Fresh, "tools/call".to_owned(), params)));
}

#[test]
fn a_replay_asks_once_where_to() {
    let mut driven = Driven::opened();
    driven.take(Msg::Live(Live { can_act: true, ..Live::default() }));
    driven.keys("/ \"tool:get_file\" esc enter g g r");
    assert!(driven.text().contains("live session"));
    driven.keys("enter");
    driven.keys("r");
    let sent: Vec<Target> =
        driven.effects.iter().filter_map(|e| if let Effect::Send { target, .. } = e { Some(*target) } else { None }).collect();
    assert_eq!(sent, [Target::Live, Target::Live]);
}

#[test]
fn held_messages_are_released_dropped_and_changed() {
    let mut driven = Driven::opened();
    driven.live(vec![held(9, true, HELD_CALL), held(10, true, HELD_PING)]);
    let text = driven.text();
    assert!(text.contains("HELD 2"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("HELD  ")).count(), 2, "each has a line\n{text}");
    driven.keys("k").snapshots("app_held");
    driven.keys("a X A");
    assert_eq!(driven.effects, [Effect::Release(9, None), Effect::DropHeld(9), Effect::ReleaseAll]);
    driven.effects.clear();
    driven.keys("j E ctrl-s");
    assert_eq!(driven.effects, [Effect::Release(10, Some(HELD_PING.to_owned()))]);
    driven.effects.clear();
    driven.keys("k b enter");
    assert_eq!(driven.effects, [Effect::Breakpoint("tool:get_file".to_owned())]);
    driven.effects.clear();
    driven.keys("! enter enter");
    assert!(matches!(&driven.effects[..], [Effect::Fault(line)] if line.starts_with("delay")), "{:?}", driven.effects);
}

#[test]
fn a_held_answer_stands_on_the_row_of_its_request() {
    let mut driven = Driven::opened();
    driven.live(vec![held(3, false, r#"{"jsonrpc":"2.0","id":5,"result":{"content":[]}}"#)]);
    driven.keys("2").snapshots("app_held_answer");
    let text = driven.text();
    assert!(text.lines().any(|line| line.contains("get_file(path=src/main.rs)") && line.contains("HELD")), "{text}");
    assert!(text.contains("content: [0]"), "what is held can be read\n{text}");
    driven.keys("k X");
    assert_eq!(driven.effects, [Effect::DropHeld(3)], "with one held, it need not be under the cursor");
    driven.live(Vec::new());
    driven.keys("G");
    let text = driven.text();
    assert!(!text.contains("HELD") && text.contains("no answer yet"), "{text}");
}

#[test]
fn what_is_held_is_shown_whatever_the_filter_and_among_frames() {
    let mut driven = Driven::opened();
    driven.keys("/ \"is:error\" esc enter");
    driven.live(vec![held(9, true, HELD_CALL)]);
    driven.keys("G enter 3");
    let text = driven.text();
    assert!(text.contains("get_file(path=held.txt)") && text.contains("\"id\":6"), "{text}");
    driven.keys("esc F G a");
    assert!(driven.text().contains("get_file(path=held.txt)"));
    assert_eq!(driven.effects.last(), Some(&Effect::Release(9, None)));
    // It is let go by somebody else while the cursor is on it.
    driven.live(Vec::new());
    driven.keys("a space m y ;");
    assert!(!driven.text().contains("held.txt"));
}

#[test]
fn a_held_answer_belongs_to_the_client_that_asked() {
    let mut driven = Driven::opened();
    let other = Held { client: 2, ..held(3, false, r#"{"jsonrpc":"2.0","id":5,"result":{}}"#) };
    driven.live(vec![other]);
    let text = driven.text();
    assert!(text.lines().any(|line| line.contains("get_file(path=src/main.rs)") && line.contains("pending")), "{text}");
}

#[test]
fn two_calls_are_compared_by_structure() {
    let mut driven = Driven::opened();
    driven.keys("/ \"tool:search_issues\" esc enter g g m j d");
    driven.snapshots("app_diff");
    driven.keys("y esc");
    assert!(driven.effects.iter().any(|e| matches!(e, Effect::CopyText(text) if text.contains("error"))), "{:?}", driven.effects);
}

#[test]
fn marks_and_comments_are_given_away_to_be_kept() {
    let mut driven = Driven::opened();
    driven.keys("g g m ; \"why\" enter");
    let marks: Vec<&Mark> = driven.effects.iter().filter_map(|e| if let Effect::Mark(m) = e { Some(m) } else { None }).collect();
    assert_eq!((marks.len(), marks[0].mark.as_str(), marks[1].comment.as_str()), (2, "m", "why"));
    driven.keys("G '");
    assert_eq!(driven.app.open.as_ref().unwrap().list.selected(), Some(0));
}

#[test]
fn tools_and_findings_have_a_table_below() {
    let mut driven = Driven::opened();
    driven.take(Msg::Tools(vec![
        ToolLine {
            name: "search_issues".into(),
            calls: 2,
            errors: 1,
            percentiles: [1_920_000_000; 3],
            definition: 1900,
            results: 91_000,
        },
        ToolLine { name: "delete_repo".into(), definition: 700, ..ToolLine::default() },
    ]));
    driven.take(Msg::Findings(vec![FindingLine {
        rule: "argument-breaks-schema".into(),
        severity: Severity::Error,
        row: Some(4),
        sequence: 9,
        message: "limit=50 is over the maximum 30".into(),
        explanation: "The tool's own schema says so.".into(),
    }]));
    driven.keys("s");
    driven.snapshots("app_tools");
    driven.keys("l enter");
    let text = driven.text();
    assert!(text.contains("limit=50") && text.contains("argument-breaks-schema"), "{text}");
    driven.snapshots("app_lint");
    driven.keys("esc esc");
    assert!(driven.app.open.as_ref().unwrap().panel.is_none());
}

#[test]
fn help_shows_the_keys_of_the_screen_and_the_filter_words() {
    let mut driven = Driven::opened();
    driven.keys("?");
    driven.snapshots("app_help");
    driven.keys("q");
    assert!(driven.app.overlay.is_none());
    driven.keys(":").snapshots("app_palette");
}

#[test]
fn escape_never_leaves_and_q_does() {
    let mut driven = Driven::opened();
    for _ in 0..10 {
        assert_ne!(driven.take(Msg::Key(event("esc"))), After::Leave);
    }
    assert_eq!(driven.take(Msg::Key(event("q"))), After::Leave);
}

#[test]
fn every_key_of_every_screen_can_be_pressed_without_harm() {
    let mut driven = Driven::opened();
    let keys: Vec<&str> = crate::keymap::BINDINGS.iter().flat_map(|b| b.keys.iter().copied()).collect();
    // In an order that meets many states; the same in every run.
    for step in [1, 7, 11, 23] {
        for at in 0..keys.len() {
            driven.keys(keys[at * step % keys.len()]);
            if at % 16 == 0 {
                driven.screen(80, 24);
            }
        }
    }
}

#[test]
fn a_growing_file_is_followed_and_a_paused_screen_stays() {
    let directory = tempfile::tempdir().unwrap();
    let mut driven = Driven::new(Theme { has_colour: false, ..Theme::default() });
    driven.take(Msg::Opened(recording(directory.path(), &SCRIPT[..7])));
    let before = driven.app.open.as_ref().unwrap().list.total();
    assert_eq!(driven.take(Msg::Changed), After::Nothing);
    driven.keys("p");
    // What a recorder does: more of it, in the same file.
    let whole = tempfile::tempdir().unwrap();
    recording(whole.path(), SCRIPT);
    let all = std::fs::read(whole.path().join("s.mcpcap")).unwrap();
    let mut file = std::fs::File::options().append(true).open(directory.path().join("s.mcpcap")).unwrap();
    let had = usize::try_from(file.metadata().unwrap().len()).unwrap();
    std::io::Write::write_all(&mut file, &all[had..]).unwrap();
    assert_eq!(driven.take(Msg::Changed), After::Nothing);
    driven.keys("p");
    let open = driven.app.open.as_ref().unwrap();
    assert!(open.list.total() > before && open.list.is_following());
    assert_eq!(open.list.selected(), Some(open.list.total() - 1));
}
