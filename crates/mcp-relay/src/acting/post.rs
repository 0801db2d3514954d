//! Words of viewers on their way to the one thread that has a session.

use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::serve::Stage;
use super::wire::{Report, Request};

/// What that thread is told.
pub(crate) enum Word {
    /// A viewer came; what it is told goes here.
    Came(u64, SyncSender<Report>),
    /// It wants something, and waits for what is said to it.
    Asked(u64, Request, SyncSender<Report>),
    /// It left.
    Left(u64),
}

/// The viewers' end.
pub(crate) struct Post(UnboundedSender<Word>);

/// Both ends.
pub(crate) fn post() -> (Post, UnboundedReceiver<Word>) {
    let (send, receive) = unbounded_channel();
    (Post(send), receive)
}

impl Stage for Post {
    fn came(&self, viewer: u64, reports: SyncSender<Report>) {
        // With the thread the session is gone, and everybody is about to learn it.
        let _ = self.0.send(Word::Came(viewer, reports));
    }

    fn ask(&self, viewer: u64, request: Request) -> Report {
        let number = request.number;
        let (reply, answer) = sync_channel(1);
        let _ = self.0.send(Word::Asked(viewer, request, reply));
        answer.recv().unwrap_or_else(|_| Report::Failed { number, reason: "the session is over".to_owned() })
    }

    fn left(&self, viewer: u64) {
        let _ = self.0.send(Word::Left(viewer));
    }
}
