//! Any text as a filter: it is refused within its bounds, or means the same when it is printed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| mcp_capture::testing::check_filter(text));
