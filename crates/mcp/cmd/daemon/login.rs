//! `mcp daemon enable` and `disable`: whether the daemon starts at login.

use std::process::{Command, Stdio};

use mcp_daemon::service::{self, Manager, Plan, Surroundings};

use crate::ctx::Ctx;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::FAINT;

fn plan(ctx: &Ctx) -> Result<Plan, Failure> {
    let program =
        std::env::current_exe().map_err(|e| Failure::file(anyhow::Error::new(e).context("find the path of this program")))?;
    let path = |name: &str| ctx.platform.vars.get(name).filter(|v| !v.is_empty()).map(Into::into);
    let at = Surroundings {
        program,
        home: ctx.dirs.home.clone(),
        config_home: path("XDG_CONFIG_HOME"),
        mcp_home: path("MCP_HOME"),
        user: mcp_os::private::user(),
    };
    Ok(service::plan(Manager::of_system(), &at))
}

/// Writes what starts the daemon at login, and has it count.
pub(super) fn enable(ctx: &Ctx, dry_run: bool) -> Result<Exit, Failure> {
    let plan = plan(ctx)?;
    if dry_run {
        show(ctx, &plan);
        return Ok(Exit::Done);
    }
    if let Some((path, text)) = &plan.file {
        let failed = |e| Failure::file(anyhow::Error::new(e).context(format!("write {}", path.display())));
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(failed)?;
        }
        mcp_os::private::write(path, text.as_bytes()).map_err(failed)?;
        ctx.ui.note(format_args!("Wrote {}", ctx.show(path)));
    }
    let done = run_all(ctx, &plan.enable)?;
    ctx.ui.note(if done {
        "The daemon starts at login, and with it the servers that stay"
    } else {
        "It counts when these commands have been run"
    });
    Ok(Exit::Done)
}

/// Takes that back.
pub(super) fn disable(ctx: &Ctx, dry_run: bool) -> Result<Exit, Failure> {
    let plan = plan(ctx)?;
    if plan.file.as_ref().is_some_and(|(path, _)| !path.exists()) {
        let mut failure = Failure::missing("the daemon is not started at login");
        failure.exit = Exit::No;
        return Err(failure);
    }
    if dry_run {
        for words in &plan.disable {
            ctx.ui.out(format_args!("would run {}", words.join(" ")));
        }
        if let Some((path, _)) = &plan.file {
            ctx.ui.out(format_args!("would remove {}", ctx.show(path)));
        }
        return Ok(Exit::Done);
    }
    run_all(ctx, &plan.disable)?;
    if let Some((path, _)) = &plan.file {
        std::fs::remove_file(path)
            .map_err(|e| Failure::file(anyhow::Error::new(e).context(format!("remove {}", path.display()))))?;
        ctx.ui.note(format_args!("Removed {}", ctx.show(path)));
    }
    run_all(ctx, &plan.after)?;
    ctx.ui.note("The daemon is not started at login any more");
    Ok(Exit::Done)
}

fn show(ctx: &Ctx, plan: &Plan) {
    if let Some((path, text)) = &plan.file {
        ctx.ui.note(format_args!("{FAINT}would write {}{FAINT:#}", ctx.show(path)));
        ctx.ui.out(text.trim_end());
    }
    for words in &plan.enable {
        ctx.ui.note(format_args!("{FAINT}would run {}{FAINT:#}", words.join(" ")));
    }
}

/// Runs commands. `false`: their program is not there, and they were shown instead.
fn run_all(ctx: &Ctx, commands: &[Vec<String>]) -> Result<bool, Failure> {
    let mut all = true;
    for words in commands {
        let (name, args) = words.split_first().expect("a command has a first word");
        let Some(program) = ctx.find(name) else {
            ctx.ui.note(format_args!("`{name}` is not on PATH. To be run: {}", words.join(" ")));
            all = false;
            continue;
        };
        let line = words.join(" ");
        let output = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| Failure::no_answer(anyhow::Error::new(e).context(format!("run `{line}`"))))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            return Err(Failure::no_answer(anyhow::anyhow!(
                "`{line}` failed: {}",
                if said.is_empty() { "it does not say why" } else { said }
            ))
            .hint("a user without a session has no service manager: run this where you log in"));
        }
    }
    Ok(all)
}
