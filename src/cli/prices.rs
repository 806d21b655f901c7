//! `cutgpu prices`: Shows, checks and adds prices.

use super::exit;

/// Arguments of `cutgpu prices`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Shows, checks and adds prices.
pub(super) fn main(_: &Args) -> anyhow::Result<u8> {
    Ok(exit::OK)
}
