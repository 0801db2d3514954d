//! What `mcp run-once` was asked to do, and how that travels to the daemon.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use crate::secret::digits;

/// How long a server stays when nobody uses it, unless said otherwise.
pub const LINGER: Duration = Duration::from_secs(30);

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A server on standard input and output.
    Command {
        /// The program.
        program: OsString,
        /// Its arguments.
        args: Vec<OsString>,
    },
    /// A process that is no server and is kept alive as long as somebody is connected.
    Dummy {
        /// The program.
        program: OsString,
        /// Its arguments.
        args: Vec<OsString>,
    },
    /// A server elsewhere.
    Url(String),
}

/// How long a server stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// So long after its last client left.
    Ephemeral(Duration),
    /// Until it is stopped.
    Persistent,
}

/// The options of `mcp run-once`. The words are checked by whoever reads them from a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is run.
    pub what: What,
    /// The name that was given.
    pub name: Option<String>,
    /// How long it stays.
    pub lifetime: Lifetime,
    /// `auto`, `legacy`, `modern`.
    pub upstream_era: String,
    /// `first`, `full`, `none`, or an object.
    pub client_capabilities: String,
    /// `client`, `capabilities`, `roots`, `era`.
    pub isolate: Option<String>,
    /// `baton`, `strict`, `reject`.
    pub attribution: String,
    /// `never`, `on-failure`.
    pub restart: String,
    /// Further variables that tell servers apart.
    pub env_keys: Vec<String>,
    /// Headers for a server elsewhere, each as `Name: value`.
    pub headers: Vec<String>,
}

impl Options {
    /// The defaults for this.
    pub fn new(what: What) -> Self {
        Self {
            what,
            name: None,
            lifetime: Lifetime::Ephemeral(LINGER),
            upstream_era: "auto".to_owned(),
            client_capabilities: "first".to_owned(),
            isolate: None,
            attribution: "baton".to_owned(),
            restart: "on-failure".to_owned(),
            env_keys: Vec::new(),
            headers: Vec::new(),
        }
    }
}

/// The name and the value of a header. `None`: it is none.
pub fn header(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    is_name.then(|| (name, value.trim()))
}

/// A caller and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it wants.
    pub options: Options,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Its environment.
    pub env: Vec<(OsString, OsString)>,
    /// Its process.
    pub pid: u32,
    /// Its version of this program.
    pub version: String,
    /// A session that is taken up again.
    pub ticket: Option<Vec<u8>>,
}

/// Bytes that are no call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("understand what is asked: {0}")]
pub struct NotACall(String);

