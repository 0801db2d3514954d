//! Any bytes as a capture and its index: read as far as they go, shown without anything a terminal obeys.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static SCRATCH: OnceLock<tempfile::TempDir> = OnceLock::new();
    let scratch = SCRATCH.get_or_init(|| tempfile::tempdir().expect("there is a directory for scratch files"));
    mcp_capture::testing::check_file(scratch.path(), bytes, &[]);
    mcp_capture::testing::check_file(scratch.path(), include_bytes!("../../crates/mcp-capture/fixtures/version-1.mcpcap"), bytes);
});
