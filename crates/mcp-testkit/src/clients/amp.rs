//! Amp. A prompt needs an account; its doctor starts the servers with any key.

use std::io;

use super::{RealClient, Session, View, view_of_lines, words, words_then};

pub(super) struct Amp;

impl RealClient for Amp {
    fn id(&self) -> &'static str {
        "amp"
    }

    fn program(&self) -> &'static str {
        "amp"
    }

    fn calls_itself(&self) -> &'static str {
        "amp"
    }

    fn config(&self) -> &'static str {
        ".config/amp/settings.json"
    }

    fn settings(&self, _model: &str) -> String {
        "{\n  // no sound\n  \"amp.notifications.enabled\": false,\n}\n".to_owned()
    }

    fn variables(&self, _model: &str) -> Vec<(&'static str, String)> {
        // Without a key it waits for a login.
        vec![("AMP_API_KEY", "none".into())]
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        Some(session.run(["mcp", "doctor"]).map(|outcome| {
            let start = format!("{server} (");
            let complains = |line: &str| line.contains("nvalid") || line.contains("arning");
            view_of_lines(outcome.text(), |line| line.trim_start().starts_with(&start), "): connected", complains)
        }))
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        Some(words_then(["mcp", "add", server, "--"], command))
    }

    fn remove(&self, server: &str) -> Option<Vec<String>> {
        Some(words(["mcp", "remove", server]))
    }
}
