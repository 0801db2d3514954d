//! `mcp util`: what the project's own build needs.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{CommandFactory as _, Subcommand};
use mcp_clients::clients::Clients;
use mcp_clients::descriptor::Evidence;

use crate::args::Cli;
use crate::cmd::{completions, man};
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::Ui;

/// Tools for the people who build mcp
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Util,
}

#[derive(Debug, Subcommand)]
enum Util {
    /// Write the generated files (man, completions, docs/reference) below a folder
    Gen {
        /// The folder
        dir: PathBuf,
    },
    /// Wait for the daemon to end, and then end the servers it left behind
    #[command(hide = true)]
    Guard,
}

pub(crate) fn run(_: Ui, args: &Args) -> Result<Exit, Failure> {
    let dir = match &args.command {
        Util::Gen { dir } => dir,
        Util::Guard => {
            mcp_os::guard::run(std::io::stdin());
            return Ok(Exit::Done);
        }
    };
    for (name, page) in man::pages() {
        man::write(&dir.join("man"), &name, &page)?;
    }
    for shell in completions::SHELLS {
        let name = match shell {
            "bash" => "mcp.bash",
            "zsh" => "_mcp",
            "fish" => "mcp.fish",
            "powershell" => "_mcp.ps1",
            _ => "mcp.elv",
        };
        man::write(&dir.join("completions"), name, &completions::script(shell).map_err(Failure::file)?)?;
    }
    let reference = dir.join("docs/reference");
    man::write(&reference, "commands.md", &commands())?;
    man::write(&reference, "clients.md", &clients())?;
    man::write(&reference, "servers.md", &servers())?;
    man::write(&reference, "inspect-keys.md", &mcp_tui::keymap::page())?;
    man::write(&reference, "lint.md", &crate::cmd::trace::check::page(MADE))?;
    Ok(Exit::Done)
}

const MADE: &str = "<!-- Made by `cargo xtask gen`: change its source, not this file. -->\n\n";

/// Every command's help.
fn commands() -> String {
    let mut root = Cli::command().max_term_width(100).term_width(100);
    root.build();
    let mut page = format!("{MADE}# Commands\n\n```\n{}\n```\n", root.render_long_help().to_string().trim_end());
    let names: Vec<String> = root.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_owned()).collect();
    for name in names {
        if let Some(command) = root.find_subcommand_mut(&name) {
            let help = command.render_long_help().to_string();
            let _ = write!(page, "\n## mcp {name}\n\n```\n{}\n```\n", help.trim_end());
        }
    }
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// Every client.
fn clients() -> String {
    let mut page = format!(
        "{MADE}# Clients\n\nA client of your own: put a descriptor into the folder `clients` beside `mcp config path`.\n\n"
    );
    page.push_str("| id | name | scopes | facts from | checked | after a change |\n| --- | --- | --- | --- | --- | --- |\n");
    let known = Clients::built_in();
    for client in known.all() {
        let mut scopes: Vec<&str> = client.files.iter().map(|f| f.scope.word()).collect();
        scopes.dedup();
        let evidence = match client.evidence {
            Evidence::Ran => "running it",
            Evidence::Source => "its source",
            Evidence::Documented => "its documentation",
            Evidence::Peers => "other tools",
            Evidence::Issues => "issue threads",
        };
        let scopes = if client.manual.is_empty() { scopes.join(", ") } else { "by hand only".to_owned() };
        let _ = writeln!(
            page,
            "| `{}` | [{}]({}) | {scopes} | {evidence} | {} | {} |",
            client.id, client.name, client.docs, client.verified, client.reload
        );
    }
    page.push_str("\n## Files\n\n| id | scope | Linux | macOS | Windows | format | key | moved by |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for client in known.all() {
        for file in &client.files {
            let paths = |p: &[String]| {
                if p.is_empty() { "–".to_owned() } else { p.iter().map(|p| format!("`{p}`")).collect::<Vec<_>>().join(" or ") }
            };
            let moved: Vec<String> = file.moved.iter().map(|m| format!("`{}`", m.env)).collect();
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} | {} | `{}` | {} |",
                client.id,
                file.scope,
                paths(&file.path.linux),
                paths(&file.path.macos),
                paths(&file.path.windows),
                file.format.word(),
                file.servers.join("` → `"),
                moved.join(", ")
            );
        }
    }
    page
}

/// Every server of the catalog.
fn servers() -> String {
    let mut page = format!(
        "{MADE}# Well-known servers\n\n`mcp install NAME` knows these. The first way that fits is taken; `--transport` chooses another.\n\n"
    );
    page.push_str("| name | what it does | from | ways | needs | checked |\n| --- | --- | --- | --- | --- | --- |\n");
    for server in mcp_clients::catalog::Catalog::embedded().all() {
        let ways: Vec<String> = server.launches().iter().map(|l| format!("`{}`", l.summary())).collect();
        let variables = server.variables.iter().filter(|v| v.required).map(|v| format!("`{}`", v.name));
        let needs: Vec<String> =
            variables.chain(server.arguments.iter().filter(|a| a.required).map(|a| format!("`<{}>`", a.name))).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | [{}]({}) | {} | {} | {} |",
            server.id,
            server.description,
            server.publisher,
            server.homepage,
            ways.join(", "),
            needs.join(", "),
            server.verified
        );
    }
    page
}
