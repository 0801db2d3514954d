//! `mcp run-once --http`: one server as a URL, in the foreground, without the daemon.

use std::cell::RefCell;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mcp_os::dirs::Dirs;
use mcp_os::guard::Guard;
use mcp_relay::hub::{Hub, Limits};
use mcp_relay::route::Note;
use mcp_relay::shared::Shared;
use mcp_relay::transport::http_server::{self, HttpOptions};
use tokio::net::TcpListener;
use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, oneshot};

use crate::backend::{self, Remote, Source};
use crate::call::{Call, What};
use crate::identity;
use crate::secret::secret;
use crate::store::Record;

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForegroundError {
    /// No address.
    #[error("`{0}` is no address: `127.0.0.1:8000`, `:8000` or `8000`")]
    Address(String),
    /// Whoever reaches the machine could use the server.
    #[error("`{0}` is reachable from other machines, and without a token anybody there could use the server")]
    Open(SocketAddr),
    /// No such program.
    #[error("there is no program `{0}`")]
    Program(String),
    /// An option.
    #[error("{0}")]
    Option(String),
    /// The port.
    #[error("listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime.
    #[error("start the runtime")]
    Runtime(#[from] io::Error),
    /// The server.
    #[error("{0}")]
    Server(String),
}

/// Reads `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000`, `:8000`, `8000`.
pub fn address(text: &str) -> Option<SocketAddr> {
    let local = |port: &str| port.parse().ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    match text.rsplit_once(':') {
        Some(("" | "localhost", port)) => local(port),
        Some(_) => None,
        None => local(text),
    }
}

/// Serves until it is interrupted. `ready` is told the URL.
pub fn run(dirs: &Dirs, call: &Call, at: &str, has_token: bool, ready: impl FnOnce(&str)) -> Result<(), ForegroundError> {
    let address = address(at).ok_or_else(|| ForegroundError::Address(at.to_owned()))?;
    if !has_token && !address.ip().is_loopback() {
        return Err(ForegroundError::Open(address));
    }
    let source = source(dirs, call)?;
    let options = &call.options;
    let record = Record {
        upstream_era: options.upstream_era.clone(),
        client_capabilities: options.client_capabilities.clone(),
        attribution: options.attribution.clone(),
        restart: options.restart.clone(),
        ..Record::default()
    };
    let config = crate::serve::config(&record, &Record::default()).map_err(ForegroundError::Option)?;
    let token = if has_token { Some(secret()?) } else { None };
    mcp_os::detach::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let failed = |source| ForegroundError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let guard = std::env::current_exe().ok().and_then(|program| Guard::start(&program).ok()).map(Arc::new);
        let log = Rc::new(RefCell::new(Lines { colour: io::stderr().is_terminal() }));
        let sink = Rc::clone(&log);
        let connector = backend::connector(
            source,
            guard,
            &(Rc::new(move |origin: &str, line: &str| sink.borrow_mut().line(origin, line)) as backend::Sink),
        )
        .map_err(ForegroundError::Server)?;
        let hub = Hub::new(Box::new(Shared::new(config)), connector, Limits::default());
        let ended = Rc::new(Notify::new());
        let note_ended = Rc::clone(&ended);
        hub.on_note(Rc::new(move |note| match note {
            Note::Log(text) => log.borrow_mut().line("mcp", text),
            Note::GaveUp(text) => log.borrow_mut().line("mcp", &format!("not started again: {text}")),
            Note::Ended => note_ended.notify_one(),
            Note::Era(_) | Note::Interactive | Note::Idle | Note::Busy => {}
        }));
        // The first client should not wait for it.
        hub.start();
        tokio::task::spawn_local(crate::quiet::give_memory_back());
        let (shutdown, asked) = oneshot::channel::<()>();
        let options = HttpOptions {
            token: token.clone(),
            hosts: if local.ip().is_loopback() { Vec::new() } else { vec!["*".to_owned()] },
            ..HttpOptions::default()
        };
        let serving = tokio::task::spawn_local(http_server::serve(listener, hub.clone(), options, async {
            let _ = asked.await;
        }));
        let prefix = token.map(|t| format!("/{t}")).unwrap_or_default();
        ready(&format!("http://{local}{prefix}/mcp"));
        interrupted().await;
        hub.drain();
        // A second interrupt is one who does not want to wait.
        tokio::select! {
            _ = tokio::time::timeout(Duration::from_secs(20), ended.notified()) => {}
            () = interrupted() => {}
        }
        drop(shutdown);
        let _ = tokio::time::timeout(Duration::from_secs(3), serving).await;
        Ok(())
    })
}

fn source(dirs: &Dirs, call: &Call) -> Result<Source, ForegroundError> {
    match &call.options.what {
        What::Command { program, args } | What::Dummy { program, args } => {
            let found = identity::resolve(call, program)
                .ok_or_else(|| ForegroundError::Program(program.to_string_lossy().into_owned()))?;
            let spec = mcp_relay::transport::child::Spec {
                program: found,
                args: args.clone(),
                env: call.env.clone(),
                cwd: Some(call.cwd.clone()),
            };
            Ok(Source::Child(spec))
        }
        What::Url(url) => Ok(Source::Remote(Remote::new(url, &call.options.headers, dirs))),
    }
}

/// What the server says goes where our own words go.
struct Lines {
    colour: bool,
}

impl Lines {
    fn line(&mut self, origin: &str, text: &str) {
        let shown: String = text.trim_end().chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        let (faint, plain) = if self.colour { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
        let _ = writeln!(io::stderr(), "{faint}{origin}:{plain} {shown}");
    }
}

/// Until somebody asks this process to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut terminate), Ok(mut hang_up)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) else {
            let _ = tokio::signal::ctrl_c().await;
            return;
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_read() {
        let read = |text| address(text).map(|a| a.to_string());
        for (text, wanted) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            (":8000", "127.0.0.1:8000"),
            ("8000", "127.0.0.1:8000"),
            ("localhost:80", "127.0.0.1:80"),
            ("[::1]:9", "[::1]:9"),
            ("0.0.0.0:1", "0.0.0.0:1"),
        ] {
            assert_eq!(read(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", "x", "example.com:1", "127.0.0.1", ":x", "99999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
