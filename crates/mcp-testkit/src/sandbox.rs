//! A throw-away home for programs under test.
//!
//! A program started here sees an environment that was built from nothing: a fresh home, a scratch git repository as its
//! working directory, and no variable that could point it at a real configuration. Requests to the outside are sent to a
//! proxy that does not exist, so that a logged-out client fails at once instead of phoning home.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Where a request that wants to leave the machine ends: the discard port, on which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Variables of the host a program cannot do without; everything else stays outside.
const KEPT: [&str; 5] = ["SystemRoot", "SystemDrive", "ComSpec", "PATHEXT", "windir"];

/// A home directory that exists for one test.
#[derive(Debug)]
pub struct Sandbox {
    root: TempDir,
    path: OsString,
}

impl Sandbox {
    /// Makes an empty home and, below it, an empty git repository to work in.
    pub fn new() -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("mcp-sandbox-").tempdir()?;
        let sandbox = Self { root, path: std::env::var_os("PATH").unwrap_or_default() };
        for dir in [sandbox.home(), sandbox.work(), sandbox.scratch()] {
            std::fs::create_dir_all(dir)?;
        }
        // Some clients look upwards for a repository root; this one must stop them before they leave the sandbox.
        let made = sandbox.run(sandbox.command("git").args(["init", "--quiet", "."]), Duration::from_mins(1))?;
        if made.succeeded() { Ok(sandbox) } else { Err(io::Error::other(format!("`git init` failed: {}", made.stderr))) }
    }

    /// The home directory.
    pub fn home(&self) -> PathBuf {
        // Resolved, because macOS keeps its temp directory behind a link and clients compare real paths.
        self.root.path().canonicalize().unwrap_or_else(|_| self.root.path().to_owned()).join("home")
    }

    /// The working directory: a git repository below the home.
    pub fn work(&self) -> PathBuf {
        self.home().join("project")
    }

    /// The directory for temporary files.
    pub fn scratch(&self) -> PathBuf {
        self.home().with_file_name("tmp")
    }

    /// Puts a directory before everything else on the search path.
    pub fn search_first(&mut self, dir: &Path) {
        let mut path = dir.as_os_str().to_owned();
        path.push(if cfg!(windows) { ";" } else { ":" });
        path.push(&self.path);
        self.path = path;
    }

    /// Writes a file below the home, with its parents.
    pub fn write(&self, file: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.home().join(file);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The bytes of a file below the home; nothing if it does not exist.
    pub fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.home().join(file)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A command that runs in this sandbox and knows nothing of the host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let home = self.home();
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env_clear()
            .envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("PATH", &self.path)
            .env("HOME", &home)
            .env("USERPROFILE", &home)
            .env("APPDATA", home.join("AppData").join("Roaming"))
            .env("LOCALAPPDATA", home.join("AppData").join("Local"))
            .env("TMPDIR", self.scratch())
            .env("TEMP", self.scratch())
            .env("TMP", self.scratch())
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, NOWHERE);
        }
        for name in ["NO_PROXY", "no_proxy"] {
            command.env(name, "127.0.0.1,localhost");
        }
        command
    }

    /// What runs with this home: process number and arguments. Nothing is found where the environment of another process
    /// cannot be read, which is everywhere but on Linux.
    pub fn processes(&self) -> Vec<(u32, Vec<String>)> {
        #[cfg(unix)]
        return processes_of(&self.home());
        #[cfg(not(unix))]
        Vec::new()
    }

    /// Runs a command to its end, or ends it and its children when the limit is reached. Its input is empty.
    pub fn run(&self, command: &mut Command, limit: Duration) -> io::Result<Outcome> {
        run(command, limit, &self.scratch())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        end_strays(&self.home());
    }
}

/// What became of a command.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code; nothing if it was ended by a signal or by us.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
    /// Whether it reached the limit and was ended.
    pub timed_out: bool,
}

impl Outcome {
    /// Whether it ended by itself with exit code 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }

    /// Both outputs one after the other, without terminal colours: for clients that put their answer on either.
    pub fn text(&self) -> String {
        without_colour(&format!("{}\n{}", self.stdout, self.stderr))
    }
}

