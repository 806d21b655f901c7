//! The processor's kernels beside the best libraries, and their shares of the probes beside them: one run of
//! the suite `peers`, and a short one on AVX2.
//!
//! A share is the worst one of a row's points, a ratio the geometric mean of its points; a point is behind
//! where the whole 95 % interval of its ratio lies below what the row asks for. Runs that are there already are
//! used again where `CUTGPU_CPU_KEEP` is set.

use super::Measured;
use super::commands::{program, root, run};
use cutgpu::backends::{Lane, Packing};
use cutgpu::compare::{self, Ceiling, OWN, Place, Standing, counts_operations};
use cutgpu::record::{Record, Run};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Cases of the run on AVX2: products whose ceiling is the AVX2 multiply-add probe.
const AVX2: &str = "square-f32/,models-f32/";

/// Which lanes of a case belong to a row.
#[derive(Clone, Copy)]
enum Lanes {
    All,
    /// One thread or several, in this packing.
    Of(usize, Packing),
    /// One thread or several, in any packing.
    Threads(usize),
    Packed,
}

/// What a row takes from its points.
#[derive(Clone, Copy)]
enum Take {
    /// Least share of the probe, in per cent.
    Share,
    /// Geometric mean of the ratios to the best peer.
    Ratio,
    /// Points whose interval lies below this ratio.
    Behind(f64),
    /// Geometric mean of how many times as fast as f32 at the same size.
    OverF32,
}

use Lanes::{All, Of, Packed, Threads};
use Packing::Plain;
use Take::{Behind, OverF32, Ratio, Share};

/// Several threads: all cores.
const SEVERAL: usize = 2;

/// Every goal that the suite's run gives: name, cases by the beginning of their names, lanes, and what to take.
const ROWS: &[(&str, &[&str], Lanes, Take)] = &[
    ("cpu.square_f32_packed_1", &["square-f32"], Of(1, Packing::Packed), Share),
    ("cpu.square_f32_packed_2", &["square-f32"], Of(SEVERAL, Packing::Packed), Share),
    ("cpu.square_f32_plain_1", &["square-f32"], Of(1, Plain), Share),
    ("cpu.square_f32_plain_2", &["square-f32"], Of(SEVERAL, Plain), Share),
    ("cpu.square_f32_ratio", &["square-f32"], All, Ratio),
    ("cpu.square_f32_behind", &["square-f32"], All, Behind(1.0)),
    ("cpu.small_f32_1", &["small-f32"], Of(1, Packing::Packed), Share),
    ("cpu.small_f32_2", &["small-f32"], Of(SEVERAL, Packing::Packed), Share),
    ("cpu.small_narrow_1", &["small-i8", "small-bf16"], Of(1, Packing::Packed), Share),
    ("cpu.small_narrow_2", &["small-i8", "small-bf16"], Of(SEVERAL, Packing::Packed), Share),
    ("cpu.small_ratio", &["small-"], Packed, Ratio),
    ("cpu.small_behind", &["small-"], Packed, Behind(1.0)),
    ("cpu.models_1", &["models-f32"], Of(1, Packing::Packed), Share),
    ("cpu.models_2", &["models-f32"], Of(SEVERAL, Packing::Packed), Share),
    ("cpu.models_ratio", &["models-f32"], All, Ratio),
    ("cpu.models_behind", &["models-f32"], All, Behind(1.0)),
    ("cpu.eight_cache_1", &["eight-cache"], Of(1, Packing::Packed), Share),
    ("cpu.eight_cache_2", &["eight-cache"], Of(SEVERAL, Packing::Packed), Share),
    ("cpu.eight_memory", &["eight-memory"], Packed, Share),
    ("cpu.eight_ratio", &["eight-"], Packed, Ratio),
    ("cpu.eight_behind", &["eight-"], Packed, Behind(1.0)),
    ("cpu.square_i8_1", &["square-i8/", "square-i8-large"], Of(1, Packing::Packed), Share),
    ("cpu.square_i8_2", &["square-i8/", "square-i8-large"], Of(SEVERAL, Packing::Packed), Share),
    ("cpu.square_i8_ratio", &["square-i8/", "square-i8-large"], Packed, Ratio),
    ("cpu.square_i8_behind", &["square-i8/", "square-i8-large"], Packed, Behind(1.0)),
    ("cpu.square_i8_over_f32", &["square-i8/", "square-i8-large"], Packed, OverF32),
    ("cpu.square_bf16_1", &["square-bf16/", "square-bf16-large"], Of(1, Packing::Packed), Share),
    ("cpu.square_bf16_2", &["square-bf16/", "square-bf16-large"], Of(SEVERAL, Packing::Packed), Share),
    ("cpu.square_bf16_ratio", &["square-bf16/", "square-bf16-large"], Packed, Ratio),
    ("cpu.square_bf16_behind", &["square-bf16/", "square-bf16-large"], Packed, Behind(1.0)),
    ("cpu.square_bf16_over_f32", &["square-bf16/", "square-bf16-large"], Packed, OverF32),
    ("cpu.row_memory_f32", &["row-memory-f32"], All, Share),
    ("cpu.row_memory_bf16", &["row-memory-bf16"], All, Share),
    ("cpu.row_memory_i8", &["row-memory-i8"], All, Share),
    ("cpu.row_memory_q8", &["row-memory-q8"], All, Share),
    ("cpu.row_cache_f32_1", &["row-cache-f32"], Threads(1), Share),
    ("cpu.row_cache_f32_2", &["row-cache-f32"], Threads(SEVERAL), Share),
    ("cpu.row_cache_bf16_1", &["row-cache-bf16"], Threads(1), Share),
    ("cpu.row_cache_bf16_2", &["row-cache-bf16"], Threads(SEVERAL), Share),
    ("cpu.row_cache_i8_1", &["row-cache-i8"], Threads(1), Share),
    ("cpu.row_cache_i8_2", &["row-cache-i8"], Threads(SEVERAL), Share),
    ("cpu.row_cache_q8_1", &["row-cache-q8"], Threads(1), Share),
    ("cpu.row_cache_q8_2", &["row-cache-q8"], Threads(SEVERAL), Share),
    ("cpu.row_ratio", &["row-"], All, Ratio),
    ("cpu.row_behind", &["row-"], All, Behind(1.0)),
    ("cpu.attention", &["attention/"], All, Share),
    ("cpu.attention_short", &["attention-short"], All, Share),
    ("cpu.attention_causal", &["attention-causal"], All, Share),
    ("cpu.attention_ratio", &["attention"], All, Ratio),
    ("cpu.attention_behind", &["attention"], All, Behind(1.1)),
    ("cpu.adamw_memory", &["adamw-memory"], All, Share),
    ("cpu.adamw_cache", &["adamw-cache"], All, Share),
    ("cpu.adamw_ratio", &["adamw-"], All, Ratio),
    ("cpu.adamw_behind", &["adamw-"], All, Behind(1.0)),
    ("cpu.layers_memory", &["softmax-memory", "layer-norm-memory", "gelu-memory"], All, Share),
    ("cpu.layers_cache", &["softmax-cache", "layer-norm-cache", "gelu-cache"], All, Share),
    ("cpu.layers_ratio", &["softmax-", "layer-norm-", "gelu-"], All, Ratio),
    ("cpu.layers_behind", &["softmax-", "layer-norm-", "gelu-"], All, Behind(1.0)),
    ("cpu.convolution", &["convolution"], All, Share),
    ("cpu.convolution_ratio", &["convolution"], All, Ratio),
    ("cpu.convolution_behind", &["convolution"], All, Behind(1.0)),
];

