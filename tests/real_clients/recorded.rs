//! One client recorded by `mcp tap attach` while it calls a tool, its file given back by `mcp tap detach`, and the same client with
//! the recording in place of its server.

use std::path::Path;

use mcp_testkit::{clients::Session, sandbox::Sandbox};
use serde_json::Value;

use crate::{
    Installed, MCP_LIMIT, NAME, Stop, install_with_mcp,
    journey::{bytes, tail, text},
    mcp, mcp_program,
    server::{self, Server},
    shared::Daemon,
    table::RecordedRow,
};

/// Where a request of the newer era tells who asks.
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";

/// So many conversations a client may begin until the server's tools are there in time.
const TRIES: u32 = 5;

/// A recorded session with a call of the tool: what `mcp trace ls` says of it.
struct Taken {
    listed: Value,
    /// What else than an error `mcp trace check` found, by rule.
    findings: Vec<String>,
}

impl Taken {
    fn text(&self, member: &str) -> &str {
        self.listed[member].as_str().unwrap_or_default()
    }
}

/// Records, detaches, and replays: as somebody would install it, and with nothing but exact answers.
pub(crate) fn and_replayed(installed: &Installed, server: Server) -> Result<(), Stop> {
    let session = Session::begin(installed.client, &installed.program, server.script())?;
    let ready = server::ready(server, &session.sandbox)?;
    install_with_mcp(&session.sandbox, installed.client.id(), NAME, &ready.source)?;

    // Before the client has run, nobody but us has touched the file.
    let first = bytes(&session)?;
    let attached = attach(&session)?;
    must_be("after a detach", &detach(&session)?, &first)?;
    must_be("after a second attach", &attach(&session)?, &attached)?;
    must_be("after a second detach", &detach(&session)?, &first)?;

    // Its first run may lay the whole file out anew. From then on it writes elsewhere in it, if at all.
    call(&session, installed, server)?;
    let first = bytes(&session)?;
    let attached = attach(&session)?;
    call(&session, installed, server)?;
    let taken = taken(&session.sandbox, installed, server, &[])?;
    let wanted = taken_back(&first, &attached, &bytes(&session)?)?;
    must_be("after the client was recorded and detached", &detach(&session)?, &wanted)?;

    // The other way round: the server answers today what it answered this client.
    let command: Vec<&str> = taken.listed["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    mcp(&session.sandbox, &[&["verify", taken.text("path"), "--"], &command[..]].concat())?;

    let capture = Path::new(taken.text("path")).to_owned();
    let mock = ["mock", taken.text("path")];
    replace(&session, &mock)?;
    call(&session, installed, server)?;
    // Recorded itself, it is judged by the same rules, and each of its answers is compared.
    let before = sessions(&session.sandbox)?;
    replace(&session, &[mock[0], mock[1], "--strict", "--no-delay"])?;
    attach(&session)?;
    call(&session, installed, server)?;
    let again = self::taken(&session.sandbox, installed, server, &before)?;
    must_say_the_same(&session.sandbox, &capture, Path::new(again.text("path")))?;

    RecordedRow {
        client: installed.client.id(),
        version: installed.version.clone(),
        server: server.title(),
        era: taken.text("era").to_owned(),
        revision: taken.text("revision").to_owned(),
        messages: taken.listed["frames"].as_u64().unwrap_or_default(),
        findings: taken.findings.join(", "),
    }
    .keep();
    Ok(())
}

/// A client's recording, and the home it lies in.
struct Recording {
    session: Session,
    taken: Taken,
}

/// Each client is recorded, and accepts the recording of the next one: clients say otherwise who they are, ask for other revisions,
/// and open by the other era, which `mcp run-once` translates.
pub(crate) fn exchanged(clients: &[Installed], server: Server) -> Result<(), Stop> {
    let mut recordings = Vec::new();
    for installed in clients {
        let session = Session::begin(installed.client, &installed.program, server.script())?;
        let ready = server::ready(server, &session.sandbox)?;
        install_with_mcp(&session.sandbox, installed.client.id(), NAME, &ready.source)?;
        attach(&session)?;
        call(&session, installed, server)?;
        let taken = taken(&session.sandbox, installed, server, &[])?;
        recordings.push(Recording { session, taken });
    }
    for (at, installed) in clients.iter().enumerate() {
        let (own, other) = (&recordings[at], &recordings[(at + 1) % recordings.len()]);
        // A file that somebody sent.
        let file = own.session.sandbox.home().join("theirs.mcpcap");
        std::fs::copy(other.taken.text("path"), &file)?;
        let (file, program) = (file.display().to_string(), mcp_program().display().to_string());
        let mock = ["mock", file.as_str(), "--strict"];
        let is_other_era = other.taken.text("era") == "modern" && own.taken.text("era") == "legacy";
        let _daemon = Daemon(&own.session.sandbox);
        if is_other_era {
            replace(&own.session, &[&["run-once", "--", &program], &mock[..]].concat())?;
        } else {
            replace(&own.session, &mock)?;
            // Should it fail, what was said is shown.
            attach(&own.session)?;
        }
        call(&own.session, installed, server).map_err(|stop| match stop {
            Stop::Fail(message) => Stop::Fail(format!(
                "{} does not accept what {} recorded: {message}",
                installed.client.id(),
                other.taken.text("client")
            )),
            skip @ Stop::Skip(_) => skip,
        })?;
    }
    Ok(())
}

/// Puts the tap around the entry; returns the file's bytes.
fn attach(session: &Session) -> Result<Vec<u8>, Stop> {
    mcp(&session.sandbox, &["tap", "attach", NAME, "--client", session.client().id(), "--yes"])?;
    let attached = bytes(session)?;
    if text(&attached).contains("tap") && text(&attached).contains("--client") {
        return Ok(attached);
    }
    Err(format!("the entry does not start the tap after attaching:\n{}", text(&attached)).into())
}

fn detach(session: &Session) -> Result<Vec<u8>, Stop> {
    mcp(&session.sandbox, &["tap", "detach", NAME, "--client", session.client().id(), "--yes"])?;
    bytes(session)
}

/// Gives the entry another server: one of `mcp` itself.
fn replace(session: &Session, words: &[&str]) -> Result<(), Stop> {
    let program = mcp_program().display().to_string();
    let mut arguments = vec!["install", "--client", session.client().id(), "--name", NAME, "--yes", "--force", "--", &program];
    arguments.extend(words);
    mcp(&session.sandbox, &arguments).map(drop)
}

/// A new conversation, in which the client calls the tool and the answer reaches the model.
///
/// Claude Code and Codex do not wait for a server that is slow to open, as any is on a busy machine: they ask their model without its
/// tools, and it has nothing to ask for. Only such a conversation is begun again.
fn call(session: &Session, installed: &Installed, server: Server) -> Result<(), Stop> {
    let arguments = installed.client.prompt(NAME, &server.script().tool).expect("only clients that take a prompt come here");
    let mut left = TRIES;
    loop {
        let before = session.model.turns().len();
        let outcome = session.run(&arguments)?;
        if session.model.received_after(before, server.result()) {
            return Ok(());
        }
        left -= 1;
        let turns = session.model.turns().split_off(before);
        if left > 0 && !turns.is_empty() && turns.iter().all(|turn| turn.asked.is_none()) {
            continue;
        }
        let (offered, results): (Vec<_>, Vec<_>) = turns.into_iter().map(|turn| (turn.offered, turn.results)).unzip();
        return Err(format!(
            "no result with `{}` reached the model\noffered: {offered:?}\nresults: {results:?}\nin {}\nthe client ended with {:?} and said:\n{}\n{}",
            server.result(),
            text(&bytes(session)?),
            outcome.code,
            tail(&outcome.text()),
            shown_latest(&session.sandbox),
        )
        .into());
    }
}

/// The file with what attaching did to it taken back, wherever else the client wrote into it meanwhile.
fn taken_back(first: &[u8], attached: &[u8], now: &[u8]) -> Result<Vec<u8>, Stop> {
    let start = first.iter().zip(attached).take_while(|(a, b)| a == b).count();
    let left = first.len().min(attached.len()) - start;
    let end = first.iter().rev().zip(attached.iter().rev()).take(left).take_while(|(a, b)| a == b).count();
    let (was, is) = (&first[start..first.len() - end], &attached[start..attached.len() - end]);
    let mut places = (0..=now.len().saturating_sub(is.len())).filter(|at| now[*at..].starts_with(is));
    match (places.next(), places.next()) {
        (Some(at), None) => Ok([&now[..at], was, &now[at + is.len()..]].concat()),
        _ => Err(format!("the client did not leave our place alone:\n{}\nwas\n{}", text(now), text(attached)).into()),
    }
}

fn must_be(when: &str, now: &[u8], wanted: &[u8]) -> Result<(), Stop> {
    if now == wanted {
        return Ok(());
    }
    Err(format!("{when} the file is not as it was:\n{}\nwas\n{}", text(now), text(wanted)).into())
}

/// The one new session with a call of the tool, with everything in it that has to be. In others the client left before that.
fn taken(sandbox: &Sandbox, installed: &Installed, server: Server, before: &[Value]) -> Result<Taken, Stop> {
    let mut all = sessions(sandbox)?;
    all.retain(|session| !before.iter().any(|known| known["name"] == session["name"]));
    let mut found = Vec::new();
    for listed in all {
        let named = (listed["server"].as_str(), listed["client"].as_str()) == (Some(NAME), Some(installed.client.id()));
        if !named || listed["lost"] != 0 || !listed["problem"].is_null() {
            return Err(format!("the session is not what it should be: {listed:#}").into());
        }
        let name = listed["name"].as_str().unwrap_or_default().to_owned();
        let operations = answer(sandbox, &["trace", "show", &name])?["operations"].as_array().cloned().unwrap_or_default();
        let Some(call) = operations.iter().find(|row| row["method"] == "tools/call") else { continue };
        if listed["pending"] != 0 || listed["errors"] != 0 {
            return Err(format!("something has no answer, or an error: {listed:#}\n{operations:#?}").into());
        }
        look_at(sandbox, installed, server, &name, &operations, call)?;
        let findings = judge(sandbox, &name)?;
        found.push(Taken { listed, findings });
    }
    match (found.pop(), found.is_empty()) {
        (Some(taken), true) => Ok(taken),
        (None, _) => Err(format!("no session has a call\n{}", shown_latest(sandbox)).into()),
        (Some(_), false) => Err("the tool was called in several sessions".to_owned().into()),
    }
}

/// The opening tells who the client is, tools were listed, the call has its true answer, and nothing is without one.
fn look_at(
    sandbox: &Sandbox,
    installed: &Installed,
    server: Server,
    name: &str,
    operations: &[Value],
    call: &Value,
) -> Result<(), Stop> {
    let fail = |what: &str| Stop::Fail(format!("{what}\n{}", shown_latest(sandbox)));
    let done = |methods: &[&str]| {
        let method = |row: &&Value| row["status"] == "ok" && methods.iter().any(|method| row["method"] == *method);
        operations.iter().find(method).ok_or_else(|| fail(&format!("no {methods:?} was answered")))
    };
    let opening = done(&["initialize", "server/discover"])?;
    done(&["tools/list"])?;
    if call["name"] != server.script().tool || call["status"] != "ok" {
        return Err(fail("the call is not the one that was asked for, or failed"));
    }
    for row in operations {
        // A server of the older era has to refuse what the newer one begins with.
        let is_probe = row["method"] == "server/discover" && row["status"] == "error" && opening["method"] == "initialize";
        let is_done = row["kind"] != "operation" || row["status"] == "ok" || is_probe;
        if !is_done || matches!(row["kind"].as_str(), Some("gap" | "stray" | "answer")) {
            return Err(fail(&format!("this should not be there: {row}")));
        }
    }

    let full = |row: &Value| answer(sandbox, &["trace", "show", name, &row["number"].to_string()]);
    let opened = full(opening)?;
    let params = &opened["messages"][0]["message"]["params"];
    let told = [&params["clientInfo"]["name"], &params["_meta"][CLIENT_INFO]["name"]];
    if !told.iter().any(|name| **name == installed.client.calls_itself()) {
        return Err(fail(&format!("the opening does not tell the client: {opened:#}")));
    }
    let called = full(call)?;
    if called["result"].to_string().contains(server.result()) {
        Ok(())
    } else {
        Err(fail(&format!("the call has another answer: {called:#}")))
    }
}

/// No rule is broken badly; returns what else was found.
fn judge(sandbox: &Sandbox, name: &str) -> Result<Vec<String>, Stop> {
    // It ends with 1 if there is an error.
    let checked = answer(sandbox, &["trace", "check", name])?;
    let findings = checked["sessions"][0]["findings"].as_array().cloned().unwrap_or_default();
    if checked["ok"] != true || findings.iter().any(|finding| finding["severity"] == "error") {
        return Err(format!("`mcp trace check` finds errors in {name}: {:#}", checked["sessions"]).into());
    }
    Ok(findings.iter().filter_map(|finding| finding["rule"].as_str().map(str::to_owned)).collect())
}

/// Every operation of the replay has its like in the recording, with the same answer. Only how often lists are asked for differs:
/// clients gather notifications of changes for a moment.
fn must_say_the_same(sandbox: &Sandbox, recorded: &Path, replayed: &Path) -> Result<(), Stop> {
    let (recorded, replayed) = (recorded.display().to_string(), replayed.display().to_string());
    let compared = answer(sandbox, &["trace", "diff", &recorded, &replayed])?;
    let is_list = |row: &Value| row["method"].as_str().is_some_and(|method| method.ends_with("/list"));
    let list = |member: &str| compared[member].as_array().cloned().unwrap_or_default();
    let same = compared["same"].as_u64().unwrap_or_default();
    let differs = [list("drift"), list("changed")].concat();
    if same >= 3 && differs.is_empty() && [list("only_before"), list("only_after")].concat().iter().all(is_list) {
        return Ok(());
    }
    Err(format!("the recording answers otherwise than it was: {compared:#}").into())
}

/// What a command of `mcp` answers in JSON.
fn answer(sandbox: &Sandbox, arguments: &[&str]) -> Result<Value, Stop> {
    let mut command = sandbox.command(mcp_program());
    let outcome = sandbox.run(command.args(arguments).arg("--json"), MCP_LIMIT)?;
    serde_json::from_str(&outcome.stdout)
        .map_err(|error| Stop::Fail(format!("`mcp {}`: {error}:\n{}", arguments.join(" "), outcome.text())))
}

fn sessions(sandbox: &Sandbox) -> Result<Vec<Value>, Stop> {
    Ok(answer(sandbox, &["trace", "ls"])?["sessions"].as_array().cloned().unwrap_or_default())
}

/// For the message of a failure.
fn shown_latest(sandbox: &Sandbox) -> String {
    let shown = |words: &[&str]| {
        let mut command = sandbox.command(mcp_program());
        sandbox.run(command.args(words), MCP_LIMIT).map_or_else(|error| error.to_string(), |outcome| outcome.text())
    };
    format!("{}\n{}", shown(&["trace", "ls"]), shown(&["trace", "show", "latest"]))
}
