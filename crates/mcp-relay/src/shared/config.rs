//! How a server is shared: what the command line may choose, and times.

use std::time::Duration;

use mcp_wire::version::Era;

/// What decides the era that is spoken with the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamEra {
    /// The first client's, if the server speaks it.
    #[default]
    Auto,
    /// `initialize`.
    Legacy,
    /// `server/discover`.
    Modern,
}

/// What a legacy server is told that its client can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCapabilities {
    /// What the first client says.
    #[default]
    First,
    /// Roots, sampling with tools, elicitation by form and URL.
    Full,
    /// Nothing.
    None,
    /// This object.
    Json(String),
}

/// To which client a request of the server goes when several have calls on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attribution {
    /// Calls of several clients take turns as soon as the server has asked something; a client that is being asked lets others go on.
    #[default]
    Baton,
    /// The same, and a client keeps its turn until its calls are done.
    Strict,
    /// The server may ask nothing.
    Reject,
}

/// Whether a server that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Not before the next client comes.
    Never,
    /// Yes, with growing pauses, until it has failed three times in a row.
    #[default]
    OnFailure,
}

/// How a server is shared.
#[derive(Clone, Debug)]
pub struct Config {
    /// The era spoken with the server.
    pub upstream_era: UpstreamEra,
    /// What a legacy server is told.
    pub client_capabilities: ClientCapabilities,
    /// Who is asked.
    pub attribution: Attribution,
    /// What happens when it ends.
    pub restart: Restart,
    /// The era in which it opened the last time.
    pub known_era: Option<Era>,
    /// It has asked something an earlier time.
    pub is_interactive: bool,
    /// How long an answer to `server/discover` or `initialize` may take.
    pub opening_timeout: Duration,
    /// How long a request of the server that cannot be attributed is held.
    pub attribution_timeout: Duration,
    /// How long a call waits for a modern client to come back with answers.
    pub parking_timeout: Duration,
    /// Requests one client may have on their way.
    pub max_in_flight: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            upstream_era: UpstreamEra::default(),
            client_capabilities: ClientCapabilities::default(),
            attribution: Attribution::default(),
            restart: Restart::default(),
            known_era: None,
            is_interactive: false,
            opening_timeout: Duration::from_mins(2),
            attribution_timeout: Duration::from_secs(10),
            parking_timeout: Duration::from_mins(15),
            max_in_flight: 16_384,
        }
    }
}
