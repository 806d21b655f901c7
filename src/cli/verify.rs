//! `cutgpu verify`: Checks answers.

use super::exit;

/// Arguments of `cutgpu verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Checks answers.
pub(super) fn main(_: &Args) -> anyhow::Result<u8> {
    Ok(exit::OK)
}
