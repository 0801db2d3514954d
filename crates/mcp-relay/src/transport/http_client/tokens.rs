//! Where logins are kept: which there are, in a file without secrets; their tokens, in the keychain of the system, or in a
//! file that only its owner may read where the user says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mcp_os::dirs::Dirs;
use mcp_os::file;
use mcp_os::lock::{FileLock, LockError};
use mcp_os::write::{self, WriteError};
use rmcp::transport::auth::StoredCredentials;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Under this name the keychain lists what is ours.
const SERVICE: &str = "mcp";
/// Nobody holds these locks for longer than one write, or one exchange with a server.
const PATIENCE: Duration = Duration::from_secs(40);

/// Where tokens are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The keychain of the system: Keychain on macOS, Credential Manager on Windows, the Secret Service elsewhere.
    Keychain,
    /// A file with mode 0600 in our state directory.
    File,
}

impl StoreKind {
    /// As on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keychain => "keychain",
            Self::File => "file",
        }
    }
}

impl std::str::FromStr for StoreKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "keychain" => Ok(Self::Keychain),
            "file" => Ok(Self::File),
            _ => Err(format!("`{word}` is neither `keychain` nor `file`")),
        }
    }
}

/// Why tokens could not be got or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no keychain, or it lets nobody in.
    #[error("no keychain can be reached: {0}")]
    NoKeychain(String),
    /// The keychain is there and failed.
    #[error("the keychain failed: {0}")]
    Keychain(String),
    /// The tokens are too long for the keychain of this system.
    #[error("the tokens are longer than the {0} bytes the keychain takes")]
    TooLong(u32),
    /// A file of ours could not be read.
    #[error(transparent)]
    Read(#[from] file::ReadError),
    /// A file of ours could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Somebody else holds it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// What is kept is not ours, or broken.
    #[error("understand what is kept in {place}")]
    Broken {
        /// Where.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It was written by a newer version.
    #[error("{} was written by a newer version (`{schema}`)", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: String,
    },
}

/// One place to keep secrets in, by the address of the server they are for. Calls may wait for the user (a keychain asks).
pub trait TokenStore: Send + Sync + std::fmt::Debug {
    /// What is kept for a server.
    fn load(&self, resource: &str) -> Result<Option<String>, StoreError>;
    /// Keeps something, in place of what was there.
    fn save(&self, resource: &str, secret: &str) -> Result<(), StoreError>;
    /// Forgets it; whether there was anything.
    fn remove(&self, resource: &str) -> Result<bool, StoreError>;
}

/// The keychain of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keychain;

impl Keychain {
    fn entry(resource: &str) -> Result<keyring::v1::Entry, StoreError> {
        keyring::v1::Entry::new(SERVICE, resource).map_err(|error| match keyring::v1::Entry::store_status() {
            Err(reason) => StoreError::NoKeychain(reason.to_string()),
            Ok(()) => failed(error),
        })
    }
}

fn failed(error: keyring::v1::Error) -> StoreError {
    match error {
        keyring::v1::Error::NoStorageAccess(reason) => StoreError::NoKeychain(reason.to_string()),
        keyring::v1::Error::TooLong(_, limit) => StoreError::TooLong(limit),
        other => StoreError::Keychain(other.to_string()),
    }
}

