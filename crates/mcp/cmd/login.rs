//! `mcp login` and `mcp logout`: the token for a remote server.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use mcp_relay::transport::http_client::login::{self, LoginError, LoginOptions};
use mcp_relay::transport::http_client::tokens::{StoreKind, Vault};
use serde_json::json;

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Names the store where no flag does.
const STORE_VARIABLE: &str = "MCP_TOKEN_STORE";

/// Log in to a remote server
///
/// Opens the page on which the server's issuer asks for your permission, and keeps the token it gives. `mcp run-once --url`
/// sends it along and renews it. The token goes into the keychain of the system; where there is none, `--token-store file`
/// keeps it in a file that only you may read.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  mcp login https://mcp.example.com/mcp\n  mcp login https://mcp.example.com/mcp --scope read --scope write\n  mcp login https://mcp.example.com/mcp --no-browser --token-store file\n\n`MCP_TOKEN_STORE` stands for `--token-store`"
)]
pub(crate) struct LoginArgs {
    /// The server's address
    url: String,
    /// Where the token is kept [default: keychain]
    #[arg(long, value_name = "STORE", value_enum)]
    token_store: Option<Store>,
    /// A right to ask for (repeat it); those the server names, if left out
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The id of a client that is registered with the issuer, where it lets nobody register by themselves
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The port of this machine the browser comes back to; any free one, if left out
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    callback_port: u16,
    /// Only print the address to open
    #[arg(long)]
    no_browser: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Forget the login for a remote server
///
/// The issuer is not told: what it gave may be valid until it runs out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp logout https://mcp.example.com/mcp")]
pub(crate) struct LogoutArgs {
    /// The server's address
    url: String,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Where a token is kept.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Store {
    /// The keychain of the system
    Keychain,
    /// A file that only you may read
    File,
}

pub(crate) fn login(ctx: &Ctx, args: &LoginArgs) -> Result<Exit, Failure> {
    let store = store(ctx, args)?;
    let options = LoginOptions {
        scopes: args.scopes.clone(),
        client_id: args.client_id.clone(),
        port: args.callback_port,
        ..LoginOptions::new(&args.url, store)
    };
    let show = |url: &str| {
        // Also when asked to be quiet: without it nothing goes on.
        ctx.ui.err(format_args!("Open this address in a browser on this machine to give your permission:\n\n  {url}\n"));
        if !args.no_browser
            && let Err(error) = mcp_os::browser::open(url)
        {
            ctx.ui.warn(format_args!("no browser could be started: {error}"));
        }
    };
    let done = login::login_and_wait(options, Arc::new(Vault::new(&ctx.dirs)), show).map_err(failure)?;
    let expires = done.expires.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    if args.json {
        let answer = json!({
            "schema": "mcp.login/1",
            "url": done.resource,
            "issuer": done.issuer,
            "scopes": done.scopes,
            "store": done.store.word(),
            "expires_unix_ms": expires.map(|at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
            "renewable": done.is_renewable,
        });
        ctx.ui.out(serde_json::to_string_pretty(&answer).unwrap_or_default());
        return Ok(Exit::Done);
    }
    ctx.ui.out(format_args!("Logged in to {}", crate::ui::clean(&done.resource)));
    let place = match done.store {
        StoreKind::Keychain => "in the keychain",
        StoreKind::File => "in a file that only you may read",
    };
    let ends = match (done.is_renewable, expires) {
        (true, _) => "it is renewed when it runs out".to_owned(),
        (false, Some(at)) => {
            let left = at.saturating_sub(Duration::from_millis(mcp_os::clock::now_ms()));
            format!("it runs out in {} and cannot be renewed", minutes(left))
        }
        (false, None) => "it cannot be renewed".to_owned(),
    };
    ctx.ui.note(format_args!("The token is {place}; {ends}"));
    Ok(Exit::Done)
}

pub(crate) fn logout(ctx: &Ctx, args: &LogoutArgs) -> Result<Exit, Failure> {
    let was_there = login::logout_and_wait(&args.url, Arc::new(Vault::new(&ctx.dirs))).map_err(failure)?;
    if args.json {
        let answer = json!({ "schema": "mcp.logout/1", "url": args.url, "forgotten": was_there });
        ctx.ui.out(serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else if was_there {
        ctx.ui.out(format_args!("Forgot the login for {}", crate::ui::clean(&args.url)));
    } else {
        ctx.ui.note(format_args!("There is no login for {}", crate::ui::clean(&args.url)));
    }
    Ok(if was_there { Exit::Done } else { Exit::No })
}

/// The flag, else the variable, else the keychain.
fn store(ctx: &Ctx, args: &LoginArgs) -> Result<StoreKind, Failure> {
    match args.token_store {
        Some(Store::Keychain) => Ok(StoreKind::Keychain),
        Some(Store::File) => Ok(StoreKind::File),
        None => match ctx.platform.vars.get(STORE_VARIABLE).filter(|word| !word.is_empty()) {
            Some(word) => word.parse().map_err(|error| Failure::missing(format_args!("`{STORE_VARIABLE}`: {error}"))),
            None => Ok(StoreKind::Keychain),
        },
    }
}

fn failure(error: LoginError) -> Failure {
    let advice = error.advice();
    let failure = match &error {
        LoginError::Address(_) | LoginError::Insecure { .. } => Failure::usage(error),
        LoginError::Store(_) => Failure::file(error),
        LoginError::NotNeeded { .. } | LoginError::Denied(_) => Failure { exit: Exit::No, ..Failure::usage(error) },
        _ => Failure::no_answer(error),
    };
    match advice {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

fn minutes(span: Duration) -> String {
    crate::ui::count(usize::try_from(span.as_secs().div_ceil(60)).unwrap_or(usize::MAX), "minute")
}
