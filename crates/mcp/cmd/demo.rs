//! `mcp demo`: the whole job in a throw-away home.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use mcp_clients::entry::Launch;
use mcp_clients::survey;
use mcp_os::dirs::Dirs;
use mcp_servers::probe::{self, Era, ServerCommand};
use serde_json::json;

use crate::args;
use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::{FAINT, GOOD, STRONG};

/// Show the whole job in a throw-away home, without touching anything of yours
///
/// Plants configurations of several clients (comments, tabs, CRLF, a link), installs the bundled calculator into all of
/// them, starts it as a client would, calls a tool, takes everything back and compares the bytes. What was said is recorded:
/// `mcp inspect` shows it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp demo\n  mcp demo --keep")]
pub(crate) struct Args {
    /// Keep the throw-away home and say where it is
    #[arg(long)]
    keep: bool,
}

/// What is planted: path below the home, bytes.
const PLANTED: [(&str, &str); 7] = [
    (
        ".claude.json",
        "{\n  \"numStartups\": 41,\n  \"bigNumber\": 12345678901234567890,\n  \"mcpServers\": {\n    \"time\": {\n      \"type\": \"stdio\",\n      \"command\": \"uvx\",\n      \"args\": [\"mcp-server-time\"],\n      \"env\": {}\n    }\n  }\n}",
    ),
    (
        ".codex/config.toml",
        "# my settings, with Windows line ends\r\nmodel   =   \"gpt-5\"      # odd spacing stays\r\n\r\n[mcp_servers.docs]\r\nurl = \"https://example.com/mcp\"\r\n",
    ),
    (
        ".config/goose/config.yaml",
        "# goose\nGOOSE_PROVIDER: openai   # the one we pay for\nextensions:\n    developer:\n        enabled: true\n        type: builtin\n        name: developer\n",
    ),
    (
        ".config/zed/settings.json",
        "// Zed settings\n{\n\t\"theme\": \"One Dark\", // dark\n\t/* servers */\n\t\"context_servers\": {\n\t\t\"git\": { \"command\": \"uvx\", \"args\": [\"mcp-server-git\"], },\n\t},\n}\n",
    ),
    (
        "dotfiles/cursor-mcp.json",
        "{ \"mcpServers\": { \"fetch\": { \"command\": \"uvx\", \"args\": [\"mcp-server-fetch\"] } } }\n",
    ),
    (
        ".config/opencode/opencode.jsonc",
        "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  // no servers yet\n  \"share\": \"manual\"\n}\n",
    ),
    (".gemini/settings.json", "{}\n"),
];

/// The folder the demo works in.
const PROJECT: &str = "work";

/// A link, as dotfile managers make them: where it is, and what it points to.
const LINK: (&str, &str) = (".cursor/mcp.json", "dotfiles/cursor-mcp.json");

pub(crate) fn run(outer: &Ctx, args: &Args) -> Result<Exit, Failure> {
    let started = Instant::now();
    let failed = |what: &str| {
        let what = what.to_owned();
        move |e: std::io::Error| Failure::file(anyhow::Error::new(e).context(what))
    };
    let folder = tempfile::Builder::new().prefix("mcp-demo-").tempdir().map_err(failed("make a throw-away home"))?;
    let home = folder.path().canonicalize().map_err(failed("find the throw-away home"))?;
    let linked = plant(&home).map_err(failed("plant the demo's files"))?;
    let before = snapshot(&home).map_err(failed("read the demo's files"))?;
    let ctx = inside(outer, &home);
    let ui = ctx.ui;

    ui.out(format_args!("{STRONG}A throw-away home with {} configuration files{STRONG:#} (yours are not touched)", before.len()));
    ui.out("");
    step(&ctx, "Which clients are there?", &["clients"])?;
    step(&ctx, "Install the bundled calculator into all of them", &["install", "calculator", "--all-clients", "--yes"])?;
    step(&ctx, "What is in there now?", &["list"])?;
    call(&ctx)?;
    step(&ctx, "Take it all back", &["undo", "--yes"])?;

    let after = snapshot(&home).map_err(failed("read the demo's files"))?;
    let link = if linked { " and the link is a link still" } else { "" };
    if after != before || (linked && !home.join(LINK.0).is_symlink()) {
        let paths: Vec<String> =
            before.iter().filter(|(p, b)| after.get(*p) != Some(b)).map(|(p, _)| p.display().to_string()).collect();
        return Err(Failure::missing(format_args!("the bytes are not the first bytes: {}", paths.join(", "))));
    }
    let bytes: usize = before.values().map(Vec::len).sum();
    ui.out(format_args!(
        "{GOOD}✓{GOOD:#} all {} files have their first bytes again ({bytes} bytes compared){link}",
        before.len()
    ));
    ui.out("");
    ui.out(format_args!(
        "{STRONG}Next, on this machine{STRONG:#} {FAINT}(the demo took {:.1} s){FAINT:#}",
        started.elapsed().as_secs_f32()
    ));
    ui.out("  mcp inspect                                       what was said to the calculator: it was recorded");
    ui.out("  mcp clients                                       which clients you have");
    ui.out("  mcp list                                          which servers are in them");
    ui.out("  mcp install calculator --all-clients --dry-run    what would change");
    if args.keep {
        ui.out(format_args!("\nThe throw-away home is kept: {}", folder.keep().display()));
    }
    Ok(Exit::Done)
}

