//! What an earlier version wrote into its journal can still be taken back.

use std::path::PathBuf;

use libtest_mimic::{Failed, Trial};
use mcp_edit::Format;

use crate::place::{CLAUDE, Client, JSON, Place, TOML, YAML};

/// Stands for the home in the record.
const HOME: &str = "/HOME";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("upgrade::a_journal_of_the_first_version", || golden("")),
        Trial::test("upgrade::a_journal_of_the_first_version_after_edits_by_others", || golden("edited ")),
    ]
}

/// A change of four files, one of them new: as it was journalled by the version that came first.
fn golden(others: &str) -> Result<(), Failed> {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/faults/journal-1");
    let place = Place::new();
    let clients = [JSON, TOML, YAML];
    for client in clients.into_iter().chain([CLAUDE]) {
        let path = place.path(client);
        std::fs::create_dir_all(path.parent().unwrap())?;
        let after = std::fs::read_to_string(fixtures.join(client.id))?;
        std::fs::write(path, edited(client, &after, others))?;
    }
    let home = place.home().to_str().ok_or("a home that is text")?;
    let home = serde_json::to_string(home)?.trim_matches('"').to_owned();
    let record = std::fs::read_to_string(fixtures.join("000001.jsonl"))?.replace(HOME, &home);
    std::fs::create_dir_all(place.state().join("journal"))?;
    std::fs::write(place.state().join("journal/000001.jsonl"), record)?;
    place.done("undo --yes")?;
    for client in clients {
        let now = place.read(client).map(String::from_utf8).transpose()?;
        assert_eq!(now, Some(edited(client, client.text, others)), "{}", client.file);
    }
    let created = place.read(CLAUDE).map(String::from_utf8).transpose()?;
    assert_eq!(created.is_some(), !others.is_empty(), "{created:?}");
    assert!(!created.unwrap_or_default().contains("ours"));
    Ok(())
}

/// With a line of someone else's somewhere else.
fn edited(client: Client, text: &str, others: &str) -> String {
    match (others, client.format) {
        ("", _) => text.to_owned(),
        (_, Format::Json) => text.replacen('{', &format!("{{\n\t\"{others}\": 1,"), 1),
        _ => format!("# {others}\n{text}"),
    }
}
