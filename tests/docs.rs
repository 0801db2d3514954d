//! What the documentation says is so: links lead somewhere, commands exist, the example descriptor works, every member of a
//! JSON answer is described.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_testkit::sandbox::{Outcome, Sandbox};
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(1);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: impl AsRef<Path>) -> String {
    let path = root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn mcp(sandbox: &Sandbox, words: &[&str]) -> Outcome {
    mcp_with(sandbox, words, &[])
}

fn mcp_with(sandbox: &Sandbox, words: &[&str], variables: &[(&str, &Path)]) -> Outcome {
    let mut command = sandbox.command(env!("CARGO_BIN_EXE_mcp"));
    // Windows would name the folders of the real user.
    command.args(words).env("MCP_HOME", sandbox.home().join("of-mcp")).envs(variables.iter().copied());
    sandbox.run(&mut command, LIMIT).unwrap()
}

/// What `mcp` prints, when it ends well.
fn answer(sandbox: &Sandbox, words: &[&str]) -> String {
    let outcome = mcp(sandbox, words);
    assert!(outcome.succeeded(), "mcp {}: {}", words.join(" "), outcome.text());
    outcome.stdout
}

/// Every page: those in the root and those below `docs`.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().to_owned(), root().join("docs")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && dir != root() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// A page without what stands between fences, where brackets are code.
fn prose(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The anchors of a page, made of its headings as code hosts make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| -> String {
        let kept = heading.trim().to_lowercase();
        kept.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_').collect::<String>().replace(' ', "-")
    };
    prose(text).lines().filter(|l| l.starts_with('#')).map(|l| anchor(l.trim_start_matches('#'))).collect()
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The words between backticks.
fn code(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let (mut broken, mut followed) = (Vec::new(), 0);
    for page in pages() {
        for link in links(&fs::read_to_string(&page).unwrap()) {
            if link.contains("://") {
                continue;
            }
            followed += 1;
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let leads = target.exists()
                && (heading.is_empty() || anchors(&fs::read_to_string(&target).unwrap_or_default()).contains(heading));
            if !leads {
                broken.push(format!("{}: {link}", page.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
    assert!(followed > 40, "only {followed} links were found");
}

#[test]
fn the_readme_names_every_command_and_no_other() {
    let sandbox = Sandbox::new().unwrap();
    let help = answer(&sandbox, &["--help"]);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let real: BTreeSet<&str> =
        commands.lines().take_while(|l| !l.is_empty()).filter_map(|l| l.strip_prefix("  ")?.split_whitespace().next()).collect();
    let readme = read("README.md");
    let (_, table) = readme.split_once("| Command | Does |").unwrap();
    let rows = table.lines().skip(2).take_while(|l| l.starts_with('|'));
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        let first = row.split(" | ").next().unwrap();
        named.extend(code(first).into_iter().filter_map(|c| c.strip_prefix("mcp ")?.split(' ').next()));
    }
    assert_eq!(named, real);
    // Whatever else calls itself a command in a page.
    for page in pages() {
        let text = prose(&fs::read_to_string(&page).unwrap());
        let verbs = code(&text).into_iter().filter_map(|c| c.strip_prefix("mcp ")?.split(' ').next().map(str::to_owned));
        for verb in verbs.filter(|v| v.chars().all(|c| c.is_ascii_lowercase())) {
            assert!(mcp(&sandbox, &[&verb, "--help"]).succeeded(), "{}: `mcp {verb}`", page.display());
        }
    }
}

#[test]
fn the_first_screen_is_short_and_holds_the_two_commands() {
    let readme = read("README.md");
    let first = readme.split("\n## ").next().unwrap();
    assert!(first.lines().count() <= 40, "{} lines", first.lines().count());
    let block = first.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let commands: Vec<&str> = block.lines().map(|l| l.split(" #").next().unwrap().trim()).collect();
    assert_eq!(commands, ["cargo run --release -- demo", "cargo xtask test"]);
}

#[test]
fn the_example_of_a_clients_own_descriptor_works() {
    let page = read("docs/clients-own.md");
    let descriptor = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let sandbox = Sandbox::new().unwrap();
    let paths: Value = serde_json::from_str(&answer(&sandbox, &["config", "path", "--json"])).unwrap();
    let folder = PathBuf::from(paths["clients"].as_str().unwrap());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("quill.toml"), descriptor).unwrap();

    let place = sandbox.home().join("quill");
    fs::create_dir_all(&place).unwrap();
    let file = place.join("settings.json");
    let before = "{\n  \"theme\": \"paper\", // not ink\n}\n";
    fs::write(&file, before).unwrap();
    let here = |words: &[&str]| {
        // The variable of the example, so that one path serves on every system.
        let outcome = mcp_with(&sandbox, words, &[("QUILL_HOME", &place)]);
        assert!(outcome.succeeded(), "mcp {}: {}", words.join(" "), outcome.text());
        outcome
    };
    here(&["install", "--name", "build", "--client", "quill", "--timeout", "30s", "--yes", "--", "run-it", "--fast"]);
    let added = "  \"tools\": {\n    \"mcpServers\": {\n      \"build\": {\n        \"type\": \"stdio\",\n        \"command\": \"run-it\",\n        \
                 \"args\": [\"--fast\"],\n        \"timeout\": 30000\n      }\n    }\n  },\n}\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), before.replace("}\n", added));
    here(&["disable", "build", "--yes"]);
    assert!(fs::read_to_string(&file).unwrap().contains("\"disabled\": true"));
    here(&["undo", "--yes"]);
    here(&["undo", "--yes"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
}

/// Every key of a document, apart from those inside `except`, whose content is somebody else's.
fn keys(value: &Value, except: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                found.insert(key.clone());
                if key != except {
                    keys(value, except, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, except, found)),
        _ => {}
    }
}

/// Keys that a page does not have in backticks, alone or in a list such as `{message, causes}`.
fn undescribed(found: &BTreeSet<String>, page: &str) -> Vec<String> {
    let words: BTreeSet<&str> =
        code(page).into_iter().flat_map(|c| c.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))).collect();
    found.iter().filter(|key| !words.contains(key.as_str())).cloned().collect()
}

#[test]
fn every_member_of_a_json_answer_is_described() {
    let page = read("docs/json.md");
    let sandbox = Sandbox::new().unwrap();
    sandbox.write(".codex/config.toml", "[mcp_servers.a]\ncommand = \"x\"\n\n[mcp_servers.b]\ncommand = 1\n").unwrap();
    sandbox.write(".cursor/mcp.json", "{ \"mcpServers\": ").unwrap();
    sandbox.write(".claude.json", "{ \"mcpServers\": { \"kept\": { \"command\": \"x\" } } }").unwrap();
    answer(&sandbox, &["disable", "kept", "--client", "claude-code", "--yes"]);
    let asked: [(&str, &[&str]); 8] = [
        ("mcp.clients/1", &["clients", "--all", "--json"]),
        ("mcp.list/1", &["list", "--json"]),
        ("mcp.changes/1", &["install", "npm:x", "--client", "codex,cursor", "--dry-run", "--json"]),
        ("mcp.undo-list/1", &["undo", "--list", "--json"]),
        ("mcp.config/1", &["config", "get", "--json"]),
        ("mcp.config-path/1", &["config", "path", "--json"]),
        ("mcp.daemon.status/1", &["daemon", "status", "--json"]),
        ("mcp.version/1", &["version", "--json"]),
    ];
    let served = one_served(&sandbox);
    for (schema, words) in asked {
        let answer: Value = serde_json::from_str(&mcp(&sandbox, words).stdout).unwrap();
        assert_eq!(answer["schema"], schema, "{words:?}");
        let section = page.split("\n## ").find(|s| s.lines().next().unwrap().contains(&format!("`{schema}`")));
        let section = section.unwrap_or_else(|| panic!("docs/json.md has no section for `{schema}`"));
        let mut found = BTreeSet::new();
        keys(&answer, "entry", &mut found);
        found.remove("schema");
        assert_eq!(undescribed(&found, section), Vec::<String>::new(), "{schema}");
    }
    drop(served);
}

/// A shared server with a client, so that its status has something to tell. Both end with this, and the daemon with the sandbox.
struct Served(std::process::Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn one_served(sandbox: &Sandbox) -> Served {
    let program = env!("CARGO_BIN_EXE_mcp");
    let mut command = sandbox.command(program);
    command
        .args(["run-once", "--ephemeral=0s", "--", program, "serve", "calculator"])
        .env("MCP_HOME", sandbox.home().join("of-mcp"));
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let open = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}"#;
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), format!("{open}\n").as_bytes()).unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    assert!(line.contains("\"result\""), "{line}");
    Served(child)
}

#[test]
fn every_member_of_a_journal_record_is_described() {
    let sandbox = Sandbox::new().unwrap();
    sandbox.write(".claude.json", "{ \"mcpServers\": {} }").unwrap();
    answer(&sandbox, &["install", "npm:x", "--client", "claude-code", "--yes"]);
    answer(&sandbox, &["undo", "--yes"]);
    let paths: Value = serde_json::from_str(&answer(&sandbox, &["config", "path", "--json"])).unwrap();
    let record = fs::read_to_string(Path::new(paths["journal"].as_str().unwrap()).join("000001.jsonl")).unwrap();
    let mut found = BTreeSet::new();
    for line in record.lines() {
        keys(&serde_json::from_str(line).unwrap(), "", &mut found);
    }
    assert!(found.contains("splices") && found.contains("undone_by"), "{record}");
    assert_eq!(undescribed(&found, &read("docs/journal.md")), Vec::<String>::new());
}

#[test]
fn every_exit_code_is_described() {
    let page = read("docs/exit-codes.md");
    let source = read("crates/mcp/exit.rs");
    let codes: Vec<&str> = source.lines().filter_map(|l| l.strip_suffix(',')?.split_once(" = ").map(|(_, n)| n)).collect();
    assert!(codes.len() >= 7, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("\n| {code} |")), "{code}");
    }
}

/// The pictures of the inspector are what its own tests saw, without the empty lines.
#[test]
fn the_screens_in_the_documentation_are_real() {
    let seen = read("crates/mcp-tui/src/app/snapshots/mcp_tui__app__tests__app_result_120x36.snap");
    for page in ["README.md", "docs/inspect.md"] {
        let text = read(page);
        let screen = text.split("```text\n").find(|block| block.starts_with(" mcp inspect")).unwrap_or_else(|| panic!("{page} has no screen"));
        let lines: Vec<&str> = screen.lines().take_while(|line| *line != "```").collect();
        assert!(lines.len() > 8, "{page}: {lines:?}");
        for line in lines {
            assert!(seen.lines().any(|known| known == line), "{page} shows what the inspector does not: {line}");
        }
    }
}
