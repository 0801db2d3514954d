//! Where a client's files are on this machine, for this project.

use std::path::{Path, PathBuf};

use crate::descriptor::{Descriptor, File, Find, Moved, Scope};
use crate::platform::{Os, Platform};

/// The folder a command runs in, and what it belongs to.
#[derive(Clone, Debug)]
pub struct Project {
    /// The working directory.
    pub cwd: PathBuf,
    /// The root of the git work tree around it.
    pub git_root: Option<PathBuf>,
    /// The root of the repository: for a linked work tree the main one's.
    pub repository: Option<PathBuf>,
}

impl Project {
    /// Looks for a git work tree around a directory.
    pub fn at(cwd: &Path) -> Self {
        let git_root = cwd.ancestors().find(|d| d.join(".git").exists()).map(Path::to_path_buf);
        let repository = git_root.as_ref().map(|root| main_work_tree(root).unwrap_or_else(|| root.clone()));
        Self { cwd: cwd.to_path_buf(), git_root, repository }
    }

    /// The directory as Claude Code names it in its file: the repository's root, or the working directory, with links
    /// resolved.
    pub fn key(&self) -> String {
        let folder = self.repository.as_ref().unwrap_or(&self.cwd);
        let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.clone());
        key_of(&real.display().to_string(), Os::current())
    }

    /// The folders in which a project file may be, nearest first.
    fn folders(&self, find: Find) -> Vec<&Path> {
        let root = self.git_root.as_deref();
        match find {
            Find::Cwd => vec![&self.cwd],
            Find::Git => vec![root.unwrap_or(&self.cwd)],
            Find::Up => self.cwd.ancestors().collect(),
            Find::UpToGit => match root {
                Some(root) => self.cwd.ancestors().take_while(|d| d.starts_with(root)).collect(),
                None => vec![&self.cwd],
            },
        }
    }

    /// The folder a new project file goes to.
    fn home(&self, find: Find) -> &Path {
        match find {
            Find::Cwd | Find::Up => &self.cwd,
            Find::Git | Find::UpToGit => self.git_root.as_deref().unwrap_or(&self.cwd),
        }
    }
}

/// How Claude Code spells a resolved path. On Windows the servers of a project stand under its path with `/`, whatever else
/// stands under the one with `\` (anthropics/claude-code#88418).
fn key_of(real: &str, os: Os) -> String {
    if os != Os::Windows {
        return real.to_owned();
    }
    // What resolving a path there puts in front.
    let plain = match (real.strip_prefix(r"\\?\UNC\"), real.strip_prefix(r"\\?\")) {
        (Some(share), _) => format!(r"\\{share}"),
        (None, Some(path)) => path.to_owned(),
        (None, None) => real.to_owned(),
    };
    plain.replace('\\', "/")
}

/// For a linked work tree, whose `.git` is a file `gitdir: <main>/.git/worktrees/<name>`: the main one.
fn main_work_tree(root: &Path) -> Option<PathBuf> {
    let dot_git = root.join(".git");
    if !dot_git.is_file() {
        return None;
    }
    let text = std::fs::read_to_string(&dot_git).ok()?;
    let git_dir = root.join(text.strip_prefix("gitdir:")?.trim());
    let worktrees = git_dir.parent()?;
    let main = worktrees.parent()?;
    (worktrees.file_name()? == "worktrees" && main.file_name()? == ".git").then(|| main.parent().map(Path::to_path_buf))?
}

/// One file of a client on this machine.
#[derive(Clone, Debug)]
pub struct Site<'c> {
    /// Whose.
    pub client: &'c Descriptor,
    /// Its description.
    pub file: &'c File,
    /// Where it is, or would be made.
    pub path: PathBuf,
    /// Something is there.
    pub exists: bool,
    /// A new entry of this scope goes here.
    pub is_target: bool,
    /// The project's directory as the client spells it, where the file needs it.
    pub project: Option<String>,
    /// Why the client may not even get as far as this file, as a sentence.
    pub warning: Option<String>,
}

/// The paths a file may have on a machine, best first; relative for project files. Pure text.
pub fn candidates(file: &File, platform: &Platform) -> Vec<String> {
    match moved(file, platform) {
        Some((moved, value)) => moved.path.on(platform.os).iter().map(|t| platform.expand(t, Some(value))).collect(),
        None => file.path.on(platform.os).iter().map(|t| platform.expand(t, None)).collect(),
    }
}

/// The variable that moves a file, and its value.
fn moved<'a>(file: &'a File, platform: &'a Platform) -> Option<(&'a Moved, &'a str)> {
    let mut moved = file.moved.iter().filter(|m| !m.path.on(platform.os).is_empty());
    moved.find_map(|m| Some((m, platform.var(&m.env)?)))
}

/// What the client says to a variable that names a folder that is not there.
fn missing_folder(client: &Descriptor, file: &File, platform: &Platform, project: &Project) -> Option<String> {
    let (moved, value) = moved(file, platform)?;
    let missing = moved.must_exist && !project.cwd.join(value).is_dir();
    missing.then(|| format!("{} names a folder that does not exist: {} stops there", moved.env, client.name))
}

