//! Reading the snippet people copy from a README: any client's dialect, any format, with or without its outer key.

use mcp_edit::{Document, Format, Path, Place, Problem, ProblemKind, Value};

use crate::clients::Clients;
use crate::descriptor::{Descriptor, Syntax};
use crate::entry::{Entry, Launch, Transport};
use crate::shape::ReadError;
use crate::text::{Piece, Text};

/// A server found in a snippet.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its name; `None` when the snippet is a bare entry.
    pub name: Option<String>,
    /// The entry.
    pub entry: Entry,
    /// The client whose dialect explains it best.
    pub dialect: String,
    /// Members no dialect explains, which were left out.
    pub unknown: Vec<String>,
    /// What was guessed, one sentence each.
    pub notes: Vec<String>,
}

/// Why a snippet cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SnippetError {
    /// It is not of the format it looks like.
    #[error("the snippet is no {format}: {problem}{}", advice.map(|a| format!("; {a}")).unwrap_or_default())]
    Syntax {
        /// `JSON`, `TOML` or `YAML`.
        format: &'static str,
        /// What its reader said.
        problem: Problem,
        /// What is most likely meant.
        advice: Option<&'static str>,
    },
    /// It holds no server.
    #[error("the snippet holds no server: no entry with a command or an address was found")]
    NoServer,
    /// An entry nobody understands.
    #[error("the entry `{name}` of the snippet cannot be understood")]
    Entry {
        /// Its name.
        name: String,
        /// Why, in the dialect that comes nearest.
        source: ReadError,
    },
}

/// The keys under which clients keep their servers. What lies below them is a map or a list of servers.
const OUTER: [&[&str]; 9] = [
    &["mcpServers"],
    &["mcp", "servers"],
    &["servers"],
    &["mcp_servers"],
    &["context_servers"],
    &["amp.mcpServers"],
    &["extensions"],
    &["mcp"],
    &["experimental", "mcpServers"],
];

/// How deep below keys nobody knows servers are looked for.
const DEPTH: usize = 4;

/// Servers by name, and the outer key they were under.
type Servers<'v> = (Vec<(Option<String>, &'v Value)>, Option<&'static str>);

/// Reads every server in a snippet.
pub fn read(text: &str, clients: &Clients) -> Result<Vec<Found>, SnippetError> {
    let root = parse(text)?;
    let (servers, outer) = servers(&root, clients, DEPTH).ok_or(SnippetError::NoServer)?;
    servers.into_iter().map(|(name, value)| understand(name, value, outer, clients)).collect()
}

/// The servers in a value, in the first place that holds any.
fn servers<'v>(value: &'v Value, clients: &Clients, depth: usize) -> Option<Servers<'v>> {
    if is_entry(value) {
        return Some((vec![(named(value), value)], None));
    }
    for keys in OUTER {
        let Some(found) = keys.iter().try_fold(value, |v, k| v.get(k)).filter(|v| !is_entry(v)) else { continue };
        let all: Vec<_> = match found {
            Value::Array(items) => items.iter().map(|v| (named(v), v)).collect(),
            Value::Object(members) => members.iter().map(|(k, v)| (Some(k.clone()), v)).collect(),
            _ => continue,
        };
        // Tools that a client has built in are no servers.
        let own = |v: &Value| clients.all().iter().any(|c| owns(c, Some(keys[0])) && c.entry.is_own(v));
        let all: Vec<_> = all.into_iter().filter(|(_, v)| is_entry(v) || (matches!(v, Value::Object(_)) && !own(v))).collect();
        if all.iter().any(|(_, v)| is_entry(v)) {
            return Some((all, Some(keys[0])));
        }
    }
    let inner: Vec<(Option<String>, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (Some(k.clone()), v)).collect(),
        Value::Array(items) => items.iter().map(|v| (named(v), v)).collect(),
        _ => return None,
    };
    let entries: Vec<_> = inner.iter().filter(|(_, v)| is_entry(v)).cloned().collect();
    if !entries.is_empty() {
        return Some((entries, None));
    }
    inner.into_iter().filter(|_| depth > 0).find_map(|(_, v)| servers(v, clients, depth - 1))
}

fn named(value: &Value) -> Option<String> {
    value.get("name").and_then(Value::as_str).map(str::to_owned)
}

