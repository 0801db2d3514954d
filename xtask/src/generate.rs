//! `cargo xtask gen`: the generated files that are committed, made by the hidden `mcp util gen`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};

use crate::root::{cargo, must, root};

/// The folders that hold generated files and nothing else.
const GENERATED: [&str; 3] = ["man", "completions", "docs/reference"];

pub(crate) fn run(check: bool) -> Result<ExitCode> {
    let fresh = tempfile::tempdir().context("make a folder to generate into")?;
    must(cargo().args(["run", "--quiet", "--package", "mcp", "--", "util", "gen"]).arg(fresh.path()))?;
    let mut stale = Vec::new();
    let mut count = 0;
    for folder in GENERATED {
        let wanted = files(&fresh.path().join(folder))?;
        count += wanted.len();
        let found = files(&root().join(folder))?;
        for (name, bytes) in &wanted {
            if found.get(name) != Some(bytes) {
                stale.push((Path::new(folder).join(name), Some(bytes.clone())));
            }
        }
        for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
            stale.push((Path::new(folder).join(name), None));
        }
    }
    // Nothing generated would make everything look fresh.
    anyhow::ensure!(count > 0, "`mcp util gen` made no files");
    for (file, bytes) in &stale {
        println!("{} {}", if check { "stale" } else { "wrote" }, file.display());
        if check {
            continue;
        }
        let path = root().join(file);
        match bytes {
            Some(bytes) => {
                fs::create_dir_all(path.parent().expect("a file lies in a folder"))?;
                fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
            }
            None => fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?,
        }
    }
    if check && !stale.is_empty() {
        println!("{} of {count} generated files are stale; `cargo xtask gen` makes them anew", stale.len());
        return Ok(ExitCode::FAILURE);
    }
    println!("{count} generated files are fresh");
    Ok(ExitCode::SUCCESS)
}

/// Every file below a folder by its path from there. A folder that is not there holds none.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        if !dir.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it was found below").to_owned();
                found.insert(name, fs::read(&path).with_context(|| format!("read {}", path.display()))?);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn files_are_found_in_folders_of_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/c"), "1").unwrap();
        fs::write(dir.path().join("d"), "2").unwrap();
        let found: Vec<PathBuf> = files(dir.path()).unwrap().into_keys().collect();
        assert_eq!(found, [Path::new("a").join("b").join("c"), PathBuf::from("d")]);
        assert!(files(&dir.path().join("nothing")).unwrap().is_empty());
    }
}
