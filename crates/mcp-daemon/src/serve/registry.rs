//! Which servers there are, who joins which, and when one goes.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_os::clock;
use mcp_os::guard::Guard;
use mcp_relay::shared::{Attribution, ClientCapabilities, Config, Restart, UpstreamEra};
use mcp_relay::transport::child::Spec;
use mcp_wire::version::Era;
use tokio::sync::{mpsc, oneshot};

use super::{Daemon, Session, log_line};
use crate::backend::{self, Order, Plan, Remote, Report, Source};
use crate::call::{self, Call, Lifetime, What};
use crate::hello::Why;
use crate::identity::{self, Identity};
use crate::store::{Http, Record};

/// How long calls may take to be answered when their server is to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A server, as the main thread knows it.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    /// Somebody chose the name.
    is_name_given: bool,
    /// The identity without what isolates it.
    base: Identity,
    pub(super) isolation: Option<String>,
    pub(super) record: Record,
    pub(super) lifetime: Lifetime,
    pub(super) started: Instant,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    joins: u64,
}

/// A caller that cannot be served: the exit code and why.
pub(super) type Refusal = (u8, String);

/// A caller's wish, with its command found.
pub(super) struct Wish {
    pub(super) call: Call,
    program: Option<PathBuf>,
    base: Identity,
}

impl Daemon {
    /// Finds the command of a call and checks its name.
    pub(super) fn wish(&self, call: Call) -> Result<Wish, Refusal> {
        let program = match &call.options.what {
            What::Command { program, .. } | What::Dummy { program, .. } => {
                Some(identity::resolve(&call, program).ok_or_else(|| {
                    let path = call.var("PATH").unwrap_or_default();
                    (
                        2,
                        format!(
                            "there is no program `{}` (looked for it from {} on PATH {})",
                            program.display(),
                            call.cwd.display(),
                            path.display()
                        ),
                    )
                })?)
            }
            What::Url(_) => None,
        };
        if let Some(name) = &call.options.name {
            identity::check_name(name).map_err(|why| (2, format!("`{name}` cannot be a name: {why}")))?;
        }
        let base = identity::identity(&call, program.as_deref(), &self.salt, "");
        let wish = Wish { call, program, base };
        self.check_clash(&wish)?;
        Ok(wish)
    }

    /// A name that was given belongs to one command.
    fn check_clash(&self, wish: &Wish) -> Result<(), Refusal> {
        let Some(name) = &wish.call.options.name else { return Ok(()) };
        let servers = self.servers.borrow();
        let holder = servers.values().find(|s| (s.name == *name || s.aliases.contains(name)) && s.base != wish.base);
        let Some(holder) = holder else { return Ok(()) };
        if !holder.is_name_given {
            // It can have another one.
            return Ok(());
        }
        let new = self.record(wish, false);
        if is_same_command(&holder.record, &new) {
            // One entry serves several folders, and clients differ in the variables they hand on: it gets a number.
            return Ok(());
        }
        let text = format!(
            "the name `{name}` belongs to another command\n  running: {}\n  asked:   {}\ngive one of them another `--name`, or end the first with `mcp daemon stop {name}`",
            command_line(&holder.record),
            command_line(&new)
        );
        Err((2, text))
    }

    /// What is kept about a server.
    fn record(&self, wish: &Wish, is_persistent: bool) -> Record {
        let call = &wish.call;
        let options = &call.options;
        let text = |word: &OsStr| word.to_string_lossy().into_owned();
        let (args, url, is_dummy) = match &options.what {
            What::Command { args, .. } => (args.iter().map(|a| text(a)).collect(), None, false),
            What::Dummy { args, .. } => (args.iter().map(|a| text(a)).collect(), None, true),
            What::Url(url) => (Vec::new(), Some(url.clone()), false),
        };
        let hashed = |(name, value): (&OsStr, &OsStr)| (text(name), identity::hash_of_value(&self.salt, name, value));
        Record {
            name: String::new(),
            program: wish.program.as_ref().map(|p| text(p.as_os_str())),
            args,
            url,
            is_dummy,
            cwd: text(call.cwd.as_os_str()),
            env: identity::variables(call).into_iter().map(hashed).collect(),
            env_keys: options.env_keys.clone(),
            headers: options.headers.iter().filter_map(|h| call::header(h)).map(|(name, _)| name.to_owned()).collect(),
            upstream_era: options.upstream_era.clone(),
            client_capabilities: options.client_capabilities.clone(),
            attribution: options.attribution.clone(),
            restart: options.restart.clone(),
            is_persistent,
            is_stopped: false,
            http: None,
            era: None,
            is_interactive: false,
            used: clock::now_ms(),
        }
    }

