//! What makes two callers share a server: the same program, arguments, working directory, variables that matter, and options
//! that change what the server is told. The rule for variables is documented in `docs/run-once.md`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::call::{Call, What};
use crate::secret::digits;

/// A server among all of this user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity([u8; 32]);

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(12).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

/// Words that make the name of a variable the name of a setting of a server, between underscores.
const WORDS: [&str; 41] = [
    "ACCOUNT",
    "API",
    "APIKEY",
    "AUTH",
    "BUCKET",
    "CLUSTER",
    "CONNECTION",
    "CONTEXT",
    "CREDENTIAL",
    "CREDENTIALS",
    "DATABASE",
    "DB",
    "DOMAIN",
    "DSN",
    "ENDPOINT",
    "ENDPOINTS",
    "HOST",
    "HOSTS",
    "KEY",
    "KEYS",
    "KUBECONFIG",
    "ORG",
    "ORGANIZATION",
    "PASS",
    "PASSWD",
    "PASSWORD",
    "PAT",
    "PORT",
    "PROFILE",
    "PROJECT",
    "REALM",
    "REGION",
    "SECRET",
    "SUBSCRIPTION",
    "TENANT",
    "TOKEN",
    "URI",
    "URL",
    "USER",
    "USERNAME",
    "WORKSPACE",
];

/// Words that do so wherever they stand in a name.
const ANYWHERE: [&str; 5] = ["APIKEY", "CREDENTIAL", "PASSWORD", "SECRET", "TOKEN"];

/// Families of settings, by how their names begin.
const FAMILIES: [&str; 12] =
    ["AWS_", "AZURE_", "ARM_", "GCLOUD_", "GCP_", "GOOGLE_", "KUBE", "MONGO", "MYSQL_", "PG", "POSTGRES", "REDIS_"];

/// Settings by their full names.
const NAMES: [&str; 5] = ["NODE_ENV", "NODE_OPTIONS", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"];

/// What belongs to a terminal, a session, a desktop, or to a client itself: it differs between callers that mean the same
/// server. A name ending in `*` stands for all that begin so.
const IGNORED: &[&str] = &[
    // the shell and the session
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "HOME",
    "USER",
    "LOGNAME",
    "USERNAME",
    "USERPROFILE",
    "SHELL",
    "HOST",
    "HOSTNAME",
    "HOSTTYPE",
    "MACHTYPE",
    "USERDOMAIN*",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "SSH_*",
    "GPG_*",
    "DBUS_*",
    "XDG_*",
    "SYSTEMD_*",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "__*",
    "SUDO_*",
    "WSL*",
    "MAIL",
    // terminals and desktops
    "TERM*",
    "COLORTERM",
    "TMUX*",
    "STY",
    "WINDOWID",
    "ITERM*",
    "KITTY*",
    "WEZTERM*",
    "ALACRITTY*",
    "GHOSTTY*",
    "KONSOLE*",
    "GNOME_*",
    "GTK_*",
    "KDE_*",
    "DESKTOP_*",
    "DISPLAY",
    "WAYLAND*",
    "LS_COLORS",
    // package runners
    "npm_*",
    "INIT_CWD",
    // clients, and the keys by which they reach their models
    "CLAUDE*",
    "CODEX*",
    "GEMINI*",
    "GOOSE*",
    "CURSOR*",
    "COPILOT*",
    "QWEN*",
    "OPENCODE*",
    "KILO*",
    "CLINE*",
    "CONTINUE*",
    "AMP_*",
    "FACTORY_*",
    // Copilot hands its own settings for git to every server
    "GIT_CONFIG_*",
    // one of the clients sets how a wallet may ask, which is no credential
    "AWS_VAULT_PROMPT",
    "VSCODE*",
    "ELECTRON*",
    "ANTHROPIC_*",
    "OPENAI_*",
    "GOOGLE_GEMINI*",
    // what a connection is checked with, the same for all
    "SSL_*",
    "AWS_CA_BUNDLE",
];

/// Whether a variable tells servers apart.
pub fn matters(name: &str, env_keys: &[String]) -> bool {
    if env_keys.iter().any(|k| k == name) {
        return true;
    }
    let is_ignored = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    if IGNORED.iter().any(|p| is_ignored(p)) {
        return false;
    }
    // Names of Windows come in any case.
    let name = name.to_ascii_uppercase();
    NAMES.contains(&name.as_str())
        || FAMILIES.iter().any(|f| name.starts_with(f))
        || ANYWHERE.iter().any(|w| name.contains(w))
        || name.split('_').any(|word| WORDS.contains(&word))
}

/// The variables of a caller that tell servers apart, by name.
pub fn variables(call: &Call) -> Vec<(&OsStr, &OsStr)> {
    let keys = &call.options.env_keys;
    let mut found: Vec<(&OsStr, &OsStr)> = call
        .env
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(|n| matters(n, keys)))
        .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
        .collect();
    found.sort_unstable();
    found.dedup_by_key(|(name, _)| *name);
    found
}

