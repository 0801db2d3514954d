//! Looks after everything that takes too long, at intervals: slow and silent connections, quiet streams, forgotten sessions.

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::session::Session;
use super::{HttpOptions, Server};

/// How often. A quarter of the shortest limit, so that each is kept to about that.
fn interval(options: &HttpOptions) -> Duration {
    let limits = [
        options.session_idle,
        options.connection_idle,
        options.read_timeout,
        options.write_timeout,
        options.keep_alive,
        options.keep_answer,
    ];
    let shortest = limits.into_iter().min().unwrap_or_default();
    (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(5))
}

/// Runs as long as the server is there. Sleeps while it has neither connections nor sessions.
pub(super) async fn sweep(server: Weak<Server>) {
    let Some(interval) = server.upgrade().map(|server| interval(&server.options)) else { return };
    loop {
        tokio::time::sleep(interval).await;
        let Some(server) = server.upgrade() else { return };
        let changed = server.changed.notified();
        if server.connections.borrow().is_empty() && server.sessions.borrow().is_empty() {
            changed.await;
            continue;
        }
        once(&server, Instant::now());
    }
}

fn once(server: &Rc<Server>, now: Instant) {
    let options = &server.options;
    // Both lists are copied: what is swept may leave them.
    let connections: Vec<Rc<Connection>> = server.connections.borrow().values().cloned().collect();
    for connection in connections {
        connection.sweep(now, options);
    }
    let sessions: Vec<Rc<Session>> = server.sessions.borrow().values().cloned().collect();
    for session in sessions {
        session.sweep(now, options.keep_answer);
        if !session.is_read() && now.saturating_duration_since(session.last_used()) > options.session_idle {
            session.close("the session was idle for too long");
        }
    }
}
