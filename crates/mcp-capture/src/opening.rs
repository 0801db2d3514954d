//! Which era and which revision a session is of: what its first requests say.

use mcp_wire::Frame;
use mcp_wire::methods::meta;

use crate::event::Direction;
use crate::exchange::{RowKind, Status};
use crate::session::Session;

/// How a session was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// `legacy` or `modern`.
    pub era: Option<&'static str>,
    /// What the client asked for by `initialize`, or brought with its requests.
    pub revision: Option<String>,
    /// So many times the client tried the newer era first and the server did not know it: in order, and no error.
    pub refused_probes: u64,
}

impl Opening {
    /// Looks at what there is of it so far.
    pub fn of(session: &Session) -> Self {
        let told = session.peers().iter().find_map(|peer| match peer.era.as_str() {
            "legacy" => Some("legacy"),
            "modern" => Some("modern"),
            _ => None,
        });
        let (mut tried, mut answered, mut revision, mut refused_probes) = (None, None, None, 0);
        for row in session.rows().iter(session.index()).filter(|row| row.kind == RowKind::Operation) {
            let (method, name) = session.index().symbols.get(row.operation);
            let era = match method {
                "initialize" => {
                    revision = (!name.is_empty()).then(|| name.to_owned());
                    "legacy"
                }
                "server/discover" | "subscriptions/listen" => "modern",
                _ => continue,
            };
            tried = tried.or(Some(era));
            if row.status == Status::Ok {
                answered = answered.or(Some(era));
            }
            refused_probes += u64::from(method == "server/discover" && row.status == Status::Error);
        }
        let era = told.or(answered).or(tried);
        // What a modern client asked a legacy server first is no era, and the other way round no revision.
        if era == Some("modern") {
            Self { era, revision: brought(session), refused_probes: 0 }
        } else {
            Self { era, revision, refused_probes }
        }
    }
}

/// The revision the first request brings with it.
fn brought(session: &Session) -> Option<String> {
    let mut rows = session.rows().iter(session.index());
    let asked = rows.find(|row| row.kind == RowKind::Operation && row.direction == Direction::ToServer)?;
    let message = session.payload(asked.first).ok()??;
    Frame::parse(message).ok()?.get_string(&["params", "_meta", meta::PROTOCOL_VERSION])
}
