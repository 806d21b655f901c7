//! `cutgpu list`: Shows what would run.

use super::exit;

/// Arguments of `cutgpu list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Shows what would run.
pub(super) fn main(_: &Args) -> anyhow::Result<u8> {
    Ok(exit::OK)
}
