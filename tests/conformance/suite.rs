//! The official suites, and what they say.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use mcp_testkit::sandbox;

use crate::peers::{self, Skip, Stop};

/// Each takes seconds.
const LIMIT: Duration = Duration::from_mins(4);

/// A suite at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suite {
    /// 0.1.16, everything.
    Old,
    /// 0.2.0-alpha.12, what 2025-11-25 requires.
    Legacy,
    /// 0.2.0-alpha.12, what 2026-07-28 requires.
    Modern,
}

impl Suite {
    pub(crate) const ALL: [Self; 3] = [Self::Old, Self::Legacy, Self::Modern];

    /// For the names of trials.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }

    /// For the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Old => "0.1.16, all",
            Self::Legacy => "0.2.0-alpha.12, 2025-11-25",
            Self::Modern => "0.2.0-alpha.12, 2026-07-28",
        }
    }

    fn command(self) -> Result<Command, Skip> {
        let (package, arguments) = match self {
            Self::Old => ("conformance-0.1", ["--suite", "all"]),
            Self::Legacy => ("conformance-0.2", ["--requirements", "2025-11-25"]),
            Self::Modern => ("conformance-0.2", ["--requirements", "2026-07-28"]),
        };
        let script = peers::npm(package)?.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
        let mut command = Command::new(peers::node()?);
        command.arg(script).arg("server").args(arguments);
        Ok(command)
    }

    /// Runs against a URL and reads what was found.
    pub(crate) fn run(self, url: &str) -> Result<Findings, Stop> {
        let folder = tempfile::tempdir()?;
        let out = folder.path().join("out");
        let mut command = self.command()?;
        command.args(["--url", url, "-o"]).arg(&out).current_dir(folder.path());
        let outcome = sandbox::run(&mut command, LIMIT, folder.path())?;
        if outcome.timed_out {
            return Err(format!("{} took more than {} s", self.title(), LIMIT.as_secs()).into());
        }
        // Its exit code says whether all passed, which is for us to judge.
        let findings = Findings::read(&out).map_err(|error| format!("{error}\n{}", outcome.text()))?;
        if findings.0.is_empty() {
            Err(format!("{} found nothing\n{}", self.title(), outcome.text()).into())
        } else {
            Ok(findings)
        }
    }
}

/// One check: what was checked and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Check {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) message: String,
}

/// The checks of each scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings(pub(crate) BTreeMap<String, Vec<Check>>);

impl Findings {
    fn read(out: &Path) -> Result<Self, String> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(out).map_err(|error| format!("{}: {error}", out.display()))? {
            let folder: PathBuf = entry.map_err(|error| error.to_string())?.path();
            let Ok(text) = fs::read_to_string(folder.join("checks.json")) else { continue };
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let checks: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
            let word = |check: &serde_json::Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
            let checks = checks.as_array().into_iter().flatten().map(|check| Check {
                id: word(check, "id"),
                status: word(check, "status"),
                message: word(check, "errorMessage"),
            });
            found.insert(scenario(name).to_owned(), checks.collect());
        }
        Ok(Self(found))
    }

    /// The failed checks, as `scenario:check`, with their message.
    pub(crate) fn failures(&self) -> BTreeMap<String, String> {
        let failed = |(scenario, checks): (&String, &Vec<Check>)| {
            let scenario = scenario.clone();
            let failed = checks.iter().filter(|check| check.status == "FAILURE");
            failed.map(|check| (format!("{scenario}:{}", check.id), check.message.clone())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(failed).collect()
    }

    /// Scenarios without a failure of all, checks that passed and that failed.
    pub(crate) fn figures(&self) -> String {
        let count = |status: &str| self.0.values().flatten().filter(|check| check.status == status).count();
        let good = self.0.values().filter(|checks| checks.iter().all(|check| check.status != "FAILURE")).count();
        format!("{good}/{}, {} : {}", self.0.len(), count("SUCCESS"), count("FAILURE"))
    }
}

/// `server-NAME-2026-11-24T06-15-43-876Z` without what is around the name.
fn scenario(folder: &str) -> &str {
    const STAMP: usize = "-2026-11-24T06-15-43-876Z".len();
    let name = folder.strip_prefix("server-").unwrap_or(folder);
    name.get(..name.len().saturating_sub(STAMP)).unwrap_or(name)
}
