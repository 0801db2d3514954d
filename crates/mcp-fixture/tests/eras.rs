//! The fixture is what it says it is: otherwise a test that needs a server of one era would have met one of both.
//!
//! That these tests exist also makes cargo build the programs beside `mcp`, where the tests of the workspace look for them.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// The first answer of a server of these eras to this message.
fn answer(eras: &str, message: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-fixture"));
    command.args(["--stdio", "--eras", eras]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = command.spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    writeln!(input, "{message}").unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    drop(input);
    server.wait().unwrap();
    line
}

#[test]
fn legacy_server_opens_with_initialize_and_knows_no_discovery() {
    assert!(answer("legacy", INITIALIZE).contains(r#""protocolVersion":"2025-11-25""#));
    assert!(answer("legacy", DISCOVER).contains(r#""code":-32601"#));
}

#[test]
fn modern_server_is_discovered_and_refuses_initialize() {
    assert!(answer("modern", DISCOVER).contains(r#""supportedVersions":["2026-07-28"]"#));
    assert!(answer("modern", INITIALIZE).contains(r#""code":-32022"#));
}

#[test]
fn dual_server_is_opened_either_way() {
    assert!(answer("both", INITIALIZE).contains(r#""protocolVersion":"2025-11-25""#));
    assert!(answer("both", DISCOVER).contains(r#""2026-07-28""#));
}

/// The client of the matrix is the judge of every cell. It has to see what a server lacks.
#[test]
fn client_fails_on_a_server_without_its_tools() {
    let client = |server: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-fixture-client"));
        command.arg("legacy").arg(env!("CARGO_BIN_EXE_mcp-fixture")).args(server).stderr(Stdio::null());
        command.output().unwrap()
    };
    let seen = client(&["--stdio"]);
    assert!(seen.status.success() && seen.stdout.starts_with(b"{\"client\":\"rmcp\",\"era\":\"legacy\""), "{seen:?}");
    let seen = client(&["--stdio", "--eras", "modern"]);
    assert!(!seen.status.success() && seen.stdout.is_empty(), "{seen:?}");
}
