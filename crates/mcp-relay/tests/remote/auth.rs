//! Logins: made, kept, used, renewed, refused.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use mcp_os::dirs::Dirs;
use mcp_relay::transport::http_client::RemoteOptions;
use mcp_relay::transport::http_client::login::{LoggedIn, LoginError, LoginOptions, login, logout};
use mcp_relay::transport::http_client::tokens::{StoreError, StoreKind, TokenStore, Vault};

use crate::client::{Client, modern, run};
use crate::issuer::{Twist, World};
use crate::server::DEADLINE;

/// A keychain in memory, which can be locked.
#[derive(Debug, Default)]
struct Pocket {
    kept: Mutex<BTreeMap<String, String>>,
    is_locked: Mutex<bool>,
}

impl Pocket {
    fn open(&self) -> Result<std::sync::MutexGuard<'_, BTreeMap<String, String>>, StoreError> {
        if *self.is_locked.lock().unwrap() {
            return Err(StoreError::NoKeychain("nobody is at home".to_owned()));
        }
        Ok(self.kept.lock().unwrap())
    }
}

impl TokenStore for Pocket {
    fn load(&self, resource: &str) -> Result<Option<String>, StoreError> {
        Ok(self.open()?.get(resource).cloned())
    }
    fn save(&self, resource: &str, secret: &str) -> Result<(), StoreError> {
        self.open()?.insert(resource.to_owned(), secret.to_owned());
        Ok(())
    }
    fn remove(&self, resource: &str) -> Result<bool, StoreError> {
        Ok(self.open()?.remove(resource).is_some())
    }
}

struct Home {
    folder: tempfile::TempDir,
    pocket: Arc<Pocket>,
    vault: Arc<Vault>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pocket = Arc::new(Pocket::default());
        let vault = Arc::new(Vault::with_keychain(&dirs(folder.path()), Arc::clone(&pocket) as Arc<dyn TokenStore>));
        Self { folder, pocket, vault }
    }

    fn client(&self, world: &World) -> Client {
        Client::with(RemoteOptions { vault: Some(Arc::clone(&self.vault)), ..RemoteOptions::new(&world.url) })
    }

    /// Logs in with a browser that does as it is told.
    async fn login(&self, world: &World, options: LoginOptions) -> Result<LoggedIn, LoginError> {
        assert_eq!(options.url, world.url);
        let browse = |url: &str| {
            let url = url.to_owned();
            tokio::task::spawn_local(async move {
                let browser = reqwest::Client::builder().no_proxy().build().unwrap();
                let page = browser.get(url).send().await.unwrap().text().await.unwrap();
                assert!(page.contains("close this window"), "{page}");
            });
        };
        tokio::time::timeout(DEADLINE, login(options, Arc::clone(&self.vault), browse)).await.expect("the login ends in time")
    }

    fn state(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("state").join(name)
    }
}

fn dirs(folder: &std::path::Path) -> Dirs {
    let root = folder.to_owned();
    Dirs::from_env(&move |name| matches!(name, "HOME" | "USERPROFILE" | "MCP_HOME").then(|| root.clone().into())).unwrap()
}

/// The token the server saw with a request.
async fn token_seen(client: &Client, id: u64) -> String {
    client.send(&modern(id, "tools/list", ""));
    let (text, _) = client.frame().await;
    let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
    frame["result"]["token"].as_str().unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn without_a_login_the_client_is_told_what_to_run_and_with_one_it_works_at_once() {
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        let client = home.client(&world);
        client.send(&modern(1, "tools/list", ""));
        let (reason, text) = client.refusal(1).await;
        assert_eq!((&*reason, text), ("login-needed", format!("{0} needs a login: run `mcp login {0}`", world.url)));
        let done = home.login(&world, LoginOptions::new(&world.url, StoreKind::Keychain)).await.unwrap();
        assert_eq!((&done.resource, done.issuer.as_deref(), done.store), (&world.url, Some(&*world.issuer), StoreKind::Keychain));
        assert_eq!((done.scopes, done.is_renewable), (vec!["tools".to_owned()], true));
        assert_eq!(token_seen(&client, 2).await, "token-2");
        let kept = home.pocket.kept.lock().unwrap().clone();
        assert!(kept[&world.url].contains("token-2"));
        let listed = std::fs::read_to_string(home.state("logins.json")).unwrap();
        assert!(listed.contains(&world.url) && !listed.contains("token-2") && !listed.contains("refresh-2"), "{listed}");
        assert!(!home.state("tokens.json").exists());
        assert_eq!(world.facts.refreshes.get(), 0);
    });
}

#[test]
fn a_token_that_has_run_out_is_renewed_before_it_is_used() {
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        world.facts.lasts.set(1);
        home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap();
        world.facts.lasts.set(3600);
        let client = home.client(&world);
        assert_eq!((token_seen(&client, 1).await, world.facts.refreshes.get()), ("token-3".to_owned(), 1));
        assert_eq!((token_seen(&client, 2).await, world.facts.refreshes.get()), ("token-3".to_owned(), 1));
        // It is kept for the next process, with the refresh token that came with it.
        assert_eq!(token_seen(&home.client(&world), 1).await, "token-3");
        assert!(std::fs::read_to_string(home.state("tokens.json")).unwrap().contains("refresh-3"));
    });
}

