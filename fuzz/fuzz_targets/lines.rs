//! Any bytes as a stream: the lines are the same however it is torn.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u16, &[u8])| mcp_wire::testing::check_lines(input.2, usize::from(input.0), usize::from(input.1)));
