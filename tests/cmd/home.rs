//! A home for one test, and the program in it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use mcp_testkit::sandbox::Sandbox;
use serde_json::Value as Json;

/// Nothing may wait for input; a run that takes this long does.
const LIMIT: Duration = Duration::from_mins(1);

/// A sandbox whose `PATH` holds nothing but a few programs that do nothing.
pub(crate) struct Home {
    sandbox: Sandbox,
    vars: Vec<(String, String)>,
}

/// What became of a run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    words: String,
    home: PathBuf,
}

impl Home {
    /// An empty home. The runners of packages are on `PATH`.
    pub(crate) fn new() -> Self {
        let home = Self { sandbox: Sandbox::new().unwrap(), vars: Vec::new() };
        for program in ["npx", "uvx", "docker", "node"] {
            home.program(program);
        }
        home
    }

    /// With a client's program on `PATH`.
    pub(crate) fn program(&self, name: &str) {
        let file = self.bin().join(if cfg!(windows) { format!("{name}.exe") } else { name.to_owned() });
        std::fs::create_dir_all(self.bin()).unwrap();
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        #[cfg(unix)]
        set_mode(&file, 0o755);
    }

    /// With a variable in the environment.
    pub(crate) fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a file below the home.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.write(name, text);
        self
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.sandbox.home().join(name)
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.sandbox.work()
    }

    fn bin(&self) -> PathBuf {
        self.sandbox.home().with_file_name("bin")
    }

    /// The program, about to be run in the project of this home.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.sandbox.command(env!("CARGO_BIN_EXE_mcp"));
        command.env("PATH", self.bin()).env("COLUMNS", "100").envs(self.vars.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Runs it with empty input.
    pub(crate) fn mcp<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Run {
        self.finish(self.command().args(words))
    }

    /// Runs it with words that hold no spaces.
    pub(crate) fn run(&self, line: &str) -> Run {
        self.mcp(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs a prepared command with empty input.
    pub(crate) fn finish(&self, command: &mut Command) -> Run {
        let outcome = self.sandbox.run(command, LIMIT).unwrap();
        assert!(!outcome.timed_out, "it waits for something: {command:?}");
        self.told(command, outcome.code, outcome.stdout, outcome.stderr)
    }

    /// Runs it with this on standard input.
    pub(crate) fn fed(&self, words: &[&str], input: &str) -> Run {
        let mut command = self.command();
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        self.told(&command, output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn told(&self, command: &Command, code: Option<i32>, out: String, err: String) -> Run {
        let words: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        Run { code, out, err, words: words.join(" "), home: self.sandbox.home() }
    }

    /// Everything below the home but our own state.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, Thing> {
        let mut tree = BTreeMap::new();
        collect(&self.sandbox.home(), &self.sandbox.home(), &mut tree);
        tree
    }

    /// The tree without the times: for files that were changed and changed back.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, (Option<u32>, Vec<u8>)> {
        self.tree().into_iter().map(|(path, thing)| (path, (thing.mode, thing.bytes))).collect()
    }
}

/// A file, folder or link as it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) mode: Option<u32>,
    pub(crate) bytes: Vec<u8>,
    changed: Option<SystemTime>,
}

fn collect(root: &Path, dir: &Path, tree: &mut BTreeMap<PathBuf, Thing>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_owned();
        if [".local", "project/.git"].iter().any(|ours| name == Path::new(ours)) {
            continue;
        }
        let meta = path.symlink_metadata().unwrap();
        let bytes = if meta.is_symlink() {
            std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if meta.is_file() && meta.len() < 1 << 20 {
            std::fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        #[cfg(unix)]
        let mode = Some(std::os::unix::fs::PermissionsExt::mode(&meta.permissions()));
        #[cfg(not(unix))]
        let mode = None;
        // A folder's time says that something was in it for a moment, also a file beside the one we replace.
        let changed = meta.modified().ok().filter(|_| !meta.is_dir());
        if meta.is_dir() {
            collect(root, &path, tree);
        }
        tree.insert(name, Thing { mode, bytes, changed });
    }
}

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

impl Run {
    /// The run ended with this code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.shown());
        self
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.ends(0)
    }

    /// One of the outputs holds each of these.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "`{text}` is missing:\n{}", self.shown());
        }
        self
    }

    /// No output holds this.
    #[track_caller]
    pub(crate) fn hides(self, text: &str) -> Self {
        assert!(!self.out.contains(text) && !self.err.contains(text), "`{text}` is told:\n{}", self.shown());
        self
    }

    /// The answer in JSON, of this schema.
    #[track_caller]
    pub(crate) fn json(&self, schema: &str) -> Json {
        let json: Json = serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}:\n{}", self.shown()));
        assert_eq!(json["schema"], schema, "{}", self.shown());
        json
    }

    /// All of it, with the paths that differ from run to run replaced.
    pub(crate) fn shown(&self) -> String {
        let code = self.code.map_or("ended".to_owned(), |c| c.to_string());
        let text = format!("$ mcp {}\n{}--- stderr, exit {code}\n{}", self.words, self.out, self.err);
        let version = format!("mcp {}", env!("CARGO_PKG_VERSION"));
        text.replace(env!("CARGO_BIN_EXE_mcp"), "[MCP]")
            .replace(&*self.home.to_string_lossy(), "[HOME]")
            .replace(&*self.home.parent().unwrap().to_string_lossy(), "[ROOT]")
            .replace(&version, "mcp [VERSION]")
    }
}