#[test]
fn a_token_that_is_refused_is_renewed_once_for_all_who_wait() {
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap();
        let (client, other) = (home.client(&world), home.client(&world));
        token_seen(&client, 1).await;
        token_seen(&other, 1).await;
        world.facts.valid.borrow_mut().clear();
        for id in 2..10 {
            client.send(&modern(id, "tools/list", ""));
            other.send(&modern(id, "tools/list", ""));
        }
        for _ in 2..10 {
            assert!(client.frame().await.0.contains("token-3"));
            assert!(other.frame().await.0.contains("token-3"));
        }
        assert_eq!(world.facts.refreshes.get(), 1);
    });
}

#[test]
fn a_login_that_cannot_be_renewed_is_named() {
    run(async {
        for twist in [Twist::NoRefresh, Twist::None] {
            let world = World::start(twist).await;
            let home = Home::new();
            home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap();
            let client = home.client(&world);
            token_seen(&client, 1).await;
            // The issuer has taken everything back.
            world.facts.valid.borrow_mut().clear();
            let text = std::fs::read_to_string(home.state("tokens.json")).unwrap();
            std::fs::write(home.state("tokens.json"), text.replace("refresh-2", "refresh-0")).unwrap();
            client.send(&modern(2, "tools/list", ""));
            let (reason, text) = client.refusal(2).await;
            assert_eq!(reason, "login-needed");
            assert!(text.ends_with("(the last login has run out)"), "{text}");
        }
    });
}

#[test]
fn a_client_with_a_secret_renews_with_it() {
    run(async {
        let world = World::start(Twist::Confidential).await;
        let home = Home::new();
        home.login(&world, LoginOptions::new(&world.url, StoreKind::Keychain)).await.unwrap();
        world.facts.valid.borrow_mut().clear();
        assert_eq!(token_seen(&home.client(&world), 1).await, "token-3");
    });
}

#[test]
fn a_registered_client_needs_no_registration() {
    run(async {
        let world = World::start(Twist::NoRegistration).await;
        let home = Home::new();
        let error = home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap_err();
        assert!(error.advice().unwrap().contains("--client-id"), "{error:?}");
        let options = LoginOptions { client_id: Some("mine".to_owned()), ..LoginOptions::new(&world.url, StoreKind::File) };
        home.login(&world, options).await.unwrap();
        assert_eq!(token_seen(&home.client(&world), 1).await, "token-2");
    });
}

#[test]
fn an_answer_of_another_issuer_is_not_taken() {
    run(async {
        let world = World::start(Twist::WrongIss).await;
        let home = Home::new();
        let error = home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("issuer mismatch") && source.contains("http://evil.example"), "{source}");
        assert_eq!(world.facts.logins.get(), 0);
        assert_eq!(home.vault.login(&world.url).unwrap(), None);
    });
}

#[test]
fn a_no_of_the_user_is_told() {
    run(async {
        let world = World::start(Twist::Denied).await;
        let home = Home::new();
        let error = home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap_err();
        assert_eq!(error.to_string(), "the issuer gave no permission: access_denied: not today");
    });
}

#[test]
fn only_the_browser_that_was_sent_out_can_bring_a_code() {
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        let browse = |url: &str| {
            let url = url.to_owned();
            tokio::task::spawn_local(async move {
                let browser = reqwest::Client::builder().no_proxy().build().unwrap();
                let asked = reqwest::Url::parse(&url).unwrap();
                let back = asked.query_pairs().find(|(k, _)| k == "redirect_uri").unwrap().1.into_owned();
                for strange in ["?code=forged&state=guessed", "?code=forged", "/other", "?error=access_denied"] {
                    let answer = browser.get(format!("{back}{strange}")).send().await.unwrap();
                    assert_eq!(answer.status(), 404, "{strange}");
                }
                // A connection that says nothing does not keep the next from being heard.
                let silent = tokio::net::TcpStream::connect(back["http://".len()..].split('/').next().unwrap()).await.unwrap();
                drop(silent);
                browser.get(url).send().await.unwrap();
            });
        };
        let options = LoginOptions::new(&world.url, StoreKind::File);
        tokio::time::timeout(DEADLINE, login(options, Arc::clone(&home.vault), browse)).await.unwrap().unwrap();
        assert_eq!(world.facts.logins.get(), 1);
    });
}

