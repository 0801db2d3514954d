//! What callers get to hear.

use std::rc::Rc;
use std::time::Duration;

use mcp_capture::event::Header;
use mcp_os::proc;
use mcp_relay::acting::Meeting;
use tokio::sync::oneshot;

use super::door::Caller;
use super::isolation;
use super::registry::Refusal;
use super::{Daemon, log_line};
use crate::backend::{Joining, Order, Snapshot, Wanted, Where};
use crate::call::{Call, Lifetime};
use crate::control::{self, Reply, Request};
use crate::hello::{Answer, Head, Why};
use crate::identity::Identity;
use crate::ticket::Ticket;

/// The program and its arguments, or the address.
fn command_of(record: &crate::store::Record) -> Vec<String> {
    record.program.iter().chain(&record.args).chain(&record.url).cloned().collect()
}

/// The largest first message that is waited for before a server is chosen.
const LONGEST: usize = 64 << 20;
/// How long a server's thread may take to say how things stand.
const PATIENCE: Duration = Duration::from_secs(2);

impl Daemon {
    /// Hears a caller out.
    pub(super) async fn hear(self: &Rc<Self>, mut caller: Caller) {
        let checked = caller.check();
        let heard = match checked {
            Ok(()) => caller.hello().await,
            Err(text) => Err(text),
        };
        let (head, body, early) = match heard {
            Ok(heard) => heard,
            Err(text) => {
                caller.dismiss(Answer::Error(4, text).to_string().as_bytes()).await;
                return;
            }
        };
        match head {
            Head::RunOnce(_) => self.run_once(caller, &body, early).await,
            Head::Why(session) => {
                let why = self.why(&session).await;
                let _ = caller.say(&why.to_bytes()).await;
            }
            Head::Leave(version) => {
                let answer = if self.is_leaving.get() || is_newer(&version, &self.version) {
                    log_line(&format!("version {version} takes over"));
                    self.leave();
                    "ok\n".to_owned()
                } else {
                    format!("no {} is not newer than {}\n", version, self.version)
                };
                let _ = caller.say(answer.as_bytes()).await;
            }
            Head::Control(_) => {
                let reply = match serde_json::from_slice(&body) {
                    Ok(request) => self.answer(request).await,
                    Err(e) => {
                        Reply::No { exit: 4, text: format!("understand the request: {e}; is this another version of mcp?") }
                    }
                };
                let bytes = serde_json::to_vec(&reply).unwrap_or_default();
                let _ = caller.say(&bytes).await;
            }
        }
    }

    async fn run_once(self: &Rc<Self>, mut caller: Caller, body: &[u8], mut early: Vec<u8>) {
        if self.is_leaving.get() {
            // The caller looks for the new one.
            return;
        }
        let mut ticket = None;
        let wish = match Call::from_bytes(body) {
            Ok(call) if is_newer(&call.version, &self.version) => {
                let _ = caller.say(Answer::Older(self.version.clone()).to_string().as_bytes()).await;
                return;
            }
            Ok(mut call) => {
                ticket = call.ticket.take().and_then(|bytes| Ticket::from_bytes(&bytes));
                self.wish(call)
            }
            Err(e) => Err((4, e.to_string())),
        };
        let wish = match wish {
            Ok(wish) => wish,
            Err(refusal) => return refuse(caller, refusal).await,
        };
        let session = self.new_session();
        let id = format!("{}-{session}", self.pid);
        let isolate = wish.call.options.isolate.clone();
        // One that was elsewhere before has been told apart there.
        let waits = ticket.is_none() && isolate.as_deref().is_some_and(isolation::needs_message);
        if waits {
            // It says nothing before it has its answer; the name is not known yet.
            let name = wish.call.options.name.clone().unwrap_or_else(|| crate::identity::short_name(&wish.call.options.what));
            if caller.say(Answer::Ok(id.clone(), name).to_string().as_bytes()).await.is_err()
                || caller.first_line(&mut early, LONGEST).await.is_err()
                || early.is_empty()
            {
                return;
            }
        }
        let key = match &ticket {
            Some(ticket) => ticket.isolation.clone(),
            None => isolate.map(|isolate| isolation::key(&isolate, session, self.pid, &early)),
        };
        let identity = match self.server_for(&wish, key.clone()) {
            Ok(identity) => identity,
            Err((exit, text)) if waits => {
                self.add_fate(session, Why::End(exit, text));
                return;
            }
            Err(refusal) => return refuse(caller, refusal).await,
        };
        self.expect(identity, true);
        if !waits {
            let name = self.servers.borrow().get(&identity).map(|s| s.name.clone()).unwrap_or_default();
            if caller.say(Answer::Ok(id, name).to_string().as_bytes()).await.is_err() {
                return self.expect(identity, false);
            }
        }
        let pid = caller.pid().or(Some(wish.call.pid).filter(|pid| *pid != 0));
        let ticket = ticket.map(|t| {
            early = [&t.unheard[..], &early].concat();
            t.route
        });
        match caller.into_stream() {
            Ok(stream) => self.join(identity, Joining { session, stream, early, pid, ticket, isolation: key }),
            Err(e) => {
                log_line(&format!("hand over a connection: {e}"));
                self.expect(identity, false);
            }
        }
    }

