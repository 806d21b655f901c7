//! Which tile of products an adapter is fastest with: tried by `cutgpu tune` and kept in the user's cache folder by
//! adapter and driver.

use super::adapters::{self, Adapter};
use super::gpu::Gpu;
use super::launch::gemm::TILES;
use super::loaded::GpuLoaded;
use crate::backends::{DeviceKind, Fault, LoadOptions, Loaded, Tried, Unsupported};
use crate::host::cache;
use crate::ops::{Gemm, Op};
use crate::program::{Phase, Program, State};
use crate::random::Fill;
use crate::tensor::{DType, ValueSpec};
use crate::units::Reading;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const CACHE: &str = "tuned-wgpu";
/// Rounds over the tiles; each counts by its best, because whatever disturbs a round makes it slower.
const ROUNDS: usize = 5;
/// How long a tile is timed in a round.
const SLICE: Duration = Duration::from_millis(50);

/// What won, by adapter.
#[derive(Default, Serialize, Deserialize)]
struct Tuned(BTreeMap<String, String>);

fn key(adapter: &Adapter) -> String {
    format!("{} by {} of {}", adapter.name, adapter.api, adapter.driver)
}

/// The tile that won, where the adapter was tuned under this driver and the tile still exists.
pub(super) fn tile(adapter: &Adapter) -> Option<&'static str> {
    let Tuned(tuned) = cache::load(CACHE)?;
    let name = tuned.get(&key(adapter))?;
    TILES.iter().map(|tile| tile.name).find(|known| known == name)
}

fn keep(adapter: &Adapter, tile: &str) {
    let Tuned(mut tuned) = cache::load(CACHE).unwrap_or_default();
    tuned.insert(key(adapter), tile.to_string());
    cache::store(CACHE, &Tuned(tuned));
}

/// A square product that is large for the adapter.
fn product(kind: DeviceKind) -> (Program, f64) {
    let extent = if kind == DeviceKind::SoftwareGpu { 512 } else { 2048 };
    let spec = ValueSpec::new(&[extent, extent], DType::F32);
    let mut program = Program::default();
    let a = program.input("a", spec.clone(), State::Batch, Fill::UNIT);
    let b = program.input("b", spec, State::Parameter, Fill::UNIT);
    if let Ok(out) =
        program.push(Op::Gemm(Gemm::plain(DType::F32)), &[a, b], Phase::Forward, State::Activation)
    {
        program.outputs = out;
    }
    (program, 2.0 * (extent as f64).powi(3))
}

/// Times every tile on an adapter and keeps the best.
pub(super) fn tune(backend: &str) -> Result<Vec<Tried>, Fault> {
    let seen = adapters::here()?;
    let unknown =
        || Unsupported(format!("there is no adapter {backend}: `cutgpu list` shows those that are here"));
    let adapter = seen.adapters.iter().find(|adapter| adapter.backend == backend).ok_or_else(unknown)?;
    let (program, flops) = product(adapter.kind);
    let options = LoadOptions { seed: 1, sets: 1, keep_all: false };
    let mut loaded: Vec<Result<GpuLoaded, Fault>> = Vec::new();
    for tile in TILES {
        let gpu = Gpu::open(&adapters::opened(adapter)?, adapter, Some(tile.name))?;
        loaded.push(GpuLoaded::new(&gpu, &program, &options));
    }
    let mut best = vec![f64::INFINITY; TILES.len()];
    // The first round compiles and warms, and counts nowhere.
    for round in 0..=ROUNDS {
        for (best, loaded) in best.iter_mut().zip(&mut loaded) {
            let Ok(program) = loaded else { continue };
            match seconds(program) {
                Ok(seconds) if round > 0 => *best = best.min(seconds),
                Ok(_) => {}
                Err(fault) => *loaded = Err(fault),
            }
        }
    }
    let fastest = best.iter().copied().fold(f64::INFINITY, f64::min);
    let won = best.iter().position(|&seconds| seconds == fastest && seconds.is_finite());
    won.inspect(|&won| keep(adapter, TILES[won].name));
    let tried = |(number, tile): (usize, &super::launch::gemm::Tile)| Tried {
        name: tile.name.to_string(),
        rate: match &loaded[number] {
            Ok(_) => Reading::Value(flops / best[number]),
            Err(fault) => Reading::Absent(fault.to_string()),
        },
        is_kept: won == Some(number),
    };
    Ok(TILES.iter().enumerate().map(tried).collect())
}

/// Seconds of an execution, over a slice of them.
fn seconds(loaded: &mut GpuLoaded) -> Result<f64, Fault> {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < SLICE {
        loaded.enqueue(0)?;
        loaded.wait()?;
        count += 1;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(count))
}
