# `just` is the front door, `cargo xtask` the engine.

# What CI runs, in its order.
default: ci

ci:
    .ci/run

# Quick enough before each commit.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo xtask tidy
    cargo xtask gen --check

# Everything; `just test -- NAME` for some.
test *ARGS:
    cargo xtask test {{ARGS}}

# What CI does at night: every client there is, the whole matrix, properties for longer, each fuzz target.
nightly:
    MCP_MATRIX_ALL=1 cargo xtask test --all-clients
    MCP_EDIT_CASES=200000 MCP_EDIT_SEED=random cargo test --release -p mcp-edit -p mcp-clients
    cargo xtask fuzz 600

# Man pages, completions and reference, made anew.
gen:
    cargo xtask gen

# Needs cargo-deny.
deny:
    cargo deny check

# Needs shellcheck.
shell:
    shellcheck install.sh .ci/run

bench:
    cargo xtask bench-start
    cargo xtask bench-install
    cargo xtask bench-big
    cargo xtask bench-run-once
