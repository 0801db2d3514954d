//! Claude Code.

use std::io;

use super::{RealClient, Session, View, view_of_lines, words, words_then};

pub(super) struct ClaudeCode;

impl RealClient for ClaudeCode {
    fn id(&self) -> &'static str {
        "claude-code"
    }

    fn program(&self) -> &'static str {
        "claude"
    }

    fn calls_itself(&self) -> &'static str {
        "claude-code"
    }

    fn config(&self) -> &'static str {
        ".claude.json"
    }

    fn settings(&self, _model: &str) -> String {
        // Strict JSON. Each command adds keys of its own at the end.
        "{\n  \"numStartups\": 7,\n  \"theme\": \"dark\",\n  \"tipsHistory\": {\"memory\": 3},\n  \"firstStartTime\": \"2026-11-20T00:00:00.000Z\"\n}\n".to_owned()
    }

    fn variables(&self, model: &str) -> Vec<(&'static str, String)> {
        vec![
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            // An `add` gives up after twenty seconds of a locked file, which a busy machine can take.
            ("CLAUDE_CODE_CONFIG_LOCK_WAIT_MS", "60000".into()),
            // Otherwise tools of servers are held back and the first request does not offer them.
            ("ENABLE_TOOL_SEARCH", "false".into()),
            ("ANTHROPIC_BASE_URL", model.into()),
            ("ANTHROPIC_API_KEY", "none".into()),
        ]
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        Some(session.run(["mcp", "list"]).map(|outcome| {
            let start = format!("{server}: ");
            // "MCP config diagnostics" follow the list, one marked line per fault.
            let complains =
                |line: &str| line.contains("[Warning]") || line.contains("[Error]") || line.contains("Configuration error");
            view_of_lines(outcome.text(), |line| line.starts_with(&start), "✔ Connected", complains)
        }))
    }

    fn prompt(&self, server: &str, tool: &str) -> Option<Vec<String>> {
        Some(words(["-p", "call the tool", "--model", "fake", "--allowedTools", &format!("mcp__{server}__{tool}")]))
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        Some(words_then(["mcp", "add", "-s", "user", server, "--"], command))
    }

    fn remove(&self, server: &str) -> Option<Vec<String>> {
        Some(words(["mcp", "remove", server, "-s", "user"]))
    }
}
