//! `cutgpu advise`: what can do a job, what that costs, and what would change the answer.

mod page;
mod value;

use super::exit;
use super::market::Market;
use crate::advise::{self, Assumptions, Demand, Job};
use crate::catalog::Currency;
use crate::cost::MachinePrice;
use crate::host::plain;
use crate::plan::PlanError;
use crate::record::Run;
use crate::suite::grammar;
use crate::workloads::{Param, Params};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The run that is read where none is named: the one that `make bench` writes.
const USUAL_RUN: &str = "runs/quick";

/// Arguments of `cutgpu advise`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A time is measured where a run has the job, else estimated from the roofs that the run's probes \
    measured, else from a datasheet; each row says which. Where intervals overlap nobody can tell which is cheaper.\n\n\
    Examples:\n  cutgpu advise bert-base --volume 10M/day --months 24 --machine-price 0.09/h\n  \
    cutgpu advise bert-base --mode train --volume '100k examples a week' --run runs/quick\n  \
    cutgpu advise gpt2-xl mode=decode,length=1024 --volume '5M tokens/day' --latency 200ms --device h100-sxm5-80gb,l4\n  \
    cutgpu advise train/bert-large-step --volume 1M/month --json"
)]
pub(super) struct Args {
    /// A model (bert-base, gpt2-xl, vgg16), a workload, or a case of a suite (train/bert-base-step).
    #[arg(value_name = "JOB")]
    job: String,
    /// Its point, over what the name means: length=512,dtype=bf16.
    #[arg(default_value = "")]
    point: String,
    /// How much: 10M/day, '100,000 examples a week', '5B tokens/month'. A bare number counts examples.
    #[arg(long, value_name = "AMOUNT/PERIOD", value_parser = Demand::parse)]
    volume: Demand,
    /// For how many months.
    #[arg(long, value_name = "N", default_value_t = 24.0)]
    months: f64,
    /// How the model is used: infer, train, head, lora, ...
    #[arg(long)]
    mode: Option<String>,
    /// Examples of one execution; each device's best without it.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Tokens of an example.
    #[arg(long, value_name = "N")]
    length: Option<u64>,
    /// Type of activations and of what products take: f32, bf16.
    #[arg(long, value_name = "TYPE")]
    dtype: Option<String>,
    /// Longest time of one execution: 200ms, 2s.
    #[arg(long, value_name = "TIME", value_parser = grammar::duration)]
    latency: Option<Duration>,
    /// Most that may be paid in all.
    #[arg(long, value_name = "AMOUNT")]
    budget: Option<f64>,
    /// Only these devices, by id (`cutgpu prices list --json`), or this-machine.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    device: Vec<String>,
    /// Folders of runs, or their run.jsonl; the first names this machine. runs/quick where it is there.
    #[arg(long, value_name = "RUN")]
    run: Vec<PathBuf>,
    /// Show every way to have the job done, not only the first twelve.
    #[arg(long)]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    market: Market,
}

/// What prices do not tell; each has a default, which every answer states.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Assumptions")]
struct Terms {
    /// What this machine costs: 1500 bought, 0.25/h rented.
    #[arg(long, value_name = "AMOUNT", value_parser = MachinePrice::parse)]
    machine_price: Option<MachinePrice>,
    /// Watts of this machine at work.
    #[arg(long, value_name = "WATTS")]
    machine_watts: Option<f64>,
    /// Currency of all amounts; prices in another one are left out, none is converted.
    #[arg(long, value_name = "CODE", default_value = "USD", value_parser = currency)]
    currency: Currency,
    /// Price of a kWh.
    #[arg(long, default_value_t = Assumptions::default().kwh)]
    kwh: f64,
    /// Power of the building over power of its computers.
    #[arg(long, default_value_t = Assumptions::default().pue)]
    pue: f64,
    /// Share of all hours that can be filled with the work.
    #[arg(long, default_value_t = Assumptions::default().utilisation)]
    utilisation: f64,
    /// Years until what was bought is sold or thrown away.
    #[arg(long, default_value_t = Assumptions::default().years)]
    years: f64,
    /// Share of its value that a machine loses each year; 1 leaves nothing to sell.
    #[arg(long, default_value_t = Assumptions::default().loss)]
    loss: f64,
    /// Yearly rate of interest: 0.05 is 5 %.
    #[arg(long, default_value_t = Assumptions::default().interest)]
    interest: f64,
    /// Price of the machine around a card or a processor, without memory modules.
    #[arg(long, default_value_t = Assumptions::default().host)]
    host: f64,
    /// Price of hosting a machine for a month.
    #[arg(long, default_value_t = Assumptions::default().hosting)]
    hosting: f64,
    /// Watts of a whole machine at work over those of the datasheet.
    #[arg(long, default_value_t = Assumptions::default().all_in)]
    all_in: f64,
}

