//! A client of the user's own: a descriptor dropped into the settings folder, its managed file and its mistakes.

use crate::home::Home;

const DESCRIPTOR: &str = r#"
id = "mine"
name = "My Client"
docs = "https://example.org"
verified = "2026-11-20"
evidence = "ran"
reload = "wink at it"

[detect]
paths = "~/.mine"

[[file]]
scope = "user"
format = "json"
path = "~/.mine/servers.json"
servers = ["servers"]

[[managed]]
effect = "decides everything"
path = "~/managed.json"

[entry]
[entry.stdio]
"#;

fn home() -> Home {
    let home = Home::new();
    let paths = home.run("config path --json").ok().json("mcp.config-path/1");
    let folder = std::path::PathBuf::from(paths["clients"].as_str().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("mine.toml"), DESCRIPTOR).unwrap();
    home
}

#[test]
fn it_is_like_any_other() {
    let home = home().file(".mine/servers.json", "{\"servers\":{}}\n");
    home.run("clients").ok().says(&["mine", "My Client", "wink at it"]);
    home.run("install calculator --client mine").ok().says(&["wink at it"]);
    home.run("list").ok().says(&["mine", "calculator"]);
    home.run("install calculator --all-clients --dry-run").ok().says(&["My Client"]);
    home.run("uninstall calculator").ok();
    assert_eq!(home.read(".mine/servers.json"), "{\"servers\":{}}\n");
    // It has no way to reach an address, and says so before anything is written.
    home.run("install https://h.example/mcp --client mine").ends(3).says(&["My Client has no way to reach a server over http"]);
}

#[test]
fn a_managed_client_is_left_alone() {
    let home = home().file(".mine/servers.json", "{\"servers\":{\"a\":{\"command\":\"x\"}}}").file("managed.json", "{}");
    let before = home.tree();
    for line in ["install calculator", "uninstall a", "disable a", "enable a"] {
        home.run(&format!("{line} --client mine")).ends(3).says(&["managed.json", "decides everything"]);
    }
    home.run("install calculator --client mine").ends(3).says(&["to paste by hand"]);
    home.run("clients").ok().says(&["managed", "decides everything"]);
    home.run("list").ok().says(&["overruled"]);
    assert_eq!(home.tree(), before);
}

#[test]
fn a_descriptor_with_a_mistake_is_named_and_the_others_work() {
    let home = home();
    let folder = home.run("config path --json").ok().json("mcp.config-path/1")["clients"].as_str().unwrap().to_owned();
    std::fs::write(std::path::Path::new(&folder).join("bad.toml"), "id = \"bad\"\nnames = 3\n").unwrap();
    home.run("install calculator --client mine").ok().says(&["warning:", "bad.toml"]);
}

#[test]
fn it_completes() {
    let home = home();
    let mut command = home.command();
    command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "3").env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_SPACE", "false");
    home.finish(command.args(["--", "mcp", "list", "--client", "mi"])).ok().says(&["mine"]);
}