    /// The server a caller means, running or started.
    pub(super) fn server_for(self: &Rc<Self>, wish: &Wish, isolation: Option<String>) -> Result<Identity, Refusal> {
        self.check_clash(wish)?;
        let key = isolation.as_deref().unwrap_or("");
        let identity = identity::identity(&wish.call, wish.program.as_deref(), &self.salt, key);
        let options = &wish.call.options;
        // A thread that is gone without a word has nothing to say any more.
        let is_gone = self.servers.borrow().get(&identity).is_some_and(|s| s.orders.is_closed());
        if is_gone {
            self.servers.borrow_mut().remove(&identity);
        }
        if let Some(server) = self.servers.borrow_mut().get_mut(&identity) {
            if let Some(name) = options.name.as_ref().filter(|n| **n != server.name && !server.aliases.contains(n)) {
                if server.is_name_given {
                    server.aliases.push(name.clone());
                } else {
                    server.aliases.push(std::mem::replace(&mut server.name, name.clone()));
                    server.is_name_given = true;
                }
            }
            let longer = match (server.lifetime, options.lifetime) {
                (Lifetime::Persistent, _) | (_, Lifetime::Persistent) => Lifetime::Persistent,
                (Lifetime::Ephemeral(a), Lifetime::Ephemeral(b)) => Lifetime::Ephemeral(a.max(b)),
            };
            if longer != server.lifetime {
                server.lifetime = longer;
                let _ = server.orders.send(Order::Lifetime(longer));
            }
        } else {
            self.start_server(wish, identity, isolation)?;
        }
        if options.lifetime == Lifetime::Persistent {
            self.keep(identity);
        }
        Ok(identity)
    }

    /// Has a server outlive the daemon.
    pub(super) fn keep(&self, identity: Identity) {
        let record = self.servers.borrow().get(&identity).map(|s| Record { name: s.name.clone(), ..s.record.clone() });
        let Some(record) = record else { return };
        self.remember(|store| {
            let known = store.servers.entry(identity.to_string()).or_default();
            let (http, era, is_interactive) = (known.http.take(), known.era.take(), known.is_interactive);
            *known =
                Record { is_persistent: true, is_stopped: false, http, era, is_interactive, used: clock::now_ms(), ..record };
        });
    }

    fn start_server(self: &Rc<Self>, wish: &Wish, identity: Identity, isolation: Option<String>) -> Result<(), Refusal> {
        let options = &wish.call.options;
        let name = self.free_name(wish);
        let mut record = self.record(wish, options.lifetime == Lifetime::Persistent);
        record.name.clone_from(&name);
        let known = self.store.borrow().servers.get(&identity.to_string()).cloned().unwrap_or_default();
        let config = config(&record, &known).map_err(|text| (2, text))?;
        let spec = |args: &[OsString]| Spec {
            program: wish.program.clone().unwrap_or_default(),
            args: args.to_vec(),
            env: wish.call.env.clone(),
            cwd: Some(wish.call.cwd.clone()),
        };
        let source = match &options.what {
            What::Command { args, .. } => Source::Child(spec(args)),
            What::Dummy { args, .. } => Source::Dummy(spec(args)),
            What::Url(url) => Source::Remote(Remote::new(url, &options.headers, &self.dirs)),
        };
        let after = self.ending.borrow_mut().get_mut(&identity).map(|waiting| {
            let (sender, receiver) = oneshot::channel();
            waiting.push(sender);
            receiver
        });
        let plan = Plan {
            identity,
            name: name.clone(),
            source,
            config,
            lifetime: options.lifetime,
            log: self.place.log(&name),
            http: known.http.filter(|_| known.is_persistent),
            after,
            guard: self.guard(),
            reports: self.reports.clone(),
        };
        let orders = backend::start(plan).map_err(|e| (4, format!("start a thread for `{name}`: {e}")))?;
        log_line(&format!("server `{name}` ({identity}): {}", command_line(&record)));
        let server = Server {
            name,
            aliases: Vec::new(),
            is_name_given: options.name.is_some(),
            base: wish.base,
            isolation,
            record,
            lifetime: options.lifetime,
            started: Instant::now(),
            orders,
            joins: 0,
        };
        self.servers.borrow_mut().insert(identity, server);
        Ok(())
    }