/// Measures all of them.
pub(crate) fn cpu() -> Measured {
    let cutgpu = program()?;
    run(Command::new("make").args(["--silent", "peers"]))?;
    let peers = measured(&cutgpu, "peers", &["--only", &cases()], &[])?;
    let settings = [("CUTGPU_ISA", "avx2")];
    let narrow = measured(&cutgpu, "avx2", &["--only", AVX2, "--backend", OWN], &settings)?;
    let standings = compare::standings(&peers.records, &compare::Noise::of(&peers.records));
    let mut values: BTreeMap<&'static str, f64> = ROWS
        .iter()
        .filter_map(|(name, cases, lanes, take)| Some((*name, value(&standings, cases, *lanes, *take)?)))
        .collect();
    values.extend(largest_share(&standings).map(|share| ("cpu.probe_over", share)));
    values.extend(best_seen(&peers)?.map(|share| ("cpu.probe_best", share)));
    let own = compare::standings(&narrow.records, &compare::Noise::of(&narrow.records));
    values.extend(value(&own, &[""], All, Share).map(|share| ("cpu.avx2", share)));
    Ok(values)
}

/// Cases that a row asks for: the suite's whole models have rows of their own.
fn cases() -> String {
    let names: BTreeSet<String> =
        ROWS.iter().flat_map(|(_, cases, ..)| *cases).map(|case| format!("peers/{case}")).collect();
    names.into_iter().collect::<Vec<_>>().join(",")
}

