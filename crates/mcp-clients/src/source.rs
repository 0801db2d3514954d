//! Where a server comes from: what a person types after `mcp install`.

use crate::entry::{Entry, Launch, Remote, Stdio, Transport};
use crate::text::Text;

/// A server, named in one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `npm:PACKAGE[@VERSION]`, run with `npx -y`.
    Npm(String),
    /// `pypi:PACKAGE[==VERSION]`, run with `uvx`.
    Pypi(String),
    /// `docker:IMAGE[:TAG]`, run with `docker run -i --rm`.
    Docker(String),
    /// `http://…` or `https://…`.
    Url(String),
    /// Anything else: a bundled server or one of the catalog.
    Name(String),
}

/// Why a source cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A prefix and nothing behind it.
    #[error("`{0}` names no package")]
    Empty(String),
    /// Characters no package has; most likely several words in one.
    #[error("`{0}` is not a {1} name")]
    Malformed(String, &'static str),
    /// A prefix we do not know.
    #[error("`{0}:` is no kind of source; known are `npm:`, `pypi:`, `docker:` and `https://`")]
    UnknownPrefix(String),
    /// An address that is none.
    #[error("`{0}` is not an address")]
    Address(String),
}

impl Source {
    /// Understands a source.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if let Some((scheme, rest)) = text.split_once("://")
            && ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s))
        {
            if host_of(text).is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(SourceError::Address(text.to_owned()));
            }
            // Some clients look at the first letters only.
            return Ok(Self::Url(format!("{}://{rest}", scheme.to_ascii_lowercase())));
        }
        let Some((prefix, rest)) = text.split_once(':') else { return Ok(Self::Name(text.to_owned())) };
        let (make, kind): (fn(String) -> Self, _) = match prefix {
            "npm" | "npx" => (Self::Npm, "npm package"),
            "pypi" | "uvx" => (Self::Pypi, "PyPI package"),
            "docker" | "oci" => (Self::Docker, "container image"),
            _ => return Err(SourceError::UnknownPrefix(prefix.to_owned())),
        };
        if rest.is_empty() {
            return Err(SourceError::Empty(text.to_owned()));
        }
        if rest.starts_with('-') || !rest.chars().all(|c| c.is_ascii_alphanumeric() || "@/._-:=+~[],<>!^".contains(c)) {
            return Err(SourceError::Malformed(rest.to_owned(), kind));
        }
        Ok(make(rest.to_owned()))
    }

    /// The entry for it, with further arguments for the server; `None` for a [`Source::Name`], which others know.
    pub fn entry(&self, transport: Option<Transport>, extra: &[String]) -> Option<Entry> {
        let run = |program: &str, head: &[&str], package: &str| {
            let words = head.iter().map(|s| (*s).to_owned()).chain([package.to_owned()]).chain(extra.iter().cloned());
            Entry::command(program, words)
        };
        Some(match self {
            Self::Npm(package) => run("npx", &["-y"], package),
            Self::Pypi(package) => run("uvx", &[], package),
            Self::Docker(image) => run("docker", &["run", "-i", "--rm"], image),
            Self::Url(url) => Entry::new(Launch::Remote(Remote {
                transport: transport.unwrap_or_else(|| Transport::of_address(url)),
                url: Text::literal(url),
                headers: Vec::new(),
            })),
            Self::Name(_) => return None,
        })
    }

    /// A short name for the server: what is left of the package, image or host without the words every server has.
    pub fn suggested_name(&self) -> String {
        match self {
            Self::Name(name) => sanitize(name),
            Self::Npm(package) => {
                let package = package.strip_prefix('@').map_or(package.as_str(), |p| {
                    p.split_once('/').map_or(p, |(scope, name)| {
                        // `@acme/mcp` says nothing after the slash.
                        if ["mcp", "server", "mcp-server"].contains(&name.split('@').next().unwrap_or(name)) {
                            scope
                        } else {
                            name
                        }
                    })
                });
                short(package.split('@').next().unwrap_or(package))
            }
            Self::Pypi(package) => short(package.split(['=', '<', '>', '!', '~', '[', '@']).next().unwrap_or(package)),
            Self::Docker(image) => {
                let name = image.split('@').next().unwrap_or(image).rsplit('/').next().unwrap_or(image);
                short(name.split(':').next().unwrap_or(name))
            }
            Self::Url(url) => {
                let host = host_of(url);
                if host.contains(':') || host.chars().all(|c| c.is_ascii_digit() || c == '.') {
                    return "local".to_owned();
                }
                let mut labels: Vec<&str> = host.split('.').collect();
                if labels.len() > 1 {
                    labels.pop(); // the top-level domain
                }
                labels.retain(|l| !["mcp", "api", "www", "server"].contains(l));
                sanitize(labels.last().copied().unwrap_or("server"))
            }
        }
    }
}

