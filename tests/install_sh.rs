//! `install.sh`, run for real in throw-away folders with a stand-in for the program.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What one run did.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A checkout and a prefix of their own.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        let source = place.path("source");
        for folder in ["man", "completions"] {
            fs::create_dir_all(source.join(folder)).unwrap();
        }
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh"), source.join("install.sh")).unwrap();
        for (file, text) in [
            ("man/mcp.1", "one"),
            ("man/mcp-install.1", "two"),
            ("completions/mcp.bash", "three"),
            ("completions/_mcp", "four"),
            ("completions/mcp.fish", "five"),
        ] {
            fs::write(source.join(file), text).unwrap();
        }
        place.program("built", "#!/bin/sh\necho 'mcp 9.9.9'\n");
        place
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn program(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs the script with `--prefix PREFIX` and, in front of the system's, these folders on PATH.
    fn run(&self, args: &[&str], path: &[&str]) -> Run {
        self.run_in("sh", args, path, true)
    }

    fn run_in(&self, shell: &str, args: &[&str], path: &[&str], binary: bool) -> Run {
        let folders = path.iter().map(|p| self.path(p)).chain(["/usr/bin".into(), "/bin".into()]);
        let mut command = Command::new(shell);
        command.arg(self.path("source/install.sh")).arg("--prefix").arg(self.path("the prefix")).args(args);
        command.env_clear().env("PATH", std::env::join_paths(folders).unwrap()).env("HOME", self.path("home"));
        command.current_dir(self.root.path()).stdin(std::process::Stdio::null());
        if binary {
            command.env("MCP_INSTALL_BINARY", self.path("built"));
        }
        let output = command.output().unwrap();
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Every file, folder and link below the prefix, with its text and mode.
    fn tree(&self) -> BTreeMap<String, String> {
        fn walk(at: &Path, name: &str, tree: &mut BTreeMap<String, String>) {
            let meta = fs::symlink_metadata(at).unwrap();
            let what = if meta.is_symlink() {
                format!("-> {}", fs::read_link(at).unwrap().display())
            } else if meta.is_dir() {
                for entry in fs::read_dir(at).unwrap() {
                    let entry = entry.unwrap();
                    walk(&entry.path(), &format!("{name}/{}", entry.file_name().to_str().unwrap()), tree);
                }
                "folder".to_owned()
            } else {
                format!("{:o} {}", meta.permissions().mode() & 0o777, fs::read_to_string(at).unwrap())
            };
            tree.insert(name.to_owned(), what);
        }
        let mut tree = BTreeMap::new();
        if self.path("the prefix").exists() {
            walk(&self.path("the prefix"), "", &mut tree);
        }
        tree
    }
}

const INSTALLED: [&str; 6] = [
    "/bin/mcp",
    "/share/man/man1/mcp.1",
    "/share/man/man1/mcp-install.1",
    "/share/bash-completion/completions/mcp",
    "/share/zsh/site-functions/_mcp",
    "/share/fish/vendor_completions.d/mcp.fish",
];

#[test]
fn installs_each_file_says_so_and_does_nothing_the_second_time() {
    let place = Place::new();
    let first = place.run(&[], &["the prefix/bin"]);
    assert_eq!(first.code, Some(0), "{}", first.err);
    assert_eq!(first.err, "");
    let tree = place.tree();
    for file in INSTALLED {
        let mode = if file == "/bin/mcp" { "755 " } else { "644 " };
        assert!(tree[file].starts_with(mode), "{file}: {}", tree[file]);
        let line = format!("installed     {}{file}\n", place.path("the prefix").display());
        assert!(first.out.contains(&line), "{line} in {}", first.out);
    }
    let second = place.run(&[], &["the prefix/bin"]);
    assert_eq!(second.code, Some(0));
    assert_eq!(second.out.matches("unchanged     ").count(), INSTALLED.len(), "{}", second.out);
    assert!(!second.out.contains("installed     ") && !second.out.contains("updated"));
    assert_eq!(place.tree(), tree);
}

#[test]
fn uninstall_leaves_what_was_there_before_and_nothing_else() {
    let place = Place::new();
    // A neighbour in a folder of ours, and an empty folder that was there before.
    place.program("the prefix/bin/other", "#!/bin/sh\n");
    fs::create_dir_all(place.path("the prefix/share/man")).unwrap();
    let before = place.tree();
    for round in 0..2 {
        assert_eq!(place.run(&[], &[]).code, Some(0));
        // The second install must not forget which folders the first one made.
        assert_eq!(place.run(&[], &[]).code, Some(0));
        let run = place.run(&["--uninstall"], &[]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        assert_eq!(run.out.matches("removed       ").count() - run.out.matches("/\n").count(), INSTALLED.len(), "{}", run.out);
        assert_eq!(place.tree(), before, "round {round}");
    }
    let again = place.run(&["--uninstall"], &[]);
    assert_eq!((again.code, again.out.contains("nothing to remove")), (Some(0), true));
}

#[test]
fn a_new_version_replaces_its_files_and_removes_those_it_no_longer_has() {
    let place = Place::new();
    place.run(&[], &[]);
    place.program("built", "#!/bin/sh\necho 'mcp 10.0.0'\n");
    fs::remove_file(place.path("source/man/mcp-install.1")).unwrap();
    let run = place.run(&[], &[]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.contains("updated       ") && run.out.contains("not part of this version"), "{}", run.out);
    let tree = place.tree();
    assert!(tree["/bin/mcp"].contains("10.0.0"));
    assert!(!tree.contains_key("/share/man/man1/mcp-install.1"));
    assert_eq!(place.run(&["--uninstall"], &[]).code, Some(0));
    assert_eq!(place.tree().keys().collect::<Vec<_>>(), [""]);
}

#[test]
fn somebody_elses_program_is_not_replaced_without_force() {
    let pypi = "#!/opt/venv/bin/python\nimport sys\nfrom mcp.cli import app\nsys.exit(app())\n";
    for (text, name) in [(pypi, "PyPI's mcp"), ("\u{7f}\nbuild path github.com/f/mcptools v1\n", "mcptools")] {
        let place = Place::new();
        place.program("the prefix/bin/mcp", text);
        let before = place.tree();
        let run = place.run(&[], &[]);
        assert_eq!(run.code, Some(1));
        assert!(run.err.contains(&format!("is {name}. Nothing was installed.")), "{}", run.err);
        assert_eq!(place.tree(), before);
        assert_eq!(place.run(&["--force"], &[]).code, Some(0));
        assert!(place.tree()["/bin/mcp"].contains("9.9.9"));
    }
    // The way pipx and uv put it there.
    let place = Place::new();
    place.program("tool/mcp", pypi);
    fs::create_dir_all(place.path("the prefix/bin")).unwrap();
    symlink(place.path("tool/mcp"), place.path("the prefix/bin/mcp")).unwrap();
    assert_eq!(place.run(&[], &[]).code, Some(1));
    assert_eq!(place.run(&["--force"], &[]).code, Some(0));
    assert_eq!(fs::read_to_string(place.path("tool/mcp")).unwrap(), pypi, "the link was replaced, not its target");
}

#[test]
fn a_copy_of_ours_from_elsewhere_is_replaced() {
    let place = Place::new();
    // Without `#!`, so that it counts as a program to be asked for its version.
    place.program("the prefix/bin/mcp", "echo 'mcp 0.0.1'\n");
    let run = place.run(&[], &[]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.contains("updated       "));
}

#[test]
fn uninstall_keeps_what_was_changed_or_replaced_since() {
    let place = Place::new();
    place.run(&[], &[]);
    place.program("the prefix/bin/mcp", "#!/usr/bin/python3\nfrom mcp.cli import app\n");
    let run = place.run(&["--uninstall"], &[]);
    assert_eq!(run.code, Some(1));
    assert!(run.out.contains("kept          "), "{}", run.out);
    let tree = place.tree();
    assert!(tree["/bin/mcp"].contains("mcp.cli") && !tree.contains_key(INSTALLED[1]));
    assert_eq!(place.run(&["--uninstall", "--force"], &[]).code, Some(0));
    assert_eq!(place.tree().keys().collect::<Vec<_>>(), [""]);
}

#[test]
fn a_record_that_leads_outside_the_prefix_is_not_followed() {
    let place = Place::new();
    place.run(&[], &[]);
    place.program("precious", "x");
    let manifest = place.path("the prefix/share/mcp/installed-files");
    let mut text = fs::read_to_string(&manifest).unwrap();
    for line in ["1 1 ../precious", &format!("1 1 {}", place.path("precious").display()), "dir 0 ../"] {
        text = text + line + "\n";
    }
    fs::write(&manifest, text).unwrap();
    let run = place.run(&["--uninstall", "--force"], &[]);
    assert!(run.err.contains("leads elsewhere"), "{}", run.err);
    assert!(place.path("precious").exists());
}

#[test]
fn warns_when_the_program_cannot_be_called_by_its_name() {
    let place = Place::new();
    let run = place.run(&[], &[]);
    assert_eq!(run.code, Some(0));
    assert!(run.err.contains("the prefix/bin is not on PATH"), "{}", run.err);

    place.program("pypi/mcp", "#!/opt/venv/bin/python\nfrom mcp.cli import app\n");
    place.program("brew/mcp", "\u{7f}\nmod github.com/f/mcptools v0.7\n");
    place.program("copy/mcp", "echo 'mcp 0.0.1'\n");
    for (folder, name) in [("pypi", "PyPI's mcp"), ("brew", "mcptools"), ("copy", "another copy of this program (mcp 0.0.1)")] {
        let run = place.run(&[], &[folder, "the prefix/bin"]);
        assert_eq!(run.code, Some(0));
        assert!(run.err.contains(&format!("{folder}/mcp, which is {name}.")), "{}", run.err);
        assert!(run.err.contains("to call this one: "), "{}", run.err);
        let behind = place.run(&[], &["the prefix/bin", folder]);
        assert_eq!(behind.err, "", "later on PATH does no harm");
    }
}

#[test]
fn a_program_that_never_answers_does_not_hold_it_up() {
    let place = Place::new();
    place.program("slow/mcp", "exec sleep 600\n");
    let start = std::time::Instant::now();
    let run = place.run(&[], &["slow", "the prefix/bin"]);
    assert!(run.err.contains("slow/mcp, which is another program."), "{}", run.err);
    assert!(start.elapsed() < std::time::Duration::from_mins(1), "{:?}", start.elapsed());
}

#[test]
fn builds_with_cargo_and_takes_the_program_cargo_names() {
    let place = Place::new();
    let cargo = format!(
        "#!/bin/sh\npwd >cargo-was-here\necho \"$@\" >>cargo-was-here\necho '{{\"reason\":\"compiler-artifact\",\"executable\":null}}'\n\
         echo '{{\"reason\":\"compiler-artifact\",\"executable\":\"{}\",\"fresh\":true}}'\n",
        place.path("built").display()
    );
    place.program("cargo/cargo", &cargo);
    let run = place.run_in("sh", &[], &["cargo", "the prefix/bin"], false);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(place.tree()["/bin/mcp"].contains("9.9.9"));
    let said = fs::read_to_string(place.path("source/cargo-was-here")).unwrap();
    assert!(said.contains("build --release --locked"), "{said}");

    place.program("cargo/cargo", "#!/bin/sh\necho broken >&2\nexit 101\n");
    let before = place.tree();
    let run = place.run_in("sh", &[], &["cargo"], false);
    assert_eq!((run.code, run.err.contains("the build failed")), (Some(1), true), "{}", run.err);
    assert_eq!(place.tree(), before);
}

#[test]
fn a_checkout_without_man_pages_and_completions_says_so() {
    let place = Place::new();
    for folder in ["man", "completions"] {
        fs::remove_dir_all(place.path("source").join(folder)).unwrap();
    }
    let run = place.run(&[], &["the prefix/bin"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.contains("skipped       man pages") && run.out.contains("skipped       completions"), "{}", run.out);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let place = Place::new();
    for args in [&["--frobnicate"][..], &["--prefix"], &["extra"]] {
        let run = place.run(args, &[]);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(run.err.starts_with("error: "));
    }
    let help = place.run(&["--help"], &[]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    assert!(help.out.contains("--uninstall") && help.out.contains("MCP_INSTALL_BINARY"));
    assert!(place.tree().is_empty());
}

/// `sh` is a different program on each system; the script must not lean on one of them.
#[test]
fn runs_in_every_shell_at_hand() {
    for shell in ["dash", "bash", "ksh", "mksh", "yash"] {
        let found = ["/bin", "/usr/bin"].iter().map(|d| Path::new(d).join(shell)).find(|p| p.exists());
        let Some(found) = found else { continue };
        let place = Place::new();
        let run = place.run_in(found.to_str().unwrap(), &[], &["the prefix/bin"], true);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{shell}");
        let run = place.run_in(found.to_str().unwrap(), &["--uninstall"], &[], true);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{shell}");
        assert_eq!(place.tree().keys().collect::<Vec<_>>(), [""], "{shell}");
    }
}
