//! Several clients at the same time on one shared server: each gets its own answer, and there is one process.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use mcp_testkit::{
    clients::{self, Session, Standing},
    model::FakeModel,
    sandbox::{Outcome, Sandbox},
};
use serde_json::Value;

use crate::{
    Installed, MCP_LIMIT, NAME, Stop, install_shared_with_mcp, mcp, mcp_program,
    server::{self, Server},
    table::SharedRow,
};

/// Slow clients on a busy machine; the models hold no client much longer.
const ALL_HERE: Duration = Duration::from_secs(90);

/// What the daemon does when a client has gone, or is told to end.
const SOON: Duration = Duration::from_secs(40);

/// One of the clients, with what its model will ask for and must get.
struct Member<'a> {
    installed: &'a Installed,
    session: Session,
    tool: String,
    result: String,
}

impl Member<'_> {
    /// Whether it takes a prompt without a login. Those that do not are asked for their list, for which they connect.
    fn is_prompted(&self) -> bool {
        self.installed.client.prompt(NAME, &self.tool).is_some()
    }

    fn run(&self) -> Result<Outcome, String> {
        let client = self.installed.client;
        if let Some(arguments) = client.prompt(NAME, &self.tool) {
            return self.session.run(arguments).map_err(|error| error.to_string());
        }
        let begin = Instant::now();
        let view = client.view(&self.session, NAME).expect("a client without a prompt has a list");
        let view = view.map_err(|error| error.to_string())?;
        if view.standing == Standing::Connected {
            return Ok(Outcome {
                code: Some(0),
                stdout: view.output,
                stderr: String::new(),
                took: begin.elapsed(),
                timed_out: false,
            });
        }
        Err(format!("{} says of the shared server: {:?}\n{}", client.id(), view.standing, view.output))
    }
}

/// What the status said at one time or another while the clients ran.
#[derive(Default)]
struct Seen {
    /// The clients, by the names they give themselves.
    clients: BTreeMap<String, Value>,
    /// The most calls that were on their way at once.
    in_flight: u64,
    /// The processes of the server, by number, with what tells servers apart: there must be one in all.
    pids: BTreeMap<u64, String>,
}

impl Seen {
    fn look(&mut self, status: &Value) {
        for server in status["servers"].as_array().into_iter().flatten() {
            self.in_flight = self.in_flight.max(server["in_flight"].as_u64().unwrap_or_default());
            if let Some(pid) = server["pid"].as_u64() {
                let apart =
                    format!("in {} with {}, for {}", server["cwd"], server["env"], server["clients"][0]["client"]["name"]);
                self.pids.insert(pid, apart);
            }
            for client in server["clients"].as_array().into_iter().flatten() {
                if let Some(name) = client["client"]["name"].as_str() {
                    self.clients.insert(name.to_owned(), client.clone());
                }
            }
        }
    }
}

/// Ends the daemon with the trial, however that ends.
pub(crate) struct Daemon<'a>(pub(crate) &'a Sandbox);

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let mut stop = self.0.command(mcp_program());
        let _ = self.0.run(stop.args(["daemon", "stop", "--all"]), MCP_LIMIT);
    }
}

/// The clients are held by their models until all of them are there; then each calls its tool.
pub(crate) fn at_the_same_time(clients: &[Installed], server: Server) -> Result<(), Stop> {
    let sandbox = Arc::new(clients::home()?);
    let source = server::ready(server, &sandbox)?.source;
    let daemon = Daemon(&sandbox);
    let mut members = Vec::new();
    for (number, installed) in clients.iter().enumerate() {
        let (script, result) = server::question(server, number);
        let tool = script.tool.clone();
        let model = FakeModel::start_held(script)?;
        let session = Session::begin_beside(&sandbox, installed.client, &installed.program, model)?;
        install_shared_with_mcp(&sandbox, installed.client.id(), NAME, &source)?;
        members.push(Member { installed, session, tool, result });
    }
    let steps = steps(&sandbox, &members, server);
    steps.map_err(|stop| match stop {
        Stop::Fail(message) => Stop::Fail(format!("{message}\n{}", daemon_logs(&sandbox))),
        skip @ Stop::Skip(_) => skip,
    })?;
    drop(daemon);
    Ok(())
}

