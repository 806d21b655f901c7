//! `cutgpu doctor`: Checks this machine.

use super::exit;

/// Arguments of `cutgpu doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Checks this machine.
pub(super) fn main(_: &Args) -> anyhow::Result<u8> {
    Ok(exit::OK)
}
