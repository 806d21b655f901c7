//! `cutgpu compare`: tells a difference between two runs, or two contenders of a run, from noise.

use super::exit;
use super::table::table;
use crate::compare::{self, Comparison, Difference, Policy};
use crate::host::plain;
use crate::record::Run;
use crate::report::compared;
use crate::report::scene::Numbers;
use crate::suite::Load;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `cutgpu compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Each cell is called SLOWER, FASTER, SAME or CANNOT TELL: is B's time beyond A's by \
    more than m, the largest of --margin and what twins of one contender differ by?\n\n\
    Exit codes: 0 no cell is slower; 4 a cell is SLOWER; 5 none is, but too many are CANNOT TELL.\n\n\
    Examples:\n  cutgpu compare runs/before runs/after\n  \
    cutgpu compare before-1,before-2 after-1,after-2 --json\n  \
    cutgpu compare before after --margin 5% --max-unknown 50\n  \
    cutgpu compare runs/quick --contenders cpu/openblas cpu/native\n  \
    cutgpu compare runs/peers --peers\n  \
    cutgpu compare runs/int8 --narrow\n  \
    cutgpu compare runs/attention --growth")]
pub(super) struct Args {
    /// The baseline: a folder that `cutgpu run` made, or its run.jsonl; several, joined by commas, are
    /// taken together.
    a: String,
    /// What is compared with it, likewise.
    #[arg(required_unless_present_any = ["contenders", "peers", "narrow", "growth"])]
    b: Option<String>,
    /// Compare two backends within A instead, lane by lane, round by round; one name twice compares twins.
    #[arg(long, value_names = ["BASE", "OTHER"], num_args = 2, conflicts_with_all = ["b", "raw"])]
    contenders: Vec<String>,
    /// Set cpu/native beside the best other contender within A instead, point by point, and say by how much it is
    /// AHEAD or BEHIND; the exit code is 0 whatever is said.
    #[arg(long, conflicts_with_all = ["b", "contenders", "raw"])]
    peers: bool,
    /// Set products and layers of fewer bits beside the same in f32 within A instead: how many times as fast and as
    /// small, by what bound, with what instructions and what error; the exit code is 0.
    #[arg(long, conflicts_with_all = ["b", "contenders", "peers", "raw"])]
    narrow: bool,
    /// Say how time and memory grow within A instead: the exponent of each contender of each case that sweeps one
    /// extent, with its interval; the exit code is 0.
    #[arg(long, conflicts_with_all = ["b", "contenders", "peers", "narrow", "raw"])]
    growth: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Percentage of cells that may be CANNOT TELL.
    #[arg(long, value_name = "PERCENT", default_value = "20", value_parser = percentage)]
    max_unknown: f64,
    /// Differences up to this percentage are never called.
    #[arg(long, value_name = "PERCENT", default_value = "2%", value_parser = percentage)]
    margin: f64,
    /// Which series to compare.
    #[arg(long, value_enum, default_value = "burst")]
    series: Loads,
    /// Compare times as they are: do not correct for what the probes say about the machine's own speed.
    #[arg(long)]
    raw: bool,
}

/// Series by load.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Loads {
    /// Short slices, interleaved with others.
    Burst,
    /// Windows alone.
    Sustained,
    /// Both.
    All,
}

/// A share from `20` or `20%`.
fn percentage(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("a percentage between 0 and 100 is wanted, such as 2% or 20".to_string()),
    }
}

/// Compares two runs, or two contenders of one.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let a = read(&args.a)?;
    let table = match () {
        () if args.peers => Some(super::within::peers(&a, args.json)?),
        () if args.narrow => Some(super::within::narrow(&a, args.json)?),
        () if args.growth => Some(super::within::growth(&a, args.json)?),
        () => None,
    };
    if let Some(table) = table {
        std::io::stdout().write_all(table.as_bytes())?;
        return Ok(exit::OK);
    }
    let policy = Policy {
        margin: args.margin,
        max_unknown: args.max_unknown,
        probes: !args.raw,
        load: match args.series {
            Loads::Burst => Some(Load::Burst),
            Loads::Sustained => Some(Load::Sustained),
            Loads::All => None,
        },
    };
    let (comparison, differences) = match (&args.b, args.contenders.as_slice()) {
        (Some(b), _) => {
            let b = read(b)?;
            (compare::compare_runs(&a, &b, &policy)?, compare::differences(&a, &b))
        }
        (None, [base, other]) => (compare::compare_contenders(&a, [base, other], &policy)?, Vec::new()),
        (None, _) => anyhow::bail!("name a second run, or two backends by --contenders BASE OTHER"),
    };
    let text = if args.json { as_json(&comparison, &differences)? } else { page(&comparison, &differences) };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(match () {
        () if comparison.has_regression() => exit::REGRESSION,
        () if comparison.is_inconclusive() => exit::UNKNOWN,
        () => exit::OK,
    })
}

/// One run, or several joined by commas.
fn read(names: &str) -> anyhow::Result<Run> {
    let whole = Path::new(names);
    let paths = if whole.exists() { vec![whole.to_path_buf()] } else { split(names) };
    Ok(Run::merge(super::runs::read(&paths, "cannot compare")?))
}

fn split(names: &str) -> Vec<PathBuf> {
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(PathBuf::from).collect()
}

fn as_json(comparison: &Comparison, differences: &[Difference]) -> anyhow::Result<String> {
    let mut whole = serde_json::to_value(comparison)?;
    whole["differences"] = json!(differences);
    whole["policy"] = json!(compare::POLICY);
    Ok(format!("{whole:#}\n"))
}

fn page(comparison: &Comparison, differences: &[Difference]) -> String {
    let [a, b] = &comparison.runs;
    let mut text = format!("A  {}\nB  {}\n", plain(a), plain(b));
    for Difference { what, first, second } in differences {
        let _ = writeln!(
            text,
            "differs  {}: {} -> {}",
            plain(what),
            compared::short(first),
            compared::short(second)
        );
    }
    for shift in &comparison.machine {
        let _ = writeln!(text, "machine  {}", compared::machine(shift));
    }
    for (name, doubts) in ["A", "B"].iter().zip(&comparison.doubts) {
        let counts: Vec<String> =
            doubts.iter().map(|(code, count)| format!("{} {count}", code.name())).collect();
        if !counts.is_empty() {
            let _ = writeln!(text, "doubts   series of {name}: {}", counts.join(", "));
        }
    }
    for lost in &comparison.lost {
        let id = &lost.id;
        let _ = writeln!(
            text,
            "lost     {} {}: {}",
            plain(&id.group),
            plain(&id.contender.to_string()),
            plain(&lost.why)
        );
    }
    let _ = writeln!(text, "{}\n{}", compared::margin(comparison), cells(comparison));
    text + &compared::summary(comparison) + "\n"
}

fn cells(comparison: &Comparison) -> comfy_table::Table {
    let Numbers { columns, rows } = compared::cells(comparison);
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut drawn = table(&columns);
    drawn.add_rows(rows);
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_take_a_sign_or_none_and_nothing_silly() {
        for (text, share) in [("2%", 0.02), ("20", 0.2), (" 0.5 % ", 0.005), ("100", 1.0), ("0", 0.0)] {
            assert_eq!(percentage(text), Ok(share), "{text}");
        }
        for text in ["", "nan", "-1", "101", "inf", "two", "%"] {
            assert!(percentage(text).is_err(), "{text}");
        }
    }
}
