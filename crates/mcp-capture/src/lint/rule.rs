//! What a rule is, and the revisions it holds for.

use std::fmt;

/// How bad it is to break a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Some peers will not cope with it, or it goes against advice.
    Warning,
    /// It is against the specification, or does harm.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The revisions a rule can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05.
    R2024_11,
    /// 2025-03-26.
    R2025_03,
    /// 2025-06-18.
    R2025_06,
    /// 2025-11-25.
    R2025_11,
    /// 2026-07-28.
    R2026_07,
}

impl Revision {
    /// All, oldest first.
    pub const ALL: [Self; 5] = [Self::R2024_11, Self::R2025_03, Self::R2025_06, Self::R2025_11, Self::R2026_07];

    /// The revision of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name() == name)
    }

    /// As messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::R2024_11 => "2024-11-05",
            Self::R2025_03 => "2025-03-26",
            Self::R2025_06 => "2025-06-18",
            Self::R2025_11 => "2025-11-25",
            Self::R2026_07 => "2026-07-28",
        }
    }

    /// Whether it has no `initialize`.
    pub fn is_modern(self) -> bool {
        self >= Self::R2026_07
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// The message as JSON-RPC has it, and the line it came in.
    Envelope,
    /// Who may say what when.
    Sequence,
    /// Members of params and results.
    Shape,
    /// What was declared and what is used.
    Capability,
    /// Lists of tools, prompts and resources, and calls.
    Tools,
    /// Input that a server asks for.
    Input,
    /// Tasks.
    Tasks,
    /// What 2026-07-28 brought.
    Modern,
    /// HTTP around the messages.
    Http,
    /// What may do harm.
    Security,
    /// What costs time or tokens.
    Performance,
}

impl Family {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 11] = [
        Self::Envelope,
        Self::Sequence,
        Self::Shape,
        Self::Capability,
        Self::Tools,
        Self::Input,
        Self::Tasks,
        Self::Modern,
        Self::Http,
        Self::Security,
        Self::Performance,
    ];

    /// A heading for it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Envelope => "Lines and envelopes",
            Self::Sequence => "Sequence",
            Self::Shape => "Shapes of messages",
            Self::Capability => "Capabilities",
            Self::Tools => "Tools, prompts and resources",
            Self::Input => "Input a server asks for",
            Self::Tasks => "Tasks",
            Self::Modern => "The stateless core of 2026-07-28",
            Self::Http => "HTTP",
            Self::Security => "Security",
            Self::Performance => "Performance",
        }
    }
}

/// A rule. There is one constant of each, beside the code that looks for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which never changes and is never used again.
    pub id: &'static str,
    /// What it is about.
    pub family: Family,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong where it is broken, in one line.
    pub title: &'static str,
    /// Why that matters, in a paragraph.
    pub why: &'static str,
    /// The page of the specification, behind the revision.
    pub page: &'static str,
    /// The first revision that has it.
    pub since: Revision,
    /// The last one.
    pub until: Revision,
}

const SPECIFICATION: &str = "https://modelcontextprotocol.io/specification/";

impl Rule {
    pub(super) const fn new(
        id: &'static str,
        family: Family,
        severity: Severity,
        page: &'static str,
        title: &'static str,
        why: &'static str,
    ) -> Self {
        Self { id, family, severity, title, why, page, since: Revision::R2024_11, until: Revision::R2026_07 }
    }

    pub(super) const fn since(mut self, revision: Revision) -> Self {
        self.since = revision;
        self
    }

    pub(super) const fn until(mut self, revision: Revision) -> Self {
        self.until = revision;
        self
    }

    /// For revisions with `initialize` only.
    pub(super) const fn legacy(self) -> Self {
        self.until(Revision::R2025_11)
    }

    /// For revisions without it only.
    pub(super) const fn modern(self) -> Self {
        self.since(Revision::R2026_07)
    }

    /// Whether it holds for a revision; as long as none is known, for rules that hold for all.
    pub fn holds_for(&self, revision: Option<Revision>) -> bool {
        match revision {
            Some(revision) => (self.since..=self.until).contains(&revision),
            None => self.since == Revision::R2024_11 && self.until == Revision::R2026_07,
        }
    }

    /// Where the specification of a revision says so: of the newest it holds for, where none is known.
    pub fn link(&self, revision: Option<Revision>) -> String {
        let revision = revision.filter(|known| self.holds_for(Some(*known))).unwrap_or(self.until);
        let page = match self.page {
            page if revision.is_modern() => modern_page(page),
            // These revisions have no such page.
            "schema" | "changelog" if revision < Revision::R2025_06 => "basic",
            page => page,
        };
        format!("{SPECIFICATION}{}/{page}", revision.name())
    }

    /// The revisions in words.
    pub fn revisions(&self) -> String {
        match (self.since, self.until) {
            (Revision::R2024_11, Revision::R2026_07) => "all".to_owned(),
            (since, Revision::R2026_07) => format!("from {since}"),
            (Revision::R2024_11, until) => format!("up to {until}"),
            (since, until) if since == until => since.to_string(),
            (since, until) => format!("{since} to {until}"),
        }
    }
}

/// Pages that have other names since 2026-07-28.
fn modern_page(page: &'static str) -> &'static str {
    match page {
        "basic/lifecycle" => "basic/versioning",
        "basic/transports#stdio" => "basic/transports/stdio",
        "basic/transports" => "basic/transports/streamable-http",
        "basic/utilities/progress" => "basic/patterns/progress",
        "basic/utilities/cancellation" => "basic/patterns/cancellation",
        // Tasks are an extension, whose pages are elsewhere.
        "basic/utilities/tasks" => "basic/patterns",
        other => other,
    }
}
