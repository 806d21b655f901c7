//! `cutgpu compare`: Compares two runs.

use super::exit;

/// Arguments of `cutgpu compare`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Compares two runs.
pub(super) fn main(_: &Args) -> anyhow::Result<u8> {
    Ok(exit::OK)
}