    /// A name nobody has: the one that was given, or one made of the command.
    fn free_name(&self, wish: &Wish) -> String {
        let wanted = wish.call.options.name.clone().unwrap_or_else(|| identity::short_name(&wish.call.options.what));
        let servers = self.servers.borrow();
        let store = self.store.borrow();
        let is_taken = |name: &str| {
            servers.values().any(|s| s.name == name || s.aliases.iter().any(|a| a == name))
                || wish.call.options.name.is_none()
                    && store.servers.values().any(|r| r.is_persistent && r.name == name && !is_same(r, wish))
        };
        if !is_taken(&wanted) {
            return wanted;
        }
        let numbered = (2..).map(|n| format!("{wanted}-{n}"));
        numbered.into_iter().find(|name| !is_taken(name)).unwrap_or(wanted)
    }

    /// Ends the servers should the daemon be killed. Started with the first server; without it the work goes on.
    fn guard(&self) -> Option<Arc<Guard>> {
        let mut guard = self.guard.borrow_mut();
        if guard.is_none() {
            let started = std::env::current_exe()
                .map_err(|e| e.to_string())
                .and_then(|program| Guard::start(&program).map_err(|e| mcp_os::causes::on_one_line(&e)));
            match started {
                Ok(started) => *guard = Some(Arc::new(started)),
                Err(text) => self.set_problem("guard", Some(format!("{text}: servers would outlive a daemon that is killed"))),
            }
        }
        guard.clone()
    }

    /// A new session's number.
    pub(super) fn new_session(&self) -> u64 {
        self.last_session.set(self.last_session.get() + 1);
        self.last_session.get()
    }

    /// A client is about to be sent to a server, which must not end meanwhile; or is not, after all.
    pub(super) fn expect(&self, identity: Identity, comes: bool) {
        if let Some(server) = self.servers.borrow_mut().get_mut(&identity) {
            server.joins = if comes { server.joins + 1 } else { server.joins.saturating_sub(1) };
        }
    }

    /// Sends a client that was expected to its server.
    pub(super) fn join(&self, identity: Identity, joining: backend::Joining) {
        let session = joining.session;
        self.sessions.borrow_mut().insert(session, Session { identity, fate: None });
        let hands_over = self.is_leaving.get() && self.door.borrow().is_some();
        let sent = self.servers.borrow().get(&identity).map(|server| {
            let sent = server.orders.send(Order::Join(joining)).is_ok();
            if hands_over {
                // It came in the last moment, when the others had been told already.
                let _ = server.orders.send(Order::HandOver);
            }
            sent
        });
        if sent != Some(true) {
            self.end_session(session, Why::End(4, "the server's thread ended".to_owned()));
        }
    }

    /// Takes a server out and has it end. New callers get a new one, which waits for this one's end.
    pub(super) fn end_server(&self, identity: Identity, why: &Why) -> Option<String> {
        let server = self.servers.borrow_mut().remove(&identity)?;
        if *why != Why::Unknown {
            for session in self.sessions.borrow_mut().values_mut().filter(|s| s.identity == identity && s.fate.is_none()) {
                session.fate = Some(why.clone());
            }
        }
        self.ending.borrow_mut().entry(identity).or_default();
        if server.orders.send(Order::End(PATIENCE)).is_err() {
            self.ended(identity);
        }
        self.state.borrow_mut().ports.remove(&server.name);
        self.save_state();
        self.changed.notify_one();
        Some(server.name)
    }

    fn ended(&self, identity: Identity) {
        for waiting in self.ending.borrow_mut().remove(&identity).into_iter().flatten() {
            // It may have been told to end as well.
            let _ = waiting.send(());
        }
        self.changed.notify_one();
    }

