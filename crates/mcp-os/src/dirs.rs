//! Where our own files live. Nothing is created here: the first writer makes its directory.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys;

/// The directories of this program and of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// The user's home directory (never moved by `MCP_HOME`: clients keep their files here).
    pub home: PathBuf,
    /// Settings written by the user.
    pub config: PathBuf,
    /// What must survive and is nobody's setting: undo journal, locks.
    pub state: PathBuf,
    /// What was recorded. It depends on the home directory and `MCP_HOME` alone, like [`Dirs::daemon`] and for the same reason: a
    /// client starts what records, and whoever looks at it was started by somebody else.
    pub captures: PathBuf,
    /// What can be fetched again.
    pub cache: PathBuf,
    /// What we installed for the user.
    pub data: PathBuf,
    /// Where the daemon and its callers meet. It depends on the home directory and `MCP_HOME` alone, because that is all some
    /// clients hand on to a server (Codex passes eleven variables, none of them XDG's).
    pub daemon: PathBuf,
}

/// Why the directories are unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirsError {
    /// Neither the environment nor the system names a home directory.
    #[error("find the home directory: neither the environment (`HOME`, on Windows `USERPROFILE`) nor the system names one")]
    NoHome,
    /// A variable that must be absolute is relative.
    #[error("`{name}` must be an absolute path, not `{}`", value.display())]
    Relative {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: PathBuf,
    },
}

impl Dirs {
    /// The directories as the environment (asked for through `env`) and the system say.
    ///
    /// `MCP_HOME` puts config, state, cache and data below one directory. Elsewhere they follow the platform: XDG
    /// variables on Linux, `~/Library` on macOS, the known folders on Windows. macOS and Windows have no place for state,
    /// so it goes beside the machine's local data there.
    pub fn from_env(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, DirsError> {
        let path = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let home_variable = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let home = path(home_variable).or_else(std::env::home_dir).filter(|h| h.is_absolute()).ok_or(DirsError::NoHome)?;
        if let Some(root) = path("MCP_HOME") {
            if !root.is_absolute() {
                return Err(DirsError::Relative { name: "MCP_HOME", value: root });
            }
            let below = |name: &str| root.join(name);
            return Ok(Self {
                home,
                config: below("config"),
                state: below("state"),
                captures: below("state").join(CAPTURES),
                cache: below("cache"),
                data: below("data"),
                daemon: below("state").join("daemon"),
            });
        }
        Ok(Self::of_platform(home, &path))
    }

    /// The XDG base directories, computed from the environment we were given. A relative value counts as unset, as the
    /// specification says.
    #[cfg(not(any(windows, target_vendor = "apple")))]
    fn of_platform(home: PathBuf, path: &dyn Fn(&str) -> Option<PathBuf>) -> Self {
        let base =
            |name: &str, default: &str| path(name).filter(|p| p.is_absolute()).unwrap_or_else(|| home.join(default)).join(NAME);
        let config = base("XDG_CONFIG_HOME", ".config");
        let state = base("XDG_STATE_HOME", ".local/state");
        let cache = base("XDG_CACHE_HOME", ".cache");
        let data = base("XDG_DATA_HOME", ".local/share");
        let daemon = meeting_place(&home);
        let captures = daemon.with_file_name(CAPTURES);
        Self { home, config, state, captures, cache, data, daemon }
    }

    /// What the system says. `directories` reads the process environment and the known folders by itself; a home other
    /// than the process's own (tests) is mapped below that home.
    #[cfg(any(windows, target_vendor = "apple"))]
    fn of_platform(home: PathBuf, _path: &dyn Fn(&str) -> Option<PathBuf>) -> Self {
        let Some(project) = directories::ProjectDirs::from("", "", NAME) else {
            let root = home.join(format!(".{NAME}"));
            let below = |name: &str| root.join(name);
            let daemon = meeting_place(&home);
            return Self {
                config: below("config"),
                state: below("state"),
                captures: below("state").join(CAPTURES),
                cache: below("cache"),
                data: below("data"),
                daemon,
                home,
            };
        };
        let own_home = directories::UserDirs::new().map(|u| u.home_dir().to_owned());
        let moved = |p: &Path| match own_home.as_deref().and_then(|own| p.strip_prefix(own).ok()) {
            Some(rest) => home.join(rest),
            None => p.to_owned(),
        };
        let config = moved(project.config_dir());
        let state = moved(project.data_local_dir()).join("state");
        let cache = moved(project.cache_dir());
        let data = moved(project.data_dir()).join("data");
        let daemon = meeting_place(&home);
        let captures = state.join(CAPTURES);
        Self { home, config, state, captures, cache, data, daemon }
    }

    /// Where [`lock::FileLock`](crate::lock::FileLock) keeps its files.
    pub fn locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    /// Where copies are kept of files that could only be written in place, while that goes on.
    pub fn recovery(&self) -> PathBuf {
        self.state.join("recovery")
    }

    /// `path` with the home directory written as `~`, for people to read.
    pub fn display(&self, path: &Path) -> String {
        match path.strip_prefix(&self.home) {
            Ok(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
            Ok(rest) => format!("~{}{}", std::path::MAIN_SEPARATOR, rest.display()),
            Err(_) => path.display().to_string(),
        }
    }
}

/// The directory's name wherever the platform wants one.
const NAME: &str = "mcp";
const CAPTURES: &str = "captures";

/// The daemon's directory below a home.
fn meeting_place(home: &Path) -> PathBuf {
    let state = if cfg!(windows) { "AppData/Local" } else { ".local/state" };
    home.join(state).join(NAME).join("daemon")
}

/// Makes a directory of ours and what is missing above it, for nobody else to enter, and lasting: what is kept in it must
/// not vanish with it in a power cut.
pub(crate) fn create_private(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|d| !d.is_dir()).collect();
    for dir in missing.into_iter().rev() {
        match sys::create_dir(dir, true) {
            Ok(()) => dir.parent().map_or(Ok(()), sys::sync_dir)?,
            // Another process was faster.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn dirs(pairs: &[(&str, &str)]) -> Result<Dirs, DirsError> {
        Dirs::from_env(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)))
    }