/// Whether a value is a server's entry in some dialect.
fn is_entry(value: &Value) -> bool {
    let launch = ["command", "cmd", "url", "uri", "httpUrl", "serverUrl"];
    let says = |k: &&str| match value.get(k) {
        Some(Value::String(_)) => true,
        // OpenCode's list, and the object of Zed's older settings.
        Some(other) => *k == "command" && (other.as_array().is_some() || other.get("path").is_some()),
        None => false,
    };
    matches!(value, Value::Object(_))
        && (launch.iter().any(says) || value.get("transport").is_some_and(|t| matches!(t, Value::Object(_)) && is_entry(t)))
}

/// The value of a snippet in whichever format it is. JSON may lack its outer braces or end in a comma.
fn parse(text: &str) -> Result<Value, SnippetError> {
    let text = fenced(text);
    let container = |text: &str, format| {
        let value = Document::parse(text, format)?.get(&Path::default())?.map(|n| n.value);
        match value {
            Some(found @ (Value::Object(_) | Value::Array(_))) => Ok(found),
            _ => Err(Problem { kind: ProblemKind::Syntax("there is no object in it".to_owned()), place: None }),
        }
    };
    let json = match container(text, Format::Json) {
        Ok(found) => return Ok(found),
        Err(problem) => problem,
    };
    // The first character that is no comment tells which braces are missing.
    let first = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with("//")).unwrap_or_default();
    if first.starts_with('"')
        && let Ok(found) = container(&format!("{{{}\n}}", text.trim_end().trim_end_matches(',')), Format::Json)
    {
        return Ok(found);
    }
    let toml = container(text, Format::Toml);
    let yaml = container(text, Format::Yaml);
    let is_toml = text.lines().map(str::trim).any(|l| l.starts_with('[') && l.ends_with(']') || l.contains(" = "));
    let (format, problem) = match (toml, yaml) {
        _ if first.starts_with(['{', '"', '\u{201c}', '\u{2018}']) => ("JSON", json),
        (Ok(found), _) | (Err(_), Ok(found)) => return Ok(found),
        (Err(toml), Err(_)) if is_toml => ("TOML", toml),
        (Err(_), Err(yaml)) if first.contains(':') => ("YAML", yaml),
        _ => ("JSON", json),
    };
    Err(syntax(text, format, problem))
}

/// The error, with what people usually got wrong.
fn syntax(text: &str, format: &'static str, problem: Problem) -> SnippetError {
    let curly = text.find(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']);
    let tab = text.lines().any(|l| l.starts_with('\t') || l.trim_start_matches(' ').starts_with('\t'));
    let here = problem.place.and_then(|p| text.get(p.offset..)).unwrap_or_default();
    let unquoted = here.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$' || c == '\'');
    if let Some(at) = curly {
        let kind = ProblemKind::Syntax("a typographic quote stands here".to_owned());
        let problem = Problem { kind, place: Some(Place::of(text, at)) };
        return SnippetError::Syntax { format, problem, advice: Some("type plain \" quotes") };
    }
    let advice = match format {
        "YAML" if tab => Some("YAML is indented with spaces, never with tabs"),
        "JSON" if unquoted => Some("JSON wants keys and strings in \" quotes"),
        _ => None,
    };
    SnippetError::Syntax { format, problem, advice }
}

/// What is between the fences of the first Markdown code block, if there is one.
fn fenced(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("```") else { return text };
    let body = rest.split_once('\n').map_or("", |(_, body)| body);
    body.split_once("```").map_or(body, |(body, _)| body)
}

/// Whether a client keeps its servers under a key.
fn owns(client: &Descriptor, outer: Option<&str>) -> bool {
    outer.is_some_and(|o| client.files.iter().any(|f| f.servers.first().is_some_and(|s| s == o)))
}

/// A client's reading of an entry.
struct Reading<'c> {
    client: &'c Descriptor,
    entry: Entry,
    unknown: Vec<String>,
    cost: usize,
}

