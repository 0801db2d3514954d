//! Cline CLI. It has no list outside a terminal, and leaves a daemon behind, which the sandbox ends.

use std::io;

use super::{RealClient, Session, words, words_then};

pub(super) struct ClineCli;

impl RealClient for ClineCli {
    fn id(&self) -> &'static str {
        "cline-cli"
    }

    fn program(&self) -> &'static str {
        "cline"
    }

    fn calls_itself(&self) -> &'static str {
        "@cline/core"
    }

    fn config(&self) -> &'static str {
        ".cline/data/settings/cline_mcp_settings.json"
    }

    fn settings(&self, _model: &str) -> String {
        "{\n  \"mcpServers\": {}\n}\n".to_owned()
    }

    fn prepare(&self, session: &Session) -> io::Result<()> {
        let base = format!("{}/v1", session.model.url());
        let outcome = session.run(["auth", "-p", "openai-compatible", "-k", "none", "-m", "fake", "-b", &base])?;
        if outcome.succeeded() { Ok(()) } else { Err(io::Error::other(format!("`cline auth` failed: {}", outcome.text()))) }
    }

    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        Some(words(["call the tool"]))
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        Some(words_then(["mcp", "add", server, "--yes", "--json", "--"], command))
    }

    fn remove(&self, server: &str) -> Option<Vec<String>> {
        Some(words(["mcp", "remove", server]))
    }
}
