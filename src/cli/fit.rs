//! `cutgpu fit`: what a workload needs of memory by state, and how large it may get in how much. All on paper.

use super::exit;
use super::table::table;
use crate::catalog::{Catalog, Device};
use crate::host;
use crate::plan::PlanError;
use crate::program::{Program, State};
use crate::suite::grammar;
use crate::units::Bytes;
use crate::workloads::{self, Default, Param, Params, Workload};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;

/// Arguments of `cutgpu fit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  cutgpu fit bert size=base,length=128 --memory 12GB\n  \
                        cutgpu fit gpt2 mode=train,batch=1,length=1024 --along layers\n  \
                        cutgpu fit bert size=large,length=512 --device h100-sxm5-80gb")]
pub(super) struct Args {
    /// The workload.
    workload: String,
    /// Its point, without what is asked for: size=base,length=128. Every mode is shown where none is given.
    #[arg(default_value = "")]
    point: String,
    /// The parameter whose largest value is asked for.
    #[arg(long, value_name = "AXIS", default_value = "batch")]
    along: String,
    /// A memory to fit into: 12GB, 16GiB. This machine's where neither this nor a device is given.
    #[arg(long, value_name = "SIZE", value_parser = grammar::bytes)]
    memory: Vec<u64>,
    /// A device of the catalogue, by its id, to fit into.
    #[arg(long, value_name = "ID")]
    device: Vec<String>,
    /// Print one JSON object a mode.
    #[arg(long)]
    json: bool,
}

/// A memory that something shall fit into.
struct Room {
    name: String,
    bytes: u64,
}

/// What one mode needs at the smallest size, and how large it may get in each room.
struct Need {
    mode: String,
    states: BTreeMap<State, u64>,
    largest: Vec<Option<u64>>,
}

/// Runs the command.
pub(super) fn main(args: &Args) -> anyhow::Result<u8> {
    let refused = |why: String| anyhow::Error::new(PlanError::Request(why));
    let workload = workloads::find(&args.workload)
        .ok_or_else(|| refused(format!("`{}` is no workload; `cutgpu list` shows them", args.workload)))?;
    let rooms = rooms(args)?;
    let mut point = point(&args.point).map_err(refused)?;
    if workload.axes.iter().all(|axis| axis.name != args.along) {
        let names: Vec<&str> = workload.axes.iter().map(|axis| axis.name).collect();
        let why = format!("`{}` has no `{}`; it has {}", workload.name, args.along, names.join(", "));
        return Err(refused(why));
    }
    let step = step(workload, &point, &args.along);
    point.insert(args.along.clone(), Param::Int(step));
    let needs: Result<Vec<Need>, _> = modes(workload, &point)
        .into_iter()
        .map(|mode| need(workload, &point, mode, (&args.along, step), &rooms))
        .collect();
    let needs = needs.map_err(|error| refused(error.to_string()))?;
    if args.json {
        print_json(args, &rooms, &needs)?
    } else {
        print_table(args, step, &rooms, &needs)?
    }
    Ok(exit::OK)
}

/// `size=base,length=128` as parameters.
pub(super) fn point(text: &str) -> Result<Params, String> {
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    let pair = |part: &str| {
        let (axis, value) = part
            .split_once('=')
            .ok_or_else(|| format!("`{part}` sets nothing: write points as size=base,length=128"))?;
        let value = value.trim();
        let value = value.parse().map_or_else(|_| Param::Text(value.to_string()), Param::Int);
        Ok((axis.trim().to_string(), value))
    };
    parts.map(pair).collect()
}

/// What an axis grows by.
fn step(workload: &Workload, point: &Params, axis: &str) -> u64 {
    let number = |axis: &str| match point.get(axis) {
        Some(Param::Int(value)) => Some(*value),
        _ => None,
    };
    match axis {
        "batch" => number("parts").unwrap_or(1).max(1),
        // Heads are 64 wide.
        "width" if workload.name == "gpt2" => 64,
        _ => 1,
    }
}

/// The mode that was given, every mode where none was, or one nameless where there are no modes.
fn modes(workload: &Workload, point: &Params) -> Vec<Option<&'static str>> {
    let axis = workload.axes.iter().find(|axis| axis.name == "mode");
    match axis.and_then(|axis| axis.default) {
        Some(Default::OneOf(modes)) if !point.contains_key("mode") => {
            modes.iter().copied().map(Some).collect()
        }
        _ => vec![None],
    }
}

fn need(
    workload: &Workload,
    point: &Params,
    mode: Option<&str>,
    along: (&str, u64),
    rooms: &[Room],
) -> Result<Need, workloads::ParamError> {
    let mut point = point.clone();
    if let Some(mode) = mode {
        point.insert("mode".to_string(), Param::Text(mode.to_string()));
    }
    let point = workload.complete(&point)?;
    let at_once = |program: &Program| program.liveness().total();
    let largest: Result<Vec<_>, _> =
        rooms.iter().map(|room| workloads::largest(workload, &point, along, room.bytes, at_once)).collect();
    let mode = mode.map(str::to_string).or_else(|| point.get("mode").map(Param::to_string));
    let states = workload.program(&point)?.liveness().by_state();
    Ok(Need { mode: mode.unwrap_or_default(), states, largest: largest? })
}

