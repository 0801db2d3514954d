//! Install, install again, uninstall: for every client, whatever its file is at first.

use std::path::PathBuf;

use mcp_clients::clients::Clients;
use mcp_clients::descriptor::{Descriptor, Scope};

use crate::home::Home;

/// The client's file for new entries of its user, in this home.
fn file(home: &Home, client: &Descriptor) -> Option<PathBuf> {
    let answer = home.run(&format!("clients --client {} --json", client.id)).ok().json("mcp.clients/1");
    let files = answer["clients"][0]["files"].as_array().unwrap().clone();
    let target = files.iter().find(|f| f["scope"] == "user" && f["new_entries_go_here"] == true)?;
    Some(target["path"].as_str().unwrap().into())
}

/// A file as its users have it, from the client's fixtures.
fn realistic(client: &Descriptor) -> Option<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crates/mcp-clients/fixtures").join(&client.id).join("populated");
    let entries = folder.read_dir().ok()?.map(|e| e.unwrap().path());
    let before = entries.into_iter().find(|p| p.file_name().unwrap().to_string_lossy().starts_with("before"))?;
    Some(std::fs::read(before).unwrap())
}

/// All but Copilot's lock, which Copilot leaves as well: whoever deletes it breaks the lock of who has it open. So its folder
/// stays too.
fn kept(home: &Home) -> std::collections::BTreeMap<PathBuf, (Option<u32>, Vec<u8>)> {
    let mut contents = home.contents();
    contents.retain(|path, _| !path.ends_with(".mcp-writer.lock") && path != std::path::Path::new(".copilot"));
    contents
}

#[test]
fn install_and_uninstall_give_back_the_first_bytes_for_every_client() {
    let (mut seen, mut cases) = (0, 0);
    for client in Clients::built_in().all() {
        if !client.files.iter().any(|f| f.scope == Scope::User) {
            continue;
        }
        seen += 1;
        let starts = [None, Some(Vec::new()), realistic(client), realistic(client).map(|t| [&b"\xef\xbb\xbf"[..], &t].concat())];
        assert!(starts[2].is_some(), "{} has no fixture `populated`", client.id);
        for start in starts {
            let home = Home::new();
            let Some(path) = file(&home, client) else { continue };
            let name = path.strip_prefix(home.path("")).unwrap().to_str().unwrap().to_owned();
            if let Some(text) = &start {
                home.write(&name, text);
            }
            let shown = start.as_ref().map(|t| String::from_utf8_lossy(t).into_owned());
            let before = kept(&home);
            let line = format!("install calculator --client {}", client.id);
            let run = home.run(&line);
            assert_eq!(run.code, Some(0), "{shown:?}\n{}", run.shown());
            assert!(home.read(&name).contains("calculator"));
            let installed = home.tree();
            home.run(&line).ok().says(&["as wanted already"]);
            home.run(&format!("{line} --force")).ok();
            assert_eq!(home.tree(), installed, "{}: the second time wrote something", client.id);
            let list = home.run(&format!("list calculator --client {} --json", client.id)).ok().json("mcp.list/1");
            assert_eq!(list["servers"].as_array().unwrap().len(), 1, "{}", client.id);
            home.run(&format!("uninstall calculator --client {}", client.id)).ok();
            assert_eq!(kept(&home), before, "{} from {shown:?}", client.id);
            // And the other way back.
            home.run(&line).ok();
            home.run("undo").ok();
            assert_eq!(kept(&home), before, "{} from {shown:?}, by undo", client.id);
            cases += 1;
        }
    }
    assert!(seen >= 27 && cases >= 75, "{cases} cases of {seen} clients");
}

#[test]
fn all_clients_at_once_are_one_change() {
    let home = Home::new();
    let before = kept(&home);
    let ids: Vec<String> = Clients::built_in().all().iter().filter(|c| file(&home, c).is_some()).map(|c| c.id.clone()).collect();
    let line = format!("install npm:x --client {}", ids.join(","));
    let run = home.run(&line);
    assert!(run.code == Some(0), "{}", run.shown());
    home.run(&line).ok().hides("added");
    home.run("undo").ok();
    assert_eq!(kept(&home), before);
}

#[test]
fn whoever_goes_last_takes_what_we_made_along() {
    for (client, file, text) in [
        ("codex", ".codex/config.toml", "# mine\nmodel = \"m\"\n"),
        ("cursor", ".cursor/mcp.json", "{\n  \"a\": 1\n}\n"),
        ("opencode", ".config/opencode/opencode.json", "{\"$schema\": \"x\"}"),
    ] {
        let home = Home::new().file(file, text);
        for name in ["one", "two", "three"] {
            home.run(&format!("install npm:{name} --name {name} --client {client}")).ok();
        }
        for name in ["two", "one", "three"] {
            home.run(&format!("uninstall {name} --client {client}")).ok();
        }
        assert_eq!(home.read(file), text, "{client}");
        // What was empty before us stays.
        let empty = "{\"mcpServers\": {}}";
        let home = Home::new().file(".cursor/mcp.json", empty);
        home.run("install npm:a --name a --client cursor").ok();
        home.run("install npm:b --name b --client cursor").ok();
        home.run("uninstall a").ok();
        home.run("uninstall b").ok();
        let servers: serde_json::Value = serde_json::from_str(&home.read(".cursor/mcp.json")).unwrap();
        assert_eq!(servers, serde_json::json!({"mcpServers": {}}));
    }
}

#[test]
fn every_scope_of_claude_code() {
    let text = "{\r\n\t\"projects\": {},\r\n\t\"n\": 1e400\r\n}";
    let home = Home::new().file(".claude.json", text);
    let before = home.contents();
    for scope in ["user", "project", "local"] {
        home.run(&format!("install calculator --client claude-code --scope {scope}")).ok();
    }
    let list = home.run("list calculator --json").ok().json("mcp.list/1");
    assert_eq!(list["servers"].as_array().unwrap().len(), 3);
    let local = list["servers"].as_array().unwrap().iter().find(|s| s["scope"] == "local").unwrap();
    assert_eq!(local["effective"], true);
    for scope in ["local", "user", "project"] {
        home.run(&format!("rm calculator --scope {scope}")).ok();
    }
    assert_eq!(home.contents(), before);
}
