//! A server of the daemon, recorded without a wrapper.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use mcp_capture::event::Record;
use mcp_capture::{Hop, Session};
use serde_json::json;

use crate::session::{MCP, until};

#[test]
fn both_sides_of_a_shared_server_are_recorded_from_when_it_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let mcp = |words: &[&str]| {
        let mut command = Command::new(MCP);
        command.args(words).env("MCP_HOME", home.path());
        command
    };
    let mut client = mcp(&["run-once", "--name", "calc", "--", MCP, "serve", "calculator"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, output) = (client.stdin.take().unwrap(), client.stdout.take().unwrap());
    let mut lines = BufReader::new(output).lines();
    let mut ask = |message: serde_json::Value| {
        writeln!(input, "{message}").unwrap();
        lines.next().unwrap().unwrap()
    };
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    ask(json!({"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": params}));
    let begun = mcp(&["daemon", "record", "calc"]).output().unwrap();
    let path = String::from_utf8(begun.stdout).unwrap();
    let again = mcp(&["daemon", "record", "calc"]).output().unwrap();
    assert_eq!(String::from_utf8(again.stdout).unwrap(), path);
    ask(json!({"jsonrpc": "2.0", "id": "b", "method": "ping"}));
    let frames = |session: &Session, hop: Hop| {
        let all = (0..u32::try_from(session.index().len()).unwrap()).filter_map(|at| session.record(at).unwrap());
        all.filter(|(stamp, record)| stamp.hop == hop && matches!(record, Record::Frame(..))).count()
    };
    until("both hops are recorded", || {
        let session = Session::open(path.trim().as_ref()).unwrap();
        let client = (1..9).map(|peer| frames(&session, Hop::Client(peer))).sum::<usize>();
        (client == 2 && frames(&session, Hop::Server) >= 2).then_some(())
    });
    assert!(mcp(&["daemon", "record", "calc", "--stop"]).status().unwrap().success());
    until("it is ended in order", || Session::open(path.trim().as_ref()).unwrap().is_ended().then_some(()));
    ask(json!({"jsonrpc": "2.0", "id": "c", "method": "ping"}));
    drop(input);
    client.wait().unwrap();
    assert!(mcp(&["daemon", "stop", "--all"]).status().unwrap().success());
}
