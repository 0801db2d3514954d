//! Gemini CLI.

use std::io;

use super::{RealClient, Session, View, view_of_lines, words, words_then};

pub(super) struct GeminiCli;

impl RealClient for GeminiCli {
    fn id(&self) -> &'static str {
        "gemini-cli"
    }

    fn program(&self) -> &'static str {
        "gemini"
    }

    fn calls_itself(&self) -> &'static str {
        "gemini-cli-mcp-client"
    }

    fn config(&self) -> &'static str {
        ".gemini/settings.json"
    }

    fn settings(&self, _model: &str) -> String {
        // Comments are allowed here, trailing commas are not.
        "{\n    // how to log in\n    \"security\": { \"auth\": { \"selectedType\": \"gemini-api-key\" } },\n    \"ui\": { \"hideBanner\": true } /* less noise */\n}\n"
            .to_owned()
    }

    fn variables(&self, model: &str) -> Vec<(&'static str, String)> {
        vec![
            // In a folder that is not trusted every server is off.
            ("GEMINI_CLI_TRUST_WORKSPACE", "true".into()),
            ("GEMINI_API_KEY", "none".into()),
            ("GOOGLE_GEMINI_BASE_URL", model.into()),
        ]
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        Some(session.run(["mcp", "list"]).map(|outcome| {
            let entry = format!(" {server}: ");
            let complains = |line: &str| {
                line.contains("Invalid configuration") || line.contains("Error in:") || line.contains("Unrecognized")
            };
            view_of_lines(outcome.text(), |line| line.contains(&entry), " - Connected", complains)
        }))
    }

    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        Some(words(["-p", "call the tool", "--yolo", "-m", "gemini-2.5-pro"]))
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        // The default scope is the project.
        Some(words_then(["mcp", "add", "-s", "user", server], command))
    }

    fn remove(&self, server: &str) -> Option<Vec<String>> {
        Some(words(["mcp", "remove", "-s", "user", server]))
    }
}
