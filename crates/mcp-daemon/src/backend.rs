//! One server and its clients, on a thread of their own: whatever happens to it happens to no other.

mod dummy;
mod record;
mod session;
mod web;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use mcp_os::dirs::Dirs;
use mcp_os::guard::Guard;
use mcp_relay::hub::{Hub, Limits};
use mcp_relay::route::Note;
use mcp_relay::shared::{Config, Shared};
use mcp_relay::status::Status;
use mcp_relay::transport::child::{ChildConnector, Spec};
use mcp_relay::upstream::Connector;
use mcp_wire::version::Era;
use tokio::runtime::LocalOptions;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::call::Lifetime;
use crate::hello::Why;
use crate::identity::Identity;
use crate::log::Log;
use crate::store::Http;

pub(crate) use record::{Wanted, Where};
pub(crate) use session::{Joining, Stream};

/// What is served.
pub(crate) enum Source {
    /// A server that is our child.
    Child(Spec),
    /// A process that is no server.
    Dummy(Spec),
    /// A server elsewhere.
    Remote(Remote),
}

/// How a server elsewhere is reached.
pub(crate) struct Remote {
    pub(crate) url: String,
    /// Names and values.
    pub(crate) headers: Vec<(String, String)>,
    /// Where the logins of the user are.
    pub(crate) dirs: Dirs,
}

impl Remote {
    /// As a caller wants it.
    pub(crate) fn new(url: &str, headers: &[String], dirs: &Dirs) -> Self {
        let pairs = headers.iter().filter_map(|h| crate::call::header(h));
        let headers = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { url: url.to_owned(), headers, dirs: dirs.clone() }
    }
}

/// All a server is started with.
pub(crate) struct Plan {
    pub(crate) identity: Identity,
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) config: Config,
    pub(crate) lifetime: Lifetime,
    pub(crate) log: PathBuf,
    /// Where it is reached by URL from the start.
    pub(crate) http: Option<Http>,
    /// Over when an earlier server of the same identity has ended: two of them might be after the same files.
    pub(crate) after: Option<oneshot::Receiver<()>>,
    pub(crate) guard: Option<Arc<Guard>>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
}

/// What a server's thread is told.
pub(crate) enum Order {
    /// A client comes.
    Join(Joining),
    /// Be running though nobody is there.
    Start,
    /// Stay so long.
    Lifetime(Lifetime),
    /// Be reached by URL.
    Url(Option<Http>, oneshot::Sender<Result<Http, String>>),
    /// Be recorded as this; `None`: no more.
    Record(Option<Box<Wanted>>, oneshot::Sender<Result<Option<Where>, String>>),
    /// How do things stand?
    Snapshot(oneshot::Sender<Snapshot>),
    /// Have clients go on elsewhere as soon as nothing of them is under way.
    HandOver,
    /// End; calls may take so long to be answered.
    End(Duration),
    /// A task on this thread panicked, with these words: nothing here can be relied on any more.
    Panicked(String),
}

thread_local! {
    /// How the hook for panics reaches the thread it runs on. A panic in a task is caught by the runtime and seen by nobody.
    static OWN: RefCell<Option<mpsc::WeakUnboundedSender<Order>>> = const { RefCell::new(None) };
}

/// Has a panic on a server's thread end that server, whichever task it was in.
pub(crate) fn watch_for_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        let text = panic.payload_as_str().unwrap_or("a panic");
        let place = panic.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        let _ = OWN.try_with(|own| {
            let orders = own.try_borrow().ok()?.as_ref()?.upgrade()?;
            orders.send(Order::Panicked(format!("{text}{place}"))).ok()
        });
    }));
}

/// How things stand.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    pub(crate) pid: Option<u32>,
    pub(crate) http: Option<Http>,
    pub(crate) log_problem: Option<String>,
}

/// What a server's thread tells.
pub(crate) enum Report {
    /// Nobody has been there for as long as it stays; so many clients had come until then.
    Idle(Identity, u64),
    /// A session ended.
    SessionEnded(u64, Why),
    /// It opened in this era.
    Era(Identity, Era),
    /// It asked something.
    Interactive(Identity),
    /// The thread is over; the text of its panic, if that is why.
    Ended(Identity, Option<String>),
}

/// Starts a server's thread. The server itself starts with its first client.
pub(crate) fn start(plan: Plan) -> io::Result<mpsc::UnboundedSender<Order>> {
    let (orders, receiver) = mpsc::unbounded_channel();
    let thread = std::thread::Builder::new().name(plan.name.chars().take(15).collect()).stack_size(1 << 20);
    let own = orders.downgrade();
    thread.spawn(move || {
        OWN.with(|o| *o.borrow_mut() = Some(own));
        let (identity, reports) = (plan.identity, plan.reports.clone());
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(work(plan, receiver)).err(),
                Err(e) => Some(format!("start its runtime: {e}")),
            }
        }));
        let panic = ended.unwrap_or_else(|panic| Some(text_of(&*panic)));
        // The daemon may be gone: then nobody asks.
        let _ = reports.send(Report::Ended(identity, panic));
    })?;
    Ok(orders)
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|t| (*t).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic".to_owned())
}