impl TokenStore for Keychain {
    fn load(&self, resource: &str) -> Result<Option<String>, StoreError> {
        match Self::entry(resource)?.get_password() {
            Ok(secret) => Ok(Some(secret)),
            Err(keyring::v1::Error::NoEntry) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn save(&self, resource: &str, secret: &str) -> Result<(), StoreError> {
        Self::entry(resource)?.set_password(secret).map_err(failed)
    }

    fn remove(&self, resource: &str) -> Result<bool, StoreError> {
        match Self::entry(resource)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(keyring::v1::Error::NoEntry) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

/// A JSON file of ours with one value per server, changed by one process at a time.
#[derive(Clone, Debug)]
struct Book {
    path: PathBuf,
    locks: PathBuf,
    recovery: PathBuf,
    /// `NAME/VERSION`.
    schema: &'static str,
}

#[derive(Deserialize, Serialize)]
struct Page<T> {
    schema: String,
    servers: BTreeMap<String, T>,
}

impl Book {
    fn new(dirs: &Dirs, name: &str, schema: &'static str) -> Self {
        Self { path: dirs.state.join(name), locks: dirs.locks(), recovery: dirs.recovery(), schema }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<(file::Found, Page<T>), StoreError> {
        let found = file::read(&self.path)?;
        let page = match found.bytes() {
            None => Page { schema: self.schema.to_owned(), servers: BTreeMap::new() },
            Some(bytes) => {
                let broken = |source| StoreError::Broken { place: self.path.display().to_string(), source };
                let page: Page<T> = serde_json::from_slice(bytes).map_err(broken)?;
                if page.schema != self.schema {
                    return Err(StoreError::Newer { path: self.path.clone(), schema: page.schema });
                }
                page
            }
        };
        Ok((found, page))
    }

    fn change<T: DeserializeOwned + Serialize, R>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, T>) -> R,
    ) -> Result<R, StoreError> {
        let _lock = FileLock::acquire(&self.locks, &self.path.to_string_lossy(), PATIENCE)?;
        let (found, mut page) = self.read()?;
        let result = change(&mut page.servers);
        let mut text = serde_json::to_vec_pretty(&page)
            .map_err(|source| StoreError::Broken { place: self.path.display().to_string(), source })?;
        text.push(b'\n');
        if found.bytes() != Some(&text) {
            let options = write::Options { mode_if_new: 0o600, private: true, recovery: &self.recovery };
            write::replace(found.target(), found.bytes(), &text, &options)?;
        }
        Ok(result)
    }
}

/// A file that only its owner may read.
#[derive(Clone, Debug)]
pub struct SecretFile(Book);

impl SecretFile {
    /// The one in our state directory.
    pub fn new(dirs: &Dirs) -> Self {
        Self(Book::new(dirs, "tokens.json", "mcp.tokens/1"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

impl TokenStore for SecretFile {
    fn load(&self, resource: &str) -> Result<Option<String>, StoreError> {
        Ok(self.0.read::<String>()?.1.servers.remove(resource))
    }

    fn save(&self, resource: &str, secret: &str) -> Result<(), StoreError> {
        self.0.change(|servers: &mut BTreeMap<String, String>| servers.insert(resource.to_owned(), secret.to_owned()))?;
        Ok(())
    }

    fn remove(&self, resource: &str) -> Result<bool, StoreError> {
        if !self.0.read::<String>()?.1.servers.contains_key(resource) {
            return Ok(false);
        }
        self.0.change(|servers: &mut BTreeMap<String, String>| servers.remove(resource).is_some())
    }
}

/// A login as it is listed; nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Where its tokens are.
    pub store: StoreKind,
    /// Who gave them.
    pub issuer: Option<String>,
    /// The rights they give, as far as that was said.
    pub scopes: Vec<String>,
}

/// What is secret of a login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// The tokens, and to which client of which issuer they were given.
    pub credentials: StoredCredentials,
    /// What the client proves itself with, where it was given something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// All logins.
#[derive(Clone, Debug)]
pub struct Vault {
    list: Book,
    keychain: Arc<dyn TokenStore>,
    file: Arc<dyn TokenStore>,
}

impl Vault {
    /// Those of the user.
    pub fn new(dirs: &Dirs) -> Self {
        Self::with_keychain(dirs, Arc::new(Keychain))
    }

    /// With another keychain than the system's.
    pub fn with_keychain(dirs: &Dirs, keychain: Arc<dyn TokenStore>) -> Self {
        Self { list: Book::new(dirs, "logins.json", "mcp.logins/1"), keychain, file: Arc::new(SecretFile::new(dirs)) }
    }

    /// One of the places.
    pub fn store(&self, kind: StoreKind) -> &dyn TokenStore {
        match kind {
            StoreKind::Keychain => &*self.keychain,
            StoreKind::File => &*self.file,
        }
    }

    /// The login for a server. Asks no keychain.
    pub fn login(&self, resource: &str) -> Result<Option<Login>, StoreError> {
        Ok(self.list.read::<Login>()?.1.servers.remove(resource))
    }

    /// The tokens for a server, and where they are kept.
    pub fn load(&self, resource: &str) -> Result<Option<(StoreKind, Tokens)>, StoreError> {
        let Some(login) = self.login(resource)? else { return Ok(None) };
        let Some(secret) = self.store(login.store).load(resource)? else { return Ok(None) };
        let broken = |source| StoreError::Broken { place: format!("the {}", login.store.word()), source };
        Ok(Some((login.store, serde_json::from_str(&secret).map_err(broken)?)))
    }

    /// Keeps the tokens for a server. What another place kept of it is forgotten.
    pub fn save(&self, resource: &str, kind: StoreKind, tokens: &Tokens) -> Result<(), StoreError> {
        let broken = |source| StoreError::Broken { place: "memory".to_owned(), source };
        let secret = serde_json::to_string(tokens).map_err(broken)?;
        self.store(kind).save(resource, &secret)?;
        let login =
            Login { store: kind, issuer: tokens.credentials.issuer.clone(), scopes: tokens.credentials.granted_scopes.clone() };
        let before = self.list.change(|servers| servers.insert(resource.to_owned(), login))?;
        if let Some(before) = before.filter(|before: &Login| before.store != kind) {
            self.store(before.store).remove(resource)?;
        }
        Ok(())
    }

    /// Forgets the login for a server; whether there was one.
    pub fn remove(&self, resource: &str) -> Result<bool, StoreError> {
        let Some(login) = self.login(resource)? else { return Ok(false) };
        self.store(login.store).remove(resource)?;
        self.list.change(|servers: &mut BTreeMap<String, Login>| servers.remove(resource).is_some())
    }

    /// Keeps other processes from renewing the same tokens, which many servers let happen once only.
    pub fn turn(&self, resource: &str) -> Result<FileLock, StoreError> {
        Ok(FileLock::acquire(&self.list.locks, &format!("tokens of {resource}"), PATIENCE)?)
    }
}
