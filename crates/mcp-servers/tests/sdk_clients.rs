//! The official SDKs' clients against the calculator: TypeScript and Python, both of their lines, both eras.
//!
//! The scripts and the packages they need are in `tests/servers` at the root of the repository. Packages are looked for
//! in the folder that `MCP_TEST_CACHE` names; a client that is not installed there is reported as ignored.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

const CACHE: &str = "MCP_TEST_CACHE";
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Npm,
    Py,
}

#[derive(Clone, Copy)]
struct Sdk {
    language: Language,
    /// Its name in `packages.toml`, and so of its folder.
    packages: &'static str,
    script: &'static str,
}

const SDKS: [Sdk; 4] = [
    Sdk { language: Language::Npm, packages: "mcp-sdk-ts1", script: "ts1.mjs" },
    Sdk { language: Language::Npm, packages: "mcp-sdk-ts2", script: "ts2.mjs" },
    Sdk { language: Language::Py, packages: "mcp-sdk-py1", script: "py1.py" },
    Sdk { language: Language::Py, packages: "mcp-sdk-py2", script: "py2.py" },
];

fn main() -> ExitCode {
    let cache = env::var_os(CACHE).map(PathBuf::from);
    let mut trials: Vec<Trial> = SDKS.iter().map(|&sdk| trial(sdk, cache.clone())).collect();
    trials.push(Trial::test("every_listed_package_has_its_script", every_listed_package_has_its_script));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(sdk: Sdk, cache: Option<PathBuf>) -> Trial {
    let command = cache.and_then(|cache| installed(sdk, &cache));
    let absent = command.is_none();
    let trial = Trial::test(sdk.packages, move || match command {
        Some(command) => run(command),
        None => {
            Err(format!("not installed: {CACHE} has to name a folder with the packages of tests/servers/packages.toml").into())
        }
    });
    if absent { trial.with_kind("not installed").with_ignored_flag(true) } else { trial }
}

/// The command that runs the script, if what it needs is there.
fn installed(sdk: Sdk, cache: &Path) -> Option<Command> {
    let script = scripts().join(sdk.script);
    match sdk.language {
        Language::Npm => {
            let folder = cache.join("npm").join(sdk.packages);
            let node_works =
                || Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
            (folder.join("node_modules").is_dir() && node_works()).then(|| {
                let mut command = Command::new("node");
                command.arg(script).arg(folder);
                command
            })
        }
        Language::Py => {
            let folder = cache.join("py").join(sdk.packages);
            let python = ["bin/python", "Scripts/python.exe"]
                .map(|python| folder.join(python))
                .into_iter()
                .find(|python| python.exists())?;
            let mut command = Command::new(python);
            command.arg("-B").arg(script);
            Some(command)
        }
    }
}

fn run(mut command: Command) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let kept = ["PATH", "SystemRoot", "TMPDIR", "TEMP"].into_iter().filter_map(|name| Some((name, env::var_os(name)?)));
    let mut process = command
        .arg(env!("CARGO_BIN_EXE_mcp-calculator"))
        .env_clear()
        .envs(kept)
        .env("HOME", home.path())
        .env("USERPROFILE", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = process.stderr.take().expect("piped above");
    let complaints = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            process.kill()?;
            process.wait()?;
            return Err("the client does not come to an end".into());
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    process.stdout.take().expect("piped above").read_to_string(&mut said)?;
    let complaints = complaints.join().unwrap_or_default();
    if !status.success() || !said.starts_with("ok ") || said.lines().count() != 1 {
        return Err(format!("{status}\n{said}{complaints}").into());
    }
    Ok(())
}

/// A package nobody runs would be installed for nothing, and a script without packages would never run.
fn every_listed_package_has_its_script() -> Result<(), Failed> {
    let listed: toml::Table = std::fs::read_to_string(scripts().join("packages.toml"))?.parse()?;
    for (key, language) in [("npm", Language::Npm), ("py", Language::Py)] {
        let names: Vec<&str> = listed[key].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
        let run: Vec<&str> = SDKS.iter().filter(|sdk| sdk.language == language).map(|sdk| sdk.packages).collect();
        if names != run {
            return Err(format!("listed {names:?}, run {run:?}").into());
        }
    }
    match SDKS.iter().find(|sdk| !scripts().join(sdk.script).is_file()) {
        Some(sdk) => Err(format!("{} is missing", sdk.script).into()),
        None => Ok(()),
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers")
}
