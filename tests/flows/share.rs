//! What `mcp share` writes into a client's file, started as the client would.
#![cfg(unix)]

use std::process::Command;

use serde_json::{Value as Json, json};

use super::shared::{Client, Shared, calculator, servers};
use crate::home::Home;

/// A client's own start of the entry in its file: in its folder, with its variables.
fn start(shared: &Shared, folder: &str, variables: &[(&str, &str)]) -> Client {
    let file: Json = serde_json::from_str(&shared.home.read(".cursor/mcp.json")).unwrap();
    let entry = &file["mcpServers"]["my sums"];
    let mut command: Command = shared.home.command();
    let program = command.get_program().to_owned();
    assert_eq!(entry["command"].as_str().map(Into::into), Some(program));
    let text = |v: &Json| v.as_str().unwrap().to_owned();
    command.args(entry["args"].as_array().unwrap().iter().map(text));
    command.envs(entry["env"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))));
    command.envs(variables.iter().copied()).current_dir(shared.home.path(folder));
    Client::start(command)
}

#[test]
fn a_shared_entry_serves_several_clients_and_folders() {
    let [program, args @ ..] = calculator();
    let entry = json!({ "mcpServers": { "my sums": { "command": program, "args": args, "env": { "LEVEL": "9" } } } });
    let shared = Shared::with(Home::new().file(".cursor/mcp.json", entry.to_string()).file("one/x", "").file("two/x", ""));
    let every =
        "--ephemeral=5s --upstream-era auto --client-capabilities first --attribution baton --restart on-failure --env-key MINE";
    let words: Vec<&str> = ["share", "my sums"].into_iter().chain(every.split(' ')).collect();
    shared.home.mcp(&words).ok();

    let (mut first, mut second) = (start(&shared, "one", &[]), start(&shared, "one", &[]));
    first.open();
    second.open();
    assert_eq!((first.add(1, 2), second.add(3, 4)), ("3".to_owned(), "7".to_owned()));
    let status = shared.status();
    assert_eq!((servers(&status).len(), &servers(&status)[0]["name"]), (1, &json!("my-sums")), "{status:#}");

    // One entry of the user serves every folder, and clients hand on different variables.
    let (mut elsewhere, mut other) = (start(&shared, "two", &[]), start(&shared, "two", &[("GITHUB_TOKEN", "x")]));
    elsewhere.open();
    other.open();
    assert_eq!((elsewhere.add(5, 6), other.add(7, 8)), ("11".to_owned(), "15".to_owned()));
    let status = shared.status();
    let mut names: Vec<&str> = servers(&status).iter().map(|s| s["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["my-sums", "my-sums-2", "my-sums-3"]);

    shared.home.mcp(&["unshare", "my sums"]).ok();
    assert_eq!(shared.home.read(".cursor/mcp.json"), entry.to_string());
}
