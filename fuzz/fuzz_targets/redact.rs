//! Any text and any values: none of them is left, JSON stays JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, String, &[u8])| mcp_capture::testing::check_redact(&[input.0, input.1], input.2));
