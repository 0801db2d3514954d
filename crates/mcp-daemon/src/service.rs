//! Having the daemon started at login, by what each system has for that: a systemd user unit, a launchd agent, a scheduled
//! task. This says what is to be written and run; whoever asks does it.

use std::path::{Path, PathBuf};

/// What starts things at login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// A systemd user unit.
    Systemd,
    /// A launchd agent.
    Launchd,
    /// A scheduled task of Windows.
    Tasks,
}

impl Manager {
    /// This system's.
    pub fn of_system() -> Self {
        if cfg!(windows) {
            Self::Tasks
        } else if cfg!(target_vendor = "apple") {
            Self::Launchd
        } else {
            Self::Systemd
        }
    }

    /// As people know it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Systemd => "systemd user unit",
            Self::Launchd => "launchd agent",
            Self::Tasks => "scheduled task",
        }
    }
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// This program.
    pub program: PathBuf,
    /// The user's home directory.
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`, where systemd looks for units.
    pub config_home: Option<PathBuf>,
    /// `MCP_HOME`, which the daemon has to be told as well.
    pub mcp_home: Option<PathBuf>,
    /// The user's number.
    pub user: u32,
}

/// A file to be written and commands to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The file and its text.
    pub file: Option<(PathBuf, String)>,
    /// Commands that make it count, each by its words.
    pub enable: Vec<Vec<String>>,
    /// Commands that take it back, before the file is removed.
    pub disable: Vec<Vec<String>>,
    /// Commands for afterwards.
    pub after: Vec<Vec<String>>,
}

const UNIT: &str = "mcp-daemon.service";
const LABEL: &str = "mcp.daemon";
const TASK: &str = "mcp daemon";

/// What is to be done.
pub fn plan(manager: Manager, at: &Surroundings) -> Plan {
    let words = |line: &[&str]| line.iter().map(|w| (*w).to_owned()).collect::<Vec<String>>();
    match manager {
        Manager::Systemd => {
            let base = at.config_home.clone().filter(|p| p.is_absolute()).unwrap_or_else(|| at.home.join(".config"));
            let reload = words(&["systemctl", "--user", "daemon-reload"]);
            Plan {
                file: Some((base.join("systemd/user").join(UNIT), unit(at))),
                enable: vec![reload.clone(), words(&["systemctl", "--user", "enable", UNIT])],
                disable: vec![words(&["systemctl", "--user", "disable", UNIT])],
                after: vec![reload],
            }
        }
        Manager::Launchd => {
            let path = at.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"));
            let domain = format!("gui/{}", at.user);
            let shown = path.display().to_string();
            Plan {
                enable: vec![words(&["launchctl", "bootstrap", &domain, &shown])],
                disable: vec![words(&["launchctl", "bootout", &format!("{domain}/{LABEL}")])],
                after: Vec::new(),
                file: Some((path, agent(at))),
            }
        }
        Manager::Tasks => {
            let run = format!("\"{}\" daemon run --login", at.program.display());
            Plan {
                file: None,
                enable: vec![words(&["schtasks", "/Create", "/F", "/SC", "ONLOGON", "/TN", TASK, "/TR", &run])],
                disable: vec![words(&["schtasks", "/Delete", "/F", "/TN", TASK])],
                after: Vec::new(),
            }
        }
    }
}

/// systemd splits the line at blanks and reads `%`, `$`, `"` and `\` in its own way.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$"))
}

fn unit(at: &Surroundings) -> String {
    let variable = at.mcp_home.as_ref().map(|home| {
        // Here `$` has no meaning.
        let value = quoted(home).replace("$$", "$");
        format!("Environment={}\n", value.replacen('"', "\"MCP_HOME=", 1))
    });
    format!(
        "# Written by `mcp daemon enable`; `mcp daemon disable` removes it.\n\
         [Unit]\n\
         Description=Shared MCP servers\n\
         \n\
         [Service]\n\
         ExecStart={} daemon run --login\n\
         {}KillMode=mixed\n\
         TimeoutStopSec=30\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        quoted(&at.program),
        variable.unwrap_or_default()
    )
}

fn agent(at: &Surroundings) -> String {
    let escaped = |path: &Path| {
        let text = path.display().to_string();
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    };
    let variable = at.mcp_home.as_ref().map(|home| {
        format!(
            "  <key>EnvironmentVariables</key>\n  <dict>\n    <key>MCP_HOME</key>\n    <string>{}</string>\n  </dict>\n",
            escaped(home)
        )
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <!-- Written by `mcp daemon enable`; `mcp daemon disable` removes it. -->\n\
         <plist version=\"1.0\">\n\
         <dict>\n  <key>Label</key>\n  <string>{LABEL}</string>\n  <key>ProgramArguments</key>\n  <array>\n    \
         <string>{}</string>\n    <string>daemon</string>\n    <string>run</string>\n    <string>--login</string>\n  </array>\n\
         {}  <key>RunAtLoad</key>\n  <true/>\n</dict>\n</plist>\n",
        escaped(&at.program),
        variable.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn at() -> Surroundings {
        Surroundings {
            program: "/opt/my tools/100%/mcp".into(),
            home: "/home/u".into(),
            config_home: None,
            mcp_home: None,
            user: 1000,
        }
    }

    #[test]
    fn unit_is_where_systemd_looks_and_quotes_its_program() {
        let plan = plan(Manager::Systemd, &at());
        let (path, text) = plan.file.unwrap();
        assert_eq!(path, Path::new("/home/u/.config/systemd/user/mcp-daemon.service"));
        assert!(text.contains("\nExecStart=\"/opt/my tools/100%%/mcp\" daemon run --login\n"), "{text}");
        assert!(!text.contains("Environment="));
        let moved = Surroundings { config_home: Some("/x".into()), mcp_home: Some("/m $".into()), ..at() };
        let (path, text) = super::plan(Manager::Systemd, &moved).file.unwrap();
        assert!(path.starts_with("/x/systemd/user") && text.contains("\nEnvironment=\"MCP_HOME=/m $\"\n"), "{text}");
    }

    #[test]
    fn agent_is_well_formed_for_odd_paths() {
        let odd = Surroundings { program: "/a&b/<mcp>".into(), mcp_home: Some("/m".into()), ..at() };
        let (path, text) = plan(Manager::Launchd, &odd).file.unwrap();
        assert_eq!(path, Path::new("/home/u/Library/LaunchAgents/mcp.daemon.plist"));
        assert!(text.contains("<string>/a&amp;b/&lt;mcp&gt;</string>") && text.contains("<string>/m</string>"), "{text}");
        assert_eq!(text.matches("<dict>").count(), text.matches("</dict>").count());
    }

    #[test]
    fn task_needs_no_file() {
        let plan = plan(Manager::Tasks, &at());
        assert_eq!(plan.file, None);
        assert_eq!(plan.enable[0].last().unwrap(), "\"/opt/my tools/100%/mcp\" daemon run --login");
    }
}
