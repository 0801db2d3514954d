//! `mcp completions`: the script that makes a shell complete `mcp`.

use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::Ui;

/// Print the completion script for a shell
///
/// The script asks `mcp` itself, so that the names of installed servers, clients and well-known servers complete.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: where shells look for it\n  bash        mcp completions bash > ~/.local/share/bash-completion/completions/mcp\n  zsh         mcp completions zsh > ~/.local/share/zsh/site-functions/_mcp   (a folder of $fpath)\n  fish        mcp completions fish > ~/.config/fish/completions/mcp.fish\n  powershell  mcp completions powershell >> $PROFILE\n  elvish      mcp completions elvish >> ~/.config/elvish/rc.elv"
)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_parser = SHELLS)]
    shell: String,
}

/// The shells there are scripts for, and the names of the files they are kept in.
pub(crate) const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

pub(crate) fn run(ui: Ui, args: &Args) -> Result<Exit, Failure> {
    ui.out(script(&args.shell).map_err(Failure::file)?.trim_end());
    Ok(Exit::Done)
}

/// The registration script of a shell.
pub(crate) fn script(shell: &str) -> std::io::Result<String> {
    use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
    let completer: &dyn EnvCompleter = match shell {
        "bash" => &Bash,
        "zsh" => &Zsh,
        "fish" => &Fish,
        "powershell" => &Powershell,
        _ => &Elvish,
    };
    let mut script = Vec::new();
    completer.write_registration("COMPLETE", "mcp", "mcp", "mcp", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}
