//! Real programs for tests, from npm and pip, at pinned versions, in a cache folder below `target/`.
//!
//! Installing belongs to `cargo xtask test`; a test only asks where a package is. A package that is not there is a reason to
//! skip, told in words, and never a reason to pass.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::sandbox::{self, Outcome};

/// The variable that names the cache folder.
pub const CACHE_VARIABLE: &str = "MCP_TEST_CACHE";

/// Holds what was installed, so that a second run has nothing to do and a new version in the list is noticed.
const MARKER: &str = ".installed";
/// Holds why the last attempt failed, for the tests that will be skipped.
const FAILURE: &str = ".failed";
/// The package that provides Node for the others.
const NODE: &str = "node";
/// npm spends much of its time waiting, but two at once already fill a small machine.
const AT_ONCE: usize = 2;
/// Half a gigabyte over a slow line.
const LIMIT: Duration = Duration::from_mins(10);

/// A list of packages, as in `packages.toml`.
#[derive(Debug, Default, Clone, Deserialize)]
pub struct Packages {
    /// What npm installs.
    #[serde(default)]
    pub npm: Vec<Npm>,
    /// What pip installs.
    #[serde(default)]
    pub py: Vec<Python>,
}

/// Packages that share one npm folder.
#[derive(Debug, Clone, Deserialize)]
pub struct Npm {
    /// The folder's name; for a client its id.
    pub name: String,
    /// What to install, with versions.
    pub packages: Vec<String>,
    /// Packages whose install script has to run.
    #[serde(default)]
    pub scripts: Vec<String>,
    /// What it is for.
    #[serde(default)]
    pub role: Role,
    /// Whether it is left out unless every client was asked for.
    #[serde(default)]
    pub all: bool,
}

/// What an npm package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Something tests need: a server, a runtime.
    #[default]
    Support,
    /// An AI client.
    Client,
    /// Something a bench compares with.
    Bench,
}

/// Packages that share one virtual environment.
#[derive(Debug, Clone, Deserialize)]
pub struct Python {
    /// The folder's name.
    pub name: String,
    /// What to install, with versions.
    pub packages: Vec<String>,
}

impl Packages {
    /// Reads a `packages.toml`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("understand {}", path.display()))
    }
}

/// What happened to one package folder.
#[derive(Debug)]
pub struct Report {
    /// The kind and name, such as `npm/codex`.
    pub name: String,
    /// How it ended.
    pub result: Installed,
    /// How long it took.
    pub took: Duration,
}

/// How an installation ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Installed {
    /// It was there already.
    Already,
    /// It is there now.
    Now,
    /// It could not be installed, and why.
    Not(String),
}

/// The cache folder: `MCP_TEST_CACHE`, else `target/test-cache` of this workspace.
pub fn cache() -> PathBuf {
    std::env::var_os(CACHE_VARIABLE)
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-cache"), PathBuf::from)
}

/// The folder of an installed npm package, or why there is none.
pub fn npm(name: &str) -> Result<PathBuf, String> {
    installed(&cache().join("npm").join(name))
}

/// The virtual environment of an installed Python package, or why there is none.
pub fn python(name: &str) -> Result<PathBuf, String> {
    installed(&cache().join("py").join(name))
}

/// The folder that holds `node` for the packages of the cache, if it was installed.
pub fn node_bin() -> Result<PathBuf, String> {
    npm(NODE).map(|dir| dir.join("node_modules").join(NODE).join("bin"))
}

/// The version of an installed npm package, from its own `package.json`.
pub fn npm_version(folder: &Path, package: &str) -> Option<String> {
    let text = fs::read_to_string(folder.join("node_modules").join(package).join("package.json")).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    value["version"].as_str().map(str::to_owned)
}

/// The name in an npm package specification such as `@scope/name@1.2.3`.
pub fn package_name(specification: &str) -> String {
    let specification = for_this_platform(specification);
    match specification.rfind('@') {
        Some(at) if at > 0 => specification[..at].to_owned(),
        _ => specification,
    }
}

/// Installs everything in the list into the cache, a few at a time, and tells `tell` about each as it ends.
///
/// Only what prevents all of them is an error; one package that fails is in the reports.
pub fn install(packages: &Packages, cache: &Path, tell: &(dyn Fn(&Report) + Sync)) -> Result<Vec<Report>> {
    fs::create_dir_all(cache).with_context(|| format!("create {}", cache.display()))?;
    // Two runs must not install into the same folder.
    let lock = File::create(cache.join(".lock")).context("create the lock of the cache")?;
    lock.lock().context("lock the cache")?;

    let reports = Mutex::new(Vec::new());
    let done = |report: Report| {
        tell(&report);
        reports.lock().expect("no thread panics while it holds the reports").push(report);
    };
    // The others' install scripts already want this Node.
    let (first, rest): (Vec<&Npm>, Vec<&Npm>) = packages.npm.iter().partition(|package| package.name == NODE);
    for package in first {
        done(install_npm(package, cache));
    }
    let jobs = rest.into_iter().map(Job::Npm).chain(packages.py.iter().map(Job::Python));
    let jobs = Mutex::new(jobs.collect::<Vec<_>>().into_iter());
    let next = || jobs.lock().expect("taking a job cannot panic").next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = next() {
                    done(match job {
                        Job::Npm(package) => install_npm(package, cache),
                        Job::Python(package) => install_python(package, cache),
                    });
                }
            });
        }
    });
    Ok(reports.into_inner().expect("no thread panics while it holds the reports"))
}

