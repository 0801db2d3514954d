//! Several files at once. Nearly all the time of a write is spent waiting for the disk to confirm it, and a disk confirms
//! ten files in the time of one when they are asked for together.

use super::{Options, Prepared, WriteError, Written, prepare};
use crate::file::Target;

/// The arguments of one [`prepare`].
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Which file.
    pub target: &'a Target,
    /// What it must hold now; `None`: it must not exist.
    pub before: Option<&'a [u8]>,
    /// What it shall hold.
    pub after: &'a [u8],
    /// How.
    pub options: Options<'a>,
}

/// [`prepare`] for each of several different files, at the same time. The results are in the order of the requests.
pub fn prepare_all<'a>(requests: &[Request<'a>]) -> Vec<Result<Prepared<'a>, WriteError>> {
    at_once(requests.iter().collect(), |r| prepare(r.target, r.before, r.after, &r.options))
}

/// [`commit`](Prepared::commit) for each of several files, at the same time. The results are in the order given.
pub fn commit_all(prepared: Vec<Prepared<'_>>) -> Vec<Result<Written, WriteError>> {
    at_once(prepared, Prepared::commit)
}

/// A thread for each but the last, which this one does: they wait, they do not compute.
fn at_once<T: Send, R: Send>(mut items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let Some(last) = items.pop() else { return Vec::new() };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        let last = work(last);
        let join = |thread: std::thread::ScopedJoinHandle<'_, R>| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).chain([last]).collect()
    })
}
