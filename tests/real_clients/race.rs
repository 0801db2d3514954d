//! Many writers on Claude Code's one file, Claude Code among them.

use std::{
    fs::{self, File, FileTimes},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use libtest_mimic::Failed;
use mcp_testkit::{
    clients::Session,
    sandbox::{self, Sandbox},
};
use serde_json::Value;

use crate::{Installed, MCP_LIMIT, Stop, mcp_program, server::Server};

const OURS: usize = 32;
const THEIRS: usize = 4;
const FILE: &str = ".claude.json";

/// 32 of our processes and some of Claude's own add different servers at once; none is lost.
pub(crate) fn many_installs_and_its_own_adds(claude: &Installed) -> Result<(), Stop> {
    let session = Session::begin(claude.client, &claude.program, Server::Calculator.script())?;
    // At its very first start Claude Code 2.1.329 writes its machine id and migrations, and when the lock is taken it does so
    // without it after a second. That can lose anyone's entry and is not what is tested here; later starts keep to the lock.
    let settled = session.run(["mcp", "list"])?;
    if !settled.succeeded() {
        return Err(format!("`claude mcp list` failed: {}", settled.text()).into());
    }

    let mut wanted = Vec::new();
    let mut running = Vec::new();
    for index in 0..OURS {
        if index % (OURS / THEIRS) == 0 {
            let name = format!("theirs-{index}");
            let add = claude.client.add(&name, &["true".to_owned()]).expect("Claude Code has an `add`");
            running.push((name.clone(), quietly(&mut session.command(add))?));
            wanted.push(name);
        }
        let name = format!("ours-{index}");
        running.push((name.clone(), quietly(&mut install(&session.sandbox, &name))?));
        wanted.push(name);
    }
    for (name, mut child) in running {
        let ended = sandbox::wait(&mut child, Duration::from_mins(2))?;
        sandbox::end_group(&mut child);
        if !ended.is_some_and(|status| status.success()) {
            return Err(format!("the process that adds `{name}` ended with {ended:?}").into());
        }
    }
    let text = session.sandbox.read(FILE)?.unwrap_or_default();
    let file: Value = serde_json::from_slice(&text).map_err(|error| format!("the file is broken: {error}"))?;
    wanted.retain(|name| !file["mcpServers"][name].is_object());
    if !wanted.is_empty() {
        return Err(format!("lost, though every process reported success: {wanted:?}").into());
    }
    if file["numStartups"].is_null() {
        return Err("the settings of Claude were lost".to_owned().into());
    }
    Ok(())
}

/// While the lock directory of Claude Code is held, nothing is written; what its holder wrote is there afterwards.
pub(crate) fn waits_for_the_lock() -> Result<(), Failed> {
    let sandbox = Sandbox::new()?;
    let file = sandbox.write(FILE, "{\n  \"numStartups\": 7\n}\n")?;
    let lock = file.with_file_name(".claude.json.lock");
    fs::create_dir(&lock)?;

    let mut child = quietly(&mut install(&sandbox, "patient"))?;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        // As its holder does; a lock left untouched for ten seconds may be taken over.
        File::open(&lock)?.set_times(FileTimes::new().set_modified(SystemTime::now()))?;
        if let Some(status) = child.try_wait()? {
            return Err(format!("`mcp install` did not wait for the lock: {status}").into());
        }
        if fs::read_to_string(&file)?.contains("patient") {
            sandbox::end_group(&mut child);
            return Err("`mcp install` wrote while another program held the lock".into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let beside = file.with_file_name(".claude.json.new");
    fs::write(&beside, "{\n  \"numStartups\": 8,\n  \"mcpServers\": {\"earlier\": {\"command\": \"true\"}}\n}\n")?;
    fs::rename(&beside, &file)?;
    fs::remove_dir(&lock)?;

    let ended = sandbox::wait(&mut child, MCP_LIMIT)?;
    sandbox::end_group(&mut child);
    if !ended.is_some_and(|status| status.success()) {
        return Err(format!("`mcp install` ended with {ended:?}").into());
    }
    let value: Value = serde_json::from_slice(&fs::read(&file)?)?;
    for name in ["earlier", "patient"] {
        if !value["mcpServers"][name].is_object() {
            return Err(format!("`{name}` is missing in {value}").into());
        }
    }
    if value["numStartups"] != 8 {
        return Err("an older state of the file came back".into());
    }
    if lock.exists() {
        return Err("the lock was left behind".into());
    }
    Ok(())
}

fn install(sandbox: &Sandbox, name: &str) -> Command {
    let mut command = sandbox.command(mcp_program());
    command.args(["install", "calculator", "--client", "claude-code", "--name", name, "--yes"]);
    command
}

fn quietly(command: &mut Command) -> std::io::Result<Child> {
    sandbox::spawn_leader(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}
