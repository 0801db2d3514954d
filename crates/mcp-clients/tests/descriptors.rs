//! The descriptors themselves: complete, consistent, and right about paths on every system, whichever one this runs on.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use mcp_clients::clients::Clients;
use mcp_clients::descriptor::{Descriptor, File, Part, Shape, Switch, Syntax};
use mcp_clients::entry::{Entry, Launch, Remote, Stdio, Transport};
use mcp_clients::locate::candidates;
use mcp_clients::platform::{Os, Platform};
use mcp_clients::text::Text;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

mod harness;

fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The clients that have to be there.
const EXPECTED: [&str; 32] = [
    "amazon-q",
    "amp",
    "antigravity",
    "boltai",
    "claude-code",
    "claude-desktop",
    "cline",
    "cline-cli",
    "codex",
    "continue",
    "copilot-cli",
    "crush",
    "cursor",
    "droid",
    "gemini-cli",
    "goose",
    "jetbrains-ai",
    "jetbrains-air",
    "junie",
    "kilo",
    "kiro",
    "lm-studio",
    "opencode",
    "qwen-code",
    "roo-code",
    "trae",
    "vscode",
    "vscode-insiders",
    "vscode-server",
    "warp",
    "windsurf",
    "zed",
];

#[test]
fn every_descriptor_is_usable_and_named_after_its_file() {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(crate_dir().join("clients")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let descriptor = Descriptor::parse(&text, &path.display().to_string()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(Some(descriptor.id.as_str()), path.file_stem().unwrap().to_str());
        assert!(text.starts_with("# "), "{} says nothing about its sources", descriptor.id);
        ids.insert(descriptor.id);
    }
    for id in EXPECTED {
        assert!(ids.contains(id), "{id} is missing");
    }
    let known: Vec<String> = Clients::built_in().all().iter().map(|d| d.id.clone()).collect();
    assert_eq!(known, ids.into_iter().collect::<Vec<_>>(), "the list that is built in and the folder differ");
}

#[test]
fn every_descriptor_is_complete() {
    for client in Clients::built_in().all() {
        let id = &client.id;
        assert!(client.docs.starts_with("https://"), "{id}: docs");
        let date: Vec<&str> = client.verified.split('-').collect();
        assert!(date.len() == 3 && date.iter().all(|n| n.parse::<u16>().is_ok()), "{id}: verified is {}", client.verified);
        if !client.manual.is_empty() {
            assert!(client.manual.len() > 1, "{id}: one step is no way to do it");
            continue;
        }
        assert!(!client.reload.is_empty(), "{id}: what makes a change take effect?");
        let evidence = !client.detect.binaries.is_empty() || Os::ALL.iter().any(|os| !client.detect.paths.on(*os).is_empty());
        assert!(evidence, "{id}: no sign of being installed");
        for file in &client.files {
            assert!(client.precedence.contains(&file.scope), "{id}: how strong is {}?", file.scope);
            assert!(!file.servers.is_empty(), "{id}: no keys lead to its servers");
        }
        let sentences = client.files.iter().filter_map(|f| f.gate.as_ref()).chain([&client.reload]).chain(&client.manual);
        for sentence in sentences {
            assert!(!sentence.ends_with('.') && !sentence.contains('\n'), "{id}: {sentence:?} goes into a longer sentence");
        }
        assert_eq!(client.entry.variables.within.is_empty(), client.entry.variables.syntax == Syntax::None, "{id}: variables");
    }
}

#[test]
fn nobody_claims_a_key_twice() {
    for client in Clients::built_in().all() {
        let shape = &client.entry;
        let mut keys = shape.launch_keys();
        keys.extend(shape.known.iter().chain(&shape.remote_only).chain(&shape.stdio_only).map(String::as_str));
        keys.extend(shape.allow_tools.iter().chain(&shape.deny_tools).chain(&shape.approve_tools).map(String::as_str));
        if let Some(Switch::Disabled(key) | Switch::Enabled(key)) = &shape.switch {
            keys.push(key);
        }
        let once: BTreeSet<&str> = keys.iter().copied().collect();
        keys.sort_unstable();
        assert_eq!(keys, once.into_iter().collect::<Vec<_>>(), "{}", client.id);
    }
}

/// What a client needs at least; `http`, `sse` and the switch are there as a case or as its refusal.
const CASES: [&str; 10] =
    ["absent", "empty", "populated", "crlf", "crlf-uninstall", "update", "uninstall", "http", "sse", "disable"];

#[test]
fn every_client_has_its_fixtures() {
    for client in Clients::built_in().all() {
        let folder = crate_dir().join("fixtures").join(&client.id);
        if !client.manual.is_empty() {
            assert!(!folder.exists(), "{} has nothing to edit", client.id);
            continue;
        }
        for case in CASES {
            assert!(folder.join(case).join("case.toml").is_file(), "{} has no case {case}", client.id);
        }
    }
    for entry in fs::read_dir(crate_dir().join("fixtures")).unwrap() {
        let path = entry.unwrap().path();
        let id = path.file_name().unwrap().to_str().unwrap();
        assert!(path.is_file() || Clients::built_in().get(id).is_some(), "fixtures of an unknown client {id}");
    }
}

const SYSTEMS: [(Os, &str); 3] = [(Os::Linux, "linux"), (Os::MacOs, "macos"), (Os::Windows, "windows")];

/// A made-up machine of each kind.
fn machine(os: Os, vars: &[(&str, &str)]) -> Platform {
    let (home, standard): (&str, &[(&str, &str)]) = match os {
        Os::Linux => ("/home/me", &[]),
        Os::MacOs => ("/Users/me", &[]),
        Os::Windows => (
            "C:\\Users\\me",
            &[("APPDATA", "C:\\Users\\me\\AppData\\Roaming"), ("LOCALAPPDATA", "C:\\Users\\me\\AppData\\Local")],
        ),
    };
    let vars = standard.iter().chain(vars).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Platform { os, home: home.to_owned(), vars }
}

fn paths(file: &File, platform: &Platform) -> String {
    let paths = candidates(file, platform);
    if paths.is_empty() { "none".to_owned() } else { paths.join("\n              ") }
}

/// Every path of every client, as people can check it against documentation.
fn table() -> String {
    let mut out = String::from(
        "Where each client's files are, best first. A line that starts with a variable says where they are when it is set.\n\
         Made by tests/descriptors.rs; UPDATE_FIXTURES=1 writes it anew.\n",
    );
    for client in Clients::built_in().all() {
        writeln!(out, "\n{}", client.id).unwrap();
        for managed in &client.managed {
            writeln!(out, "  managed").unwrap();
            for (os, word) in SYSTEMS {
                let paths: Vec<String> = managed.path.on(os).iter().map(|t| machine(os, &[]).expand(t, None)).collect();
                writeln!(out, "    {word:<8}  {}", paths.join("\n              ")).unwrap();
            }
        }
        for file in &client.files {
            writeln!(out, "  {} ({}, {})", file.scope, file.format.word(), file.servers.join(" → ")).unwrap();
            for (os, word) in SYSTEMS {
                let plain = paths(file, &machine(os, &[]));
                writeln!(out, "    {word:<8}  {plain}").unwrap();
                let root = if os == Os::Windows { "D:\\moved" } else { "/moved" };
                let variables = file.moved.iter().map(|m| m.env.as_str()).chain(["XDG_CONFIG_HOME"]);
                for variable in variables {
                    let moved = paths(file, &machine(os, &[(variable, root)]));
                    if moved != plain {
                        writeln!(out, "      {variable}={root}\n              {moved}").unwrap();
                    }
                }
            }
        }
    }
    out
}

#[test]
fn every_path_on_every_system_is_as_written_down() {
    let file = crate_dir().join("tests/paths.txt");
    let table = table();
    if env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&file, &table).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap().replace("\r\n", "\n");
    for (i, (have, want)) in table.lines().zip(written.lines()).enumerate() {
        assert_eq!(have, want, "line {} of tests/paths.txt", i + 1);
    }
    assert_eq!(table.len(), written.len());
}

