//! Factory Droid. A prompt needs an account, its list does not.

use std::{io, thread, time::Duration};

use super::{RealClient, Session, Standing, View, view_of_lines, words};

pub(super) struct Droid;

impl RealClient for Droid {
    fn id(&self) -> &'static str {
        "droid"
    }

    fn program(&self) -> &'static str {
        "droid"
    }

    fn calls_itself(&self) -> &'static str {
        "droid"
    }

    fn config(&self) -> &'static str {
        ".factory/mcp.json"
    }

    fn settings(&self, _model: &str) -> String {
        "{\n  \"mcpServers\": {}\n}\n".to_owned()
    }

    fn view(&self, session: &Session, server: &str) -> Option<io::Result<View>> {
        let look = || {
            session.run(["mcp", "list"]).map(|outcome| {
                let entry = |line: &str| line.split_whitespace().next() == Some(server);
                view_of_lines(outcome.text(), entry, " connected ", |line| line.contains("Invalid") || line.contains("rror"))
            })
        };
        // Now and then it prints the list before it is done connecting.
        for _ in 0..4 {
            match look() {
                Ok(View { standing: Standing::Broken(line), .. }) if line.contains("connecting") => {
                    thread::sleep(Duration::from_secs(1));
                }
                seen => return Some(seen),
            }
        }
        Some(look())
    }

    fn add(&self, server: &str, command: &[String]) -> Option<Vec<String>> {
        // It wants the command as one word and splits it itself.
        Some(words(["mcp", "add", server, &command.join(" ")]))
    }

    fn remove(&self, server: &str) -> Option<Vec<String>> {
        Some(words(["mcp", "remove", server]))
    }
}
