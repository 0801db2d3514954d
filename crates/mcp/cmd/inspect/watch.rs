//! Tells the screen that a file has grown. The file is the truth; nothing else is asked.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_capture::Session;
use mcp_tui::terminal::Waker;

/// How late a screen may be. To ask for a file's length this often takes no time that can be measured.
const EVERY: Duration = Duration::from_millis(50);

/// Watches until it is dropped.
pub(super) struct Watch {
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// Watches a session: its file, and whether there is a next part. Of one that has ended nothing more comes.
    pub(super) fn start(first: &Path, session: &Session, waker: Waker) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        if session.is_ended() {
            return Self { is_over };
        }
        let (path, over) = (first.to_owned(), Arc::clone(&is_over));
        // Without a thread the screen still shows what was there, and `ctrl-l` looks again.
        let _ = std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let mut seen = size(&path);
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(EVERY);
                let now = size(&path);
                if now != seen {
                    seen = now;
                    waker.wake();
                }
            }
        });
        Self { is_over }
    }
}

impl Watch {
    /// Set when the session leaves the screen.
    pub(super) fn ending(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_over)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// The length of all parts.
fn size(first: &Path) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map(|meta| meta.len());
    let mut total = length(first).unwrap_or(0);
    for part in 2.. {
        match length(&mcp_capture::store::names::part(first, part)) {
            Ok(more) => total += more,
            Err(_) => break,
        }
    }
    total
}
