//! The options of `mcp run-once` that an entry can carry.

use mcp_clients::text;

/// How a server is shared.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "How it is shared")]
pub(crate) struct Sharing {
    /// Start a process of its own for every client, or for clients that differ in this
    #[arg(long, value_name = "BY", value_parser = ["client", "capabilities", "roots", "era"])]
    isolate: Option<String>,
    /// Stop the server so long after its last client left: 30s, 5m
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = time)]
    ephemeral: Option<String>,
    /// Keep the server until it is stopped
    #[arg(long, conflicts_with = "ephemeral")]
    persistent: bool,
    /// A variable whose value tells servers apart; those of the entry always do
    #[arg(long, value_name = "NAME", value_parser = variable)]
    env_key: Vec<String>,
    /// In which era of the protocol to speak to the server
    #[arg(long, value_name = "ERA", value_parser = ["auto", "legacy", "modern"])]
    upstream_era: Option<String>,
    /// What the server is told clients can do: `first`, `full`, `none` or a JSON object
    #[arg(long, value_name = "WHICH", value_parser = capabilities)]
    client_capabilities: Option<String>,
    /// How a server's own questions find their client
    #[arg(long, value_name = "HOW", value_parser = ["baton", "strict", "reject"])]
    attribution: Option<String>,
    /// Whether to start the server again when it ends by itself
    #[arg(long, value_name = "WHEN", value_parser = ["never", "on-failure"])]
    restart: Option<String>,
}

impl Sharing {
    /// The words for `run-once`, in the order of the help.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut pair = |flag: &str, value: &Option<String>| {
            words.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        };
        pair("--isolate", &self.isolate);
        pair("--upstream-era", &self.upstream_era);
        pair("--client-capabilities", &self.client_capabilities);
        pair("--attribution", &self.attribution);
        pair("--restart", &self.restart);
        for name in &self.env_key {
            pair("--env-key", &Some(name.clone()));
        }
        words.extend(self.ephemeral.iter().map(|time| match time.as_str() {
            "" => "--ephemeral".to_owned(),
            time => format!("--ephemeral={time}"),
        }));
        words.extend(self.persistent.then(|| "--persistent".to_owned()));
        words
    }
}

fn time(text: &str) -> Result<String, String> {
    if text.is_empty() || mcp_daemon::call::duration(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err("a duration is a number and `ms`, `s`, `m`, `h` or `d`: `30s`".to_owned())
    }
}

fn variable(text: &str) -> Result<String, String> {
    if text::is_name(text) { Ok(text.to_owned()) } else { Err("this is no name of a variable".to_owned()) }
}

fn capabilities(text: &str) -> Result<String, String> {
    let is_object = || serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
    if matches!(text, "first" | "full" | "none") || is_object() {
        Ok(text.to_owned())
    } else {
        Err("it is `first`, `full`, `none` or a JSON object".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sharing: Sharing,
    }

    fn words(line: &str) -> Result<Vec<String>, clap::Error> {
        Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).map(|line| line.sharing.words())
    }

    #[test]
    fn options_are_handed_on_as_they_were_given() {
        for line in [
            "",
            "--ephemeral",
            "--ephemeral=5m",
            "--persistent",
            "--isolate client --upstream-era legacy --client-capabilities none --attribution strict --restart never --env-key A --env-key B",
            r#"--client-capabilities {"roots":{}}"#,
        ] {
            assert_eq!(words(line).unwrap().join(" "), line);
        }
        for line in [
            "--ephemeral=soon",
            "--ephemeral --persistent",
            "--isolate all",
            "--env-key 1A",
            "--client-capabilities []",
            "--restart always",
        ] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}