/// Every file of a client: those that exist, and per scope the one a new entry would go to.
pub fn sites<'c>(client: &'c Descriptor, platform: &Platform, project: &Project) -> Vec<Site<'c>> {
    let mut sites: Vec<Site<'c>> = Vec::new();
    for file in &client.files {
        let candidates = candidates(file, platform);
        let warning = missing_folder(client, file, platform, project);
        let key = file.servers.iter().any(|s| s == "{project}").then(|| project.key());
        let site = |path: PathBuf, exists, is_target| Site {
            client,
            file,
            path,
            exists,
            is_target,
            project: key.clone(),
            warning: warning.clone(),
        };
        let mut found: Vec<Site<'c>> = Vec::new();
        if file.scope == Scope::Project {
            let home = project.home(file.find);
            let near = |folder: &Path| project.git_root.as_ref().map_or(folder == project.cwd, |root| folder.starts_with(root));
            for folder in project.folders(file.find) {
                let there = candidates.iter().map(|c| folder.join(c)).filter(|p| is_there(p));
                for path in there.take(if file.merged { usize::MAX } else { 1 }) {
                    let first = !found.iter().any(|s| s.is_target);
                    found.push(site(path, true, first && near(folder)));
                }
            }
            if let (false, Some(first)) = (found.iter().any(|s| s.is_target), candidates.first()) {
                found.insert(0, site(home.join(first), false, !file.only_existing));
            }
        } else {
            // A variable may hold a relative path; programs take it from the folder they run in.
            let candidates: Vec<String> = candidates.iter().map(|c| absolute(project, platform, c)).collect();
            let there = candidates.iter().flat_map(|c| matches(c)).filter(|p| is_there(p));
            for path in there.take(if file.merged { usize::MAX } else { 1 }) {
                found.push(site(path, true, found.is_empty()));
            }
            if let (true, Some(first)) = (found.is_empty(), candidates.iter().find(|c| !c.contains('*'))) {
                found.push(site(PathBuf::from(first), false, !file.only_existing));
            }
        }
        for mut site in found {
            // In the home directory a project file can be the user's own: it is that once.
            if sites.iter().any(|s| is_same(&s.path, &site.path) && s.file.servers == site.file.servers) {
                continue;
            }
            site.is_target &= site.file.scope != Scope::System;
            site.is_target &= !sites.iter().any(|s| s.is_target && s.file.scope == site.file.scope);
            sites.push(site);
        }
    }
    sites
}

/// The first file that takes over from all others, and what it does.
pub fn managed<'c>(client: &'c Descriptor, platform: &Platform) -> Option<(PathBuf, &'c str)> {
    client.managed.iter().find_map(|managed| {
        let paths = managed.path.on(platform.os).iter().map(|t| PathBuf::from(platform.expand(t, None)));
        paths.into_iter().find(|p| is_there(p)).map(|p| (p, managed.effect.as_str()))
    })
}

/// A sign that a client is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A program on `PATH`.
    Binary(PathBuf),
    /// A file or folder.
    Path(PathBuf),
}

/// The signs that a client is installed, strongest first. `find` looks a program up on `PATH`.
pub fn signs(client: &Descriptor, platform: &Platform, find: impl Fn(&str) -> Option<PathBuf>) -> Vec<Sign> {
    let mut signs: Vec<Sign> = client.detect.binaries.iter().filter_map(|b| find(b)).map(Sign::Binary).collect();
    let paths = client.detect.paths.on(platform.os).iter().flat_map(|t| matches(&platform.expand(t, None)));
    signs.extend(paths.filter(|p| is_there(p)).map(Sign::Path));
    for file in client.files.iter().filter(|f| f.scope == Scope::User) {
        for path in candidates(file, platform).iter().flat_map(|c| matches(c)).filter(|p| is_there(p)) {
            if !signs.contains(&Sign::Path(path.clone())) {
                signs.push(Sign::Path(path));
            }
        }
    }
    signs
}

/// A path of this system from the working directory, if it is relative.
fn absolute(project: &Project, platform: &Platform, path: &str) -> String {
    if platform.is_absolute(path) || platform.os != Os::current() {
        return path.to_owned();
    }
    project.cwd.join(path).display().to_string()
}

/// Whether two paths name the same place, also where one of them leads through a linked folder.
fn is_same(a: &Path, b: &Path) -> bool {
    let folder = |p: &Path| std::fs::canonicalize(p.parent()?).ok();
    a == b || a.file_name() == b.file_name() && folder(a).is_some_and(|f| Some(f) == folder(b))
}

