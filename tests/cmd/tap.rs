//! `mcp tap attach` and `mcp tap detach` as people meet them.

use crate::home::Home;

#[test]
fn a_recorded_server_is_listed_as_what_it_is_and_given_back() {
    let home = Home::new();
    for client in ["codex", "gemini-cli"] {
        home.mcp(&["install", "--client", client, "--name", "ev", "--yes", "--", "node", "server.js"]).ok();
    }
    let first = home.read(".codex/config.toml");
    let run = home.run("tap attach ev --client codex --yes").ok();
    run.says(&["`ev` attached", "`mcp inspect` shows what is said and `mcp trace ls` lists it"]);

    let list = home.run("list ev --json").ok().json("mcp.list/1");
    for server in list["servers"].as_array().unwrap() {
        let is_recorded = server["client"] == "codex";
        let told = (&server["server"], &server["recorded"], &server["differs"]);
        assert_eq!(told, (&"node server.js".into(), &is_recorded.into(), &false.into()), "{server}");
    }
    home.run("list").ok().says(&["recorded"]);

    home.run("tap detach --all --yes").ok().hides("mcp trace ls");
    assert_eq!(home.read(".codex/config.toml"), first);
    home.run("list").ok().hides("recorded");
}
