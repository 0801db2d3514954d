//! Configs of twelve clients, as a developer might have them, for the benches.

use std::{fs, io, path::Path};

use mcp_testkit::sandbox::Sandbox;

/// Each client's id here, its name for add-mcp if it takes part in the comparison, its file and what is in it.
pub(crate) const CLIENTS: [(&str, Option<&str>, &str, &str); 12] = [
    (
        "claude-code",
        Some("claude-code"),
        ".claude.json",
        "{\n  \"numStartups\": 7,\n  \"mcpServers\": {\n    \"one\": {\n      \"type\": \"stdio\",\n      \"command\": \"npx\",\n      \"args\": [\"-y\", \"one\"]\n    }\n  }\n}\n",
    ),
    ("claude-desktop", Some("claude-desktop"), ".config/Claude/claude_desktop_config.json", "{\n  \"mcpServers\": {}\n}\n"),
    (
        "cursor",
        Some("cursor"),
        ".cursor/mcp.json",
        "{\n  \"mcpServers\": {\n    \"one\": { \"command\": \"npx\", \"args\": [\"-y\", \"one\"] }\n  }\n}\n",
    ),
    (
        "codex",
        Some("codex"),
        ".codex/config.toml",
        "# mine\nmodel = \"m\"\n\n[mcp_servers.one]\ncommand = \"npx\"\nargs = [\"-y\", \"one\"]\n",
    ),
    ("gemini-cli", Some("gemini-cli"), ".gemini/settings.json", "{\n  \"ui\": { \"hideBanner\": true }\n}\n"),
    (
        "goose",
        Some("goose"),
        ".config/goose/config.yaml",
        "GOOSE_MODEL: m\nextensions:\n  one:\n    enabled: true\n    type: stdio\n    name: one\n    cmd: npx\n    args: [\"-y\", \"one\"]\n",
    ),
    ("opencode", Some("opencode"), ".config/opencode/opencode.json", "{\n  \"model\": \"m/m\",\n  \"mcp\": {}\n}\n"),
    (
        "vscode",
        Some("vscode"),
        ".config/Code/User/mcp.json",
        "{\n\t\"servers\": {\n\t\t\"one\": { \"type\": \"stdio\", \"command\": \"npx\" }\n\t}\n}\n",
    ),
    ("windsurf", Some("windsurf"), ".codeium/windsurf/mcp_config.json", "{\n  \"mcpServers\": {}\n}\n"),
    (
        "zed",
        Some("zed"),
        ".config/zed/settings.json",
        "// Zed settings\n{\n  \"theme\": \"One Dark\",\n  \"context_servers\": {}\n}\n",
    ),
    ("qwen-code", None, ".qwen/settings.json", "{\n  \"mcpServers\": {}\n}\n"),
    ("amp", None, ".config/amp/settings.json", "{\n  \"amp.mcpServers\": {}\n}\n"),
];

/// Puts every file into its first state, and takes away what earlier runs left beside them.
pub(crate) fn plant(sandbox: &Sandbox) -> io::Result<()> {
    for entry in fs::read_dir(sandbox.home())? {
        let path = entry?.path();
        if path == sandbox.work() {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    for (_, _, file, text) in CLIENTS {
        sandbox.write(file, text)?;
    }
    Ok(())
}

/// The size of a file, for a report.
pub(crate) fn megabytes(path: &Path) -> io::Result<f64> {
    #[expect(clippy::cast_precision_loss, reason = "no file here has 2^52 bytes")]
    let bytes = fs::metadata(path)?.len() as f64;
    Ok(bytes / f64::from(1 << 20))
}
