//! `opencode` and `kilo`, which share a code base, and with it the file format and the output. Neither can remove a server.

use std::{io, time::Duration};

use super::{RealClient, Session, View, view_of_lines, words, words_then};

pub(super) const OPENCODE: OpenCode = OpenCode { id: "opencode", config: ".config/opencode/opencode.json" };
pub(super) const KILO: OpenCode = OpenCode { id: "kilo", config: ".config/kilo/kilo.json" };

pub(super) struct OpenCode {
    id: &'static str,
    config: &'static str,
}

impl RealClient for OpenCode {
    fn id(&self) -> &'static str {
        self.id
    }

    fn program(&self) -> &'static str {
        self.id
    }

    fn calls_itself(&self) -> &'static str {
        self.id
    }

    fn config(&self) -> &'static str {
        self.config
    }

    fn settings(&self, model: &str) -> String {
        format!(
            "{{\n\t// a model of our own\n\t\"model\": \"fake/fake\",\n\t\"small_model\": \"fake/fake\",\n\t\"autoupdate\": false,\n\t\"provider\": {{\n\t\t\"fake\": {{\n\
             \t\t\t\"npm\": \"@ai-sdk/openai-compatible\",\n\t\t\t\"options\": {{ \"baseURL\": \"{model}/v1\", \"apiKey\": \"none\" }},\n\
             \t\t\t\"models\": {{ \"fake\": {{}} }},\n\t\t}},\n\t}},\n}}\n"
        )
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        Some(session.run(["mcp", "list"]).map(|outcome| {
            let entry = format!(" {server} ");
            let complains = |line: &str| line.contains("invalid") || line.contains("Error");
            view_of_lines(outcome.text(), |line| line.contains(&entry), &format!("✓ {server} connected"), complains)
        }))
    }

    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        Some(words(["run", "call the tool"]))
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        Some(words_then(["mcp", "add", server, "--"], command))
    }

    fn limit(&self) -> Duration {
        // Kilo has taken 20 s on two idle cores.
        Duration::from_secs(150)
    }
}