    /// Every server goes as soon as nobody is there; clients go on with the next daemon, if they can ask where.
    pub(super) fn release_all(&self, hand_over: bool) {
        for server in self.servers.borrow_mut().values_mut() {
            if hand_over {
                let _ = server.orders.send(Order::HandOver);
            }
            server.lifetime = Lifetime::Ephemeral(Duration::ZERO);
            let _ = server.orders.send(Order::Lifetime(server.lifetime));
        }
    }

    /// What a server's thread tells.
    pub(super) fn take(&self, report: Report) {
        match report {
            Report::Idle(identity, joins) => {
                let is_idle =
                    self.servers.borrow().get(&identity).is_some_and(|s| s.joins == joins && s.lifetime != Lifetime::Persistent);
                if is_idle && let Some(name) = self.end_server(identity, &Why::Unknown) {
                    log_line(&format!("server `{name}`: nobody uses it any more"));
                }
            }
            Report::SessionEnded(session, why) => self.end_session(session, why),
            Report::Era(identity, era) => self.learn(identity, |record| record.era = Some(era.word().to_owned())),
            Report::Interactive(identity) => self.learn(identity, |record| record.is_interactive = true),
            Report::Ended(identity, panic) => {
                let lost = panic.is_some().then(|| self.servers.borrow_mut().remove(&identity)).flatten();
                if let Some(text) = panic {
                    let name = lost.map_or_else(|| identity.to_string(), |s| s.name);
                    log_line(&format!("server `{name}`: its thread ended: {text}"));
                    let why = Why::End(70, format!("`{name}` was ended by a bug in mcp: {text}"));
                    let sessions: Vec<u64> =
                        self.sessions.borrow().iter().filter(|(_, s)| s.identity == identity).map(|(id, _)| *id).collect();
                    for session in sessions {
                        self.end_session(session, why.clone());
                    }
                }
                self.ended(identity);
            }
        }
    }

    fn end_session(&self, number: u64, why: Why) {
        let Some(session) = self.sessions.borrow_mut().remove(&number) else { return };
        self.add_fate(number, session.fate.unwrap_or(why));
    }

    fn learn(&self, identity: Identity, change: impl FnOnce(&mut Record)) {
        let record = self.servers.borrow().get(&identity).map(|s| Record { name: s.name.clone(), ..s.record.clone() });
        let Some(record) = record else { return };
        self.remember(|store| {
            let known = store.servers.entry(identity.to_string()).or_insert(record);
            known.used = clock::now_ms();
            change(known);
        });
    }

    /// Remembers where a server is reached by URL, and has it stay.
    pub(super) fn publish(&self, identity: Identity, http: Http) {
        let server = self.servers.borrow_mut().get_mut(&identity).map(|server| {
            server.lifetime = Lifetime::Persistent;
            let _ = server.orders.send(Order::Lifetime(Lifetime::Persistent));
            server.name.clone()
        });
        let Some(name) = server else { return };
        self.keep(identity);
        self.state.borrow_mut().ports.insert(name, http.port);
        self.save_state();
        self.remember(|store| {
            if let Some(record) = store.servers.get_mut(&identity.to_string()) {
                record.http = Some(http);
            }
        });
    }

    /// Starts the servers that stay, as far as their variables are known here.
    pub(super) fn start_persistent(self: &Rc<Self>) {
        let records: Vec<Record> =
            self.store.borrow().servers.values().filter(|r| r.is_persistent && !r.is_stopped).cloned().collect();
        for record in records {
            if let Err(text) = self.start_record(&record) {
                log_line(&text);
            }
        }
    }

    /// Starts a server that stays from what is kept about it.
    pub(super) fn start_record(self: &Rc<Self>, record: &Record) -> Result<Identity, String> {
        let call = call_of(record);
        let named = |text: String| format!("server `{}` is not started: {text}", record.name);
        let missing: Vec<&str> = record
            .env
            .iter()
            .filter(|(name, hash)| {
                let value = call.var(name);
                value.is_none_or(|v| identity::hash_of_value(&self.salt, OsStr::new(name), v) != **hash)
            })
            .map(|(name, _)| name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(named(format!("it needs {} as its client sets it; it starts with that client", missing.join(", "))));
        }
        if !record.headers.is_empty() {
            let names = record.headers.join(", ");
            return Err(named(format!("it needs the headers its client gives ({names}); it starts with that client")));
        }
        let wish = self.wish(call).map_err(|(_, text)| named(text))?;
        let identity = self.server_for(&wish, None).map_err(|(_, text)| named(text))?;
        if let Some(server) = self.servers.borrow().get(&identity) {
            let _ = server.orders.send(Order::Start);
        }
        Ok(identity)
    }
}

