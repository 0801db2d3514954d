//! Homes and files of unusual kinds.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};

use libtest_mimic::{Failed, Trial};

use crate::errors::{NOBODY, rights_bind_us};
use crate::place::{CLAUDE, JSON, Place, TOML, YAML, install};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("surroundings::a_home_of_any_name", any_home),
        Trial::test("surroundings::a_file_of_several_names", several_names),
        Trial::test("surroundings::a_file_of_another_owner", another_owner),
        Trial::test("surroundings::a_link_to_a_file_elsewhere", linked),
    ]
}

fn any_home() -> Result<(), Failed> {
    for name in ["with space", "ü 家 '\"", "two\nlines", "-n", "a,b", "{file}", "100%$HOME"] {
        let place = Place::named(name);
        let clients = [JSON, TOML, YAML, CLAUDE];
        for client in clients {
            place.plant(client);
        }
        let before = place.files(&clients);
        place.done(&install("ours", &clients)).map_err(|e| format!("{name:?}: {}", e.message().unwrap_or_default()))?;
        for client in clients {
            assert_eq!(place.servers(client)?.len(), 2, "{name:?}: {}", client.file);
        }
        place.done("undo --yes")?;
        assert_eq!(place.files(&clients), before, "{name:?}");
        assert_eq!(std::fs::read_dir(place.root())?.count(), 2, "{name:?}: something was written beside the home");
    }
    Ok(())
}

fn several_names() -> Result<(), Failed> {
    let place = Place::with(&[TOML]);
    let other = place.home().join("dotfiles.toml");
    std::fs::hard_link(place.path(TOML), &other)?;
    let before = std::fs::metadata(&other)?.ino();
    place.done(&install("ours", &[TOML]))?;
    let now = std::fs::metadata(place.path(TOML))?;
    assert_eq!((now.ino(), now.nlink()), (before, 2));
    assert_eq!(std::fs::read(&other).ok(), place.read(TOML));
    assert_eq!(place.servers(TOML)?.len(), 2);
    place.done("undo --yes")?;
    assert_eq!(std::fs::read_to_string(&other)?, TOML.text);
    assert_eq!(std::fs::metadata(place.path(TOML))?.nlink(), 2);
    assert_eq!(place.left_behind(), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn another_owner() -> Result<(), Failed> {
    if rights_bind_us() {
        eprintln!("skipped: only root can give a file away");
        return Ok(());
    }
    let place = Place::with(&[JSON]);
    chown(place.path(JSON), Some(NOBODY), Some(NOBODY))?;
    std::fs::set_permissions(place.path(JSON), PermissionsExt::from_mode(0o640))?;
    for command in [install("ours", &[JSON]), "undo --yes".to_owned()] {
        place.done(&command)?;
        let now = std::fs::metadata(place.path(JSON))?;
        assert_eq!((now.uid(), now.gid(), now.mode() & 0o7777), (NOBODY, NOBODY, 0o640), "{command}");
    }
    assert_eq!(place.read(JSON).as_deref(), Some(JSON.text.as_bytes()));
    Ok(())
}

fn linked() -> Result<(), Failed> {
    let place = Place::with(&[JSON]);
    let real = place.home().join("dotfiles/deep/mcp.json");
    std::fs::create_dir_all(real.parent().unwrap())?;
    std::fs::rename(place.path(JSON), &real)?;
    std::os::unix::fs::symlink("../dotfiles/deep/mcp.json", place.path(JSON))?;
    place.done(&install("ours", &[JSON]))?;
    assert!(std::fs::symlink_metadata(place.path(JSON))?.is_symlink());
    assert_eq!(place.servers(JSON)?.len(), 2);
    place.done("undo --yes")?;
    assert!(std::fs::symlink_metadata(place.path(JSON))?.is_symlink());
    assert_eq!(std::fs::read_to_string(&real)?, JSON.text);
    Ok(())
}
