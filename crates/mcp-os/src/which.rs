//! Finding a program the way a given environment would.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use which::WhichConfig;
use which::sys::{RealSys, Sys};

/// The file that running `name` would start, with the given `PATH`, working directory and (Windows) `PATHEXT`. A client
/// may hand its servers another environment than ours, so the process environment is not asked.
pub fn find(name: &OsStr, path_var: &OsStr, cwd: &Path, path_ext: Option<&OsStr>) -> Option<PathBuf> {
    let system = Environment { real: RealSys, path_ext: path_ext.map(OsStr::to_owned) };
    WhichConfig::new_with_sys(system)
        .binary_name(name.to_owned())
        .custom_path_list(path_var.to_owned())
        .custom_cwd(cwd.to_owned())
        .first_result()
        .ok()
}

/// The real file system under an environment of our choice.
#[derive(Clone)]
struct Environment {
    real: RealSys,
    path_ext: Option<OsString>,
}

impl Sys for Environment {
    type ReadDirEntry = <RealSys as Sys>::ReadDirEntry;
    type Metadata = <RealSys as Sys>::Metadata;

    fn is_windows(&self) -> bool {
        self.real.is_windows()
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        self.real.current_dir()
    }

    fn home_dir(&self) -> Option<PathBuf> {
        None
    }

    fn env_split_paths(&self, paths: &OsStr) -> Vec<PathBuf> {
        self.real.env_split_paths(paths)
    }

    fn env_path(&self) -> Option<OsString> {
        None
    }

    fn env_path_ext(&self) -> Option<OsString> {
        self.path_ext.clone()
    }

    fn metadata(&self, path: &Path) -> io::Result<Self::Metadata> {
        self.real.metadata(path)
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Self::Metadata> {
        self.real.symlink_metadata(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Box<dyn Iterator<Item = io::Result<Self::ReadDirEntry>>>> {
        self.real.read_dir(path)
    }

    fn is_valid_executable(&self, path: &Path) -> io::Result<bool> {
        self.real.is_valid_executable(path)
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn finds_executables_in_the_given_path_only() {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for (name, mode) in [("runs", 0o755), ("does-not", 0o644)] {
            std::fs::write(bin.join(name), "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let find = |name: &str, path: &Path| find(OsStr::new(name), path.as_os_str(), dir.path(), None);
        assert_eq!(find("runs", &bin), Some(bin.join("runs")));
        assert_eq!(find("does-not", &bin), None);
        assert_eq!(find("sh", &bin), None, "the PATH of this process must not count");
        assert_eq!(find("./bin/runs", Path::new("")), Some(dir.path().join("./bin/runs")));
    }
}