/// What the route had to say, as far as it matters here.
struct Signs {
    idle_since: Cell<Option<Instant>>,
    is_ended: Cell<bool>,
    changed: Notify,
}

/// Serves to the end. An error is a panic in one of the tasks.
async fn work(plan: Plan, mut orders: mpsc::UnboundedReceiver<Order>) -> Result<(), String> {
    if let Some(after) = plan.after {
        // An error says the same: it is over.
        let _ = after.await;
    }
    let log = Rc::new(RefCell::new(Log::new(plan.log)));
    let sink_log = Rc::clone(&log);
    let sink: Sink = Rc::new(move |origin, line| sink_log.borrow_mut().line(origin, line));
    let secrets = secrets_of(&plan.source);
    let mut recording: Option<record::Recording> = None;
    let connector = match connector(plan.source, plan.guard, &sink) {
        Ok(connector) => connector,
        Err(text) => {
            log.borrow_mut().line("mcp", &text);
            refuse_all(&mut orders, &plan.reports, &text).await;
            return Ok(());
        }
    };
    let hub = Hub::new(Box::new(Shared::new(plan.config)), connector, Limits::default());
    let signs =
        Rc::new(Signs { idle_since: Cell::new(Some(Instant::now())), is_ended: Cell::new(false), changed: Notify::new() });
    listen(&hub, plan.identity, &plan.reports, &log, &signs);
    let mut sessions = JoinSet::new();
    // One for each session; those that are over are dropped as others come.
    let mut wishes: Vec<Weak<Notify>> = Vec::new();
    let mut lifetime = plan.lifetime;
    let mut joins = 0;
    let mut web = web::Web::default();
    if let Some(http) = plan.http
        && let Err(text) = web.open(&hub, Some(http), &log).await
    {
        log.borrow_mut().line("mcp", &text);
    }
    let patience = loop {
        let expiry = match (lifetime, signs.idle_since.get()) {
            (Lifetime::Ephemeral(linger), Some(since)) => Some(since + linger),
            _ => None,
        };
        let expired = async {
            match expiry {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Join(joining)) => {
                    joins += 1;
                    #[cfg(feature = "testing")]
                    if plan.name == "panics-for-a-test" {
                        tokio::task::spawn_local(async { panic!("a test wants it") });
                    }
                    let wish = Rc::new(Notify::new());
                    wishes.retain(|w| w.strong_count() > 0);
                    wishes.push(Rc::downgrade(&wish));
                    // The route hears of the client only when its task gets its first turn.
                    signs.idle_since.set(None);
                    let serving = session::serve(hub.clone(), joining, wish, plan.reports.clone());
                    let (hub, signs) = (hub.clone(), Rc::clone(&signs));
                    sessions.spawn_local(async move {
                        serving.await;
                        // One whose socket could not be taken over never was a client.
                        if signs.idle_since.get().is_none() && hub.status().clients.is_empty() {
                            signs.idle_since.set(Some(Instant::now()));
                            signs.changed.notify_one();
                        }
                    });
                    while sessions.try_join_next().is_some() {}
                }
                Some(Order::Start) => hub.start(),
                Some(Order::Lifetime(new)) => lifetime = new,
                Some(Order::Url(wanted, reply)) => {
                    // Whoever asked may be gone.
                    let _ = reply.send(web.open(&hub, wanted, &log).await);
                }
                Some(Order::Record(wanted, reply)) => {
                    let result = match wanted {
                        None => {
                            let ended = recording.take();
                            let place = ended.as_ref().map(record::Recording::place);
                            if let Some(ended) = ended {
                                ended.end(Some(&hub));
                            }
                            Ok(place)
                        }
                        Some(_) if recording.is_some() => Ok(recording.as_ref().map(record::Recording::place)),
                        Some(wanted) => record::Recording::begin(&hub, *wanted, &secrets).map(|begun| {
                            let place = begun.place();
                            recording = Some(begun);
                            Some(place)
                        }),
                    };
                    let _ = reply.send(result);
                }
                Some(Order::Snapshot(reply)) => {
                    let log_problem = log.borrow().problem();
                    let _ = reply.send(Snapshot { status: hub.status(), pid: hub.pid(), http: web.http(), log_problem });
                }
                Some(Order::HandOver) => {
                    // What is held would keep its client here.
                    hub.stop_acting();
                    wishes.iter().filter_map(Weak::upgrade).for_each(|wish| wish.notify_one());
                }
                Some(Order::End(patience)) => break patience,
                Some(Order::Panicked(text)) => return Err(text),
                // The daemon's main thread is gone.
                None => break Duration::ZERO,
            },
            () = expired => {
                signs.idle_since.set(Some(Instant::now()));
                let _ = plan.reports.send(Report::Idle(plan.identity, joins));
            }
            () = signs.changed.notified() => {}
        }
    };
    // Its last words are recorded as well.
    let observed = hub.downgrade();
    end(hub, &signs, sessions, web, patience).await;
    if let Some(recording) = recording {
        recording.end(observed.get().as_ref());
    }
    Ok(())
}

