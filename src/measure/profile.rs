//! Times a program step by step, in a worker of its own.

use super::crash::{Crash, CrashKind};
use super::peer::Hire;
use super::protocol::{Ask, Reply};
use crate::backends::Identity;
use crate::plan::Cell;
use crate::program::State;
use crate::suite::{Scope, Sync};
use std::collections::BTreeMap;
use std::time::Duration;

/// A worker that has not opened its device by then has hung.
const HELLO: Duration = Duration::from_secs(60);
/// The same for a load, and for the longest execution that is worth profiling.
const LIMIT: Duration = Duration::from_secs(600);
/// How much time a profile may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// For a table of steps: 4 s, or eleven executions of either kind, because fewer cannot tell 3 % on a busy machine.
    Usual,
    /// For the phases of a cell that is timed elsewhere: 1 s, or three executions.
    Few,
}

impl Effort {
    /// Executions of either kind that last `each_ns`.
    fn times(self, each_ns: f64) -> u64 {
        let (least, most, budget_ns) = match self {
            Self::Usual => (11, 200, 4e9),
            Self::Few => (3, 50, 1e9),
        };
        ((budget_ns / 2.0 / each_ns.max(1.0)) as u64).clamp(least, most)
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Who computed.
    pub identity: Identity,
    /// Bytes held by state.
    pub bytes: BTreeMap<State, u64>,
    /// Nanoseconds of whole executions.
    pub whole_ns: Vec<f64>,
    /// For each other execution, nanoseconds of each step.
    pub steps_ns: Vec<Vec<f64>>,
}

/// Profiles the program of `cell` on inputs of `seed`.
pub fn profile(hire: &dyn Hire, cell: &Cell, seed: u64, effort: Effort) -> Result<Profile, Crash> {
    let mut peer = hire.hire(&cell.contender, HELLO)?;
    let unexpected = |asked: &str| Crash {
        kind: CrashKind::Garbage,
        message: format!("the worker did not answer {asked} as it should"),
    };
    let program = (*cell.program).clone();
    let steps = program.steps.len();
    let loaded = peer.ask(&Ask::Load { program, seed, sets: 1, keep_all: false }, LIMIT)?;
    let Reply::Loaded { bytes, .. } = loaded else { return Err(unexpected("load")) };
    let one = Ask::Sample { scope: Scope::Resident, sync: Sync::Each, iters: 1 };
    let mut each_ns = f64::INFINITY;
    for _ in 0..2 {
        let Reply::Sample(sample) = peer.ask(&one, LIMIT)? else { return Err(unexpected("sample")) };
        each_ns = each_ns.min(sample.ns);
    }
    let profiled = peer.ask(&Ask::Profile { times: effort.times(each_ns) }, LIMIT)?;
    match profiled {
        Reply::Profiled { whole_ns, steps_ns } if steps_ns.iter().all(|each| each.len() == steps) => {
            Ok(Profile { identity: peer.identity().clone(), bytes, whole_ns, steps_ns })
        }
        _ => Err(unexpected("profile")),
    }
}
