//! Any bytes as a TOML file: the editor refuses them, or edits them as it promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_edit::{Format, decode, testing::check_text};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = decode(bytes) {
        check_text(text, Format::Toml, &[]);
    }
});