/// Whether there is anything, a dangling link included: that is a finding, not an absence.
fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// The paths a path with `*` in a component stands for, sorted; a path without is itself.
fn matches(path: &str) -> Vec<PathBuf> {
    if !path.contains('*') {
        return vec![PathBuf::from(path)];
    }
    let mut found = vec![PathBuf::new()];
    for component in Path::new(path).components() {
        let text = component.as_os_str().to_string_lossy();
        let Some((head, tail)) = text.split_once('*') else {
            for path in &mut found {
                path.push(component);
            }
            continue;
        };
        let fits = |name: &str| name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail);
        let mut next: Vec<PathBuf> = Vec::new();
        for folder in &found {
            let names = std::fs::read_dir(folder).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
            next.extend(names.filter(|p| p.file_name().is_some_and(|n| fits(&n.to_string_lossy()))));
        }
        next.sort();
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where something is not as it says")]

    use super::*;

    #[test]
    fn a_linked_work_tree_belongs_to_the_main_one() {
        let dir = tempfile::tempdir().unwrap();
        let (main, linked) = (dir.path().join("main"), dir.path().join("linked"));
        std::fs::create_dir_all(main.join(".git/worktrees/linked")).unwrap();
        std::fs::create_dir_all(linked.join("deep")).unwrap();
        std::fs::write(linked.join(".git"), format!("gitdir: {}\n", main.join(".git/worktrees/linked").display())).unwrap();
        let project = Project::at(&linked.join("deep"));
        assert_eq!(project.git_root.as_deref(), Some(linked.as_path()));
        assert_eq!(project.repository.as_deref(), Some(main.as_path()));
    }

    fn platform(home: &Path, vars: &[(&str, &str)]) -> Platform {
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Platform { os: Os::current(), home: home.display().to_string(), vars }
    }

    fn sites_of(id: &str, platform: &Platform, cwd: &Path) -> Vec<(Scope, PathBuf, bool, Option<String>)> {
        let clients = crate::clients::Clients::built_in();
        let sites = sites(clients.get(id).unwrap(), platform, &Project::at(cwd));
        sites.into_iter().map(|s| (s.file.scope, s.path, s.is_target, s.warning)).collect()
    }

    #[test]
    fn windows_projects_are_keyed_with_slashes() {
        assert_eq!(key_of(r"\\?\C:\Users\me\app", Os::Windows), "C:/Users/me/app");
        assert_eq!(key_of(r"\\?\UNC\host\share\app", Os::Windows), "//host/share/app");
        assert_eq!(key_of(r"/home/me/a\b", Os::Linux), r"/home/me/a\b");
    }

    #[test]
    fn a_relative_variable_is_taken_from_the_working_directory() {
        let dir = tempfile::tempdir().unwrap();
        let platform = platform(dir.path(), &[("CLAUDE_CONFIG_DIR", "here")]);
        let found = sites_of("claude-code", &platform, dir.path());
        assert!(found.iter().any(|(s, p, ..)| *s == Scope::User && *p == dir.path().join("here/.claude.json")), "{found:?}");
    }

    #[test]
    fn a_variable_that_names_no_folder_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let value = dir.path().join("gone").display().to_string();
        let platform = platform(dir.path(), &[("CODEX_HOME", &value)]);
        let warning =
            |found: Vec<(Scope, PathBuf, bool, Option<String>)>| found.into_iter().find(|f| f.0 == Scope::User).unwrap().3;
        let told = warning(sites_of("codex", &platform, dir.path())).unwrap();
        assert!(told.starts_with("CODEX_HOME names a folder"), "{told}");
        std::fs::create_dir(&value).unwrap();
        assert_eq!(warning(sites_of("codex", &platform, dir.path())), None);
    }

    #[cfg(unix)]
    #[test]
    fn in_the_home_directory_the_users_file_is_no_projects() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir_all(home.join(".gemini")).unwrap();
        std::fs::write(home.join(".gemini/settings.json"), "{}").unwrap();
        std::os::unix::fs::symlink(&home, dir.path().join("link")).unwrap();
        for cwd in [home.clone(), dir.path().join("link")] {
            let found = sites_of("gemini-cli", &platform(&home, &[]), &cwd);
            let of = |scope| found.iter().filter(|f| f.0 == scope).count();
            assert_eq!((of(Scope::User), of(Scope::Project)), (1, 0), "{found:?}");
        }
    }

    #[test]
    fn a_project_file_above_the_repository_is_read_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("repo/deep");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(dir.path().join("repo/.git")).unwrap();
        std::fs::write(dir.path().join(".mcp.json"), "{}").unwrap();
        let found = sites_of("claude-code", &platform(dir.path(), &[]), &deep);
        let project: Vec<_> = found.into_iter().filter(|f| f.0 == Scope::Project).map(|f| (f.1, f.2)).collect();
        assert_eq!(project, [(deep.join(".mcp.json"), true), (dir.path().join(".mcp.json"), false)]);
    }

    #[test]
    fn a_star_matches_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["Claude_b", "Claude_a", "Other"] {
            std::fs::create_dir_all(dir.path().join(name).join("x")).unwrap();
        }
        let found = matches(&format!("{}/Claude_*/x", dir.path().display()));
        assert_eq!(found, [dir.path().join("Claude_a/x"), dir.path().join("Claude_b/x")]);
    }
}