/// The reading of the dialect that leaves least unexplained; the client that owns the outer key breaks ties.
fn understand(name: Option<String>, value: &Value, outer: Option<&str>, clients: &Clients) -> Result<Found, SnippetError> {
    let mut readings: Vec<Reading<'_>> = Vec::new();
    let mut nearest: Option<ReadError> = None;
    for client in clients.all().iter().filter(|c| !c.files.is_empty()) {
        let named_by = client.files.iter().find_map(|f| f.named_by.as_deref()).or(Some("name"));
        match client.entry.read(value, named_by) {
            Ok(entry) => {
                let unknown: Vec<String> =
                    entry.extra.iter().map(|(k, _)| k.clone()).filter(|k| !client.entry.knows(k)).collect();
                let cost = (unknown.len() + unread_forms(&entry) + implausible(&entry)) * 4
                    + usize::from(!owns(client, outer)) * 2
                    + usize::from(client.id != "claude-code");
                readings.push(Reading { client, entry, unknown, cost });
            }
            Err(error) if owns(client, outer) || nearest.is_none() => nearest = Some(error),
            Err(_) => {}
        }
    }
    let least = readings.iter().map(|r| r.cost).min();
    let mut best = readings.into_iter().filter(|r| Some(r.cost) == least);
    let Some(Reading { client, mut entry, unknown, .. }) = best.next() else {
        return Err(nearest.map_or(SnippetError::NoServer, |source| SnippetError::Entry {
            name: name.unwrap_or_else(|| "(unnamed)".to_owned()),
            source,
        }));
    };
    let mut notes = Vec::new();
    if best.any(|r| r.entry.timeout != entry.timeout || r.entry.startup_timeout != entry.startup_timeout) {
        let wait = entry.timeout.or(entry.startup_timeout).unwrap_or_default();
        notes.push(format!("the snippet's time-out was taken for {wait:?}, as {} reads it", client.name));
    }
    // An address without a word for the transport: clients differ in what they make of it, its path tells more.
    if let Launch::Remote(remote) = &mut entry.launch
        && value.get("url").is_some()
        && value.get("type").is_none()
        && !matches!(value.get("transport"), Some(Value::String(_)))
    {
        remote.transport = Transport::of_address(&remote.url.to_string());
    }
    // `transport: sse` is in use beside `type`.
    if let (Launch::Remote(remote), Some(word)) = (&mut entry.launch, value.get("transport").and_then(Value::as_str)) {
        remote.transport = if word.eq_ignore_ascii_case("sse") { Transport::Sse } else { Transport::Http };
    }
    let unknown: Vec<String> =
        unknown.into_iter().filter(|k| k != "transport" || value.get("transport").and_then(Value::as_str).is_none()).collect();
    entry.extra.retain(|(k, _)| client.entry.knows(k));
    Ok(Found { name, entry, dialect: client.id.clone(), unknown, notes })
}

/// How many strings hold what looks like another dialect's variable.
fn unread_forms(entry: &Entry) -> usize {
    let foreign = |text: &&Text| {
        [Syntax::DollarBrace, Syntax::DollarEnv, Syntax::BraceEnv, Syntax::Secrets].iter().any(|s| text.misread(*s).is_some())
    };
    entry.texts().into_iter().filter(foreign).count()
}

/// Time-outs of a few milliseconds or of many hours were meant in another unit.
fn implausible(entry: &Entry) -> usize {
    let odd = |wait: &&std::time::Duration| wait.as_millis() < 500 || wait.as_secs() > 6 * 3600;
    entry.timeout.iter().chain(&entry.startup_timeout).filter(odd).count()
}

/// The questions of VS Code's `inputs` that an entry still depends on: where, and the question's id.
pub fn inputs(entry: &Entry) -> Vec<(String, String)> {
    let ids = |text: &Text| {
        let own = text.pieces().iter().filter_map(|p| match p {
            Piece::Own { raw, .. } => raw.strip_prefix("${input:")?.strip_suffix('}').map(str::to_owned),
            _ => None,
        });
        own.collect::<Vec<_>>()
    };
    let mut places: Vec<(String, &Text)> = Vec::new();
    match &entry.launch {
        Launch::Stdio(stdio) => {
            places.extend(stdio.env.iter().map(|(name, text)| (format!("--env {name}=…"), text)));
            places.extend(std::iter::once(&stdio.command).chain(&stdio.args).map(|text| ("the command".to_owned(), text)));
        }
        Launch::Remote(remote) => {
            places.extend(remote.headers.iter().map(|(name, text)| (format!("--header '{name}: …'"), text)));
            places.push(("the address".to_owned(), &remote.url));
        }
    }
    places.into_iter().flat_map(|(place, text)| ids(text).into_iter().map(move |id| (place.clone(), id))).collect()
}