/// Runs a command with empty input, keeping its output in files below `scratch`.
///
/// Files and not pipes: a daemon the command leaves behind keeps a pipe open, and a reader would wait for it.
pub fn run(command: &mut Command, limit: Duration, scratch: &Path) -> io::Result<Outcome> {
    let begin = Instant::now();
    let stdout = tempfile::NamedTempFile::new_in(scratch)?;
    let stderr = tempfile::NamedTempFile::new_in(scratch)?;
    command.stdin(Stdio::null()).stdout(stdout.reopen()?).stderr(stderr.reopen()?);
    let mut child = spawn_leader(command)?;
    let status = wait(&mut child, limit)?;
    // Also after a good end: what it started and did not end itself belongs to nobody now.
    end_group(&mut child);
    let timed_out = status.is_none();
    if timed_out {
        child.wait()?;
    }
    Ok(Outcome {
        code: status.and_then(|status| status.code()),
        stdout: text_of(stdout.path())?,
        stderr: text_of(stderr.path())?,
        took: begin.elapsed(),
        timed_out,
    })
}

/// Starts a command as the leader of its own process group, so that it can be ended with its children.
pub fn spawn_leader(command: &mut Command) -> io::Result<Child> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.spawn()
}

/// Ends a process started with [`spawn_leader`] and its whole group. A group that is gone already is fine.
pub fn end_group(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
}

/// Waits for a child's end until the limit; nothing if it is still running then.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() > limit {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Text with terminal control sequences taken out.
pub fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            plain.push(c);
        } else if rest.next() == Some('[') {
            // The sequence ends with its first letter.
            let _ = rest.find(|c| matches!(c, '@'..='~'));
        }
    }
    plain
}

fn text_of(path: &Path) -> io::Result<String> {
    use io::Read;
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ends daemons that left their process group, such as Cline's hub.
fn end_strays(home: &Path) {
    #[cfg(unix)]
    for (pid, _) in processes_of(home) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    #[cfg(not(unix))]
    let _ = home;
}

/// The processes of a sandbox, with their arguments. They are known by its home in their environment, which nobody else's
/// process can have.
#[cfg(target_os = "linux")]
fn processes_of(home: &Path) -> Vec<(u32, Vec<String>)> {
    use std::os::unix::ffi::OsStrExt;
    let mut mark = b"HOME=".to_vec();
    mark.extend_from_slice(home.as_os_str().as_bytes());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark) {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            found.push((pid, line.strip_suffix('\0').unwrap_or(&line).split('\0').map(str::to_owned).collect()));
        }
    }
    found
}

/// Elsewhere the environment of another process cannot be read; only process groups are ended.
#[cfg(all(unix, not(target_os = "linux")))]
fn processes_of(_home: &Path) -> Vec<(u32, Vec<String>)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(without_colour("a\u{1b}[1;32m✓ ev\u{1b}[0m b"), "a✓ ev b");
    }

    #[cfg(unix)]
    #[test]
    fn environment_of_the_host_stays_outside() {
        let sandbox = Sandbox::new().unwrap();
        let seen = sandbox.run(&mut sandbox.command("env"), Duration::from_mins(1)).unwrap();
        assert!(seen.stdout.contains(&format!("HOME={}\n", sandbox.home().display())), "{}", seen.stdout);
        for name in ["CARGO_MANIFEST_DIR", "XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR"] {
            assert!(!seen.stdout.contains(&format!("{name}=")), "{name} came through");
        }
    }

    #[cfg(unix)]
    #[test]
    fn limit_ends_the_whole_group() {
        let sandbox = Sandbox::new().unwrap();
        let mut command = sandbox.command("sh");
        let pid_file = sandbox.home().join("pid");
        command.args(["-c", "sleep 600 & echo $! > ../pid; wait"]);
        let outcome = sandbox.run(&mut command, Duration::from_millis(500)).unwrap();
        assert!(outcome.timed_out && !outcome.succeeded());
        let pid: i32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
        let begin = Instant::now();
        while rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_ok() && !is_zombie(pid) {
            assert!(begin.elapsed() < Duration::from_secs(10), "the grandchild survived");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// In a container without a reaper an ended orphan keeps its number.
    #[cfg(unix)]
    fn is_zombie(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }
}