/// The suite's run in `target/cpu/NAME`.
fn measured(cutgpu: &Path, name: &str, words: &[&str], settings: &[(&str, &str)]) -> Result<Run, String> {
    let folder = root().join("target/cpu").join(name);
    if std::env::var_os("CUTGPU_CPU_KEEP").is_none() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    if !folder.exists() {
        let mut command = Command::new(cutgpu);
        command.args(["run", "peers"]).args(words).arg("--out").arg(&folder);
        let output = command.envs(settings.iter().copied()).current_dir(root()).output();
        let output = output.map_err(|error| error.to_string())?;
        // A cell that failed or was wrong ends it with 1; the others are measured.
        if !matches!(output.status.code(), Some(0 | 1)) || !folder.join("run.jsonl").exists() {
            return Err(super::commands::failure(&command, &output));
        }
    }
    cutgpu::record::read(&folder).map_err(|error| error.to_string())
}

fn value(standings: &[Standing], cases: &[&str], lanes: Lanes, take: Take) -> Option<f64> {
    let named =
        |standing: &&Standing| cases.iter().any(|case| format!("{}/", standing.case).starts_with(case));
    let wanted: Vec<&Standing> =
        standings.iter().filter(named).filter(|standing| is_in(lanes, &standing.lane)).collect();
    let against = || wanted.iter().filter_map(|standing| standing.against.as_ref());
    match take {
        Share => {
            let own = wanted.iter().filter_map(|standing| own(standing)?.share);
            own.map(|share| 100.0 * share.centre).reduce(f64::min)
        }
        Ratio => geometric(against().map(|against| against.ratio.centre)),
        Behind(limit) => {
            let behind = against().filter(|against| against.ratio.high < limit).count();
            against().next().map(|_| behind as f64)
        }
        OverF32 => geometric(wanted.iter().filter_map(|standing| over_f32(standing, standings))),
    }
}

fn is_in(lanes: Lanes, lane: &Lane) -> bool {
    let is_count = |threads: usize| (lane.threads > 1) == (threads > 1);
    match lanes {
        All => true,
        Of(threads, packing) => is_count(threads) && lane.packing == packing,
        Threads(threads) => is_count(threads),
        Packed => lane.packing == Packing::Packed,
    }
}

fn own(standing: &Standing) -> Option<&Place> {
    standing.places.iter().find(|place| place.contender.backend == OWN)
}

/// How many times as fast as our own f32 product of the same size in the same lane.
fn over_f32(standing: &Standing, all: &[Standing]) -> Option<f64> {
    let size = |standing: &Standing| {
        let point = standing.group.splitn(3, '/').nth(2)?;
        Some(point.split(',').take(3).collect::<Vec<_>>().join(","))
    };
    let wide = all.iter().find(|other| {
        other.case.starts_with("square-f32") && other.lane == standing.lane && size(other) == size(standing)
    })?;
    Some(own(wide)?.time.centre / own(standing)?.time.centre)
}

fn geometric(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// Largest share of any contender, in per cent.
fn largest_share(standings: &[Standing]) -> Option<f64> {
    // Of a convolution by 3 x 3 the direct operations count, of which minimal filtering does 4 in 9.
    let least = |standing: &Standing| if standing.case == "convolution" { 4.0 / 9.0 } else { 1.0 };
    let places = standings
        .iter()
        .flat_map(|standing| standing.places.iter().map(move |place| (least(standing), place)));
    places.filter_map(|(least, place)| Some(100.0 * least * place.share?.centre)).reduce(f64::max)
}

/// What the arithmetic probes reached over the best that they ever did on this kind of processor, in this run or
/// a recorded one: the least, in per cent.
fn best_seen(peers: &Run) -> Result<Option<f64>, String> {
    let kind =
        |run: &Run| run.host.as_ref().and_then(|host| host.pointer("/facts/cpu/signature/value").cloned());
    let recorded = std::fs::read_dir(root().join("results")).map_err(|error| error.to_string())?;
    let recorded: Vec<Run> = recorded
        .flatten()
        .filter_map(|folder| cutgpu::record::read(&folder.path()).ok())
        .filter(|run| kind(run).is_some() && kind(run) == kind(peers))
        .collect();
    let arithmetic = |records: &[Record]| -> Vec<Ceiling> {
        let all = compare::ceilings(records).into_iter();
        all.filter(|ceiling| counts_operations(ceiling.probe)).collect()
    };
    let here = arithmetic(&peers.records);
    let seen: Vec<Ceiling> =
        recorded.iter().flat_map(|run| arithmetic(&run.records)).chain(here.iter().copied()).collect();
    let share = |ceiling: &Ceiling| {
        let same = seen.iter().filter(|one| (one.probe, one.threads) == (ceiling.probe, ceiling.threads));
        Some(100.0 * ceiling.range.1 / same.map(|one| one.range.1).reduce(f64::max)?)
    };
    Ok(here.iter().filter_map(share).reduce(f64::min))
}
