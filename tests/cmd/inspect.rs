//! `mcp inspect` where there is no terminal, and what it says then.

use crate::support::{Sandbox, mcp};

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let sandbox = Sandbox::new();
    let outcome = mcp(&sandbox, &["inspect"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.text());
    assert!(outcome.stderr.contains("mcp trace"), "{}", outcome.stderr);
}