enum Job<'a> {
    Npm(&'a Npm),
    Python(&'a Python),
}

fn installed(folder: &Path) -> Result<PathBuf, String> {
    if folder.join(MARKER).is_file() {
        return Ok(folder.to_owned());
    }
    match fs::read_to_string(folder.join(FAILURE)) {
        Ok(reason) => Err(format!("could not be installed: {reason}")),
        Err(_) => Err("is not installed; `cargo xtask test` installs it".to_owned()),
    }
}

fn install_npm(package: &Npm, cache: &Path) -> Report {
    let wanted: Vec<String> = package.packages.iter().map(|name| for_this_platform(name)).collect();
    let folder = cache.join("npm").join(&package.name);
    attempt(format!("npm/{}", package.name), &folder, &wanted.join("\n"), || {
        let allowed: BTreeMap<&str, bool> = package.scripts.iter().map(|name| (name.as_str(), true)).collect();
        let manifest = serde_json::json!({"private": true, "allowScripts": allowed});
        fs::write(folder.join("package.json"), manifest.to_string()).context("write package.json")?;
        let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
        command
            .args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"])
            .args(&wanted)
            .current_dir(&folder)
            .env("PATH", path_with(&cache.join("npm").join(NODE).join("node_modules").join(NODE).join("bin")));
        must(&mut command, &folder)
    })
}

fn install_python(package: &Python, cache: &Path) -> Report {
    let folder = cache.join("py").join(&package.name);
    attempt(format!("py/{}", package.name), &folder, &package.packages.join("\n"), || {
        let system = if cfg!(windows) { "python" } else { "python3" };
        must(Command::new(system).args(["-m", "venv", "."]).current_dir(&folder), &folder)?;
        let own = if cfg!(windows) { folder.join("Scripts").join("python.exe") } else { folder.join("bin").join("python") };
        let mut command = Command::new(own);
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
        must(command.args(&package.packages).current_dir(&folder), &folder)
    })
}

/// Runs one installation in an emptied folder, unless the marker says that this very thing is there.
fn attempt(name: String, folder: &Path, wanted: &str, install: impl FnOnce() -> Result<()>) -> Report {
    let begin = std::time::Instant::now();
    if fs::read_to_string(folder.join(MARKER)).is_ok_and(|found| found == wanted) {
        return Report { name, result: Installed::Already, took: begin.elapsed() };
    }
    let result = (|| {
        if folder.exists() {
            fs::remove_dir_all(folder).context("empty the folder")?;
        }
        fs::create_dir_all(folder).context("create the folder")?;
        install()?;
        fs::write(folder.join(MARKER), wanted).context("write the marker")
    })();
    let result = match result {
        Ok(()) => Installed::Now,
        Err(error) => {
            let reason = format!("{error:#}");
            // If even this cannot be written, the report still carries the reason.
            let _ = fs::write(folder.join(FAILURE), &reason);
            Installed::Not(reason)
        }
    };
    Report { name, result, took: begin.elapsed() }
}

fn must(command: &mut Command, scratch: &Path) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let outcome = sandbox::run(command, LIMIT, scratch).with_context(|| format!("start `{name}`"))?;
    if outcome.succeeded() {
        return Ok(());
    }
    bail!("`{name}` {}", reason(&outcome))
}

/// Why a command failed, short enough for one line of a summary.
fn reason(outcome: &Outcome) -> String {
    if outcome.timed_out {
        return format!("was still running after {} s", LIMIT.as_secs());
    }
    let said = outcome.text();
    let mut reason = match outcome.code {
        Some(code) => format!("ended with {code}"),
        None => "was ended by a signal".to_owned(),
    };
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("npm warn"));
    for line in lines.take(3) {
        let _ = write!(reason, "; {line}");
    }
    reason
}

fn path_with(first: &Path) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(if cfg!(windows) { ";" } else { ":" });
        path.push(rest);
    }
    path
}

/// Fills in npm's word for this platform.
fn for_this_platform(specification: &str) -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    specification.replace("{platform}", &format!("{system}-{machine}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn package_name_keeps_the_scope() {
        assert_eq!(package_name("@openai/codex@0.169.0"), "@openai/codex");
        assert_eq!(package_name("node@22.23.3"), "node");
        assert_eq!(package_name("@scope/bare"), "@scope/bare");
        assert!(!package_name("@aaif/goose-binary-{platform}@1").contains('{'));
    }

    #[test]
    fn failed_installation_leaves_its_reason_and_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("thing");
        let report = attempt("npm/thing".into(), &folder, "thing@1", || bail!("no such version"));
        assert_eq!(report.result, Installed::Not("no such version".into()));
        assert_eq!(installed(&folder).unwrap_err(), "could not be installed: no such version");

        let report = attempt("npm/thing".into(), &folder, "thing@2", || Ok(()));
        assert_eq!(report.result, Installed::Now);
        assert_eq!(installed(&folder).unwrap(), folder);
        let report = attempt("npm/thing".into(), &folder, "thing@2", || bail!("must not run"));
        assert_eq!(report.result, Installed::Already);
        let report = attempt("npm/thing".into(), &folder, "thing@3", || bail!("gone"));
        assert_eq!(report.result, Installed::Not("gone".into()));
        assert!(installed(&folder).is_err(), "an old version must not pass for the new one");
    }
}
