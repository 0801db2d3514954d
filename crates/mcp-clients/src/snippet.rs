//! Reading the snippet people copy from a README: any client's dialect, any format, with or without its outer key.

use mcp_edit::{Document, Format, Path, Problem, Value};

use crate::clients::Clients;
use crate::descriptor::Descriptor;
use crate::entry::{Entry, Launch, Transport};
use crate::shape::ReadError;

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
}

/// Why a snippet cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SnippetError {
    /// It is no JSON, TOML or YAML.
    #[error("the snippet is neither JSON ({json}) nor TOML nor YAML")]
    Syntax {
        /// What the JSON reader said.
        json: Problem,
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

/// The keys under which clients keep their servers. What lies below them is a map of servers.
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

/// Reads every server in a snippet.
pub fn read(text: &str, clients: &Clients) -> Result<Vec<Found>, SnippetError> {
    let root = parse(text)?;
    let table = OUTER.iter().find_map(|keys| {
        let found = keys.iter().try_fold(&root, |v, k| v.get(k))?;
        matches!(found, Value::Object(_) | Value::Array(_)).then_some((found, keys[0]))
    });
    let (servers, outer): (Vec<(Option<String>, &Value)>, Option<&str>) = match table {
        Some((Value::Array(items), key)) => (items.iter().map(|v| (named(v), v)).collect(), Some(key)),
        Some((value, key)) => (members(value), Some(key)),
        None if is_entry(&root) => (vec![(named(&root), &root)], None),
        None => match &root {
            Value::Array(items) => (items.iter().filter(|v| is_entry(v)).map(|v| (named(v), v)).collect(), None),
            other => (members(other), None),
        },
    };
    if servers.is_empty() {
        return Err(SnippetError::NoServer);
    }
    servers.into_iter().map(|(name, value)| understand(name, value, outer, clients)).collect()
}

fn members(value: &Value) -> Vec<(Option<String>, &Value)> {
    let members = value.as_object().unwrap_or_default();
    members.iter().filter(|(_, v)| is_entry(v)).map(|(k, v)| (Some(k.clone()), v)).collect()
}

fn named(value: &Value) -> Option<String> {
    value.get("name").and_then(Value::as_str).map(str::to_owned)
}

/// Whether a value is a server's entry in some dialect.
fn is_entry(value: &Value) -> bool {
    let launch = ["command", "cmd", "url", "uri", "httpUrl", "serverUrl"];
    matches!(value, Value::Object(_))
        && (launch.iter().any(|k| value.get(k).is_some())
            || value.get("transport").is_some_and(|t| matches!(t, Value::Object(_)) && is_entry(t)))
}

/// The value of a snippet in whichever format it is. JSON may lack its outer braces or end in a comma.
fn parse(text: &str) -> Result<Value, SnippetError> {
    let value = |text: &str, format| {
        let document = Document::parse(text, format)?;
        Ok::<_, Problem>(document.get(&Path::default())?.map(|n| n.value))
    };
    let text = fenced(text);
    let json = match value(text, Format::Json) {
        Ok(Some(found @ (Value::Object(_) | Value::Array(_)))) => return Ok(found),
        Ok(_) => Problem { kind: mcp_edit::ProblemKind::Syntax("an object was expected".into()), place: None },
        Err(problem) => problem,
    };
    let trimmed = text.trim();
    if trimmed.starts_with('"')
        && let Ok(Some(found)) = value(&format!("{{{}}}", trimmed.trim_end_matches(',')), Format::Json)
    {
        return Ok(found);
    }
    if !trimmed.starts_with(['{', '"']) {
        for format in [Format::Toml, Format::Yaml] {
            if let Ok(Some(found @ (Value::Object(_) | Value::Array(_)))) = value(text, format) {
                return Ok(found);
            }
        }
    }
    Err(SnippetError::Syntax { json })
}

/// What is between the fences of a Markdown code block, if there is one; what stands around it is prose.
fn fenced(text: &str) -> &str {
    let start = if text.trim_start().starts_with("```") { text.find("```") } else { text.find("\n```").map(|at| at + 1) };
    let Some(rest) = start.and_then(|at| text[at..].strip_prefix("```")) else { return text };
    let body = rest.split_once('\n').map_or("", |(_, body)| body);
    body.find("\n```").map_or_else(|| body.trim_end().strip_suffix("```").unwrap_or(body), |end| &body[..end])
}

/// The reading of the dialect that leaves least unexplained; the client that owns the outer key breaks ties.
fn understand(name: Option<String>, value: &Value, outer: Option<&str>, clients: &Clients) -> Result<Found, SnippetError> {
    let mut best: Option<(usize, &Descriptor, Entry, Vec<String>)> = None;
    let mut nearest: Option<ReadError> = None;
    let owns = |d: &Descriptor| outer.is_some_and(|o| d.files.iter().any(|f| f.servers.first().is_some_and(|s| s == o)));
    for client in clients.all().iter().filter(|c| !c.files.is_empty()) {
        let named_by = client.files.iter().find_map(|f| f.named_by.as_deref()).or(Some("name"));
        match client.entry.read(value, named_by) {
            Ok(entry) => {
                let unknown: Vec<String> =
                    entry.extra.iter().map(|(k, _)| k.clone()).filter(|k| !client.entry.knows(k)).collect();
                let cost = unknown.len() * 4 + usize::from(!owns(client)) * 2 + usize::from(client.id != "claude-code");
                if best.as_ref().is_none_or(|(c, ..)| cost < *c) {
                    best = Some((cost, client, entry, unknown));
                }
            }
            Err(error) if owns(client) || nearest.is_none() => nearest = Some(error),
            Err(_) => {}
        }
    }
    match (best, nearest) {
        (Some((_, client, mut entry, unknown)), _) => {
            entry.extra.retain(|(k, _)| !unknown.contains(k));
            // Clients disagree on what an address alone means; whoever wrote the snippet meant what the address says.
            let says = ["type", "transport", "transportType", "httpUrl"].iter().any(|k| value.get(k).is_some());
            if let (Launch::Remote(remote), false) = (&mut entry.launch, says) {
                remote.transport = Transport::of_address(&remote.url.to_string());
            }
            Ok(Found { name, entry, dialect: client.id.clone(), unknown })
        }
        (None, Some(source)) => Err(SnippetError::Entry { name: name.unwrap_or_else(|| "(unnamed)".to_owned()), source }),
        (None, None) => Err(SnippetError::NoServer),
    }
}
