//! The recording of a tap: started if that is possible, and never in the way.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use bytes::Bytes;
use mcp_capture::event::{Event, Flags, Header, Http, Note, Peer, Process};
use mcp_capture::recorder::Later;
use mcp_capture::{Direction, Hop, Options, Recorder, Redactor, Row, RowKind, Session, Sink, Store};
use mcp_wire::Frame;

use super::cutter::Cut;
use super::say;
use crate::acting;

/// The one client of a wrapper.
pub(super) const CLIENT: Hop = Hop::Client(1);

/// How a tap records.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The directory of captures.
    pub store: PathBuf,
    /// What the server is called.
    pub name: String,
    /// What the client is called, if that was said; otherwise it is the process that started us.
    pub client: Option<String>,
    /// Record secrets as they are.
    pub raw: bool,
    /// Names whose values are secret, besides those known as such.
    pub redact: Vec<String>,
    /// Our version.
    pub version: String,
}

/// Where copies go. Without a recording they go nowhere.
#[derive(Clone, Debug, Default)]
pub struct Tape(Option<Sink>);

/// A recording that was begun, or could not be.
#[derive(Debug)]
pub struct Opened {
    /// Takes the copies.
    pub tape: Tape,
    /// The session's id; also of one that is not recorded.
    pub session: String,
    /// What the client is called.
    pub(super) client: String,
    recorder: Option<Recorder>,
}

impl Opened {
    /// Whether there is a capture. `None`: its files are still being made.
    pub fn is_recording(&self) -> Option<bool> {
        self.recorder.as_ref().map_or(Some(false), Recorder::is_begun)
    }

    /// The ids, as they were spelt, of the client's requests that have had no answer. Nothing if that was not recorded.
    pub(super) fn unanswered(&self) -> Vec<String> {
        let Some(recorder) = &self.recorder else { return Vec::new() };
        recorder.flush(Duration::from_secs(1));
        let Ok(session) = Session::open(recorder.path()) else { return Vec::new() };
        let is_open = |row: &Row| {
            row.kind == RowKind::Operation && row.direction == Direction::ToServer && row.status.is_open() && row.end.is_none()
        };
        let open = session.rows().iter(session.index()).filter(is_open);
        open.filter_map(|row| {
            let message = session.payload(row.first).ok().flatten()?;
            Frame::parse(message).ok()?.id().map(ToOwned::to_owned)
        })
        .collect()
    }

    /// Writes what waits, unless that takes longer than this.
    pub fn finish(mut self, patience: Duration) {
        if let Some(recorder) = self.recorder.take() {
            if recorder.flush(patience) {
                recorder.finish();
            } else {
                // A disk that does not answer must not keep us from ending.
                std::mem::forget(recorder);
            }
        }
    }
}

/// Values of variables that are secret by their name.
fn secret_values() -> Vec<String> {
    let secret = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        mcp_capture::redact::is_secret_name(&name).then_some(value)
    };
    std::env::vars_os().filter_map(secret).collect()
}

/// What takes time at the start of a recording. On the recorder's thread, so that no message waits for it: the directory, and
/// the automaton that finds secrets.
fn begin(recording: &Recording, header: Header) -> Result<(PathBuf, Options), String> {
    let path = Store::at(&recording.store).path_for(&header).map_err(|error| error.to_string())?;
    let redactor = (!recording.raw).then(|| Redactor::with_names(secret_values(), &recording.redact));
    let mut was_said = false;
    let on_trouble = move |trouble: Option<&str>| {
        if let Some(text) = trouble.filter(|_| !std::mem::replace(&mut was_said, true)) {
            say(&format!("the capture has gaps from here on: {text}"));
        }
    };
    Ok((path, Options { header, redactor, on_trouble: Some(Box::new(on_trouble)), ..Options::default() }))
}

