//! What a server's hub sees, recorded: both hops, as long as somebody wants it. A hub that nobody watches does nothing for it.

use std::path::PathBuf;
use std::rc::Rc;

use mcp_capture::event::{Event, Flags, Header, Note, Peer};
use mcp_capture::{Options, Recorder, Redactor, Sink, Store};
use mcp_relay::acting::{self, Door, Meeting};
use mcp_relay::hub::Hub;
use mcp_relay::observe::{Direction, Hop, Observer, Seen};

/// A recording that is under way. Whoever watches it can act.
pub(super) struct Recording {
    /// None if it could not be opened.
    door: Option<Door>,
    recorder: Recorder,
    observer: Rc<dyn Observer>,
}

/// What is to be recorded.
pub(crate) struct Wanted {
    pub(crate) header: Header,
    /// The directory of captures.
    pub(crate) root: PathBuf,
    /// Where those who want to act find it.
    pub(crate) meeting: Meeting,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Where {
    pub(crate) session: String,
    pub(crate) path: PathBuf,
}

struct Copies(Sink);

fn hop(hop: Hop) -> mcp_capture::Hop {
    match hop {
        Hop::Client(peer) => mcp_capture::Hop::Client(u32::try_from(peer.0).unwrap_or(u32::MAX)),
        Hop::Server => mcp_capture::Hop::Server,
    }
}

impl Observer for Copies {
    fn saw(&self, seen: &Seen) {
        match seen {
            Seen::Frame { hop: at, direction, bytes, flags, altered, .. } => {
                let direction = match direction {
                    Direction::ToServer => mcp_capture::Direction::ToServer,
                    Direction::ToClient => mcp_capture::Direction::ToClient,
                };
                let flags = flags.with_if(!bytes.ends_with(b"\n"), Flags::NO_NEWLINE);
                let number = self.0.frame_with(hop(*at), direction, bytes.clone(), flags);
                if let Some(altered) = altered {
                    acting::record(&self.0, hop(*at), number, flags, altered.clone());
                }
            }
            Seen::Viewer(peer) => {
                let at = hop(Hop::Client(*peer));
                let name = "mcp inspect".to_owned();
                self.0.event(at, Event::Peer(Peer { peer: at.peer(), open: true, name, ..Peer::default() }));
            }
            Seen::Note { note: mcp_relay::route::Note::Log(text), .. } => {
                self.0.event(mcp_capture::Hop::Server, Event::Note(Note { text: text.clone() }));
            }
            Seen::Note { .. } => {}
        }
    }
}

impl Recording {
    /// Begins one, with a door at the meeting.
    pub(super) fn begin(hub: &Hub, wanted: Wanted, secrets: &[String]) -> Result<Self, String> {
        let Wanted { header, root, meeting } = wanted;
        let server = header.server.clone();
        let path = Store::at(&root).path_for(&header).map_err(|error| mcp_os::causes::on_one_line(&error))?;
        let options = Options { header, redactor: Some(Redactor::new(secrets)), ..Options::default() };
        let (recorder, sink) = Recorder::start(&path, options).map_err(|error| mcp_os::causes::on_one_line(&error))?;
        // Clients that were there before are told of; others say who they are.
        for client in hub.status().clients {
            let number = u32::try_from(client.id).unwrap_or(u32::MAX);
            let (name, version) = client.client.map(|party| (party.name, party.version)).unwrap_or_default();
            let (era, revision) = (client.era.unwrap_or_default(), client.protocol_version.unwrap_or_default());
            let peer = Peer { peer: number, open: true, pid: client.pid, name, version, era, revision };
            sink.event(mcp_capture::Hop::Client(number), Event::Peer(peer));
        }
        let observer: Rc<dyn Observer> = Rc::new(Copies(sink));
        hub.observers().add(Rc::clone(&observer));
        let door = hub.open_door(meeting, recorder.session(), &server);
        if let Err(error) = &door {
            hub.log(format!("nobody can act on the recorded session: {error}"));
        }
        Ok(Self { door: door.ok(), recorder, observer })
    }

    pub(super) fn place(&self) -> Where {
        Where { session: self.recorder.session().to_owned(), path: self.recorder.path().to_owned() }
    }

    /// Ends it in order; of a hub that is gone nothing more comes.
    pub(super) fn end(self, hub: Option<&Hub>) {
        if let Some(hub) = hub {
            if let Some(door) = self.door {
                hub.close_door(door);
            }
            hub.observers().remove(&self.observer);
        }
        drop(self.observer);
        self.recorder.finish();
    }
}
