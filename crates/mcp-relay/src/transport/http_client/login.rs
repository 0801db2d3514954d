//! Logging in to a remote server (specification, basic/authorization), and out again. The user's browser does the talking;
//! we wait on a port of this machine for what the issuer sends back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use rmcp::transport::auth::{AuthError, AuthorizationManager, AuthorizationRequest, AuthorizationSession, StoredCredentials};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::access::{Facts, Shelf, blocking};
use super::client;
use super::tokens::{StoreError, StoreKind, Vault};
use super::{RemoteError, parse_url, resource};

/// What is read at most of a browser's request.
const MOST_OF_REQUEST: usize = 64 * 1024;

/// A request that does nothing, to be told what a login takes. The modern era's, so that no session is made.
const PROBE: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// How to log in.
#[derive(Clone, Debug)]
pub struct LoginOptions {
    /// The server's address.
    pub url: String,
    /// Where the tokens are to be kept.
    pub store: StoreKind,
    /// The rights to ask for; none for those the server names.
    pub scopes: Vec<String>,
    /// A client that is registered with the issuer; none to register one now.
    pub client_id: Option<String>,
    /// What that client proves itself with.
    pub client_secret: Option<String>,
    /// The port to wait on; 0 for any.
    pub port: u16,
    /// How long to wait for the user.
    pub patience: Duration,
}

impl LoginOptions {
    /// With the usual choices.
    pub fn new(url: impl Into<String>, store: StoreKind) -> Self {
        Self {
            url: url.into(),
            store,
            scopes: Vec::new(),
            client_id: None,
            client_secret: None,
            port: 0,
            patience: Duration::from_mins(5),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The name the login is kept by.
    pub resource: String,
    /// Who gave the tokens, where it was said.
    pub issuer: Option<String>,
    /// The rights they give.
    pub scopes: Vec<String>,
    /// Where they are kept.
    pub store: StoreKind,
    /// When the first access token ends.
    pub expires: Option<SystemTime>,
    /// It can be renewed without the user.
    pub is_renewable: bool,
}

/// Why there was no login.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// No address to log in to.
    #[error(transparent)]
    Address(#[from] RemoteError),
    /// Tokens would cross the network readable.
    #[error("log in to {url}: tokens must not go over `http://` to another machine")]
    Insecure {
        /// The address.
        url: String,
    },
    /// The tokens could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server did not answer.
    #[error("reach {url}: {why}")]
    Unreachable {
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// The server wants no login and names no issuer.
    #[error("{url} asks for no login")]
    NotNeeded {
        /// The address.
        url: String,
    },
    /// Finding the issuer, registering with it or getting tokens failed.
    #[error("{step}")]
    Issuer {
        /// What was tried.
        step: &'static str,
        /// Why it failed.
        source: Box<AuthError>,
    },
    /// No port to wait on.
    #[error("wait on 127.0.0.1:{port} for the browser to come back")]
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The user or the issuer said no.
    #[error("the issuer gave no permission: {0}")]
    Denied(String),
    /// Nobody came back.
    #[error("nobody came back from the browser in {} minutes", .0.as_secs() / 60)]
    TimedOut(Duration),
}

impl LoginError {
    /// What the user can do about it.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Store(StoreError::NoKeychain(_) | StoreError::TooLong(_) | StoreError::Keychain(_)) => {
                Some("`--token-store file` keeps the tokens in a file that only you may read")
            }
            Self::Issuer { source, .. } if matches!(**source, AuthError::RegistrationFailed(_)) => {
                Some("register a client with the issuer and give its id with `--client-id`")
            }
            Self::TimedOut(_) => Some("run it again, and open the address that is shown in a browser on this machine"),
            _ => None,
        }
    }
}

/// [`login`], for those who run nothing else meanwhile.
pub fn login_and_wait(options: LoginOptions, vault: Arc<Vault>, show: impl FnOnce(&str)) -> Result<LoggedIn, LoginError> {
    alone(login(options, vault, show))
}

/// [`logout`], for those who run nothing else meanwhile.
pub fn logout_and_wait(url: &str, vault: Arc<Vault>) -> Result<bool, LoginError> {
    alone(logout(url, vault))
}

fn alone<R>(work: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime of one thread needs nothing that could be missing").block_on(work)
}

