//! A process that is no server, kept alive while somebody is connected. To its clients it is a server that offers nothing;
//! those answers are made here, in both eras.

use std::io::{BufRead as _, BufReader, Read};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcp_os::guard::Guard;
use mcp_os::process::{self, Child};
use mcp_relay::hub::{Hub, WeakHub};
use mcp_relay::transport::child::Spec;
use mcp_relay::upstream::{Connector, Fate, Upstream};
use mcp_wire::author::{self, code};
use mcp_wire::{Frame, Kind, version};
use tokio::sync::{Notify, mpsc};

use super::Sink;

/// Starts the process.
pub(super) struct Dummy {
    spec: Spec,
    sink: Sink,
    guard: Option<Arc<Guard>>,
}

impl Dummy {
    pub(super) fn new(spec: Spec, sink: Sink, guard: Option<Arc<Guard>>) -> Self {
        Self { spec, sink, guard }
    }
}

impl Connector for Dummy {
    fn connect(&self, hub: &Hub, generation: u64) -> Result<Rc<dyn Upstream>, Fate> {
        let spec = process::Spec {
            program: self.spec.program.clone().into(),
            args: self.spec.args.clone(),
            env: self.spec.env.clone(),
            clear_env: true,
            cwd: self.spec.cwd.clone(),
            inherit_stderr: false,
        };
        let failed = |text: String| Fate { text: format!("could not be started: {text}"), ..Fate::default() };
        let mut child = process::spawn(&spec).map_err(|e| failed(format!("{e}: {}", e.source)))?;
        let pid = child.id();
        if let Some(guard) = &self.guard
            && let Err(e) = guard.add(pid)
        {
            (self.sink)("mcp", &format!("{e}: it would outlive a daemon that is killed"));
        }
        // Nothing is said to it: it sees the end of its input at once.
        drop(child.stdin.take());
        let (lines, received) = mpsc::unbounded_channel();
        if let Some(stdout) = child.stdout.take() {
            read(stdout, "stdout", lines.clone()).map_err(|e| failed(e.to_string()))?;
        }
        if let Some(stderr) = child.stderr.take() {
            read(stderr, "stderr", lines).map_err(|e| failed(e.to_string()))?;
        }
        tokio::task::spawn_local(write_log(received, Rc::clone(&self.sink)));
        let wanted = Rc::new(Notify::new());
        tokio::task::spawn_local(watch(child, Rc::clone(&wanted), hub.downgrade(), generation, self.guard.clone()));
        Ok(Rc::new(Running { pid, wanted, hub: hub.downgrade(), generation }))
    }
}