#[test]
fn a_moved_file_wins_over_the_place_it_moved_from() {
    let clients = Clients::built_in();
    let file = |id: &str| clients.get(id).unwrap().files[0].clone();
    let both = machine(Os::Linux, &[("CLINE_DIR", "/a"), ("CLINE_DATA_DIR", "/b")]);
    assert_eq!(candidates(&file("cline-cli"), &both), ["/b/settings/cline_mcp_settings.json"]);
    let empty = machine(Os::Linux, &[("CODEX_HOME", "")]);
    assert_eq!(candidates(&file("codex"), &empty), ["/home/me/.codex/config.toml"]);
    let other = machine(Os::Linux, &[("XDG_CONFIG_HOME", "/x")]);
    assert_eq!(candidates(&file("copilot-cli"), &other), ["/home/me/.copilot/mcp-config.json"]);
    let mac = machine(Os::MacOs, &[("XDG_CONFIG_HOME", "/x")]);
    assert_eq!(candidates(&file("zed"), &mac), ["/Users/me/.config/zed/settings.json"]);
}

/// Characters that mean themselves in every client, then perhaps a variable, then more.
fn text() -> impl Strategy<Value = Text> {
    let literal = "[a-zA-Z0-9 /:._=@#%\"'é-]{0,8}[a-z0-9]";
    let variable = "[A-Z][A-Z_]{0,6}";
    prop_oneof![
        6 => literal.prop_map(Text::literal),
        1 => variable.prop_map(Text::variable),
        1 => (literal, variable).prop_map(|(l, v)| Text::parse(&format!("{l}${{{v}}}"), Syntax::DollarBrace)),
        1 => variable.prop_map(|v| Text::parse(&format!("Bearer ${{{v}}}"), Syntax::DollarBrace)),
    ]
}

