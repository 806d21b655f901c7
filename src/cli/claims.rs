//! `cutgpu claims`: the article's claims with their findings.

use super::exit;
use super::market::Market;
use super::table::table;
use crate::claims::{BASELINES, Judgement, Row, judge, matrix};
use crate::host::plain;
use crate::report::claims as words;
use crate::report::scene::Numbers;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Arguments of `cutgpu claims`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each claim is REPRODUCED, PARTIAL, BASELINE-DEPENDENT, NOT REPRODUCED or NOT TESTABLE HERE, by \
    the whole interval of what was measured over its own baseline and over an honest one.\n\n\
    Examples:\n  cutgpu claims runs/quick\n  cutgpu claims runs/peers runs/gpu --json\n  \
    cutgpu claims runs/gpu --matrix"
)]
pub(super) struct Args {
    /// Folders of runs, or their run.jsonl; without any only prices are judged.
    #[arg(value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Spread out the claim of 200 times: operation, size, precision and clock, over three baselines.
    #[arg(long)]
    matrix: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    market: Market,
}

/// Judges the claims.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let runs = super::runs::read(&args.runs, "cannot judge claims")?;
    let text = if args.matrix {
        let rows = matrix(&runs);
        if rows.is_empty() {
            anyhow::bail!("no run that was named has an operation beside a baseline: run `cutgpu run quick`");
        }
        if args.json {
            format!("{:#}\n", json!({ "baselines": BASELINES, "rows": rows }))
        } else {
            spread(&rows)
        }
    } else {
        let day = args.market.day();
        let judgements = judge(&runs, &args.market.catalog()?, day);
        if args.json {
            format!("{:#}\n", json!({ "as_of": day, "claims": judgements }))
        } else {
            page(&judgements)
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

/// The findings as a table, then what each rests on.
fn page(judgements: &[Judgement]) -> String {
    let mut rows = table(&["claim", "finding", "claimed", "over its own baseline", "over an honest one"]);
    for claim in judgements {
        rows.add_row([
            claim.id.to_string(),
            claim.finding.to_string(),
            words::promised(&claim.promise),
            words::measured(&claim.own),
            words::measured(&claim.honest),
        ]);
    }
    let mut text = format!("{rows}\n");
    for claim in judgements {
        let _ = writeln!(text, "\n{}  {}: {}", claim.id, claim.finding, claim.sentence);
        let _ = writeln!(text, "    source    {}", claim.source);
        for (name, side) in [("own", &claim.own), ("honest", &claim.honest)] {
            let _ = writeln!(text, "    {name:<9} {}: {}", side.baseline, plain(&words::shown(side)));
        }
        if let Some(reason) = &claim.reason {
            let _ = writeln!(text, "    note      {}", plain(reason));
        }
    }
    text
}

/// The matrix as a table.
fn spread(rows: &[Row]) -> String {
    let Numbers { columns, rows: cells } = words::spread(rows);
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut drawn = table(&columns);
    drawn.add_rows(cells.iter().map(|row| row.iter().map(|cell| plain(cell))));
    let cards = rows.iter().filter(|row| row.gpu).count();
    let without = match cards {
        0 => "\nno run that was named has a graphics card: these are factors of the processor over itself",
        _ => "",
    };
    format!("times as fast, 95 % intervals\n{drawn}{without}\n")
}
