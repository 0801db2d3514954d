//! What every command is given: directories, platform, project, settings, terminal.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use mcp_clients::clients::Clients;
use mcp_clients::descriptor::Descriptor;
use mcp_clients::locate::Project;
use mcp_clients::platform::{Os, Platform};
use mcp_os::dirs::Dirs;

use crate::report::Failure;
use crate::ui::Ui;

/// The surroundings of a command.
pub(crate) struct Ctx {
    /// Our directories.
    pub(crate) dirs: Dirs,
    /// What clients' paths depend on.
    pub(crate) platform: Platform,
    /// The folder the command runs in.
    pub(crate) project: Project,
    /// The terminal.
    pub(crate) ui: Ui,
    clients: OnceCell<Clients>,
}

impl Ctx {
    /// The surroundings of this process.
    pub(crate) fn new(ui: Ui) -> Result<Self, Failure> {
        let dirs = Dirs::from_env(&|name| std::env::var_os(name)).map_err(Failure::usage)?;
        if dirs.home.to_str().is_none() {
            // Clients' paths are text, and a path that was changed to fit would be another folder.
            return Err(Failure::missing(format_args!(
                "the home directory {} has a name that is not UTF-8",
                dirs.home.display()
            ))
            .hint("set `HOME` to a folder whose name is"));
        }
        let cwd =
            std::env::current_dir().map_err(|e| Failure::file(anyhow::Error::new(e).context("find the working directory")))?;
        let vars: BTreeMap<String, String> =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Ok(Self::at(dirs, vars, &cwd, ui))
    }

    /// Surroundings of the caller's choice.
    pub(crate) fn at(dirs: Dirs, vars: BTreeMap<String, String>, cwd: &Path, ui: Ui) -> Self {
        let home = dirs.home.to_string_lossy().into_owned();
        let platform = Platform { os: Os::current(), home, vars };
        Self { dirs, platform, project: Project::at(cwd), ui, clients: OnceCell::new() }
    }

    /// The known clients. Unusable descriptors of the user are reported once and left out.
    pub(crate) fn clients(&self) -> &Clients {
        self.clients.get_or_init(|| {
            let (clients, errors) = Clients::with_folder(&self.dirs.config.join("clients"));
            for error in errors {
                self.ui.warn(error);
            }
            clients
        })
    }

    /// The client with this id.
    pub(crate) fn client(&self, id: &str) -> Result<&Descriptor, Failure> {
        self.clients().get(id).ok_or_else(|| {
            let near = nearest(id, self.clients().all().iter().map(|c| c.id.as_str()));
            let failure = Failure::usage(anyhow::anyhow!("there is no client `{id}`"));
            match near {
                Some(near) => failure.hint(format!("did you mean `{near}`? `mcp clients --all` lists every client")),
                None => failure.hint("`mcp clients --all` lists every client"),
            }
        })
    }

    /// The program `name` on this shell's `PATH`.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.platform.vars.get("PATH").map_or("", String::as_str);
        let ext = self.platform.vars.get("PATHEXT").map(OsStr::new);
        mcp_os::which::find(OsStr::new(name), OsStr::new(path), &self.project.cwd, ext)
    }

    /// A path for people: `~` for the home directory, and relative where it is below the working directory.
    pub(crate) fn show(&self, path: &Path) -> String {
        match path.strip_prefix(&self.project.cwd) {
            Ok(rest) if !rest.as_os_str().is_empty() && self.project.cwd != self.dirs.home => rest.display().to_string(),
            _ => self.dirs.display(path),
        }
    }
}

/// The word of `known` that is nearest to `word`, if one is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let close = |k: &&str| k.starts_with(word) || k.contains(word) && word.len() > 2;
    let ranked = known.map(|k| (if close(&k) { 0 } else { strsim::damerau_levenshtein(word, k) }, k));
    ranked.min_by_key(|(d, _)| *d).filter(|(d, _)| *d <= limit).map(|(_, k)| k)
}
