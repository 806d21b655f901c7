//! `cutgpu worker`: serves one contender, or becomes the program that does.

use super::exit;
use crate::backends;
use crate::host::{plain, process};
use crate::measure::{overhead, serve};
use anyhow::Context;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Arguments of `cutgpu worker`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: echo '{\"ask\":\"free\"}' | cutgpu worker")]
pub(super) struct Args {
    /// Process that started this one: the worker ends when it does.
    #[arg(long, value_name = "PID")]
    parent: Option<u32>,
    /// Print what one exchange with a worker and one step of the timed loop cost, and end.
    #[arg(long)]
    overhead: bool,
    /// Compile the GPU kernels for every card they are written for into this folder, and end.
    #[arg(long, value_name = "FOLDER")]
    cubins: Option<PathBuf>,
    /// Print the adapters that wgpu sees, as JSON, and end.
    #[arg(long)]
    adapters: bool,
    /// Become this program, which speaks the same protocol.
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<String>,
}

/// Ties this process to its parent, then serves or executes.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    if args.overhead {
        return overhead();
    }
    if let Some(folder) = &args.cubins {
        let count = backends::pack_cubins(folder)?;
        println!("{count} cubins");
        return Ok(exit::OK);
    }
    if args.adapters {
        process::forbid_core_files();
        println!("{}", backends::adapters_json());
        return Ok(exit::OK);
    }
    process::die_with(args.parent)?;
    // Without the right to do so the kernel chooses the largest process, which a worker usually is.
    let _ = process::volunteer_for_oom_kill();
    process::forbid_core_files();
    let Some((program, arguments)) = args.exec.split_first() else {
        serve::serve()?;
        return Ok(exit::OK);
    };
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run `{program}` as a worker: is it installed?"))
}

fn overhead() -> anyhow::Result<u8> {
    const EXCHANGES: usize = 1000;
    const EXECUTIONS: u64 = 1_000_000;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let exchange = overhead::exchange_ns(&program, &std::env::temp_dir(), EXCHANGES)?;
    println!("exchange_us {:.1}", exchange / 1e3);
    println!("enqueue_ns {:.1}", overhead::enqueue_ns(EXECUTIONS)?);
    // Through wgpu to an adapter that does nothing: what is left is the host's part of a launch.
    match backends::device_of_nothing() {
        Ok(mut device) => {
            let ns = overhead::handing_over_ns(&mut *device, EXCHANGES * 20)?;
            println!("handing_over_us {:.2}", ns / 1e3);
        }
        Err(why) => println!("handing_over_us - {}", plain(&why.0)),
    }
    Ok(exit::OK)
}
