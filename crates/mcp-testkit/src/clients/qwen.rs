//! Qwen Code.

use std::io;

use super::{RealClient, Session, View, view_of_lines, words, words_then};

pub(super) struct QwenCode;

impl RealClient for QwenCode {
    fn id(&self) -> &'static str {
        "qwen-code"
    }

    fn program(&self) -> &'static str {
        "qwen"
    }

    fn calls_itself(&self) -> &'static str {
        "qwen-cli-mcp-client-ev"
    }

    fn config(&self) -> &'static str {
        ".qwen/settings.json"
    }

    fn settings(&self, _model: &str) -> String {
        // Without the first line tools of servers are held back, as in Claude Code.
        "{\n  \"tools\": {\"toolSearch\": {\"enabled\": false}}, // offer everything\n  \"security\": {\"auth\": {\"selectedType\": \"openai\"}}\n}\n".to_owned()
    }

    fn variables(&self, model: &str) -> Vec<(&'static str, String)> {
        vec![("OPENAI_API_KEY", "none".into()), ("OPENAI_BASE_URL", format!("{model}/v1")), ("OPENAI_MODEL", "fake".into())]
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        Some(session.run(["mcp", "list"]).map(|outcome| {
            let entry = format!(" {server}: ");
            let complains = |line: &str| line.contains("Invalid") || line.contains("Warning") || line.contains("Error");
            view_of_lines(outcome.text(), |line| line.contains(&entry), " - Connected", complains)
        }))
    }

    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        Some(words(["-p", "call the tool", "--yolo"]))
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        Some(words_then(["mcp", "add", "-s", "user", server], command))
    }

    fn remove(&self, server: &str) -> Option<Vec<String>> {
        Some(words(["mcp", "remove", "-s", "user", server]))
    }
}