/// Whether two callers wrote the same words, wherever each of them found the program.
fn is_same_command(a: &Record, b: &Record) -> bool {
    let file = |record: &Record| Some(std::path::Path::new(record.program.as_ref()?).file_name()?.to_owned());
    file(a) == file(b) && a.args == b.args && a.url == b.url && a.is_dummy == b.is_dummy
}

fn is_same(record: &Record, wish: &Wish) -> bool {
    record.program.as_deref().map(OsStr::new) == wish.program.as_ref().map(|p| p.as_os_str())
        && record.cwd == wish.call.cwd.to_string_lossy()
}

/// The call that would have led to a record, made from this process's environment.
fn call_of(record: &Record) -> Call {
    let args = record.args.iter().map(OsString::from).collect();
    let what = match (&record.url, record.program.clone().unwrap_or_default().into()) {
        (Some(url), _) => What::Url(url.clone()),
        (None, program) if record.is_dummy => What::Dummy { program, args },
        (None, program) => What::Command { program, args },
    };
    let mut options = crate::call::Options::new(what);
    options.name = Some(record.name.clone());
    options.lifetime = Lifetime::Persistent;
    options.upstream_era.clone_from(&record.upstream_era);
    options.client_capabilities.clone_from(&record.client_capabilities);
    options.attribution.clone_from(&record.attribution);
    options.restart.clone_from(&record.restart);
    options.env_keys.clone_from(&record.env_keys);
    // Variables that tell servers apart and were not there then would make it another server.
    let is_known =
        |name: &OsStr| name.to_str().is_none_or(|n| record.env.contains_key(n) || !identity::matters(n, &record.env_keys));
    let env = std::env::vars_os().filter(|(name, _)| is_known(name) && name != "MALLOC_ARENA_MAX").collect();
    Call { options, cwd: record.cwd.clone().into(), env, pid: 0, version: super::version(), ticket: None }
}

/// A command on one line, quoted where need be.
pub(super) fn command_line(record: &Record) -> String {
    if let Some(url) = &record.url {
        return url.clone();
    }
    let words = record.program.iter().chain(&record.args);
    let quoted = words.map(|word| {
        let is_plain = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./:=@%+,~".contains(c));
        if is_plain { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// How the server is shared.
pub(crate) fn config(record: &Record, known: &Record) -> Result<Config, String> {
    let bad = |option: &str, value: &str| format!("`{option}` cannot be `{value}`");
    Ok(Config {
        upstream_era: match record.upstream_era.as_str() {
            "auto" => UpstreamEra::Auto,
            "legacy" => UpstreamEra::Legacy,
            "modern" => UpstreamEra::Modern,
            other => return Err(bad("--upstream-era", other)),
        },
        client_capabilities: match record.client_capabilities.as_str() {
            "first" => ClientCapabilities::First,
            "full" => ClientCapabilities::Full,
            "none" => ClientCapabilities::None,
            other if other.trim_start().starts_with('{') => match serde_json::from_str::<serde_json::Value>(other) {
                Ok(_) => ClientCapabilities::Json(other.to_owned()),
                Err(e) => return Err(format!("`--client-capabilities` is no JSON object: {e}")),
            },
            other => return Err(bad("--client-capabilities", other)),
        },
        attribution: match record.attribution.as_str() {
            "baton" => Attribution::Baton,
            "strict" => Attribution::Strict,
            "reject" => Attribution::Reject,
            other => return Err(bad("--attribution", other)),
        },
        restart: match record.restart.as_str() {
            "on-failure" => Restart::OnFailure,
            "never" => Restart::Never,
            other => return Err(bad("--restart", other)),
        },
        known_era: match known.era.as_deref() {
            Some("legacy") => Some(Era::Legacy),
            Some("modern") => Some(Era::Modern),
            _ => None,
        },
        is_interactive: known.is_interactive,
        ..Config::default()
    })
}
