//! What `mcp` writes, the real client reads: AI clients from npm, offline and logged out, list our entry without a warning,
//! start the server it names, and carry a tool call of a scripted model there and back. What `mcp tap` records of that can take the
//! server's place.
//!
//! `cargo xtask test` installs the clients; one that is not installed is reported as ignored with the reason.
//!
//! Variables: `MCP_TEST_ALL_CLIENTS` adds the clients CI leaves out; `MCP_RESULTS` names a file for a table of what was seen;
//! `MCP_UNDER_TEST` names another `mcp` than the one built with the tests, such as an installed one.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "real_clients/journey.rs"]
mod journey;
#[path = "real_clients/race.rs"]
mod race;
#[path = "real_clients/recorded.rs"]
mod recorded;
#[path = "real_clients/server.rs"]
mod server;
#[path = "real_clients/shared.rs"]
mod shared;
#[path = "real_clients/table.rs"]
mod table;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use mcp_testkit::{
    clients::{self, RealClient},
    install::{self, Packages, Role},
    sandbox::{Outcome, Sandbox},
};

use self::server::Server;

/// The name every server under test is installed by.
const NAME: &str = "ev";

/// `mcp` itself is done in milliseconds; this is for a busy machine and for waiting on a client's lock.
const MCP_LIMIT: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let listed = Packages::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_clients/packages.toml")).unwrap();
    let everyone = std::env::var_os("MCP_TEST_ALL_CLIENTS").is_some();

    let mut trials = Vec::new();
    let mut together = Vec::new();
    for package in listed.npm.iter().filter(|package| package.role == Role::Client && (everyone || !package.all)) {
        let Some(client) = clients::all().into_iter().find(|client| client.id() == package.name) else {
            let message = format!("tests/real_clients/packages.toml lists `{}`, which has no harness", package.name);
            trials.push(Trial::test(package.name.clone(), || Err(message.into())));
            continue;
        };
        let installed = Installed::find(client, &install::package_name(&package.packages[0]));
        together.push((client.id(), installed.clone()));
        for server in Server::ALL {
            let installed = installed.clone();
            let name = format!("{}::{}", client.id(), server.title().replace(' ', "_"));
            trials.push(skippable(name, move || journey::install_to_uninstall(&installed?, server)));
        }
        for server in [Server::Calculator, Server::EverythingStdio] {
            if takes_prompt(client.id()) {
                let installed = installed.clone();
                let name = format!("{}::recorded::{}", client.id(), server.title().replace(' ', "_"));
                trials.push(skippable(name, move || recorded::and_replayed(&installed?, server)));
            }
        }
        if client.add(NAME, &[]).is_some() {
            let (name, installed) = (format!("{}::neighbours", client.id()), installed.clone());
            trials.push(skippable(name, move || journey::beside_its_own(&installed?)));
        }
        if client.id() == "claude-code" {
            let of_claude = installed.clone();
            trials.push(skippable("race::with_claude".to_owned(), move || race::many_installs_and_its_own_adds(&of_claude?)));
        }
    }
    trials.push(Trial::test("race::waits_for_the_lock_of_claude", race::waits_for_the_lock));
    // The first four are those of every run; with all clients the others follow in groups.
    for group in together.chunks(4) {
        for server in [Server::Calculator, Server::EverythingStdio] {
            let clients: Result<Vec<Installed>, Skip> = group.iter().map(|(_, installed)| installed.clone()).collect();
            let names: Vec<&str> = group.iter().map(|(id, _)| *id).collect();
            let name = format!("shared::{}::{}", server.title().replace(' ', "_"), names.join(","));
            trials.push(skippable(name, move || shared::at_the_same_time(&clients?, server)));
            let prompted = || group.iter().filter(|(id, _)| takes_prompt(id));
            let clients: Result<Vec<Installed>, Skip> = prompted().map(|(_, installed)| installed.clone()).collect();
            let names: Vec<&str> = prompted().map(|(id, _)| *id).collect();
            let name = format!("recorded::exchanged::{}::{}", server.title().replace(' ', "_"), names.join(","));
            trials.push(skippable(name, move || recorded::exchanged(&clients?, server)));
        }
    }

    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(path) = std::env::var_os("MCP_RESULTS") {
        table::write(Path::new(&path)).unwrap();
    }
    conclusion.exit_code()
}

