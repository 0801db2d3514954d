//! The token that goes with every request, where there has been a login; renewed when it has run out. The login itself is
//! the user's affair ([`login`](super::login)).

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rmcp::transport::auth::{AuthError, AuthorizationManager, CredentialStore, OAuthClientConfig, StoredCredentials};

use super::tokens::{StoreError, StoreKind, Tokens, Vault};

/// A token that ends in this time is renewed before it is used once more.
const SOON: Duration = Duration::from_secs(30);

/// What has to be known of tokens.
#[derive(Clone)]
pub(super) struct Facts {
    token: String,
    can_be_renewed: bool,
    /// When the access token ends, where that was said.
    pub(super) expires: Option<SystemTime>,
}

impl Facts {
    /// Read from the document the tokens are kept as: the types behind it belong to a crate we do not name.
    pub(super) fn of(credentials: &StoredCredentials) -> Option<Self> {
        let document = serde_json::to_value(credentials.token_response.as_ref()?).ok()?;
        let text = |key: &str| document.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let expires_in = document.get("expires_in").and_then(serde_json::Value::as_u64);
        let expires = credentials.token_received_at.zip(expires_in);
        let expires = expires.map(|(at, span)| UNIX_EPOCH + Duration::from_secs(at.saturating_add(span)));
        Some(Self { token: text("access_token")?, can_be_renewed: text("refresh_token").is_some(), expires })
    }

    /// Whether a new one can be had without the user.
    pub(super) fn can_be_renewed(&self) -> bool {
        self.can_be_renewed
    }

    fn ends_soon(&self) -> bool {
        self.expires.is_some_and(|at| at < SystemTime::now() + SOON)
    }
}

/// The tokens for one server.
pub(super) struct Access {
    /// The logins; none where the user gave a header, which is used instead.
    vault: Option<Arc<Vault>>,
    resource: String,
    held: RefCell<Option<Facts>>,
    is_loaded: Cell<bool>,
    /// Only one task looks for a better token.
    turn: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("resource", &self.resource).finish_non_exhaustive()
    }
}

impl Access {
    pub(super) fn new(vault: Option<Arc<Vault>>, resource: String) -> Self {
        let turn = tokio::sync::Mutex::new(());
        Self { vault, resource, held: RefCell::new(None), is_loaded: Cell::new(false), turn }
    }

    /// The token to send.
    pub(super) async fn token(&self) -> Option<String> {
        self.vault.as_ref()?;
        if !self.is_loaded.get() {
            let _turn = self.turn.lock().await;
            if !self.is_loaded.replace(true) {
                // A store that fails is heard of when the server wants a token.
                let loaded = self.load().await.ok().flatten();
                self.hold(loaded.as_ref());
            }
        }
        let held = self.held.borrow().clone()?;
        if held.ends_soon() && held.can_be_renewed {
            // If this fails the server says what it thinks of the old one.
            let _ = self.renew(Some(&held.token)).await;
        }
        self.held.borrow().as_ref().map(|held| held.token.clone())
    }

    fn hold(&self, loaded: Option<&(StoreKind, Tokens)>) {
        *self.held.borrow_mut() = loaded.and_then(|(_, tokens)| Facts::of(&tokens.credentials));
    }

    async fn load(&self) -> Result<Option<(StoreKind, Tokens)>, StoreError> {
        let Some(vault) = self.vault.clone() else { return Ok(None) };
        let resource = self.resource.clone();
        blocking(move || vault.load(&resource)).await
    }

    /// Gets a better token than the one that was refused: one that somebody else got meanwhile, or a new one from the
    /// issuer. If there is none, the user has to log in; the reason, where there is one to tell.
    pub(super) async fn renew(&self, refused: Option<&str>) -> Result<(), Option<String>> {
        let Some(vault) = self.vault.clone() else { return Err(None) };
        let _turn = self.turn.lock().await;
        let is_better = |facts: &Facts| Some(&*facts.token) != refused && !facts.ends_soon();
        if self.held.borrow().as_ref().is_some_and(is_better) {
            return Ok(());
        }
        let in_words = |error: StoreError| Some(format!("the login is out of reach: {error}"));
        let loaded = self.load().await.map_err(in_words)?;
        self.hold(loaded.as_ref());
        match &*self.held.borrow() {
            None => return Err(None),
            Some(facts) if is_better(facts) => return Ok(()),
            Some(facts) if !facts.can_be_renewed => return Err(Some("the last login has run out".to_owned())),
            Some(_) => {}
        }
        let (there, resource) = (Arc::clone(&vault), self.resource.clone());
        let _lock = blocking(move || there.turn(&resource)).await.map_err(in_words)?;
        // Another process may have been faster.
        let loaded = self.load().await.map_err(in_words)?;
        self.hold(loaded.as_ref());
        let Some((kind, tokens)) = loaded else { return Err(None) };
        if self.held.borrow().as_ref().is_some_and(is_better) {
            return Ok(());
        }
        let shelf = Shelf { vault, resource: self.resource.clone(), kind, client_secret: tokens.client_secret.clone() };
        ask_issuer(&self.resource, shelf, &tokens).await.map_err(|error| {
            Some(match error {
                AuthError::AuthorizationRequired | AuthError::TokenRefreshRejected(_) => "the last login has run out".to_owned(),
                other => format!("the last login could not be renewed: {other}"),
            })
        })?;
        let loaded = self.load().await.map_err(in_words)?;
        self.hold(loaded.as_ref());
        Ok(())
    }
}

async fn ask_issuer(resource: &str, shelf: Shelf, tokens: &Tokens) -> Result<(), AuthError> {
    super::client::install_ring();
    let mut manager = AuthorizationManager::new(resource).await?;
    manager.set_credential_store(shelf);
    if !manager.initialize_from_store().await? {
        return Err(AuthError::AuthorizationRequired);
    }
    if let Some(secret) = &tokens.client_secret {
        let client = OAuthClientConfig::new(&tokens.credentials.client_id, resource);
        manager.configure_client(client.with_client_secret(secret))?;
    }
    manager.refresh_token().await.map(drop)
}

/// Runs what may wait for a lock or for the user's word without keeping the traffic waiting.
pub(super) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Our logins as rmcp wants to see those of one server.
pub(super) struct Shelf {
    pub(super) vault: Arc<Vault>,
    pub(super) resource: String,
    pub(super) kind: StoreKind,
    pub(super) client_secret: Option<String>,
}

impl Shelf {
    async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault, &str) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, AuthError> {
        let (vault, resource) = (Arc::clone(&self.vault), self.resource.clone());
        blocking(move || work(&vault, &resource)).await.map_err(|error| AuthError::CredentialStoreError(error.to_string()))
    }
}

#[async_trait]
impl CredentialStore for Shelf {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        let loaded = self.with(Vault::load).await?;
        Ok(loaded.map(|(_, tokens)| tokens.credentials))
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let (kind, tokens) = (self.kind, Tokens { credentials, client_secret: self.client_secret.clone() });
        self.with(move |vault, resource| vault.save(resource, kind, &tokens)).await
    }

    async fn clear(&self) -> Result<(), AuthError> {
        self.with(|vault, resource| vault.remove(resource).map(drop)).await
    }
}