fn rooms(args: &Args) -> anyhow::Result<Vec<Room>> {
    let mut rooms: Vec<Room> =
        args.memory.iter().map(|&bytes| Room { name: Bytes(bytes).to_string(), bytes }).collect();
    if !args.device.is_empty() {
        let catalog = Catalog::embedded()?;
        for id in &args.device {
            let bytes = catalog.device(id).and_then(memory_of).ok_or_else(|| {
                let why = format!(
                    "the catalogue has no device `{id}` with a memory; `cutgpu prices list` shows them"
                );
                anyhow::Error::new(PlanError::Request(why))
            })?;
            rooms.push(Room { name: id.clone(), bytes });
        }
    }
    if rooms.is_empty() {
        let bytes = host::facts().memory_limit().map_or(0, |bytes| bytes.0);
        rooms.push(Room { name: format!("this machine, {}", Bytes(bytes)), bytes });
    }
    Ok(rooms)
}

/// Bytes that programs can have of a device; as many as it is sold with, where nothing nearer is known.
fn memory_of(device: &Device) -> Option<u64> {
    let sold = || Some(device.memory_nominal_gb.as_ref()?.value * 1e9);
    device.memory_bytes.as_ref().map(|fact| fact.value).or_else(sold).map(|bytes| bytes as u64)
}

const STATES: [(State, &str); 6] = [
    (State::Batch, "batch"),
    (State::Parameter, "parameters"),
    (State::Activation, "activations"),
    (State::Gradient, "gradients"),
    (State::Optimizer, "optimizer"),
    (State::Workspace, "workspace"),
];

fn print_table(args: &Args, step: u64, rooms: &[Room], needs: &[Need]) -> std::io::Result<()> {
    let used: Vec<(State, &str)> = STATES
        .into_iter()
        .filter(|(state, _)| needs.iter().any(|need| need.states.contains_key(state)))
        .collect();
    let most = rooms.iter().map(|room| format!("largest in {}", room.name));
    let header: Vec<String> = ["mode".to_string()]
        .into_iter()
        .chain(used.iter().map(|(_, name)| name.to_string()))
        .chain(["at once".to_string()])
        .chain(most)
        .collect();
    let mut shown = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for need in needs {
        let bytes = |(state, _): &(State, &str)| {
            need.states.get(state).map_or(String::new(), |&bytes| Bytes(bytes).to_string())
        };
        let largest =
            need.largest.iter().map(|largest| largest.map_or("none".to_string(), |n| n.to_string()));
        let row = [need.mode.clone()].into_iter().chain(used.iter().map(bytes));
        let total = Bytes(need.states.values().sum()).to_string();
        shown.add_row(row.chain([total]).chain(largest));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{shown}")?;
    writeln!(
        out,
        "Bytes at {} = {step}, on paper: inputs, and results while somebody will read them. A backend's scratch, packed \
         copies and the process itself come on top.",
        args.along
    )
}

fn print_json(args: &Args, rooms: &[Room], needs: &[Need]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for need in needs {
        let largest: BTreeMap<&str, Option<u64>> =
            rooms.iter().map(|room| room.name.as_str()).zip(need.largest.iter().copied()).collect();
        let line = json!({
            "workload": args.workload, "mode": need.mode, "bytes": need.states, "along": args.along, "largest": largest,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest(words: &str, gb: f64) -> Vec<(String, Option<u64>)> {
        let workload = workloads::find("bert").unwrap();
        let rooms = [Room { name: String::new(), bytes: (gb * 1e9) as u64 }];
        let mut given = point(words).unwrap();
        given.insert("batch".to_string(), Param::Int(1));
        let of = |mode| need(workload, &given, mode, ("batch", 1), &rooms).unwrap();
        modes(workload, &given).into_iter().map(of).map(|need| (need.mode, need.largest[0])).collect()
    }

    #[test]
    fn every_mode_is_shown_and_less_training_fits_more() {
        let all = largest("size=base,length=128", 12.0);
        let of = |mode: &str| all.iter().find(|(name, _)| name == mode).unwrap().1.unwrap();
        assert_eq!(all.len(), 6);
        assert!(of("infer") > of("lora") && of("lora") > of("train") && of("last") > of("train"));
        // google-research/bert trains 32 on 12 GB, in a framework that keeps more.
        assert!((32..160).contains(&of("train")), "{}", of("train"));
        assert_eq!(largest("size=large,length=512,mode=train", 5.0), [("train".to_string(), None)]);
    }

    #[test]
    fn points_are_pairs() {
        assert!(point("size").unwrap_err().contains("sets nothing"));
        assert_eq!(point(" a=1, b=x ,").unwrap().len(), 2);
    }
}
