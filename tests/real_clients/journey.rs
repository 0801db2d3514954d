//! One client from its first settings to the end of our entry.

use std::time::Instant;

use mcp_testkit::clients::{Session, Standing};

use crate::{
    Installed, NAME, Stop, install_with_mcp,
    server::{self, Server},
    table::Row,
    uninstall_with_mcp,
};

/// Installs, lets the client list and call, uninstalls, and looks again.
pub(crate) fn install_to_uninstall(installed: &Installed, server: Server) -> Result<(), Stop> {
    let begin = Instant::now();
    let mut row = Row::new(installed, server);
    let result = steps(installed, server, &mut row);
    row.took = begin.elapsed();
    if !matches!(result, Err(Stop::Skip(_))) {
        row.keep();
    }
    result
}

fn steps(installed: &Installed, server: Server, row: &mut Row) -> Result<(), Stop> {
    let client = installed.client;
    let session = Session::begin(client, &installed.program, server.script())?;
    let ready = server::ready(server, &session.sandbox)?;

    // Before the client has run, bytes can be compared exactly: it may edit the file itself later.
    let own = bytes(&session)?;
    install_with_mcp(&session.sandbox, client.id(), NAME, &ready.source)?;
    must_be_one_insertion(&own, &bytes(&session)?)?;
    uninstall_with_mcp(&session.sandbox, client.id(), NAME)?;
    if bytes(&session)? != own {
        return Err(format!("uninstall did not give back the first bytes:\n{}", text(&bytes(&session)?)).into());
    }
    install_with_mcp(&session.sandbox, client.id(), NAME, &ready.source)?;

    row.list = if client.view(&session, NAME).is_some() { "FAILED" } else { "–" };
    match standing(&session, installed, NAME)? {
        None => {}
        Some(Standing::Listed) => row.list = "ok",
        Some(Standing::Connected) => (row.list, row.connect) = ("ok", "ok"),
        Some(other) => {
            row.connect = "FAILED";
            return Err(format!("{} says of our entry: {other:?}\nin {}", client.id(), text(&bytes(&session)?)).into());
        }
    }

    if client.prompt(NAME, "").is_some() {
        row.call = "FAILED";
        call(&session, installed, server)?;
        row.call = "ok";
    }

    row.gone = "FAILED";
    let with_entry = bytes(&session)?;
    uninstall_with_mcp(&session.sandbox, client.id(), NAME)?;
    must_be_one_insertion(&bytes(&session)?, &with_entry)?;
    match standing(&session, installed, NAME)? {
        None => {
            must_not_be_offered(&session, installed)?;
            row.gone = "ok";
        }
        Some(Standing::Absent) => row.gone = "ok",
        Some(other) => return Err(format!("{} still has our entry after uninstall: {other:?}", client.id()).into()),
    }
    Ok(())
}

