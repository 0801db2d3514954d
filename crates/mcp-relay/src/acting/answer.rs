//! What a viewer asks, put into rules.

use bytes::Bytes;
use mcp_capture::Direction;
use mcp_capture::filter::Filter;
use mcp_wire::{Frame, Kind, NotAFrame};

use super::faults::Fault;
use super::rules::{Act, Breakpoint, Place, Rules};
use super::wire::{Report, Request, VERSION, What};

/// What a viewer is told of a session besides what is held.
pub(crate) struct About<'a> {
    pub(crate) session: &'a str,
    pub(crate) server: &'a str,
    /// The server's process; 0 for none of ours.
    pub(crate) pid: u32,
}

/// Something a viewer wants to say.
pub(crate) struct Sending {
    pub(crate) viewer: u64,
    pub(crate) direction: Direction,
    /// To which client.
    pub(crate) client: Option<u32>,
    pub(crate) kind: Kind,
}

impl<P: Place> Rules<P> {
    /// Does what a viewer wants, except what takes more than rules. `seat` says from or to where something can be sent.
    pub(crate) fn answer(
        &mut self,
        viewer: u64,
        request: Request,
        about: &About<'_>,
        seat: impl FnOnce(&Sending) -> Result<P, String>,
        acts: &mut Vec<Act<P>>,
    ) -> Report {
        let number = request.number;
        let pid = about.pid;
        match request.what {
            What::Hello => Report::Hello {
                number,
                version: VERSION,
                session: about.session.to_owned(),
                server: about.server.to_owned(),
                pid,
            },
            What::Status => {
                let breakpoints = self.breakpoints.iter().map(|b| b.id.clone()).collect();
                let faults = self.faults.iter().map(|f| f.id.clone()).collect();
                Report::Status { number, pid, breakpoints, faults, held: self.list() }
            }
            what => match self.change(viewer, what, seat, acts) {
                Ok(id) => Report::Done { number, id },
                Err(reason) => Report::Failed { number, reason },
            },
        }
    }

    fn change(
        &mut self,
        viewer: u64,
        what: What,
        seat: impl FnOnce(&Sending) -> Result<P, String>,
        acts: &mut Vec<Act<P>>,
    ) -> Result<Option<String>, String> {
        const NOT_HELD: &str = "no message of this number is held";
        const NO_BASE64: &str = "the message is no base64";
        let when = |is_so: bool, reason: &str| if is_so { Ok(None) } else { Err(reason.to_owned()) };
        let filter = |text: String| text.parse::<Filter>().map_err(|error| error.to_string());
        match what {
            What::Breakpoint { id, filter: text, direction } => {
                let (filter, way) = (filter(text)?, direction.map(super::wire::Way::direction));
                self.breakpoints.retain(|b| b.id != id);
                self.breakpoints.push(Breakpoint { id, viewer, filter, way });
                Ok(None)
            }
            What::Fault { id, filter: text, direction, kind, probability, count } => {
                let (filter, way) = (filter(text)?, direction.map(super::wire::Way::direction));
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was put between 0 and 1000")]
                let per_mille = probability.map_or(1000, |p| (p.clamp(0.0, 1.0) * 1000.0).round() as u32);
                self.faults.retain(|f| f.id != id);
                self.faults.push(Fault { id, viewer, filter, way, kind, per_mille, left: count });
                Ok(None)
            }
            What::Release { held, message } => {
                let line = message.map(|message| message.line().ok_or(NO_BASE64)).transpose()?;
                // One line, however it was laid out for editing.
                let edited = line.map(|line| read(&line).map_or(line, |frame| frame.line()));
                when(self.let_go(held, edited, "release", acts), NOT_HELD)
            }
            What::Drop { held } => when(self.discard(held, "drop", acts), NOT_HELD),
            What::ReleaseAll => {
                self.release_all(acts);
                Ok(None)
            }
            What::Clear { id } => when(self.clear(id.as_deref()), "there is no breakpoint or fault of this name"),
            What::Send { direction, client, message } => {
                let line = message.line().ok_or(NO_BASE64)?;
                let frame = read(&line).map_err(|error| error.to_string())?;
                let direction = direction.direction();
                let place = seat(&Sending { viewer, direction, client, kind: frame.kind() })?;
                Ok(self.send(viewer, direction, &frame, place, acts))
            }
            What::Hello | What::Status | What::Restart => Err("this cannot be done here".to_owned()),
        }
    }
}

/// A message without the line end that it may have.
fn read(line: &Bytes) -> Result<Frame, NotAFrame> {
    Frame::parse(line.slice(..line.trim_ascii_end().len()))
}
