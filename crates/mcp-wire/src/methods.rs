//! What has to be known of single methods (specification, schema.ts of each revision).

/// A request during which a legacy server may turn to the client with a request of its own.
pub fn is_nestable(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read" | "tasks/result")
}

/// A request whose modern answer may be `input_required` (basic/patterns/mrtr).
pub fn may_need_input(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// A request whose modern result has caching hints (server/utilities/caching).
pub fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover" | "tools/list" | "prompts/list" | "resources/list" | "resources/templates/list" | "resources/read"
    )
}

/// A method the modern era removed.
pub fn is_removed_in_modern(method: &str) -> bool {
    matches!(
        method,
        "initialize"
            | "ping"
            | "logging/setLevel"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "tasks/list"
            | "tasks/result"
            | "notifications/initialized"
            | "notifications/roots/list_changed"
    )
}

/// The member of `params` that `Mcp-Name` repeats (basic/transports/streamable-http; the Tasks extension for `tasks/…`).
pub fn name_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// The `_meta` keys with which each modern request brings its own circumstances.
pub mod meta {
    /// The revision.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// What the client can do.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// Who the client is.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// Which log lines it wants.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// Who the server is, on results.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// Which subscription a notification belongs to.
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    /// Which legacy task a message belongs to.
    pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
}

/// Words that are looked for in messages before anything is looked at more closely.
pub mod needle {
    use std::sync::OnceLock;

    use memchr::memmem::Finder;

    /// A word, and how to find it fast: to work that out takes as long as to search a short message.
    #[derive(Debug)]
    pub struct Needle {
        text: &'static str,
        finder: OnceLock<Finder<'static>>,
    }

    impl Needle {
        const fn new(text: &'static str) -> Self {
            Self { text, finder: OnceLock::new() }
        }

        /// Whether the word occurs.
        pub fn is_in(&self, bytes: &[u8]) -> bool {
            self.finder.get_or_init(|| Finder::new(self.text)).find(bytes).is_some()
        }
    }

    /// See [`super::meta::PROTOCOL_VERSION`].
    pub static PROTOCOL_VERSION: Needle = Needle::new(super::meta::PROTOCOL_VERSION);
    /// See [`super::meta::LOG_LEVEL`].
    pub static LOG_LEVEL: Needle = Needle::new(super::meta::LOG_LEVEL);
    /// See [`super::meta::SUBSCRIPTION_ID`].
    pub static SUBSCRIPTION_ID: Needle = Needle::new(super::meta::SUBSCRIPTION_ID);
    /// In `_meta` of a request whose caller wants to hear of progress.
    pub static PROGRESS_TOKEN: Needle = Needle::new("progressToken");
    /// In whatever is about a task.
    pub static TASK_ID: Needle = Needle::new("\"taskId\"");
    /// In the schema of a tool whose arguments are repeated in headers.
    pub static HEADER: Needle = Needle::new("x-mcp-header");
    /// In a result that is a question.
    pub static INPUT_REQUIRED: Needle = Needle::new("input_required");
    /// In a tool that says how its results look.
    pub static OUTPUT_SCHEMA: Needle = Needle::new("outputSchema");
}

/// The log levels, most verbose first.
pub const LOG_LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The place of a level in [`LOG_LEVELS`].
pub fn log_rank(level: &str) -> Option<usize> {
    LOG_LEVELS.iter().position(|l| *l == level)
}
