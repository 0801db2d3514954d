//! Where the workspace is, and how its cargo is run.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in a folder of the workspace").to_owned()
}

/// The folder for whatever is built or kept.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Cargo, as this program was started by it, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command whose output the developer may see.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("`{}` ended with {status}", command.get_program().display());
    }
    Ok(())
}

/// Builds `mcp` as it is released, and says where it is. `MCP_UNDER_TEST` names another one, such as an installed one.
pub(crate) fn release_build() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("MCP_UNDER_TEST") {
        return Ok(program.into());
    }
    must(cargo().args(["build", "--quiet", "--release", "--package", "mcp", "--bin", "mcp"]))?;
    Ok(target().join("release").join(program("mcp")))
}

/// The file name of a program.
pub(crate) fn program(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