/// Whether what is sent to an address can be read on the way: plain `http` to another machine.
pub fn is_unencrypted(url: &str) -> bool {
    let Some(scheme) = url.get(..7) else { return false };
    let host = host_of(url).to_ascii_lowercase();
    let here = host == "localhost" || host.ends_with(".localhost") || host == "::1" || is_loopback_v4(&host);
    scheme.eq_ignore_ascii_case("http://") && !here && !host.contains('$')
}

fn is_loopback_v4(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// The host of an address, without user, port and brackets; empty when there is none.
fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or(authority);
    match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((inside, _)) => inside,
        None => host.split(':').next().unwrap_or(host),
    }
}

/// A name for a command: the script or program it runs.
pub fn name_of_command(stdio: &Stdio) -> String {
    let words: Vec<String> = std::iter::once(&stdio.command).chain(&stdio.args).map(ToString::to_string).collect();
    let program = stem(&words[0]);
    let runner =
        ["npx", "uvx", "bunx", "pnpx", "node", "python", "python3", "bun", "deno", "uv", "cmd", "sh", "bash", "docker", "java"];
    if runner.contains(&program.as_str()) {
        let skip = ["run", "-y", "-i", "--rm", "--yes", "-m", "/c", "-c", "dlx", "exec", "-jar"];
        if let Some(word) = words[1..].iter().find(|w| !w.starts_with('-') && !skip.contains(&w.as_str())) {
            let source = match program.as_str() {
                "npx" | "bunx" | "pnpx" => Source::Npm(word.clone()),
                "uvx" => Source::Pypi(word.clone()),
                "docker" => Source::Docker(word.clone()),
                _ => return short(&stem(word)),
            };
            return source.suggested_name();
        }
    }
    short(&program)
}

/// The last part of a path without its ending.
fn stem(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem }).to_owned()
}

/// Without the words every server's package has.
fn short(name: &str) -> String {
    let clean = slug(name);
    let words: Vec<&str> =
        clean.split('-').filter(|w| !["mcp", "server", "modelcontextprotocol"].contains(w) && !w.is_empty()).collect();
    sanitize(&if words.is_empty() { clean } else { words.join("-") })
}

/// A name every client takes: `a-z`, `0-9` and `-`, at most 32 characters.
pub fn sanitize(name: &str) -> String {
    let mut out = slug(name);
    out.truncate(32);
    let out = out.trim_end_matches('-').to_owned();
    if out.is_empty() { "server".to_owned() } else { out }
}

/// The letters and digits, in small letters, with single dashes between.
fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    out
}