fn steps(sandbox: &Sandbox, members: &[Member], server: Server) -> Result<(), Stop> {
    let mut seen = Seen::default();
    let (together, outcomes) = thread::scope(|scope| {
        let running: Vec<_> = members.iter().map(|member| scope.spawn(|| member.run())).collect();
        let together = all_connected(sandbox, members, &mut seen, |number| running[number].is_finished());
        // Also when something went wrong: each must come to its end.
        for member in members {
            member.session.model.release();
        }
        let watched = loop {
            if running.iter().all(thread::ScopedJoinHandle::is_finished) {
                break Ok(());
            }
            match status(sandbox) {
                Ok(status) => seen.look(&status),
                Err(message) => break Err(message),
            }
            thread::sleep(Duration::from_millis(50));
        };
        let outcomes = running.into_iter().map(|member| member.join().unwrap_or_else(|_| Err("it panicked".to_owned())));
        let outcomes: Vec<_> = outcomes.collect();
        (together.and_then(|together| watched.map(|()| together)), outcomes)
    });
    let outcomes = members
        .iter()
        .zip(outcomes)
        .map(|(member, outcome)| outcome.map(|outcome| (member, outcome)))
        .collect::<Result<Vec<_>, _>>()?;
    let status = together.map_err(|message| {
        let said = outcomes.iter().map(|(member, outcome)| format!("{}: {}", member.installed.client.id(), outcome.text()));
        format!("{message}\n{}", said.collect::<Vec<_>>().join("\n"))
    })?;
    for (member, outcome) in &outcomes {
        if member.is_prompted() && !member.session.model.received(&member.result) {
            let results: Vec<String> = member.session.model.turns().into_iter().flat_map(|turn| turn.results).collect();
            return Err(format!(
                "no result with `{}` reached the model of {}: {results:?}\nit said:\n{}",
                member.result,
                member.installed.client.id(),
                outcome.text()
            )
            .into());
        }
    }
    let first = &status["servers"][0];
    if seen.pids.len() != 1 {
        return Err(format!("the server was more than one process: {:#?}", seen.pids).into());
    }
    let calls = members.iter().filter(|member| member.is_prompted()).count() as u64;

    // They have gone, and the server is still the one it was: nobody's end was everybody's.
    let after = wait_for(sandbox, "nobody is there and nothing is kept", |status| {
        let server = &status["servers"][0];
        let tables = server["tables"].as_array().is_some_and(|tables| tables.iter().all(|table| table[1] == 0));
        tables && server["clients"].as_array().is_some_and(Vec::is_empty) && server["in_flight"] == 0
    })?;
    let last = &after["servers"][0];
    if last["pid"] != first["pid"] || last["restarts"] != 0 || last["calls"].as_u64() < Some(calls) {
        return Err(format!("it is not the same server as before, or calls are missing\n{first:#}\n{last:#}").into());
    }
    must_end(sandbox, &after, first)?;

    for (member, outcome) in outcomes {
        let client = seen.clients.get(member.installed.client.calls_itself()).unwrap_or(&Value::Null);
        SharedRow {
            server: server.title(),
            together: first["clients"].as_array().map_or(0, Vec::len),
            in_flight: seen.in_flight,
            client: member.installed.client.id(),
            calls_itself: format!("{} {}", plain(&client["client"]["name"]), plain(&client["client"]["version"])),
            speaks: format!(
                "{}{}",
                plain(&client["protocol_version"]),
                if client["is_bridged"] == true { ", bridged" } else { "" }
            ),
            seconds: outcome.took.as_secs_f64(),
        }
        .keep();
    }
    Ok(())
}

