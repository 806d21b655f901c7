//! This program once more, with variables that must stand in the environment before it starts.

use anyhow::Context;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Starts this command again with `variables` in its environment; goes on where they already are.
pub(super) fn with(variables: &BTreeMap<OsString, OsString>) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    if variables.iter().all(|(name, value)| std::env::var_os(name).as_ref() == Some(value)) {
        return Ok(());
    }
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let arguments = std::env::args_os().skip(1);
    let error = std::process::Command::new(program).args(arguments).envs(variables).exec();
    Err(anyhow::Error::new(error).context("cannot start this program again"))
}