/// Reads what the process says, in a thread: it is nothing a runtime has to wait for.
fn read(
    from: impl Read + Send + 'static,
    origin: &'static str,
    to: mpsc::UnboundedSender<(&'static str, String)>,
) -> std::io::Result<()> {
    let read = move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        // A line without an end is cut, so that it cannot fill the memory.
        while from.by_ref().take(64 * 1024).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if to.send((origin, String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
            line.clear();
        }
    };
    std::thread::Builder::new().stack_size(128 * 1024).spawn(read).map(drop)
}

async fn write_log(mut lines: mpsc::UnboundedReceiver<(&'static str, String)>, sink: Sink) {
    while let Some((origin, line)) = lines.recv().await {
        sink(origin, &line);
    }
}

/// Waits for the end of the process, or ends it, and tells the hub.
async fn watch(mut child: Child, wanted: Rc<Notify>, hub: WeakHub, generation: u64, guard: Option<Arc<Guard>>) {
    const LOOK: Duration = Duration::from_millis(100);
    const GRACE: Duration = Duration::from_secs(2);
    let pid = child.id();
    let mut ended = None;
    let was_wanted = loop {
        tokio::select! {
            () = wanted.notified() => break true,
            () = tokio::time::sleep(LOOK) => {}
        }
        ended = child.try_wait().ok().flatten();
        if ended.is_some() {
            break false;
        }
    };
    // In a thread: it may take its time.
    let finish = move || {
        if let Some(status) = ended {
            return Ok(status);
        }
        child.ask_to_end();
        child.shut_down(GRACE)
    };
    let status = tokio::task::spawn_blocking(finish).await;
    if let Some(guard) = guard {
        let _ = guard.remove(pid);
    }
    let text = match status {
        Ok(Ok(status)) => process::ending(status),
        Ok(Err(e)) => format!("ended: {e}"),
        Err(e) => format!("ended: {e}"),
    };
    if let Some(hub) = hub.get() {
        hub.upstream_closed(generation, Fate { text, was_wanted, ..Fate::default() });
    }
}

struct Running {
    pid: u32,
    wanted: Rc<Notify>,
    hub: WeakHub,
    generation: u64,
}

impl Upstream for Running {
    fn send(&self, frame: Bytes) {
        let frame = frame.strip_suffix(b"\n").map_or_else(|| frame.clone(), |text| frame.slice_ref(text));
        let (Some(hub), Ok(frame)) = (self.hub.get(), Frame::parse(frame)) else { return };
        if let Some(answer) = answer(&frame)
            && let Ok(answer) = Frame::parse(answer)
        {
            hub.upstream_frame(self.generation, answer, None);
        }
    }

    fn queued(&self) -> usize {
        0
    }

    fn close(&self) {
        self.wanted.notify_one();
    }

    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.wanted.notify_one();
    }
}

/// What a server that offers nothing answers. Without a line end.
fn answer(frame: &Frame) -> Option<Bytes> {
    let id = frame.id().filter(|_| frame.kind() == Kind::Request)?;
    let info = format!(r#"{{"name":"mcp-dummy","version":"{}"}}"#, env!("CARGO_PKG_VERSION"));
    let result = match frame.method() {
        "initialize" => {
            let asked = frame.get_string(&["params", "protocolVersion"]).unwrap_or_default();
            let spoken = if version::LEGACY.contains(&asked.as_str()) { &asked } else { version::NEWEST_LEGACY };
            format!(r#"{{"protocolVersion":"{spoken}","capabilities":{{}},"serverInfo":{info}}}"#)
        }
        "server/discover" => format!(
            r#"{{"resultType":"complete","supportedVersions":["{}"],"capabilities":{{}},"ttlMs":0,"cacheScope":"private","_meta":{{"io.modelcontextprotocol/serverInfo":{info}}}}}"#,
            version::NEWEST
        ),
        "ping" => "{}".to_owned(),
        "tools/list" => list("tools"),
        "prompts/list" => list("prompts"),
        "resources/list" => list("resources"),
        "resources/templates/list" => list("resourceTemplates"),
        method => {
            let text = format!("there is no `{method}` here: this server only keeps a process alive");
            return Some(without_end(&author::error(Some(id), code::METHOD_NOT_FOUND, &text, None)));
        }
    };
    Some(without_end(&author::result(id, &result)))
}

fn list(key: &str) -> String {
    format!(r#"{{"resultType":"complete","{key}":[],"ttlMs":0,"cacheScope":"private"}}"#)
}

fn without_end(line: &Bytes) -> Bytes {
    line.slice(..line.len() - 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn ask(text: &'static str) -> Option<Frame> {
        answer(&Frame::parse(Bytes::from_static(text.as_bytes())).unwrap()).map(|b| Frame::parse(b).unwrap())
    }

    #[test]
    fn both_eras_are_answered() {
        let legacy = ask(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#).unwrap();
        assert_eq!(legacy.get(&["result", "protocolVersion"]), Some("\"2025-06-18\""));
        let modern = ask(r#"{"jsonrpc":"2.0","id":"x","method":"server/discover","params":{}}"#).unwrap();
        assert_eq!((modern.id(), modern.get(&["result", "supportedVersions"])), (Some("\"x\""), Some("[\"2026-07-28\"]")));
        let unknown = ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{}}"#).unwrap();
        assert_eq!(unknown.error_code(), Some(code::METHOD_NOT_FOUND));
        assert!(ask(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).is_none());
    }
}