/// Values of variables, and of headers, that are secret by their names.
fn secrets_of(source: &Source) -> Vec<String> {
    let is_secret = |name: &str| mcp_capture::redact::is_secret_name(name);
    match source {
        Source::Child(spec) | Source::Dummy(spec) => {
            let text = |(name, value): &(_, std::ffi::OsString)| {
                let name: &std::ffi::OsString = name;
                Some((name.to_str()?, value.to_str()?)).filter(|(name, _)| is_secret(name)).map(|(_, value)| value.to_owned())
            };
            spec.env.iter().filter_map(text).collect()
        }
        Source::Remote(remote) => {
            remote.headers.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.clone()).collect()
        }
    }
}

/// Takes what a server says beside the protocol: where it said it, and the line.
pub(crate) type Sink = Rc<dyn Fn(&str, &str)>;

/// What starts the server or connects to it.
pub(crate) fn connector(source: Source, guard: Option<Arc<Guard>>, sink: &Sink) -> Result<Box<dyn Connector>, String> {
    match source {
        Source::Child(spec) => {
            let sink = Rc::clone(sink);
            let child = ChildConnector::new(spec, Rc::new(move |line| sink("stderr", line)));
            Ok(Box::new(match guard {
                Some(guard) => child.with_guard(guard),
                None => child,
            }))
        }
        Source::Dummy(spec) => Ok(Box::new(dummy::Dummy::new(spec, Rc::clone(sink), guard))),
        Source::Remote(remote) => web::remote(remote),
    }
}

/// Tells everybody who comes that there is no server.
async fn refuse_all(orders: &mut mpsc::UnboundedReceiver<Order>, reports: &mpsc::UnboundedSender<Report>, text: &str) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Join(joining) => {
                let _ = reports.send(Report::SessionEnded(joining.session, Why::End(4, text.to_owned())));
            }
            Order::Url(_, reply) => drop(reply.send(Err(text.to_owned()))),
            Order::Snapshot(reply) => {
                let status = Status { state: "failed".to_owned(), reason: Some(text.to_owned()), ..Status::default() };
                let _ = reply.send(Snapshot { status, ..Snapshot::default() });
            }
            Order::Record(_, reply) => drop(reply.send(Err(text.to_owned()))),
            Order::End(_) | Order::Panicked(_) => return,
            Order::Start | Order::Lifetime(_) | Order::HandOver => {}
        }
    }
}

/// Passes on what the route has to say.
fn listen(hub: &Hub, identity: Identity, reports: &mpsc::UnboundedSender<Report>, log: &Rc<RefCell<Log>>, signs: &Rc<Signs>) {
    let (reports, log, signs) = (reports.clone(), Rc::clone(log), Rc::clone(signs));
    hub.on_note(Rc::new(move |note| {
        let idle = match note {
            Note::Log(text) => return log.borrow_mut().line("mcp", text),
            Note::GaveUp(text) => return log.borrow_mut().line("mcp", &format!("not started again: {text}")),
            Note::Era(era) => return drop(reports.send(Report::Era(identity, *era))),
            Note::Interactive => return drop(reports.send(Report::Interactive(identity))),
            Note::Idle => Some(Instant::now()),
            Note::Busy => None,
            Note::Ended => {
                signs.is_ended.set(true);
                signs.changed.notify_one();
                return;
            }
        };
        signs.idle_since.set(idle);
        signs.changed.notify_one();
    }));
}

/// Ends the server: its calls are answered, if that does not take too long; then it is closed in the orderly way.
async fn end(hub: Hub, signs: &Signs, mut sessions: JoinSet<()>, web: web::Web, patience: Duration) {
    /// What the orderly way may take beyond the calls: see `mcp_relay::transport::child::Patience`.
    const ORDERLY: Duration = Duration::from_secs(8);
    let pid = hub.pid();
    hub.drain();
    let ended = async {
        while !signs.is_ended.get() {
            signs.changed.notified().await;
        }
    };
    let is_ended = tokio::time::timeout(patience + ORDERLY, ended).await.is_ok();
    web.close().await;
    if is_ended {
        // Last words are on their way to the clients.
        let farewell = async { while sessions.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), farewell).await;
        return;
    }
    // Without the hub, the server is closed as though nobody had called it.
    sessions.abort_all();
    while sessions.join_next().await.is_some() {}
    drop(hub);
    let deadline = Instant::now() + ORDERLY;
    while let Some(pid) = pid
        && mcp_os::proc::is_running(pid) == Some(true)
        && Instant::now() < deadline
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