/// Whether a client can be made to call a tool without a terminal and a login.
fn takes_prompt(id: &str) -> bool {
    clients::all().into_iter().any(|client| client.id() == id && client.prompt(NAME, "").is_some())
}

/// A client that is here to be run.
#[derive(Clone)]
pub(crate) struct Installed {
    client: &'static dyn RealClient,
    program: PathBuf,
    version: String,
}

impl Installed {
    fn find(client: &'static dyn RealClient, package: &str) -> Result<Self, Skip> {
        if cfg!(windows) {
            return Err(Skip("real clients are run on Linux and macOS only".to_owned()));
        }
        let folder = found(client.id())?;
        let version = install::npm_version(&folder, package).unwrap_or_else(|| "unknown".to_owned());
        Ok(Self { client, program: folder.join("node_modules/.bin").join(client.program()), version })
    }
}

/// Why a trial cannot take place. It is reported, and does not count as passed.
#[derive(Clone)]
pub(crate) struct Skip(String);

/// What ends a trial early.
pub(crate) enum Stop {
    Skip(Skip),
    Fail(String),
}

impl From<Skip> for Stop {
    fn from(skip: Skip) -> Self {
        Self::Skip(skip)
    }
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Fail(message)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Fail(error.to_string())
    }
}

fn skippable(name: String, run: impl FnOnce() -> Result<(), Stop> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, || match run() {
        Ok(()) => Ok(Completion::Completed),
        Err(Stop::Skip(Skip(reason))) => Ok(Completion::ignored_with(reason)),
        Err(Stop::Fail(message)) => Err(Failed::from(message)),
    })
}

/// The folder of a package in the cache, by its real path: clients print and compare paths.
pub(crate) fn found(package: &str) -> Result<PathBuf, Skip> {
    let folder = install::npm(package).map_err(|reason| Skip(format!("{package} {reason}")))?;
    folder.canonicalize().map_err(|error| Skip(format!("{package}: {error}")))
}

/// Has `mcp` write an entry for one client, as a user would.
pub(crate) fn install_with_mcp(sandbox: &Sandbox, client: &str, name: &str, source: &[String]) -> Result<Outcome, Stop> {
    let mut arguments = vec!["install"];
    // A command goes last, after `--`.
    let (before, after) = source.split_at(source.iter().position(|word| word == "--").unwrap_or(source.len()));
    arguments.extend(before.iter().map(String::as_str));
    arguments.extend(["--client", client, "--name", name, "--yes"]);
    arguments.extend(after.iter().map(String::as_str));
    mcp(sandbox, &arguments)
}

/// Has `mcp` write an entry that joins a shared server.
pub(crate) fn install_shared_with_mcp(sandbox: &Sandbox, client: &str, name: &str, source: &[String]) -> Result<Outcome, Stop> {
    let mut source = source.to_vec();
    source.insert(source.iter().position(|word| word == "--").unwrap_or(source.len()), "--shared".to_owned());
    install_with_mcp(sandbox, client, name, &source)
}

/// Has `mcp` take an entry out again.
pub(crate) fn uninstall_with_mcp(sandbox: &Sandbox, client: &str, name: &str) -> Result<Outcome, Stop> {
    mcp(sandbox, &["uninstall", name, "--client", client, "--yes"])
}

pub(crate) fn mcp(sandbox: &Sandbox, arguments: &[&str]) -> Result<Outcome, Stop> {
    let outcome = sandbox.run(sandbox.command(mcp_program()).args(arguments), MCP_LIMIT)?;
    if outcome.succeeded() {
        return Ok(outcome);
    }
    Err(format!("`mcp {}` ended with {:?}:\n{}", arguments.join(" "), outcome.code, outcome.text()).into())
}

pub(crate) fn mcp_program() -> PathBuf {
    std::env::var_os("MCP_UNDER_TEST").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_mcp")), PathBuf::from)
}