fn pairs(keys: &'static str) -> impl Strategy<Value = Vec<(String, Text)>> {
    proptest::collection::btree_map(keys, text(), 0..3).prop_map(|m| m.into_iter().collect())
}

fn entry() -> impl Strategy<Value = Entry> {
    let command = prop_oneof![Just("npx".to_owned()), Just("cmd".to_owned()), "[a-z/][a-z0-9/. -]{0,8}[a-z]"];
    let stdio = (command, proptest::collection::vec(text(), 0..4), pairs("[A-Z][A-Z0-9_]{0,8}"), proptest::option::of(text()));
    let stdio = stdio.prop_map(|(command, args, env, cwd)| {
        Launch::Stdio(Stdio { command: Text::literal(command), args, env, cwd, env_file: None })
    });
    let remote = ("https://[a-z]{1,8}\\.example/[a-z]{0,5}", pairs("[A-Z][a-zA-Z-]{1,12}"), any::<bool>(), any::<bool>());
    let remote = remote.prop_map(|(url, mut headers, bearer, sse)| {
        if bearer && !headers.iter().any(|(k, _)| k.eq_ignore_ascii_case("authorization")) {
            headers.push(("Authorization".to_owned(), Text::parse("Bearer ${TOKEN}", Syntax::DollarBrace)));
        }
        let transport = if sse { Transport::Sse } else { Transport::Http };
        Launch::Remote(Remote { transport, url: Text::literal(url), headers })
    });
    let wait = || proptest::option::of((1u64..100_000).prop_map(Duration::from_millis));
    (prop_oneof![stdio, remote], wait(), wait(), any::<bool>()).prop_map(|(launch, timeout, startup_timeout, enabled)| Entry {
        timeout,
        startup_timeout,
        enabled,
        ..Entry::new(launch)
    })
}

/// Whether this client finds out by itself which HTTP transport a server speaks: its entries look the same.
fn detects(shape: &Shape) -> bool {
    let bare = |transport| {
        let remote = Remote { transport, url: Text::literal("https://a.example"), headers: Vec::new() };
        shape.write(&Entry::new(Launch::Remote(remote)), "a", "it", Os::Linux).ok().map(|w| w.value)
    };
    bare(Transport::Sse).is_some() && bare(Transport::Sse) == bare(Transport::Http)
}

/// What comes back for an entry that could be written: the whole of it when nobody said otherwise.
fn round_trip(client: &Descriptor, entry: &Entry, os: Os) -> Result<bool, String> {
    let shape = &client.entry;
    let Ok(written) = shape.write(entry, "a", &client.name, os) else { return Ok(false) };
    let named_by = client.files.iter().find_map(|f| f.named_by.as_deref());
    let read = shape.read(&written.value, named_by).map_err(|e| format!("{e}: {:?}", written.value))?;
    if !read.extra.is_empty() {
        return Err(format!("{:?} are strangers to the client's own descriptor", read.extra));
    }
    if !written.notes.is_empty() {
        return Ok(false);
    }
    let mut wanted = entry.meaning();
    if let (Launch::Remote(remote), true) = (&mut wanted, detects(shape)) {
        remote.transport = Transport::Http;
    }
    let said = (wanted, entry.timeout, entry.startup_timeout, entry.enabled);
    let heard = (read.meaning(), read.timeout, read.startup_timeout, read.enabled);
    if said == heard { Ok(true) } else { Err(format!("{said:?}\nbecame {heard:?}\nby way of {:?}", written.value)) }
}

#[test]
fn what_is_written_is_read_back_with_the_same_meaning() {
    for client in Clients::built_in().all().iter().filter(|c| c.manual.is_empty()) {
        let mut whole: BTreeMap<&str, u32> = BTreeMap::new();
        let seen = std::cell::RefCell::new(&mut whole);
        let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
        let os = prop_oneof![Just(Os::Linux), Just(Os::MacOs), Just(Os::Windows)];
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::default()));
        runner
            .run(&(entry(), os), |(entry, os)| {
                match round_trip(client, &entry, os) {
                    Ok(true) => *seen.borrow_mut().entry(entry.transport_word()).or_default() += 1,
                    Ok(false) => {}
                    Err(message) => return Err(TestCaseError::fail(message)),
                }
                Ok(())
            })
            .unwrap_or_else(|e| panic!("{}: {e}", client.id));
        let shape = &client.entry;
        for (word, has) in [("stdio", shape.stdio.is_some()), ("http", shape.http.is_some()), ("sse", shape.sse.is_some())] {
            assert_eq!(whole.contains_key(word), has, "{}: {word} came back whole {:?} times", client.id, whole.get(word));
        }
    }
}

