//! `cutgpu run`: Measures.

use super::exit;

/// Arguments of `cutgpu run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Measures.
pub(super) fn main(_: &Args) -> anyhow::Result<u8> {
    Ok(exit::OK)
}