/// Whether a value is a stand-in that a person was meant to replace: `YOUR_API_KEY`, `<token>`, `xxx`.
pub fn is_placeholder(value: &str) -> bool {
    let bare = value.trim().strip_prefix("Bearer ").unwrap_or(value.trim()).trim();
    let lower = bare.to_ascii_lowercase();
    let angled = bare.len() > 2 && bare.starts_with('<') && bare.ends_with('>');
    let squared = bare.len() > 2 && bare.starts_with('[') && bare.ends_with(']') && lower.contains("your");
    let xs = lower.len() >= 3 && lower.chars().all(|c| c == 'x' || c == '*' || c == '.' || c == '…' || c == '-');
    let word = [
        "changeme",
        "change-me",
        "change_me",
        "replace_me",
        "replace-me",
        "replaceme",
        "placeholder",
        "todo",
        "path/to",
        "insert",
    ];
    let your = [
        "your_",
        "your-",
        "your ",
        "my_api_key",
        "my-api-key",
        "/path/to/",
        "c:\\path\\to\\",
        "yourtoken",
        "yourapikey",
        "insert_",
    ];
    angled
        || squared
        || xs
        || word.contains(&lower.as_str())
        || your.iter().any(|y| lower.starts_with(y))
        || lower.contains("/path/to/")
        || (lower.ends_with("_here") || lower.ends_with("-here"))
        || (bare.starts_with("${") && lower.contains("your_"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

    use super::*;

    #[test]
    fn every_kind_of_source_gets_a_short_name() {
        for (text, name) in [
            ("npm:@modelcontextprotocol/server-everything@2026.8.31", "everything"),
            ("npm:@playwright/mcp", "playwright"),
            ("npm:mcp-server-kubernetes@1.0", "kubernetes"),
            ("pypi:mcp-server-fetch==1.2", "fetch"),
            ("docker:ghcr.io/github/github-mcp-server:v1", "github"),
            ("docker:mcp/time@sha256:abc", "time"),
            ("https://mcp.sentry.dev/mcp", "sentry"),
            ("https://api.githubcopilot.com/mcp/", "githubcopilot"),
            ("http://127.0.0.1:3001/mcp", "local"),
            ("http://localhost:3001/sse", "localhost"),
            ("HTTPS://me:secret@MCP.Example.com:8443/x", "example"),
            ("http://[2001:db8::1]:3000/mcp", "local"),
            ("docker:localhost:5000/team/mcp-time:v1", "time"),
            ("docker:ghcr.io/acme/tool:1.2@sha256:0123abc", "tool"),
            ("npm:@acme/mcp@1.2.3", "acme"),
            ("npm:@scope/pkg@1.2", "pkg"),
            ("npm:mcp-server-with-a-name-that-goes-on-and-on-and-on", "with-a-name-that-goes-on-and-on"),
            ("pypi:Some_Tool[extra]>=1.0", "some-tool"),
        ] {
            assert_eq!(Source::parse(text).unwrap().suggested_name(), name, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Source::parse("npm:"), Err(SourceError::Empty("npm:".into())));
        assert!(matches!(Source::parse("npm:a b"), Err(SourceError::Malformed(..))));
        assert!(matches!(Source::parse("npm:--version"), Err(SourceError::Malformed(..))));
        assert!(matches!(Source::parse("cargo:x"), Err(SourceError::UnknownPrefix(_))));
        for address in ["https://", "https://:80", "https://me@/x", "http://a b", "http://[]/x"] {
            assert!(matches!(Source::parse(address), Err(SourceError::Address(_))), "{address}");
        }
    }

    #[test]
    fn plain_http_is_private_on_this_machine_only() {
        for url in [
            "http://mcp.example/x",
            "HTTP://10.0.0.7:80/",
            "http://localhost.example/",
            "http://[2001:db8::1]/",
            "http://127.example/",
        ] {
            assert!(is_unencrypted(url), "{url}");
        }
        for url in [
            "https://mcp.example",
            "http://localhost:3000/mcp",
            "http://127.0.0.1/",
            "http://[::1]:3000/mcp",
            "http://a.localhost/",
        ] {
            assert!(!is_unencrypted(url), "{url}");
        }
    }

    #[test]
    fn the_scheme_is_written_in_small_letters() {
        assert_eq!(Source::parse("HTTPS://a.Example/X"), Ok(Source::Url("https://a.Example/X".into())));
    }

    #[test]
    fn commands_are_named_by_what_they_run() {
        let name = |command: &str, args: &[&str]| match Entry::command(command, args.iter().copied()).launch {
            Launch::Stdio(stdio) => name_of_command(&stdio),
            Launch::Remote(_) => String::new(),
        };
        assert_eq!(name("npx", &["-y", "@scope/server-memory"]), "memory");
        assert_eq!(name("/usr/bin/node", &["/opt/my-tool/dist/my-mcp-server.js", "stdio"]), "my");
        assert_eq!(name("python", &["-m", "weather_server"]), "weather");
        assert_eq!(name("C:\\Tools\\Time.exe", &[]), "time");
        assert_eq!(name("docker", &["run", "-i", "--rm", "mcp/git"]), "git");
    }

    #[test]
    fn placeholders_are_recognised_and_real_values_are_not() {
        for value in [
            "YOUR_API_KEY",
            "<token>",
            "xxx",
            "changeme",
            "Bearer YOUR_TOKEN",
            "your-api-key",
            "/path/to/dir",
            "API_KEY_HERE",
            "${YOUR_KEY}",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in
            ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "${API_KEY}", "true", "", "x", "/home/you/data", "production", "<3"]
        {
            assert!(!is_placeholder(value), "{value}");
        }
    }
}
