//! Codex. Its list starts nothing, so the app server is asked as well: that one starts every server and counts its tools.

use std::{
    io::{self, BufRead, BufReader, Write},
    process::Stdio,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{RealClient, Session, Standing, View, words, words_then};
use crate::sandbox;

pub(super) struct Codex;

impl RealClient for Codex {
    fn id(&self) -> &'static str {
        "codex"
    }

    fn program(&self) -> &'static str {
        "codex"
    }

    fn calls_itself(&self) -> &'static str {
        "codex-mcp-client"
    }

    fn config(&self) -> &'static str {
        ".codex/config.toml"
    }

    fn settings(&self, model: &str) -> String {
        format!(
            "# the model everyone here uses\nmodel = \"fake\"   # really\nmodel_provider = 'fake'\n\n\
             [model_providers.fake]\nname = \"fake\"\nbase_url = \"{model}/v1\"\nwire_api = \"responses\"\n\n\
             [tui]\n# quiet, please\nnotifications = false\n"
        )
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        Some(view(session, server))
    }

    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        Some(words(["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "call the tool"]))
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        Some(words_then(["mcp", "add", server, "--"], command))
    }

    fn remove(&self, server: &str) -> Option<Vec<String>> {
        Some(words(["mcp", "remove", server]))
    }
}

fn view(session: &Session, server: &str) -> io::Result<View> {
    let list = session.run(["mcp", "list", "--json"])?;
    let mut output = list.text();
    let Ok(Value::Array(listed)) = serde_json::from_str(&list.stdout) else {
        return Ok(View { standing: Standing::Broken("`codex mcp list` failed".into()), complaints: Vec::new(), output });
    };
    // The doctor fails as a whole when nobody is logged in; only its check of the servers counts here.
    let doctor = session.run(["doctor", "--json"])?;
    let doctor: Value = serde_json::from_str(&doctor.stdout).map_err(|_| io::Error::other(doctor.text()))?;
    let check = &doctor["checks"]["mcp.config"];
    let complaints = if check["status"] == "ok" { Vec::new() } else { vec![check.to_string()] };

    let standing = if listed.iter().any(|entry| entry["name"] == server) {
        match status(session, server) {
            Ok(tools) if tools > 0 => Standing::Connected,
            Ok(_) => Standing::Broken("it offers no tools".into()),
            Err(error) => Standing::Broken(error.to_string()),
        }
    } else {
        Standing::Absent
    };
    output.push_str(&check.to_string());
    Ok(View { standing, complaints, output })
}

/// How many tools the app server found in a server.
fn status(session: &Session, server: &str) -> io::Result<usize> {
    let mut command = session.command(["app-server"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = sandbox::spawn_leader(&mut command)?;
    let mut input = child.stdin.take().expect("its input was piped");
    let output = BufReader::new(child.stdout.take().expect("its output was piped"));
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let answer = (|| {
        writeln!(
            input,
            "{}",
            json!({"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "check", "version": "0"}}})
        )?;
        reply(&lines, 1)?;
        writeln!(input, "{}", json!({"method": "initialized"}))?;
        writeln!(input, "{}", json!({"id": 2, "method": "mcpServerStatus/list", "params": {}}))?;
        reply(&lines, 2)
    })();
    sandbox::end_group(&mut child);
    child.wait()?;
    drop(lines);
    let _ = reader.join();

    let answer = answer?;
    let entry = answer["data"].as_array().into_iter().flatten().find(|entry| entry["name"] == server);
    match entry {
        None => Err(io::Error::other("the app server does not know it")),
        Some(entry) if !entry["toolsError"].is_null() => Err(io::Error::other(entry["toolsError"].to_string())),
        Some(entry) => Ok(entry["tools"].as_object().map_or(0, serde_json::Map::len)),
    }
}

/// Waits for the reply to one request; notifications come in between.
fn reply(lines: &mpsc::Receiver<String>, id: u64) -> io::Result<Value> {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let line = lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .map_err(|_| io::Error::other(format!("the app server did not answer request {id}")))?;
        let Ok(mut message) = serde_json::from_str::<Value>(&line) else { continue };
        if message["id"] == id {
            return match message["error"].take() {
                Value::Null => Ok(message["result"].take()),
                error => Err(io::Error::other(error.to_string())),
            };
        }
    }
}