fn currency(text: &str) -> Result<Currency, String> {
    serde_json::from_value(serde_json::json!(text.to_uppercase()))
        .map_err(|_| "give USD, EUR or GBP".to_string())
}

/// Answers.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let refused = |why: String| anyhow::Error::new(PlanError::Request(plain(&why)));
    let job = job(args).map_err(refused)?;
    let runs = runs(&args.run)?;
    let catalog = args.market.catalog()?;
    let assumptions = assumptions(&args.terms);
    let day = args.market.day();
    let answer = advise::answer(&job, &runs, &catalog, &assumptions, day)
        .map_err(|error| refused(error.to_string()))?;
    let asked = page::Asked { job: &job, assumptions: &assumptions, day, all: args.all };
    let text = match args.json {
        true => format!("{:#}\n", value::json(&asked, &answer)),
        false => page::text(&asked, &answer),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

/// The job of these words.
fn job(args: &Args) -> Result<Job, String> {
    let mut given = super::fit::point(&args.point)?;
    let words = [("mode", &args.mode), ("dtype", &args.dtype)];
    let numbers = [("batch", args.batch), ("length", args.length)];
    let mut set = |axis: &str, value: Option<Param>| {
        if let Some(value) = value {
            given.insert(axis.to_string(), value);
        }
    };
    words.into_iter().for_each(|(axis, word)| set(axis, word.clone().map(Param::Text)));
    numbers.into_iter().for_each(|(axis, number)| set(axis, number.map(Param::Int)));
    let job = made(&args.job, &given, args)?;
    if args.budget.is_some_and(|budget| !(budget >= 0.0 && budget.is_finite())) {
        return Err("a budget is an amount from 0 on".to_string());
    }
    Ok(Job {
        latency: args.latency.map(|latency| latency.as_secs_f64()),
        budget: args.budget,
        devices: args.device.clone(),
        ..job
    })
}

fn made(name: &str, given: &Params, args: &Args) -> Result<Job, String> {
    Job::new(name, given, args.volume.clone(), args.months).map_err(|error| error.to_string())
}

/// The runs that were named, or the usual one where it is there.
pub(super) fn runs(named: &[PathBuf]) -> anyhow::Result<Vec<Run>> {
    let usual = PathBuf::from(USUAL_RUN);
    let paths = match named {
        [] if usual.join("run.jsonl").is_file() => vec![usual],
        named => named.to_vec(),
    };
    super::runs::read(&paths, "cannot tell how fast this machine is")
}

fn assumptions(terms: &Terms) -> Assumptions {
    Assumptions {
        currency: terms.currency,
        kwh: terms.kwh,
        pue: terms.pue,
        utilisation: terms.utilisation,
        years: terms.years,
        loss: terms.loss,
        interest: terms.interest,
        host: terms.host,
        hosting: terms.hosting,
        all_in: terms.all_in,
        machine: terms.machine_price,
        machine_watts: terms.machine_watts,
        ..Assumptions::default()
    }
}