/// The hash under which the value of a variable may be kept. Without the salt it says nothing about the value.
pub fn hash_of_value(salt: &[u8], name: &OsStr, value: &OsStr) -> String {
    let mut hash = Sha256::new();
    add(&mut hash, salt);
    add(&mut hash, name.as_encoded_bytes());
    add(&mut hash, value.as_encoded_bytes());
    digits(&hash.finalize()[..16])
}

/// The identity of the server a caller means; `isolation` sets it apart from others of the same command.
pub fn identity(call: &Call, program: Option<&Path>, salt: &[u8], isolation: &str) -> Identity {
    let mut hash = Sha256::new();
    add(&mut hash, b"mcp identity 1");
    let options = &call.options;
    match &options.what {
        What::Command { args, .. } | What::Dummy { args, .. } => {
            add(&mut hash, if matches!(options.what, What::Dummy { .. }) { b"dummy" } else { b"command" });
            add(&mut hash, program.unwrap_or(Path::new("")).as_os_str().as_encoded_bytes());
            add(&mut hash, &args.len().to_le_bytes());
            for arg in args {
                add(&mut hash, arg.as_encoded_bytes());
            }
            add(&mut hash, call.cwd.as_os_str().as_encoded_bytes());
        }
        What::Url(url) => {
            add(&mut hash, b"url");
            add(&mut hash, url.as_bytes());
            for header in &options.headers {
                add(&mut hash, hash_of_value(salt, OsStr::new("header"), OsStr::new(header)).as_bytes());
            }
        }
    }
    for (name, value) in variables(call) {
        add(&mut hash, name.as_encoded_bytes());
        add(&mut hash, hash_of_value(salt, name, value).as_bytes());
    }
    for option in [&options.upstream_era, &options.client_capabilities, &options.attribution] {
        add(&mut hash, option.as_bytes());
    }
    add(&mut hash, isolation.as_bytes());
    Identity(hash.finalize().into())
}

/// Adds a part whose end cannot be mistaken.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// The file a caller's program is, on its `PATH` and from its directory.
pub fn resolve(call: &Call, program: &OsStr) -> Option<PathBuf> {
    let path = call.var("PATH").map_or_else(OsString::new, OsStr::to_owned);
    let found = mcp_os::which::find(program, &path, &call.cwd, call.var("PATHEXT"))?;
    Some(if found.is_absolute() { found } else { call.cwd.join(found) })
}

/// A short name for a command: what a person would call the server.
pub fn short_name(what: &What) -> String {
    let (program, args) = match what {
        What::Command { program, args } | What::Dummy { program, args } => (program, args),
        What::Url(url) => {
            let host = url.split("://").nth(1).unwrap_or(url).split(['/', ':', '?']).next().unwrap_or_default();
            return clean(host.trim_start_matches("www.").trim_start_matches("mcp."));
        }
    };
    let stem = |word: &OsStr| {
        let name = Path::new(word).file_name().unwrap_or(word).to_string_lossy().into_owned();
        let cut = |name: &str, ends: &[&str]| ends.iter().find_map(|e| name.strip_suffix(e).map(str::to_owned));
        cut(&name, &[".exe", ".cmd", ".bat", ".js", ".mjs", ".cjs", ".ts", ".py", ".sh", ".rb"]).unwrap_or(name)
    };
    let own = stem(program);
    let is_runner = [
        "npx", "bunx", "uvx", "pipx", "node", "bun", "deno", "python", "python3", "uv", "docker", "podman", "sh", "bash", "env",
        "mcp", "cmd", "npm", "pnpm", "yarn",
    ]
    .contains(&own.as_str());
    if !is_runner {
        return clean(&own);
    }
    let steps = ["run", "serve", "exec", "x", "dlx", "tool", "-m"];
    let word = args.iter().find(|a| {
        let text = a.to_string_lossy();
        !text.starts_with('-') && !text.contains('=') | text.contains("==") && !steps.contains(&&*text)
    });
    word.map_or_else(
        || clean(&own),
        |word| {
            let text = word.to_string_lossy();
            // `@scope/name@version`, `name==version`, `image:tag`
            let bare = text.strip_prefix('@').unwrap_or(&text);
            let bare = bare.split("==").next().unwrap_or(bare);
            let bare = bare.split('@').next().filter(|b| !b.is_empty()).unwrap_or(bare);
            let bare = bare.rsplit_once(':').map_or(bare, |(head, tail)| if tail.contains('/') { bare } else { head });
            clean(&stem(OsStr::new(bare)))
        },
    )
}

/// Only what is safe in a file name and easy to type.
fn clean(name: &str) -> String {
    let text: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }).take(40).collect();
    let text = text.trim_matches(['-', '.', '_']);
    if text.is_empty() { "server".to_owned() } else { text.to_owned() }
}

/// Why a name cannot be one.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 64 {
        Err("a name has 1 to 64 characters")
    } else if name.starts_with(['.', '-']) || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        Err("a name is made of letters, digits, `-`, `_` and `.`, and begins with none of the last three but `_`")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
