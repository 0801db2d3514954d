//! `mcp undo` in every order people do things in.

use crate::home::Home;

const CODEX: &str = ".codex/config.toml";
const CLAUDE: &str = ".claude.json";

fn home() -> Home {
    Home::new().file(CODEX, "# mine\nmodel = \"m\"\n").file(CLAUDE, "{\r\n\t\"a\": 12345678901234567890\r\n}")
}

#[test]
fn one_change_in_several_files_is_one_undo() {
    let home = home();
    let before = home.contents();
    home.run("install calculator --client codex,claude-code,cursor,goose").ok().says(&["`mcp undo 1`"]);
    home.run("undo").ok();
    assert_eq!(home.contents(), before);
}

#[test]
fn any_change_can_be_taken_back_by_its_number() {
    let home = home();
    home.run("install npm:one --name one --client codex").ok();
    home.run("install npm:two --name two --client codex").ok();
    home.run("install npm:three --name three --client codex").ok();
    home.run("undo 2").ok();
    let text = home.read(CODEX);
    assert!(text.contains("one") && !text.contains("two") && text.contains("three"), "{text}");
    home.run("undo 1").ok();
    home.run("undo 3").ok();
    // Out of order an empty table may be left: the change that made it was not the last to go.
    let text = home.read(CODEX);
    assert!(text.starts_with("# mine\nmodel = \"m\"\n") && !text.contains("npx"), "{text}");
    home.run("undo").ends(1);
}

#[test]
fn undoing_twice_walks_back() {
    let home = home();
    home.run("install npm:one --name one --client codex").ok();
    home.run("install npm:two --name two --client codex").ok();
    home.run("undo").ok();
    assert!(home.read(CODEX).contains("one") && !home.read(CODEX).contains("two"));
    home.run("undo").ok();
    assert_eq!(home.read(CODEX), "# mine\nmodel = \"m\"\n");
}

#[test]
fn later_edits_of_others_elsewhere_are_kept() {
    let home = home();
    home.run("install calculator --client codex,claude-code").ok();
    home.write(CODEX, home.read(CODEX).replace("# mine", "# mine\n# theirs") + "\n[tui]\ntheme = \"x\"\n");
    home.write(CLAUDE, home.read(CLAUDE).replace("\t\"a\"", "\t\"theirs\": true,\r\n\t\"a\""));
    home.run("undo").ok();
    let text = home.read(CODEX);
    assert!(text.contains("# theirs") && text.contains("[tui]") && !text.contains("calculator"), "{text}");
    assert_eq!(home.read(CLAUDE), "{\r\n\t\"theirs\": true,\r\n\t\"a\": 12345678901234567890\r\n}");
}

#[test]
fn a_later_edit_at_the_place_is_shown_and_nothing_is_done_there() {
    let home = home();
    home.run("install calculator --client codex,claude-code").ok();
    let theirs = home.read(CODEX).replace("\"serve\"", "\"--theirs\", \"serve\"");
    home.write(CODEX, &theirs);
    let run = home.run("undo").ends(3).says(&["the same place was changed since", "--theirs", "we had written", "there is now"]);
    assert_eq!(home.read(CODEX), theirs, "{}", run.shown());
    assert_eq!(home.read(CLAUDE), "{\r\n\t\"a\": 12345678901234567890\r\n}", "the other file is taken back all the same");
    // The change still stands where it could not be taken back.
    home.run("undo 1 --json").ends(3);
}

#[test]
fn an_undo_can_be_undone() {
    let home = home();
    home.run("install calculator --client codex").ok();
    let with = home.read(CODEX);
    home.run("undo").ok().says(&["`mcp undo 2`"]);
    home.run("undo 1").ends(1).says(&["taken back already", "`mcp undo 2`"]);
    home.run("undo 2").ok();
    assert_eq!(home.read(CODEX), with);
    // The first change stands again.
    home.run("undo 1").ok();
    assert_eq!(home.read(CODEX), "# mine\nmodel = \"m\"\n");
}

#[test]
fn a_file_that_was_deleted_meanwhile() {
    let home = home();
    home.run("install calculator --client codex").ok();
    std::fs::remove_file(home.path(CODEX)).unwrap();
    let run = home.run("undo").ends(3);
    assert!(!home.path(CODEX).exists(), "{}", run.shown());
    // One that we made ourselves is gone already: that is what undoing it means.
    let home = Home::new();
    home.run("install calculator --client codex").ok();
    std::fs::remove_file(home.path(CODEX)).unwrap();
    home.run("undo").ok();
}

#[test]
fn a_file_that_no_longer_parses_is_taken_back_where_the_place_is_untouched() {
    let home = home();
    home.run("install calculator --client codex").ok();
    let broken = format!("{}\n= broken\n", home.read(CODEX));
    home.write(CODEX, &broken);
    let run = home.run("undo");
    assert!(
        run.code == Some(0) && !home.read(CODEX).contains("calculator") || run.code == Some(3) && home.read(CODEX) == broken,
        "{}",
        run.shown()
    );
}

#[test]
fn settings_can_be_taken_back_too() {
    let home = home();
    home.run("config set default-clients codex").ok();
    home.run("undo").ok();
    home.run("config get default-clients").ends(1);
}

#[test]
fn a_file_we_made_and_its_folders_go_again() {
    let home = Home::new();
    let before = home.contents();
    home.run("install calculator --client zed,goose,kilo,cursor,cline-cli").ok();
    home.run("undo").ok();
    assert_eq!(home.contents(), before);
}

#[test]
fn a_folder_that_found_another_use_stays() {
    let home = Home::new();
    home.run("install calculator --client cursor").ok();
    home.write(".cursor/other.json", "{}");
    home.run("undo").ok();
    assert!(home.path(".cursor/other.json").exists() && !home.path(".cursor/mcp.json").exists());
}
