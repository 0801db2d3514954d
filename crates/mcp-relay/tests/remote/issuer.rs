//! A server that wants tokens, and the issuer who gives them: metadata by RFC 9728 and 8414, registration, PKCE, the
//! resource, `iss`, and refresh tokens that can be used once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::server::{Request, Server};

/// What the issuer does wrong, or otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Twist {
    #[default]
    None,
    /// It names another issuer in its answer.
    WrongIss,
    /// The user says no.
    Denied,
    /// It registers nobody.
    NoRegistration,
    /// It gives no refresh token.
    NoRefresh,
    /// It gives every client a secret and wants to see it.
    Confidential,
}

#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) twist: Cell<Twist>,
    /// Tokens the server takes.
    pub(crate) valid: RefCell<Vec<String>>,
    pub(crate) refreshes: Cell<u32>,
    pub(crate) logins: Cell<u32>,
    /// How long tokens last, in seconds.
    pub(crate) lasts: Cell<u64>,
    /// What the server wants a token to have beside being valid.
    pub(crate) wants_scope: RefCell<Option<String>>,
    refresh: RefCell<String>,
    codes: RefCell<HashMap<String, HashMap<String, String>>>,
    number: Cell<u32>,
}

pub(crate) struct World {
    pub(crate) facts: Rc<Facts>,
    pub(crate) url: String,
    pub(crate) issuer: String,
}

impl World {
    pub(crate) async fn start(twist: Twist) -> Self {
        let (server, issuer) = (Server::start().await, Server::start().await);
        let facts = Rc::new(Facts::default());
        facts.twist.set(twist);
        facts.lasts.set(3600);
        let world = Self { facts: Rc::clone(&facts), url: server.url("/mcp"), issuer: issuer.url("") };
        let (url, root) = (world.url.clone(), world.issuer.clone());
        let there = Rc::clone(&facts);
        let metadata = server.url("/.well-known/oauth-protected-resource/mcp");
        tokio::task::spawn_local(async move {
            while let Some(request) = server.try_next().await {
                there.serve(&request, &url, &root, &metadata);
            }
        });
        let (url, root) = (world.url.clone(), world.issuer.clone());
        tokio::task::spawn_local(async move {
            while let Some(request) = issuer.try_next().await {
                facts.issue(&request, &url, &root);
            }
        });
        world
    }
}

fn form(text: &str) -> HashMap<String, String> {
    Url::parse(&format!("http://x/?{text}")).unwrap().query_pairs().into_owned().collect()
}

fn give(request: &Request, value: &Value) {
    request.json(&[], &value.to_string());
}

fn refuse(request: &Request, error: &str) {
    request.answer("400 Bad Request", &[("Content-Type", "application/json")], &json!({ "error": error }).to_string());
}

impl Facts {
    fn serve(&self, request: &Request, url: &str, issuer: &str, metadata: &str) {
        if request.target.starts_with("/.well-known/oauth-protected-resource") {
            let document = json!({"resource": url, "authorization_servers": [issuer], "scopes_supported": ["tools"]});
            return give(request, &document);
        }
        if request.method != "POST" {
            return request.answer("405 Method Not Allowed", &[], "");
        }
        let token = request.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
        if !token.is_some_and(|token| self.valid.borrow().iter().any(|valid| valid == token)) {
            let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"tools\"");
            return request.answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], "");
        }
        if let Some(scope) = &*self.wants_scope.borrow() {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            return request.answer("403 Forbidden", &[("WWW-Authenticate", &challenge)], "");
        }
        request.result(&json!({"token": token}).to_string());
    }

    fn issue(&self, request: &Request, resource: &str, issuer: &str) {
        let twist = self.twist.get();
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        match path {
            "/.well-known/oauth-authorization-server" => {
                let mut document = json!({
                    "issuer": issuer,
                    "authorization_endpoint": format!("{issuer}/authorize"),
                    "token_endpoint": format!("{issuer}/token"),
                    "response_types_supported": ["code"],
                    "code_challenge_methods_supported": ["S256"],
                    "authorization_response_iss_parameter_supported": true,
                });
                if twist != Twist::NoRegistration {
                    document["registration_endpoint"] = format!("{issuer}/register").into();
                }
                give(request, &document);
            }
            "/register" => {
                let wanted: Value = serde_json::from_str(&request.body).unwrap();
                assert_eq!((&wanted["client_name"], &wanted["application_type"]), (&"mcp".into(), &"native".into()));
                let mut document = json!({"client_id": "registered", "redirect_uris": wanted["redirect_uris"]});
                if twist == Twist::Confidential {
                    document["client_secret"] = "hush".into();
                }
                give(request, &document);
            }
            "/authorize" => {
                let asked = form(query);
                assert_eq!((&*asked["response_type"], &*asked["code_challenge_method"]), ("code", "S256"));
                assert_eq!(asked["resource"], resource);
                let back = &asked["redirect_uri"];
                let location = if twist == Twist::Denied {
                    format!("{back}?error=access_denied&error_description=not+today&state={}", asked["state"])
                } else {
                    let code = format!("code-{}", self.next());
                    let iss = if twist == Twist::WrongIss { "http://evil.example" } else { issuer };
                    let mut location = Url::parse(back).unwrap();
                    location
                        .query_pairs_mut()
                        .append_pair("code", &code)
                        .append_pair("state", &asked["state"])
                        .append_pair("iss", iss);
                    self.codes.borrow_mut().insert(code, asked.clone());
                    location.to_string()
                };
                request.answer("302 Found", &[("Location", &location)], "");
            }
            "/token" => self.trade(request, resource, &form(&request.body)),
            _ => request.answer("404 Not Found", &[], ""),
        }
    }

    fn trade(&self, request: &Request, resource: &str, asked: &HashMap<String, String>) {
        if asked.get("resource").map(String::as_str) != Some(resource) {
            return refuse(request, "invalid_target");
        }
        if self.twist.get() == Twist::Confidential {
            let basic = base64::engine::general_purpose::STANDARD.encode("registered:hush");
            if request.header("authorization") != Some(&format!("Basic {basic}")) {
                return refuse(request, "invalid_client");
            }
        }
        match &*asked["grant_type"] {
            "authorization_code" => {
                let Some(grant) = self.codes.borrow_mut().remove(&asked["code"]) else {
                    return refuse(request, "invalid_grant");
                };
                let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(asked["code_verifier"].as_bytes()));
                if digest != grant["code_challenge"] || asked["redirect_uri"] != grant["redirect_uri"] {
                    return refuse(request, "invalid_grant");
                }
                self.logins.set(self.logins.get() + 1);
            }
            "refresh_token" => {
                if asked["refresh_token"] != *self.refresh.borrow() {
                    return refuse(request, "invalid_grant");
                }
                self.refreshes.set(self.refreshes.get() + 1);
            }
            _ => return refuse(request, "unsupported_grant_type"),
        }
        let number = self.next();
        let token = format!("token-{number}");
        *self.valid.borrow_mut() = vec![token.clone()];
        let mut answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": self.lasts.get()});
        if self.twist.get() != Twist::NoRefresh {
            *self.refresh.borrow_mut() = format!("refresh-{number}");
            answer["refresh_token"] = self.refresh.borrow().clone().into();
        }
        give(request, &answer);
    }

    fn next(&self) -> u32 {
        self.number.set(self.number.get() + 1);
        self.number.get()
    }
}
