//! What the inspector does with the rest of the machine: editor, pager, clipboard, its own history.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use mcp_capture::tree::Tree;
use mcp_os::dirs::Dirs;

/// Lines of the filter that are kept.
const KEPT: usize = 200;
/// What terminals take by OSC 52; some take less.
const LONGEST_COPY: usize = 74_000;

fn history_file(dirs: &Dirs) -> PathBuf {
    dirs.state.join("inspect-filters")
}

/// The filters that were used, oldest first.
pub(super) fn read_history(dirs: &Dirs) -> Vec<String> {
    let text = std::fs::read_to_string(history_file(dirs)).unwrap_or_default();
    text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

/// Keeps the filters that were used.
pub(super) fn write_history(dirs: &Dirs, lines: &[String]) -> Result<(), String> {
    let kept = &lines[lines.len().saturating_sub(KEPT)..];
    let mut text = kept.iter().map(|line| line.replace('\n', " ")).collect::<Vec<_>>().join("\n");
    text.push('\n');
    mcp_os::private::directory(&dirs.state).map_err(|e| e.to_string())?;
    mcp_os::private::write(&history_file(dirs), text.as_bytes()).map_err(|e| e.to_string())
}

/// Puts a text on the clipboard through the terminal (OSC 52), which also works over ssh.
pub(super) fn copy(text: &str) -> Result<(), String> {
    if text.len() > LONGEST_COPY {
        return Err(format!("{} bytes are more than terminals take; `o` opens it instead", text.len()));
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    let mut out = std::io::stdout();
    write!(out, "\x1b]52;c;{encoded}\x07").and_then(|()| out.flush()).map_err(|e| e.to_string())
}

/// A file only this user can read, gone when dropped.
fn temporary(bytes: &[u8], ending: &str) -> Result<tempfile::NamedTempFile, String> {
    let mut file = tempfile::Builder::new().prefix("mcp-").suffix(ending).tempfile().map_err(|e| e.to_string())?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(|e| e.to_string())?;
    Ok(file)
}

fn words(variable: &str) -> Option<Vec<String>> {
    let value = std::env::var(variable).ok().filter(|v| !v.trim().is_empty())?;
    shell_words::split(&value).ok().filter(|words| !words.is_empty())
}

fn run_on(words: &[String], file: &Path) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("start `{}`: {e}", words[0]);
    let status = Command::new(&words[0]).args(&words[1..]).arg(file).status().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", words[0])) }
}

/// Shows bytes in `$PAGER`, else in `less`. JSON is laid out, with its numbers as they are spelt.
pub(super) fn page(bytes: &[u8]) -> Result<(), String> {
    let laid_out = std::str::from_utf8(bytes).ok().and_then(Tree::parse).map(|tree| tree.pretty());
    let file = temporary(laid_out.as_ref().map_or(bytes, String::as_bytes), ".json")?;
    let pager = words("PAGER").unwrap_or_else(|| vec![if cfg!(windows) { "more" } else { "less" }.to_owned()]);
    run_on(&pager, file.path())
}

/// Lets the user edit a text in `$VISUAL` or `$EDITOR`.
pub(super) fn edit(text: &str) -> Result<String, String> {
    let file = temporary(text.as_bytes(), ".json")?;
    let fallback = || vec![if cfg!(windows) { "notepad" } else { "vi" }.to_owned()];
    let editor = words("VISUAL").or_else(|| words("EDITOR")).unwrap_or_else(fallback);
    run_on(&editor, file.path())?;
    std::fs::read_to_string(file.path()).map_err(|e| e.to_string())
}
