//! What is compared: how each is started, and how it is ended.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use mcp_testkit::{
    install::{self, Installed, Packages},
    sandbox::Sandbox,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::root::{cargo, must, program, root, target};

/// The era of a client, as the load program names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

impl Era {
    pub(crate) const BOTH: [Self; 2] = [Self::Legacy, Self::Modern];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// What the comparison is for, and what it is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Baseline,
    /// The server by itself.
    Direct,
    Ours,
    /// Ours where the server speaks the other era: told, not judged.
    Bridged,
    Peer,
}

/// Something that puts a stdio server behind HTTP.
#[derive(Debug, Clone)]
pub(crate) struct HttpSystem {
    pub(crate) name: String,
    pub(crate) part: Part,
    /// The command; `{port}` stands for a port, without which it prints its URL as the first line.
    pub(crate) command: Vec<String>,
    pub(crate) eras: Vec<Era>,
}

/// One that runs.
pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) child: Process,
    /// Where it lives; taken down after it.
    pub(crate) sandbox: Sandbox,
}

/// A process of ours, ended when it is dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().display().to_string();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Self(command.spawn().with_context(|| format!("start {name}"))?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Reads what it prints, so that it need not wait for a reader.
    fn discard(&mut self) {
        if let Some(mut output) = self.0.stdout.take() {
            thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        }
    }

    fn first_line(&mut self) -> Result<String> {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().context("its output is piped")?).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // An id that is too large for the system's own type cannot be one of its processes; one that ended needs no signal.
        if let Ok(pid) = i32::try_from(self.0.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let deadline = Instant::now() + Duration::from_secs(8);
        while Instant::now() < deadline {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl HttpSystem {
    /// The command with a port, if it wants one.
    pub(crate) fn words(&self) -> Result<(Vec<String>, Option<u16>)> {
        if !self.command.iter().any(|word| word.contains("{port}")) {
            return Ok((self.command.clone(), None));
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        Ok((self.command.iter().map(|word| word.replace("{port}", &port.to_string())).collect(), Some(port)))
    }

    /// Starts it and waits until somebody answers there.
    pub(crate) fn start(&self) -> Result<Running> {
        let sandbox = Sandbox::new().context("make a sandbox")?;
        let (words, port) = self.words()?;
        let mut child = Process::start(sandbox.command(&words[0]).args(&words[1..]))?;
        let url = match port {
            None => child.first_line()?,
            Some(port) => {
                child.discard();
                let deadline = Instant::now() + Duration::from_mins(1);
                while TcpStream::connect(("127.0.0.1", port)).is_err() {
                    ensure!(!child.has_ended()?, "{} ended at once", self.name);
                    ensure!(Instant::now() < deadline, "{} does not listen on its port", self.name);
                    thread::sleep(Duration::from_millis(20));
                }
                format!("http://127.0.0.1:{port}/mcp")
            }
        };
        ensure!(url.starts_with("http://"), "{} printed {url:?} instead of its URL", self.name);
        Ok(Running { url, child, sandbox })
    }
}

/// Something that gives clients one server over pipes.
pub(crate) struct StdioSystem {
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    /// What each client starts.
    pub(crate) client: Vec<String>,
    /// Processes besides those of the clients.
    pub(crate) watched: Vec<u32>,
    /// Keeps what all clients share, in this order of taking down.
    pub(crate) _holder: Option<Process>,
    pub(crate) sandbox: Sandbox,
    pub(crate) eras: &'static [Era],
}

/// The programs of a run.
pub(crate) struct Programs {
    pub(crate) load: PathBuf,
    pub(crate) echo: PathBuf,
    pub(crate) bare: PathBuf,
    pub(crate) mcp: PathBuf,
    /// rmcp-mux and its proxy.
    pub(crate) mux: Option<(PathBuf, PathBuf)>,
    pub(crate) peers: Vec<HttpSystem>,
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

impl Programs {
    /// Builds what is ours and installs the others, if they are wanted.
    pub(crate) fn get(mcp: PathBuf, with_peers: bool) -> Result<Self> {
        must(cargo().args(["build", "--quiet", "--release", "--package", "mcp-bench"]))?;
        let built = |name: &str| target().join("release").join(program(name));
        let (load, echo, bare) = (built("load"), built("echo-server"), built("bare-bridge"));
        let mut programs = Self { load, echo, bare, mcp, mux: None, peers: Vec::new() };
        if with_peers {
            programs.install_peers()?;
        }
        Ok(programs)
    }

    fn install_peers(&mut self) -> Result<()> {
        let list = root().join("xtask/bench-peers.toml");
        let folder = target().join("bench-peers");
        let tell = |report: &install::Report| {
            if let Installed::Not(reason) = &report.result {
                eprintln!("{} is left out: {reason}", report.name);
            }
        };
        install::install(&Packages::read(&list)?, &folder, &tell)?;
        let table: toml::Table = toml::from_str(&fs::read_to_string(&list).context("read the list of peers")?)?;
        let table = serde_json::to_value(table)?;
        for package in table["cargo"].as_array().into_iter().flatten() {
            if let Err(error) = cargo_install(package, &folder) {
                eprintln!("{} is left out: {error:#}", package["name"]);
            }
        }
        let (mux, proxy) = (folder.join("bin").join(program("rmcp-mux")), folder.join("bin").join(program("rmcp-mux-proxy")));
        self.mux = (mux.is_file() && proxy.is_file()).then_some((mux, proxy));
        for peer in table["http"].as_array().into_iter().flatten() {
            let words = |key: &str| peer[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            let fill = |word: &str| word.replace("{folder}", &text(&folder)).replace("{server}", &text(&self.echo));
            self.peers.push(HttpSystem {
                name: peer["name"].as_str().context("a peer has no name")?.to_owned(),
                part: Part::Peer,
                command: words("command").map(fill).collect(),
                eras: Era::BOTH.into_iter().filter(|era| words("eras").any(|word| word == era.word())).collect(),
            });
        }
        Ok(())
    }

    /// What serves HTTP: the server itself, the baseline, then ours.
    pub(crate) fn http(&self) -> Vec<HttpSystem> {
        let ours = |upstream: Era| {
            let mut command: Vec<String> =
                [&text(&self.mcp), "run-once", "--http", "127.0.0.1:0", "--no-token"].map(String::from).into();
            command.extend(["--".to_owned(), text(&self.echo), "--era".to_owned(), upstream.word().to_owned()]);
            command
        };
        let system =
            |name: &str, part, command, eras: &[Era]| HttpSystem { name: name.to_owned(), part, command, eras: eras.into() };
        let mut systems = vec![
            system("direct", Part::Direct, vec![text(&self.echo), "--http".into()], &Era::BOTH),
            system("bare bridge", Part::Baseline, vec![text(&self.bare), "--".into(), text(&self.echo)], &Era::BOTH),
            system("mcp run-once", Part::Ours, ours(Era::Legacy), &[Era::Legacy]),
            system("mcp run-once", Part::Ours, ours(Era::Modern), &[Era::Modern]),
            system("mcp run-once, modern server", Part::Bridged, ours(Era::Modern), &[Era::Legacy]),
            system("mcp run-once, legacy server", Part::Bridged, ours(Era::Legacy), &[Era::Modern]),
        ];
        systems.extend(self.peers.iter().cloned());
        systems
    }

    /// What each client starts for itself: no sharing, nothing between.
    pub(crate) fn direct(&self) -> Result<StdioSystem> {
        Ok(StdioSystem {
            name: "direct",
            part: Part::Direct,
            client: vec![text(&self.echo)],
            watched: Vec::new(),
            _holder: None,
            sandbox: Sandbox::new().context("make a sandbox")?,
            eras: &Era::BOTH,
        })
    }

    /// The words of our shim.
    pub(crate) fn shim(&self) -> Vec<String> {
        vec![text(&self.mcp), "run-once".into(), "--".into(), text(&self.echo)]
    }

    /// Our shims on one daemon, which a first shim keeps.
    pub(crate) fn shared(&self) -> Result<StdioSystem> {
        let sandbox = Sandbox::new().context("make a sandbox")?;
        let client = self.shim();
        let holder = Process::start(sandbox.command(&client[0]).args(&client[1..]))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        let watched = loop {
            let found: Vec<u32> = processes_at_home(&sandbox.home()).into_iter().filter(|pid| *pid != holder.id()).collect();
            if !found.is_empty() {
                break found;
            }
            if Instant::now() > deadline {
                bail!("`mcp run-once` started no daemon");
            }
            thread::sleep(Duration::from_millis(5));
        };
        let eras = &Era::BOTH;
        Ok(StdioSystem { name: "mcp run-once", part: Part::Ours, client, watched, _holder: Some(holder), sandbox, eras })
    }

    /// rmcp-mux with as many slots as it will have clients.
    pub(crate) fn muxed(&self, mux: &(PathBuf, PathBuf)) -> Result<StdioSystem> {
        let sandbox = Sandbox::new().context("make a sandbox")?;
        let socket = text(&sandbox.scratch().join("mux"));
        let mut command = sandbox.command(&mux.0);
        command.args(["--socket", &socket, "--cmd", &text(&self.echo), "--max-active-clients", "64", "--log-level", "error"]);
        command.args(["--max-request-bytes", "67108864"]);
        let holder = Process::start(&mut command)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            ensure!(Instant::now() < deadline, "rmcp-mux does not listen");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(StdioSystem {
            name: "rmcp-mux 0.4.0",
            part: Part::Peer,
            client: vec![text(&mux.1), "--socket".into(), socket],
            watched: vec![holder.id()],
            _holder: Some(holder),
            sandbox,
            // Without `initialize` it answers nothing.
            eras: &[Era::Legacy],
        })
    }
}

/// Processes whose home is this one: what was started in a sandbox, also what let go of its parent.
pub(crate) fn processes_at_home(home: &Path) -> Vec<u32> {
    let wanted = format!("HOME={}", home.display());
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = folders.filter_map(|folder| folder.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    })
    .collect()
}

/// Asks whatever runs with this home to end, and waits until it has.
pub(crate) fn end_all_at(home: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut asked = Vec::new();
    loop {
        let running = processes_at_home(home);
        if running.is_empty() {
            return Ok(());
        }
        for pid in running {
            if !asked.contains(&pid) {
                asked.push(pid);
                kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM).ok();
            }
        }
        ensure!(Instant::now() < deadline, "processes in {} do not end", home.display());
        thread::sleep(Duration::from_millis(2));
    }
}

fn cargo_install(package: &Value, folder: &Path) -> Result<()> {
    let word = |key: &str| package[key].as_str().with_context(|| format!("the package has no {key}"));
    let (name, version) = (word("package")?, word("version")?);
    let marker = folder.join(format!("{name}.installed"));
    if fs::read_to_string(&marker).is_ok_and(|found| found == version) {
        return Ok(());
    }
    let mut command = cargo();
    command.args(["install", "--quiet", "--locked", "--root"]).arg(folder).arg(format!("{name}@{version}"));
    command.args(package["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str));
    // Not in the target folder of this workspace, whose profiles it does not share.
    must(command.arg("--target-dir").arg(folder.join("build")))?;
    fs::write(marker, version).context("write the marker")
}
