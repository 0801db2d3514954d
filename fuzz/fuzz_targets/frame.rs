//! Any bytes as a message: what is read of the envelope is what a full parse says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| mcp_wire::testing::check_frame(bytes));