/// Writes the files. Whether the link could be made: Windows asks for a privilege.
fn plant(home: &Path) -> std::io::Result<bool> {
    for (path, text) in PLANTED {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(home))?;
        std::fs::write(path, text)?;
    }
    std::fs::create_dir_all(home.join(PROJECT))?;
    let link = home.join(LINK.0);
    std::fs::create_dir_all(link.parent().unwrap_or(home))?;
    match mcp_os::file::link(&home.join(LINK.1), &link) {
        Ok(()) => Ok(true),
        Err(_) => std::fs::copy(home.join(LINK.1), &link).map(|_| false),
    }
}

/// Every planted file and its bytes.
fn snapshot(home: &Path) -> std::io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let paths = PLANTED.iter().map(|(path, _)| *path).chain([LINK.0]);
    paths.map(|path| Ok((PathBuf::from(path), std::fs::read(home.join(path))?))).collect()
}

/// The same program in the throw-away home: no variable of the user's moves a file, no program of theirs is found.
fn inside(outer: &Ctx, home: &Path) -> Ctx {
    let own = home.join(".local/state/mcp");
    let dirs = Dirs {
        home: home.to_path_buf(),
        config: own.join("config"),
        state: own.join("state"),
        captures: own.join("state/captures"),
        cache: own.join("cache"),
        data: own.join("data"),
        daemon: own.join("daemon"),
    };
    let mut ui = outer.ui;
    ui.can_ask = false;
    Ctx::at(dirs, BTreeMap::new(), &home.join(PROJECT), ui)
}

/// Runs a command line as if typed there.
fn step(ctx: &Ctx, title: &str, words: &[&str]) -> Result<(), Failure> {
    ctx.ui.out(format_args!("{STRONG}{title}{STRONG:#}"));
    ctx.ui.out(format_args!("{FAINT}$ mcp {}{FAINT:#}", words.join(" ")));
    let exit = args::run_in(ctx, words)?;
    if exit != Exit::Done {
        return Err(Failure::missing(format_args!("`mcp {}` ended with {exit:?}", words.join(" "))));
    }
    ctx.ui.out("");
    Ok(())
}

/// Starts the server from a client's entry and calls a tool, in both eras of the protocol.
fn call(ctx: &Ctx) -> Result<(), Failure> {
    ctx.ui.out(format_args!("{STRONG}Start it from Codex's entry and call a tool, as Codex would{STRONG:#}"));
    let codex = ctx.client("codex")?;
    let reports = survey::survey([codex], &ctx.platform, &ctx.project, |_| None);
    let servers = reports.iter().flat_map(|r| &r.files).flat_map(|f| &f.servers);
    let entry = servers.filter(|s| s.name == "calculator").find_map(|s| s.entry.as_ref().ok());
    let Some(Launch::Stdio(stdio)) = entry.map(|e| &e.launch) else {
        return Err(Failure::missing("Codex's file has no `calculator` that can be started"));
    };
    let words = |text: &mcp_clients::text::Text| text.as_literal().unwrap_or_default().to_owned();
    // Behind a tap, so that there is a recording to look at. It is kept with the user's own recordings, not in the demo's home.
    let tap = ["tap", "--name", "calculator", "--client", "demo", "--"].map(OsString::from);
    let server = std::iter::once(&stdio.command).chain(&stdio.args).map(|word| words(word).into());
    let program =
        std::env::current_exe().map_err(|e| Failure::file(anyhow::Error::new(e).context("find this program's own path")))?;
    let command = ServerCommand {
        program: program.into_os_string(),
        args: tap.into_iter().chain(server).collect(),
        env: Vec::new(),
        cwd: Some(ctx.project.cwd.clone()),
    };
    for (era, name) in [(Era::Legacy, "initialize"), (Era::Modern, "server/discover")] {
        let bar = ProgressBar::new_spinner().with_message(format!("starting the server ({name})"));
        bar.enable_steady_tick(Duration::from_millis(80));
        let called = probe::call_stdio(&command, era, "add", json!({ "a": "0.1", "b": "0.2" }), Duration::from_secs(10));
        bar.finish_and_clear();
        let called = called.map_err(Failure::no_answer)?;
        ctx.ui.out(format_args!(
            "{GOOD}✓{GOOD:#} {name} ({}): {} offers {}; add(0.1, 0.2) = {}  {FAINT}{:.0} ms to connect, {:.1} ms to answer{FAINT:#}",
            called.protocol_version,
            called.server_name,
            called.tools.join(" "),
            called.structured.as_ref().and_then(|s| s.get("result")).and_then(|r| r.as_str()).unwrap_or(&called.result_text),
            called.handshake.as_secs_f64() * 1000.0,
            called.call.as_secs_f64() * 1000.0,
        ));
    }
    ctx.ui.out("");
    Ok(())
}