impl Tape {
    /// Begins to record: numbers are given at once, the files are made on the recorder's thread. If that fails, one line says so,
    /// and everything else goes on.
    pub fn open(recording: &Recording, command: &[String], transport: &str) -> Opened {
        // Whoever calls an address is not who started us.
        let (parent, parent_name) = if transport == "stdio" { mcp_os::proc::parent() } else { (None, None) };
        let client = recording.client.clone().or(parent_name).unwrap_or_default();
        let header = Header {
            session: mcp_capture::store::new_session(),
            program: recording.version.clone(),
            client: client.clone(),
            server: recording.name.clone(),
            command: command.to_vec(),
            cwd: std::env::current_dir().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default(),
            transport: transport.to_owned(),
            recorder: "tap".to_owned(),
            hops: vec!["client".to_owned()],
            started_ms: mcp_os::clock::now_ms(),
            ..Header::default()
        };
        let session = header.session.clone();
        let begun = Recorder::start_later(Later {
            session: session.clone(),
            begin: {
                let recording = recording.clone();
                Box::new(move || begin(&recording, header))
            },
            on_failure: Box::new(|reason| say(&format!("nothing is recorded: {reason}"))),
        });
        let (recorder, tape) = match begun {
            Ok((recorder, sink)) => (Some(recorder), Self(Some(sink))),
            Err(error) => {
                say(&format!("nothing is recorded: {}", mcp_os::causes::on_one_line(&error)));
                (None, Self(None))
            }
        };
        let peer = Peer { peer: 1, open: true, pid: parent, name: client.clone(), ..Peer::default() };
        tape.event(CLIENT, Event::Peer(peer));
        Opened { tape, session, client, recorder }
    }

    /// Records to this.
    pub fn to(sink: Sink) -> Self {
        Self(Some(sink))
    }

    /// Waits until what was recorded so far is in a file, or somebody was told why not, unless that takes longer than this.
    pub(super) fn flush(&self, patience: Duration) {
        if let Some(sink) = &self.0 {
            sink.flush(patience);
        }
    }

    /// An empty buffer for a large message; one that was used before, if there is one.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.0.as_ref().map(Sink::buffer).unwrap_or_default()
    }

    /// Records a line that was cut off the stream.
    pub(super) fn cut(&self, direction: Direction, cut: Cut, flags: Flags) -> u64 {
        let Some(sink) = &self.0 else { return 0 };
        match cut {
            Cut::Whole(bytes) => sink.frame_with(CLIENT, direction, bytes, flags),
            Cut::Beginning(kept, length) => sink.beginning_of_frame(CLIENT, direction, kept, length, flags),
        }
    }

    /// Records a message.
    pub fn frame(&self, direction: Direction, bytes: Bytes, flags: Flags) -> u64 {
        self.0.as_ref().map_or(0, |sink| sink.frame_with(CLIENT, direction, bytes, flags))
    }

    /// Records a message that somebody acted on, and what it was before.
    pub(super) fn marked(&self, direction: Direction, bytes: Bytes, flags: Flags, altered: Option<acting::Altered>) -> u64 {
        let number = self.frame(direction, bytes, flags);
        if let (Some(sink), Some(altered)) = (&self.0, altered) {
            acting::record(sink, CLIENT, number, flags, altered);
        }
        number
    }

    /// Records a fact of HTTP.
    pub fn http(&self, http: Http) {
        self.event(CLIENT, Event::Http(http));
    }

    /// Records a line of text.
    pub fn note(&self, text: impl Into<String>) {
        self.event(CLIENT, Event::Note(Note { text: text.into() }));
    }

    /// Records a line of standard error.
    pub(super) fn stderr(&self, cut: Cut) {
        if let Some(sink) = &self.0 {
            let (Cut::Whole(bytes) | Cut::Beginning(bytes, _)) = cut;
            sink.stderr(bytes);
        }
    }

    pub(super) fn process_started(&self, pid: u32) {
        self.event(Hop::Server, Event::Process(Process { pid, started: true, ..Process::default() }));
    }

    pub(super) fn process_ended(&self, pid: u32, status: Option<ExitStatus>) {
        #[cfg(unix)]
        let signal = status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status));
        #[cfg(not(unix))]
        let signal = None;
        let code = status.and_then(|status| status.code());
        self.event(Hop::Server, Event::Process(Process { pid, started: false, code, signal }));
    }

    fn event(&self, hop: Hop, event: Event) {
        if let Some(sink) = &self.0 {
            sink.event(hop, event);
        }
    }
}
