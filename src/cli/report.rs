//! `cutgpu report`: Draws the page.

use super::exit;

/// Arguments of `cutgpu report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Draws the page.
pub(super) fn main(_: &Args) -> anyhow::Result<u8> {
    Ok(exit::OK)
}
