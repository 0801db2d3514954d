//! Shell completion: the shell asks this program itself, so it knows today's servers and clients.

use std::ffi::OsStr;

use clap::CommandFactory as _;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::CompleteEnv;
use mcp_clients::clients::Clients;
use mcp_clients::survey;

use crate::args::Cli;
use crate::ctx::Ctx;
use crate::ui::Ui;

/// Answers and ends the program when the shell is what called it.
pub(crate) fn answer_shell() {
    if std::env::var_os("COMPLETE").is_some() {
        CompleteEnv::with_factory(Cli::command).complete();
    }
}

fn starting<S: AsRef<str>>(words: impl IntoIterator<Item = (S, String)>, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let fits = words.into_iter().filter(|(w, _)| w.as_ref().starts_with(&*current));
    fits.map(|(w, help)| CompletionCandidate::new(w.as_ref()).help(Some(help.into()))).collect()
}

/// Ids of clients.
pub(crate) fn clients(current: &OsStr) -> Vec<CompletionCandidate> {
    // A mistake in a descriptor of the user is no answer to the shell.
    let known = Ctx::new(Ui::new(true)).map_or_else(|_| Clients::built_in(), |ctx| known(&ctx));
    starting(known.all().iter().map(|c| (c.id.as_str(), c.name.clone())), current)
}

fn known(ctx: &Ctx) -> Clients {
    Clients::with_folder(&ctx.dirs.config.join("clients")).0
}

/// Names of servers in any client's file.
pub(crate) fn servers(current: &OsStr) -> Vec<CompletionCandidate> {
    servers_where(current, |_| true)
}

/// Names of shared servers.
pub(crate) fn shared_servers(current: &OsStr) -> Vec<CompletionCandidate> {
    servers_where(current, crate::cmd::share::is_shared)
}

/// Names of servers that are recorded by a wrapper.
pub(crate) fn tapped_servers(current: &OsStr) -> Vec<CompletionCandidate> {
    servers_where(current, crate::cmd::tap::attach::is_tapped)
}

fn servers_where(current: &OsStr, keep: impl Fn(&survey::Server) -> bool) -> Vec<CompletionCandidate> {
    let Ok(ctx) = Ctx::new(Ui::new(true)) else { return Vec::new() };
    let mut names: Vec<(String, String)> = Vec::new();
    for report in survey::survey(known(&ctx).all(), &ctx.platform, &ctx.project, |_| None) {
        for server in report.files.iter().flat_map(|f| &f.servers).filter(|s| keep(s)) {
            match names.iter_mut().find(|(n, _)| *n == server.name) {
                Some((_, who)) if !who.contains(&report.client.name) => *who = format!("{who}, {}", report.client.name),
                Some(_) => {}
                None => names.push((server.name.clone(), format!("in {}", report.client.name))),
            }
        }
    }
    starting(names, current)
}

/// Names of shared servers: those that run, those that stay, and those with a log.
pub(crate) fn running_servers(current: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(ctx) = Ctx::new(Ui::new(true)) else { return Vec::new() };
    let place = mcp_daemon::place::Place::new(&ctx.dirs.daemon);
    let report = mcp_daemon::client::status(&place).unwrap_or_default();
    let mut names: Vec<(String, String)> = report.servers.into_iter().map(|s| (s.name, s.command.join(" "))).collect();
    for record in mcp_daemon::store::Store::load(&place).0.servers.into_values().filter(|r| r.is_persistent) {
        if !names.iter().any(|(n, _)| *n == record.name) {
            names.push((record.name, "stays, is not running".to_owned()));
        }
    }
    starting(names, current)
}

/// What can be installed by a plain name.
pub(crate) fn sources(current: &OsStr) -> Vec<CompletionCandidate> {
    let bundled = mcp_servers::bundled().iter().map(|b| (b.name.to_owned(), format!("{} (bundled)", b.summary)));
    let catalog = mcp_clients::catalog::Catalog::embedded().all().iter().map(|s| (s.id.clone(), s.description.clone()));
    let kinds = [
        ("npm:", "a package of npm"),
        ("pypi:", "a package of PyPI"),
        ("docker:", "a container image"),
        ("https://", "a remote server"),
    ];
    starting(bundled.chain(catalog).chain(kinds.map(|(k, h)| (k.to_owned(), h.to_owned()))), current)
}

/// Names of bundled servers.
pub(crate) fn bundled(current: &OsStr) -> Vec<CompletionCandidate> {
    starting(mcp_servers::bundled().iter().map(|b| (b.name, b.summary.to_owned())), current)
}

/// Numbers of changes that can be undone.
pub(crate) fn changes(current: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(ctx) = Ctx::new(Ui::new(true)) else { return Vec::new() };
    let records = mcp_os::journal::Journal::open(&ctx.dirs.state).list().map(|(r, _)| r).unwrap_or_default();
    starting(records.iter().map(|r| (r.header.id.to_string(), r.header.command.clone())), current)
}
