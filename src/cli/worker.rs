//! `cutgpu worker`: Serves one contender.

use super::exit;

/// Arguments of `cutgpu worker`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Serves one contender.
pub(super) fn main(_: &Args) -> anyhow::Result<u8> {
    Ok(exit::OK)
}
