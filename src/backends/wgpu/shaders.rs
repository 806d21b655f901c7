//! Every form of a step's kernels, for tests that translate them for interfaces that are not here.

use super::kernels;
use super::launch::gemm::TILES;
use super::launch::{self, Can, Launch};
use crate::program::{Program, Step};

/// A kernel as an adapter of some abilities gets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shader {
    /// Its text in WGSL.
    pub text: String,
    /// Its file's name and its entry point.
    pub name: String,
    /// Its entry point.
    pub entry: &'static str,
}

/// The kernels that adapters launch for a step: with every ability and with none, by every tile; none where wgpu has
/// no such step.
pub fn shaders(step: &Step, program: &Program) -> Vec<Shader> {
    let (args, outs) = (program.specs(&step.args), program.specs(&step.outs));
    let of = |can: &Can| {
        launch::launches(&step.op, &args, &outs, can).map(|plan| plan.launches).unwrap_or_default()
    };
    let launches: Vec<Launch> = abilities().iter().flat_map(of).collect();
    let mut shaders: Vec<Shader> = launches.iter().map(shader).collect();
    shaders.sort();
    shaders.dedup();
    shaders
}

fn shader(launch: &Launch) -> Shader {
    let name = format!("{}: {}", launch.source.name, launch.entry);
    Shader { text: kernels::text(launch), name, entry: launch.entry }
}

fn abilities() -> Vec<Can> {
    let tiles = TILES.iter().map(|tile| tile.name);
    let each = |tile| {
        [(true, true), (true, false), (false, false)].map(|(subgroups, matrices)| Can {
            f16: true,
            subgroups,
            matrices,
            tile,
            only: true,
            ..Can::MOST
        })
    };
    let least = Can { f16: false, subgroups: false, matrices: false, shared: 16 << 10, ..Can::MOST };
    tiles.flat_map(each).chain([least, Can::MOST]).collect()
}
