//! Every seed of the fuzzer, on the compiler everyone has.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod common;

use mcp_edit::testing::{Reader, check_text};
use mcp_edit::{Format, decode};

fn check(folder: &str, format: Format, readers: &[Reader], least: usize) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(folder);
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        if let Ok(text) = decode(&bytes) {
            check_text(text, format, readers);
            seen += 1;
        }
    }
    assert!(seen >= least, "only {seen} seeds were found");
}

#[test]
fn json_seeds_keep_every_promise() {
    check("json", Format::Json, common::READERS, 20);
}

#[test]
fn toml_seeds_keep_every_promise() {
    check("toml", Format::Toml, &[], 8);
}

#[test]
fn yaml_seeds_keep_every_promise() {
    check("yaml", Format::Yaml, &[], 20);
}
