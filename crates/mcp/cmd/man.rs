//! `mcp man`: manual pages.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::exit::Exit;
use crate::report::Failure;
use crate::ui::Ui;

/// Print the manual page of mcp or of one of its commands
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mcp man | man -l -\n  mcp man install | man -l -\n  mcp man --to ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// The command
    command: Option<String>,
    /// Write all pages into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    to: Option<PathBuf>,
}

pub(crate) fn run(ui: Ui, args: &Args) -> Result<Exit, Failure> {
    if let Some(folder) = &args.to {
        for (name, page) in pages() {
            write(folder, &name, &page)?;
            ui.note(folder.join(name).display());
        }
        return Ok(Exit::Done);
    }
    let wanted = match &args.command {
        Some(command) => format!("mcp-{command}.1"),
        None => "mcp.1".to_owned(),
    };
    let all = pages();
    let (_, page) = all.iter().find(|(name, _)| *name == wanted).ok_or_else(|| {
        let names: Vec<&str> = all.iter().filter_map(|(n, _)| n.strip_prefix("mcp-")?.strip_suffix(".1")).collect();
        Failure::missing(format_args!("there is no command `{}`", args.command.as_deref().unwrap_or_default()))
            .hint(format!("there are: {}", names.join(", ")))
    })?;
    ui.out(page.trim_end());
    Ok(Exit::Done)
}

/// Every page: file name and text.
pub(crate) fn pages() -> Vec<(String, String)> {
    let mut root = Cli::command();
    root.build();
    let render = |command: &clap::Command, title: &str| {
        let mut page = Vec::new();
        let man =
            clap_mangen::Man::new(command.clone().name(title.to_owned()).display_name(title.to_owned())).manual("mcp").date("");
        man.render(&mut page).expect("writing to memory");
        String::from_utf8_lossy(&page).into_owned()
    };
    let mut pages = vec![("mcp.1".to_owned(), render(&root, "mcp"))];
    for command in root.get_subcommands().filter(|c| !c.is_hide_set()) {
        let title = format!("mcp-{}", command.get_name());
        pages.push((format!("{title}.1"), render(command, &title)));
    }
    pages
}

/// Writes a file that is ours, making its folder.
pub(crate) fn write(folder: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = folder.join(name);
    let failed = |e: std::io::Error| Failure::file(anyhow::Error::new(e).context(format!("write {}", path.display())));
    std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
    std::fs::write(&path, text).map_err(failed)
}
