//! Continue CLI. It has no list; its servers are a YAML list, not a table.

use super::{RealClient, Session, words};

pub(super) struct ContinueCli;

impl RealClient for ContinueCli {
    fn id(&self) -> &'static str {
        "continue"
    }

    fn program(&self) -> &'static str {
        "cn"
    }

    fn calls_itself(&self) -> &'static str {
        "continue-cli-client"
    }

    fn config(&self) -> &'static str {
        ".continue/config.yaml"
    }

    fn settings(&self, model: &str) -> String {
        // Without the capability no tool is offered to the model.
        format!(
            "name: test   # of this assistant\nversion: 0.0.1\nschema: v1\nmodels:\n  - name: fake\n    provider: openai\n    model: fake\n    \
             apiBase: \"{model}/v1\"\n    apiKey: none\n    roles: [chat]\n    capabilities: [tool_use]\n"
        )
    }

    fn prepare(&self, session: &Session) -> std::io::Result<()> {
        // A first start without this file opens a setup.
        session.sandbox.write(".continue/.onboarding_complete", "").map(drop)
    }

    fn prompt(&self, _server: &str, _tool: &str) -> Option<Vec<String>> {
        // From the working directory, which is one below the home.
        Some(words(["-p", "call the tool", "--auto", "--config", "../.continue/config.yaml"]))
    }
}
