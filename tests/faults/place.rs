//! A home with clients' files in it, and `mcp` run there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::Failed;
use mcp_edit::{Document, Format};

/// A client whose file is used, and what is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) id: &'static str,
    /// Below the home.
    pub(crate) file: &'static str,
    pub(crate) text: &'static str,
    pub(crate) table: &'static str,
    pub(crate) format: Format,
}

const STRICT: &str = "{\n\t\"mcpServers\":  {\n\t\t\"theirs\": {\"command\": \"t\", \"args\": [\"\\u0041\", \"/\"]}\n\t},\n\t\"big\": 12345678901234567890\n}";

pub(crate) const JSON: Client =
    Client { id: "cursor", file: ".cursor/mcp.json", text: STRICT, table: "mcpServers", format: Format::Json };

pub(crate) const TOML: Client = Client {
    id: "codex",
    file: ".codex/config.toml",
    text: "# theirs\r\nmodel = 'o' # stays\r\n\r\n[mcp_servers.theirs]\r\ncommand = \"t\"\r\nargs = [ \"a\",  \"b\" ]\r\n",
    table: "mcp_servers",
    format: Format::Toml,
};

pub(crate) const YAML: Client = Client {
    id: "goose",
    file: ".config/goose/config.yaml",
    text: "# theirs\nGOOSE_MODEL: &m o\nextensions:\n    theirs:   # stays\n        type: stdio\n        name: theirs\n        cmd: t\n        args: [a, b]\n        enabled: true\nother: *m\n",
    table: "extensions",
    format: Format::Yaml,
};

/// Its own programs take a lock directory.
pub(crate) const CLAUDE: Client =
    Client { id: "claude-code", file: ".claude.json", text: STRICT, table: "mcpServers", format: Format::Json };

/// Its own programs lock a file.
pub(crate) const COPILOT: Client =
    Client { id: "copilot-cli", file: ".copilot/mcp-config.json", text: STRICT, table: "mcpServers", format: Format::Json };

/// A home of its own.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    home: PathBuf,
}

/// Every file of interest and its bytes; `None` where there is no file.
pub(crate) type Files = BTreeMap<&'static str, Option<Vec<u8>>>;

impl Place {
    /// An empty home.
    pub(crate) fn new() -> Self {
        Self::named("home")
    }

    /// An empty home whose directory has this name.
    pub(crate) fn named(name: impl AsRef<Path>) -> Self {
        // In memory, where syncing costs nothing, if there is such a place: these are thousands of runs.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let root = dir.path().canonicalize().unwrap();
        let home = root.join(name);
        std::fs::create_dir(&home).unwrap();
        std::fs::create_dir(root.join("work")).unwrap();
        Self { dir, home }
    }

    /// A home with the files of these clients.
    pub(crate) fn with(clients: &[Client]) -> Self {
        let place = Self::new();
        for client in clients {
            place.plant(*client);
        }
        place
    }

    /// Writes the client's file.
    pub(crate) fn plant(&self, client: Client) {
        let path = self.path(client);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, client.text).unwrap();
    }

    /// What is watched: everything but the program itself.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.join("mcp/state")
    }

    pub(crate) fn path(&self, client: Client) -> PathBuf {
        self.home.join(client.file)
    }

    pub(crate) fn read(&self, client: Client) -> Option<Vec<u8>> {
        std::fs::read(self.path(client)).ok()
    }

    pub(crate) fn files(&self, clients: &[Client]) -> Files {
        clients.iter().map(|client| (client.file, self.read(*client))).collect()
    }

    /// `mcp` with an environment made from nothing.
    pub(crate) fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp"));
        command.args(words).current_dir(self.home.with_file_name("work")).env_clear();
        command.env("HOME", &self.home).env("USERPROFILE", &self.home).env("MCP_HOME", self.home.join("mcp"));
        for kept in ["SystemRoot", "SystemDrive"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command
    }

    /// Runs `mcp` with words separated by spaces.
    pub(crate) fn mcp(&self, words: &str) -> Output {
        self.command(words.split(' ')).output().unwrap()
    }

    /// Runs `mcp` and expects it to succeed.
    pub(crate) fn done(&self, words: &str) -> Result<(), Failed> {
        let output = self.mcp(words);
        if output.status.success() { Ok(()) } else { Err(format!("`mcp {words}`: {}", told(&output)).into()) }
    }

    /// The names of the client's servers; an error if the file cannot be parsed.
    pub(crate) fn servers(&self, client: Client) -> Result<Vec<String>, Failed> {
        let text = String::from_utf8(self.read(client).ok_or("no file")?)?;
        let document = Document::parse(&text, client.format).map_err(|e| format!("{e}\n{text}"))?;
        let members = document.members(&mcp_edit::Path::keys([client.table]), None).map_err(|e| e.to_string())?;
        Ok(members.unwrap_or_default().into_iter().map(|m| m.name).collect())
    }

    /// Temporary files and copies anywhere in the home.
    pub(crate) fn left_behind(&self) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.home.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_copy = entry.path().parent().is_some_and(|p| p.ends_with("recovery"));
                if is_copy || (name.starts_with(mcp_os::write::TEMP_PREFIX) && name != ".mcp-writer.lock") {
                    found.push(entry.path());
                }
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        found
    }
}

/// The command line that installs a server.
pub(crate) fn install(name: &str, clients: &[Client]) -> String {
    let ids: Vec<&str> = clients.iter().map(|client| client.id).collect();
    format!("install --name {name} --client {} --yes -- our-program --flag {name}", ids.join(","))
}

/// The command line that takes it away again.
pub(crate) fn uninstall(clients: &[Client]) -> String {
    let ids: Vec<&str> = clients.iter().map(|client| client.id).collect();
    format!("uninstall ours --client {} --yes", ids.join(","))
}

/// How a run ended and what it said.
pub(crate) fn told(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