#[test]
fn a_keychain_that_is_out_of_reach_is_named_before_the_browser_opens_and_nothing_else_is_used() {
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        *home.pocket.is_locked.lock().unwrap() = true;
        let nobody = |_: &str| panic!("the browser was opened");
        let error = login(LoginOptions::new(&world.url, StoreKind::Keychain), Arc::clone(&home.vault), nobody).await.unwrap_err();
        assert!(matches!(error, LoginError::Store(StoreError::NoKeychain(_))), "{error:?}");
        assert!(error.advice().unwrap().contains("--token-store file"));
        assert!(!home.state("tokens.json").exists());
        // The same in the middle of the traffic.
        *home.pocket.is_locked.lock().unwrap() = false;
        home.login(&world, LoginOptions::new(&world.url, StoreKind::Keychain)).await.unwrap();
        *home.pocket.is_locked.lock().unwrap() = true;
        let client = home.client(&world);
        client.send(&modern(1, "tools/list", ""));
        let (reason, text) = client.refusal(1).await;
        assert_eq!(reason, "login-needed");
        assert!(text.contains("no keychain can be reached: nobody is at home"), "{text}");
    });
}

#[test]
fn more_rights_are_asked_for_by_name() {
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap();
        *world.facts.wants_scope.borrow_mut() = Some("tools admin".to_owned());
        let client = home.client(&world);
        client.send(&modern(1, "tools/list", ""));
        let (reason, text) = client.refusal(1).await;
        assert_eq!(reason, "insufficient-scope");
        assert!(text.ends_with(&format!("run `mcp login {} --scope 'tools admin'`", world.url)), "{text}");
    });
}

#[test]
fn a_header_of_the_user_is_used_instead_of_a_login() {
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap();
        let headers = vec![("Authorization".to_owned(), "Bearer other".to_owned())];
        let options = RemoteOptions { headers, vault: Some(Arc::clone(&home.vault)), ..RemoteOptions::new(&world.url) };
        let client = Client::with(options);
        client.send(&modern(1, "tools/list", ""));
        assert_eq!(client.refusal(1).await.0, "authorization-refused");
        world.facts.valid.borrow_mut().push("other".to_owned());
        assert_eq!(token_seen(&client, 2).await, "other");
    });
}

#[test]
fn logging_in_elsewhere_and_out_forgets_the_tokens() {
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        home.login(&world, LoginOptions::new(&world.url, StoreKind::Keychain)).await.unwrap();
        home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap();
        assert!(home.pocket.kept.lock().unwrap().is_empty());
        assert!(logout(&world.url, Arc::clone(&home.vault)).await.unwrap());
        assert!(!logout(&world.url, Arc::clone(&home.vault)).await.unwrap());
        let text = std::fs::read_to_string(home.state("tokens.json")).unwrap();
        assert!(!text.contains("token-"), "{text}");
    });
}

#[test]
fn where_no_login_is_asked_for_none_is_made() {
    run(async {
        let server = Rc::new(crate::server::Server::start().await);
        let there = Rc::clone(&server);
        tokio::task::spawn_local(async move {
            while let Some(request) = there.try_next().await {
                if request.method == "POST" { request.result("{}") } else { request.answer("404 Not Found", &[], "") }
            }
        });
        let home = Home::new();
        let nobody = |_: &str| panic!("the browser was opened");
        let options = LoginOptions::new(server.url("/mcp"), StoreKind::File);
        let error = login(options, Arc::clone(&home.vault), nobody).await.unwrap_err();
        assert!(matches!(error, LoginError::NotNeeded { .. }), "{error:?}");
        let options = LoginOptions::new("http://example.com/mcp", StoreKind::File);
        let error = login(options, Arc::clone(&home.vault), nobody).await.unwrap_err();
        assert!(matches!(error, LoginError::Insecure { .. }), "{error:?}");
    });
}

#[test]
#[cfg(unix)]
fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    run(async {
        let world = World::start(Twist::None).await;
        let home = Home::new();
        home.login(&world, LoginOptions::new(&world.url, StoreKind::File)).await.unwrap();
        for (name, mode) in [("tokens.json", 0o600), ("logins.json", 0o600), ("", 0o700)] {
            let found = std::fs::metadata(home.state(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{name}: {found:o}");
        }
    });
}

#[test]
fn two_who_write_at_once_lose_nothing() {
    let home = Home::new();
    let file = home.vault.store(StoreKind::File);
    std::thread::scope(|threads| {
        for writer in 0..4 {
            threads.spawn(move || {
                for n in 0..10 {
                    file.save(&format!("https://{writer}.example/{n}"), "secret").unwrap();
                }
            });
        }
    });
    for writer in 0..4 {
        for n in 0..10 {
            assert_eq!(file.load(&format!("https://{writer}.example/{n}")).unwrap().as_deref(), Some("secret"));
        }
    }
    std::fs::write(home.state("tokens.json"), r#"{"schema":"mcp.tokens/2","servers":{}}"#).unwrap();
    assert!(matches!(file.save("x", "y"), Err(StoreError::Newer { .. })));
    std::fs::write(home.state("tokens.json"), "{").unwrap();
    assert!(matches!(file.load("x"), Err(StoreError::Broken { .. })));
}
