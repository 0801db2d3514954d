//! The servers the clients are given.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use mcp_testkit::{
    install,
    model::Script,
    sandbox::{self, Sandbox},
};
use serde_json::json;

use crate::{NAME, Skip, Stop, found};

/// What clients are made to talk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// The one bundled with `mcp`.
    Calculator,
    /// The official test server, started by the client.
    EverythingStdio,
    /// The official test server, running on loopback already.
    EverythingHttp,
}

impl Server {
    pub(crate) const ALL: [Self; 3] = [Self::Calculator, Self::EverythingStdio, Self::EverythingHttp];

    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Calculator => "calculator stdio",
            Self::EverythingStdio => "everything stdio",
            Self::EverythingHttp => "everything http",
        }
    }

    /// What the model asks for.
    pub(crate) fn script(self) -> Script {
        match self {
            Self::Calculator => Script::new(NAME, "add", json!({"a": "0.1", "b": "0.2"})),
            Self::EverythingStdio | Self::EverythingHttp => Script::new(NAME, "echo", json!({"message": "over-and-out"})),
        }
    }

    /// What a true result holds and nothing else does. Binary arithmetic would give more digits.
    pub(crate) fn result(self) -> &'static str {
        match self {
            Self::Calculator => "0.3",
            Self::EverythingStdio | Self::EverythingHttp => "Echo: over-and-out",
        }
    }
}

/// What several clients call at once: each its own question with its own answer, so that a mix-up shows.
pub(crate) fn question(server: Server, number: usize) -> (Script, String) {
    match server {
        Server::Calculator => {
            let script = Script::new(NAME, "add", json!({"a": "0.1", "b": format!("0.{}", number + 2)}));
            (script, format!("0.{}", number + 3))
        }
        Server::EverythingStdio | Server::EverythingHttp => {
            // It takes a moment, so that the calls are on their way together, and tells of its progress meanwhile.
            let steps = number + 2;
            let script = Script::new(NAME, "trigger-long-running-operation", json!({"duration": 1, "steps": steps}));
            (script, format!("operation completed. Duration: 1 seconds, Steps: {steps}."))
        }
    }
}

/// A server that can be installed now: what `mcp install` is told, and the process behind it if it has to run already.
pub(crate) struct Ready {
    pub(crate) source: Vec<String>,
    _process: Option<Process>,
}

/// Gets a server ready in the sandbox of its client.
pub(crate) fn ready(server: Server, sandbox: &Sandbox) -> Result<Ready, Stop> {
    match server {
        Server::Calculator => Ok(Ready { source: vec!["calculator".to_owned()], _process: None }),
        Server::EverythingStdio => {
            let mut source = vec!["--".to_owned()];
            source.extend(everything("stdio")?);
            Ok(Ready { source, _process: None })
        }
        Server::EverythingHttp => {
            let (port, process) = serve(sandbox)?;
            Ok(Ready { source: vec![format!("http://127.0.0.1:{port}/mcp")], _process: Some(process) })
        }
    }
}

/// The command line of the official test server.
pub(crate) fn everything(transport: &str) -> Result<Vec<String>, Stop> {
    let node = install::node_bin().map_err(Skip)?.canonicalize()?.join("node");
    let script = found("server-everything")?.join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    Ok(vec![node.display().to_string(), script.display().to_string(), transport.to_owned()])
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        sandbox::end_group(&mut self.0);
        let _ = self.0.wait();
    }
}

/// Whether someone who speaks HTTP listens on the port.
fn answers_http(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let asked = stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .and_then(|()| stream.write_all(b"OPTIONS /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"));
    let mut start = [0; 8];
    asked.and_then(|()| stream.read_exact(&mut start)).is_ok() && start == *b"HTTP/1.1"
}

fn serve(sandbox: &Sandbox) -> Result<(u16, Process), Stop> {
    let command_line = everything("streamableHttp")?;
    // The server wants to be told a port. Another process may take it in between, so there is a second and third try.
    for _ in 0..3 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = sandbox.command(&command_line[0]);
        command.args(&command_line[1..]).env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process(sandbox::spawn_leader(&mut command)?);
        let end = Instant::now() + Duration::from_secs(30);
        while process.0.try_wait()?.is_none() && Instant::now() < end {
            // A connection alone proves little: without a listener, one to a free port can even reach itself.
            if answers_http(port) && process.0.try_wait()?.is_none() {
                return Ok((port, process));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    Err(io::Error::other("server-everything did not open its port").into())
}
