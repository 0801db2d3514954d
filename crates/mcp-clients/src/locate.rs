//! Where a client's files are on this machine, for this project.

use std::path::{Path, PathBuf};

use crate::descriptor::{Descriptor, File, Find, Scope};
use crate::platform::Platform;

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
        let text = real.display().to_string();
        // Windows' canonical paths start with `\\?\`, which no client writes.
        text.strip_prefix("\\\\?\\").map_or(text.clone(), str::to_owned)
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
}

/// The paths a file may have on a machine, best first; relative for project files. Pure text.
pub fn candidates(file: &File, platform: &Platform) -> Vec<String> {
    for moved in &file.moved {
        let templates = moved.path.on(platform.os);
        if let (Some(value), false) = (platform.var(&moved.env), templates.is_empty()) {
            return templates.iter().map(|t| platform.expand(t, Some(value))).collect();
        }
    }
    file.path.on(platform.os).iter().map(|t| platform.expand(t, None)).collect()
}

/// Every file of a client: those that exist, and per scope the one a new entry would go to.
pub fn sites<'c>(client: &'c Descriptor, platform: &Platform, project: &Project) -> Vec<Site<'c>> {
    let mut sites: Vec<Site<'c>> = Vec::new();
    for file in &client.files {
        let candidates = candidates(file, platform);
        let key = file.servers.iter().any(|s| s == "{project}").then(|| project.key());
        let site = |path: PathBuf, exists, is_target| Site { client, file, path, exists, is_target, project: key.clone() };
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
            if sites.iter().any(|s| s.path == site.path && s.file.servers == site.file.servers) {
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