/// An entry the client made itself goes on working beside ours, and the client can remove ours.
pub(crate) fn beside_its_own(installed: &Installed) -> Result<(), Stop> {
    let client = installed.client;
    let session = Session::begin(client, &installed.program, Server::Calculator.script())?;
    let theirs = server::everything("stdio")?;
    run_own(&session, client.add("theirs", &theirs).expect("only clients with an `add` come here"))?;

    let own = bytes(&session)?;
    install_with_mcp(&session.sandbox, client.id(), NAME, &["calculator".to_owned()])?;
    must_be_one_insertion(&own, &bytes(&session)?)?;
    for name in ["theirs", NAME] {
        match standing(&session, installed, name)? {
            None | Some(Standing::Listed | Standing::Connected) => {}
            Some(other) => {
                return Err(format!("{} says of `{name}`: {other:?}\nin {}", client.id(), text(&bytes(&session)?)).into());
            }
        }
    }
    if client.prompt(NAME, "").is_some() {
        call(&session, installed, Server::Calculator)?;
        // The model is offered the tools of both.
        if !session.model.offered().iter().any(|tool| tool.ends_with("echo")) {
            return Err(format!("the tools of `theirs` were not offered: {:?}", session.model.offered()).into());
        }
    }

    let Some(remove) = client.remove(NAME) else { return Ok(()) };
    run_own(&session, remove)?;
    if text(&bytes(&session)?).contains("calculator") {
        return Err(format!("{} did not remove our entry:\n{}", client.id(), text(&bytes(&session)?)).into());
    }
    for (name, wanted) in [(NAME, false), ("theirs", true)] {
        match standing(&session, installed, name)? {
            Some(Standing::Absent) if wanted => return Err(format!("`{name}` went as well").into()),
            Some(standing) if !wanted && standing != Standing::Absent => {
                return Err(format!("`{name}` is still there: {standing:?}").into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Prompts the client, whose model then asks for the tool.
fn call(session: &Session, installed: &Installed, server: Server) -> Result<(), Stop> {
    let script = server.script();
    let arguments = installed.client.prompt(NAME, &script.tool).expect("only clients that take a prompt come here");
    let outcome = session.run(arguments)?;
    if session.model.received(server.result()) {
        return Ok(());
    }
    let results: Vec<String> = session.model.turns().into_iter().flat_map(|turn| turn.results).collect();
    Err(format!(
        "no result with `{}` reached the model\ntools offered: {:?}\nresults: {results:?}\nthe client ended with {:?} after {:.1} s and said:\n{}",
        server.result(),
        session.model.offered(),
        outcome.code,
        outcome.took.as_secs_f64(),
        tail(&outcome.text()),
    )
    .into())
}

/// For a client without a list: a new conversation, in which the model would ask for our tool if it saw it.
fn must_not_be_offered(session: &Session, installed: &Installed) -> Result<(), Stop> {
    let before = session.model.turns().len();
    let Some(arguments) = installed.client.prompt(NAME, "") else { return Ok(()) };
    let outcome = session.run(arguments)?;
    let turns = session.model.turns().split_off(before);
    if turns.is_empty() {
        return Err(format!("the client did not reach the model after uninstall:\n{}", tail(&outcome.text())).into());
    }
    match turns.into_iter().find_map(|turn| turn.asked) {
        None => Ok(()),
        Some(tool) => Err(format!("`{tool}` is still offered after uninstall").into()),
    }
}

/// What the client's own list says; that it has nothing to complain about is part of it.
fn standing(session: &Session, installed: &Installed, name: &str) -> Result<Option<Standing>, Stop> {
    let Some(view) = installed.client.view(session, name) else { return Ok(None) };
    let view = view?;
    if !view.complaints.is_empty() {
        let file = text(&bytes(session)?);
        return Err(
            format!("{} complains: {:#?}\nabout {file}\nin {}", installed.client.id(), view.complaints, view.output).into()
        );
    }
    if matches!(view.standing, Standing::Broken(_)) {
        return Err(format!("`{name}` does not work: {:?}\n{}", view.standing, tail(&view.output)).into());
    }
    Ok(Some(view.standing))
}

fn run_own(session: &Session, arguments: Vec<String>) -> Result<(), Stop> {
    let shown = arguments.join(" ");
    let outcome = session.run(arguments)?;
    if outcome.succeeded() { Ok(()) } else { Err(format!("the client's own `{shown}` failed:\n{}", outcome.text()).into()) }
}

/// The file of the client that is edited. That it is gone is as wrong as that it is empty.
pub(crate) fn bytes(session: &Session) -> Result<Vec<u8>, Stop> {
    let client = session.client();
    session.sandbox.read(client.config())?.ok_or_else(|| Stop::Fail(format!("{} is gone", client.config())))
}

/// Everything in `small` is in `large`, in one piece before and one piece after something new. A comma may come on top: where
/// a comment follows what was the last member, the comma goes before the comment and the new member after it.
fn must_be_one_insertion(small: &[u8], large: &[u8]) -> Result<(), Stop> {
    let before = common_start(small, large);
    let without_comma = [&large[..before], large.get(before + 1..).unwrap_or_default()].concat();
    if is_one_insertion(small, large) || (large.get(before) == Some(&b',') && is_one_insertion(small, &without_comma)) {
        return Ok(());
    }
    Err(format!("more than our entry differs between\n{}\nand\n{}", text(small), text(large)).into())
}

fn is_one_insertion(small: &[u8], large: &[u8]) -> bool {
    let after = small.iter().rev().zip(large.iter().rev()).take_while(|(a, b)| a == b).count();
    large.len() > small.len() && common_start(small, large) + after >= small.len()
}

fn common_start(small: &[u8], large: &[u8]) -> usize {
    small.iter().zip(large).take_while(|(a, b)| a == b).count()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
