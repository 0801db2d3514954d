//! goose. Its view is the merged configuration: an entry it cannot read is silently missing from it. Only a call proves more.

use std::io;

use super::{RealClient, Session, Standing, View, words};

pub(super) struct Goose;

impl RealClient for Goose {
    fn id(&self) -> &'static str {
        "goose"
    }

    fn program(&self) -> &'static str {
        // The package holds one binary, named after its platform.
        binary()
    }

    fn calls_itself(&self) -> &'static str {
        "goose-cli"
    }

    fn config(&self) -> &'static str {
        ".config/goose/config.yaml"
    }

    fn settings(&self, model: &str) -> String {
        format!(
            "# provider\nGOOSE_PROVIDER: openai\nGOOSE_MODEL: fake   # any name will do\nOPENAI_HOST: {model}\nGOOSE_MODE: auto\n"
        )
    }

    fn variables(&self, _model: &str) -> Vec<(&'static str, String)> {
        vec![("GOOSE_DISABLE_KEYRING", "1".into()), ("OPENAI_API_KEY", "none".into())]
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        Some(session.run(["info", "-v"]).map(|outcome| {
            let output = outcome.text();
            let entry = format!("    {server}:");
            let standing = if output.lines().any(|line| line == entry) { Standing::Listed } else { Standing::Absent };
            let complaints =
                output.lines().filter(|line| line.contains("WARN") || line.contains("rror")).map(str::to_owned).collect();
            View { standing, complaints, output }
        }))
    }

    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        Some(words(["run", "--no-session", "-t", "call the tool"]))
    }
}

const fn binary() -> &'static str {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        "goose-binary-linux-x64"
    } else if cfg!(target_os = "linux") {
        "goose-binary-linux-arm64"
    } else if cfg!(all(target_os = "macos", target_arch = "x86_64")) {
        "goose-binary-darwin-x64"
    } else if cfg!(target_os = "macos") {
        "goose-binary-darwin-arm64"
    } else {
        "goose-binary-win32-x64"
    }
}