/// Logs in. `show` is given the address the user has to open; the callback must come to this machine.
pub async fn login(options: LoginOptions, vault: Arc<Vault>, show: impl FnOnce(&str)) -> Result<LoggedIn, LoginError> {
    let url = parse_url(&options.url)?;
    let name = client::shown(&url);
    if url.scheme() != "https" && !client::is_loopback(&url) {
        return Err(LoginError::Insecure { url: name });
    }
    let resource = resource(&url);
    // Before the user is sent to a browser: a login that cannot be kept is none.
    let (there, key, kind) = (Arc::clone(&vault), resource.clone(), options.store);
    blocking(move || there.store(kind).load(&key).map(drop)).await?;
    let challenge = challenge(&url, &name).await?;

    let issuer = |step| move |error| issuer_failed(step, error);
    let mut manager = AuthorizationManager::new(resource.as_str()).await.map_err(issuer("set up the login"))?;
    let found = manager.resolve_metadata_from_challenge(challenge.as_deref()).await;
    let found = found.map_err(issuer("find out who gives tokens for this server"))?;
    if challenge.is_none() && !found.source.is_discovered() {
        return Err(LoginError::NotNeeded { url: name });
    }
    manager.set_metadata(found.metadata);
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await;
    let listener = listener.map_err(|source| LoginError::Port { port: options.port, source })?;
    let port = listener.local_addr().map_err(|source| LoginError::Port { port: options.port, source })?.port();
    let redirect = format!("http://127.0.0.1:{port}/callback");

    let scopes = if options.scopes.is_empty() { manager.select_initial_scopes(&[]).await } else { options.scopes };
    let (client_id, client_secret) = if let Some(id) = options.client_id {
        (id, options.client_secret)
    } else {
        let wanted: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let client = manager.register_client("mcp", &redirect, &wanted).await.map_err(issuer("register with the issuer"))?;
        (client.client_id, client.client_secret)
    };
    let shelf = Shelf {
        vault: Arc::clone(&vault),
        resource: resource.clone(),
        kind: options.store,
        client_secret: client_secret.clone(),
    };
    manager.set_credential_store(shelf);
    let mut request = AuthorizationRequest::new(&redirect).with_scopes(scopes).with_preregistered_client(client_id);
    if let Some(secret) = client_secret {
        request = request.with_client_secret(secret);
    }
    let session = AuthorizationSession::new(manager, request).await;
    let session = session.map_err(|(_, error)| issuer_failed("prepare the login", error))?;
    show(session.get_authorization_url());
    let waiting = come_back(&listener, &redirect, &session);
    tokio::time::timeout(options.patience, waiting).await.map_err(|_| LoginError::TimedOut(options.patience))??;

    let (there, key) = (vault, resource.clone());
    let kept = blocking(move || there.load(&key)).await?;
    let credentials: Option<StoredCredentials> = kept.map(|(_, tokens)| tokens.credentials);
    let facts = credentials.as_ref().and_then(Facts::of);
    Ok(LoggedIn {
        resource,
        issuer: credentials.as_ref().and_then(|c| c.issuer.clone()),
        scopes: credentials.map(|c| c.granted_scopes).unwrap_or_default(),
        store: options.store,
        expires: facts.as_ref().and_then(|f| f.expires),
        is_renewable: facts.is_some_and(|f| f.can_be_renewed()),
    })
}

/// Forgets the login for a server; whether there was one.
pub async fn logout(url: &str, vault: Arc<Vault>) -> Result<bool, LoginError> {
    let resource = resource(&parse_url(url)?);
    Ok(blocking(move || vault.remove(&resource)).await?)
}

/// What the server says when it is asked without a token.
async fn challenge(url: &Url, name: &str) -> Result<Option<String>, LoginError> {
    let client = client::build(url, Duration::from_secs(15)).map_err(RemoteError::Client)?;
    let request = client
        .post(url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", mcp_wire::version::NEWEST)
        .header("mcp-method", "server/discover")
        .timeout(Duration::from_secs(30))
        .body(Bytes::from_static(PROBE));
    let response = request.send().await;
    let response = response.map_err(|error| LoginError::Unreachable { url: name.to_owned(), why: client::why(&error) })?;
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(text);
    let bearer = challenges.into_iter().find(|value| value.to_ascii_lowercase().starts_with("bearer"));
    // A server may want a login and not say more.
    Ok(bearer.or_else(|| (response.status() == reqwest::StatusCode::UNAUTHORIZED).then(|| "Bearer".to_owned())))
}

/// Waits for the browser to bring the code, and trades it for tokens.
async fn come_back(listener: &TcpListener, redirect: &str, session: &AuthorizationSession) -> Result<(), LoginError> {
    let state = Url::parse(session.get_authorization_url()).ok().and_then(|url| parameter(&url, "state"));
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        // Browsers open connections they do not use; one of those must not keep the others waiting.
        let asked = tokio::time::timeout(Duration::from_secs(5), read_target(&mut stream)).await.ok().flatten();
        let Some(url) = asked.and_then(|target| Url::parse(redirect).ok()?.join(&target).ok()) else { continue };
        if url.path() != "/callback" || parameter(&url, "state") != state {
            answer(&mut stream, "404 Not Found", "This is not the page you are looking for.").await;
            continue;
        }
        if let Some(error) = parameter(&url, "error") {
            answer(&mut stream, "200 OK", "There was no permission. You can close this window.").await;
            let more = parameter(&url, "error_description").map(|d| format!(": {d}")).unwrap_or_default();
            return Err(LoginError::Denied(format!("{error}{more}")));
        }
        return match session.handle_callback_url(url.as_str()).await {
            Ok(_) => {
                answer(&mut stream, "200 OK", "You are logged in. You can close this window.").await;
                Ok(())
            }
            Err(error) => {
                answer(&mut stream, "200 OK", "The login failed; the terminal says why. You can close this window.").await;
                Err(issuer_failed("trade the permission for tokens", error))
            }
        };
    }
}

fn issuer_failed(step: &'static str, error: AuthError) -> LoginError {
    LoginError::Issuer { step, source: Box::new(error) }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The target of a GET request, all of whose head was read.
async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        if head.len() > MOST_OF_REQUEST || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let line = std::str::from_utf8(head.split(|b| *b == b'\r').next()?).ok()?;
    let mut words = line.split(' ');
    (words.next()? == "GET").then(|| words.next().map(str::to_owned)).flatten().filter(|target| target.starts_with('/'))
}

async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>mcp</title><p>{text}\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n",
        page.len()
    );
    // The login does not depend on what the browser shows.
    let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
