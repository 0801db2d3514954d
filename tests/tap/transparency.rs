//! Whether the wrapper can be told from no wrapper.

use mcp_testkit::transparency::{Wrapper, cases};

use crate::session::MCP;

fn failures(wrapper: &Wrapper) -> Vec<String> {
    let tried = cases().into_iter().filter_map(|case| case.run(wrapper).err().map(|why| format!("{}: {why}", case.name)));
    tried.collect()
}

#[test]
fn the_cases_hold_without_a_wrapper() {
    assert_eq!(failures(&Wrapper::default()), Vec::<String>::new());
}

#[test]
fn a_wrapped_server_cannot_be_told_from_a_bare_one() {
    let home = tempfile::tempdir().unwrap();
    let words = [MCP, "tap", "--name", "case", "--"].map(Into::into).to_vec();
    let wrapper = Wrapper { words, env: vec![("MCP_HOME".into(), home.path().into())] };
    assert_eq!(failures(&wrapper), Vec::<String>::new());
}

#[test]
fn where_nothing_can_be_recorded_nothing_else_changes() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let words = [MCP, "tap", "--"].map(Into::into).to_vec();
    let wrapper = Wrapper { words, env: vec![("MCP_HOME".into(), file.into())] };
    // It says on standard error that it records nothing.
    let failed = failures(&wrapper);
    assert!(failed.iter().all(|why| why.starts_with("stderr:")) && failed.len() == 1, "{failed:?}");
}
