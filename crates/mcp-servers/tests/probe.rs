//! The probe against the calculator, which is also rmcp's client against it in both eras, and against programs that
//! behave badly.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::{Duration, Instant};

use mcp_servers::probe::{Called, Era, ProbeError, ServerCommand, Step, call_stdio};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn calculator() -> ServerCommand {
    ServerCommand { program: env!("CARGO_BIN_EXE_mcp-calculator").into(), ..ServerCommand::default() }
}

fn call(era: Era, tool: &str, arguments: Value) -> Called {
    call_stdio(&calculator(), era, tool, arguments, PATIENCE).unwrap()
}

#[test]
fn all_five_tools_answer_in_both_eras() {
    for (era, version) in [(Era::Legacy, "2025-11-25"), (Era::Modern, "2026-07-28")] {
        for (tool, a, b, expected) in [
            ("add", json!(0.1), json!(0.2), json!({"result": "0.3", "exact": true, "number": 0.3})),
            ("subtract", json!("1e-30"), json!("1"), json!({"result": format!("-0.{}", "9".repeat(30)), "exact": true})),
            ("multiply", json!(-4), json!("2.5"), json!({"result": "-10", "exact": true, "number": -10})),
            ("divide", json!(2), json!(3), json!({"result": format!("0.{}7", "6".repeat(49)), "exact": false})),
            ("power", json!(2), json!(-3), json!({"result": "0.125", "exact": true, "number": 0.125})),
        ] {
            let called = call(era, tool, json!({"a": a, "b": b}));
            assert_eq!(called.protocol_version, version);
            assert_eq!((called.server_name.as_str(), called.server_version.as_str()), ("calculator", env!("CARGO_PKG_VERSION")));
            assert_eq!(called.tools, ["add", "subtract", "multiply", "divide", "power"]);
            assert!(!called.is_error);
            assert_eq!(serde_json::from_str::<Value>(&called.result_text).unwrap(), expected);
            assert_eq!(called.structured, Some(expected));
            assert!(called.handshake > Duration::ZERO && called.call > Duration::ZERO);
        }
        let called = call(era, "divide", json!({"a": 1, "b": 0}));
        assert!(called.is_error);
        assert!(called.result_text.contains("division by zero"), "{}", called.result_text);
        assert_eq!(called.structured, None);
    }
}

#[test]
fn an_unknown_tool_is_named_with_those_that_exist() {
    let error = call_stdio(&calculator(), Era::Modern, "root", json!({}), PATIENCE).unwrap_err();
    assert_eq!(error.to_string(), "find a tool called `root` (the server has: add, subtract, multiply, divide, power)");
}

#[test]
fn arguments_that_are_no_object_are_refused_before_anything_is_started() {
    let nowhere = ServerCommand { program: "/nowhere/to-be-found".into(), ..ServerCommand::default() };
    assert!(matches!(call_stdio(&nowhere, Era::Legacy, "add", json!([1]), PATIENCE), Err(ProbeError::Arguments)));
    assert!(matches!(call_stdio(&nowhere, Era::Legacy, "add", json!({}), PATIENCE), Err(ProbeError::Start { .. })));
}

#[cfg(unix)]
mod unix {
    use super::*;

    fn shell(script: &str) -> ServerCommand {
        ServerCommand { program: "sh".into(), args: vec!["-c".into(), script.into()], ..ServerCommand::default() }
    }

    #[test]
    fn environment_and_directory_reach_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = shell("pwd -P > out; printf '%s' \"$GREETING\" >> out; exec \"$0\"");
        command.args.push(calculator().program);
        command.env.push(("GREETING".into(), "good day".into()));
        command.cwd = Some(dir.path().to_owned());
        call_stdio(&command, Era::Legacy, "add", json!({"a": 1, "b": 2}), PATIENCE).unwrap();
        let said = std::fs::read_to_string(dir.path().join("out")).unwrap();
        assert_eq!(said, format!("{}\ngood day", dir.path().canonicalize().unwrap().display()));
    }

    #[test]
    fn a_server_that_ends_is_reported_with_its_last_words() {
        let command = shell("for n in $(seq 1 30); do echo \"line $n\" >&2; done; exit 7");
        let error = call_stdio(&command, Era::Legacy, "add", json!({}), PATIENCE).unwrap_err();
        assert_eq!(error.stderr().len(), 20);
        assert_eq!(error.stderr().last().unwrap(), "line 30");
        let ProbeError::Handshake { aftermath, .. } = error else { panic!("{error:?}") };
        assert_eq!(aftermath.exit.and_then(|exit| exit.code()), Some(7));
    }

    #[test]
    fn a_silent_server_is_killed_with_everything_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alive");
        // The inner shell ignores the end of its input and says where it is; only a kill of the group reaches it.
        let script = format!(
            "echo starting >&2; (trap '' TERM HUP; while :; do date +%s%N > '{0}'; sleep 0.05; done) & while :; do sleep 1; done",
            file.display()
        );
        let limit = Duration::from_millis(500);
        let started = Instant::now();
        let error = call_stdio(&shell(&script), Era::Modern, "add", json!({}), limit).unwrap_err();
        assert!(matches!(error, ProbeError::TimedOut { step: Step::Handshake, .. }), "{error:?}");
        assert_eq!(error.stderr(), ["starting"]);
        assert!(started.elapsed() < Duration::from_secs(10));
        let last = std::fs::read(&file).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(std::fs::read(&file).unwrap(), last, "the inner process still writes");
    }

    #[test]
    fn what_a_good_server_leaves_running_is_killed_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alive");
        let mut command = shell(&format!(
            "(while :; do date +%s%N > '{0}'; sleep 0.05; done) </dev/null >/dev/null 2>&1 & until [ -s '{0}' ]; do sleep 0.02; done; exec \"$0\"",
            file.display()
        ));
        command.args.push(calculator().program);
        let started = Instant::now();
        call_stdio(&command, Era::Legacy, "add", json!({"a": 1, "b": 2}), PATIENCE).unwrap();
        assert!(started.elapsed() < Duration::from_secs(2), "a server that leaves by itself is not waited for");
        let last = std::fs::read(&file).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(std::fs::read(&file).unwrap(), last, "the inner process still writes");
    }

    #[test]
    fn noise_on_stdout_is_passed_over() {
        let mut command = shell("echo 'Server ready!'; exec \"$0\"");
        command.args.push(calculator().program);
        assert!(call_stdio(&command, Era::Modern, "add", json!({"a": 1, "b": 2}), PATIENCE).is_ok());
    }
}