    #[test]
    fn mcp_home_moves_everything_but_the_home() {
        let d = dirs(&[("HOME", "/h"), ("MCP_HOME", "/m"), ("XDG_CONFIG_HOME", "/x")]).unwrap();
        assert_eq!(d.home, Path::new("/h"));
        assert_eq!([d.config, d.state, d.cache, d.data], ["/m/config", "/m/state", "/m/cache", "/m/data"].map(PathBuf::from));
        assert_eq!([d.daemon, d.captures], ["/m/state/daemon", "/m/state/captures"].map(PathBuf::from));
    }

    #[test]
    fn relative_mcp_home_is_refused_by_name() {
        let error = dirs(&[("HOME", "/h"), ("MCP_HOME", "m")]).unwrap_err();
        assert_eq!(error.to_string(), "`MCP_HOME` must be an absolute path, not `m`");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn xdg_variables_count_when_absolute() {
        let d = dirs(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("XDG_STATE_HOME", "rel"), ("XDG_CACHE_HOME", "")]).unwrap();
        assert_eq!(d.config, Path::new("/x/mcp"));
        assert_eq!(d.state, Path::new("/h/.local/state/mcp"));
        assert_eq!(d.cache, Path::new("/h/.cache/mcp"));
        assert_eq!(d.data, Path::new("/h/.local/share/mcp"));
    }

    #[test]
    fn daemon_and_captures_are_found_with_the_home_alone() {
        let full = dirs(&[("HOME", "/h"), ("XDG_STATE_HOME", "/x"), ("XDG_RUNTIME_DIR", "/run/user/1")]).unwrap();
        assert_eq!(full.daemon, Path::new("/h/.local/state/mcp/daemon"));
        let bare = dirs(&[("HOME", "/h")]).unwrap();
        assert_eq!((full.daemon, full.captures), (bare.daemon, bare.captures));
    }

    #[test]
    fn display_shortens_the_home_only() {
        let d = dirs(&[("HOME", "/h")]).unwrap();
        assert_eq!(d.display(Path::new("/h/.claude.json")), "~/.claude.json");
        assert_eq!(d.display(Path::new("/home/x")), "/home/x");
    }
}
