//! `mcp config`: our own settings.

use clap::Subcommand;
use mcp_clients::descriptor::Scope;
use mcp_clients::engine::{self, Job, JobError, Step};
use mcp_clients::plan::{Outcome, PlanError};
use mcp_edit::{Document, Format, Op, Path, Value};
use serde_json::json;

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;

/// Show and change mcp's own settings
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Settings:\n  default-clients   clients `mcp install` takes when none is named, separated by commas\n\nExamples:\n  mcp config path\n  mcp config set default-clients claude-code,codex\n  mcp config get"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Config,
}

#[derive(Debug, Subcommand)]
enum Config {
    /// Print where the settings and mcp's other files are
    Path {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Print one setting, or all
    Get {
        /// The setting
        #[arg(value_parser = KEYS)]
        key: Option<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a setting; an empty value takes it away
    Set {
        /// The setting
        #[arg(value_parser = KEYS)]
        key: String,
        /// Its value
        value: String,
    },
}

/// The settings there are.
const KEYS: [&str; 1] = ["default-clients"];

pub(crate) fn run(ctx: &Ctx, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Config::Path { json } => paths(ctx, *json),
        Config::Get { key, json } => return get(ctx, key.as_deref(), *json),
        Config::Set { key, value } => set(ctx, key, value)?,
    }
    Ok(Exit::Done)
}

fn file(ctx: &Ctx) -> std::path::PathBuf {
    ctx.dirs.config.join("config.toml")
}

fn paths(ctx: &Ctx, as_json: bool) {
    let file = file(ctx);
    if as_json {
        let answer = json!({
            "schema": "mcp.config-path/1",
            "config": file,
            "clients": ctx.dirs.config.join("clients"),
            "journal": ctx.dirs.state.join("journal"),
        });
        ctx.ui.out(serde_json::to_string_pretty(&answer).unwrap_or_default());
        return;
    }
    ctx.ui.out(file.display());
    ctx.ui.note(format_args!("your own client descriptors: {}", ctx.dirs.config.join("clients").display()));
    ctx.ui.note(format_args!("the undo journal: {}", ctx.dirs.state.join("journal").display()));
}

/// The clients `install` takes when none is named.
pub(crate) fn default_clients(ctx: &Ctx) -> Result<Vec<String>, Failure> {
    let path = file(ctx);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Failure::file(anyhow::Error::new(e).context(format!("read {}", path.display())))),
    };
    let shown = ctx.show(&path);
    let failed = |p: mcp_edit::Problem| Failure::file(anyhow::anyhow!("read {shown}: {p}")).at(&shown, &text, &p);
    let document = Document::parse(&text, Format::Toml).map_err(failed)?;
    let node = document.get(&Path::keys(["default-clients"])).map_err(failed)?;
    let items = node.as_ref().and_then(|n| n.value.as_array()).unwrap_or_default();
    Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn get(ctx: &Ctx, key: Option<&str>, as_json: bool) -> Result<Exit, Failure> {
    let clients = default_clients(ctx)?;
    if as_json {
        let answer = json!({ "schema": "mcp.config/1", "default-clients": clients });
        ctx.ui.out(serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else if key.is_some() {
        ctx.ui.out(clients.join(","));
    } else {
        let origin = if clients.is_empty() { "not set" } else { "from the file" };
        ctx.ui.out(format_args!("default-clients = {:?}  ({origin})", clients.join(",")));
    }
    Ok(if key.is_some() && clients.is_empty() { Exit::No } else { Exit::Done })
}

fn set(ctx: &Ctx, key: &str, value: &str) -> Result<(), Failure> {
    let ids: Vec<&str> = value.split(',').map(str::trim).filter(|v| !v.is_empty()).collect();
    for id in &ids {
        ctx.client(id)?;
    }
    let path = Path::keys([key]);
    let op = if ids.is_empty() { Op::remove(path) } else { Op::set(path, Value::strings(ids)) };
    let job = Job {
        client: "mcp".to_owned(),
        scope: Scope::User,
        path: file(ctx),
        lock: None,
        planner: Box::new(move |text| {
            let old = text.unwrap_or_default();
            let edit =
                Document::parse(old, Format::Toml).and_then(|d| d.plan(std::slice::from_ref(&op))).map_err(PlanError::from)?;
            let after = Some(edit.apply(old));
            Ok(Step {
                after,
                edit,
                outcome: Outcome::Updated,
                notes: Vec::new(),
                memo: serde_json::Value::Null,
                made_dirs: Vec::new(),
                secrets: None,
            })
        }),
    };
    let failed = |e: JobError| Failure::file(e);
    let preview = engine::preview(job).map_err(failed)?;
    let (results, undo) =
        engine::commit(&ctx.dirs, &format!("mcp config set {key} {value}"), &serde_json::Value::Null, vec![preview]);
    for result in results {
        result.map_err(failed)?;
    }
    if let Some(id) = undo {
        ctx.ui.note(format_args!("Set `{key}` in {}. Take it back with `mcp undo {id}`", ctx.show(&file(ctx))));
    } else {
        ctx.ui.note(format_args!("`{key}` is as wanted already"));
    }
    Ok(())
}
