//! How a server ends, by itself or because it is asked to, and how the hub comes to know.

use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::hub::WeakHub;
use crate::upstream::Fate;

use super::Patience;
use super::inbox::Tail;
use super::outbox::Outbox;
use super::process::Process;

/// All that is left when a server ends.
pub(super) struct Ending {
    pub(super) process: Process,
    pub(super) outbox: Rc<Outbox>,
    pub(super) writer: JoinHandle<()>,
    pub(super) reader: JoinHandle<()>,
    pub(super) stderr: JoinHandle<()>,
    pub(super) tail: Rc<Tail>,
    pub(super) patience: Patience,
    pub(super) hub: WeakHub,
    pub(super) generation: u64,
}

/// What was seen first.
enum First {
    Ended(Option<ExitStatus>),
    Asked,
    /// It wrote its last word, or so it says.
    Silent,
    /// It does not listen any more.
    Deaf,
}

impl Ending {
    /// Waits for the end, sees to it that it is one, and tells the hub.
    pub(super) async fn watch(mut self) {
        let first = tokio::select! {
            biased;
            status = self.process.ended() => First::Ended(status),
            () = self.outbox.closed() => First::Asked,
            _ = &mut self.reader => First::Silent,
            _ = &mut self.writer => First::Deaf,
        };
        let (text, was_wanted) = match first {
            First::Ended(status) => (in_words(status), false),
            First::Asked => (in_words(self.shut_down().await), true),
            First::Silent => self.give_up("closed its output", self.patience.silent).await,
            // It may still be answering what it has read.
            First::Deaf => self.give_up("closed its input", self.patience.closed).await,
        };
        // It reads nothing any more, and what it had said before is still in the pipes.
        self.outbox.give_up();
        self.writer.abort();
        finish(&mut self.reader, self.patience.dead).await;
        finish(&mut self.stderr, self.patience.dead).await;
        if let Some(hub) = self.hub.get() {
            hub.upstream_closed(self.generation, Fate { text, stderr: self.tail.take(), was_wanted });
        }
    }

    /// A server without one of its streams is of no use; its exit status, if it is ending, says more than that.
    async fn give_up(&mut self, why: &str, patience: Duration) -> (String, bool) {
        let ended = timeout(patience, self.process.ended()).await;
        let was_wanted = self.outbox.is_closed();
        if let Ok(status) = ended {
            return (in_words(status), was_wanted);
        }
        self.outbox.give_up();
        self.writer.abort();
        self.shut_down().await;
        (why.to_owned(), was_wanted)
    }

    /// What is queued is sent; its input is closed; it is asked to end; it is killed: each step if the one before was not
    /// enough.
    async fn shut_down(&mut self) -> Option<ExitStatus> {
        let Patience { closed, terminated, .. } = self.patience;
        self.outbox.close();
        let sent = async {
            finish(&mut self.writer, closed).await;
            tokio::time::sleep(closed).await;
        };
        let ended = tokio::select! {
            status = self.process.ended() => Some(status),
            () = sent => None,
        };
        if let Some(status) = ended {
            return status;
        }
        self.process.terminate();
        if let Ok(status) = timeout(terminated, self.process.ended()).await {
            return status;
        }
        self.process.kill();
        self.process.ended().await
    }
}

/// Gives a task some time to come to its end, and then ends it.
async fn finish(task: &mut JoinHandle<()>, time: Duration) {
    if !task.is_finished() && timeout(time, &mut *task).await.is_err() {
        task.abort();
    }
}

fn in_words(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "ended".to_owned(), mcp_os::process::ending)
}