impl Call {
    /// The value of a variable.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        let is_it = |n: &OsStr| if cfg!(windows) { n.eq_ignore_ascii_case(name) } else { n == name };
        self.env.iter().find(|(n, _)| is_it(n)).map(|(_, v)| v.as_os_str())
    }

    /// The body of the hello.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(8192);
        let mut put = |key: &str, value: &[u8]| {
            body.extend_from_slice(key.as_bytes());
            body.push(0);
            body.extend_from_slice(value);
            body.push(0);
        };
        put("version", self.version.as_bytes());
        put("pid", self.pid.to_string().as_bytes());
        put("cwd", self.cwd.as_os_str().as_encoded_bytes());
        let options = &self.options;
        match &options.what {
            What::Command { program, args } | What::Dummy { program, args } => {
                let kind = if matches!(options.what, What::Dummy { .. }) { "dummy" } else { "program" };
                put(kind, program.as_encoded_bytes());
                for arg in args {
                    put("arg", arg.as_encoded_bytes());
                }
            }
            What::Url(url) => put("url", url.as_bytes()),
        }
        if let Some(name) = &options.name {
            put("name", name.as_bytes());
        }
        match options.lifetime {
            Lifetime::Ephemeral(linger) => put("linger-ms", linger.as_millis().to_string().as_bytes()),
            Lifetime::Persistent => put("persistent", b""),
        }
        put("upstream-era", options.upstream_era.as_bytes());
        put("client-capabilities", options.client_capabilities.as_bytes());
        if let Some(isolate) = &options.isolate {
            put("isolate", isolate.as_bytes());
        }
        put("attribution", options.attribution.as_bytes());
        put("restart", options.restart.as_bytes());
        for key in &options.env_keys {
            put("env-key", key.as_bytes());
        }
        for header in &options.headers {
            put("header", header.as_bytes());
        }
        for (name, value) in &self.env {
            let pair = [name.as_encoded_bytes(), b"=", value.as_encoded_bytes()].concat();
            put("env", &pair);
        }
        if let Some(ticket) = &self.ticket {
            // It may hold any byte.
            put("ticket", digits(ticket).as_bytes());
        }
        body
    }

    /// Reads the body of a hello. Unknown keys are a newer caller's and are passed over.
    pub fn from_bytes(body: &[u8]) -> Result<Self, NotACall> {
        let bad = |why: &str| NotACall(why.to_owned());
        let mut parts = body.split(|b| *b == 0);
        let mut call = Self {
            options: Options::new(What::Url(String::new())),
            cwd: PathBuf::new(),
            env: Vec::new(),
            pid: 0,
            version: String::new(),
            ticket: None,
        };
        let mut args = Vec::new();
        let mut program = None;
        let options = &mut call.options;
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            let text = || std::str::from_utf8(value).map(str::to_owned).map_err(|_| bad("a value is not UTF-8"));
            let words = || os_string(value).ok_or_else(|| bad("a value is not Unicode"));
            match key {
                b"version" => call.version = text()?,
                b"pid" => call.pid = text()?.parse().map_err(|_| bad("the process id is no number"))?,
                b"cwd" => call.cwd = words()?.into(),
                b"program" => program = Some((words()?, false)),
                b"dummy" => program = Some((words()?, true)),
                b"arg" => args.push(words()?),
                b"url" => options.what = What::Url(text()?),
                b"name" => options.name = Some(text()?),
                b"linger-ms" => {
                    let linger = text()?.parse().map_err(|_| bad("the duration is no number"))?;
                    options.lifetime = Lifetime::Ephemeral(Duration::from_millis(linger));
                }
                b"persistent" => options.lifetime = Lifetime::Persistent,
                b"upstream-era" => options.upstream_era = text()?,
                b"client-capabilities" => options.client_capabilities = text()?,
                b"isolate" => options.isolate = Some(text()?),
                b"attribution" => options.attribution = text()?,
                b"restart" => options.restart = text()?,
                b"header" => options.headers.push(text()?),
                b"env-key" => options.env_keys.push(text()?),
                b"env" => {
                    // Windows has hidden variables whose names begin with `=`.
                    let at = value.iter().skip(1).position(|b| *b == b'=').ok_or_else(|| bad("a variable has no value"))? + 1;
                    let part = |bytes| os_string(bytes).ok_or_else(|| bad("a variable is not Unicode"));
                    call.env.push((part(&value[..at])?, part(&value[at + 1..])?));
                }
                b"ticket" => call.ticket = Some(from_digits(&text()?).ok_or_else(|| bad("the ticket is no ticket"))?),
                _ => {}
            }
        }
        match program {
            Some((program, true)) => call.options.what = What::Dummy { program, args },
            Some((program, false)) => call.options.what = What::Command { program, args },
            None if call.options.what == What::Url(String::new()) => return Err(bad("there is no command")),
            None => {}
        }
        Ok(call)
    }
}

fn from_digits(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// A word of the system from the bytes it had in [`OsStr::as_encoded_bytes`] in another process.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere not all bytes are words")]
fn os_string(bytes: &[u8]) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec()))
}

/// Elsewhere the encoding is private to one process's build of Rust, except where it is plain text.
#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> Option<OsString> {
    std::str::from_utf8(bytes).ok().map(OsString::from)
}

/// Reads `30s`, `5m`, `2h`, `250ms`, or a number of seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let scale = match &text[digits..] {
        "ms" => return Some(Duration::from_millis(number)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    // A year is for ever enough.
    number.checked_mul(scale).filter(|s| *s <= 366 * 86_400).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    #[cfg(unix)]
    fn calls_come_through_whatever_the_bytes() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(b"\xff=\n\"".to_vec());
        let mut call = Call {
            options: Options::new(What::Command { program: odd.clone(), args: vec![odd.clone(), OsString::new()] }),
            cwd: odd.clone().into(),
            env: vec![("A".into(), odd), ("B".into(), OsString::new())],
            pid: 7,
            version: "1.2.3".into(),
            ticket: Some(b"\0{}\xff".to_vec()),
        };
        assert_eq!(Call::from_bytes(&call.to_bytes()).unwrap(), call);
        call.options = Options {
            name: Some("n".into()),
            lifetime: Lifetime::Persistent,
            isolate: Some("era".into()),
            env_keys: vec!["X".into(), "Y".into()],
            headers: vec!["X-A: b".into()],
            ..Options::new(What::Dummy { program: "p".into(), args: vec![] })
        };
        assert_eq!(Call::from_bytes(&call.to_bytes()).unwrap(), call);
        call.options.what = What::Url("https://example.com/mcp".into());
        assert_eq!(Call::from_bytes(&call.to_bytes()).unwrap(), call);
        assert!(Call::from_bytes(b"").is_err());
    }

    #[test]
    fn headers_are_read() {
        assert_eq!(header("X-Api-Key: a:b "), Some(("X-Api-Key", "a:b")));
        for text in ["", "X", ": v", "X Y: v", "X\n: v"] {
            assert_eq!(header(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        for (text, ms) in [("30", 30_000), ("30s", 30_000), ("250ms", 250), ("5m", 300_000), ("1h", 3_600_000), ("0", 0)] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1", "1.5s", "1w", "99999999999999999999", "99999999d"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