/// The status while every client that takes a prompt is held by its model, connected and known by name; one server with one
/// process has them all.
fn all_connected(sandbox: &Sandbox, members: &[Member], seen: &mut Seen, ended: impl Fn(usize) -> bool) -> Result<Value, String> {
    let begin = Instant::now();
    let prompted: Vec<(usize, &Member)> = members.iter().enumerate().filter(|(_, member)| member.is_prompted()).collect();
    while !prompted.iter().all(|(_, member)| member.session.model.is_holding()) {
        if let Some((_, member)) = prompted.iter().find(|(number, _)| ended(*number)) {
            let offered = member.session.model.offered();
            return Err(format!(
                "{} ended before it was asked for the tool; it offered {offered:?}",
                member.installed.client.id()
            ));
        }
        if begin.elapsed() > ALL_HERE {
            let missing = prompted.iter().filter(|(_, member)| !member.session.model.is_holding());
            let missing: Vec<_> =
                missing.map(|(_, member)| (member.installed.client.id(), member.session.model.offered())).collect();
            return Err(format!("not everybody came to offer the tool: {missing:?}"));
        }
        // Those without a prompt come and go meanwhile.
        seen.look(&status(sandbox)?);
        thread::sleep(Duration::from_millis(100));
    }
    let status = wait_for(sandbox, "every client is connected to one server", |status| {
        let servers = status["servers"].as_array().map_or(&[][..], Vec::as_slice);
        servers.len() == 1 && prompted.iter().all(|(_, member)| of_client(&servers[0], member.installed).is_some())
    })?;
    seen.look(&status);
    for (_, member) in prompted {
        let client = of_client(&status["servers"][0], member.installed).unwrap_or(&Value::Null);
        if plain(&client["client"]["version"]).is_empty() || client["pid"].as_u64().is_none() {
            return Err(format!("{} is not told by version and process: {client:#}", member.installed.client.id()));
        }
    }
    let processes = server_processes(sandbox, &status["servers"][0])?;
    if processes == 1 { Ok(status) } else { Err(format!("there are {processes} processes of the server\n{status:#}")) }
}

/// The client in the status of a server, by the name it gives itself.
fn of_client<'a>(server: &'a Value, installed: &Installed) -> Option<&'a Value> {
    let name = installed.client.calls_itself();
    server["clients"].as_array()?.iter().find(|client| client["client"]["name"] == name)
}

/// How many processes run the command of the server in this sandbox. Where that cannot be seen, the daemon is believed.
fn server_processes(sandbox: &Sandbox, server: &Value) -> Result<usize, String> {
    let Some(pid) = server["pid"].as_u64() else { return Err(format!("the server has no process\n{server:#}")) };
    if !cfg!(target_os = "linux") {
        return Ok(1);
    }
    let command: Vec<&str> = server["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let same: Vec<u32> =
        sandbox.processes().into_iter().filter(|(_, arguments)| *arguments == command).map(|(pid, _)| pid).collect();
    if same.iter().any(|found| u64::from(*found) == pid) {
        Ok(same.len())
    } else {
        Err(format!("the server is not one of the processes {same:?} that run {command:?}\n{server:#}"))
    }
}

/// `mcp daemon stop --all` leaves neither server nor daemon, and no shim outlived its client.
fn must_end(sandbox: &Sandbox, status: &Value, server: &Value) -> Result<(), Stop> {
    mcp(sandbox, &["daemon", "stop", "--all"])?;
    let begin = Instant::now();
    let pids = [&status["daemon"]["pid"], &server["pid"]];
    let pids: Vec<u32> = pids.into_iter().filter_map(Value::as_u64).filter_map(|pid| u32::try_from(pid).ok()).collect();
    let program = mcp_program().display().to_string();
    let command: Vec<&str> = server["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    loop {
        let living = pids.iter().copied().filter(|pid| mcp_os::proc::is_running(*pid) == Some(true)).collect::<Vec<_>>();
        let mut ours = sandbox.processes();
        ours.retain(|(_, arguments)| arguments.first() == Some(&program) || *arguments == command);
        if living.is_empty() && ours.is_empty() {
            return Ok(());
        }
        if begin.elapsed() > SOON {
            return Err(format!("after `mcp daemon stop --all` there are still {living:?} and {ours:?}").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What `mcp daemon status --json` says.
fn status(sandbox: &Sandbox) -> Result<Value, String> {
    let mut command = sandbox.command(mcp_program());
    let outcome = sandbox.run(command.args(["daemon", "status", "--json"]), MCP_LIMIT).map_err(|error| error.to_string())?;
    serde_json::from_str(&outcome.stdout).map_err(|error| format!("{error}: {}", outcome.text()))
}

/// The status once it is as wanted.
fn wait_for(sandbox: &Sandbox, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value, String> {
    let begin = Instant::now();
    loop {
        let status = status(sandbox)?;
        if is_so(&status) {
            return Ok(status);
        }
        if begin.elapsed() > SOON {
            return Err(format!("it never came to this: {what}\n{status:#}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every log of the daemon, for a trial that failed.
fn daemon_logs(sandbox: &Sandbox) -> String {
    let folder = sandbox.home().join(".local/state/mcp/daemon");
    let mut text = String::new();
    for folder in [folder.clone(), folder.join("logs")] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let _ = writeln!(text, "--- {}\n{log}", entry.path().display());
            }
        }
    }
    text
}
