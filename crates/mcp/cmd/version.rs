//! `mcp version`: what this program is.

use serde_json::json;

use crate::exit::Exit;
use crate::ui::Ui;

/// Show the version, and what was built in
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp version\n  mcp version --json")]
pub(crate) struct Args {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(ui: Ui, args: &Args) -> Exit {
    let version = env!("CARGO_PKG_VERSION");
    let clients = mcp_clients::clients::Clients::built_in_ids().count();
    let servers = mcp_clients::catalog::Catalog::embedded().all().len();
    if args.json {
        let answer = json!({
            "schema": "mcp.version/1",
            "version": version,
            "os": std::env::consts::OS,
            "arch": std::env::consts::ARCH,
            "clients": clients,
            "catalog": servers,
        });
        ui.out(serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        ui.out(format_args!("mcp {version} ({}, {})", std::env::consts::OS, std::env::consts::ARCH));
        ui.out(format_args!("knows {clients} clients and {servers} well-known servers"));
    }
    Exit::Done
}
