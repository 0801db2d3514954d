//! Copilot CLI. Its list starts nothing.

use std::io;

use serde_json::Value;

use super::{RealClient, Session, Standing, View, words, words_then};

pub(super) struct CopilotCli;

impl RealClient for CopilotCli {
    fn id(&self) -> &'static str {
        "copilot-cli"
    }

    fn program(&self) -> &'static str {
        "copilot"
    }

    fn calls_itself(&self) -> &'static str {
        "copilot-cli"
    }

    fn config(&self) -> &'static str {
        ".copilot/mcp-config.json"
    }

    fn settings(&self, _model: &str) -> String {
        // The file is about servers only, and an empty object would be an error.
        "{\n  \"mcpServers\": {\n  }\n}\n".to_owned()
    }

    fn variables(&self, model: &str) -> Vec<(&'static str, String)> {
        vec![
            // Without these it demands a login.
            ("COPILOT_OFFLINE", "true".into()),
            ("COPILOT_PROVIDER_BASE_URL", format!("{model}/v1")),
            ("COPILOT_MODEL", "fake".into()),
            ("COPILOT_PROVIDER_API_KEY", "none".into()),
        ]
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        Some(session.run(["mcp", "list", "--json"]).map(|outcome| {
            let output = outcome.text();
            let standing = match serde_json::from_str::<Value>(&outcome.stdout) {
                Ok(list) if list["mcpServers"][server]["enabled"] == true => Standing::Listed,
                Ok(list) if list["mcpServers"][server].is_object() => Standing::Broken(list["mcpServers"][server].to_string()),
                Ok(_) => Standing::Absent,
                Err(error) => Standing::Broken(error.to_string()),
            };
            let complaints = outcome.stderr.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
            View { standing, complaints, output }
        }))
    }

    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        Some(words(["-p", "call the tool", "--allow-all-tools"]))
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        Some(words_then(["mcp", "add", server, "--"], command))
    }

    fn remove(&self, server: &str) -> Option<Vec<String>> {
        Some(words(["mcp", "remove", server]))
    }
}
