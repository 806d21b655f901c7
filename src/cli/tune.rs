//! `cutgpu tune`: tries the forms that a backend's kernels come in and keeps the best.

use super::table::table;
use super::{again, exit};
use crate::backends::{self, FAMILIES, Lane, Packing, Tried};
use crate::host::plain;
use crate::units::{Reading, si};
use anyhow::bail;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;

/// Arguments of `cutgpu tune`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What won is kept in the user's cache folder until the machine starts again, the program changes or \
                        the driver does; records say which form ran, and whether it was tuned.\n\n\
                        Example: cutgpu tune --backend wgpu/llvmpipe"
)]
pub(super) struct Args {
    /// Backend to tune; every one that has something to tune, where none is named.
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Tunes and shows what was tried.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let names = match &args.backend {
        Some(name) => vec![name.clone()],
        None => tunable(),
    };
    if names.is_empty() {
        bail!("no backend of this machine has anything to tune: `cutgpu doctor` says which are here");
    }
    // What a worker of it would find in its environment: here no worker stands between.
    let lane = Lane { threads: 1, packing: Packing::Plain };
    let families = names.iter().filter_map(|name| backends::family_of(name));
    let variables = families.flat_map(|family| family.environment(&lane));
    again::with(&variables.map(|(name, value)| (name.into(), value.into())).collect())?;
    let mut all = Vec::new();
    for name in names {
        let tried = backends::tune(&name)?;
        all.push((name, tried));
    }
    let text = if args.json {
        let each: Vec<_> =
            all.iter().map(|(name, tried)| json!({ "backend": name, "tried": tried })).collect();
        format!("{:#}\n", json!({ "backends": each }))
    } else {
        all.iter().map(|(name, tried)| page(name, tried)).collect()
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

fn tunable() -> Vec<String> {
    let found = FAMILIES.iter().filter(|family| family.is_tunable()).flat_map(|family| family.devices());
    found.map(|found| found.backend).collect()
}

fn page(name: &str, tried: &[Tried]) -> String {
    let mut table = table(&["form", "measured", ""]);
    for Tried { name, rate, is_kept } in tried {
        let rate = match rate {
            Reading::Value(rate) => format!("{}FLOP/s", si(*rate)),
            Reading::Absent(reason) => reason.clone(),
        };
        table.add_row([plain(name), plain(&rate), if *is_kept { "kept".to_string() } else { String::new() }]);
    }
    let mut text = String::new();
    let _ = writeln!(text, "{}\n{table}", plain(name));
    text
}
