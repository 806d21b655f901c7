//! This program once more, with variables that must stand in the environment before it starts.

use crate::host::child;
use anyhow::Context;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Starts this command again with `variables` in its environment, without those that are empty; goes on where that is
/// so already.
pub(super) fn with(variables: &BTreeMap<OsString, OsString>) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    let is_so = |(name, value): (&OsString, &OsString)| {
        std::env::var_os(name).map_or(value.is_empty(), |is| !value.is_empty() && is == *value)
    };
    if variables.iter().all(is_so) {
        return Ok(());
    }
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let arguments = std::env::args_os().skip(1);
    let mut command = std::process::Command::new(program);
    command.args(arguments);
    for (name, value) in variables {
        child::set(&mut command, name, value);
    }
    let error = command.exec();
    Err(anyhow::Error::new(error).context("cannot start this program again"))
}
