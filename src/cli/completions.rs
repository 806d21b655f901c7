//! `cutgpu completions`: prints a completion script.

use super::{Cli, exit};
use clap::CommandFactory;
use std::io::Write;

/// Arguments of `cutgpu completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: cutgpu completions bash > ~/.local/share/bash-completion/completions/cutgpu"
)]
pub(super) struct Args {
    /// The shell to write for.
    shell: clap_complete::Shell,
}

/// Prints the script.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    // The generator panics when its writer fails, and a reader may close the pipe early.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cutgpu", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(exit::OK)
}