    /// How a session ended; a moment's patience for one that is about to.
    async fn why(&self, session: &str) -> Why {
        let number =
            session.split_once('-').filter(|(pid, _)| *pid == self.pid.to_string()).and_then(|(_, n)| n.parse::<u64>().ok());
        let Some(number) = number else { return Why::Unknown };
        let known = || self.fates.borrow().iter().find(|f| f.session == number).map(|f| f.why.clone());
        let wait = async {
            loop {
                let change = self.session_ended.notified();
                if known().is_some() || !self.sessions.borrow().contains_key(&number) {
                    return;
                }
                change.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, wait).await;
        if let Some(fate) = self.fates.borrow_mut().iter_mut().find(|f| f.session == number) {
            fate.is_untold = false;
        }
        known().unwrap_or(Why::Unknown)
    }

    async fn answer(self: &Rc<Self>, request: Request) -> Reply {
        match request {
            Request::Status => Reply::Status(Box::new(self.report().await)),
            Request::Url { name } => self.url(&name).await,
            Request::Record { name, stop } => self.set_recording(&name, stop).await,
            Request::Stop { name: Some(name) } => self.stop(&name).await,
            Request::Stop { name: None } => {
                Reply::Done(self.stop_all(&Why::End(0, "the daemon was stopped by `mcp daemon stop`".to_owned())).await)
            }
            Request::Start { name } => self.start(name.as_deref()),
            Request::Gc => self.tidy().await,
            Request::Leave => {
                self.leave();
                Reply::Done(Vec::new())
            }
        }
    }

    fn find(&self, name: &str) -> Option<Identity> {
        let servers = self.servers.borrow();
        let has_name = |s: &super::Server| s.name == name || s.aliases.iter().any(|a| a == name);
        servers.iter().find(|(_, s)| has_name(s)).map(|(id, _)| *id)
    }

    fn unknown(&self, name: &str) -> Reply {
        let servers = self.servers.borrow();
        let mut names: Vec<&str> = servers.values().map(|s| s.name.as_str()).collect();
        names.sort_unstable();
        let running = if names.is_empty() { "no server is running".to_owned() } else { format!("running: {}", names.join(", ")) };
        Reply::No { exit: 1, text: format!("there is no server `{name}` ({running})") }
    }

    async fn url(self: &Rc<Self>, name: &str) -> Reply {
        let identity = if let Some(identity) = self.find(name) {
            identity
        } else {
            let record = self.store.borrow().persistent(name).map(|(_, r)| r.clone());
            match record.map(|record| self.start_record(&record)) {
                None => return self.unknown(name),
                Some(Err(text)) => return Reply::No { exit: 4, text },
                Some(Ok(identity)) => identity,
            }
        };
        let wanted = self.store.borrow().servers.get(&identity.to_string()).and_then(|r| r.http.clone());
        let (sender, receiver) = oneshot::channel();
        let sent = self.servers.borrow().get(&identity).is_some_and(|s| s.orders.send(Order::Url(wanted, sender)).is_ok());
        match receiver.await {
            Ok(Ok(http)) if sent => {
                let url = http.url();
                self.publish(identity, http);
                Reply::Url(url)
            }
            Ok(Err(text)) => Reply::No { exit: 4, text },
            _ => Reply::No { exit: 4, text: format!("`{name}` ended just now") },
        }
    }

    async fn set_recording(self: &Rc<Self>, name: &str, stop: bool) -> Reply {
        let Some(identity) = self.find(name) else { return self.unknown(name) };
        let (sender, receiver) = oneshot::channel();
        let sent = self.servers.borrow().get(&identity).is_some_and(|server| {
            let header = Header {
                program: self.version.clone(),
                server: server.name.clone(),
                command: command_of(&server.record),
                cwd: server.record.cwd.clone(),
                transport: "stdio".to_owned(),
                recorder: "daemon".to_owned(),
                hops: vec!["client".to_owned(), "server".to_owned()],
                ..Header::default()
            };
            let (root, meeting) = (self.dirs.captures.clone(), Meeting::new(self.place.taps()));
            let wanted = Box::new(Wanted { header, root, meeting });
            server.orders.send(Order::Record((!stop).then_some(wanted), sender)).is_ok()
        });
        match receiver.await {
            Ok(Ok(Some(Where { session, path }))) if sent => Reply::Recording { session, path },
            Ok(Ok(None)) => Reply::No { exit: 1, text: format!("`{name}` is not being recorded") },
            Ok(Err(text)) => Reply::No { exit: 3, text },
            _ => Reply::No { exit: 4, text: format!("`{name}` ended just now") },
        }
    }

    async fn stop(self: &Rc<Self>, name: &str) -> Reply {
        let Some(identity) = self.find(name) else { return self.unknown(name) };
        let why = Why::End(0, format!("`{name}` was stopped by `mcp daemon stop`"));
        self.mark_stopped(identity);
        self.end_server(identity, &why);
        self.wait_for(identity).await;
        Reply::Done(vec![name.to_owned()])
    }

    fn mark_stopped(&self, identity: Identity) {
        let id = identity.to_string();
        if self.store.borrow().servers.get(&id).is_some_and(|r| r.is_persistent) {
            self.remember(|store| {
                if let Some(record) = store.servers.get_mut(&id) {
                    record.is_stopped = true;
                }
            });
        }
    }

    async fn wait_for(&self, identity: Identity) {
        let (sender, ended) = oneshot::channel();
        match self.ending.borrow_mut().get_mut(&identity) {
            Some(waiting) => waiting.push(sender),
            None => return,
        }
        let _ = ended.await;
    }

    /// Ends all servers, and then the daemon. Returns the names of the servers.
    pub(super) async fn stop_all(&self, why: &Why) -> Vec<String> {
        let all: Vec<Identity> = self.servers.borrow().keys().copied().collect();
        let names: Vec<String> = all.iter().filter_map(|identity| self.end_server(*identity, why)).collect();
        for identity in all {
            self.wait_for(identity).await;
        }
        // Whoever comes now starts another daemon, while this one has its last words with shims that ask.
        self.leave();
        self.is_over.set(true);
        self.changed.notify_one();
        names
    }

    fn start(self: &Rc<Self>, name: Option<&str>) -> Reply {
        let records: Vec<_> = {
            let store = self.store.borrow();
            store.servers.values().filter(|r| r.is_persistent && name.is_none_or(|n| r.name == n)).cloned().collect()
        };
        if records.is_empty()
            && let Some(name) = name
        {
            if let Some(identity) = self.find(name) {
                if let Some(server) = self.servers.borrow().get(&identity) {
                    let _ = server.orders.send(Order::Start);
                }
                return Reply::Done(vec![name.to_owned()]);
            }
            return Reply::No {
                exit: 1,
                text: format!(
                    "there is no server `{name}` that stays; `mcp run-once --persistent --name {name} -- COMMAND` makes one"
                ),
            };
        }
        let mut names = Vec::new();
        let mut troubles = Vec::new();
        for record in records {
            match self.start_record(&record) {
                Ok(_) => names.push(record.name),
                Err(text) => troubles.push(text),
            }
        }
        if troubles.is_empty() { Reply::Done(names) } else { Reply::No { exit: 4, text: troubles.join("\n") } }
    }

    /// Ends what nobody uses and removes what nobody needs.
    async fn tidy(self: &Rc<Self>) -> Reply {
        let mut done = Vec::new();
        let all: Vec<Identity> =
            self.servers.borrow().iter().filter(|(_, s)| s.lifetime != Lifetime::Persistent).map(|(id, _)| *id).collect();
        for identity in all {
            let is_idle = self.snapshot(identity).await.is_some_and(|s| s.status.clients.is_empty() && s.status.in_flight == 0);
            let is_joined = self.sessions.borrow().values().any(|s| s.identity == identity);
            if is_idle
                && !is_joined
                && let Some(name) = self.end_server(identity, &Why::Unknown)
            {
                self.wait_for(identity).await;
                done.push(format!("server {name}"));
            }
        }
        let running: Vec<String> = self.servers.borrow().values().map(|s| s.name.clone()).collect();
        self.remember(|store| store.servers.retain(|_, r| !(r.is_persistent && r.is_stopped)));
        let kept: Vec<String> =
            self.store.borrow().servers.values().filter(|r| r.is_persistent).map(|r| r.name.clone()).collect();
        done.extend(tidy_files(&self.place, |name| running.iter().chain(&kept).any(|n| n == name)));
        Reply::Done(done)
    }

    async fn snapshot(&self, identity: Identity) -> Option<Snapshot> {
        let (sender, receiver) = oneshot::channel();
        self.servers.borrow().get(&identity)?.orders.send(Order::Snapshot(sender)).ok()?;
        tokio::time::timeout(PATIENCE, receiver).await.ok()?.ok()
    }

    async fn report(&self) -> control::Report {
        let all: Vec<Identity> = self.servers.borrow().keys().copied().collect();
        let mut servers = Vec::new();
        for identity in all {
            let snapshot = self.snapshot(identity).await;
            let borrowed = self.servers.borrow();
            let Some(server) = borrowed.get(&identity) else { continue };
            let answered = snapshot.is_some();
            let Snapshot { mut status, pid, http, log_problem } = snapshot.unwrap_or_default();
            if !answered {
                // It waits for an earlier one to end, or hangs.
                "starting".clone_into(&mut status.state);
                status.reason = Some("its thread does not answer, or waits for an earlier server to end".to_owned());
            }
            let record = &server.record;
            servers.push(control::Server {
                name: server.name.clone(),
                aliases: server.aliases.clone(),
                identity: identity.to_string(),
                command: record.url.iter().chain(&record.program).chain(&record.args).cloned().collect(),
                cwd: record.program.is_some().then(|| record.cwd.clone()),
                env: record.env.keys().cloned().collect(),
                isolation: server.isolation.clone(),
                persistent: server.lifetime == Lifetime::Persistent,
                linger_ms: match server.lifetime {
                    Lifetime::Ephemeral(linger) => u64::try_from(linger.as_millis()).ok(),
                    Lifetime::Persistent => None,
                },
                pid,
                memory: pid.and_then(proc::memory_of_tree),
                uptime_ms: u64::try_from(server.started.elapsed().as_millis()).unwrap_or(u64::MAX),
                url: http.map(|h| h.url()),
                log: self.place.log(&server.name).display().to_string(),
                log_problem,
                status,
            });
        }
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        let mut problems: Vec<String> = self.problems.borrow().values().cloned().collect();
        if self.transport == "tcp" {
            let why =
                if cfg!(unix) { "the path of the socket would be too long" } else { "the system has no sockets of this kind" };
            problems.push(format!("{} is used through loopback TCP with a token: {why}", self.place.dir().display()));
        }
        let own = control::Daemon {
            version: self.version.clone(),
            pid: self.pid,
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            memory: proc::memory(self.pid),
            directory: self.place.dir().display().to_string(),
            transport: self.transport.to_owned(),
            problems,
        };
        control::Report { schema: control::SCHEMA.to_owned(), daemon: Some(own), servers, leaving: Vec::new() }
    }
}

async fn refuse(caller: Caller, (exit, text): Refusal) {
    caller.dismiss(Answer::Error(exit, text).to_string().as_bytes()).await;
}

/// Whether a version is newer than another (semantic versions; a pre-release comes before its release).
pub(super) fn is_newer(this: &str, than: &str) -> bool {
    let parts = |v: &str| -> Option<([u64; 3], String)> {
        let v = v.split('+').next().unwrap_or_default();
        let (numbers, pre) = v.split_once('-').map_or((v, ""), |(n, p)| (n, p));
        let mut numbers = numbers.split('.').map(|n| n.parse().ok());
        // Nothing sorts behind every pre-release.
        let pre = if pre.is_empty() { "\u{7f}".to_owned() } else { pre.to_owned() };
        Some(([numbers.next()??, numbers.next()??, numbers.next()??], pre))
    };
    match (parts(this), parts(than)) {
        (Some(this), Some(than)) => this > than,
        _ => false,
    }
}

/// Removes logs of servers that are gone and sockets of daemons that are.
pub(crate) fn tidy_files(place: &crate::place::Place, is_kept: impl Fn(&str) -> bool) -> Vec<String> {
    let mut done = Vec::new();
    for entry in std::fs::read_dir(place.logs()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let server = name.trim_end_matches(".1").trim_end_matches(".log");
        if !is_kept(server) && std::fs::remove_file(entry.path()).is_ok() {
            done.push(format!("log {name}"));
        }
    }
    for (_, socket) in place.leaving_sockets() {
        if matches!(crate::link::Link::connect_to(&socket), Ok(None)) && std::fs::remove_file(&socket).is_ok() {
            done.push(format!("socket {}", socket.file_name().unwrap_or_default().display()));
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (new, old) in [("0.2.0", "0.1.9"), ("0.10.0", "0.9.0"), ("1.0.0", "1.0.0-rc.1"), ("1.0.0-rc.2", "1.0.0-rc.1")] {
            assert!(is_newer(new, old) && !is_newer(old, new), "{new} {old}");
        }
        for (a, b) in [("0.1.0", "0.1.0"), ("0.1.0+x", "0.1.0"), ("", "0.1.0"), ("x", "0.1.0"), ("0.1", "0.0.9")] {
            assert!(!is_newer(a, b), "{a} {b}");
        }
    }
}