#[test]
fn variables_are_replaced_only_where_the_client_does_so() {
    for client in Clients::built_in().all() {
        let variables = &client.entry.variables;
        let Some(stdio) = &client.entry.stdio else { continue };
        let entry = Entry::new(Launch::Stdio(Stdio {
            command: Text::literal("a"),
            args: vec![Text::variable("SOME_NAME")],
            ..Stdio::default()
        }));
        let written = client.entry.write(&entry, "a", &client.name, Os::Linux);
        assert_eq!(written.is_ok(), variables.within.contains(&Part::Args), "{}: {stdio:?}", client.id);
    }
}

#[test]
fn the_clients_own_entries_are_told_apart() {
    let clients = Clients::built_in();
    for (id, text, own) in [
        ("goose", "{type: builtin, name: developer, enabled: true}", true),
        ("goose", "{type: stdio, cmd: a, args: [], enabled: true}", false),
        ("zed", "{source: extension, enabled: true}", true),
        ("zed", "{source: custom, command: a}", false),
        ("claude-code", "{type: builtin}", false),
    ] {
        let document = mcp_edit::Document::parse(text, mcp_edit::Format::Yaml).unwrap();
        let value = document.get(&mcp_edit::Path::default()).unwrap().unwrap().value;
        assert_eq!(clients.get(id).unwrap().entry.is_own(&value), own, "{id}: {text}");
    }
}

const MADE_UP: &str = r#"
id = "pear"
name = "Pear"
docs = "https://pear.example/docs"
verified = "2026-11-20"
evidence = "documented"
precedence = ["user"]
reload = "restart Pear"

[[file]]
scope = "user"
format = "toml"
path = "{xdg}/pear/pear.toml"
servers = ["tools", "mcp"]

[entry]
type = "kind"
switch = { disabled = "off" }
timeout = { key = "patience", unit = "s" }

[entry.stdio]
words = ["program"]
command = "run"
command_is_list = true
env = "vars"

[entry.http]
words = ["web"]
url = "at"
"#;

#[test]
fn a_client_can_be_added_from_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("clients/pear.toml", MADE_UP);
    let before = "# ripe\ncolour = \"green\"\n\n[tools.mcp.old]\nkind = \"web\"\nat = \"https://old.example\" # still\n";
    put("fixtures/pear/install/before.toml", before);
    put(
        "fixtures/pear/install/case.toml",
        "scope = \"user\"\nop = \"install\"\nname = \"calc\"\n\n[entry]\ncommand = \"mcp\"\nargs = [\"serve\"]\ntimeout = \"30s\"\n",
    );
    let added = "\n[tools.mcp.calc]\nkind = \"program\"\nrun = [\"mcp\", \"serve\"]\npatience = 30\n";
    put("fixtures/pear/install/after.toml", &format!("{before}{added}"));
    put("fixtures/pear/sse/before.toml", before);
    put(
        "fixtures/pear/sse/case.toml",
        "scope = \"user\"\nop = \"install\"\nname = \"calc\"\nrefused = \"it speaks stdio and http\"\n\n[entry]\n\
         url = \"https://a.example\"\ntransport = \"sse\"\n",
    );
    put("fixtures/pear/disable/before.toml", before);
    put("fixtures/pear/disable/case.toml", "scope = \"user\"\nop = \"disable\"\nname = \"old\"\n");
    put("fixtures/pear/disable/after.toml", &format!("{before}off = true\n"));
    put("fixtures/pear/wrong/before.toml", before);
    put("fixtures/pear/wrong/after.toml", before);
    put("fixtures/pear/wrong/case.toml", "scope = \"user\"\nop = \"uninstall\"\nname = \"old\"\n");

    let (clients, errors) = Clients::with_folder(&dir.path().join("clients"));
    assert!(errors.is_empty(), "{errors:?}");
    let pear = clients.get("pear").unwrap();
    assert_eq!(candidates(&pear.files[0], &machine(Os::Linux, &[])), ["/home/me/.config/pear/pear.toml"]);
    let run = |case: &str| harness::run(pear, Path::new(&dir.path().join("fixtures/pear").join(case)));
    for case in ["install", "sse", "disable"] {
        run(case).unwrap_or_else(|e| panic!("{case}: {e}"));
    }
    // The harness does notice.
    if env::var_os("UPDATE_FIXTURES").is_none() {
        assert!(run("wrong").is_err());
    }
}
